"""How tests of the whole deal with a node: plain HTTP, the command line, and its processes.

Each call goes on a connection of its own, so any worker may answer. Paths and bodies are sent as they are given;
nothing is normalised, no header is added that a test did not ask for.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtest.ports import free_ports
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
SERVER_ADMIN = "300:88.999.1001/ADMIN"
"""The key that may write as the Handle protocol has it at the world of these tests, once somebody has put it there."""
CERTIFIED_ADMIN = "301:88.999.2001/CERT"
"""The same, by a certificate."""


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class Caller:
    """Somebody before the door of the node at `base`, with or without token, calling from `address` if it is given."""

    base: str
    token: str = ""
    address: str = ""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One call; a body that is not bytes goes as JSON, without a Content-Type. Header names take `_` for `-`."""
        address = urlsplit(self.base)
        source = (self.address, 0) if self.address else None
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60, source_address=source)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            named.setdefault("Authorization", f"Bearer {self.token}")
        octets = body if isinstance(body, bytes | None) else json.dumps(body, ensure_ascii=False).encode()
        try:
            connection.request(method, path, octets, named)
            answer = connection.getresponse()
            return Reply(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def status(self, path: str) -> int:
        """What a GET of `path` is answered with; 0 when nobody is there."""
        try:
            return self.call("GET", path).status
        except (OSError, http.client.HTTPException):
            return 0

    def signed(self, username: str, password: str, path: str = "/identity/token") -> "Caller":
        """The same before the same door, signed in."""
        answer = Caller(self.base).call("POST", path, {"username": username, "password": password}).json
        assert answer["message"] == "success", answer
        return Caller(self.base, answer["data"]["token"])


def free_port() -> int:
    """A port nobody listens on now, for a server that starts within a minute."""
    return free_ports(1)[0]


def idnode(data: Path, *words: str, typed: str = "") -> str:
    """What the command line says of the node that runs on `data`; fails when it says that it cannot."""
    verb, *rest = words
    command = [sys.executable, "-m", "node.cli", verb, "--data", str(data), *rest]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, input=typed, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def children(pid: int, word: str = "") -> list[int]:
    """Of the processes below one those nearest to it whose command line holds `word`."""
    found = []
    try:
        of_each_thread = [path.read_text().split() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        # A thread has ended since, and its children are another's now; or all of the process has.
        return children(pid, word) if runs(pid) else []
    for child in chain.from_iterable(of_each_thread):
        try:
            known = word.encode() in Path(f"/proc/{child}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended since
        found += [int(child)] if known else children(int(child), word)
    return found


def runs(pid: int) -> bool:
    """Whether that process is at work; a zombie nobody has waited for yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill_children(pid: int, word: str) -> None:
    """kill -9 for all children of that kind; returns when as many others stand in their places."""
    victims = children(pid, word)
    assert victims, f"no {word} to kill"
    for victim in victims:
        os.kill(victim, signal.SIGKILL)

    def replaced() -> bool:
        standing = children(pid, word)
        return len(standing) == len(victims) and not set(standing) & set(victims)

    wait_until(replaced, f"{word} is replaced")

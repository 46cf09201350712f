"""How tests of the whole speak to a node: plain HTTP, each call on a connection of its own, so any worker may answer.

Paths and bodies are sent as they are given; nothing is normalised, no header is added that a test did not ask for.
"""

import http.client
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parents[2]


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
    """Somebody before the door of the node at `base`, with a token or without."""

    base: str
    token: str = ""

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """One call; a body that is not bytes goes as JSON, without a Content-Type. Header names take `_` for `-`."""
        address = urlsplit(self.base)
        connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
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

    def signed(self, username: str, password: str, path: str = "/identity/token") -> "Caller":
        """The same before the same door, signed in."""
        answer = Caller(self.base).call("POST", path, {"username": username, "password": password}).json
        assert answer["message"] == "success", answer
        return Caller(self.base, answer["data"]["token"])


def idnode(data: Path, *words: str, typed: str = "") -> str:
    """What the command line says of the node that runs on `data`; fails when it says that it cannot."""
    verb, *rest = words
    command = [sys.executable, "-m", "node.cli", verb, "--data", str(data), *rest]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, input=typed, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout

"""A simulated top-level node and machines under it, each a process of its own as an operator starts it.

No test lives here. What the books of both sides say is read from outside: /control/verify there, PostgreSQL here.
"""

import base64
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from tests.waiting import PATIENCE, until, wait_until
from tests.whole.calls import ROOT, Caller, children, free_port

KEY = base64.b64encode(bytes(range(32))).decode()
PREFIX, OTHER = "88.999.1001", "88.999.2001"
PARTICULARS = [
    *("--type", "2", "--province", "440000", "--city", "440100", "--county", "440114", "--address", "某路1号"),
    *("--contact", "张三", "--email", "a@example.com", "--phone", "020-1234567"),
    *("--legal-person", "李四", "--legal-id-type", "6", "--legal-id", "E01"),
]
CODES = {PREFIX: "91440114MAE9X8K18E", OTHER: "91340123MAE7H6T294"}


@dataclass
class TopLevel:
    """The top-level node; it can be killed and started again."""

    database: str
    log: Path
    port: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.process = _started(
            self.log, {"IDNODE_TOPLEVEL_DATABASE_URL": self.database}, "toplevel", "--toplevel-port", str(self.port)
        )
        wait_until(lambda: Caller(self.url).status("/health/ready") == 200, "the top-level node is ready")

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        reply = Caller(self.url).call(method, f"/control/{path}", body, Content_Type="application/json")
        assert reply.status < 300, reply.body
        return reply.json

    def book(self, prefix: str) -> dict[str, Any]:
        """What it knows of a stream after computing the whole chain anew; empty when it knows none."""
        reply = Caller(self.url).call("GET", f"/control/verify?prefix={prefix}")
        return dict(reply.json["streams"][0]) if reply.status == 200 else {}


@dataclass
class Machine:
    """One machine's node: a supervisor and its children."""

    log: Path
    settings: dict[str, str]
    http: int = field(default_factory=free_port)
    operator: int = field(default_factory=free_port)
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        ports = ("--http-port", str(self.http), "--operator-port", str(self.operator), "--workers", "1")
        settings = {"IDNODE_LOG_FOLDER": str(self.log.with_suffix(f".{self.http}")), **self.settings}
        self.process = _started(self.log, settings, "serve", *ports)
        wait_until(lambda: self.status("/health/ready") == 200, "the node is ready")

    def status(self, path: str) -> int:
        return Caller(f"http://127.0.0.1:{self.operator}").status(path)

    @property
    def door(self) -> Caller:
        return Caller(f"http://127.0.0.1:{self.http}")

    @property
    def uplink(self) -> int:
        """The process of its uplink."""
        assert self.process is not None
        (pid,) = children(self.process.pid, "node.uplink")
        return pid

    def metric(self, name: str) -> float:
        text = Caller(f"http://127.0.0.1:{self.operator}").call("GET", "/metrics").body.decode()
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if line.startswith(name))

    def kill(self, number: int = signal.SIGKILL) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE)


@dataclass
class Land:
    """A database, the top-level node, and machines on that database, with settings of their own."""

    url: str
    folder: Path
    connection: asyncpg.Connection
    toplevel: TopLevel
    machines: list[Machine] = field(default_factory=list)
    own: dict[str, str] = field(default_factory=dict)

    def machine(self, **settings: str) -> Machine:
        name = f"machine-{self.own.get('IDNODE_PREFIX', '')}{len(self.machines)}.log"
        made = Machine(self.folder / name, self.settings | settings)
        self.machines.append(made)
        made.start()
        return made

    @property
    def settings(self) -> dict[str, str]:
        return {
            "IDNODE_DATABASE_URL": self.url,
            "IDNODE_SECRET_KEY": KEY,
            "IDNODE_TOPLEVEL_URL": self.toplevel.url,
            "IDNODE_STATISTICS_SECONDS": "10",
            **self.own,
        }

    def idnode(self, *words: str, **settings: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "node.cli", *words],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=_environment(self.settings | settings),
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def enterprise(self, prefix: str = PREFIX, **settings: str) -> None:
        words = ("enterprise", "add", f"企业{prefix}", "--prefix", prefix, "--industry", "leather")
        self.idnode(*words, "--credit-code", CODES[prefix], *PARTICULARS, **settings)

    def writer(self, machine: Machine, prefix: str = PREFIX) -> Caller:
        """Somebody who may register under the prefix."""
        name = f"AK-{prefix}"
        secret = self.idnode("user", "add", name, "--program", "--enterprise", prefix).split()[-1]
        return machine.door.signed(name, secret)

    async def state(self, prefix: str = PREFIX) -> int | None:
        return await self.connection.fetchval("SELECT state FROM prefix WHERE name = $1", prefix)

    async def until_state(self, wanted: int, prefix: str = PREFIX) -> None:
        async def there() -> bool:
            return await self.state(prefix) == wanted

        await until(there, f"{prefix} is in state {wanted}")

    async def stream(self, prefix: str = PREFIX) -> tuple[int, str, int]:
        """Number and head of the stream as it is here, and the live identifiers."""
        row = await self.connection.fetchrow(
            "SELECT s.number, s.head, (SELECT count(body) FROM record r WHERE r.prefix_no = p.number) "
            "FROM stream s JOIN prefix p ON p.number = s.prefix_no WHERE p.name = $1",
            prefix,
        )
        return row[0], row[1].hex(), row[2]

    async def until_agreed(self, prefix: str = PREFIX) -> dict[str, Any]:
        """Waits until all of a stream is receipted, then proves that both books say the same."""

        async def receipted() -> bool:
            return bool(
                await self.connection.fetchval(
                    "SELECT s.number > 0 AND s.number = r.number AND s.head = r.head FROM stream s "
                    "JOIN receipt r USING (prefix_no, sub) JOIN prefix p ON p.number = s.prefix_no WHERE p.name = $1",
                    prefix,
                )
            )

        await until(receipted, f"{prefix} is receipted")
        book = self.toplevel.book(prefix)
        assert (book["number"], book["head"], book["live"], book["whole"]) == (*await self.stream(prefix), True)
        return book

    async def fence(self) -> int:
        return int(await self.connection.fetchval("SELECT fence FROM voice"))


def rows(name: str, count: int, prefix: str = PREFIX) -> list[dict[str, Any]]:
    """Handbags to register."""
    texts = {"styleNo": "TOTE-01", "articleType": "手袋", "colour": "酒红"}
    value = [
        {"index": 2000 + n, "type": key, "data": {"format": "string", "value": text}}
        for n, (key, text) in enumerate(texts.items())
    ]
    return [
        {"handle": f"{prefix}/BAG-{name}-{n:06d}", "templateVersion": "leather-handbag", "value": value}
        for n in range(count)
    ]


def _environment(settings: dict[str, str]) -> dict[str, str]:
    return {k: v for k, v in os.environ.items() if not k.startswith("IDNODE_")} | settings


def _started(log: Path, settings: dict[str, str], *words: str) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "node.cli", *words],
            stdout=output,
            stderr=output,
            env=_environment(settings),
            cwd=ROOT,
            start_new_session=True,
        )


@contextmanager
def ended(land: Land) -> Iterator[None]:
    """Ends every process of a land, whatever happened; a trace in a log is a failure."""
    try:
        yield
    finally:
        for machine in land.machines:
            machine.kill(signal.SIGCONT if machine.process and machine.process.poll() is not None else signal.SIGTERM)
        land.toplevel.kill(signal.SIGTERM)
    for log in (land.toplevel.log, *(machine.log for machine in land.machines)):
        text = log.read_text() if log.exists() else ""
        assert "Traceback" not in text, text[-4000:]
        assert KEY not in text

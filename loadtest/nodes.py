"""Nodes that a program here starts itself, as a stranger would: `idnode up` in a folder, `serve` beside it.

Processes are started, waited for and stopped here; what is asked of them is said elsewhere.
"""

import asyncio
import json
import os
import signal
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from loadtest.ports import free_ports
from loadtest.said import Said
from loadtest.target import Address
from loadtest.wire import Connection, LostError, RefusedError, Reply

START_SECONDS: Final = 120.0
"""How long a node may take to become ready: the first start makes a database, on a machine that may be busy."""
STOP_SECONDS: Final = 30.0
"""How long it may take to stop before it is killed."""
GLANCE: Final = 0.1
"""Seconds between two looks at whether something is so."""
LOG_SHOWN: Final = 2000
"""Characters of a log shown when its process ended."""
PORTS: Final = ("--http-port", "--native-port", "--operator-port")
UP_PORTS: Final = (*PORTS, "--https-port", "--toplevel-port")
"""The ports a verb is given."""


class NodeError(Exception):
    """A node could not be started or has ended; the text is for people."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node that is ready: its topmost process, its public door, its operator port, that of the Handle protocol."""

    pid: int
    http: Address
    operator: Address
    native: Address


@dataclass(frozen=True, slots=True)
class Home:
    """What `up` started and wrote: a node, its ready.json and its servers.json."""

    node: Node
    data: Path
    ready: Mapping[str, Any]
    servers: Mapping[str, Any]

    @property
    def prefixes(self) -> tuple[str, ...]:
        """The prefixes of its enterprises, in order."""
        return tuple(sorted(enterprise["prefix"] for enterprise in self.ready["enterprises"]))


@contextmanager
def folder() -> Iterator[Path]:
    """A data folder for `up` while the block lasts. Embedded servers may run as another user, who must pass through."""
    with tempfile.TemporaryDirectory(prefix="idnode-loadtest-") as name:
        Path(name).chmod(0o755)
        data = Path(name) / "data"
        data.mkdir(mode=0o755)
        yield data


async def call(address: Address, asked: Said, token: str = "") -> Reply:
    """One request on a connection of its own. Raises RefusedError, LostError or TimeoutError."""
    async with asyncio.timeout(START_SECONDS):
        connection = await Connection.open(address.port, address.host)
        try:
            bearer = {"Authorization": f"Bearer {token}"} if token else {}
            return await connection.ask(asked.method, asked.path, asked.headers | bearer, asked.body)
        finally:
            await connection.close()


async def ready(node: Node) -> None:
    """Returns when the node says it is ready. Raises NodeError."""
    await _until(partial(_is_ready, node.operator), f"the node with operator port {node.operator} is ready")


@asynccontextmanager
async def up(data: Path, workers: int, variables: Mapping[str, str] | None = None) -> AsyncIterator[Home]:
    """`idnode up` on the data folder `data`, without samples, until the block ends. Raises NodeError."""
    words = ["up", "--data", str(data), "--no-samples"]
    async with _node(words, UP_PORTS, workers, variables or {}, data / "up.log") as node:
        yield Home(node, data, await _written(data / "ready.json"), await _written(data / "servers.json"))


@asynccontextmanager
async def serve(home: Home, workers: int, variables: Mapping[str, str] | None = None) -> AsyncIterator[Node]:
    """Another node on the servers of `home`, with these settings beside its own, until the block ends.

    Raises NodeError.
    """
    # The administrator signs in as at `home`: who measures has no telephone.
    own = {"IDNODE_SECOND_FACTOR": "enrolled", **(variables or {})}
    shared = {f"IDNODE_{name.upper()}": home.servers[name] for name in ("database_url", "redis_url", "secret_key")}
    async with _node(["serve"], PORTS, workers, {**shared, **own}, home.data / "serve.log") as node:
        yield node


@asynccontextmanager
async def _node(
    words: Sequence[str], flags: Sequence[str], workers: int, variables: Mapping[str, str], log: Path
) -> AsyncIterator[Node]:
    """A node as a child process with ports of its own for `flags`, until the block ends.

    Raises NodeError with the end of its log.
    """
    ports = dict(zip(flags, free_ports(len(flags)), strict=True))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDNODE_")}
    command = [sys.executable, "-m", "node.cli", *words, "--workers", str(workers)]
    command += [word for flag, port in ports.items() for word in (flag, str(port))]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**environment, **variables}, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL
        )
    flags = ("--http-port", "--operator-port", "--native-port")
    node = Node(process.pid, *(Address("127.0.0.1", ports[flag]) for flag in flags))
    ended = asyncio.create_task(process.wait())
    coming = asyncio.create_task(ready(node))
    try:
        await asyncio.wait({coming, ended}, return_when=asyncio.FIRST_COMPLETED)
        if process.returncode is not None:
            raise NodeError(f"{words[0]}已结束。 {words[0]} ended with {process.returncode}:\n{_tail(log)}")
        await coming
        yield node
    finally:
        coming.cancel()
        ended.cancel()
        await _stop(process)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_SHOWN:]


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _until(happened: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await happened():  # noqa: ASYNC110 - another process does it, nobody tells
                await asyncio.sleep(GLANCE)
    except TimeoutError:
        raise NodeError(f"等待超时。 Waited {START_SECONDS:g} s in vain until {what}.") from None


async def _is_ready(operator: Address) -> bool:
    try:
        return (await call(operator, Said("GET", "/health/ready", {}))).status == 200
    except (RefusedError, LostError):
        return False


async def _written(path: Path) -> Any:
    async def there() -> bool:
        return _read(path) is not None

    await _until(there, f"{path.name} is there")
    return json.loads(_read(path) or "")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None

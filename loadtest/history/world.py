"""A world of our own: `up` in a folder, and a second node beside it on the same database.

Processes are started and stopped here, and waited for; what is asked of them is said elsewhere.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from loadtest import said
from loadtest.history import requests
from loadtest.history.operation import Act
from loadtest.ports import free_ports
from loadtest.said import Said
from loadtest.wire import Connection, LostError, RefusedError, Reply

START_SECONDS: Final = 120.0
"""How long a node may take to become ready: the first start makes a database, on a machine that may be busy."""
STOP_SECONDS: Final = 30.0
"""How long it may take to stop before it is killed."""
GLANCE: Final = 0.1
"""Seconds between two looks at whether something is so."""
LOG_SHOWN: Final = 2000
"""Characters of a log shown when its process ended."""


class WorldError(Exception):
    """The world could not be made or has ended; the text is for people."""


@dataclass(frozen=True, slots=True)
class World:
    """Two machines: their topmost processes, their ports, and what they share."""

    roots: tuple[int, ...]
    ports: tuple[int, ...]
    operators: tuple[int, ...]
    token: str
    prefixes: tuple[str, ...]
    database_url: str
    redis_url: str

    async def ready(self) -> None:
        """Returns when every node says it is ready. Raises WorldError."""
        for port in self.operators:
            await _until(partial(_is_ready, port), f"the node with operator port {port} is ready")


async def call(port: int, asked: Said, token: str = "") -> Reply:
    """One request on a connection of its own. Raises RefusedError, LostError or TimeoutError."""
    async with asyncio.timeout(START_SECONDS):
        connection = await Connection.open(port)
        try:
            bearer = {"Authorization": f"Bearer {token}"} if token else {}
            return await connection.ask(asked.method, asked.path, asked.headers | bearer, asked.body)
        finally:
            await connection.close()


@asynccontextmanager
async def world(data: Path, workers: int) -> AsyncIterator[World]:
    """Two nodes on the data folder `data`, each with `workers` workers; both are stopped in the end.

    Raises WorldError with the end of the log of a node that does not come up.
    """
    ports = free_ports(7)
    async with AsyncExitStack() as stack:
        flags = ["--data", str(data), "--no-samples", "--https-port", str(ports[4]), "--native-port", str(ports[5])]
        flags += ["--toplevel-port", str(ports[6])]
        first = await stack.enter_async_context(_node("up", flags, ports[:2], workers, {}, data / "up.log"))
        ready = await _written(data / "ready.json")
        servers = await _written(data / "servers.json")
        variables = {f"IDNODE_{name.upper()}": servers[name] for name in ("database_url", "redis_url", "secret_key")}
        second = await stack.enter_async_context(_node("serve", [], ports[2:4], workers, variables, data / "serve.log"))
        made = World(
            roots=(first, second),
            ports=(ports[0], ports[2]),
            operators=(ports[1], ports[3]),
            token=await _token(ports[0], ready["admin"]),
            prefixes=tuple(sorted(e["prefix"] for e in ready["enterprises"])),
            database_url=servers["database_url"],
            redis_url=servers["redis_url"],
        )
        await made.ready()
        await _furnish(made)
        yield made


@asynccontextmanager
async def _node(
    verb: str, flags: list[str], ports: list[int], workers: int, variables: Mapping[str, str], log: Path
) -> AsyncIterator[int]:
    """A node as a child process, until the block ends; gives its process number when it is ready."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDNODE_")}
    command = [sys.executable, "-m", "node.cli", verb, *flags, "--http-port", str(ports[0])]
    command += ["--operator-port", str(ports[1]), "--workers", str(workers)]
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command, env={**environment, **variables}, stdout=output, stderr=output, stdin=asyncio.subprocess.DEVNULL
        )
    ready = asyncio.create_task(_until(partial(_is_ready, ports[1]), f"{verb} is ready"))
    ended = asyncio.create_task(process.wait())
    try:
        await asyncio.wait({ready, ended}, return_when=asyncio.FIRST_COMPLETED)
        if process.returncode is not None:
            raise WorldError(f"{verb}已结束。 {verb} ended with {process.returncode}:\n{_tail(log)}")
        await ready
        yield process.pid
    finally:
        ready.cancel()
        ended.cancel()
        await _stop(process)


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-LOG_SHOWN:]


async def _stop(process: Process) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def _until(happened: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await happened():  # noqa: ASYNC110 - another process does it, nobody tells
                await asyncio.sleep(GLANCE)
    except TimeoutError:
        raise WorldError(f"等待超时。 Waited {START_SECONDS:g} s in vain until {what}.") from None


async def _is_ready(operator_port: int) -> bool:
    try:
        return (await call(operator_port, Said("GET", "/health/ready", {}))).status == 200
    except (RefusedError, LostError):
        return False


async def _written(path: Path) -> Any:
    async def read() -> bool:
        return _read(path) is not None

    await _until(read, f"{path.name} is there")
    return json.loads(_read(path) or "")


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


async def _token(port: int, admin: Mapping[str, str]) -> str:
    reply = await call(port, said.token(admin["username"], admin["password"]))
    return str(json.loads(reply.body)["data"]["token"])


async def _furnish(made: World) -> None:
    """Makes our template under each prefix and sees that each is enabled."""
    for prefix in made.prefixes:
        for asked in (requests.template(prefix), requests.state(prefix, Act.ENABLE)):
            reply = await call(made.ports[0], asked, made.token)
            if reply.status != 200 or json.loads(reply.body).get("status", 1) != 1:
                raise WorldError(
                    f"{asked.method} {asked.path}: HTTP {reply.status} {reply.body.decode(errors='replace')}"
                )

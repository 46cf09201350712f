"""Proves node/toplevel/server.py: addresses, health, and a process whose books stay whole when it is killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import aiohttp
import pytest

from node import clock
from node.config import Config
from node.supervisor import PortTakenError
from node.toplevel import server
from node.toplevel.proof import prove
from registry.postgres.connection import open_pool
from tests.fakes.secondary_node import Chain, SecondaryNode, batches
from tests.waiting import PATIENCE, until
from tests.whole.calls import free_port

LEATHER = "88.999.1001"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:8100"),
        ("0.0.0.0", "http://127.0.0.1:8100"),
        ("::", "http://[::1]:8100"),
        ("::1", "http://[::1]:8100"),
    ],
)
def test_where_it_is_found(host: str, url: str):
    assert server.url(Config(host=host)) == url


def test_its_books_are_its_own_or_those_of_the_node():
    own = Config(database_url="postgresql://a/x", toplevel_database_url="postgresql://b/y")
    assert server.database_url(own) == "postgresql://b/y"
    assert server.database_url(Config(database_url="postgresql://a/x")) == "postgresql://a/x"


def test_a_taken_port_gets_a_sentence():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTakenError, match="--toplevel-port"):
            server.listening(Config(toplevel_port=port))


async def test_it_is_live_and_ready_and_says_why_not(top: Any):
    async def asked(path: str) -> tuple[int, Any]:
        async with top.session.get(top.url + path) as response:
            assert response.headers["Server"] == "idnode"
            return response.status, await response.json()

    assert await asked("/health/live") == (200, {"live": True})
    assert await asked("/health/ready") == (200, {"ready": True, "reasons": []})
    top.office.pool.terminate()
    assert await asked("/health/ready") == (503, {"ready": False, "reasons": ["books_unreachable"]})
    assert (await asked("/health/live"))[0] == 200


async def test_connections_beyond_the_bound_are_told_and_ended(top: Any, monkeypatch: pytest.MonkeyPatch):
    async with top.session.get(f"{top.url}/health/live") as response:
        assert response.status == 200
    monkeypatch.setattr(server, "CONNECTIONS_MOST", 1)
    host, _, port = top.url.removeprefix("http://").partition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    writer.close()
    async with top.session.get(f"{top.url}/health/live") as response:
        assert response.status == 200, "who was there before is served on"


@contextmanager
def running(database: str, port: int) -> Iterator["subprocess.Popen[bytes]"]:
    """`idnode toplevel` as a process of its own."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("IDNODE_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "node.cli", "toplevel", "--toplevel-port", str(port)],
        env=environment | {"IDNODE_DATABASE_URL": database, "IDNODE_AUDIT_SECONDS": "0"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        assert process.wait(PATIENCE) in {0, -signal.SIGKILL}


async def until_ready(node: SecondaryNode) -> None:
    async def ready() -> bool:
        try:
            async with node.session.get(f"{node.url}/health/ready") as response:
                return bool(response.status == 200)
        except aiohttp.ClientError:
            return False

    await until(ready, "the top-level node is ready")


async def test_killed_in_the_middle_of_pushes_its_books_stay_whole_and_the_pushes_go_on(empty_database: str):
    port = free_port()
    chain = Chain(LEATHER)
    chain.changes.extend(batches(LEATHER, 60, 50))
    async with aiohttp.ClientSession() as session:
        node = SecondaryNode(session, f"http://127.0.0.1:{port}", clock.milliseconds)
        for stop_at in (15, 30, 45, 60):
            with running(empty_database, port) as process:
                await until_ready(node)
                await node.enrol()
                if stop_at == 15:
                    await node.file(LEATHER)
                sent: list[int] = []
                done = (await node.places())[LEATHER].number
                pushing = asyncio.create_task(push_on(node, chain, done, sent))
                if stop_at < 60:
                    await until(lambda sent=sent, at=stop_at: sent and sent[-1] >= at, "some pushes")
                    process.kill()
                await asyncio.gather(pushing, return_exceptions=True)
        pool = await open_pool(empty_database, size=2, name="idnode-test")
        (proof,) = await prove(pool, LEATHER, clock.milliseconds())
        pool.terminate()
    assert (proof.flaw, proof.standing.number, proof.standing.head, proof.live) == (None, 60, chain.head, 3000)


async def push_on(node: SecondaryNode, chain: Chain, done: int, sent: list[int]) -> None:
    """Pushes one change after the other; where an answer is lost, whoever comes next asks how far it came."""
    for number in range(done + 1, len(chain.changes) + 1):
        sent.append(number)
        receipt = (await node.push(chain.stream(number, number)))[0]
        assert (receipt.verdict, receipt.place.number) == (1, number)

"""Proves loadtest/processes.py: the crowd in several processes asks as one, and its tallies add up."""

import asyncio
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest import processes
from loadtest.crowd import CrowdError
from loadtest.mix import Mix, Place, World
from loadtest.population import Population
from loadtest.ports import free_ports
from loadtest.processes import Run, ran, shares
from tests.waiting import until

ROOT = Path(__file__).parents[2]
WORLD = World(Population(("88.999.1001",), 7, 50_000), hot=50, zipf=1.0, rows=3, foreign="", token="", host="node")


def run(port: int, rate: float | None, mix: str = "warm=1,cold=1", seconds: float = 0.5) -> Run:
    return Run("127.0.0.1", port, 5, rate, seconds, WORLD, Mix.parse(mix), Place("r", 1, 0, 1, 0))


class Server:
    """Answers as a node would, and counts what was asked."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.there = 0

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.there += 1
        try:
            await self.serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # Who asked is gone: some are killed here.
        finally:
            self.there -= 1
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            await reader.readuntil(b"\r\n\r\n")
            handle = head.split(b" ")[1].decode().removeprefix("/api/handles/")
            self.asked[handle] += 1
            values = [{"type": "serialNo", "data": {"format": "string", "value": handle.split("/")[1]}}]
            body = json.dumps({"responseCode": 1, "handle": handle, "values": values}).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, int]]:
    made = Server()
    listening = await asyncio.start_server(made.connected, "127.0.0.1", 0)
    yield made, listening.sockets[0].getsockname()[1]
    listening.close()


def test_a_run_is_shared_out() -> None:
    parts = shares(run(1, 300.0), 3)
    assert [part.connections for part in parts] == [1, 2, 2]
    assert [part.rate for part in parts] == [100.0] * 3
    assert [(part.place.number, part.place.of) for part in parts] == [(0, 3), (1, 3), (2, 3)]
    assert shares(run(1, None), 2)[0].rate is None


async def test_two_processes_ask_as_one(server: tuple[Server, int]) -> None:
    told, port = server
    tally = await ran(run(port, 400.0), 2)
    total = tally.total
    assert total.sent == total.answered == told.asked.total() > 100
    assert tally.opened == 5
    assert len(tally.cpu) == len(tally.stalled) == 2
    assert all(0 < share <= 1.1 for share in tally.cpu)
    assert all(0 <= share <= 1.1 for share in tally.stalled)
    assert 0.4 < tally.seconds < 30
    hot = {WORLD.population.serial(WORLD.population.member(rank)) for rank in range(50)}
    cold = [count for handle, count in told.asked.items() if handle.split("/")[1] not in hot]
    assert set(cold) == {1}
    assert len(cold) == tally.lines["cold"].sent


async def test_arrivals_come_from_the_seed(server: tuple[Server, int]) -> None:
    told, port = server
    await ran(run(port, 200.0), 1)
    first = Counter(told.asked)
    told.asked.clear()
    await ran(run(port, 200.0), 1)
    assert told.asked == first


async def test_closed_runs_take_their_time(server: tuple[Server, int]) -> None:
    told, port = server
    tally = await ran(run(port, None, "warm=1"), 1)
    assert tally.total.answered == told.asked.total() > 50
    assert tally.seconds >= 0.5


async def test_a_yardstick_need_only_answer(server: tuple[Server, int]) -> None:
    _, port = server
    asked = run(port, 100.0, "absent=1")
    assert (await ran(asked, 1)).total.wrong > 0
    tally = await ran(replace(asked, yardstick=True), 1)
    assert tally.total.wrong == 0
    assert tally.total.answered > 0


async def test_nobody_there_is_a_sentence() -> None:
    with pytest.raises(CrowdError, match="Only 0 of 5 connections"):
        await ran(run(free_ports(1)[0], 10.0), 1)


async def test_a_process_that_dies_ends_the_run_with_a_sentence(
    server: tuple[Server, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    told, port = server
    children: list[int] = []
    heard = processes._heard

    async def watched(pipe: object, patience: float) -> object:
        children[:] = [child.pid for child in processes.multiprocessing.active_children() if child.pid]
        return await heard(pipe, patience)  # type: ignore[arg-type]

    monkeypatch.setattr(processes, "_heard", watched)
    running = asyncio.create_task(ran(run(port, 50.0, seconds=60.0), 2))
    await until(lambda: told.asked.total() > 5, "the crowd asks")
    os.kill(children[0], signal.SIGKILL)
    with pytest.raises(CrowdError, match="died"):
        await running
    assert not processes.multiprocessing.active_children()


STARTER = """
import asyncio
from loadtest.mix import Mix, Place, World
from loadtest.population import Population
from loadtest.processes import Run, ran
world = World(Population(("88.999.1001",), 7, 50_000), 50, 1.0, 3, "", "", "node")
asyncio.run(ran(Run("127.0.0.1", {port}, 5, 50.0, 60.0, world, Mix.parse("warm=1"), Place("r", 1, 0, 1, 0)), 2))
"""


async def test_a_crowd_does_not_outlive_a_killed_parent(server: tuple[Server, int]) -> None:
    told, port = server
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", STARTER.format(port=port), cwd=ROOT)
    await until(lambda: told.asked.total() > 5, "the crowd asks")
    parent.kill()
    await parent.wait()
    await until(lambda: told.there == 0, "the crowd has left")


async def test_a_crowd_ends_with_whoever_started_it(server: tuple[Server, int]) -> None:
    told, port = server
    running = asyncio.create_task(ran(run(port, 50.0, seconds=60.0), 2))
    await until(lambda: told.asked.total() > 5, "the crowd asks")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not processes.multiprocessing.active_children()

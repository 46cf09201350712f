"""Proves loadtest/crowd.py and its clock, loadtest/alarm.py, against real sockets: slow, closing and lying servers."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from loadtest import crowd
from loadtest.alarm import Alarm
from loadtest.crowd import Crowd, CrowdError
from loadtest.mix import Mix, Place, Questions, World, wrong
from loadtest.population import Population
from loadtest.ports import free_ports
from loadtest.response import Kind
from loadtest.tally import Tally
from tests.waiting import until

POPULATION = Population(("88.999.1001",), 7, 500)
WORLD = World(POPULATION, hot=50, zipf=1.0, rows=3, foreign="", token="", host="node")

Served = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


def questions(mix: str = "warm=1") -> Questions:
    return Questions(WORLD, Mix.parse(mix), Place("r", 1, 0, 1, 0))


def right(path: str) -> bytes:
    """What a node answers to a question about a member."""
    handle = path.removeprefix("/api/handles/")
    values = [{"type": "serialNo", "data": {"format": "string", "value": handle.split("/")[1]}}]
    body = json.dumps({"responseCode": 1, "handle": handle, "values": values}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def asked(reader: asyncio.StreamReader) -> str:
    """The path of the next request."""
    return (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()


async def honest(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(right(await asked(reader)))


def saying(octets: bytes) -> Served:
    """Answers every request with the same octets."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            writer.write(octets)

    return served


def held(gate: asyncio.Event) -> Served:
    """Answers rightly once the gate is open."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = await asked(reader)
            await gate.wait()
            writer.write(right(path))

    return served


def once(octets: bytes) -> Served:
    """Answers one request with these octets and closes."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(octets)

    return served


async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


async def chatty(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks before it is asked."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()


Start = Callable[[Served], Awaitable[int]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts servers; the port of each."""
    servers: list[asyncio.Server] = []
    connections: set[asyncio.Task[None]] = set()

    async def start(served: Served) -> int:
        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await served(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                pass  # The client went away, or the test is over.
            finally:
                writer.close()
                connections.discard(task)

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield start
    for server in servers:
        server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections)


def even(count: int, gap: float) -> list[float]:
    return [number * gap for number in range(count)]


async def opened(port: int, arrivals: list[float], size: int = 2, asks: Questions | None = None) -> Tally:
    """The tally of an open run."""
    async with Crowd("127.0.0.1", port, size, asks or questions(), wrong) as made:
        await made.open(iter(arrivals), time.monotonic())
    return made.tally


async def test_each_arrival_is_asked_once_and_answered(start: Start) -> None:
    tally = await opened(await start(honest), even(200, 0.0005))
    line = tally.lines["warm"]
    assert (line.sent, line.answered, line.wrong, line.shed, line.errors.total()) == (200, 200, 0, 0, 0)
    assert tally.opened == 2
    assert line.octets > 200 * 100
    assert tally.seconds >= 0.0995


async def test_requests_start_when_they_are_due_and_not_before(start: Start) -> None:
    seen: list[float] = []

    async def watched(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            path = await asked(reader)
            seen.append(time.monotonic())
            writer.write(right(path))

    port = await start(watched)
    async with Crowd("127.0.0.1", port, 4, questions(), wrong) as made:
        begin = time.monotonic() + 0.05
        await made.open(iter(even(20, 0.01)), begin)
    assert len(seen) == 20
    assert all(at >= begin + due for at, due in zip(seen, even(20, 0.01), strict=True))
    assert made.tally.late.count == 20


async def test_the_lateness_of_the_crowd_itself_is_told(start: Start) -> None:
    """Arrivals that were due half a second before it began: the server could not be faster."""
    port = await start(honest)
    async with Crowd("127.0.0.1", port, 4, questions(), wrong) as made:
        await made.open(iter(even(10, 0.001)), time.monotonic() - 0.5)
    assert made.tally.late.count == 10
    assert made.tally.late.least >= 0.49
    assert made.tally.lines["warm"].latency.least >= made.tally.late.least


async def test_waiting_for_a_connection_counts_from_when_the_request_was_due(start: Start) -> None:
    """No coordinated omission: one connection, answers held back, ten requests due at once."""
    gate = asyncio.Event()
    port = await start(held(gate))
    asyncio.get_running_loop().call_later(0.3, gate.set)
    line = (await opened(port, [0.0] * 10, size=1)).lines["warm"]
    assert line.answered == 10
    assert line.latency.least >= 0.29


async def test_what_waits_beyond_the_bound_is_shed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "WAITING_MOST", 5)
    gate = asyncio.Event()
    port = await start(held(gate))
    asyncio.get_running_loop().call_later(0.1, gate.set)
    line = (await opened(port, [0.0] * 20, size=2)).lines["warm"]
    assert (line.sent, line.answered, line.shed) == (7, 7, 13)


async def test_what_nobody_serves_is_given_up_in_time(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "PATIENCE", 0.2)
    monkeypatch.setattr(crowd, "SWEEP", 0.05)
    line = (await opened(await start(silent), [0.0] * 6, size=2)).lines["warm"]
    assert line.errors[Kind.TIMEOUT] == line.sent >= 2
    assert line.sent + line.shed == 6
    assert line.answered == 0


LIARS = {
    "closes before the answer": (once(b""), Kind.CLOSED),
    "closes within the head": (once(b"HTTP/1.1 200 OK\r\nContent-"), Kind.CUT),
    "closes within the body": (once(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"), Kind.CUT),
    "closes within a chunk": (once(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal"), Kind.CUT),
    "says no HTTP": (saying(b"220 mail.example ESMTP\r\n\r\n"), Kind.MALFORMED),
    "announces no length": (saying(b"HTTP/1.1 200 OK\r\n\r\n"), Kind.MALFORMED),
    "says more than it announced": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab"), Kind.SURPLUS),
    "answers twice": (saying(2 * b"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"), Kind.SURPLUS),
    "announces too much": (saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n"), Kind.OVERSIZE),
    "is busy": (saying(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"), Kind.BUSY),
    "limits": (saying(b"HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n"), Kind.BUSY),
    "fails": (saying(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n"), Kind.FAILED),
}


@pytest.mark.parametrize("name", LIARS)
async def test_a_hostile_server_makes_errors_of_a_kind(
    name: str, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "BREATH", 0.001)
    served, kind = LIARS[name]
    line = (await opened(await start(served), even(6, 0.02))).lines["warm"]
    assert dict(line.errors) == {kind: 6}
    assert (line.sent, line.answered, line.wrong, line.shed) == (6, 0, 0, 0)


async def test_a_server_that_closes_after_each_answer_is_met_anew(start: Start) -> None:
    async def parting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(right(await asked(reader)).replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))

    tally = await opened(await start(parting), even(20, 0.002))
    assert tally.lines["warm"].answered == 20
    assert tally.lines["warm"].errors.total() == 0
    assert tally.opened >= 20


async def test_a_client_that_lets_go_comes_again(start: Start) -> None:
    port = await start(honest)
    async with Crowd("127.0.0.1", port, 1, questions(), wrong, kept=5) as made:
        await made.open(iter(even(20, 0.002)), time.monotonic())
    assert made.tally.lines["warm"].answered == 20
    assert made.tally.lines["warm"].errors.total() == 0
    assert made.tally.opened in {4, 5}  # one for each five answers; the next may be on its way


async def test_answers_are_counted_by_the_second(start: Start) -> None:
    tally = await opened(await start(honest), [0.0, 0.0, 1.02])
    assert tally.by_second.total() == 3
    assert max(tally.by_second) >= 1


async def test_a_server_that_speaks_unasked_is_left_and_is_not_hammered(start: Start) -> None:
    port = await start(chatty)
    async with Crowd("127.0.0.1", port, 1, questions(), wrong) as made:
        await until(lambda: made.tally.opened >= 3, "connections made anew")
        begun, count = time.monotonic(), made.tally.opened
        await until(lambda: made.tally.opened >= count + 3, "three more")
        assert time.monotonic() - begun > crowd.BREATH


async def test_slow_answers_are_read_whole(start: Start) -> None:
    async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            octets = right(await asked(reader))
            for at in range(0, len(octets), 7):
                writer.write(octets[at : at + 7])
                await writer.drain()
                await asyncio.sleep(0)

    line = (await opened(await start(dripping), even(10, 0.001))).lines["warm"]
    assert (line.answered, line.errors.total()) == (10, 0)


async def test_wrong_answers_are_counted_and_three_are_shown(start: Start) -> None:
    tally = await opened(await start(saying(right("/api/handles/88.999.1001/other"))), even(10, 0.001))
    line = tally.lines["warm"]
    assert (line.sent, line.wrong, line.answered) == (10, 10, 0)
    assert len(tally.examples) == 3
    assert all("of another identifier" in text for text in tally.examples)


def leaving(leave: asyncio.Event) -> Served:
    """Answers until told to leave."""

    async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        left = asyncio.create_task(leave.wait())
        while not left.done():
            heard = asyncio.create_task(asked(reader))
            await asyncio.wait({left, heard}, return_when=asyncio.FIRST_COMPLETED)
            if heard.done() and not heard.exception():
                writer.write(right(heard.result()))
            else:
                heard.cancel()
                break
        left.cancel()
        writer.close()

    return served


async def test_a_server_that_goes_away_for_a_while_is_met_again(start: Start) -> None:
    port, leave = free_ports(1)[0], asyncio.Event()
    server = await asyncio.start_server(leaving(leave), "127.0.0.1", port)
    async with Crowd("127.0.0.1", port, 2, questions(), wrong) as made:
        running = asyncio.create_task(made.open(iter(even(150, 0.01)), time.monotonic()))
        await until(lambda: made.tally.total.answered > 5, "first answers")
        server.close()
        leave.set()
        await until(lambda: made.tally.refused > 0, "nobody listens")
        leave.clear()
        server = await asyncio.start_server(leaving(leave), "127.0.0.1", port)
        await running
        server.close()
        leave.set()
    line = made.tally.lines["warm"]
    assert line.answered + line.errors.total() + line.shed == 150
    assert line.errors.total() <= 2
    assert line.shed == 0


async def test_closed_each_connection_asks_without_rest(start: Start) -> None:
    under_way = most = 0

    async def counting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal under_way, most
        while True:
            path = await asked(reader)
            under_way += 1
            most = max(most, under_way)
            await asyncio.sleep(0)
            under_way -= 1
            writer.write(right(path))

    port = await start(counting)
    async with Crowd("127.0.0.1", port, 3, questions("warm=1,cold=1"), wrong) as made:
        await made.closed(time.monotonic(), 0.2)
    total = made.tally.total
    assert total.sent == total.answered > 20
    assert most <= 3
    assert made.tally.cold_reached == made.tally.lines["cold"].sent


async def test_closed_a_connection_nobody_serves_is_given_up_and_made_anew(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd, "PATIENCE", 0.05)
    monkeypatch.setattr(crowd, "SWEEP", 0.02)
    monkeypatch.setattr(crowd, "BREATH", 0.001)
    port = await start(silent)
    async with Crowd("127.0.0.1", port, 2, questions(), wrong) as made:
        await made.closed(time.monotonic(), 0.8)
    line = made.tally.lines["warm"]
    assert line.errors[Kind.TIMEOUT] == line.sent > 4


async def test_a_crowd_without_connections_does_not_begin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "OPENING", 0.2)
    with pytest.raises(CrowdError, match=r"Only 0 of 2 connections"):
        await opened(free_ports(1)[0], [0.0])


async def test_a_crowd_that_is_late_still_hears_answers(start: Start) -> None:
    """All are due in the past: answers come in between, so waiting stays within bounds."""
    line = (await opened(await start(honest), [0.0] * 5000, size=20)).lines["warm"]
    assert (line.answered, line.shed) == (5000, 0)


async def test_the_alarm_rings_at_its_time_and_not_again() -> None:
    rung: list[float] = []
    alarm = Alarm(lambda: rung.append(time.monotonic()))
    try:
        at = time.monotonic() + 0.02
        alarm.set(at - 10)
        alarm.set(at)
        await until(lambda: rung, "the alarm")
        assert rung[0] >= at
        alarm.set(0.0)
        await until(lambda: len(rung) > 1, "the alarm for a time that is past")
        assert len(rung) == 2
    finally:
        alarm.close()

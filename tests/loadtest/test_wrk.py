"""Proves loadtest/wrk.py and wrk.lua: wrk asks what the file lists, as it says, and what it counts is told."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from loadtest import wrk as room
from loadtest.crowd import CrowdError
from loadtest.ports import free_ports
from loadtest.target import Address
from loadtest.wrk import FRESH, Line, Post, listed, wrk

HEADS = ("Host: a\r\nX-Kind: one\r\n", "Host: a\r\nConnection: Keep-Alive\r\nAccept: */*\r\n")
CLOSING = "Connection: close\r\n"
LINES = [Line(0, "/found/1"), Line(1, "/found/2"), Line(1, "/none/*")]


@pytest.fixture(autouse=True)
def installed(program: Callable[[str], str]) -> None:
    program("wrk")


class Server:
    """Writes down each request and how many a connection carried; what begins with /none is not found."""

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.heads: set[str] = set()
        self.bodies: Counter[str] = Counter()
        self.carried: list[int] = []

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count, closing = 0, False
        try:
            while not closing:
                first, _, rest = (await reader.readuntil(b"\r\n\r\n")).decode().partition("\r\n")
                if length := re.search(r"Content-Length: (\d+)\r\n", rest):
                    self.bodies[(await reader.readexactly(int(length[1]))).decode()] += 1
                count, closing = count + 1, CLOSING in rest
                path = first.split(" ")[1]
                self.asked[path] += 1
                self.heads.add(f"{path[:6]} {rest.replace(CLOSING, '').strip()}")
                status = b"404 Not Found" if path.startswith("/none") else b"200 OK"
                connection = b"close" if closing else b"keep-alive"
                writer.write(b"HTTP/1.1 %s\r\nConnection: %s\r\nContent-Length: 3\r\n\r\nabc" % (status, connection))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # wrk breaks off when its time is over.
        finally:
            self.carried.append(count)
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Address]]:
    made = Server()
    listening = await asyncio.start_server(made.connected, "127.0.0.1", 0)
    yield made, Address("127.0.0.1", listening.sockets[0].getsockname()[1])
    listening.close()


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    file = tmp_path / "requests"
    file.write_text(listed(HEADS, LINES))
    return file


async def test_what_is_listed_is_asked_in_turn(server: tuple[Server, Address], requests: Path) -> None:
    told, address = server
    counted = await wrk(address, requests, seconds=1, threads=1, connections=2)
    total = told.asked.total()
    assert 0 <= total - counted.requests <= 2
    assert counted.requests > 30
    fresh = {path: count for path, count in told.asked.items() if path.startswith("/none/")}
    assert set(fresh.values()) == {1}
    assert all(re.fullmatch(r"/none/0-\d+", path) for path in fresh)
    assert all(abs(count - total / 3) <= 2 for count in (told.asked["/found/1"], told.asked["/found/2"], len(fresh)))
    assert abs(counted.statuses - counted.requests / 3) <= 3
    assert (counted.lost, counted.timeouts) == (0, 0)
    assert told.heads == {
        "/found Host: a\r\nX-Kind: one",
        "/found Host: a\r\nConnection: Keep-Alive\r\nAccept: */*",
        "/none/ Host: a\r\nConnection: Keep-Alive\r\nAccept: */*",
    }
    assert 0 < counted.p50 <= counted.p90 <= counted.p99
    assert 0.5 < counted.seconds < 20
    assert counted.rate == counted.requests / counted.seconds


async def test_no_name_is_drawn_twice_by_threads_or_runs(server: tuple[Server, Address], requests: Path) -> None:
    told, address = server
    for _ in range(2):
        await wrk(address, requests, seconds=1, threads=2, connections=2)
    fresh = {path: count for path, count in told.asked.items() if path.startswith("/none/")}
    assert {path[len("/none/")] for path in fresh} == {"0", "1"}
    assert set(fresh.values()) == {1}


async def test_what_is_posted_has_another_name_each_time(server: tuple[Server, Address], tmp_path: Path) -> None:
    told, address = server
    file = tmp_path / "posts"
    bodies = [f'{{"a": "{FRESH}", "皮 b": "x-{FRESH}-y"}}', "always the same"]
    file.write_text(listed(HEADS, [Post(1, "/found/1", body) for body in bodies]), encoding="utf-8")
    counted = await wrk(address, file, seconds=1, threads=1, connections=2)
    assert counted.requests > 30
    assert told.asked.keys() == {"/found/1"}
    same = told.bodies.pop("always the same")
    assert set(told.bodies.values()) == {1}
    assert abs(len(told.bodies) - same) <= 2
    assert all(re.fullmatch(r'{"a": "(0-\d{12})", "皮 b": "x-\1-y"}', body) for body in told.bodies)


async def test_connections_are_let_go(server: tuple[Server, Address], requests: Path) -> None:
    told, address = server
    counted = await wrk(address, requests, seconds=1, threads=1, connections=1, closing_after=10)
    assert counted.lost == 0
    # But for the one wrk tries first, the one its trial request was taken from, and the one that was broken off.
    assert told.carried.count(10) >= len(told.carried) - 3 > 3
    assert max(told.carried) == 10


async def test_nobody_there_is_a_sentence(requests: Path) -> None:
    with pytest.raises(CrowdError, match=r"wrk measured nothing: .*unable to connect"):
        await wrk(Address("127.0.0.1", free_ports(1)[0]), requests, seconds=1, threads=1, connections=1)


async def test_without_wrk_it_is_a_sentence(requests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room.shutil, "which", lambda _: None)
    with pytest.raises(CrowdError, match="apt-get install wrk"):
        await wrk(Address("127.0.0.1", 1), requests, seconds=1, threads=1, connections=1)

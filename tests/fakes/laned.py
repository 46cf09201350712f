"""Two doors alike, one with lanes and one without, given the same octets in the same pieces.

Their transports are lists; the clocks stand still.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from hypothesis import strategies as st

from node.house import House
from node.listen.connection import Connection
from node.listen.lane import Lane
from node.meter import Totals
from node.metrics import COUNTED

NOW = 1_795_000_000
DATE = "Wed, 18 Nov 2026 11:06:40 GMT"


class Wire(asyncio.Transport):
    """A transport that keeps what is written, and calls its reader slow when told."""

    def __init__(self, protocol: Connection, address: str) -> None:
        super().__init__({"peername": (address, 40_000)})
        self.out = bytearray()
        self.late = b""
        self.closed = False
        self.reading = True
        self._protocol = protocol

    def write(self, data: Any) -> None:
        if self.closed:
            self.late += data
        else:
            self.out += data

    def writelines(self, list_of_data: Any) -> None:
        for data in list_of_data:
            self.write(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self._protocol.connection_lost, None)

    abort = close

    def pause_reading(self) -> None:
        """What comes is given by the test all the same."""
        self.reading = False

    def resume_reading(self) -> None:
        """Nobody is to stay paused."""
        self.reading = True


@dataclass
class Time:
    """What the clocks show: monotonic seconds, and those since 1970 UTC."""

    passed: float = 1000.0
    now: int = NOW


@dataclass
class World:
    """A door, and what it has counted."""

    time: Time
    server: web.Server
    house: House
    lane: Lane | None
    totals: Totals
    noted: list[Any]

    def open(self, address: str = "192.0.2.1") -> tuple[Connection, Wire]:
        proxies = self.house.config.proxies
        connection = Connection(self.server, proxies, self.lane, lambda reason: None, lambda: None)
        wire = Wire(connection, address)
        connection.connection_made(wire)
        return connection, wire

    def counted(self) -> list[Any]:
        """Every count, of histograms how often; where an answer came from is the same, too."""
        samples = [(m.name, s) for m in COUNTED for s in self.totals.samples(m, 0.0)]
        return [(name, s.labels, sum(s.buckets) if s.buckets else s.value) for name, s in samples]

    def told(self) -> list[Any]:
        """What the access log was told, but for when: not every door goes by a clock that stands still."""
        entries = [each for note in self.noted for each in _entries(note)]
        return [tuple(v.decode() if isinstance(v, bytes) else v for v in entry[1:]) for entry in entries]


def _entries(note: Any) -> list[Any]:
    """What was noted together, one by one."""
    count = len(note[4]) if isinstance(note[4], tuple) else 0
    return list(zip(*(v if isinstance(v, tuple) else (v,) * count for v in note), strict=True)) if count else [note]


def recording(noted: list[Any]) -> Any:
    """What is noted of resolutions and registrations, as a house has it."""
    return SimpleNamespace(access_log=SimpleNamespace(note=noted.append), witness=SimpleNamespace(saw=lambda *_: None))


async def settled(wire: Wire) -> None:
    """Returns when nothing more comes of what was sent: nothing here waits for anything but the loop's next turn."""
    still = 0
    while still < 10:
        before = len(wire.out), wire.closed
        await asyncio.sleep(0)
        still = still + 1 if before == (len(wire.out), wire.closed) else 0


async def passed(connection: Connection, wire: Wire) -> None:
    """Returns when nothing more comes, however long the client waits."""
    await settled(wire)
    if connection._wanting is not None:
        connection._waited()
        await settled(wire)


class Fin(Enum):
    """The client says no more, and still listens."""

    FIN = "fin"


Sent = Sequence[bytes | int | Fin | None]
"""Octets that come in one piece; None: the client waits for answers before it sends on; a number: so many turns of the
loop pass.
"""


async def said(world: World, sent: Sent, address: str = "192.0.2.1") -> tuple[bytes, bool]:
    """What one connection was answered, and whether it was closed."""
    connection, wire = world.open(address)
    for piece in sent:
        if piece is None:
            await passed(connection, wire)
        elif isinstance(piece, int):
            for _ in range(piece):
                await asyncio.sleep(0)
        elif wire.closed:
            break
        elif isinstance(piece, Fin):
            while not wire.reading:  # noqa: ASYNC110 - else nobody hears of it
                await asyncio.sleep(0)
            if not connection.eof_received():
                wire.close()
        else:
            connection.data_received(piece)
    await passed(connection, wire)
    assert wire.reading or wire.closed, "nobody would hear what comes next"
    answered = bytes(wire.out), wire.closed
    wire.close()
    await settled(wire)
    return answered


Worlds = Callable[..., AbstractAsyncContextManager[World]]


async def alike(world: Worlds, sent: Sent, address: str = "192.0.2.1", **given: Any) -> bytes:
    """What both worlds answered, which is the same, as is what they counted and told the access log."""
    expected = b"", False
    for at_first in ([None], []):  # on a connection that stands, and on one just made
        async with world(with_lane=False, **given) as slow, world(with_lane=True, **given) as fast:
            expected = await said(slow, [*at_first, *sent], address)
            assert await said(fast, [*at_first, *sent], address) == expected
            assert fast.counted() == slow.counted()
            assert fast.told() == slow.told()
    return expected[0]


def statuses_of(answered: bytes) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", answered)]


def head(target: str, *lines: str, method: str = "GET", version: str = "HTTP/1.1") -> bytes:
    return "\r\n".join([f"{method} {target} {version}", "Host: x", *lines, "", ""]).encode()


async def has_left(world: World, piece: bytes) -> bool:
    """Whether a connection that sent `piece` is out of the lane."""
    connection, wire = world.open()
    await settled(wire)
    connection.data_received(piece)
    await asyncio.sleep(0)  # the lane is asked when all that a turn of the loop brings has been read
    left = connection._lane is None
    wire.close()
    await settled(wire)
    return left


@st.composite
def sendings(draw: st.DrawFn, requests: st.SearchStrategy[bytes]) -> list[bytes | int | Fin | None]:
    """Some requests one after the other, in any pieces, with any pauses between these; perhaps nothing more."""
    sent: list[bytes | int | Fin | None] = []
    for request in draw(st.lists(requests, min_size=1, max_size=4)):
        cuts = sorted(draw(st.lists(st.integers(0, len(request)), max_size=2))) if draw(st.booleans()) else []
        for piece in (request[a:b] for a, b in pairwise([0, *cuts, len(request)])):
            sent += [piece, draw(st.none() | st.integers(0, 4))]
    return [piece for piece in sent if piece != b""] + draw(st.sampled_from([[], [Fin.FIN]]))


def blurred(draw: st.DrawFn, octets: bytes) -> bytes:
    """`octets`, once in a while with some of them others, more or fewer."""
    if draw(st.integers(0, 4)):
        return octets
    at = draw(st.integers(0, len(octets) - 1))
    return octets[:at] + draw(st.binary(max_size=2)) + octets[at + draw(st.integers(0, 1)) :]

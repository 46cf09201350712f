"""A desk and a lane over a real hot stage, behind which a table knows the answers; doors on real sockets.

The clocks stand still until a test moves them.
"""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from node import meter, stamps
from node.admission import Admission
from node.config import Config
from node.gather import BusyError
from node.meter import Meter, Totals
from node.metrics import Metric
from node.native import udp
from node.native.desk import Desk
from node.native.lane import Lane
from node.native.tcp import Crowd
from node.resolve.answer import Answer, Outcome, Question, Tell
from node.resolve.hot import Hot
from node.resolve.measured import Measured
from node.site_key import SiteKey
from node.stamps import Shared
from node.verifier import Verifier
from proto.identifier import Identifier
from proto.native import bodies
from proto.native.message import CACHE_AUTHENTICATION, PUBLIC_ONLY, RECURSIVE, Message
from proto.value import Reference, Value
from proto.web_json import array
from registry.access_log import FIELDS, sizes
from registry.errors import UnavailableError

NOW = 1_795_000_000
KEY = base64.b64encode(bytes(32)).decode()
PREFIX, EPOCH = 3, 11
VALUES = (
    Value(1, "URL", b"https://example.com/", timestamp=1_790_000_000),
    Value(2, "URL.MIRROR", "https://例.cn/".encode(), permissions=0x0F),
    Value(3, "DATA", bytes(range(256)), ttl=5, references=(Reference("0.TYPE/DATA", 7),)),
)
LONG = tuple(Value(n, "DESC", b"x" * 300) for n in range(1, 11))
LONGER = tuple(Value(n, "DESC", b"x" * 4000) for n in range(1, 11))


def found(values: tuple[Value, ...], **more: Any) -> Answer:
    return Answer(Outcome.FOUND, 7, PREFIX, EPOCH, 0, 0, array(values), **more)


ELSEWHERE = Answer(Outcome.FOUND, 0, 0, EPOCH, 0, 0, array(VALUES), until=NOW + 30)
BOOK: dict[str, Answer | Exception] = {
    "88.999.1001/BAG-1": found(VALUES),
    "88.999.1001/bag-1": found(VALUES[:1]),
    "88.999.1001/皮": found(VALUES[1:]),
    "88.999.1001/箱包-1": found(VALUES[:1]),
    "88.999.1001/EMPTY": found(()),
    "88.999.1001/LONG": found(LONG),
    "88.999.1001/LONGER": found(LONGER),
    "88.999.1001/GONE": Answer(Outcome.GONE, 3, PREFIX, EPOCH),
    "88.999.1001/STOP": Answer(Outcome.STOPPED, 3, PREFIX, EPOCH),
    "0.NA/88.999": found(VALUES[:1]),
    "77.1/FAR": ELSEWHERE,
    "77.1/FOREIGN": Answer(Outcome.FOREIGN, 0, 0, EPOCH),
    "77.1/AWAY": Answer(Outcome.UNREACHABLE, 0, 0, EPOCH, until=NOW + 2),
    "88.999.1001/DOWN": UnavailableError("the database is away"),
    "88.999.1001/BUSY": BusyError(),
    "88.999.1001/BROKEN": ZeroDivisionError("a mistake"),
}


@dataclass
class Book:
    """The stage behind the hot one: knows BOOK, and that all else is absent. Answers when it is not `closed`."""

    closed: bool = False
    waiting: list[tuple[Question, Tell]] = field(default_factory=list)

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        self.waiting += [(question, told) for question in questions]
        if not self.closed:
            asyncio.get_running_loop().call_soon(self.open)

    def open(self) -> None:
        waiting, self.waiting = self.waiting, []
        for question, told in waiting:
            told([question], [BOOK.get(question.key, Answer(Outcome.ABSENT, 0, PREFIX, EPOCH))])


async def _nobody(*_: object) -> None:
    """Who nobody else is known for."""


@dataclass
class World:
    """What stands behind the doors, and what was counted and noted."""

    house: Any
    desk: Desk
    lane: Lane
    book: Book
    totals: Totals
    noted: list[Any]
    follower: Shared
    passed: float = 1000.0

    def clock(self) -> float:
        return self.passed

    @staticmethod
    def now() -> int:
        return NOW

    def counted(self, metric: Metric) -> dict[str, float]:
        """The series of a counter or gauge that are not 0, by their only label."""
        return {"".join(s.labels): s.value for s in self.totals.samples(metric, 0.0) if s.value}


@asynccontextmanager
async def world(warm: Sequence[str] = (), **given: Any) -> AsyncIterator[World]:
    """A world in which the answers to `warm` are kept."""
    config = Config(**{"trusted_proxies": "127.0.0.9", "host": "192.0.2.1", "secret_key": KEY} | given)
    words, counts = stamps.create(1), meter.create(1)
    shared, follower = Shared(words, 1, 0, 1), Shared(words, 1, 1, 2)
    follower.follow(EPOCH, [(PREFIX, EPOCH)], [])
    follower.set_generation()
    counting, book, noted = Meter(counts, 1, 0), Book(), list[Any]()
    made = World(None, None, None, book, Totals(counts, 1), noted, follower)  # type: ignore[arg-type]

    def note(flat: Sequence[Any]) -> None:
        assert len(flat) == FIELDS
        (count,) = sizes(flat)
        noted.extend(zip(*(each if isinstance(each, tuple) else (each,) * count for each in flat), strict=True))

    hot = Hot(shared, book, 100, 60, made.clock, made.now, counting)
    made.house = SimpleNamespace(
        config=config,
        site_key=SiteKey.of(config, counting),
        admission=Admission(config.requests, config.peer_rate, made.clock),
        meter=counting,
        hot=hot,
        verifier=Verifier(hot, config.roots, made.clock, made.now),
        road=Measured(hot, counting, made.clock, note),
        signposts=SimpleNamespace(referral=_nobody),
        recording=SimpleNamespace(access_log=SimpleNamespace(note=note)),
    )
    made.desk, made.lane = Desk(made.house, made.clock, made.now), Lane(made.house, made.clock, made.now)
    for text in warm:
        await hot.ask(Identifier.parse(text))
    yield made
    os.close(words)
    os.close(counts)


@asynccontextmanager
async def tcp_door(world: World, most: int = 100) -> AsyncIterator[tuple[Crowd, int]]:
    """The TCP door of a world, and its port; drained in the end."""
    crowd = Crowd(world.desk, world.lane, world.house.meter, most, world.house.config.proxies, world.clock, world.now)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        serving = asyncio.create_task(crowd.serve(sock.dup()))
        await asyncio.sleep(0)
        try:
            yield crowd, sock.getsockname()[1]
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


@asynccontextmanager
async def udp_door(world: World) -> AsyncIterator[int]:
    """The UDP door of a world: its port."""
    door = udp.Door(world.desk, world.lane, world.house.meter, world.clock, world.now, logins=False)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        serving = asyncio.create_task(door.serve(sock.dup()))
        await asyncio.sleep(0)
        try:
            yield sock.getsockname()[1]
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


USUAL = RECURSIVE | CACHE_AUTHENTICATION | PUBLIC_ONLY
"""Flags of a client of Handle.Net that resolves."""


def asks(handle: str, indexes: Sequence[int] = (), types: Sequence[str] = (), flags: int = USUAL) -> Message:
    """A resolution."""
    body = bodies.Question(handle, tuple(indexes), tuple(types))
    return Message(1, flags=flags, body=body.to_octets())

"""What is drawn of a node of one size: reading, writing, and both while PostgreSQL keeps house.

Sizes are measured in turn by whoever calls; a run here is of one node.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final, TypeVar

from loadtest.crowd import CrowdError
from loadtest.growth import cluster
from loadtest.mix import Mix, Place, World
from loadtest.nodes import Home, Node
from loadtest.population import Population
from loadtest.processes import Run, ran
from loadtest.tally import Tally
from loadtest.writing.batches import made, sent
from loadtest.writing.shares import a_row, spent

T = TypeVar("T")

MANY: Final = 16
"""Connections of the reading that asks for as much as there is."""
ROWS: Final = 1000
WRITERS: Final = 2
"""Connections that send batches: as many as a small machine has processors."""
COLD: Final = Mix({"cold": 1.0})
"""Each member at most once, in an order that has nothing to do with where it lies."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A run of reads: milliseconds of latency, answers a second, microseconds of CPU an answer by kind of process."""

    p50: float
    p99: float
    rate: float
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Writing:
    """A run of batches: rows a second, microseconds of CPU a row by kind of process."""

    rate: float
    cpu: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a size: reads on one connection, on MANY, and batches."""

    one: Reading
    many: Reading
    batches: Writing


@dataclass(slots=True)
class Subject:
    """A node of one size that is up: `home` writes with all its roads, `bare` reads without caches."""

    population: Population
    home: Home
    bare: Node
    token: str
    run: str
    _asked: int = 0
    _written: "count[int]" = field(default_factory=count)

    @property
    def url(self) -> str:
        """Its database."""
        return str(self.home.servers["database_url"])

    async def read(self, connections: int, seconds: float) -> Reading:
        """Reads what was not read before. Raises CrowdError, also when an answer was wrong."""
        world = World(self.population, 1, 0.0, 1, "", self.token, str(self.bare.http))
        place = Place(self.run, 1, 0, 1, self._asked)
        asked = Run(self.bare.http.host, self.bare.http.port, connections, None, seconds, world, COLD, place)
        before = spent(self.home.node.pid) + spent(self.bare.pid)
        tally = await ran(asked, 1)
        after = spent(self.home.node.pid) + spent(self.bare.pid)
        self._asked = tally.cold_reached
        return _reading(tally, a_row(before, after, max(1, tally.total.answered)))

    async def write(self, batches: int) -> Writing:
        """Registers new identifiers. Raises WritingError."""
        body = made(self.population.prefixes, f"{self.run}-{next(self._written)}", batches, ROWS)
        before = spent(self.home.node.pid)
        seconds = await sent(self.home.node.http, self.token, body, WRITERS)
        return Writing(batches * ROWS / seconds, a_row(before, spent(self.home.node.pid), batches * ROWS))

    async def turn(self, seconds: float, batches: int) -> Turn:
        """One turn."""
        return Turn(await self.read(1, seconds), await self.read(MANY, seconds), await self.write(batches))

    async def beside_vacuum(self, seconds: float) -> Reading:
        """Reads while `record` is vacuumed over and over."""
        return await beside(lambda: cluster.vacuumed(self.url), self.read(1, seconds))

    async def beside_checkpoints(self, batches: int) -> Writing:
        """Writes while checkpoint follows checkpoint."""
        return await beside(lambda: cluster.checkpointed(self.url), self.write(batches))


def _reading(tally: Tally, cpu: Mapping[str, float]) -> Reading:
    total = tally.total
    p50, p99 = total.latency.percentile(0.5), total.latency.percentile(0.99)
    if p50 is None or p99 is None or total.wrong:
        raise CrowdError(f"没有答对：{tally.examples}。 Not answered rightly: {tally.examples}.")
    return Reading(p50 * 1000, p99 * 1000, total.answered / tally.seconds, cpu)


async def beside(housework: Callable[[], Awaitable[object]], work: Awaitable[T]) -> T:
    """What `work` gives, while `housework` is done over and over; the last one is waited for."""
    done = asyncio.Event()

    async def again() -> None:
        while not done.is_set():
            await housework()

    async with asyncio.TaskGroup() as group:
        group.create_task(again())
        try:
            return await work
        finally:
            done.set()

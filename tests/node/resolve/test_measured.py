"""The stage that counts: it changes nothing, and misses nothing."""

import os
from collections.abc import Iterator

import pytest

from node import meter, metrics
from node.gather import BusyError
from node.meter import Meter, Totals
from node.resolve.answer import Answer, Outcome, Where
from node.resolve.measured import Measured
from proto.identifier import Identifier
from registry.errors import UnavailableError

BAG = Identifier.parse("88.999.1001/BAG-1")


class Road:
    """The rest of the road: takes `seconds` of a clock and ends as it is told."""

    def __init__(self) -> None:
        self.now = 50.0
        self.seconds = 0.0
        self.end: Answer | BaseException = Answer(Outcome.FOUND, 3, 7, 1, shown=b"[]", where=Where.CACHED)

    async def ask(self, identifier: Identifier) -> Answer:
        assert identifier is BAG
        self.now += self.seconds
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


class World:
    def __init__(self, memory: int) -> None:
        self.road = Road()
        self.totals = Totals(memory, 1)
        self.measured = Measured(self.road, Meter(memory, 1, 0), lambda: self.road.now)  # type: ignore[arg-type]

    def told(self, metric: metrics.Metric) -> dict[tuple[str, ...], float]:
        return {s.labels: s.value for s in self.totals.samples(metric, 0.0) if s.value}


@pytest.fixture
def world() -> Iterator[World]:
    memory = meter.create(1)
    yield World(memory)
    os.close(memory)


async def test_an_answer_is_handed_on_and_counted(world: World) -> None:
    world.road.seconds = 0.25
    for _ in range(2):
        assert await world.measured.ask(BAG) is world.road.end
    assert world.told(metrics.RESOLUTIONS) == {("cached", "found"): 2}
    assert world.told(metrics.RESOLUTION_SECONDS) == {("cached",): 0.5}
    assert world.totals.prefix_counts() == {7: (2, 0)}


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(UnavailableError("away"), "unavailable"), (BusyError(), "busy"), (ZeroDivisionError(), "failed")],
)
async def test_what_could_not_be_answered_is_counted_and_raised(world: World, error: Exception, outcome: str) -> None:
    world.road.end, world.road.seconds = error, 5.0
    with pytest.raises(type(error)):
        await world.measured.ask(BAG)
    assert world.told(metrics.RESOLUTIONS) == {("none", outcome): 1}
    assert world.told(metrics.RESOLUTION_SECONDS) == {("none",): 5.0}


async def test_who_went_away_got_no_answer(world: World) -> None:
    world.road.end = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        await world.measured.ask(BAG)
    assert world.told(metrics.RESOLUTIONS) == {}

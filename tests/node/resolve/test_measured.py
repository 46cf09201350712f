"""The stage that counts: it changes nothing, and misses nothing."""

import pytest

from node import metrics
from node.gather import BusyError
from node.resolve.answer import Answer, Outcome, Where
from node.resolve.measured import Measured
from proto.identifier import Identifier
from registry.errors import UnavailableError
from tests.fakes.counting import Counting

BAG = Identifier.parse("88.999.1001/BAG-1")


class Road:
    """The rest of the road: takes `seconds` of a clock and ends as it is told."""

    def __init__(self) -> None:
        self.now = 50.0
        self.seconds = 0.0
        self.onward = True
        self.end: Answer | BaseException = Answer(Outcome.FOUND, 3, 7, 1, shown=b"[]", where=Where.CACHED)

    async def ask(self, identifier: Identifier, *, onward: bool) -> Answer:
        assert identifier is BAG
        self.onward = onward
        self.now += self.seconds
        if isinstance(self.end, BaseException):
            raise self.end
        return self.end


class World:
    def __init__(self) -> None:
        self.road = Road()
        self.counting = Counting()
        self.told, self.totals = self.counting.told, self.counting.totals
        self.noted: list[tuple[float, str, int, int, str | bytes, str]] = []
        self.measured = Measured(
            self.road,  # type: ignore[arg-type]
            self.counting.meter,
            lambda: self.road.now,
            self.noted.append,
        )


@pytest.fixture
def world() -> World:
    return World()


async def test_whether_other_nodes_may_be_asked_is_handed_on(world: World) -> None:
    for onward in (True, False):
        await world.measured.ask(BAG, onward=onward)
        assert world.road.onward is onward
    await world.measured.ask(BAG)
    assert world.road.onward


@pytest.mark.parametrize(
    ("end", "word"),
    [(None, "found"), (UnavailableError("x"), "unavailable"), (BusyError(), "busy"), (KeyError("x"), "failed")],
)
async def test_the_access_log_is_told(world: World, end: Exception | None, word: str) -> None:
    began = world.road.now
    world.road.seconds = 0.25
    if end is None:
        await world.measured.ask(BAG, source=("192.0.2.1", 7))
    else:
        world.road.end = end
        with pytest.raises(type(end)):
            await world.measured.ask(BAG, source=("192.0.2.1", 7))
    assert world.noted == [(began, "192.0.2.1", 7, 0, str(BAG), f"resolve {word}")]


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

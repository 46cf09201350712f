"""Proves node/slices.py by a clock that only moves when somebody works: bounds of a slice, and what others get."""

import asyncio
from collections.abc import Callable, Sequence

from node.slices import OTHERS_SHARE, RUN_MOST, SLICE_SECONDS, Slices

ITEM = SLICE_SECONDS / 10
"""Seconds one item of these tests takes."""


class Clock:
    """Seconds that pass only by `work`."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds


class Loop:
    """Others who want the loop: each of its turns they take `seconds`, and write down what was done by then."""

    def __init__(self, clock: Clock, seconds: float, done: list[int]) -> None:
        self._clock, self._seconds, self._done = clock, seconds, done
        self.seen: list[int] = []
        self.had = 0.0
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self.seen.append(len(self._done))
        self.had += self._seconds
        self._clock.work(self._seconds)
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def end(self) -> None:
        self._handle.cancel()


def working(clock: Clock, done: list[int]) -> Callable[[int], int]:
    def do(item: int) -> int:
        clock.work(ITEM)
        done.append(item)
        return -item

    return do


async def test_results_come_in_order_and_nothing_is_left_out() -> None:
    clock = Clock()
    done: list[int] = []
    assert await Slices(clock).each(working(clock, done), range(95)) == [-item for item in range(95)]
    assert done == list(range(95))
    assert await Slices(clock).each(working(clock, done), []) == []


async def test_between_slices_others_run_and_get_their_share() -> None:
    clock = Clock()
    done: list[int] = []
    others = Loop(clock, SLICE_SECONDS / 2, done)
    await Slices(clock).each(working(clock, done), range(200))
    others.end()
    most = max(after - before for before, after in zip([0, *others.seen], others.seen, strict=False))
    assert most <= SLICE_SECONDS / ITEM + 1
    assert others.had >= OTHERS_SHARE * 200 * ITEM * 0.9


async def test_runs_grow_while_they_are_quick_and_shrink_at_once_when_they_are_not() -> None:
    clock = Clock()
    sizes: list[int] = []

    def do(run: Sequence[int]) -> list[int]:
        sizes.append(len(run))
        for item in run:
            clock.work(SLICE_SECONDS / 1000 if item < 63 else SLICE_SECONDS / 3)
        return [-item for item in run]

    assert await Slices(clock).runs(do, range(66 + RUN_MOST)) == [-item for item in range(66 + RUN_MOST)]
    assert RUN_MOST == 16
    assert sizes == [1, 2, 4, 8, 16, 16, 16, 16, 1, 1, 1]


async def test_one_alone_waits_behind_nobody() -> None:
    clock = Clock()
    slices = Slices(clock)
    async with slices._turn:
        assert await slices.each(lambda item: item + 1, [1]) == [2]


async def test_nobody_waits_for_an_idle_loop() -> None:
    clock = Clock()
    done: list[int] = []
    others = Loop(clock, 0.0, done)
    await Slices(clock).each(working(clock, done), range(200))
    others.end()
    assert len(others.seen) <= 200 * ITEM / SLICE_SECONDS + 2


async def test_works_take_turns_and_never_share_one() -> None:
    clock = Clock()
    done: list[int] = []
    others = Loop(clock, SLICE_SECONDS, done)
    slices = Slices(clock)
    small = working(clock, done)
    await asyncio.gather(slices.each(small, range(1000)), slices.each(small, range(5000, 5050)))
    others.end()
    assert max(at for at, item in enumerate(done) if item >= 5000) < 150, (
        "who has little does not wait for who has much"
    )
    assert max(after - before for before, after in zip(others.seen, others.seen[1:], strict=False)) <= 11


async def test_one_that_fails_leaves_the_turn_to_the_next() -> None:
    clock = Clock()
    slices = Slices(clock)

    def fail(item: int) -> int:
        raise ValueError(item)

    failed = await asyncio.gather(slices.each(fail, [1]), return_exceptions=True)
    assert isinstance(failed[0], ValueError)
    assert await slices.each(working(clock, []), [1]) == [-1]

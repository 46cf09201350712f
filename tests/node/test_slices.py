"""Proves node/slices.py by a clock that only moves when somebody works: bounds of a slice, and what others get."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

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
    """Others who want the loop: each of its turns takes `seconds`, and someone is answered in every turn of `every`.

    They write down what was done by then.
    """

    def __init__(self, clock: Clock, seconds: float, done: list[int], every: int = 1) -> None:
        self._clock, self._seconds, self._done, self._every = clock, seconds, done, every
        self.seen: list[int] = []
        self.had = 0.0
        self.answered = 0
        self.slices = Slices(clock, lambda: self.answered)
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self.seen.append(len(self._done))
        self.had += self._seconds
        self._clock.work(self._seconds)
        self.answered += len(self.seen) % self._every == 0
        self._handle = asyncio.get_running_loop().call_soon(self._turn)

    def end(self) -> None:
        self._handle.cancel()


def alone(clock: Clock) -> Slices:
    """Slices of a worker that answers nobody."""
    return Slices(clock, lambda: 0)


def working(clock: Clock, done: list[int]) -> Callable[[int], int]:
    def do(item: int) -> int:
        clock.work(ITEM)
        done.append(item)
        return -item

    return do


async def test_results_come_in_order_and_nothing_is_left_out() -> None:
    clock = Clock()
    done: list[int] = []
    assert await alone(clock).each(working(clock, done), range(95)) == [-item for item in range(95)]
    assert done == list(range(95))
    assert await alone(clock).each(working(clock, done), []) == []


@pytest.mark.parametrize("every", [1, 2])  # a request is read in one turn and answered in the next
async def test_between_slices_others_run_and_get_their_share(every: int) -> None:
    clock = Clock()
    done: list[int] = []
    others = Loop(clock, SLICE_SECONDS / 2, done, every)
    await others.slices.each(working(clock, done), range(200))
    others.end()
    most = max(after - before for before, after in zip([0, *others.seen], others.seen, strict=False))
    assert most <= SLICE_SECONDS / ITEM + 1
    # What the last slice owes is paid before the next.
    assert others.had >= OTHERS_SHARE * (200 * ITEM - SLICE_SECONDS) * 0.9


async def test_short_works_are_paid_for_as_well() -> None:
    clock = Clock()
    done: list[int] = []
    others = Loop(clock, SLICE_SECONDS / 2, done)
    for _ in range(50):
        await others.slices.each(working(clock, done), range(2))
    others.end()
    assert others.had >= OTHERS_SHARE * 98 * ITEM * 0.9


async def test_time_that_passed_since_pays() -> None:
    clock = Clock()
    done: list[int] = []
    others = Loop(clock, 0.0, done)
    await others.slices.each(working(clock, done), range(2))
    clock.work(OTHERS_SHARE * 2 * ITEM * 1.001)
    others.answered += 1
    others.seen.clear()
    await others.slices.each(working(clock, done), range(2))
    others.end()
    assert not others.seen


async def test_runs_grow_while_they_are_quick_and_shrink_at_once_when_they_are_not() -> None:
    clock = Clock()
    sizes: list[int] = []

    def do(run: Sequence[int]) -> list[int]:
        sizes.append(len(run))
        for item in run:
            clock.work(SLICE_SECONDS / 1000 if item < 63 else SLICE_SECONDS / 3)
        return [-item for item in run]

    assert await alone(clock).runs(do, range(66 + RUN_MOST)) == [-item for item in range(66 + RUN_MOST)]
    assert RUN_MOST == 16
    assert sizes == [1, 2, 4, 8, 16, 16, 16, 16, 1, 1, 1]


async def test_one_alone_waits_behind_nobody() -> None:
    clock = Clock()
    slices = alone(clock)
    async with slices._turn:
        assert await slices.each(lambda item: item + 1, [1]) == [2]


@pytest.mark.parametrize("seconds", [0.0, SLICE_SECONDS / 100, SLICE_SECONDS * 5])
async def test_nobody_waits_where_few_are_answered(seconds: float) -> None:
    # The loop idles, or works on what is no answer, a batch for one: a few answers among that hold up nobody.
    clock = Clock()
    done: list[int] = []
    others = Loop(clock, seconds, done, every=5)
    await others.slices.each(working(clock, done), range(200))
    others.end()
    assert len(others.seen) <= 8 * (200 * ITEM / SLICE_SECONDS + 1)


async def test_works_take_turns_and_never_share_one() -> None:
    clock = Clock()
    done: list[int] = []
    others = Loop(clock, SLICE_SECONDS, done)
    slices = others.slices
    small = working(clock, done)
    await asyncio.gather(slices.each(small, range(1000)), slices.each(small, range(5000, 5050)))
    others.end()
    assert max(at for at, item in enumerate(done) if item >= 5000) < 150, (
        "who has little does not wait for who has much"
    )
    assert max(after - before for before, after in zip(others.seen, others.seen[1:], strict=False)) <= 11


async def test_one_that_fails_leaves_the_turn_to_the_next() -> None:
    clock = Clock()
    slices = alone(clock)

    def fail(item: int) -> int:
        raise ValueError(item)

    failed = await asyncio.gather(slices.each(fail, [1]), return_exceptions=True)
    assert isinstance(failed[0], ValueError)
    assert await slices.each(working(clock, []), [1]) == [-1]

"""Long work on the loop, done in slices: whoever only wants an answer out of memory shall not wait for a batch.

A slice is bounded in time, one slice runs at a time in a worker, and while others want the loop they get most of it.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

SLICE_SECONDS: Final = 0.001
"""After so long the loop is given back: nobody who reads notices a slice or two. One item is never cut: the largest
row of the largest template, or the rows of a block that are looked at together, take less than half of it."""
OTHERS_SHARE: Final = 64
"""While others want the loop they get so many times what a slice took: with what cannot be cut they keep four fifths
of what they have without us, in the storm of `python -m loadtest writing --parts storm --workers 1`."""
IDLE_SECONDS: Final = 0.00002
"""A turn of the loop shorter than this brought nobody anything: the loop is ours."""
RUN_MOST: Final = 16
"""Items done between two looks at the clock, and never more than take an eighth of a slice at the pace of those before:
rows of everyday size, whose time goes into calls otherwise. Should all be of the largest, others wait 8 ms, once."""
TICK_SECONDS: Final = 0.000001
"""No run takes less, whatever the clock says."""


class Slices:
    """Divides the long work of one worker. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._turn = asyncio.Lock()

    async def each(self, do: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """What `do` makes of each item, in order. Works of several callers take turns, slice by slice."""
        return await self.runs(lambda run: [do(item) for item in run], items)

    async def runs(self, do: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R]:
        """The same where `do` is given some neighbours at a time, and makes one thing of each."""
        if len(items) == 1:  # never cut, and never worth a place behind those who are
            return list(do(items))
        done: list[R] = []
        size = 1
        while len(done) < len(items):
            async with self._turn:
                began = before = self._clock()
                while len(done) < len(items):
                    run = items[len(done) : len(done) + size]
                    done += do(run)
                    now = self._clock()
                    fit = len(run) * SLICE_SECONDS / 8 / max(now - before, TICK_SECONDS)
                    size, before = max(1, min(2 * size, RUN_MOST, int(fit))), now
                    if now - began >= SLICE_SECONDS:
                        await self._rest(now - began)
                        break
        return done

    async def _rest(self, took: float) -> None:
        """Gives the loop back until others have had their share, or want nothing."""
        owed = OTHERS_SHARE * took
        while owed > 0:
            before = self._clock()
            await asyncio.sleep(0)
            turn = self._clock() - before
            if turn < IDLE_SECONDS:
                return
            owed -= turn

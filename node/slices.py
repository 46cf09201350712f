"""Long work on the loop, done in slices: whoever only wants an answer out of memory shall not wait for a batch.

A slice is bounded in time, one slice runs at a time in a worker, and while others are answered they get most of the
loop. Only who is answered counts: were other work to count as well, batches would wait for batches. A slice is paid
for before the next, whoever's that is: a batch that is read in half a slice waits no less than its share.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

T = TypeVar("T")
R = TypeVar("R")

SLICE_SECONDS: Final = 0.001
"""After so long the loop is given back: nobody who reads notices a slice or two. One item is never cut: the largest
row of the largest template, or the rows of a block that are looked at together, take less than half of it."""
OTHERS_SHARE: Final = 48
"""While answering takes most of the loop, those who are answered get so many times what slices took: with what cannot
be cut, here and in PostgreSQL, they keep four fifths of what they have without us, and a batch of a thousand rows
waits a third of a second (`python -m loadtest writing --parts storm --workers 1`)."""
RUN_MOST: Final = 16
"""Items done between two looks at the clock, and never more than take an eighth of a slice at the pace of those before:
rows of everyday size, whose time goes into calls otherwise. Should all be of the largest, others wait 8 ms, once."""
TICK_SECONDS: Final = 0.000001
"""No run takes less, whatever the clock says."""


class Slices:
    """Divides the long work of one worker. `clock` gives monotonic seconds, `answered` how many were so far."""

    def __init__(self, clock: Callable[[], float], answered: Callable[[], int]) -> None:
        self._clock = clock
        self._answered = answered
        self._turn = asyncio.Lock()
        self._paid = 0.0  # when others have had their share of the slices so far

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
                await self._rest()
                began = now = self._clock()
                while len(done) < len(items) and now - began < SLICE_SECONDS:
                    run, before = items[len(done) : len(done) + size], now
                    done += do(run)
                    now = self._clock()
                    fit = len(run) * SLICE_SECONDS / 8 / max(now - before, TICK_SECONDS)
                    size = max(1, min(2 * size, RUN_MOST, int(fit)))
                self._paid = max(self._paid, began) + OTHERS_SHARE * (now - began)
        return done

    async def _rest(self) -> None:
        """Gives the loop back until others have had their share of it, or half of it was spent on no answer."""
        busy = idle = 0.0
        now, count = self._clock(), self._answered()
        while now < self._paid:
            await asyncio.sleep(0)  # a request is read in one turn of the loop,
            await asyncio.sleep(0)  # and answered in the next
            before, seen = now, count
            now, count = self._clock(), self._answered()
            if count > seen:
                busy += now - before
            else:
                idle += now - before
            if idle >= busy:
                self._paid = now

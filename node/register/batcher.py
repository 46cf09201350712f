"""Group commit: what waits at a moment for one prefix goes into one transaction; neighbours never share a fate.

Judging and writing are the registrar's; here requests are only brought together and parted again.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final, NamedTuple

from node.gather import BusyError
from registry.errors import RegistryError
from registry.registrar import GROUP_MOST, Job, Outcome, Registrar

LANES: Final = 2
"""Transactions of one prefix under way at once in a worker: while one waits for the disk, the next one is judged."""

SECOND_LANE: Final = 200
"""So many of a prefix must wait before a second transaction is opened beside the first: whoever comes one by one is
better served by one that takes all, for each costs the disk's time and an entry in the stream."""
TURN_SECONDS: Final = 0.02
"""Small groups of different prefixes go one after the other, and grow meanwhile: each costs some 0.5 ms, whatever is in
it. None waits longer than this for the others, so that one that hangs holds up nobody."""


class _Order:
    """The jobs of one call, and what became of each; `done` is set when all are told."""

    def __init__(self, count: int) -> None:
        self.outcomes: list[Outcome | Exception | None] = [None] * count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = count

    def tell(self, place: int, outcome: Outcome | Exception) -> None:
        """What became of the job at `place`."""
        self.outcomes[place] = outcome
        self._left -= 1
        if not self._left and not self.done.done():
            self.done.set_result(None)


class _Waiting(NamedTuple):
    job: Job
    key: str
    order: _Order
    place: int


class Batcher:
    """Takes jobs of any prefixes, at most `most` waiting; `clock` gives seconds since 1970 UTC."""

    def __init__(self, registrar: Registrar, most: int, clock: Callable[[], int]) -> None:
        self._registrar = registrar
        self._most = most
        self._clock = clock
        self._queues: dict[str, deque[_Waiting]] = {}
        self._lanes: dict[str, int] = {}
        self._written: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._turn = asyncio.Lock()

    async def write(self, jobs: Sequence[Job]) -> list[Outcome | RegistryError]:
        """One outcome a job, in order; an error where PostgreSQL could not be asked or its answer was lost.

        Raises BusyError when more is waiting already than the bound allows: nothing is done then.
        """
        if self._count and self._count + len(jobs) > self._most:
            raise BusyError
        if not jobs:
            return []
        order = _Order(len(jobs))
        self._count += len(jobs)
        try:
            for place, job in enumerate(jobs):
                identifier = job.request.identifier
                waiting = _Waiting(job, identifier.key, order, place)
                self._queues.setdefault(identifier.prefix_key, deque()).append(waiting)
            for prefix in {job.request.identifier.prefix_key for job in jobs}:
                self._start(prefix)
            await order.done
        finally:
            self._count -= len(jobs)
        return [_expected(outcome) for outcome in order.outcomes]

    def _start(self, prefix: str) -> None:
        """Opens a lane, or the second one when much waits."""
        lanes = self._lanes.get(prefix, 0)
        if lanes and (lanes == LANES or len(self._queues[prefix]) < SECOND_LANE):
            return
        self._lanes[prefix] = lanes + 1
        task = asyncio.create_task(self._drain(prefix))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, prefix: str) -> None:
        queue = self._queues[prefix]
        try:
            while queue:
                async with self._in_turn(few=len(queue) < SECOND_LANE):
                    group = _take(queue, self._written)
                    if not group:
                        break
                    if queue:
                        self._start(prefix)
                    await self._write(group)
                if self._lanes[prefix] > 1 and len(queue) < SECOND_LANE:
                    break
        finally:
            self._lanes[prefix] -= 1
            if not self._lanes[prefix]:
                del self._lanes[prefix]
                if not queue:
                    del self._queues[prefix]

    @asynccontextmanager
    async def _in_turn(self, *, few: bool) -> AsyncIterator[None]:
        """Around a transaction; for one of `few` once those before it are over, or have had TURN_SECONDS for it."""
        held = False
        if few:
            with suppress(TimeoutError):
                async with asyncio.timeout(TURN_SECONDS):
                    held = await self._turn.acquire()
        try:
            yield
        finally:
            if held:
                self._turn.release()

    async def _write(self, group: list[_Waiting]) -> None:
        keys = {waiting.key for waiting in group}
        self._written |= keys
        try:
            await self._commit(group)
        finally:
            self._written -= keys

    async def _commit(self, group: list[_Waiting]) -> None:
        try:
            outcomes = await self._registrar.write([w.job for w in group], self._clock())
        except RegistryError as error:
            for waiting in group:
                waiting.order.tell(waiting.place, error)
        except Exception as error:  # noqa: BLE001 - parted until the culprit stands alone, and told to it
            if len(group) == 1:
                group[0].order.tell(group[0].place, error)
                return
            half = len(group) // 2
            await self._commit(group[:half])
            await self._commit(group[half:])
        else:
            for waiting, outcome in zip(group, outcomes, strict=True):
                waiting.order.tell(waiting.place, outcome)


def _take(queue: deque[_Waiting], written: set[str]) -> list[_Waiting]:
    """The next group: at most GROUP_MOST, no identifier twice and none that is being `written` by the other lane.

    So the changes of an identifier keep their order; who takes nothing leaves the rest to the lane it waits for.
    """
    group: dict[str, _Waiting] = {}
    later = []
    while queue and len(group) < GROUP_MOST:
        waiting = queue.popleft()
        if waiting.key in group or waiting.key in written:
            later.append(waiting)
        else:
            group[waiting.key] = waiting
    queue.extendleft(reversed(later))
    return list(group.values())


def _expected(outcome: Outcome | Exception | None) -> Outcome | RegistryError:
    assert outcome is not None
    if isinstance(outcome, Exception) and not isinstance(outcome, RegistryError):
        raise outcome
    return outcome

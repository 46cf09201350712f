"""Group commit: what waits at a moment for one prefix goes into one transaction; neighbours never share a fate.

Judging and writing are the registrar's; here requests are only brought together and parted again.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from node.gather import BusyError
from registry.errors import RegistryError
from registry.registrar import GROUP_MOST, Job, Outcome, Registrar

LANES: Final = 2
"""Transactions of one prefix under way at once in a worker: while one waits for the disk, the next one is judged."""


@dataclass(slots=True)
class _Waiting:
    job: Job
    future: "asyncio.Future[Outcome]"

    @property
    def key(self) -> str:
        return self.job.request.identifier.key


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

    async def write(self, jobs: Sequence[Job]) -> list[Outcome | RegistryError]:
        """One outcome a job, in order; an error where PostgreSQL could not be asked or its answer was lost.

        Raises BusyError when more is waiting already than the bound allows: nothing is done then.
        """
        if self._count and self._count + len(jobs) > self._most:
            raise BusyError
        loop = asyncio.get_running_loop()
        waiting = [_Waiting(job, loop.create_future()) for job in jobs]
        self._count += len(waiting)
        try:
            for each in waiting:
                self._queues.setdefault(each.job.request.identifier.prefix_key, deque()).append(each)
            for prefix in {each.job.request.identifier.prefix_key for each in waiting}:
                self._start(prefix)
            results = await asyncio.gather(*(each.future for each in waiting), return_exceptions=True)
        finally:
            self._count -= len(waiting)
        return [_expected(result) for result in results]

    def _start(self, prefix: str) -> None:
        if self._lanes.get(prefix, 0) < LANES:
            self._lanes[prefix] = self._lanes.get(prefix, 0) + 1
            task = asyncio.create_task(self._drain(prefix))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _drain(self, prefix: str) -> None:
        queue = self._queues[prefix]
        try:
            while group := _take(queue, self._written):
                await self._write(group)
        finally:
            self._lanes[prefix] -= 1
            if not self._lanes[prefix]:
                del self._lanes[prefix]
                if not queue:
                    del self._queues[prefix]

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
                _tell(waiting.future, error)
        except Exception as error:  # noqa: BLE001 - parted until the culprit stands alone, and told to it
            if len(group) == 1:
                _tell(group[0].future, error)
                return
            half = len(group) // 2
            await self._commit(group[:half])
            await self._commit(group[half:])
        else:
            for waiting, outcome in zip(group, outcomes, strict=True):
                if isinstance(outcome, RegistryError):
                    _tell(waiting.future, outcome)
                elif not waiting.future.done():
                    waiting.future.set_result(outcome)


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


def _tell(future: "asyncio.Future[Outcome]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


def _expected(result: Outcome | BaseException) -> Outcome | RegistryError:
    if isinstance(result, BaseException) and not isinstance(result, RegistryError):
        raise result
    return result

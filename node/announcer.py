"""Tells the caches of this machine of every commit, before it is tried and whatever came of it (registrar.Announcer).

The order is what makes caches truthful: stamp pending ─ commit ─ Redis corrected or distrusted ─ stamp quiet ─ answer.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Final

import structlog

from node.redis_cache import RedisCache
from node.redis_wire import BROKEN
from node.stamps import Shared
from registry.errors import UnknownOutcomeError

SETTLE_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1.0)
"""Pauses between looks at whether an unknown commit is over; the last one repeats."""
FOLLOW_SECONDS: Final = 0.005
"""Pause between looks at whether the follower has seen a change of the catalogue."""
FOLLOW_PATIENCE: Final = 2.0
"""How long an administrator's change waits for the follower; after that it is answered and caches stay bypassed."""

log = structlog.get_logger("announcer")


class Announcer:
    """Speaks for one worker. `gone(backend)` tells whether that server process (0: any of a predecessor) is over.

    `ring` wakes followers; it may be lost.
    """

    def __init__(
        self,
        shared: Shared,
        redis: RedisCache | None,
        gone: Callable[[int], Awaitable[bool]],
        ring: Callable[[], None],
    ) -> None:
        self._shared = shared
        self._redis = redis
        self._gone = gone
        self._ring = ring
        self._settling: set[asyncio.Task[None]] = set()
        self._doubts = 0

    def pending(self, keys: Sequence[str]) -> None:
        """A commit that changes `keys` is about to be sent."""
        self._shared.begin(self._shared.slots(keys))

    async def written(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        """It happened: corrects Redis or distrusts it, then lets the slots be cached again."""
        try:
            await self._correct(keys, versions)
        finally:
            self._shared.end(self._shared.slots(keys))
            self._ring()

    async def _correct(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        if self._redis is None:
            return
        if not self._shared.redis_trusted:
            # Distrusted anew: the follower may be about to end the distrust it saw before this commit.
            self._shared.distrust()
            return
        try:
            await self._redis.correct(keys, versions)
        except BaseException as error:
            self._shared.distrust()
            if not isinstance(error, BROKEN):
                raise
            log.warning("redis_distrusted", error=str(error))

    def unwritten(self, keys: Sequence[str]) -> None:
        """It certainly did not happen."""
        self._shared.end(self._shared.slots(keys))

    def unknown(self, keys: Sequence[str], backend: int) -> None:
        """Nobody knows: the slots stay pending until the server process is over."""
        self._settle(self._shared.slots(keys), backend)

    def inherit(self) -> None:
        """Takes over what a dead predecessor in this worker's place left in doubt."""
        self._settle(self._shared.inherit(), 0)

    def _settle(self, slots: list[int], backend: int) -> None:
        if slots:
            task = asyncio.create_task(self._settled(slots, backend))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)

    async def _settled(self, slots: list[int], backend: int) -> None:
        await self._until_gone(backend)
        # Nobody corrected Redis for whatever was committed: the follower will, and end this distrust then.
        self._shared.distrust()
        self._shared.end(slots)
        self._ring()
        log.info("unknown_settled", slots=len(slots), backend=backend)

    async def _until_gone(self, backend: int) -> None:
        for attempt in count():
            try:
                if await self._gone(backend):
                    return
            except Exception as error:  # noqa: BLE001 - whatever it is, a doubt must not stay for ever
                log.debug("settle_waits", error=str(error))
            await asyncio.sleep(SETTLE_SECONDS[min(attempt, len(SETTLE_SECONDS) - 1)])

    @asynccontextmanager
    async def catalogue_change(self, number: Callable[[], Awaitable[int]]) -> AsyncIterator[None]:
        """Around a change of prefixes or templates: no cache of this machine is used until the follower knows it.

        `number()` tells the catalogue's number afterwards.
        """
        self._begin_doubt()
        backend = -1
        try:
            yield
        except UnknownOutcomeError as error:
            backend = error.backend
            raise
        finally:
            task = self._end_doubt_later(backend, number)
            await asyncio.wait({task}, timeout=FOLLOW_PATIENCE)

    def inherit_doubt(self, number: Callable[[], Awaitable[int]]) -> None:
        """Ends the doubt a dead predecessor left, once its change is known."""
        if self._shared.in_doubt:
            self._begin_doubt()
            self._end_doubt_later(0, number)

    def _begin_doubt(self) -> None:
        self._doubts += 1
        self._shared.begin_doubt()

    def _end_doubt_later(self, backend: int, number: Callable[[], Awaitable[int]]) -> asyncio.Task[None]:
        self._ring()
        task = asyncio.create_task(self._end_doubt(backend, number))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        return task

    async def _end_doubt(self, backend: int, number: Callable[[], Awaitable[int]]) -> None:
        if backend >= 0:
            await self._until_gone(backend)
        target = await _persist(number)
        while self._shared.followed < target:  # noqa: ASYNC110 - another process's word, no event tells of it
            await asyncio.sleep(FOLLOW_SECONDS)
        self._doubts -= 1
        if not self._doubts:
            self._shared.end_doubt()

    async def close(self) -> None:
        """Lets go of what is still in doubt: whoever takes this place inherits it."""
        for task in self._settling:
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)


async def _persist(number: Callable[[], Awaitable[int]]) -> int:
    while True:
        try:
            return await number()
        except Exception as error:  # noqa: BLE001 - whatever it is, a doubt must not stay for ever
            log.debug("settle_waits", error=str(error))
            await asyncio.sleep(SETTLE_SECONDS[-1])

"""The stage that shares: Redis or Valkey. Bypassed whenever it cannot be trusted or reached; never waited for long."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from node.gather import BusyError, Gatherer
from node.meter import Meter
from node.metrics import REDIS_FILLS
from node.redis_cache import BROKEN, Fill, RedisCache
from node.resolve.answer import Answer, Question, Stage
from node.stamps import Shared

PIPELINE_MOST: Final = 200
"""Keys in one round trip to Redis."""
FILLS_MOST: Final = 2000
"""Answers waiting to be stored; more are let go, they are only cached less."""
REST_SECONDS: Final = 1.0
"""After Redis did not answer, nobody here waits for it again so soon."""

log = structlog.get_logger("cached")


class Cached:
    """Asks Redis first, then `next_`; stores what that said. `clock` gives monotonic seconds."""

    def __init__(
        self, redis: RedisCache, shared: Shared, next_: Stage, clock: Callable[[], float], meter: Meter
    ) -> None:
        self._redis = redis
        self._shared = shared
        self._next = next_
        self._clock = clock
        self._meter = meter
        self._resting_until = 0.0
        self._gather = Gatherer(self._take, lambda q: q.identifier.key, size=PIPELINE_MOST, lanes=2, most=20_000)
        self._fills: list[Fill] = []
        self._filling: asyncio.Task[None] | None = None

    async def ask(self, question: Question) -> Answer:
        """From Redis if it may be used for this question and has it, else from the next stage."""
        trust = self._shared.trust()
        if not question.cacheable or trust is None or self._resting:
            return await self._next.ask(question)
        key = question.identifier.key
        try:
            held = await self._gather.ask(question)
        except (*BROKEN, BusyError) as error:
            # Reading needs no distrust: nothing of ours is left uncorrected, Redis is only slower than PostgreSQL now.
            log.debug("redis_unreachable", error=str(error))
            return await self._next.ask(question)
        if isinstance(held, Answer) and self._shared.trust() == trust:
            return held
        # An answer while trust was lost is none: found restarted, Redis may hold what was corrected before.
        answer = await self._next.ask(question)
        if isinstance(held, bytes) and question.may_keep(answer):
            self._store(Fill(key, held, answer))
        return answer

    @property
    def _resting(self) -> bool:
        return self._clock() < self._resting_until

    async def _take(self, questions: Sequence[Question]) -> list[Answer | bytes | None]:
        if self._resting:  # what waited while the question before was not answered
            raise TimeoutError("Redis did not answer a moment ago")
        try:
            return await self._taken(questions)
        except BROKEN:
            self._resting_until = self._clock() + REST_SECONDS
            raise

    async def _taken(self, questions: Sequence[Question]) -> list[Answer | bytes | None]:
        keys = [q.identifier.key for q in questions]
        held = await self._redis.take(keys)
        stale = [n for n, answer in enumerate(held) if isinstance(answer, Answer) and not self._current(answer)]
        if stale:
            for n, again in zip(stale, await self._redis.retake([keys[n] for n in stale]), strict=True):
                held[n] = again if not isinstance(again, Answer) or self._current(again) else None
        return held

    def _current(self, answer: Answer) -> bool:
        return self._shared.current(answer.prefix, answer.epoch, answer.template, answer.template_epoch)

    def _store(self, fill: Fill) -> None:
        if len(self._fills) < FILLS_MOST:
            self._fills.append(fill)
        else:
            self._meter.count(REDIS_FILLS, "dropped")
        if self._filling is None:
            self._filling = asyncio.create_task(self._store_waiting())

    async def _store_waiting(self) -> None:
        try:
            while self._fills:
                fills, self._fills = self._fills[:PIPELINE_MOST], self._fills[PIPELINE_MOST:]
                await self._redis.fill(fills)
                self._meter.count(REDIS_FILLS, "sent", by=len(fills))
        except BROKEN as error:
            self._fills.clear()
            log.debug("redis_fill_failed", error=str(error))
        finally:
            self._filling = None

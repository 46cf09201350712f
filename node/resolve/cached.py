"""The stage that shares: Redis or Valkey. Bypassed whenever it cannot be trusted or reached; never waited for long."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from node.gather import Gatherer
from node.meter import Meter
from node.metrics import REDIS_FILLS
from node.redis_cache import Fill, RedisCache
from node.redis_wire import BROKEN
from node.resolve.answer import Answer, Question, Stage, Then
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

    def ask(self, question: Question, then: Then) -> None:
        """From Redis if it may be used for this question and has it, else from the next stage."""
        if question.cacheable and self._shared.redis_trusted and not self._resting:
            self._gather.ask(question, partial(self._looked, question, then))
        else:
            self._next.ask(question, then)

    def _looked(self, question: Question, then: Then, held: Answer | bytes | Exception | None) -> None:
        if isinstance(held, Answer):
            then(held)
        elif isinstance(held, bytes):
            self._next.ask(question, partial(self._fetched, question, held, then))
        else:
            # It is not asked now, or did not answer. That is no reason to distrust it: nothing of ours is uncorrected.
            self._next.ask(question, then)

    def _fetched(self, question: Question, lease: bytes, then: Then, answer: Answer | Exception) -> None:
        if isinstance(answer, Answer) and question.may_keep(answer):
            self._store(Fill(question.identifier.key, lease, answer))
        then(answer)

    @property
    def _resting(self) -> bool:
        return self._clock() < self._resting_until

    async def _take(self, questions: Sequence[Question]) -> list[Answer | bytes | None]:
        trust = self._shared.trust()
        if trust is None or self._resting:  # what waited while the question before was not answered
            raise TimeoutError("Redis is not asked now")
        try:
            held = await self._taken(questions)
        except BROKEN as error:
            self._resting_until = self._clock() + REST_SECONDS
            log.debug("redis_unreachable", error=str(error))
            raise
        if self._shared.trust() == trust:
            return held
        # An answer while trust was lost is none: found restarted, Redis may hold what was corrected before.
        return [None if isinstance(each, Answer) else each for each in held]

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

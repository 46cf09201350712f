"""The stage that shares: Redis or Valkey. Bypassed whenever it cannot be trusted or reached; never waited for long."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import structlog

from node.meter import Meter
from node.metrics import REDIS_FILLS
from node.redis_cache import Fill, RedisCache
from node.redis_wire import BROKEN
from node.resolve.answer import Answer, Question, Stage, Tell
from node.resolve.known import Known
from node.stamps import Shared

PIPELINE_MOST: Final = 200
"""Keys in one round trip to Redis."""
FILLS_MOST: Final = 2000
"""Answers waiting to be stored; more are let go, they are only cached less."""
REST_SECONDS: Final = 1.0
"""After Redis did not answer, nobody here waits for it again so soon."""

log = structlog.get_logger("cached")


class Cached:
    """Asks Redis first, then `next_`; stores what that says of what is asked for again.

    What is asked for once on this machine, absent identifiers by the million above all, takes no place in Redis and
    costs no lease.
    `clock` gives monotonic seconds.
    """

    def __init__(
        self, redis: RedisCache, shared: Shared, next_: Stage, clock: Callable[[], float], meter: Meter
    ) -> None:
        self._redis = redis
        self._shared = shared
        self._next = next_
        self._clock = clock
        self._meter = meter
        self._known = Known(shared.known)
        self._resting_until = 0.0
        self._taking: set[asyncio.Task[None]] = set()
        self._fills: list[Fill] = []
        self._filling: asyncio.Task[None] | None = None

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        """From Redis what may be answered from it and is there, all else from the next stage."""
        askable = [question for question in questions if question.cacheable]
        if not askable or self._resting or not self._shared.redis_trusted:
            self._next.ask(questions, told)
            return
        for at in range(0, len(askable), PIPELINE_MOST):
            taking = asyncio.create_task(self._take(askable[at : at + PIPELINE_MOST], told))
            self._taking.add(taking)
            taking.add_done_callback(self._taking.discard)
        if len(askable) < len(questions):
            self._next.ask([question for question in questions if not question.cacheable], told)

    async def _take(self, questions: Sequence[Question], told: Tell) -> None:
        if self._resting:  # since this turn began
            self._next.ask(questions, told)
            return
        try:
            held = await self._held(questions)
        except BROKEN as error:
            # No reason to distrust it: nothing of ours is uncorrected.
            self._resting_until = self._clock() + REST_SECONDS
            log.debug("redis_unreachable", error=str(error))
            self._next.ask(questions, told)
            return
        except Exception as error:  # noqa: BLE001 - handed to everyone who asked
            for question in questions:
                told(question, error)
            return
        missed, leased = [], False
        for question, found in zip(questions, held, strict=True):
            if isinstance(found, Answer):
                told(question, found)
                continue
            missed.append(question)
            if found is not None:
                question.lease, leased = found, True
        if missed:
            self._next.ask(missed, partial(self._fetched, told) if leased else told)

    def _fetched(self, told: Tell, question: Question, answer: Answer | Exception) -> None:
        if question.lease is not None and isinstance(answer, Answer) and question.may_keep(answer):
            self._store(Fill(question.identifier.key, question.lease, answer))
        told(question, answer)

    @property
    def _resting(self) -> bool:
        return self._clock() < self._resting_until

    async def _held(self, questions: Sequence[Question]) -> list[Answer | bytes | None]:
        """For each the answer that may be given, or a lease, or nothing. Raises one of BROKEN."""
        trust = self._shared.trust()
        keys = [q.identifier.key for q in questions]
        held: list[Answer | bytes | None] = list(await self._redis.look(keys))
        stale = [n for n, found in enumerate(held) if isinstance(found, Answer) and not self._current(found)]
        if stale:
            await self._redis.drop([keys[n] for n in stale])
        missed = stale + [n for n, found in enumerate(held) if found is None and self._known.seen(questions[n].slot)]
        if missed:
            for n, lease in zip(missed, await self._redis.lease([keys[n] for n in missed]), strict=True):
                held[n] = lease if not isinstance(lease, Answer) or self._current(lease) else None
        if trust is not None and self._shared.trust() == trust:
            return held
        # An answer while trust was lost is none: found restarted, Redis may hold what was corrected before.
        return [None if isinstance(each, Answer) else each for each in held]

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

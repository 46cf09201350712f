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
        self._known = Known(shared.known, shared.layout.columns - 1)
        self._resting_until = 0.0
        self._leasing: set[asyncio.Task[None]] = set()
        self._fills: list[Fill] = []
        self._filling: asyncio.Task[None] | None = None

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        """From Redis what may be answered from it and is there, all else from the next stage."""
        askable = [question for question in questions if question.cacheable]
        trust = self._shared.trust()
        if not askable or trust is None or self._resting:
            self._next.ask(questions, told)
            return
        for at in range(0, len(askable), PIPELINE_MOST):
            some = askable[at : at + PIPELINE_MOST]
            if self._resting:  # since a moment ago
                self._next.ask(some, told)
            else:
                self._redis.look([question.key for question in some], partial(self._looked, some, told, trust))
        if len(askable) < len(questions):
            self._next.ask([question for question in questions if not question.cacheable], told)

    def _looked(
        self, questions: Sequence[Question], told: Tell, trust: bytes, held: list[Answer | None] | Exception
    ) -> None:
        """Tells what is held; what is not, the next stage is asked, or first Redis, for leases."""
        if isinstance(held, Exception):
            self._refused(questions, told, held)
            return
        if self._shared.trust() != trust:
            # An answer while trust was lost is none: found restarted, Redis may hold what was corrected before.
            self._next.ask(questions, told)
            return
        answers = [found for found in held if found]
        terms = {found[2:6] for found in answers}
        current = {each for each in terms if self._shared.current(*each)}
        if len(answers) == len(held) and current == terms:
            told(questions, answers)
            return
        missed, wanted, stale, here = list[Question](), list[Question](), list[Question](), list[Question]()
        answers = []
        for question, found in zip(questions, held, strict=True):
            if found is None:
                question.again = self._known.seen(question.mark)
                (wanted if question.again else missed).append(question)
            elif found[2:6] in current:
                here.append(question)
                answers.append(found)
            else:
                stale.append(question)
        if here:
            told(here, answers)
        if missed:
            self._next.ask(missed, told)
        if wanted or stale:
            leasing = asyncio.create_task(self._leased(wanted, stale, told, trust))
            self._leasing.add(leasing)
            leasing.add_done_callback(self._leasing.discard)

    async def _leased(self, wanted: list[Question], stale: list[Question], told: Tell, trust: bytes) -> None:
        """Asks the next stage with leases, of what is stale once that is gone; unless Redis has an answer by now."""
        questions = stale + wanted
        try:
            if stale:
                await self._redis.drop([question.key for question in stale])
            held = await self._redis.lease([question.key for question in questions])
        except Exception as error:  # noqa: BLE001 - told to who asked, or passed over
            self._refused(questions, told, error)
            return
        sure, missed = self._shared.trust() == trust, []
        for question, found in zip(questions, held, strict=True):
            if sure and isinstance(found, Answer) and self._current(found):
                told([question], [found])
                continue
            missed.append(question)
            if isinstance(found, bytes):
                question.lease = found
        if missed:
            self._next.ask(missed, partial(self._fetched, told))

    def _refused(self, questions: Sequence[Question], told: Tell, error: Exception) -> None:
        """Redis does not answer. No reason to distrust it: nothing of ours is uncorrected."""
        if isinstance(error, BROKEN):
            self._resting_until = self._clock() + REST_SECONDS
            log.debug("redis_unreachable", error=str(error))
            self._next.ask(questions, told)
            return
        told(questions, [error] * len(questions))

    def _fetched(self, told: Tell, questions: Sequence[Question], answers: Sequence[Answer | Exception]) -> None:
        for question, answer in zip(questions, answers, strict=True):
            if question.lease is not None and isinstance(answer, Answer) and question.may_keep(answer):
                self._store(Fill(question.key, question.lease, answer))
        told(questions, answers)

    @property
    def _resting(self) -> bool:
        return self._clock() < self._resting_until

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

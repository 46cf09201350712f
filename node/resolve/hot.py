"""The stage in this process: answers kept under the stamp they were read under. Never waits, never lies.

Absent answers have a shelf of their own, so that a flood of unknown identifiers pushes no useful answer out.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from node.gather import BusyError
from node.meter import Meter
from node.metrics import HOT_ENTRIES, HOT_EVICTIONS
from node.resolve.answer import Answer, Outcome, Question, Stage, Where
from node.stamps import Shared
from proto.identifier import Identifier
from registry.errors import UnavailableError

ABSENT_SHARE: Final = 8
"""The shelf of absent answers holds an eighth of what the other one does."""
SHOWN_MOST: Final = 16_384
"""Largest answer kept, in octets: 100,000 usual ones take 75 MB, ones of this size would take 1.6 GB."""


@dataclass(slots=True)
class _Entry:
    answer: Answer
    stamp: bytes
    expires: float


@dataclass(slots=True)
class _Flight:
    stamp: bytes
    state: bytes | None
    future: "asyncio.Future[Answer]"


class Hot:
    """Answers from this process's memory, else from `next_`, one question in flight per identifier and stamp.

    `entries` answers of what is found, each for at most `seconds`; `clock` gives monotonic seconds, `now` those since
    1970 UTC.
    """

    def __init__(
        self,
        shared: Shared,
        next_: Stage,
        entries: int,
        seconds: int,
        clock: Callable[[], float],
        now: Callable[[], int],
        meter: Meter,
    ) -> None:
        self._shared = shared
        self._next = next_
        self._seconds = seconds
        self._clock = clock
        self._now = now
        self._meter = meter
        self._found: OrderedDict[str, _Entry] = OrderedDict()
        self._absent: OrderedDict[str, _Entry] = OrderedDict()
        self._most = entries
        self._flights: dict[tuple[str, bool], _Flight] = {}

    def clear(self) -> None:
        """Forgets everything."""
        self._found.clear()
        self._absent.clear()

    def show(self) -> None:
        """Sets the gauges to how many answers are kept now."""
        self._meter.set(HOT_ENTRIES, len(self._found), "found")
        self._meter.set(HOT_ENTRIES, len(self._absent), "absent")

    async def ask(self, identifier: Identifier, *, onward: bool = True) -> Answer:
        """What stands behind `identifier`: as new as the newest write answered before this call, on this machine.

        Without `onward` no other node is asked, nor told what they said before: their prefixes are FOREIGN.

        Raises UnavailableError (PostgreSQL is away and nothing is kept) or BusyError.
        """
        key = identifier.key
        shared = self._shared
        slot = shared.slot(key)
        stamp = shared.stamp(slot)
        state = shared.trusted(self.clear)
        entry = self._kept(key, stamp) if state is not None else None
        if entry is not None and self._clock() < entry.expires:
            return entry.answer if onward else entry.answer.at_home
        cacheable = state is not None and not shared.is_pending(stamp)
        question = Question(identifier, slot, stamp, state, cacheable, onward)
        answer = await (self._joined(question, entry) if cacheable else self._next.ask(question))
        return answer if onward else answer.at_home

    async def _joined(self, question: Question, entry: _Entry | None) -> Answer:
        """The answer all get who ask the same at this moment; a kept one past its time if there is no other."""
        key, stamp, state = (question.identifier.key, question.onward), question.stamp, question.state
        flight = self._flights.get(key)
        if flight is None or flight.stamp != stamp or flight.state != state:
            # What is under way may have been read before a change that is answered by now.
            flight = _Flight(stamp, state, asyncio.ensure_future(self._fetch(question)))
            self._flights[key] = flight
            flight.future.add_done_callback(lambda _: self._landed(key, flight))
        try:
            return await asyncio.shield(flight.future)
        except (UnavailableError, BusyError):
            if entry is not None and entry.answer.life(self._seconds, self._now()):
                return entry.answer
            raise

    def _landed(self, key: tuple[str, bool], flight: _Flight | None) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if flight is not None and not flight.future.cancelled():
            flight.future.exception()  # who asked may be gone

    def _kept(self, key: str, stamp: bytes) -> _Entry | None:
        """The entry under `key` if its stamp and epochs still hold, however old it is."""
        shelf = self._found if key in self._found else self._absent
        entry = shelf.get(key)
        if entry is None:
            return None
        answer = entry.answer
        if entry.stamp == stamp and self._shared.current(
            answer.prefix, answer.epoch, answer.template, answer.template_epoch
        ):
            shelf.move_to_end(key)
            return entry
        del shelf[key]
        return None

    async def _fetch(self, question: Question) -> Answer:
        answer = await self._next.ask(question)
        life = answer.life(self._seconds, self._now())
        if life and self._most and len(answer.shown) <= SHOWN_MOST and self._may_keep(question, answer):
            kept = replace(answer, where=Where.HOT)  # once here, so that a hit says so at no cost
            self._keep(question.identifier.key, _Entry(kept, question.stamp, self._clock() + life))
        return answer

    def _may_keep(self, question: Question, answer: Answer) -> bool:
        """Whether the answer can ever be given to others; else it would only take a place."""
        if not question.may_keep(answer):
            return False
        return self._shared.state() == question.state and self._shared.stamp(question.slot) == question.stamp

    def _keep(self, key: str, entry: _Entry) -> None:
        found = entry.answer.outcome is Outcome.FOUND
        shelf, other = (self._found, self._absent) if found else (self._absent, self._found)
        other.pop(key, None)
        shelf[key] = entry
        shelf.move_to_end(key)
        most = self._most if found else max(1, self._most // ABSENT_SHARE)
        while len(shelf) > most:
            shelf.popitem(last=False)
            self._meter.count(HOT_EVICTIONS, "found" if found else "absent")

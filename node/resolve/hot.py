"""The stage in this process: answers kept under the stamp they were read under. Never waits, never lies.

Absent answers have a shelf of their own, so that a flood of unknown identifiers pushes no useful answer out, and are
kept once they are asked for again; and so has what other nodes say, so that none of them can push out what lives here.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import structlog

from node.gather import BusyError, answered, tell
from node.meter import Meter
from node.metrics import HOT_ENTRIES, HOT_EVICTIONS
from node.resolve.answer import Answer, Outcome, Question, Stage, Then, Told
from node.resolve.known import Known
from node.resolve.shelf import Kept, Shelf, Terms
from node.stamps import MARKS, Shared
from proto.identifier import Identifier
from registry.errors import UnavailableError

log = structlog.get_logger("hot")

SHARES: Final = {"found": 1, "absent": 8, "elsewhere": 8}
"""What each shelf holds: all `entries`, or an eighth of them."""
SHOWN_MOST: Final = 16_384
"""Largest answer kept, in octets: 100,000 usual ones take 115 MB, ones of this size would take 1.6 GB, an eighth of
that if they are a stranger's."""


TERMS_MOST: Final = 65_536
"""Different terms known at once: some for each prefix, fewer than there are answers."""

_Said = tuple[Sequence[tuple[Told, Any]], Answer | Exception]
"""Who waits for an answer, each with what they are told beside it, and the answer."""


class Hot:
    """Answers from this process's memory, else from `next_`, one question in flight per identifier and stamp.

    `entries` answers of what is found here, each for at most `seconds`; `clock` gives monotonic seconds, `now` those
    since 1970 UTC.
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
        self._shelves = {name: Shelf(max(1, entries // share)) for name, share in SHARES.items()}
        self._found, self._absent, self._elsewhere = (shelf.entries for shelf in self._shelves.values())
        self._known = Known(bytearray(MARKS // 8))
        self._terms: dict[Terms, Terms] = {}
        self._keeps = entries > 0
        self._news = b""
        self._heard = 0
        self._state: bytes | None = None
        self._unwritten = bytes(len(shared.stamp(0)))
        self._flights: dict[bool, dict[str, Question]] = {True: {}, False: {}}
        self._leaving: list[Question] = []
        self._gathering = False

    @property
    def shelves(self) -> tuple[Mapping[bytes, Kept | None], ...]:
        """What is kept, by key: of what is found here, absent, and elsewhere. What was last `heard` to hold does."""
        return self._found, self._absent, self._elsewhere

    def clear(self) -> None:
        """Forgets everything."""
        for shelf in self._shelves.values():
            shelf.clear()

    def show(self) -> None:
        """Sets the gauges to how many answers are kept now."""
        for name, shelf in self._shelves.items():
            self._meter.set(HOT_ENTRIES, len(shelf), name)

    async def ask(self, identifier: Identifier, *, onward: bool = True) -> Answer:
        """What stands behind `identifier`: as new as the newest write answered before this call, on this machine.

        Without `onward` no other node is asked, nor told what they said before: their prefixes are FOREIGN.

        Raises UnavailableError (PostgreSQL is away and nothing is kept) or BusyError.
        """
        return await answered(lambda then: self.fetch(identifier, then, onward))

    def fetch(self, identifier: Identifier, then: Then, onward: bool = True) -> None:
        """`ask` for who waits with a callback."""
        if not onward:
            then = partial(_at_home, then)
        key = identifier.key.encode()
        self.fetch_held(key, self.holding(key), _each, then, onward, identifier)

    def fetch_held(
        self,
        key: bytes,
        kept: Kept | None,
        told: Told,
        asked: Any,
        onward: bool = True,
        spelt: Identifier | None = None,
    ) -> None:
        """`fetch` for who has just asked `holding` what is `kept` under this key, and is told of many together: with
        each answer what was `asked`. `spelt` otherwise, perhaps.
        """
        if kept is not None and self._clock() < kept.expires:
            told([asked], [kept.answer])
            return
        mark, stamp = self._shared.stamped(key)
        cacheable = self._state is not None and (stamp == self._unwritten or not self._shared.is_pending(stamp))
        waiting = (told, asked) if kept is None or not cacheable else (self._or_kept, (kept.answer, told, asked))
        question = Question(key.decode(), mark, stamp, self._state, cacheable, [waiting], onward, spelt)
        if cacheable and question.key in self._flights[onward] and (flight := self._joinable(question)) is not None:
            flight.waiting.append((self._joined, question))
        else:
            self._depart(question)

    def fetch_new(self, keys: Sequence[bytes], told: Told, asked: Sequence[Any]) -> None:
        """`fetch_held` of many, each with what was `asked`, of which nothing is kept. To be called `together`."""
        state, unwritten, flights = self._state, self._unwritten, self._flights[True]
        for key, each, (mark, stamp) in zip(keys, asked, self._shared.each_stamped(keys), strict=True):
            cacheable = state is not None and (stamp == unwritten or not self._shared.is_pending(stamp))
            question = Question(key.decode(), mark, stamp, state, cacheable, [(told, each)])
            if cacheable and (flight := flights.setdefault(question.key, question)) is not question:
                if flight.stamp == stamp and flight.state == state:
                    flight.waiting.append((self._joined, question))
                    continue
                flights[question.key] = question
            self._leaving.append(question)

    def _or_kept(self, asked: Sequence[tuple[Answer, Told, Any]], answers: Sequence[Answer | Exception]) -> None:
        """A kept answer past its time is better than none."""
        said: list[_Said] = []
        for (kept, told, each), answer in zip(asked, answers, strict=True):
            failed = isinstance(answer, UnavailableError | BusyError)
            said.append(([(told, each)], kept if failed and kept.life(self._seconds, self._now()) else answer))
        _tell(said)

    def _joined(self, questions: Sequence[Question], answers: Sequence[Answer | Exception]) -> None:
        """What all get who ask the same at this moment."""
        said: list[_Said] = []
        for question, answer in zip(questions, answers, strict=True):
            if isinstance(answer, Exception) or self._current(answer):
                said.append((question.waiting, answer))
            # Read before a change of its prefix that is known by now: the next flight began after that.
            elif (flight := self._joinable(question)) is not None:
                flight.waiting += question.waiting
            else:
                self._depart(question)
        _tell(said)

    def _joinable(self, question: Question) -> Question | None:
        """What is asked already, unless it may have read what was there before a change that is answered by now."""
        flight = self._flights[question.onward].get(question.key)
        if flight is None or flight.stamp != question.stamp or flight.state != question.state:
            return None
        return flight

    def _depart(self, question: Question) -> None:
        """With all that this turn of the loop brings."""
        if question.cacheable:
            self._flights[question.onward][question.key] = question
        if not self._leaving and not self._gathering:
            asyncio.get_running_loop().call_soon(self._departed)
        self._leaving.append(question)

    @contextmanager
    def together(self) -> Iterator[None]:
        """What is fetched within it goes on at its end, and not with the next turn of the loop."""
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
            self._departed()

    def _departed(self) -> None:
        questions, self._leaving = self._leaving, []
        if questions:
            self._next.ask(questions, self._landed)

    def _landed(self, questions: Sequence[Question], answers: Sequence[Answer | Exception]) -> None:
        for question, answer in zip(questions, answers, strict=True):
            if not question.cacheable:
                continue
            flights, key = self._flights[question.onward], question.key
            if flights.get(key) is question:
                del flights[key]
            try:
                if self._keeps and not isinstance(answer, Exception) and self._worth(question, answer):
                    self._keep(question, answer)
            except Exception:  # a mistake of ours, and not theirs who wait
                log.exception("kept_in_vain")
        _tell(zip([question.waiting for question in questions], answers, strict=True))

    def _current(self, answer: Answer) -> bool:
        return self._shared.current(answer.prefix, answer.epoch, answer.template, answer.template_epoch)

    def heard(self) -> int:
        """Another number whenever something kept may hold no longer; 0 while nothing kept may be used."""
        news = self._shared.news()
        if news != self._news:
            self._state = state = self._shared.trusted(self.clear)
            # It is read a moment later: news of another state are no news of this one.
            self._news = news if state is not None and news.startswith(state) else b""
            self._heard += 1
        return self._heard if self._state is not None else 0

    def holding(self, key: bytes) -> Kept | None:
        """What is kept under this key if stamp and epochs still hold, however old it is. Waits for nothing."""
        if not self.heard():
            return None
        kept = self._found.get(key) or self._absent.get(key) or self._elsewhere.get(key)
        if kept is None:
            return None
        if kept.heard != self._heard:
            stamp = self._shared.stamped(key)[1]
            if kept.stamp != stamp or not self._shared.current(*kept.terms):
                return None
            kept.heard = self._heard
        kept.asked = True
        return kept

    def _worth(self, question: Question, answer: Answer) -> bool:
        """Whether it is likely to be asked for again: unknown identifiers come by the million, each once."""
        if answer.outcome is not Outcome.ABSENT:
            return True
        return self._known.seen(question.mark) if question.again is None else question.again

    def _keep(self, question: Question, answer: Answer) -> None:
        if len(answer.shown) > SHOWN_MOST or not self._may_keep(question, answer):
            return
        if life := answer.life(self._seconds, self._now()):
            terms = Terms(answer.prefix, answer.epoch, answer.template, answer.template_epoch)
            if len(self._terms) >= TERMS_MOST:
                self._terms.clear()
            terms = self._terms.setdefault(terms, terms)
            # Most slots were never written to: one stamp for all of these spares 64 octets an entry.
            stamp = self._unwritten if question.stamp == self._unwritten else question.stamp
            said = answer.outcome, answer.version, terms, answer.shown, answer.until
            self._shelve(question.key.encode(), Kept(*said, stamp, self._clock() + life))

    def _may_keep(self, question: Question, answer: Answer) -> bool:
        """Whether the answer can ever be given to others; else it would only take a place."""
        if not question.may_keep(answer):
            return False
        return self._shared.state() == question.state and self._shared.stamp(question.mark) == question.stamp

    def _shelve(self, key: bytes, kept: Kept) -> None:
        name = _shelf(kept)
        for other in self._shelves.values():
            other.drop(key)
        if self._shelves[name].put(key, kept):
            self._meter.count(HOT_EVICTIONS, name)


def _tell(said: Iterable[_Said]) -> None:
    """Tells all who wait for answers, each of them of all that they wait for together."""
    groups: dict[Told, tuple[list[Any], list[Answer | Exception]]] = {}
    last = None
    for waiting, answer in said:
        for told, each in waiting:
            if told is not last:
                last, (asked, answers) = told, groups.setdefault(told, ([], []))
            asked.append(each)
            answers.append(answer)
    for told, group in groups.items():
        try:
            told(*group)
        except Exception:  # a mistake of ours, and not theirs who wait beside it
            log.exception("told_in_vain")


def _each(thens: Sequence[Then], answers: Sequence[Answer | Exception]) -> None:
    for then, answer in zip(thens, answers, strict=True):
        tell([then], answer)


def _at_home(then: Then, answer: Answer | Exception) -> None:
    then(answer.at_home if isinstance(answer, Answer) else answer)


def _shelf(kept: Kept) -> str:
    if kept.outcome is not Outcome.FOUND:
        return "absent"
    return "found" if kept.terms.prefix else "elsewhere"

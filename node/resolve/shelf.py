"""`Shelf`: a bounded place for answers, from which what nobody asks for goes first. Pure."""

from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from node.resolve.answer import Answer, Outcome, Where

CHANCES: Final = 8
"""Entries that stay when a place is needed because they were asked for, before the next one goes all the same: nobody
waits while all that is kept is looked at."""


class Terms(NamedTuple):
    """The epochs an answer holds under, of its prefix and its template: the same ones for very many answers."""

    prefix: int
    epoch: int
    template: int
    template_epoch: int


@dataclass(slots=True)
class Kept:
    """An answer kept here until `expires`, read under `stamp`, found to hold under the news `news`.

    What it says stands here apart, `terms` being one object for all that share them: there are 100,000 of these.
    `head` belongs to the lane: what it made of the answer, once for all to whom it is given.
    """

    outcome: Outcome
    version: int
    terms: Terms
    shown: bytes
    until: int
    stamp: bytes
    expires: float
    news: bytes
    head: bytes = b""
    asked: bool = False

    @property
    def answer(self) -> Answer:
        """The answer, as this stage gives it."""
        return Answer(self.outcome, self.version, *self.terms, self.shown, self.until, Where.HOT)


class Shelf:
    """At most `most` entries. What was not asked for since it came, or since it was spared, goes first."""

    def __init__(self, most: int) -> None:
        self.entries: dict[bytes, Kept | None] = {}  # None: what stood there stands on another shelf now
        self._order: deque[bytes] = deque()
        self._most = most

    def put(self, key: bytes, kept: Kept) -> int:
        """How many had to go for it."""
        gone = 0
        if key not in self.entries:
            if len(self._order) >= self._most:
                self._evict()
                gone = 1
            self._order.append(key)
        self.entries[key] = kept
        return gone

    def _evict(self) -> None:
        for _ in range(CHANCES):
            kept = self.entries[self._order[0]]
            if kept is None or not kept.asked:
                break
            kept.asked = False
            self._order.rotate(-1)
        del self.entries[self._order.popleft()]

    def drop(self, key: bytes) -> None:
        """Forgets what is kept under `key`; its place is free when its turn comes."""
        if key in self.entries:
            self.entries[key] = None

    def clear(self) -> None:
        """Forgets everything."""
        self.entries.clear()
        self._order.clear()

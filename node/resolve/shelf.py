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
    """An answer kept here until `expires`, read under `stamp`, last found to hold when news were `heard` (0: never).

    What it says stands here apart, `terms` being one object for all that share them: there are 100,000 of these.
    `head` belongs to the lane, `ready` to the native one: what they made of it, once for all to whom it is given.
    """

    outcome: Outcome
    version: int
    terms: Terms
    shown: bytes
    until: int
    stamp: bytes
    expires: float
    heard: int = 0
    head: bytes = b""
    ready: bytes = b""
    asked: bool = False

    @property
    def answer(self) -> Answer:
        """The answer, as this stage gives it."""
        return Answer(self.outcome, self.version, *self.terms, self.shown, self.until, Where.HOT)


class Shelf:
    """At most `most` entries. What was not asked for since it came, or since it was spared, goes first.

    What holds no longer stays, and counts, until it is asked for and read anew or its turn comes.
    """

    def __init__(self, most: int) -> None:
        self.entries: dict[bytes, Kept | None] = {}  # None: what stood there stands on another shelf now
        self._order: deque[bytes] = deque()
        self._most = most
        self._free = 0

    def __len__(self) -> int:
        """Answers kept here."""
        return len(self._order) - self._free

    def put(self, key: bytes, kept: Kept) -> bool:
        """Whether an answer had to go for it."""
        gone = False
        if key not in self.entries:
            if len(self._order) >= self._most:
                gone = self._evict()
            self._order.append(key)
        elif self.entries[key] is None:
            self._free -= 1
        self.entries[key] = kept
        return gone

    def _evict(self) -> bool:
        for _ in range(CHANCES):
            kept = self.entries[self._order[0]]
            if kept is None or not kept.asked:
                break
            kept.asked = False
            self._order.rotate(-1)
        gone = self.entries.pop(self._order.popleft()) is not None
        self._free -= not gone
        return gone

    def drop(self, key: bytes) -> None:
        """Forgets what is kept under `key`; its place is free when its turn comes."""
        if self.entries.get(key) is not None:
            self.entries[key] = None
            self._free += 1

    def clear(self) -> None:
        """Forgets everything."""
        self.entries.clear()
        self._order.clear()
        self._free = 0

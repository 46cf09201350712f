"""`Question` and `Answer`: what travels on the resolving road. Pure.

An answer here is the anonymous, public one; who may see more asks another way.
"""

import struct
from collections.abc import Callable, Sequence
from enum import IntEnum, StrEnum
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

import msgspec

from proto.identifier import Identifier


class Outcome(IntEnum):
    """What is known of an identifier. Numbers stand in shared caches: never reuse one."""

    FOUND = 1
    ABSENT = 2
    GONE = 3
    STOPPED = 4
    FOREIGN = 5
    UNREACHABLE = 6


_OUTCOMES: Final = {int(outcome): outcome for outcome in Outcome}


class Where(StrEnum):
    """Which stage answered. Says how, never what: two answers that differ in it only are equal."""

    HOT = "hot"
    CACHED = "cached"
    OWN = "own"
    FORWARDED = "forwarded"


_CACHED: Final = Where.CACHED
_HEAD: Final = struct.Struct(">QQQBIIQ")
"""Version, prefix epoch, template epoch, outcome, prefix, template, until. The version stands first: Redis reads it."""
_HEAD_OCTETS: Final = _HEAD.size
_unpacked: Final = _HEAD.unpack_from


class Answer(NamedTuple):
    """What stands behind an identifier for everybody, and under which epochs that holds.

    `shown` is the JSON array of its public values (FOUND only). `version` 0: never registered here.
    `until`: seconds since 1970 UTC from which on it may not be given any more; 0 = no bound of its own.
    """

    outcome: Outcome
    version: int
    prefix: int
    epoch: int
    template: int = 0
    template_epoch: int = 0
    shown: bytes = b""
    until: int = 0
    where: Where = Where.OWN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and self[:-1] == other[:-1]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:-1])

    def to_octets(self) -> bytes:
        """The answer as shared caches hold it."""
        epochs = self.version, self.epoch, self.template_epoch
        return _HEAD.pack(*epochs, self.outcome, self.prefix, self.template, self.until) + self.shown

    @staticmethod
    def from_octets(octets: bytes, at: int = 0) -> "Answer":
        """The answer a shared cache held, from `at` on. Raises KeyError or struct.error when it is none."""
        version, epoch, template_epoch, outcome, prefix, template, until = _unpacked(octets, at)
        shown = octets[at + _HEAD_OCTETS :]
        return _answer((_OUTCOMES[outcome], version, prefix, epoch, template, template_epoch, shown, until, _CACHED))

    @property
    def elsewhere(self) -> bool:
        """Whether it is about a prefix that does not live here."""
        return not self.prefix

    @property
    def at_home(self) -> "Answer":
        """What other nodes are told: of what lives elsewhere only that it does not live here."""
        return Answer(Outcome.FOREIGN, 0, 0, self.epoch, where=self.where) if self.elsewhere else self

    def life(self, most: int, now: int) -> int:
        """Seconds it may still be kept at `now` (since 1970 UTC) by whoever keeps answers for `most`; 0: not at all."""
        return max(0, min(most, self.until - now)) if self.until else most

    @property
    def tag(self) -> str:
        """The entity tag of the answer: it changes whenever the answer may."""
        if self.elsewhere:  # versions and epochs are of this node
            return f'"{sha256(self.shown).hexdigest()[:16]}"'
        return f'"{self.version}.{self.epoch}.{self.template_epoch}"'


_answer: Final[Callable[[tuple[Any, ...]], Answer]] = partial(tuple.__new__, Answer)
"""`Answer._make`, without a call in Python for each."""


class Question(msgspec.Struct, eq=False):
    """One identifier asked for, by its key and the mark of that, with the stamp of its slot taken when it was asked.

    `cacheable`: the stamp was quiet and caches are trusted, so what is answered may be kept under that stamp.
    `onward`: other nodes may be asked, for it is not itself another node's question.
    `waiting` is the first stage's: who waits for the answer, each with what they are told beside it.
    `spelt` is the identifier as it was asked for, unless that is as its key says.
    `lease` and `again` are the stage's that shares: what it may fill with, and whether this was asked for before.
    """

    key: str
    mark: int
    stamp: bytes
    state: bytes | None
    cacheable: bool
    waiting: "list[tuple[Told, Any]]"
    onward: bool = True
    spelt: Identifier | None = None
    lease: bytes | None = None
    again: bool | None = None

    @property
    def identifier(self) -> Identifier:
        """What is asked for, made when it is wanted: most questions are answered before."""
        return self.spelt or Identifier.parse(self.key)

    def may_keep(self, answer: Answer) -> bool:
        """Whether the answer is the same for everybody: who may not ask onward is told less of other prefixes."""
        return self.onward or not answer.elsewhere


Then = Callable[[Answer | Exception], None]
"""Who waits for an answer: told once, of it or of why there is none. Raises nothing."""


Told = Callable[[Sequence[Any], Sequence[Answer | Exception]], None]
"""Who waits for many: told of those that come together what was handed in with each, and its answer. Raises nothing."""


Tell = Callable[[Sequence[Question], Sequence[Answer | Exception]], None]
"""The stage before: told the answers to some of its questions, or why there is none; of each once. Raises nothing."""


class Stage(Protocol):
    """A stage of the resolving road. The questions of one turn of the loop go through it together."""

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        """Tells the answer to each of `questions` (at least one), at once or later, in any order. Raises nothing."""

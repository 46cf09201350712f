"""`Question` and `Answer`: what travels on the resolving road. Pure.

An answer here is the anonymous, public one; who may see more asks another way.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final, Self

from proto.identifier import Identifier


class Outcome(IntEnum):
    """What is known of an identifier. Numbers stand in shared caches: never reuse one."""

    FOUND = 1
    ABSENT = 2
    GONE = 3
    STOPPED = 4
    FOREIGN = 5


_HEAD: Final = struct.Struct(">QQQBII")
"""Version, prefix epoch, template epoch, outcome, prefix, template. The version stands first: Redis reads it there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands behind an identifier for everybody, and under which epochs that holds.

    `shown` is the JSON array of its public values (FOUND only). `version` 0: never registered.
    """

    outcome: Outcome
    version: int
    prefix: int
    epoch: int
    template: int = 0
    template_epoch: int = 0
    shown: bytes = b""

    def to_octets(self) -> bytes:
        """The answer as shared caches hold it."""
        head = _HEAD.pack(self.version, self.epoch, self.template_epoch, self.outcome, self.prefix, self.template)
        return head + self.shown

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """The answer a shared cache held."""
        version, epoch, template_epoch, outcome, prefix, template = _HEAD.unpack_from(octets)
        return cls(Outcome(outcome), version, prefix, epoch, template, template_epoch, octets[_HEAD.size :])

    @property
    def tag(self) -> str:
        """The entity tag of the answer: it changes whenever the answer may."""
        return f'"{self.version}.{self.epoch}.{self.template_epoch}"'


@dataclass(frozen=True, slots=True)
class Question:
    """One identifier asked for, with the stamp of its slot taken when it was asked.

    `cacheable`: the stamp was quiet and caches are trusted, so what is answered may be kept under that stamp.
    """

    identifier: Identifier
    slot: int
    stamp: bytes
    state: bytes | None
    cacheable: bool

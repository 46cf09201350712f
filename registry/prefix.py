"""`PrefixState`: the life of a prefix as one table, and what each state lets happen. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final


class PrefixState(IntEnum):
    """States by the names and numbers of the SNMS OpenAPI, which has none for 待核验: it is told as 待审核 (`snms`)."""

    STOPPED = 0
    ENABLED = 1
    TO_BE_DELETED = 2
    REFUSED = 3
    PENDING = 4
    IN_REVIEW = 5
    UNVERIFIED = 6

    @property
    def zh(self) -> str:
        """The name people know it by."""
        return ("停用", "启用", "待删除", "被驳回", "待审核", "审核中", "待核验")[self]

    @property
    def snms(self) -> int:
        """Its number there."""
        return PrefixState.PENDING if self is PrefixState.UNVERIFIED else self

    @property
    def open(self) -> bool:
        """Whether identifiers under it are written and answered."""
        return self is PrefixState.ENABLED


class Event(StrEnum):
    """What happens to a prefix, from its application to its end."""

    APPLIED = "applied"
    VERIFIED = "verified"
    NOT_VERIFIED = "not verified"
    REVIEWED = "reviewed"
    NOT_REVIEWED = "not reviewed"
    VERIFY_AGAIN = "to be verified again"
    FILED = "filed"
    APPROVED = "approved"
    REFUSED = "refused"
    SUSPENDED = "suspended"
    RESUMED = "resumed"
    STOPPED = "stopped"
    OPENED = "opened"
    GIVEN_UP = "given up"


_NOT, _ON, _END, _NO = PrefixState.STOPPED, PrefixState.ENABLED, PrefixState.TO_BE_DELETED, PrefixState.REFUSED
_REVIEW, _ABOVE, _VERIFY = PrefixState.PENDING, PrefixState.IN_REVIEW, PrefixState.UNVERIFIED
_UNDECIDED: Final = {
    Event.APPROVED: _ON,
    Event.REFUSED: _NO,
    Event.SUSPENDED: _NOT,
    Event.STOPPED: _NOT,
    Event.VERIFY_AGAIN: _VERIFY,
}

LIFE: Final[Mapping[PrefixState, Mapping[Event, PrefixState]]] = {
    _VERIFY: {Event.VERIFIED: _REVIEW, Event.NOT_VERIFIED: _NO},
    _REVIEW: {Event.REVIEWED: _ABOVE, Event.NOT_REVIEWED: _NO, Event.FILED: _ABOVE} | _UNDECIDED,
    _ABOVE: _UNDECIDED,
    _NO: {Event.APPLIED: _VERIFY, Event.APPROVED: _ON, Event.SUSPENDED: _NOT, Event.GIVEN_UP: _END},
    _ON: {Event.REFUSED: _NO, Event.SUSPENDED: _NOT, Event.STOPPED: _NOT, Event.GIVEN_UP: _END},
    _NOT: {Event.RESUMED: _ON, Event.OPENED: _ON, Event.GIVEN_UP: _END},
    _END: {Event.STOPPED: _NOT},
}
"""What each event makes of a prefix; one that is not named for a state changes nothing.

An application goes through the first rows; once it is reviewed, its prefix goes on from 待审核 by what the national
top-level node says (registry/filing.py). What is to be deleted comes back as stopped, never open at once.
"""


ASKED: Final[Mapping[PrefixState, Event]] = {
    PrefixState.ENABLED: Event.OPENED,
    PrefixState.STOPPED: Event.STOPPED,
    PrefixState.TO_BE_DELETED: Event.GIVEN_UP,
}
"""What an operator wants who asks for that state."""


@dataclass(frozen=True, slots=True)
class RegisteredPrefix:
    """A prefix as the registry has it; `epoch` grows with every change of it.

    `elsewhere`: it lives at its enterprise's own node or has moved; here nothing under it is answered or written.
    """

    number: int
    name: str
    state: PrefixState
    epoch: int
    enterprise: int | None
    elsewhere: bool = False


PREFIX_HANDLES_NUMBER: Final = (1 << 20) - 1
"""The number of PREFIX_HANDLES, which lives here without being one of ours (migrations/0024_prefix_handles.sql): the
last one whose epoch caches know (node/stamps.py), of more prefixes than any node has."""

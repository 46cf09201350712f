"""Faults of the top-level node that can be turned on, so that those who talk to it can be tried on a bad day.

They are kept in memory: a restart ends them. Chance is given; what a fault does to a connection is for the doors.
"""

from random import Random
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import asdict

DELAY_SECONDS_MOST: Final = 600.0
"""Longest delay: longer than any client waits, so more shows nothing new."""
REFUSED_MOST: Final = 1000
"""Prefixes that may be named to be refused."""
REASON_CHARACTERS: Final = 500
"""Longest reason an operator may give."""

Rate = Annotated[float, Meta(ge=0, le=1)]
Reason = Annotated[str, Meta(max_length=REASON_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f]*$")]
PrefixName = Annotated[str, Meta(max_length=64, pattern=r"^[0-9]+(\.[0-9]+){2}$")]

NOT_PASSED: Final = ("审核未通过", "The audit was not passed")
"""The reason of a refusal for which nobody gave one."""


class Faults(Struct, frozen=True, forbid_unknown_fields=True):
    """What is wrong on purpose. Rates are of 1; nothing is wrong by default.

    delay_seconds: between carrying a request out and its answer. refusal_rate: of prefixes, at their audit;
    refused_prefixes: prefix to the reason its next audit refuses it for. lost_receipt_rate: of requests that are
    carried out but whose connection is cut instead of an answer. duplicate_rate: of messages that are delivered once
    more after they were acknowledged. outage: every question of a node is cut off unheard.
    """

    delay_seconds: Annotated[float, Meta(ge=0, le=DELAY_SECONDS_MOST)] = 0.0
    refusal_rate: Rate = 0.0
    refused_prefixes: Annotated[dict[PrefixName, Reason], Meta(max_length=REFUSED_MOST)] = {}
    lost_receipt_rate: Rate = 0.0
    duplicate_rate: Rate = 0.0
    outage: bool = False

    @property
    def on(self) -> dict[str, object]:
        """Those that are turned on, by name."""
        return {name: value for name, value in asdict(self).items() if value}


class Switches:
    """The faults of the moment, and the dice they are thrown with."""

    def __init__(self, chance: Random) -> None:
        self.faults = Faults()
        self._chance = chance

    def loses_receipt(self) -> bool:
        """Whether this answer is lost."""
        return self._chance.random() < self.faults.lost_receipt_rate

    def delivers_again(self) -> bool:
        """Whether this message is delivered once more."""
        return self._chance.random() < self.faults.duplicate_rate

    def refusal(self, prefix: str) -> tuple[str, str] | None:
        """Why the audit of a prefix refuses it, in Chinese and English; None when it passes."""
        reason = self.faults.refused_prefixes.get(prefix)
        if reason is not None:
            return (reason, reason) if reason else NOT_PASSED
        return NOT_PASSED if self._chance.random() < self.faults.refusal_rate else None

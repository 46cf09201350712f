"""`Quota`: how much an enterprise may register, call and keep, and what is left of it while a group is judged. Pure.

Nothing is counted here that others must hear of: what is written is counted where it is committed.
"""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final, NamedTuple

from proto.chain import Kind
from registry.rules import Refused, Rule

QUOTA_MOST: Final = 10**15
"""Largest quota of anything: a petabyte of room, far from where sums of 64 bits end."""


class Quota(NamedTuple):
    """The most an enterprise may have; None: as much as it likes.

    `identifiers` that are registered and not deleted, `calls` it makes signed in in a day, `room` in octets of the
    values of all versions that are kept.
    """

    identifiers: int | None = None
    calls: int | None = None
    room: int | None = None


class Usage(NamedTuple):
    """What an enterprise has of each; `calls` of today, as far as the workers have told."""

    identifiers: int
    calls: int
    room: int


def day_end(now: datetime) -> datetime:
    """When the day of `now` ends on its own calendar, and calls are counted anew."""
    return datetime.combine(now.date() + timedelta(days=1), time(), now.tzinfo)


@dataclass(slots=True)
class Left:
    """What an enterprise with `quota` may still add of identifiers and room (octets) before it is exhausted, counted
    down with each change that is judged to be written. Below zero: the quota was lowered.
    """

    quota: Quota
    identifiers: int
    room: int

    def take(self, kind: int, octets: int) -> Refused | None:
        """Counts a change of that kind whose body has so many octets; the refusal if there is no room for it."""
        new = kind in _NEW
        for limit, left, needed, refused in (
            (self.quota.identifiers, self.identifiers, int(new), _identifiers),
            (self.quota.room, self.room, octets, _room),
        ):
            if limit is not None and needed > max(0, left):
                return refused(limit)
        self.identifiers -= new
        self.room -= octets
        return None


_NEW: Final = frozenset({Kind.CREATED, Kind.REVIVED})


def _identifiers(limit: int) -> Refused:
    return Refused(
        Rule.QUOTA_IDENTIFIERS,
        "handle",
        f"企业的标识数量已达配额{limit}个",
        f"the enterprise has as many identifiers as its quota allows: {limit}",
    )


def _room(limit: int) -> Refused:
    return Refused(
        Rule.QUOTA_ROOM,
        "handle",
        f"企业的存储空间配额{limit}字节已不足以写入此标识",
        f"what is left of the enterprise's quota of room, {limit} octets, is less than this takes",
    )

"""The only place that asks the machine what time it is. Everything else is given the answer."""

import time
from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo


def seconds() -> int:
    """Seconds since 1970 UTC."""
    return int(time.time())


def milliseconds() -> int:
    """Milliseconds since 1970 UTC."""
    return time.time_ns() // 1_000_000


def utc() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


def local(zone: ZoneInfo) -> datetime:
    """The present moment on the calendar of `zone`."""
    return datetime.now(zone)


def today(zone: ZoneInfo) -> date:
    """The date on the calendar of `zone`."""
    return local(zone).date()


monotonic = time.monotonic
"""Seconds that never go back, comparable between the processes of this machine. Asked several times an answer."""

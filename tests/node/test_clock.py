"""The machine's clock, asked in one place: what each answer is, and that nobody else asks."""

import ast
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from node import clock

ROOT = Path(__file__).parents[2]


def test_all_of_them_tell_the_same_moment() -> None:
    before = time.time()
    seconds, milliseconds, moment = clock.seconds(), clock.milliseconds(), clock.utc()
    after = time.time()
    assert int(before) <= seconds <= after
    assert int(before * 1000) <= milliseconds <= after * 1000
    assert before <= moment.timestamp() <= after
    assert moment.tzinfo is UTC


def test_monotonic_seconds_are_those_of_every_process() -> None:
    before = time.clock_gettime(time.CLOCK_MONOTONIC)
    assert before <= clock.monotonic() <= time.clock_gettime(time.CLOCK_MONOTONIC)


@pytest.mark.parametrize(("zone", "expected"), [("Asia/Shanghai", 2), ("UTC", 1), ("America/New_York", 1)])
def test_the_date_is_that_of_the_zone(monkeypatch: pytest.MonkeyPatch, zone: str, expected: int) -> None:
    class Fixed(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return datetime(2026, 3, 1, 20, 30, tzinfo=UTC).astimezone(ZoneInfo(zone))

    monkeypatch.setattr(clock, "datetime", Fixed)
    assert clock.today(ZoneInfo(zone)).day == expected
    assert clock.today(ZoneInfo(zone)) - datetime(2026, 3, 1).date() in {timedelta(0), timedelta(1)}


def _asks_the_clock(file: Path) -> bool:
    calls = [n.func for n in ast.walk(ast.parse(file.read_text())) if isinstance(n, ast.Call)]
    named = {(f.value.id, f.attr) for f in calls if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name)}
    return bool(
        named
        & {
            ("time", "time"),
            ("time", "time_ns"),
            ("time", "monotonic"),
            ("datetime", "now"),
            ("date", "today"),
            ("datetime", "utcnow"),
        }
    )


def test_nobody_else_asks_the_machine_what_time_it_is() -> None:
    asking = [
        str(file.relative_to(ROOT))
        for room in ("proto", "registry", "node")
        for file in (ROOT / room).rglob("*.py")
        if _asks_the_clock(file)
    ]
    assert asking == ["node/clock.py"]

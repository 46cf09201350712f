"""Proves registry/upkeep.py: what is usual, what is overdue, what contradicts itself."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.template import Item
from registry.upkeep import CYCLES, LEVELS, SHARINGS, flaws, overdue, sharing, upkept

CHANGED = date(2026, 3, 1)


def item(**said: Any) -> Item:
    return Item(2000, "a", "甲", **said)


def test_sharing_follows_the_class_of_access_unless_it_is_said():
    usual = {access: sharing(item(access=access)) for access in ("public", "partners", "internal")}
    assert usual == {"public": "unconditional", "partners": "conditional", "internal": "none"}
    assert sharing(item(access="internal", sharing="conditional")) == "conditional"


@pytest.mark.parametrize(
    ("cycle", "days"),
    [("daily", 1), ("weekly", 7), ("monthly", 31), ("quarterly", 92), ("yearly", 366)],
)
def test_what_was_not_kept_up_for_longer_than_its_cycle_is_overdue(cycle: Any, days: int):
    kept = item(cycle=cycle, upkept="2026-06-01")
    last = date(2026, 6, 1) + timedelta(days)
    assert not overdue(kept, CHANGED, last)
    assert overdue(kept, CHANGED, last + timedelta(1))
    assert upkept(kept, CHANGED) == date(2026, 6, 1)
    assert overdue(item(cycle=cycle), CHANGED, CHANGED + timedelta(days + 1))


@given(st.dates(), st.dates(), st.sampled_from([*CYCLES]))
def test_no_date_breaks_it(kept: date, changed: date, cycle: Any):
    today = date(2026, 11, 23)
    assert overdue(item(upkept=kept.isoformat(), cycle=cycle), changed, today) in {True, False}
    assert not overdue(item(), changed, today)


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"sharing": "some"}, "sharing"),
        ({"level": "high"}, "level"),
        ({"cycle": "hourly"}, "cycle"),
        ({"sharing": "none"}, "sharing"),
        ({"level": "core"}, "level"),
        ({"responsible": "x" * 129}, "responsible"),
        ({"responsible": "a\n"}, "responsible"),
        ({"upkept": "2026-02-30"}, "upkept"),
    ],
)
def test_what_cannot_be_is_told_by_its_field(said: dict[str, Any], field: str):
    assert [flaw[0] for flaw in flaws(item(**said))] == [field]


def test_everything_has_a_name_in_both_languages():
    for words in (SHARINGS, LEVELS, CYCLES):
        assert all(zh and en for zh, en in words.values())
    assert list(flaws(item(sharing="none", level="core", access="internal", responsible="质检部"))) == []

"""What is left of a quota while a group is judged: literals, and any order of changes against a plain count."""

from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from proto.chain import Kind
from registry.quota import Left, Quota, day_end
from registry.rules import Refused, Rule

LIMITS = st.none() | st.integers(0, 40)
CHANGES = st.lists(
    st.tuples(st.sampled_from([Kind.CREATED, Kind.UPDATED, Kind.REVIVED]), st.integers(0, 20)), max_size=12
)


@given(LIMITS, LIMITS, CHANGES)
def test_no_more_is_ever_taken_than_is_left(identifiers: int | None, room: int | None, changes: list) -> None:
    left = Left(Quota(identifiers=identifiers, room=room), identifiers or 0, room or 0)
    live = octets = 0
    for kind, size in changes:
        new = int(kind is not Kind.UPDATED)
        fits = (identifiers is None or live + new <= identifiers) and (room is None or octets + size <= room)
        refused = left.take(kind, size)
        assert (refused is None) == fits
        if refused is None:
            live, octets = live + new, octets + size


def test_the_sentence_names_the_quota_in_both_languages() -> None:
    left = Left(Quota(identifiers=3, room=70), 0, 10)
    assert left.take(Kind.UPDATED, 10) is None, "what is not new needs no place"
    refused = left.take(Kind.CREATED, 0)
    assert isinstance(refused, Refused)
    assert (refused.rule, "3" in refused.zh, "3" in refused.en) == (Rule.QUOTA_IDENTIFIERS, True, True)
    refused = left.take(Kind.UPDATED, 1)
    assert isinstance(refused, Refused)
    assert (refused.rule, "70" in refused.zh, "70" in refused.en) == (Rule.QUOTA_ROOM, True, True)


def test_who_has_more_than_a_lowered_quota_may_still_do_what_needs_nothing() -> None:
    left = Left(Quota(identifiers=3, room=70), -2, -9)
    assert left.take(Kind.UPDATED, 0) is None
    assert isinstance(left.take(Kind.CREATED, 0), Refused)


def test_a_day_ends_on_the_calendar_of_the_node() -> None:
    shanghai, berlin = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
    assert day_end(datetime(2026, 12, 31, 23, 59, 59, tzinfo=shanghai)).isoformat() == "2027-01-01T00:00:00+08:00"
    assert day_end(datetime(2026, 10, 25, 0, 30, tzinfo=berlin)).isoformat() == "2026-10-26T00:00:00+01:00"

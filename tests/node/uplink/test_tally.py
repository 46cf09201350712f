"""Proves node/uplink/tally.py by literals and by chance."""

from hypothesis import given
from hypothesis import strategies as st

from node.uplink import tally


def test_a_moment_lies_in_its_window():
    assert tally.start(1_795_330_554_321, 300) == 1_795_330_500_000
    assert tally.start(0, 300) == 0


@given(st.integers(0, 2**45), st.integers(10, 86_400))
def test_a_window_begins_at_a_multiple_of_its_length_and_holds_its_moment(moment: int, seconds: int):
    start = tally.start(moment, seconds)
    assert start % (seconds * 1000) == 0
    assert start <= moment < start + seconds * 1000


def test_only_what_has_grown_is_told_and_never_what_is_not_told_apart():
    assert tally.grown({1: (1, 0), 2: (3, 4)}, {0: (9, 9), 1: (1, 0), 2: (4, 4), 3: (1, 0)}) == {2: (4, 4), 3: (1, 0)}


def test_a_report_says_each_window():
    row = {
        "prefix": "88.999.1",
        "start": 300_000,
        "seconds": 300,
        "total": 7,
        "registered": 3,
        "updated": 2,
        "deleted": 1,
        "resolved": 9,
        "resolve_failed": 4,
    }
    (window,) = tally.report([row]).windows
    assert (window.prefix, window.start, window.seconds, window.registered_total) == ("88.999.1", 300_000, 300, 7)
    assert (window.registered, window.updated, window.deleted) == (3, 2, 1)
    assert (window.resolved, window.resolve_failed) == (9, 4)
    (window,) = tally.report([row | {"total": -1}]).windows
    assert window.registered_total == 0

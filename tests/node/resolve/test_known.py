"""What was asked for before is known, by so many marks; then all is new."""

from zlib import crc32

import pytest

from node.resolve import known as known_module
from node.resolve.known import Known
from node.stamps import MARKS


def test_so_many_marks_are_known_and_then_all_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_module, "MARKS_KNOWN", 3)
    known = Known(bytearray(MARKS // 8))
    assert [known.seen(mark) for mark in (5, 6, 5, MARKS - 1, 6)] == [False, False, True, False, True]
    assert [known.seen(mark) for mark in (7, 5, 7)] == [False, False, True]


def test_sharers_know_so_many_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_module, "MARKS_KNOWN", 6)
    marks = bytearray(MARKS // 8)
    one, other = Known(marks, 2), Known(marks, 2)
    assert not any([*map(one.seen, (1, 2, 3)), *map(other.seen, (4, 5, 6))])
    assert other.seen(1)
    assert not one.seen(7)
    assert not other.seen(1), "all are forgotten"


def test_each_mark_is_known_by_itself() -> None:
    known = Known(bytearray(MARKS // 8))
    assert not any(known.seen(mark) for mark in range(100))
    assert all(known.seen(mark) for mark in range(100))
    assert not known.seen(100)


def test_of_a_flood_of_others_hardly_one_is_taken_for_known() -> None:
    known, flood = Known(bytearray(MARKS // 8)), 100_000
    taken = sum(known.seen(crc32(b"88.999.1001/NONE-%d" % n) & (MARKS - 1)) for n in range(flood))
    assert taken < flood / 200

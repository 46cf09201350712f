"""What was asked for before is known, in so many slots; then all is new."""

import pytest

from node.resolve import known as known_module
from node.resolve.known import Known
from node.stamps import SLOTS


def test_so_many_slots_are_known_and_then_all_is_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_module, "SLOTS_KNOWN", 3)
    known = Known(bytearray(SLOTS // 8))
    assert [known.seen(slot) for slot in (5, 6, 5, SLOTS - 1, 6)] == [False, False, True, False, True]
    assert [known.seen(slot) for slot in (7, 5, 7)] == [False, False, True]


def test_each_slot_is_known_by_itself() -> None:
    known = Known(bytearray(SLOTS // 8))
    assert not any(known.seen(slot) for slot in range(100))
    assert all(known.seen(slot) for slot in range(100))
    assert not known.seen(100)

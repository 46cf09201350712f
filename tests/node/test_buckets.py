"""Buckets on a clock the test holds: what may happen at once, how it comes back, and what is forgotten."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import buckets
from node.buckets import Buckets


class Clock:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_is_emptied_at_once_and_filled_evenly() -> None:
    clock = Clock()
    tries = Buckets(10, 60.0, clock)
    assert [tries.draw("a") for _ in range(10)] == [0.0] * 10
    assert tries.draw("a") == pytest.approx(6.0)
    clock.now += 5.0
    assert tries.draw("a") == pytest.approx(1.0)
    clock.now += 1.0
    assert tries.draw("a") == 0.0
    assert tries.draw("a") == pytest.approx(6.0), "asking in vain costs nothing, and gains nothing"
    assert tries.draw("b") == 0.0


def test_what_did_not_happen_is_given_back_but_never_more_than_fits() -> None:
    tries = Buckets(2, 60.0, Clock())
    tries.draw("a")
    tries.give_back("a")
    tries.give_back("a")
    assert [tries.draw("a"), tries.draw("a")] == [0.0, 0.0]
    tries.give_back("a")
    assert tries.draw("a") == 0.0
    assert tries.draw("a") > 0


def test_the_longest_silent_key_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "KEYS_MOST", 2)
    tries = Buckets(1, 60.0, Clock())
    assert [tries.draw(key) for key in ("a", "b")] == [0.0, 0.0]
    assert tries.draw("a") > 0
    assert tries.draw("c") == 0.0
    assert tries.draw("b") == 0.0, "forgotten"
    assert tries.draw("a") == 0.0, "forgotten in its turn"
    tries.give_back("b")
    tries.give_back("never heard of")
    assert len(tries._left) == 2


@given(st.integers(1, 20), st.lists(st.floats(0, 30), max_size=60))
def test_never_more_than_a_bucket_and_what_came_back(size: int, pauses: list[float]) -> None:
    clock = Clock()
    tries = Buckets(size, 10.0, clock)
    granted = 0
    for pause in pauses:
        clock.now += pause
        granted += tries.draw("a") == 0.0
    assert granted <= size + sum(pauses) * size / 10 + 1e-6

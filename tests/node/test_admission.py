"""`admit` on a clock the test holds: requests in hand, and so many a second from one peer."""

import pytest

from node import admission, buckets
from node.admission import Admission


class Clock:
    """Monotonic seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_without_a_rate_only_what_is_in_hand_counts() -> None:
    door = Admission(8, 0, Clock())
    assert {door.admit("192.0.2.1") for _ in range(1000)} == {0}
    door.in_hand = 7
    assert door.admit("192.0.2.1") == 0
    door.in_hand = 8
    assert door.admit("192.0.2.1") == 503


@pytest.mark.parametrize(("in_hand", "count", "takes"), [(0, 8, True), (0, 9, False), (7, 1, True), (8, 1, False)])
def test_all_who_come_together_are_taken_if_there_is_a_place_for_each(in_hand: int, count: int, takes: bool) -> None:
    for rate in (0, 1000):
        door = Admission(8, rate, Clock())
        door.in_hand = in_hand
        assert door.takes(count) is (takes and not rate), "whoever they are"


@pytest.mark.parametrize(
    ("in_hand", "waiting", "room"), [(0, 0, True), (3, 1000, True), (8, 3, True), (4, 4, False), (8, 1000, False)]
)
def test_those_who_wait_for_others_may_take_half_the_places(in_hand: int, waiting: int, room: bool) -> None:
    door = Admission(8, 0, Clock())
    door.in_hand = in_hand
    assert door.has_room(waiting) is room


def test_a_peer_may_send_a_burst_and_then_its_rate() -> None:
    clock = Clock()
    door = Admission(8, 5, clock)
    burst = 5 * admission.BURST_SECONDS
    assert [door.admit("a") for _ in range(burst + 2)] == [0] * burst + [429, 429]
    clock.now += 0.2
    assert [door.admit("a"), door.admit("a")] == [0, 429]
    clock.now += 3600
    assert [door.admit("a") for _ in range(burst + 1)] == [0] * burst + [429], "no more is saved up than the burst"


def test_one_peer_does_not_use_up_anothers() -> None:
    door = Admission(8, 1, Clock())
    while door.admit("a") == 0:
        pass
    assert door.admit("b") == 0


def test_a_peer_with_many_addresses_of_ipv6_is_one_peer() -> None:
    door = Admission(8, 1, Clock())
    assert [door.admit(f"2001:db8::{n:x}") for n in range(3)] == [0, 0, 429]
    assert door.admit("2001:db8:0:1::1") == 0


def test_what_is_refused_for_being_busy_costs_a_peer_nothing() -> None:
    door = Admission(8, 1, Clock())
    door.in_hand = 8
    assert {door.admit("a") for _ in range(50)} == {503}
    door.in_hand = 0
    assert [door.admit("a") for _ in range(3)] == [0, 0, 429]


def test_the_longest_silent_peer_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "KEYS_MOST", 2)
    door = Admission(8, 1, Clock())

    def exhaust(peer: str) -> None:
        while door.admit(peer) == 0:
            pass

    for peer in "ab":
        exhaust(peer)
    assert door.admit("a") == 429, "and it was heard of just now"
    assert door.admit("c") == 0
    assert door.admit("b") == 0, "forgotten: its bucket is full again"
    exhaust("c")
    assert door.admit("c") == 429


def test_what_is_aside_is_not_in_hand_and_may_come_back_to_a_crowd() -> None:
    door = Admission(8, 0, Clock())
    door.in_hand = 8
    with door.aside():
        assert door.admit("192.0.2.1") == 0
        door.in_hand += 1
        assert not door.crowded
    assert door.in_hand == 9
    assert door.crowded
    assert door.admit("192.0.2.1") == 503

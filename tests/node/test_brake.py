"""The brake on a clock the test holds: who guesses waits, who knows does not, and others' guesses keep nobody out."""

import pytest

from node import brake
from node.brake import FAILURES_OF_ACCOUNT, FAILURES_OF_PAIR, FAILURES_OF_PEER, Brake, BrakedError


class Held:
    """A brake and the monotonic seconds it goes by."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.brake = Brake(lambda: self.now)

    def tries(self, username: str, peer: str, right: bool = False) -> int:
        """The seconds this try is told to wait; 0 when it may be tried."""
        try:
            with self.brake.trying(username, peer) as proven:
                if right:
                    proven()
        except BrakedError as error:
            return error.seconds
        return 0


@pytest.fixture
def held() -> Held:
    return Held()


def test_who_guesses_is_told_how_long_to_wait_and_others_are_not(held: Held) -> None:
    assert [held.tries("mes", "192.0.2.1") for _ in range(FAILURES_OF_PAIR + 1)] == [0] * FAILURES_OF_PAIR + [6]
    assert held.tries("mes", "192.0.2.1", right=True) == 6, "the guesser learns nothing more"
    assert held.tries("mes", "192.0.2.2", right=True) == 0
    assert held.tries("erp", "192.0.2.1", right=True) == 0
    held.now += 6
    assert held.tries("mes", "192.0.2.1", right=True) == 0


def test_who_is_right_is_never_braked(held: Held) -> None:
    assert {held.tries("mes", "192.0.2.1", right=True) for _ in range(1000)} == {0}
    held.tries("mes", "192.0.2.1")
    assert {held.tries("mes", "192.0.2.1", right=True) for _ in range(1000)} == {0}


def test_who_has_been_right_is_braked_when_it_guesses(held: Held) -> None:
    held.tries("mes", "192.0.2.1", right=True)
    assert [held.tries("mes", "192.0.2.1") for _ in range(FAILURES_OF_PAIR + 1)] == [0] * FAILURES_OF_PAIR + [6]


def test_one_address_that_guesses_at_many_accounts_is_braked(held: Held) -> None:
    assert {held.tries(f"user{n}", "192.0.2.1") for n in range(FAILURES_OF_PEER)} == {0}
    assert held.tries("another", "192.0.2.1") == 1
    assert held.tries("another", "192.0.2.2") == 0


def test_many_addresses_that_guess_at_one_account_are_braked_and_do_not_keep_its_owner_out(held: Held) -> None:
    held.tries("mes", "192.0.2.1", right=True)
    for n in range(FAILURES_OF_ACCOUNT):
        assert held.tries("mes", f"198.51.100.{n}") == 0
    assert held.tries("mes", "203.0.113.1") == 1
    assert held.tries("mes", "192.0.2.1", right=True) == 0
    held.now += 1
    assert held.tries("mes", "203.0.113.1", right=True) == 0, "a new address waits a second, not for ever"


def test_many_guesses_at_once_are_not_free(held: Held) -> None:
    tries = [held.brake.trying("mes", "192.0.2.1") for _ in range(FAILURES_OF_PAIR)]
    for each in tries:
        each.__enter__()
    assert held.tries("mes", "192.0.2.1") == 6
    for each in tries:
        each.__exit__(None, None, None)
    assert held.tries("mes", "192.0.2.1") == 6


def test_who_is_known_may_sign_in_as_often_at_once_as_it_likes(held: Held) -> None:
    held.tries("mes", "192.0.2.1", right=True)
    tries = [held.brake.trying("mes", "192.0.2.1") for _ in range(100)]
    for proven in [each.__enter__() for each in tries]:
        proven()
    for each in tries:
        each.__exit__(None, None, None)
    assert held.tries("mes", "192.0.2.1", right=True) == 0


@pytest.mark.parametrize("known", [False, True])
def test_a_try_that_comes_to_no_end_counts_for_nothing(held: Held, known: bool) -> None:
    def lost() -> None:
        with held.brake.trying("mes", "192.0.2.1"):
            raise ConnectionError

    if known:
        held.tries("mes", "192.0.2.1", right=True)
    for _ in range(100):
        with pytest.raises(ConnectionError):
            lost()
    assert held.tries("mes", "192.0.2.1", right=True) == 0


def test_a_refused_try_costs_nothing_elsewhere(held: Held) -> None:
    while not held.tries("mes", "192.0.2.1"):
        pass
    for _ in range(1000):
        assert held.tries("mes", "192.0.2.1") == 6
    assert {held.tries("mes", f"198.51.100.{n}") for n in range(FAILURES_OF_ACCOUNT - FAILURES_OF_PAIR)} == {0}


def test_what_is_remembered_has_an_end(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brake, "KNOWN_MOST", 2)
    for n in range(10):
        held.tries("mes", f"192.0.2.{n}", right=True)
    held.tries("x" * 100_000, "192.0.2.9", right=True)
    assert len(held.brake._known) == 2
    assert max(len(username) for username, _ in held.brake._known) < 100

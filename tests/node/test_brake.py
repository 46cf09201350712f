"""The brake on a clock the test holds: who guesses waits, who knows does not, and others' guesses keep nobody out."""

import asyncio
from collections import Counter

import pytest

from node import brake
from node.brake import FAILURES_OF_ACCOUNT, FAILURES_OF_PAIR, FAILURES_OF_PEER, WAITING_MOST, Brake, BrakedError
from node.gather import BusyError
from tests.waiting import until


class Held:
    """A brake and the monotonic seconds it goes by."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.brake = Brake(lambda: self.now)

    async def tries(self, username: str, peer: str, right: bool = False) -> int:
        """The seconds this try is told to wait; 0 when it may be tried."""
        try:
            async with self.brake.trying(username, peer) as proven:
                if right:
                    proven()
        except BrakedError as error:
            return error.seconds
        return 0


class Crowd:
    """Many who try at once; those who may are `inside`, together, until they are let out."""

    def __init__(self, held: Held, size: int, right: bool, peer: str = "192.0.2.1") -> None:
        self.held = held
        self.inside = 0
        self._right = right
        self._gate = asyncio.Event()
        self.tries = [asyncio.create_task(self._try(peer)) for _ in range(size)]

    async def _try(self, peer: str) -> int:
        try:
            async with self.held.brake.trying("mes", peer) as proven:
                self.inside += 1
                await self._gate.wait()
                if self._right:
                    proven()
        except BrakedError as error:
            return error.seconds
        return 0

    async def settle(self, inside: int) -> None:
        """Waits until so many are inside and all others wait."""
        await until(lambda: self.inside == inside and self.held.brake._waiting == len(self.tries) - inside)

    async def let_out(self) -> Counter[int]:
        """How many were told to wait how long, in the end."""
        self._gate.set()
        return Counter(await asyncio.gather(*self.tries))


@pytest.fixture
def held() -> Held:
    return Held()


async def test_who_guesses_is_told_how_long_to_wait_and_others_are_not(held: Held) -> None:
    assert [await held.tries("mes", "192.0.2.1") for _ in range(FAILURES_OF_PAIR + 1)] == [0] * FAILURES_OF_PAIR + [6]
    assert await held.tries("mes", "192.0.2.1", right=True) == 6, "the guesser learns nothing more"
    assert await held.tries("mes", "192.0.2.2", right=True) == 0
    assert await held.tries("erp", "192.0.2.1", right=True) == 0
    held.now += 6
    assert await held.tries("mes", "192.0.2.1", right=True) == 0


async def test_who_is_right_is_never_braked(held: Held) -> None:
    assert {await held.tries("mes", "192.0.2.1", right=True) for _ in range(1000)} == {0}
    await held.tries("mes", "192.0.2.1")
    assert {await held.tries("mes", "192.0.2.1", right=True) for _ in range(1000)} == {0}


async def test_who_has_been_right_is_braked_when_it_guesses(held: Held) -> None:
    await held.tries("mes", "192.0.2.1", right=True)
    assert [await held.tries("mes", "192.0.2.1") for _ in range(FAILURES_OF_PAIR + 1)] == [0] * FAILURES_OF_PAIR + [6]


async def test_one_address_that_guesses_at_many_accounts_is_braked(held: Held) -> None:
    assert {await held.tries(f"user{n}", "192.0.2.1") for n in range(FAILURES_OF_PEER)} == {0}
    assert await held.tries("another", "192.0.2.1") == 1
    assert await held.tries("another", "192.0.2.2") == 0


async def test_many_addresses_that_guess_at_one_account_are_braked_and_do_not_keep_its_owner_out(held: Held) -> None:
    await held.tries("mes", "192.0.2.1", right=True)
    for n in range(FAILURES_OF_ACCOUNT):
        assert await held.tries("mes", f"198.51.100.{n}") == 0
    assert await held.tries("mes", "203.0.113.1") == 1
    assert await held.tries("mes", "192.0.2.1", right=True) == 0
    held.now += 1
    assert await held.tries("mes", "203.0.113.1", right=True) == 0, "a new address waits a second, not for ever"


@pytest.mark.parametrize("known", [False, True])
async def test_all_programs_of_an_address_may_sign_in_at_once(held: Held, known: bool) -> None:
    if known:
        await held.tries("mes", "192.0.2.1", right=True)
    crowd = Crowd(held, 100, right=True)
    await crowd.settle(FAILURES_OF_PAIR)
    assert await crowd.let_out() == {0: 100}


@pytest.mark.parametrize("known", [False, True])
async def test_many_guesses_at_once_are_judged_by_what_has_failed(held: Held, known: bool) -> None:
    if known:
        await held.tries("mes", "192.0.2.1", right=True)
    crowd = Crowd(held, 100, right=False)
    await crowd.settle(FAILURES_OF_PAIR)
    assert await crowd.let_out() == {0: FAILURES_OF_PAIR, 6: 100 - FAILURES_OF_PAIR}
    assert await held.tries("mes", "192.0.2.1", right=True) == 6


async def test_guesses_under_way_keep_no_other_address_waiting(held: Held) -> None:
    crowd = Crowd(held, 100, right=False)
    await crowd.settle(FAILURES_OF_PAIR)
    assert await held.tries("mes", "192.0.2.2", right=True) == 0
    await crowd.let_out()


async def test_more_than_may_wait_are_told_that_it_is_busy(held: Held) -> None:
    crowd = Crowd(held, FAILURES_OF_PAIR + WAITING_MOST, right=True)
    await crowd.settle(FAILURES_OF_PAIR)
    with pytest.raises(BusyError):
        await held.tries("mes", "192.0.2.1", right=True)
    assert set(await crowd.let_out()) == {0}


async def test_who_stops_waiting_leaves_its_place(held: Held) -> None:
    crowd = Crowd(held, FAILURES_OF_PAIR + 1, right=True)
    await crowd.settle(FAILURES_OF_PAIR)
    crowd.tries.pop().cancel()
    await crowd.settle(FAILURES_OF_PAIR)
    assert await crowd.let_out() == {0: FAILURES_OF_PAIR}


async def test_a_guesser_with_many_addresses_of_ipv6_is_one(held: Held) -> None:
    assert {await held.tries("mes", f"2001:db8::{n:x}") for n in range(FAILURES_OF_PAIR)} == {0}
    assert await held.tries("mes", "2001:db8::ffff:1") == 6
    assert await held.tries("mes", "2001:db8:0:1::1", right=True) == 0


@pytest.mark.parametrize("known", [False, True])
async def test_a_try_that_comes_to_no_end_counts_for_nothing(held: Held, known: bool) -> None:
    async def lost() -> None:
        async with held.brake.trying("mes", "192.0.2.1"):
            raise ConnectionError

    if known:
        await held.tries("mes", "192.0.2.1", right=True)
    for _ in range(100):
        with pytest.raises(ConnectionError):
            await lost()
    assert await held.tries("mes", "192.0.2.1", right=True) == 0


async def test_a_refused_try_costs_nothing_elsewhere(held: Held) -> None:
    while not await held.tries("mes", "192.0.2.1"):
        pass
    for _ in range(1000):
        assert await held.tries("mes", "192.0.2.1") == 6
    assert {await held.tries("mes", f"198.51.100.{n}") for n in range(FAILURES_OF_ACCOUNT - FAILURES_OF_PAIR)} == {0}


async def test_what_is_remembered_has_an_end(held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(brake, "KNOWN_MOST", 2)
    for n in range(10):
        await held.tries("mes", f"192.0.2.{n}", right=True)
    await held.tries("x" * 100_000, "192.0.2.9", right=True)
    assert len(held.brake._known) == 2
    assert max(len(username) for username, _ in held.brake._known) < 100


async def test_whom_others_keep_out_is_known_and_let_in_once_it_is_said_where_it_signed_in() -> None:
    held = Held()
    assert not held.brake.keeps_out("leather", "192.0.2.1")
    for n in range(FAILURES_OF_ACCOUNT):
        assert await held.tries("leather", f"198.51.100.{n}") == 0
        assert not held.brake.keeps_out("other", "192.0.2.1")
    assert held.brake.keeps_out("leather", "192.0.2.1")
    assert await held.tries("leather", "192.0.2.1", right=True) > 0
    held.brake.known("leather", "192.0.2.1")
    assert not held.brake.keeps_out("leather", "192.0.2.1")
    assert await held.tries("leather", "192.0.2.1", right=True) == 0
    assert held.brake.keeps_out("leather", "192.0.2.2")

"""Whom this node may connect to, how many questions a neighbour gets at once, and when it rests."""

import asyncio
from contextlib import AsyncExitStack
from ipaddress import ip_address, ip_network

import pytest

from node.gather import BusyError
from node.resolve.neighbours import (
    FAILURES_MOST,
    NEIGHBOURS_MOST,
    PLACES_EACH,
    PLACES_MOST,
    QUESTIONS_EACH,
    REST_SECONDS,
    Neighbours,
    RestingError,
    acceptable,
)
from tests.waiting import until

ONE, OTHER = "http://192.0.2.1:8000", "http://192.0.2.2:8000"


@pytest.mark.parametrize("address", ["1.1.1.1", "114.114.114.114", "223.255.255.1", "2400:3200::1", "2606:4700::1111"])
def test_public_addresses_may_be_connected_to(address: str) -> None:
    assert acceptable(ip_address(address), ())


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.255.255.254",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "0.1.2.3",
        "192.0.0.1",
        "192.0.0.9",
        "192.0.2.1",
        "192.88.99.1",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::2",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:1.1.1.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::101:101",
        "64:ff9b:1::7f00:1",
        "100::1",
        "2001::1",
        "2001:0:7f00:1::",
        "2001:db8::1",
        "2002:7f00:1::",
        "2002:101:101::1",
        "3fff::1",
        "4000::1",
        "5f00::1",
        "fc00::1",
        "fd00::1",
        "fe80::1",
        "fec0::1",
        "ff02::1",
        "ff0e::1",
    ],
)
def test_others_may_not(address: str) -> None:
    assert not acceptable(ip_address(address), ())


def test_what_the_operator_allows_may_be_connected_to_and_nothing_beside_it() -> None:
    allowed = (ip_network("127.0.0.0/8"), ip_network("fd00::/8"))
    assert acceptable(ip_address("127.0.0.1"), allowed)
    assert acceptable(ip_address("fd00::1"), allowed)
    assert not acceptable(ip_address("10.0.0.1"), allowed)
    assert not acceptable(ip_address("::ffff:127.0.0.1"), allowed)
    assert not acceptable(ip_address("fe80::1"), allowed)


@pytest.mark.parametrize("address", ["0.0.0.0", "255.255.255.255", "224.0.0.1", "::", "ff02::1"])
def test_no_single_machine_has_these_whatever_is_allowed(address: str) -> None:
    assert not acceptable(ip_address(address), (ip_network("0.0.0.0/0"), ip_network("::/0")))


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def roomy(_: int) -> bool:
    return True


async def test_so_many_questions_are_under_way_because_of_a_neighbour_and_the_others_wait_their_turn() -> None:
    neighbours = Neighbours(Clock(), roomy)
    free, asked = asyncio.Event(), []

    async def ask(because: str) -> None:
        async with neighbours.place(because):
            asked.append(because)
            await free.wait()

    tasks = [asyncio.create_task(ask(ONE)) for _ in range(QUESTIONS_EACH)]
    await until(lambda: len(asked) == PLACES_EACH)
    with pytest.raises(BusyError):
        await ask(ONE)
    other = asyncio.create_task(ask(OTHER))
    await until(lambda: OTHER in asked)
    assert asked.count(ONE) == PLACES_EACH
    free.set()
    await asyncio.gather(*tasks, other)
    assert asked.count(ONE) == QUESTIONS_EACH
    await ask(ONE)


async def test_so_many_questions_are_under_way_in_all() -> None:
    neighbours = Neighbours(Clock(), roomy)
    async with AsyncExitStack() as stack:
        for n in range(PLACES_MOST):
            await stack.enter_async_context(neighbours.place(f"http://192.0.2.3:{n}"))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0), neighbours.place(ONE):
                pass
    async with neighbours.place(ONE):
        pass


async def test_a_neighbour_takes_half_of_what_room_there_is() -> None:
    neighbours = Neighbours(Clock(), lambda waiting: waiting < 4)
    async with neighbours.place(ONE), neighbours.place(ONE):
        with pytest.raises(BusyError):
            async with neighbours.place(ONE):
                pass
        async with neighbours.place(OTHER):
            pass


def test_failures_in_a_row_bring_a_rest_and_one_question_ends_it() -> None:
    clock = Clock()
    neighbours = Neighbours(clock, roomy)
    for _ in range(FAILURES_MOST - 1):
        assert not neighbours.failed(ONE)
    neighbours.answered(ONE)
    for n in range(FAILURES_MOST):
        with neighbours.asking(ONE):
            assert neighbours.failed(ONE) is (n == FAILURES_MOST - 1), "told once"
    assert not neighbours.failed(ONE), "one that was asked before the rest began"
    with pytest.raises(RestingError), neighbours.asking(ONE):
        pass
    with neighbours.asking(OTHER):
        pass
    clock.now += REST_SECONDS
    with neighbours.asking(ONE):
        with pytest.raises(RestingError), neighbours.asking(ONE):
            pass
        assert neighbours.failed(ONE), "told again"
    with pytest.raises(RestingError), neighbours.asking(ONE):
        pass
    clock.now += REST_SECONDS
    with neighbours.asking(ONE):
        neighbours.answered(ONE)
        with neighbours.asking(ONE):
            pass


def test_the_longest_silent_is_forgotten_but_nobody_who_is_being_asked() -> None:
    neighbours = Neighbours(Clock(), roomy)
    with neighbours.asking(ONE):
        for _ in range(FAILURES_MOST):
            neighbours.failed(ONE)
            neighbours.failed(OTHER)
        for n in range(NEIGHBOURS_MOST):
            neighbours.answered(f"http://192.0.2.3:{n}")
        assert len(neighbours._known) == NEIGHBOURS_MOST
        with pytest.raises(RestingError), neighbours.asking(ONE):
            pass
        with neighbours.asking(OTHER):
            pass

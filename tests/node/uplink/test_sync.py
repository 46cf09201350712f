"""Proves node/uplink/sync.py and __main__.py where no other side is needed; the rest in tests/whole/test_uplink.py."""

import asyncio
import random

import pytest
from structlog.testing import capture_logs

from node.config import Config
from node.uplink import sync
from node.uplink.client import AwayError
from node.uplink.process import route_address
from tests.node.uplink.side import Side
from tests.waiting import PATIENCE


def test_pauses_double_and_are_bounded_and_spread():
    chance = random.Random(5)
    for failures in (1, 2, 3, 4, 10, 10_000):
        bound = min(sync.BACKOFF_LAST, sync.BACKOFF_FIRST * 2.0 ** min(failures - 1, 50))
        drawn = [sync.backoff(failures, chance) for _ in range(50)]
        assert all(bound / 2 <= pause <= bound for pause in drawn)
        assert len(set(drawn)) > 40


@pytest.mark.parametrize(
    ("host", "route", "address"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("0.0.0.0", "", ""),
        ("::", "", ""),
        ("localhost", "", ""),
        ("0.0.0.0", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_route_is_an_address_others_can_use(host: str, route: str, address: str):
    assert route_address(Config(host=host, route_address=route)) == address


async def test_that_nobody_answered_does_not_hide_that_a_stranger_does_now(side: Side):
    with capture_logs() as told:
        side.sync._missed("poll", AwayError("unreachable", "nobody"))
        side.sync._missed("poll", AwayError("unreachable", "nobody"))
        side.sync._missed("poll", AwayError("signature", "a stranger"))
    assert [(each["log_level"], each["reason"]) for each in told] == [
        ("warning", "unreachable"),
        ("debug", "unreachable"),
        ("warning", "signature"),
    ]


async def test_old_changes_are_bound_until_none_are_left_and_then_once_an_hour(
    side: Side, monkeypatch: pytest.MonkeyPatch
):
    left = [2, 1, 0]

    async def bind_old(days: int) -> int:
        assert days == sync.BIND_DAYS
        return left.pop(0)

    monkeypatch.setattr(side.sync._clerk, "bind_old", bind_old)
    assert [await side.sync.bind() for _ in range(3)] == [0.0, 0.0, sync.FORGET_SECONDS]


async def test_a_bell_shortens_a_pause_but_for_its_deaf_beginning(side: Side, monkeypatch: pytest.MonkeyPatch):
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(sync.asyncio, "sleep", sleep)
    pauses = iter([PATIENCE, 3.0])
    bell = asyncio.Event()

    async def work() -> float:
        bell.set()
        return next(pauses)

    done = iter([False, False, True])
    async with asyncio.timeout(PATIENCE / 2):
        await side.sync._repeat(sync.Step("changes", work, bell, 3.0), until=lambda: next(done))
    assert slept == [3.0, 3.0]

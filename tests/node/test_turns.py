"""Work by turns: one piece at a time, and so many times as long nothing."""

import asyncio
from typing import Any

import pytest

from node.turns import REST, Turns


class Hand:
    """A clock that is set by hand, and the rests that were begun."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.passed = 100.0
        self.rests: list[float] = []
        self.ends: list[Any] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self._later, raising=False)

    def _later(self, seconds: float, end: Any) -> None:
        self.rests.append(seconds)
        self.ends.append(end)

    def clock(self) -> float:
        return self.passed


async def test_a_piece_is_followed_by_its_rest_and_then_by_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = Hand(monkeypatch)
    turns = Turns(hand.clock)
    done: list[str] = []

    async def piece(name: str, took: float) -> None:
        async with turns.one():
            hand.passed += took
            done.append(name)

    assert not turns.taken
    await piece("a", 2.0)
    assert turns.taken, "it rests"
    assert hand.rests == [2.0 * REST]
    waits = asyncio.create_task(piece("b", 0.5))
    await asyncio.sleep(0)
    assert done == ["a"]
    hand.ends.pop()()
    await waits
    assert (done, hand.rests) == (["a", "b"], [2.0 * REST, 0.5 * REST])


async def test_one_that_fails_rests_too(monkeypatch: pytest.MonkeyPatch) -> None:
    hand = Hand(monkeypatch)
    turns = Turns(hand.clock)

    async def fails() -> None:
        async with turns.one():
            hand.passed += 1.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails()
    assert hand.rests == [1.0 * REST]
    waits = asyncio.create_task(fails())
    await asyncio.sleep(0)
    assert len(hand.rests) == 1
    hand.ends.pop()()
    with pytest.raises(ZeroDivisionError):
        await waits
    assert hand.rests == [1.0 * REST, 1.0 * REST]

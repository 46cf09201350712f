"""Calls of enterprises: who is counted, what several workers know of each other, and what trouble does to a count."""

import asyncio
from collections import Counter
from contextlib import suppress
from datetime import UTC, date, datetime

import pytest

from node import calls as counting
from node.calls import Calls, CallsSpentError
from registry.account import Account
from registry.errors import UnavailableError, UnknownOutcomeError
from registry.rights import Role

NOW = datetime(2026, 11, 22, 23, 59, 0, tzinfo=UTC)
MINE, OTHER = (
    Account(1, "mine", "person", Role.ENTERPRISE_USER, 1),
    Account(2, "other", "program", Role.ENTERPRISE_ADMIN, 2),
)


class Book:
    """What PostgreSQL would keep: enterprise 1 may make 10 calls a day."""

    def __init__(self) -> None:
        self.made: dict[date, Counter[int]] = {}
        self.trouble: Exception | None = None
        self.new_days: list[date] = []
        self.gate: asyncio.Event | None = None

    async def count_calls(self, day: date, made: dict[int, int], *, new_day: bool) -> dict[int, int]:
        if self.trouble is not None:
            raise self.trouble
        self.made.setdefault(day, Counter()).update(made)
        left = {1: 10 - self.made[day][1]}
        if new_day:
            self.new_days.append(day)
        if self.gate:
            await self.gate.wait()
        return left


def taken(calls: Calls, who: Account = MINE, times: int = 1) -> int:
    return sum(calls.counted(who) is who for _ in range(times))


async def test_a_call_beyond_the_last_is_told_when_the_day_ends() -> None:
    calls = Calls(Book(), lambda: NOW)  # type: ignore[arg-type]
    assert taken(calls, times=3) == 3, "nothing is known yet of a quota"
    await calls.tell()
    assert taken(calls, times=99) == 7
    told = calls.counted(MINE)
    assert isinstance(told, CallsSpentError)
    assert told.seconds == 61
    assert taken(calls, OTHER, 99) == 99


def test_who_belongs_to_no_enterprise_or_is_nobody_is_not_counted() -> None:
    calls = Calls(Book(), lambda: NOW)  # type: ignore[arg-type]
    admin, trouble = Account(3, "admin", "person", Role.SYSTEM_ADMIN, None), UnavailableError("away")
    assert [calls.counted(who) for who in (admin, trouble, None)] == [admin, trouble, None]
    assert not calls._made


async def test_several_workers_overrun_by_no_more_than_what_they_take_between_two_tellings() -> None:
    book = Book()
    workers = [Calls(book, lambda: NOW) for _ in range(3)]  # type: ignore[arg-type]
    for worker in workers:
        await worker.tell()
    assert [taken(worker, times=6) for worker in workers] == [6, 6, 6]
    for worker in (*workers, *workers):
        await worker.tell()
    assert [taken(worker) for worker in workers] == [0, 0, 0]
    assert book.made[NOW.date()][1] == 18


async def test_calls_made_while_it_is_told_count_once() -> None:
    book = Book()
    calls = Calls(book, lambda: NOW)  # type: ignore[arg-type]
    book.gate = asyncio.Event()
    telling = asyncio.create_task(calls.tell())
    await asyncio.sleep(0)
    assert taken(calls, times=4) == 4
    book.gate.set()
    await telling
    assert taken(calls, times=9) == 6
    await calls.tell()
    assert book.made[NOW.date()][1] == 10


async def test_what_was_not_told_is_told_later_and_what_may_have_been_is_not_told_twice() -> None:
    book = Book()
    calls = Calls(book, lambda: NOW)  # type: ignore[arg-type]
    for trouble, kept in ((UnavailableError("away"), 2), (ZeroDivisionError(), 4), (UnknownOutcomeError("", 1), 0)):
        taken(calls, times=2)
        book.trouble = trouble
        await calls.tell()
        assert calls._made[1] == kept


async def test_a_new_day_begins_anew() -> None:
    book, now = Book(), NOW
    calls = Calls(book, lambda: now)  # type: ignore[arg-type]
    await calls.tell()
    taken(calls, times=10)
    await calls.tell()
    now = datetime(2026, 11, 23, 0, 0, 0, tzinfo=UTC)
    assert taken(calls) == 0
    await calls.tell()
    assert taken(calls, times=11) == 10
    assert book.new_days == [NOW.date(), now.date()]


async def test_while_it_lives_it_tells_and_once_more_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "TELL_SECONDS", 0)
    book = Book()
    calls = Calls(book, lambda: NOW)  # type: ignore[arg-type]
    with suppress(ZeroDivisionError):
        async with calls.told():
            taken(calls)
            while not book.made:  # noqa: ASYNC110 - a task of the node's, no event tells of it
                await asyncio.sleep(0)
            taken(calls)
            raise ZeroDivisionError
    assert book.made[NOW.date()][1] == 2

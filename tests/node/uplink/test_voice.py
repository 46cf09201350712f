"""Proves node/uplink/voice.py on a real PostgreSQL: one voice, its fence, and how it is lost."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import pytest

from node import meter
from node.meter import Meter, Totals
from node.metrics import UPLINK_FENCE, UPLINK_IS_VOICE
from node.uplink import voice as voices
from node.uplink.voice import Voice
from tests.waiting import until


@pytest.fixture
def descriptor() -> Iterator[int]:
    made = meter.create(1)
    yield made
    os.close(made)


@dataclass
class Candidate:
    """A machine that notes its tenures: the fence while it speaks, and all it ever had."""

    fence: int = 0
    had: list[int] = field(default_factory=list)
    step_down: asyncio.Event = field(default_factory=asyncio.Event)

    async def tenure(self, fence: int) -> None:
        self.fence = fence
        self.had.append(fence)
        try:
            await self.step_down.wait()
        finally:
            self.fence = 0


@asynccontextmanager
async def standing(url: str, name: str, descriptor: int) -> AsyncIterator[Candidate]:
    candidate = Candidate()
    voice = Voice(url, name, f"idnode-{name}", candidate.tenure, Meter(descriptor, 1, 2))
    task = asyncio.create_task(voice.run())
    try:
        yield candidate
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(voices, "TRY_SECONDS", 0.02)


async def test_two_candidates_have_one_voice_and_the_next_has_a_greater_fence(database: str, descriptor: int):
    totals = Totals(descriptor, 1)
    async with standing(database, "two", descriptor) as two:
        async with standing(database, "one", descriptor) as one:
            await until(lambda: one.fence or two.fence)
            first, second = (one, two) if one.fence else (two, one)
            told = [sample.value for metric in (UPLINK_IS_VOICE, UPLINK_FENCE) for sample in totals.samples(metric, 0)]
            assert told == [1, first.fence]
            assert second.fence == 0
            if first is two:
                two.step_down.set()
                await until(lambda: one.fence)
                two.step_down.clear()
            before = one.fence
        await until(lambda: two.fence > before)


async def test_a_lost_session_ends_the_tenure_at_once(database: str, descriptor: int):
    other = await asyncpg.connect(database)
    async with standing(database, "one", descriptor) as one:
        await until(lambda: one.fence)
        before = one.fence
        await other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE application_name = 'idnode-one' AND datname = current_database()"
        )
        await until(lambda: one.fence > before)
    await other.close()


async def test_a_voice_whose_fence_is_old_steps_down(database: str, descriptor: int):
    other = await asyncpg.connect(database)
    async with standing(database, "one", descriptor) as one:
        await until(lambda: one.fence)
        await other.execute("UPDATE voice SET fence = 40")
        await until(lambda: one.fence == 41)
    await other.close()


async def test_a_frozen_voice_is_put_out_of_office(database: str, descriptor: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(voices, "SILENT_SECONDS", 0.3)
    frozen = await asyncpg.connect(database)
    assert await frozen.fetchval("SELECT pg_try_advisory_lock($1)", 0x1D0DF)
    await frozen.execute("UPDATE voice SET fence = fence + 1, seen = now()")
    async with standing(database, "one", descriptor) as one:
        await until(lambda: one.fence == 2)
        await until(frozen.is_closed)


async def test_a_tenure_that_ends_with_an_error_gives_the_office_back(database: str, descriptor: int):
    async def tenure(fence: int) -> None:
        raise RuntimeError("broken promise")

    voice = Voice(database, "one", "idnode-one", tenure, Meter(descriptor, 1, 2))
    with pytest.raises(RuntimeError, match="broken promise"):
        await voice.run()
    async with standing(database, "two", descriptor) as two:
        await until(lambda: two.fence == 2)


async def test_a_database_that_is_away_is_tried_again(descriptor: int):
    async with standing("postgresql://idnode@/idnode?host=/nowhere&port=5432", "one", descriptor) as one:
        await asyncio.to_thread(os.getpid)
        assert one.had == []


async def test_who_is_out_of_office_tells_nothing_of_it(database: str, descriptor: int):
    mine, totals = Meter(descriptor, 1, 2), Totals(descriptor, 1)

    def told() -> list[float]:
        return [sample.value for metric in voices.OF_OFFICE for sample in totals.samples(metric, 0.0)]

    for metric in voices.OF_OFFICE:
        mine.set(metric, 1)  # what a predecessor left that was killed
    async with standing(database, "one", descriptor) as one:
        await until(lambda: one.fence)
        left = dict(zip(voices.OF_OFFICE, told(), strict=True))
        assert {metric for metric, value in left.items() if value} == {UPLINK_IS_VOICE, UPLINK_FENCE}
        for metric in voices.OF_OFFICE:
            mine.set(metric, 1)
    assert not any(told())

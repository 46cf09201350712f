"""Proves node/uplink/counting.py on a real PostgreSQL: what a machine resolved is told once, whatever happens."""

import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from node import meter
from node.meter import Meter, Totals
from node.resolve.answer import Answer, Outcome
from node.uplink.counting import Counting
from registry.postgres.connection import Pool, open_pool
from registry.steward import Steward

PREFIX = "88.999.1001"
NOW = 1_795_330_554_000


@pytest.fixture
async def pool(database: str) -> AsyncIterator[Pool]:
    opened = await open_pool(database, size=2, name="idnode-test")
    yield opened
    opened.terminate()


async def counts(pool: asyncpg.Pool) -> list[tuple[int, int, int]]:
    rows = await pool.fetch("SELECT start, resolved, resolve_failed FROM statistics ORDER BY start")
    return [tuple(row) for row in rows]


async def test_what_was_resolved_is_told_once(pool: Pool) -> None:
    await Steward(pool).enrol("甲", "A", "leather", PREFIX)
    number = await pool.fetchval("SELECT min(number) FROM prefix")
    descriptor = meter.create(1)
    worker, totals = Meter(descriptor, 1, 0), Totals(descriptor, 1)
    moments = [NOW]
    counting = Counting(pool, totals, "one", 300, lambda: moments[-1])
    await counting.tell()
    assert await counts(pool) == []
    for outcome in (Outcome.FOUND, Outcome.FOUND, Outcome.ABSENT):
        worker.resolved(Answer(outcome, 1, number, 1), 0.001)
    await counting.tell()
    await counting.tell()
    window = NOW - NOW % 300_000
    assert await counts(pool) == [(window, 2, 1)]
    # A successor of this process knows nothing of what it told; the database does.
    successor = Counting(pool, totals, "one", 300, lambda: moments[-1])
    moments.append(NOW + 300_000)
    await successor.tell()
    worker.resolved(Answer(Outcome.FOUND, 1, number, 1), 0.001)
    await successor.tell()
    assert await counts(pool) == [(window, 2, 1), (window + 300_000, 1, 0)]
    os.close(descriptor)


async def test_what_the_database_cannot_take_now_is_told_later() -> None:
    away = await open_pool("postgresql://idnode@/idnode?host=/nowhere&port=5432", size=1, name="idnode-test")
    descriptor = meter.create(1)
    Meter(descriptor, 1, 0).resolved(Answer(Outcome.FOUND, 1, 5, 1), 0.001)
    counting = Counting(away, Totals(descriptor, 1), "one", 300, lambda: NOW)
    await counting.tell()
    assert counting._told == {}
    await away.close()
    os.close(descriptor)

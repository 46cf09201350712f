"""What is seen of a pool: who waits, how long, for what it is asked, on a real database."""

import asyncio
from contextlib import suppress

import asyncpg
import pytest

from node.metrics import DATABASE_CONNECTIONS, DATABASE_QUERY_SECONDS, DATABASE_WAIT_SECONDS, DATABASE_WAITING
from node.pool_watch import PoolWatch
from registry.errors import UnavailableError
from registry.postgres.connection import borrowed, open_pool
from tests.fakes.counting import Counting
from tests.waiting import until


class Clock:
    """Monotonic seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 7.0

    def __call__(self) -> float:
        return self.now


async def test_waits_and_questions_are_counted_by_pool_and_purpose(database: str) -> None:
    counting, clock = Counting(), Clock()
    watch = PoolWatch(counting.meter, "readers", clock)
    pool = await open_pool(database, size=1, name="idnode-test", watch=watch)

    async def ask() -> None:
        async with borrowed(pool, "template"):
            clock.now += 0.5

    async with borrowed(pool, "look"):
        clock.now += 2.0
        waiting = asyncio.create_task(ask())
        await until(lambda: watch._waiting)
        pool.show()
        assert counting.told(DATABASE_WAITING) == {("readers",): 1}
        assert counting.told(DATABASE_CONNECTIONS) == {("readers", "in_use"): 1}
        clock.now += 0.25
    await waiting
    pool.show()
    assert counting.told(DATABASE_WAITING) == {}
    assert counting.told(DATABASE_CONNECTIONS) == {("readers", "idle"): 1}
    assert counting.told(DATABASE_WAIT_SECONDS) == {("readers",): 0.25}
    assert counting.observed(DATABASE_WAIT_SECONDS) == {("readers",): 2}
    assert counting.told(DATABASE_QUERY_SECONDS) == {("look",): 2.25, ("template",): 0.5}
    await pool.close()


async def test_questions_that_fail_and_waits_in_vain_are_counted_too(database: str) -> None:
    counting = Counting()
    watch = PoolWatch(counting.meter, "writers", Clock())
    pool = await open_pool(database, size=1, name="idnode-test", watch=watch)
    with suppress(asyncpg.PostgresSyntaxError):
        async with borrowed(pool, "commit") as connection:
            await connection.execute("SELEC")
    await pool.close()
    assert counting.observed(DATABASE_QUERY_SECONDS) == {("commit",): 1}
    away = await open_pool(
        "postgresql://idnode@/idnode?host=/nowhere&port=5432", size=1, name="idnode-test", watch=watch
    )
    with pytest.raises(UnavailableError):
        async with borrowed(away, "commit"):
            pytest.fail("there is no database")
    await away.close()
    assert counting.observed(DATABASE_WAIT_SECONDS) == {("writers",): 2}
    assert counting.observed(DATABASE_QUERY_SECONDS) == {("commit",): 1}
    away.show()
    assert counting.told(DATABASE_WAITING) == {}


async def test_a_pool_that_nobody_watches_is_used_all_the_same(database: str) -> None:
    pool = await open_pool(database, size=1, name="idnode-test")
    async with borrowed(pool) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    await pool.close()

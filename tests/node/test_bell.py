"""The bell on a real PostgreSQL: rings are few, heard, lost without harm, and listened for again."""

import asyncio

import asyncpg
import pytest

from node import bell as bell_room
from node.bell import BELL, Bell, rang
from registry.postgres.connection import open_pool
from tests.waiting import until


async def test_many_rings_at_once_are_few_notifications(database: str) -> None:
    heard: list[str] = []
    listener = await asyncpg.connect(database)
    await listener.add_listener(BELL, lambda *_: heard.append("ding"))
    pool = await open_pool(database, size=2, name="idnode-test")
    bell = Bell(pool)
    for _ in range(100):
        bell.ring()
    await until(lambda: bell._task is None)
    assert 1 <= len(heard) <= 2
    before = len(heard)
    bell.ring()
    await until(lambda: len(heard) > before)
    await until(lambda: bell._task is None)
    await listener.close()
    await pool.close()


async def test_a_bell_that_cannot_ring_is_no_trouble_and_rings_again(database: str) -> None:
    pool = await open_pool("postgresql://idnode@/idnode?host=/nowhere&port=5432", size=1, name="idnode-test")
    bell = Bell(pool)
    bell.ring()
    await until(lambda: bell._task is None)
    bell.ring()
    assert bell._task is not None
    await until(lambda: bell._task is None)
    await pool.close()


async def test_a_bell_wakes_it_and_it_listens_again_after_its_connection_is_lost(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bell = asyncio.Event()
    listening = asyncio.create_task(bell_room.listen(database, "idnode-bell", bell))
    monkeypatch.setattr(bell_room, "AGAIN_SECONDS", 0.01)
    ringing = await asyncpg.connect(database)

    async def rung() -> bool:
        await ringing.execute(f"NOTIFY {BELL}")
        return bell.is_set()

    await until(rung, "somebody listens")
    lost = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
        "WHERE application_name = 'idnode-bell' AND datname = current_database()"
    )
    assert await ringing.fetchval(lost) == 1
    bell.clear()
    await until(rung, "it listens again")
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await ringing.close()


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_cancelled_when_it_rings_is_cancelled(turns: int) -> None:
    """asyncio.wait_for of Python 3.11 forgets it: a follower told to stop just then went on for ever."""
    bell = asyncio.Event()
    waiting = asyncio.create_task(rang(bell, 3600))
    await asyncio.sleep(0)
    bell.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    if waiting.cancel():
        with pytest.raises(asyncio.CancelledError):
            await waiting
    else:
        assert waiting.result() is True


async def test_no_bell_is_waited_for_longer_than_that() -> None:
    assert await rang(asyncio.Event(), 0) is False

"""Proves registry/postgres/connection.py: what a broken connection means, and when a server process is over."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import asyncpg
import pytest

from registry.errors import UnavailableError
from registry.postgres import connection as module
from registry.postgres.connection import (
    backends_gone,
    borrowed,
    connect,
    connected,
    cut,
    is_read_only,
    open_pool,
)
from tests.waiting import PATIENCE, until


async def test_a_session_of_a_pool_is_set_up(pool: asyncpg.Pool):
    wanted = {"enable_seqscan": "off", "plan_cache_mode": "force_generic_plan", "synchronous_commit": "on"}
    wanted["application_name"] = "idnode-test"
    async with borrowed(pool) as connection:
        assert {name: await connection.fetchval("SELECT current_setting($1)", name) for name in wanted} == wanted


async def test_putting_a_connection_back_asks_the_server_nothing_but_to_end_a_transaction(database: str):
    pool = await open_pool(database, size=1, name="idnode-test")
    asked: list[str] = []
    async with borrowed(pool) as connection:
        connection.add_query_logger(lambda record: asked.append(record.query))
        await connection.fetchval("SELECT 1")
    async with borrowed(pool) as connection:
        await connection.fetchval("SELECT 2")
        await connection.execute("BEGIN")
    async with borrowed(pool) as connection:
        assert not connection.is_in_transaction()
    assert asked == ["SELECT 1", "SELECT 2", "BEGIN", "ROLLBACK"]
    pool.terminate()


async def test_a_connection_nobody_waits_for_stays_at_hand(database: str):
    pool = await open_pool(database, size=2, name="idnode-test")
    async with borrowed(pool) as connection:
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        assert (pool.get_size(), pool.get_idle_size()) == (1, 0)
    assert (pool.get_size(), pool.get_idle_size()) == (1, 1)
    async with borrowed(pool) as again, borrowed(pool) as other:
        assert again is connection, "it was not given to asyncpg's pool and taken out again"
        assert await again.fetchval("SELECT pg_backend_pid()") == backend
        assert await other.fetchval("SELECT 1") == 1
    pool.terminate()


async def test_who_waits_gets_the_connection_that_is_given_back(database: str):
    pool = await open_pool(database, size=1, name="idnode-test")

    async def asked() -> int:
        async with borrowed(pool) as connection:
            return int(await connection.fetchval("SELECT 1"))

    for _ in range(3):
        assert await asyncio.gather(*(asked() for _ in range(20))) == [1] * 20
    pool.terminate()


async def test_one_at_hand_is_asyncpg_s_to_lend_and_to_close(database: str):
    pool = await open_pool(database, size=1, name="idnode-test")
    async with borrowed(pool) as connection:
        await connection.fetchval("SELECT 1")
    async with pool.acquire() as connection:
        assert await connection.fetchval("SELECT 1") == 1
    async with borrowed(pool) as connection:
        await connection.fetchval("SELECT 1")
    async with asyncio.timeout(PATIENCE):
        await pool.close()


async def test_who_ends_in_an_error_leaves_none_at_hand_and_a_pool_that_closes_takes_them_back(database: str):
    pool = await open_pool(database, size=1, name="idnode-test")
    with pytest.raises(ZeroDivisionError):
        async with borrowed(pool) as connection:
            raise ZeroDivisionError
    assert pool._at_hand == []
    async with borrowed(pool) as connection:
        connection.terminate()
    assert pool._at_hand == []
    async with borrowed(pool) as connection:
        closing = asyncio.create_task(pool.close())
        await asyncio.sleep(0)
        assert await connection.fetchval("SELECT 1") == 1
    async with asyncio.timeout(PATIENCE):
        await closing


async def test_one_that_broke_at_hand_is_not_lent(database: str):
    pool = await open_pool(database, size=1, name="idnode-test")
    async with borrowed(pool) as connection:
        backend = await connection.fetchval("SELECT pg_backend_pid()")
    async with connected(database, "idnode-killer") as killer:
        await killer.fetchval("SELECT pg_terminate_backend($1)", backend)
        await until(lambda: not pool.get_size(), "the end is heard of")
    async with borrowed(pool) as connection:
        assert await connection.fetchval("SELECT pg_backend_pid()") != backend
    pool.terminate()


async def test_now_and_then_one_goes_back_to_the_pool(database: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "BORROWED_MOST", 3)
    monkeypatch.setattr(module, "CONNECTION_QUERIES", 1)
    pool = await open_pool(database, size=1, name="idnode-test")
    backends = set()
    for _ in range(9):
        async with borrowed(pool) as connection:
            backends.add(await connection.fetchval("SELECT pg_backend_pid()"))
    assert len(backends) == 3, "it was replaced each time"
    pool.terminate()


async def test_who_waits_too_long_for_a_connection_is_told(database: str, monkeypatch: pytest.MonkeyPatch):
    pool = await open_pool(database, size=1, name="idnode-test")
    async with borrowed(pool):
        monkeypatch.setattr(module, "ACQUIRE_SECONDS", 0.01)
        with pytest.raises(UnavailableError, match="TimeoutError"):
            async with borrowed(pool):
                pytest.fail("there is only one connection")
        monkeypatch.undo()
    async with borrowed(pool) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    pool.terminate()


async def test_a_statement_that_is_wrong_is_no_matter_of_the_connection(pool: asyncpg.Pool):
    with pytest.raises(asyncpg.DataError):
        async with borrowed(pool) as connection:
            await connection.fetchval("SELECT $1::integer", "x")
    with pytest.raises(asyncpg.PostgresSyntaxError):
        async with borrowed(pool) as connection:
            await connection.fetchval("SELEC")


async def test_a_server_that_ends_or_stops_a_question_cannot_be_asked(pool: asyncpg.Pool):
    for breaking in ("SELECT pg_terminate_backend(pg_backend_pid())", "SET statement_timeout = 1; SELECT pg_sleep(9)"):
        with pytest.raises(UnavailableError):
            async with borrowed(pool) as connection:
                await connection.execute(breaking)
        async with borrowed(pool) as connection:
            assert await connection.fetchval("SELECT 1") == 1


async def test_a_connection_that_breaks_while_it_is_put_back_takes_no_answer_with_it(pool: asyncpg.Pool, database: str):
    async with borrowed(pool) as connection:
        await connection.execute("BEGIN")
        answer = await connection.fetchval("SELECT 1")
        async with connected(database, "idnode-test") as other:
            await other.fetchval("SELECT pg_terminate_backend($1, 5000)", connection.get_server_pid())
    assert answer == 1
    async with borrowed(pool) as connection:
        assert await connection.fetchval("SELECT 2") == 2


async def test_a_connection_is_cut_whether_or_not_it_broke_before(pool: asyncpg.Pool):
    async with borrowed(pool) as connection:
        cut(connection)
        cut(connection)
    async with borrowed(pool) as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def test_one_connection_outside_any_pool(database: str):
    connection = await connect(database, "idnode-alone")
    assert await connection.fetchval("SHOW application_name") == "idnode-alone"
    await connection.close()


@pytest.mark.parametrize(
    "url",
    ["postgresql://idnode@127.0.0.1:1/none", "postgresql://idnode@127.0.0.1:x/none", "http://127.0.0.1", ""],
)
async def test_an_address_where_nobody_answers_cannot_be_asked(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PGHOST", raising=False)
    with pytest.raises(UnavailableError):
        await connect(url or "postgresql://idnode@/none?host=/nowhere", "idnode-test")


async def test_a_database_that_is_not_there_cannot_be_asked(database: str):
    with pytest.raises(UnavailableError, match="InvalidCatalogNameError"):
        await connect(re.sub(r"/\w+\?", "/nope?", database, count=1), "idnode-test")


async def test_server_processes_of_a_family(database: str):
    async def gone(mine: str, backend: int) -> bool:
        return await backends_gone(database, "idnode-a-1-", mine, backend)

    assert await gone("idnode-a-1-2", 0)
    old = await connect(database, "idnode-a-1-1")
    other = await connect(database, "idnode-a-2-1")
    backend = old.get_server_pid()
    assert not await gone("idnode-a-1-2", 0)  # what a predecessor left
    assert await gone("idnode-a-1-1", 0)  # our own do not count
    assert not await gone("idnode-a-1-1", backend)
    assert await gone("idnode-a-1-2", backend)  # that number is somebody else's by now
    assert await gone("idnode-a-1-1", other.get_server_pid())
    await old.close()
    async with asyncio.timeout(30):
        while not await gone("idnode-a-1-1", backend):
            continue
    assert await gone("idnode-a-1-2", 0)
    await other.close()


async def test_whether_a_process_is_over_cannot_be_asked_of_nobody():
    with pytest.raises(UnavailableError):
        await backends_gone("postgresql://idnode@127.0.0.1:1/none", "idnode", "idnode-1", 1)


async def test_a_connection_held_for_a_while_ends_and_what_breaks_in_it_cannot_be_asked(database: str):
    async with connected(database, "idnode-test") as connection:
        assert not await is_read_only(connection)
    assert connection.is_closed()
    for breaking in ("SELECT pg_terminate_backend(pg_backend_pid())", "SELEC"):
        with pytest.raises(UnavailableError):
            async with connected(database, "idnode-test") as connection:
                await connection.execute(breaking)
        assert connection.is_closed()


async def test_a_server_that_takes_no_changes_is_told_from_one_that_is_away(database: str):
    closed = f"{database}&default_transaction_read_only=on"
    async with connected(closed, "idnode-test") as connection:
        assert await is_read_only(connection)
    pool = await open_pool(closed, size=1, name="idnode-test")
    async with borrowed(pool) as connection:
        assert await connection.fetchval("SELECT 1") == 1
    with pytest.raises(UnavailableError, match="ReadOnlySQLTransactionError"):
        async with borrowed(pool) as connection:
            await connection.execute("CREATE TABLE never (n integer)")
    async with borrowed(pool) as connection:
        assert await connection.fetchval("SELECT to_regclass('never')") is None
    pool.terminate()


class Seen:
    """Notes when a pool is waited for and used."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def _around(self, what: str) -> Iterator[None]:
        self.told.append(f"{what} begins")
        try:
            yield
        finally:
            self.told.append(f"{what} ends")

    def waiting(self) -> AbstractContextManager[object]:
        return self._around("waiting")

    def using(self, purpose: str) -> AbstractContextManager[object]:
        return self._around(purpose)


async def test_how_a_pool_is_used_is_seen(database: str):
    seen = Seen()
    pool = await open_pool(database, size=1, name="idnode-test", watch=seen)
    async with borrowed(pool, "look"):
        assert seen.told == ["waiting begins", "waiting ends", "look begins"]
    async with borrowed(pool):
        assert seen.told[3:] == ["look ends", "waiting begins", "waiting ends", "other begins"]
    with pytest.raises(asyncpg.PostgresSyntaxError):
        async with borrowed(pool, "commit") as connection:
            await connection.execute("SELEC")
    assert seen.told[-1] == "commit ends"
    pool.terminate()

"""Proves tests/databases.py: what a test gets is as good as new, whatever the one before did to it."""

import asyncpg
import pytest

from tests.conftest import TEMPLATE
from tests.databases import Databases
from tests.waiting import until

COUNTED = "SELECT (SELECT count(*) FROM enterprise), (SELECT count(*) FROM catalogue), (SELECT number FROM catalogue)"
ENROL = "INSERT INTO enterprise (name, name_en, industry) VALUES ('甲', 'A', 'leather') RETURNING number"


async def used(databases: Databases, *statements: str) -> str:
    """The name of a database on which these were said by who has been given it, and who is still at it."""
    name = await databases.take(TEMPLATE)
    connection = await asyncpg.connect(databases.named(name))
    for statement in statements:
        await connection.execute(statement)
    await databases.give_back(TEMPLATE, name)
    await until(connection.is_closed)
    connection.terminate()
    return name


async def there(databases: Databases, name: str) -> bool:
    connection = await asyncpg.connect(databases.named("idnode"))
    found = await connection.fetchval("SELECT count(*) FROM pg_database WHERE datname = $1", name)
    await connection.close()
    return bool(found)


async def test_rows_and_sequences_are_as_they_were(databases: Databases) -> None:
    async with databases.lent(TEMPLATE) as url:
        connection = await asyncpg.connect(url)
        before, first = await connection.fetchrow(COUNTED), await connection.fetchval(ENROL)
        await connection.close()
    name = await used(databases, ENROL, "UPDATE catalogue SET number = 77", "DELETE FROM schema_step")
    async with databases.lent(TEMPLATE) as url:
        assert url == databases.named(name)
        connection = await asyncpg.connect(url)
        assert await connection.fetchrow(COUNTED) == before
        assert await connection.fetchval("SELECT count(*) FROM schema_step") > 20
        assert await connection.fetchval(ENROL) == first
        await connection.close()


@pytest.mark.parametrize(
    "done",
    [
        "ALTER TABLE record ADD more integer",
        "ALTER TABLE audit DISABLE TRIGGER USER",
        "ALTER TABLE record ADD CHECK (suffix <> 'bad')",
        "CREATE SCHEMA other",
        "CREATE OR REPLACE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "TRUNCATE record",
        "CREATE TABLE mine (a integer); DROP TABLE enterprise CASCADE",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''1MB''', current_database()); END $$",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I CONNECTION LIMIT 7', current_database()); END $$",
        "INSERT INTO enterprise (name, name_en, industry) VALUES ('甲', 'A', 'leather'); ANALYZE enterprise",
    ],
)
async def test_one_that_is_not_what_it_was_is_lent_to_nobody(databases: Databases, done: str) -> None:
    name = await used(databases, done)
    assert not await there(databases, name)


async def test_one_that_lets_nobody_in_is_lent_to_nobody(databases: Databases) -> None:
    name = await databases.take(TEMPLATE)
    connection = await asyncpg.connect(databases.named("idnode"))
    await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await connection.close()
    await databases.give_back(TEMPLATE, name)
    assert not await there(databases, name)

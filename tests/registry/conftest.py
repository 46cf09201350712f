"""Fixtures of the registry's tests: a database as good as fresh, a pool on it, and the world in it.

A database made for each test costs up to a second of disk; one that is emptied costs milliseconds.
"""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from node.embedded import Servers
from registry.postgres.connection import open_pool
from tests.registry.world import PATIENCE, World, founded

POOL_SIZE = 8
OTHERS = (
    "SELECT {} FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
    "AND backend_type = 'client backend'"
)
EMPTY = """
    DELETE FROM grant_notice; DELETE FROM access_grant; DELETE FROM identity_group;
    DELETE FROM change; DELETE FROM change_volume;
    DELETE FROM stream WHERE prefix_no <> 1048575;
    UPDATE stream SET number = 0, head = decode(repeat('00', 32), 'hex'), prefix_epoch = 1, live = 0, octets = 0;
    DELETE FROM disclosure; DELETE FROM history; DELETE FROM record; DELETE FROM token; DELETE FROM challenge;
    DELETE FROM decision; DELETE FROM application; DELETE FROM hosting;
    DELETE FROM reference; DELETE FROM claim;
    DELETE FROM release; DELETE FROM filing; DELETE FROM particulars; DELETE FROM receipt;
    DELETE FROM statistics; DELETE FROM machine;
    DELETE FROM message; DELETE FROM route; DELETE FROM node_key; UPDATE voice SET fence = 0, machine = '';
    DELETE FROM quota; DELETE FROM calls; DELETE FROM blanked;
    DELETE FROM batch; DELETE FROM file; DELETE FROM account;
    DELETE FROM template; DELETE FROM prefix WHERE number <> 1048575; DELETE FROM enterprise;
    UPDATE prefix SET epoch = 1;
    UPDATE catalogue SET number = 1;
    ALTER TABLE audit DISABLE TRIGGER USER; ALTER TABLE audit_object DISABLE TRIGGER USER;
    ALTER TABLE audit_head DISABLE TRIGGER USER;
    DELETE FROM audit; DELETE FROM audit_object; DELETE FROM machine_setting;
    UPDATE audit_head SET number = 0, at = 0, octets = 0, digest = decode(repeat('00', 32), 'hex');
    ALTER TABLE audit ENABLE TRIGGER USER; ALTER TABLE audit_object ENABLE TRIGGER USER;
    ALTER TABLE audit_head ENABLE TRIGGER USER
"""


@pytest.fixture(scope="session")
def shared() -> set[str]:
    """The databases made for all tests of this room: none, or one."""
    return set()


@pytest.fixture
async def emptied(servers: Servers, shared: set[str]) -> str:
    """The URL of a database at the newest schema with nothing in it and nobody at it. Leave its schema alone."""
    if not shared:
        connection = await asyncpg.connect(servers.database_url)
        await connection.execute("CREATE DATABASE registry TEMPLATE migrated")
        await connection.close()
        shared.add(servers.database_url.replace("/idnode?", "/registry?", 1))
    (url,) = shared
    connection = await asyncpg.connect(url)
    await connection.fetch(OTHERS.format("pg_terminate_backend(pid)"))
    async with asyncio.timeout(PATIENCE):
        while await connection.fetchval(OTHERS.format("count(*)")):
            continue
    await connection.execute(EMPTY)
    await connection.close()
    return url


@pytest.fixture
async def pool(emptied: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to an empty database, as a node opens them."""
    opened = await open_pool(emptied, size=POOL_SIZE, name="idnode-test")
    yield opened
    opened.terminate()


@pytest.fixture
async def world(emptied: str, pool: asyncpg.Pool) -> World:
    """An enterprise, its prefix, a template and accounts, in an empty database."""
    return await founded(emptied, pool)


@pytest.fixture
async def fresh_world(database: str) -> AsyncIterator[World]:
    """The same in a database of its own, for tests that change its schema or care how it looks to a planner."""
    opened = await open_pool(database, size=POOL_SIZE, name="idnode-test")
    yield await founded(database, opened)
    opened.terminate()

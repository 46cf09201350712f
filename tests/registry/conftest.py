"""Fixtures of the registry's tests: a pool on a database as good as fresh, and the world in it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from registry.postgres.connection import open_pool
from tests.conftest import TEMPLATE
from tests.databases import Databases
from tests.registry.world import World, founded

POOL_SIZE = 8


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to an empty database, as a node opens them."""
    opened = await open_pool(database, size=POOL_SIZE, name="idnode-test")
    yield opened
    opened.terminate()


@pytest.fixture
async def world(database: str, pool: asyncpg.Pool) -> World:
    """An enterprise, its prefix, a template and accounts, in an empty database."""
    return await founded(database, pool)


@pytest.fixture
async def fresh_world(databases: Databases) -> AsyncIterator[World]:
    """The same in a database nobody had before, for tests that care how it looks to a planner."""
    async with databases.fresh(TEMPLATE) as url:
        opened = await open_pool(url, size=POOL_SIZE, name="idnode-test")
        yield await founded(url, opened)
        opened.terminate()

"""Fixtures of the registry's tests: a pool on a fresh database, and the world in it."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from registry.postgres.connection import open_pool
from tests.registry.world import World, founded

POOL_SIZE = 8


@pytest.fixture
async def pool(database: str) -> AsyncIterator[asyncpg.Pool]:
    """Connections to a fresh database at the newest schema, as a node opens them."""
    opened = await open_pool(database, size=POOL_SIZE, name="idnode-test")
    yield opened
    opened.terminate()


@pytest.fixture
async def world(database: str, pool: asyncpg.Pool) -> World:
    """An enterprise, its prefix, a template and accounts, in a fresh database."""
    return await founded(database, pool)

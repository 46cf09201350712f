"""Proves registry/postgres/files.py: whose a file is, that it is linked once, and that it goes when it is not."""

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from registry.file import UNLINKED_LIFE, UNLINKED_MOST, Kind, StoredFile
from registry.postgres import files
from tests.registry.world import World

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)


@pytest.fixture
async def connection(world: World):
    async with world.pool.acquire() as borrowed:
        yield borrowed


async def added(connection: asyncpg.Connection, account: int, created: datetime = NOW) -> StoredFile:
    number = await files.reserve(connection, account)
    assert number is not None
    file = StoredFile(number, account, Kind.PNG, 7, bytes(32))
    await files.add(connection, file, created)
    return file


async def test_a_file_is_found_by_its_number(world: World, connection: asyncpg.Connection):
    file = await added(connection, world.owner.number)
    assert await files.found(connection, file.number) == file
    assert await files.found(connection, file.number + 1) is None
    assert await files.known(connection, [file.number, file.number + 1]) == {file.number}


async def test_a_file_is_linked_once_and_by_its_owner_only(world: World, connection: asyncpg.Connection):
    file = await added(connection, world.owner.number)
    assert not await files.link(connection, file.number, world.admin.number, "orgCrtImgRid")
    assert not await files.link(connection, file.number + 1, world.owner.number, "orgCrtImgRid")
    assert await files.link(connection, file.number, world.owner.number, "orgCrtImgRid")
    assert not await files.link(connection, file.number, world.owner.number, "legalCrtFrontImgRid")
    assert await connection.fetchval("SELECT purpose FROM file") == "orgCrtImgRid"


async def test_of_two_who_link_at_once_one_does(world: World, connection: asyncpg.Connection):
    file = await added(connection, world.owner.number)

    async def attempt() -> bool:
        async with world.pool.acquire() as mine, mine.transaction():
            return await files.link(mine, file.number, world.owner.number, "orgCrtImgRid")

    assert sorted(await asyncio.gather(*(attempt() for _ in range(4)))) == [False, False, False, True]


async def test_a_link_that_is_rolled_back_is_none(world: World, connection: asyncpg.Connection):
    file = await added(connection, world.owner.number)
    transaction = connection.transaction()
    await transaction.start()
    assert await files.link(connection, file.number, world.owner.number, "orgCrtImgRid")
    await transaction.rollback()
    assert await files.link(connection, file.number, world.owner.number, "orgCrtImgRid")


async def test_an_account_has_so_many_files_without_link(world: World, connection: asyncpg.Connection):
    owner, another = world.owner.number, world.admin.number
    first = await added(connection, owner)
    for _ in range(UNLINKED_MOST - 1):
        await added(connection, owner)
    assert await files.reserve(connection, owner) is None
    assert await files.reserve(connection, another) is not None
    assert await files.link(connection, first.number, owner, "orgCrtImgRid")
    assert await files.reserve(connection, owner) is not None


async def test_what_is_not_linked_within_a_day_goes(world: World, connection: asyncpg.Connection):
    owner, long_ago = world.owner.number, NOW - UNLINKED_LIFE - timedelta(seconds=1)
    linked, left = await added(connection, owner, long_ago), await added(connection, owner, long_ago)
    young = await added(connection, owner, NOW - UNLINKED_LIFE)
    await files.link(connection, linked.number, owner, "orgCrtImgRid")
    assert await files.remove_unlinked(connection, NOW) == [left.number]
    assert await files.remove_unlinked(connection, NOW) == []
    assert await files.known(connection, [linked.number, left.number, young.number]) == {linked.number, young.number}


async def test_what_is_being_linked_stays(world: World, connection: asyncpg.Connection):
    file = await added(connection, world.owner.number, NOW - 2 * UNLINKED_LIFE)
    async with world.pool.acquire() as other, other.transaction():
        assert await files.link(other, file.number, world.owner.number, "orgCrtImgRid")
        assert await files.remove_unlinked(connection, NOW) == [], "it waits for nobody either"
    assert await files.remove_unlinked(connection, NOW) == []

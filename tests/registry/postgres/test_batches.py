"""Proves registry/postgres/batches.py: what a batch leaves behind, for how long, and who sees it."""

from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from registry.postgres import batches
from registry.postgres.batches import KEPT_DAYS, PAGE_MOST, REASONS_MOST, TEXT_MOST, Batch
from tests.registry.world import World

NOW = datetime(2026, 11, 22, 6, 55, 54, tzinfo=UTC)
LAST = 2**63 - 1


@pytest.fixture
async def connection(world: World):
    async with world.pool.acquire() as borrowed:
        yield borrowed


def batch(world: World, *reasons: tuple[int, str, str]) -> Batch:
    return Batch(world.owner.number, "create", 10, 4, 3, 2, 1, reasons)


async def test_a_record_says_who_when_how_many_and_why_not(world: World, connection: asyncpg.Connection):
    number = await batches.add(connection, batch(world, (7, "88.999.1001/X", "索引2000“重复”")), NOW)
    assert await batches.listed(connection, None, LAST, 10) == [
        {
            "number": number,
            "username": "tianma",
            "made": "2026-11-22T06:55:54+00:00",
            "operation": "create",
            "rows": 10,
            "succeeded": 4,
            "existed_alike": 3,
            "existed_different": 2,
            "refused": 1,
            "reasons": [[7, "88.999.1001/X", "索引2000“重复”"]],
        }
    ]


async def test_records_are_listed_newest_first_page_by_page(world: World, connection: asyncpg.Connection):
    numbers = [await batches.add(connection, batch(world), NOW) for _ in range(5)]

    async def page(below: int, most: int, account: int | None = None) -> list[int]:
        return [row["number"] for row in await batches.listed(connection, account, below, most)]

    assert await page(LAST, 2) == numbers[:2:-1]
    assert await page(numbers[3], 2) == [numbers[2], numbers[1]]
    assert await page(numbers[0], 2) == []
    assert await page(LAST, 9, world.owner.number) == numbers[::-1]
    assert await page(LAST, 9, world.admin.number) == []


async def test_a_page_has_a_bound_whatever_is_asked(world: World, connection: asyncpg.Connection):
    await connection.execute(
        "INSERT INTO batch (account_no, made, operation, rows, succeeded, existed_alike, existed_different, refused, "
        "reasons) SELECT $1, now(), 'create', 1, 1, 0, 0, 0, '[]' FROM generate_series(1, $2)",
        world.owner.number,
        PAGE_MOST + 1,
    )
    assert len(await batches.listed(connection, None, LAST, 10**6)) == PAGE_MOST


async def test_not_every_reason_is_kept(world: World, connection: asyncpg.Connection):
    reasons = tuple((n, f"88.1/{n}", "不行") for n in range(1, REASONS_MOST + 50))
    await batches.add(connection, batch(world, *reasons), NOW)
    kept = (await batches.listed(connection, None, LAST, 1))[0]["reasons"]
    assert kept == [list(reason) for reason in reasons[:REASONS_MOST]]


KEPT = {
    "88.1/a\0b": "88.1/a\N{REPLACEMENT CHARACTER}b",
    "\\u0000": "\\u0000",
    '"\\"': '"\\"',
    "标" * (TEXT_MOST + 1): "标" * TEXT_MOST,
}


async def test_whatever_a_row_called_its_identifier_the_record_is_kept(world: World, connection: asyncpg.Connection):
    for given, kept in KEPT.items():
        await batches.add(connection, batch(world, (1, given, given)), NOW)
        assert (await batches.listed(connection, None, LAST, 1))[0]["reasons"] == [[1, kept, kept]]


async def test_records_past_their_days_go_with_those_that_come(world: World, connection: asyncpg.Connection):
    limit = timedelta(days=KEPT_DAYS)
    old = [await batches.add(connection, batch(world), NOW - limit - timedelta(seconds=n)) for n in range(1, 15)]
    young = await batches.add(connection, batch(world), NOW - limit)
    assert len(await batches.listed(connection, None, LAST, 99)) == 15
    left = {young}
    for _ in range(2):
        left.add(await batches.add(connection, batch(world), NOW))
    kept = {row["number"] for row in await batches.listed(connection, None, LAST, 99)}
    assert kept == left
    assert not kept & set(old)

"""Proves node/toplevel/books.py where the doors do not: the schema, bounds, races, and what is forgotten."""

import asyncio
from typing import Any

import asyncpg

from node.toplevel import books
from proto import uplink_pb2 as pb
from proto.signed import public_key
from registry.postgres.migrate import current, migrate, migrations
from tests.fakes.secondary_node import enterprise
from tests.waiting import until

LEATHER = "88.999.1001"
DAY = 86_400_000


async def test_they_stand_beside_the_registry_and_touch_nothing_of_it(database: str):
    connection = await asyncpg.connect(database)
    before = await current(connection)
    assert await migrate(connection, schema=books.SCHEMA) == list(migrations(books.SCHEMA))
    assert await migrate(connection, schema=books.SCHEMA) == []
    assert await current(connection) == before
    tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'toplevel'")
    assert {"node", "prefix", "stream", "change", "message", "schema_step"} <= {row[0] for row in tables}
    await connection.close()


async def test_the_seal_is_drawn_once(top: Any):
    async with top.office.pool.acquire() as connection:
        assert await books.seal(connection, bytes(32)) == top.office.seed


async def test_no_more_nodes_enrol_than_there_may_be(top: Any, monkeypatch: Any):
    await top.enrolled()
    monkeypatch.setattr(books, "NODES_MOST", 1)
    await top.enrolled()
    stranger = top.node("88.998", bytes([8]) * 32)
    stranger.key = (await top.enrolled()).key
    refused = await stranger.ask("Enrol", pb.EnrolRequest(public_key=public_key(stranger.seed), name_zh="节点"))
    assert refused.code == 2400
    assert await top.office.pool.fetchval("SELECT count(*) FROM toplevel.node") == 1


async def test_names_of_a_node_may_change_and_its_key_never(top: Any):
    node = await top.enrolled()
    given = pb.EnrolRequest(public_key=public_key(node.seed), name_zh="新名称", name_en="New")
    assert (await node.ask("Enrol", given)).code == 1000
    async with top.office.pool.acquire() as connection:
        await books.enrol(connection, "88.999", pb.EnrolRequest(public_key=bytes(32), name_zh="x"), 0)
        row = await connection.fetchrow("SELECT public_key, name_zh, name_en FROM toplevel.node")
    assert tuple(row) == (public_key(node.seed), "新名称", "New")


async def test_a_higher_fence_waits_for_those_who_came_with_the_present_one(top: Any):
    await top.enrolled()
    pool = top.office.pool
    async with pool.acquire() as older, pool.acquire() as younger:
        transaction = older.transaction()
        await transaction.start()
        assert await books.hold_fence(older, 1, 1) == 1

        async def raise_it() -> int:
            async with younger.transaction():
                return await books.hold_fence(younger, 1, 5)

        raising = asyncio.create_task(raise_it())

        async def waits() -> bool:
            held = (
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
            return bool(await pool.fetchval(held) == 1)

        await until(waits, "the younger one waits")
        await transaction.commit()
        assert await raising == 5
        assert await books.hold_fence(older, 1, 1) == 5


async def test_two_filings_of_one_prefix_at_once_are_one(top: Any):
    one, other = await top.enrolled(), await top.enrolled()
    ent_id = await one.file("88.999.1")
    request = pb.CreatePrefixRequest(ent_id=ent_id, prefix=LEATHER)
    answers = await asyncio.gather(*(node.ask("CreatePrefix", request) for node in (one, other) * 5))
    assert sorted(answer.code for answer in answers) == [1001] + [2302] * 9


async def test_ent_ids_that_are_none_are_nobodys(top: Any):
    node = await top.enrolled()
    for given in ("", "1", "x" * 16, "９" * 16, "9" * 16, "-000000000000001"):
        answer = await node.ask("CreatePrefix", pb.CreatePrefixRequest(ent_id=given, prefix=LEATHER))
        assert answer.code == 2303, given


async def test_two_enterprises_of_a_node_do_not_take_each_others_code(top: Any):
    node = await top.enrolled()
    first = await node.file(LEATHER, 1)
    await node.file("88.999.1002", 2)
    taken = await node.ask("UpdateEnterprise", pb.UpdateEnterpriseRequest(ent_id=first, enterprise=enterprise(2)))
    assert taken.code == 2302


async def test_what_is_past_its_days_goes_with_the_next_write(top: Any):
    node = await top.enrolled()
    await node.file(LEATHER)
    await top.audit()
    message = (await node.poll()).message
    await node.ask("Acknowledge", pb.AcknowledgeRequest(id=message.id))
    old = pb.Window(prefix=LEATHER, start=top.clock[0], seconds=300)
    await node.ask("ReportStatistics", pb.ReportStatisticsRequest(windows=[old]))
    top.clock[0] += (books.WINDOW_DAYS + 1) * DAY
    new = pb.Window(prefix=LEATHER, start=top.clock[0], seconds=300)
    await node.ask("ReportStatistics", pb.ReportStatisticsRequest(windows=[new]))
    await node.file("88.999.1002")
    await top.audit()
    pool = top.office.pool
    assert await pool.fetchval("SELECT count(*) FROM toplevel.window") == 1
    assert await pool.fetchval("SELECT array_agg(id) FROM toplevel.message") == [message.id + 1]


async def test_the_history_of_a_prefix_is_kept(top: Any):
    node = await top.enrolled()
    top.fault(refusal_rate=1.0)
    await node.file(LEATHER)
    await top.audit()
    top.fault()
    await node.file(LEATHER)
    await top.audit()
    states = await top.office.pool.fetch("SELECT state FROM toplevel.prefix_history ORDER BY at, ctid")
    assert [row[0] for row in states] == [
        pb.PREFIX_STATE_PENDING,
        pb.PREFIX_STATE_REFUSED,
        pb.PREFIX_STATE_PENDING,
        pb.PREFIX_STATE_NORMAL,
    ]

"""Proves node/toplevel/audit.py: not before its time, once each, and by itself once something is filed."""

import asyncio
from typing import Any

from node.toplevel import audit, books
from proto import uplink_pb2 as pb
from tests.waiting import until

LEATHER, CARS = "88.999.1001", "88.999.2001"


async def test_a_filing_is_audited_when_it_is_due_and_not_before(top: Any):
    node = await top.enrolled()
    await node.file(LEATHER)
    top.clock[0] += 499
    assert await audit.audit(top.office.pool, top.office.switches, top.clock[0]) == 0
    top.clock[0] += 1
    assert await audit.audit(top.office.pool, top.office.switches, top.clock[0]) == 1
    assert await audit.audit(top.office.pool, top.office.switches, top.clock[0]) == 0
    assert (await node.poll()).count == 1


async def test_many_at_once_are_audited_once_each(top: Any):
    node = await top.enrolled()
    for number in range(30):
        await node.file(f"88.999.{number}")
    top.clock[0] += 500
    took = await asyncio.gather(*(audit.audit(top.office.pool, top.office.switches, top.clock[0]) for _ in range(5)))
    assert sum(took) == 30
    assert (await node.poll()).count == 30


async def test_the_refusal_rate_refuses(top: Any):
    top.fault(refusal_rate=1.0)
    node = await top.enrolled()
    await node.file(LEATHER)
    await top.audit()
    assert (await node.poll()).message.audit.state == pb.PREFIX_STATE_REFUSED


async def test_with_a_full_queue_filings_stay_pending(top: Any, monkeypatch: Any):
    monkeypatch.setattr(books, "MESSAGES_MOST", 1)
    node = await top.enrolled()
    await node.file(LEATHER)
    await node.file(CARS)
    await node.file("88.999.3001")
    told = []
    for left in (2, 1, 0):
        await top.audit()
        message = (await node.poll()).message
        told.append(message.audit.prefix)
        states = await top.office.pool.fetch("SELECT state FROM toplevel.prefix")
        assert [row["state"] for row in states].count(pb.PREFIX_STATE_PENDING) == left, "decided and told, or neither"
        await node.ask("Acknowledge", pb.AcknowledgeRequest(id=message.id))
    assert sorted(told) == [LEATHER, CARS, "88.999.3001"]


async def test_it_goes_by_itself_and_survives_books_that_are_away_for_a_moment(top: Any):
    node = await top.enrolled()
    running = asyncio.create_task(audit.run(top.office))
    try:
        await node.file(LEATHER)
        top.clock[0] += 500

        async def told() -> bool:
            return bool((await node.poll()).count)

        await until(told, "the audit")
        await top.office.pool.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE pid <> pg_backend_pid() AND datname = current_database() AND backend_type = 'client backend'"
        )
        await node.file(CARS)
        top.clock[0] += 500

        async def both() -> bool:
            return (await node.poll()).count == 2

        await until(both, "the second audit")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

"""The uplink whole: real nodes under a real simulated top-level node, through refusals, losses, deaths and elections.

Proves node/uplink/process.py, sync.py, its steps and all they use, as an operator would see it.
"""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest

from registry.prefix import PrefixState
from tests.waiting import until
from tests.whole.calls import Caller, kill_children
from tests.whole.uplink_world import OTHER, PREFIX, Land, TopLevel, ended, rows

BATCH = "/identityv2/data/batchCreate"


@pytest.fixture
async def land(tmp_path: Path, database: str) -> AsyncIterator[Land]:
    """A database with one enterprise whose prefix is to be filed, and a top-level node."""
    connection = await asyncpg.connect(database)
    made = Land(database, tmp_path, connection, TopLevel(database, tmp_path / "toplevel.log"))
    with ended(made):
        made.enterprise()
        made.toplevel.start()
        yield made
    await connection.close()


def register(writer: Caller, name: str, count: int, prefix: str = PREFIX) -> None:
    given = rows(name, count, prefix)
    for at in range(0, count, 1000):
        reply = writer.call("POST", BATCH, given[at : at + 1000])
        assert {row["msg"] for row in reply.json["data"]} <= {"success", "标识已存在"}, reply.json


async def test_a_prefix_is_filed_approved_and_in_step(land: Land) -> None:
    assert await land.state() == PrefixState.PENDING
    machine = land.machine()
    await land.until_state(PrefixState.ENABLED)
    assert "已通过 approved" in land.idnode("enterprise", "list")
    writer = await asyncio.to_thread(land.writer, machine)
    await asyncio.to_thread(register, writer, "A", 3000)
    writer.call("DELETE", "/identityv2/data", {"handle": f"{PREFIX}/BAG-A-000000"})
    book = await land.until_agreed()
    assert book["live"] == 2999
    assert machine.metric("idnode_uplink_is_voice") == 1
    assert machine.metric("idnode_uplink_chain_broken") == 0
    await until(lambda: machine.metric('idnode_database_connections{pool="uplink"') > 0, "its connections are told")
    # From commit to receipt when nothing else is to do.
    waits = []
    for n in range(5):
        began = time.monotonic()
        await asyncio.to_thread(register, writer, f"B{n}", 1)
        await land.until_agreed()
        waits.append(time.monotonic() - began)
    assert sorted(waits)[2] < 1.0, waits
    told = await land.connection.fetch("SELECT prefix, serial, told, http_port FROM route ORDER BY prefix")

    async def routed() -> bool:
        told = await land.connection.fetch("SELECT prefix, serial = told, http_port FROM route ORDER BY prefix")
        return [tuple(row) for row in told] == [("88.999", True, machine.http), (PREFIX, True, machine.http)]

    await until(routed, f"routes are told: {told}")


async def test_windows_count_everything_once(land: Land) -> None:
    machine = land.machine()
    await land.until_state(PrefixState.ENABLED)
    writer = await asyncio.to_thread(land.writer, machine)
    await asyncio.to_thread(register, writer, "A", 50)
    for n in range(7):
        assert machine.door.status(f"/api/handles/{PREFIX}/BAG-A-{n:06d}") == 200
    assert machine.door.status(f"/api/handles/{PREFIX}/BAG-NONE") == 404
    os.kill(machine.uplink, signal.SIGKILL)
    await land.until_agreed()
    await until(lambda: "fence=2" in machine.log.read_text(), "its successor speaks")
    machine.kill(signal.SIGTERM)  # what was counted since is told at the stop
    counted = await land.connection.fetchrow(
        "SELECT sum(registered), sum(updated), sum(deleted), sum(resolved), sum(resolve_failed) FROM statistics"
    )
    assert tuple(counted) == (50, 0, 0, 7, 1)


async def test_refused_filed_again_suspended_resumed_and_verified(land: Land) -> None:
    land.toplevel.control("POST", "audit", {"prefix": PREFIX, "refuse": True, "reason": "证照不符"})
    machine = land.machine()
    await land.until_state(PrefixState.REFUSED)
    assert "被驳回 refused：证照不符" in land.idnode("enterprise", "list")
    writer = await asyncio.to_thread(land.writer, machine)
    refused = writer.call("POST", BATCH, rows("A", 1)).json["data"][0]["msg"]
    assert "被驳回" in refused
    land.toplevel.control("POST", "audit", {"prefix": PREFIX, "refuse": False})
    land.enterprise()
    await land.until_state(PrefixState.ENABLED)
    land.toplevel.control("PUT", "faults", {"duplicate_rate": 1.0, "lost_receipt_rate": 0.3})
    await asyncio.to_thread(register, writer, "A", 10)
    handle = f"/api/handles/{PREFIX}/BAG-A-000001"
    assert machine.door.status(handle) == 200
    land.toplevel.control("POST", "orders", {"kind": "suspend", "prefix": PREFIX, "reason": "抽查"})
    await land.until_state(PrefixState.STOPPED)
    await until(lambda: machine.door.call("GET", handle).json["responseCode"] == 301, "it is answered no more")
    assert "被停用 suspended" in land.idnode("enterprise", "list")
    land.toplevel.control("POST", "orders", {"kind": "resume", "prefix": PREFIX, "reason": "合格"})
    await land.until_state(PrefixState.ENABLED)
    await until(lambda: machine.door.status(handle) == 200, "it is answered again")
    before = await land.connection.fetchval("SELECT filed FROM particulars")
    land.toplevel.control("POST", "orders", {"kind": "verify", "prefix": PREFIX, "reason": "复核"})

    async def filed() -> bool:
        return bool(await land.connection.fetchval("SELECT filed > $1 AND filed = revision FROM particulars", before))

    await until(filed, "the particulars are filed again")
    land.toplevel.control("PUT", "faults", {})
    await land.until_agreed()
    stops = await land.connection.fetchval("SELECT count(*) FROM change, unnest(kinds) kind WHERE kind = 11")
    # The one suspension, however often it was delivered; what never was open was not stopped.
    assert stops == 1


async def test_nothing_is_missing_or_twice_whatever_dies(land: Land) -> None:
    machine = land.machine()
    await land.until_state(PrefixState.ENABLED)
    writer = await asyncio.to_thread(land.writer, machine)
    land.toplevel.control("PUT", "faults", {"lost_receipt_rate": 0.4})
    registering = asyncio.create_task(asyncio.to_thread(register, writer, "A", 12_000))
    for _ in range(3):
        await asyncio.to_thread(kill_children, machine.process.pid if machine.process else 0, "node.uplink")
        number = (await land.stream())[0]
        await until(lambda number=number: _beyond(land, number), "more is registered")
    await asyncio.to_thread(land.toplevel.kill)
    await registering
    await asyncio.to_thread(register, writer, "B", 100)
    assert (await land.stream())[2] == 12_100, "registering does not need the top-level node"
    await asyncio.to_thread(land.toplevel.start)
    await land.until_agreed()
    assert int(await land.connection.fetchval("SELECT sum(registered) FROM statistics")) == 12_100


async def _beyond(land: Land, number: int) -> bool:
    now = await land.stream()
    return now[0] > number or now[2] >= 12_000


async def test_two_machines_have_one_voice_and_it_moves(land: Land) -> None:
    one = land.machine()
    await land.until_state(PrefixState.ENABLED)
    two = land.machine()
    writer = await asyncio.to_thread(land.writer, two)
    assert await land.fence() == 1
    await asyncio.to_thread(register, writer, "A", 2000)
    await land.until_agreed()

    # Its whole machine dies.
    began = time.monotonic()
    one.kill()
    await asyncio.to_thread(register, writer, "B", 2000)
    await land.until_agreed()
    assert time.monotonic() - began < 10
    assert await land.fence() == 2
    assert two.metric("idnode_uplink_is_voice") == 1

    # It is frozen: put out of office while it cannot know, and harmless when it wakes.
    one.start()
    frozen = two.uplink
    os.kill(frozen, signal.SIGSTOP)
    await asyncio.to_thread(register, writer, "C", 2000)
    await land.until_agreed()
    assert await land.fence() == 3
    assert one.metric("idnode_uplink_is_voice") == 1
    os.kill(frozen, signal.SIGCONT)
    await until(lambda: two.metric("idnode_uplink_is_voice") == 0, "the one that woke steps down")
    await asyncio.to_thread(register, writer, "D", 2000)
    book = await land.until_agreed()
    assert book["live"] == 8000
    assert await land.fence() == 3


async def test_a_prefix_that_was_open_before_there_was_a_top_level_node_is_filed_too(land: Land) -> None:
    land.enterprise(OTHER, IDNODE_TOPLEVEL_URL="")
    assert await land.state(OTHER) == PrefixState.ENABLED
    machine = land.machine()
    await land.until_agreed(OTHER)
    await land.until_agreed()
    assert await land.state(OTHER) == PrefixState.ENABLED
    assert await land.connection.fetchval("SELECT count(*) FROM change, unnest(kinds) kind WHERE kind = 11") == 0
    await until(lambda: machine.metric("idnode_uplink_queue_changes") == 0, "the operator sees that it is told")


async def test_books_that_do_not_agree_are_told_and_left_while_others_go_on(land: Land) -> None:
    machine = land.machine()
    land.enterprise(OTHER)
    await land.until_state(PrefixState.ENABLED)
    await land.until_state(PrefixState.ENABLED, OTHER)
    writer = await asyncio.to_thread(land.writer, machine)
    other = await asyncio.to_thread(land.writer, machine, OTHER)
    await asyncio.to_thread(register, writer, "A", 10)
    book = await land.until_agreed()
    # Somebody changes the past of one stream.
    await land.connection.execute(
        "UPDATE change SET head = sha256(head) FROM prefix p WHERE p.number = prefix_no AND p.name = $1", PREFIX
    )
    os.kill(machine.uplink, signal.SIGKILL)
    await until(lambda: machine.metric("idnode_uplink_chain_broken") == 1, "the operator is told")
    await asyncio.to_thread(register, writer, "B", 10)
    await asyncio.to_thread(register, other, "B", 10, OTHER)
    await land.until_agreed(OTHER)
    assert land.toplevel.book(PREFIX) == book
    assert "uplink_chain_broken" in machine.log.read_text()

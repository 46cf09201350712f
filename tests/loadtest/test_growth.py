"""Proves loadtest/growth: what is filled equals what the node writes, and what was measured is told.

The whole command is tried in tests/whole/test_growth_load.py.
"""

import asyncio
import json
from dataclasses import replace
from typing import Any

import asyncpg
import pytest

from loadtest.growth import __main__ as command
from loadtest.growth import cluster
from loadtest.growth.cluster import Room
from loadtest.growth.filling import filled
from loadtest.growth.form import Form, FormError
from loadtest.growth.measure import Reading, Turn, Writing, beside
from loadtest.growth.report import SCHEMA, Begun, Filled, Grown, Told, document, html, table
from loadtest.population import CHUNK, ITEMS, TEMPLATE, Population, texts
from proto.identifier import Identifier
from proto.value import Value
from registry.postgres.connection import open_pool
from registry.postgres.migrate import migrate
from registry.registrar import Job, Written
from registry.rules import Request
from registry.template import Item
from tests.registry.world import BAG, NOW, PREFIX, World, founded

# --- The form --------------------------------------------------------------------------------------------------------


def test_a_form_is_learned_from_rows_and_makes_others():
    form = Form.learned([(b"\0\2a\3bc", ("a", "bc")), (b"\0\3xy\2z", ("xy", "z"))])
    assert form.body(("x", "y")) == b"\0\2x\2y"
    assert form.body(("12", "34")) == b"\0\x0312\x0334"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(b"\0\2a", ("a",)), (b"\1\2b", ("b",))], "not always written down alike"),
        ([(b"\0\2a", ("b",))], "does not hold the text b"),
        ([(b"\0\2a!", ("a",))], "holds more than its texts"),
    ],
)
def test_rows_that_do_not_agree_teach_nothing(rows: list[tuple[bytes, tuple[str]]], said: str):
    with pytest.raises(FormError, match=said):
        Form.learned(rows)


def test_a_length_that_no_row_had_is_not_guessed():
    with pytest.raises(FormError, match="No row had a text as long as abc"):
        Form.learned([(b"\0\2a", ("a",))]).body(("abc",))


# --- The filler, beside the node's own registrar ---------------------------------------------------------------------

POPULATION = Population((PREFIX,), 3, 2 * CHUNK)
ROWS = "SELECT prefix_no, suffix, version, template_no, actor_no, body FROM record ORDER BY suffix"
CHANGES = "SELECT number, head, suffixes, versions, kinds, templates, digests FROM change ORDER BY number"


async def settled(url: str, *chunks: range) -> World:
    """A world with our template, in which these members were registered by the node's own registrar."""
    pool = await open_pool(url, size=2, name="idnode-test")
    world = await founded(url, pool)
    items = tuple(Item(each.index, each.name, each.zh, most=each.most) for each in ITEMS)
    await world.steward.add_template(replace(BAG, version=TEMPLATE, items=items))
    for chunk in chunks:
        jobs = [Job(asked(number), world.owner) for number in chunk]
        assert all(isinstance(each, Written) for each in await world.registrar().write(jobs, NOW))
    return world


def asked(number: int) -> Request:
    serial = POPULATION.serial(number)
    values = tuple(Value(i.index, i.name, text.encode()) for i, text in zip(ITEMS, texts(serial, number), strict=True))
    return Request("create", Identifier.parse(f"{PREFIX}/{serial}"), TEMPLATE, values)


async def test_what_is_filled_is_what_the_node_writes_octet_for_octet(database: str, empty_database: str):
    connection = await asyncpg.connect(empty_database)
    await migrate(connection)
    await connection.close()
    first, second = POPULATION.chunks()
    whole, begun = await settled(database, first, second), await settled(empty_database, first)

    told: list[int] = []
    rows, seconds = await filled(begun.url, POPULATION, told.append)
    assert (rows, told) == (CHUNK, [2 * CHUNK])
    assert seconds > 0
    assert await begun.ask(ROWS) == await whole.ask(ROWS)
    assert await begun.ask(CHANGES) == await whole.ask(CHANGES)
    assert await begun.one("SELECT head FROM stream ORDER BY prefix_no LIMIT 1") == await whole.one(
        "SELECT head FROM stream ORDER BY prefix_no LIMIT 1"
    )
    assert len(await begun.stream()) == 1 + 2 * CHUNK  # the chain, proven by the digests of what stands there

    assert await filled(begun.url, POPULATION, told.append) == (0, pytest.approx(0, abs=5))
    room = await cluster.room(begun.url)
    assert room.records == 2 * CHUNK
    assert 400 < room.each("table") < 600
    assert await cluster.vacuumed(begun.url) > 0
    assert await cluster.checkpointed(begun.url) > 0
    for world in (whole, begun):
        world.pool.terminate()


async def test_the_files_of_a_cluster_are_found_where_its_socket_is(database: str):
    assert any(path.name == "PG_VERSION" for path in cluster.files(database))
    cluster.remember(database)
    assert cluster.files("postgresql://idnode@example.org/idnode") == []
    assert not cluster.forget("postgresql://idnode@/idnode?host=/nowhere&port=5432")


# --- Beside housework ------------------------------------------------------------------------------------------------


async def test_housework_goes_on_until_the_work_is_done_and_is_waited_for():
    told: list[str] = []
    thrice = asyncio.Event()

    async def housework() -> None:
        await asyncio.sleep(0)
        told.append("swept")
        if len(told) == 3:
            thrice.set()

    async def work() -> str:
        await thrice.wait()
        told.append("done")
        return "all"

    assert await beside(housework, work()) == "all"
    assert told[:4] == ["swept", "swept", "swept", "done"]


# --- What is told ----------------------------------------------------------------------------------------------------


def grown(records: int, p50: float, rows: float) -> Grown:
    reading, writing = Reading(p50, 2 * p50, 1000 / p50, {"PostgreSQL": 40.0}), Writing(rows, {"PostgreSQL": 9.0})
    octets = {"table": 512 * records, "index": 41 * records, "history": 0, "changes": 43 * records, "database": 1}
    begun = Begun(421.0, Filled(records, 2.0), Room(records, octets), 1.5, 2.5, None)
    return Grown(begun, [Turn(reading, reading, writing)] * 3, reading, writing)


TOLD = Told(
    "2026-11-22T20:00:00+00:00", {"turns": 3}, {"loadtest": "1"}, [grown(100, 0.5, 5000), grown(900, 0.6, 4000)]
)


def test_the_largest_is_compared_with_the_smallest():
    assert TOLD.ratios == {
        "read_p50": pytest.approx([1.2] * 3),
        "read_rate": pytest.approx([1 / 1.2] * 3),
        "batch_rate": pytest.approx([0.8] * 3),
        "read_cpu": pytest.approx([1.0] * 3),
        "batch_cpu": pytest.approx([1.0] * 3),
    }
    said = table(TOLD)
    assert "read_p50: 1.20 (1.20 … 1.20) ≤ 1.5" in said
    assert "batch_rate: 0.80 (0.80 … 0.80) ≥ 0.7" in said
    assert "1.216" in said


def test_the_page_draws_each_size():
    said = html(TOLD)
    assert said.count("<svg") == 3
    assert "1.20 (1.20 … 1.20) ≤ 1.5" in said


def test_machines_are_told_everything():
    told: Any = json.loads(json.dumps(document(TOLD)))
    assert (told["schema"], told["kind"], told["started"]) == (SCHEMA, "growth", TOLD.started)
    assert [size["records"] for size in told["sizes"]] == [100, 900]
    size = told["sizes"][0]
    assert size["octets"]["table"] == {"total": 51_200, "each": 512.0}
    assert size["fill"] == {"rows": 100, "seconds": 2.0}
    assert size["read_from_disk"] is None
    assert size["turns"][0]["one"] == {"p50": 0.5, "p99": 1.0, "rate": 2000.0, "cpu": {"PostgreSQL": 40.0}}
    assert size["turns"][0]["batches"] == {"rate": 5000, "cpu": {"PostgreSQL": 9.0}}
    assert told["ratios"]["batch_rate"] == {"median": 0.8, "least": 0.8, "most": 0.8}


@pytest.mark.parametrize("sizes", [["9999"], ["20000", "10000"], ["10000", "10000"], ["2000000000"]])
def test_sizes_are_bounded_and_ascend(sizes: list[str], capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        command.main(["--sizes", *sizes])
    assert "records, ascending" in capsys.readouterr().err

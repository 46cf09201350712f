"""Proves registry/postgres/holdings.py and what the registrar keeps there: references stand with the records that
hold them, in the same commit, and are read backwards.
"""

from dataclasses import replace

import pytest

from proto.value import Value
from registry import steward
from registry.postgres import records
from registry.reference import Link
from registry.registrar import Written
from registry.rules import Refused, Request
from registry.template import Item
from tests.registry.world import NOW, OTHER, PREFIX, Interrupted, World, identifier, key, request, values

POINTERS = (
    Item(2000, "productName", "产品名称"),
    Item(2001, "leather", "皮料", kind="reference", count=9),
    Item(2002, "made", "产地", kind="reference", existing=True),
)


@pytest.fixture
async def pointing(world: World) -> World:
    """The world with a template `p` that has references."""
    assert await world.steward.add_template(replace(world.bag, version="p", items=POINTERS))
    return world


def pointer(operation: str, suffix: str, leather: str | None = None, made: str | None = None) -> Request:
    given = [Value(2000, "productName", b"x")]
    given += [Value(2001, "leather", leather.encode())] if leather is not None else []
    given += [Value(2002, "made", made.encode())] if made is not None else []
    return request(operation, suffix, *given, template="p")  # type: ignore[arg-type]


async def kept(world: World) -> list[tuple[str, str, int]]:
    rows = await world.ask("SELECT suffix, target, item FROM reference ORDER BY 1, 2, 3")
    return [tuple(row) for row in rows]


async def test_references_come_and_go_with_the_record(pointing: World):
    await pointing.write(pointer("create", "A", f"{key('L1')};{key('L2')}"), pointer("create", "B", key("L1")))
    assert await kept(pointing) == [("A", key("L1"), 2001), ("A", key("L2"), 2001), ("B", key("L1"), 2001)]
    await pointing.write(pointer("update", "A", f"{key('L2')};77.1/far"))
    assert await kept(pointing) == [("A", "77.1/far", 2001), ("A", key("L2"), 2001), ("B", key("L1"), 2001)]
    await pointing.write(request("delete", "A"), pointer("update", "B", ""))
    assert await kept(pointing) == []
    await pointing.write(pointer("create", "A", key("L9")))
    assert await kept(pointing) == [("A", key("L9"), 2001)]


async def test_what_loses_its_race_leaves_no_reference(pointing: World):
    await pointing.write(pointer("create", "A", key("L1")))
    outcomes = await pointing.write(pointer("create", "A", key("L2")), pointer("create", "B", key("L2")))
    assert isinstance(outcomes[0], Refused)
    assert outcomes[1] == Written(1, 1)
    assert await kept(pointing) == [("A", key("L1"), 2001), ("B", key("L2"), 2001)]
    # Lost inside the statement: somebody else wrote A in between.
    async with pointing.pool.acquire() as connection:
        won = await connection.fetchval(
            "SELECT keep_held(ARRAY[2], ARRAY[1, 2], ARRAY[true, true], ARRAY[$1, $1]::integer[],"
            " ARRAY['X', 'Y'], ARRAY[0, 0], ARRAY[2001, 2001], ARRAY['t', 't'])",
            pointing.prefix_no,
        )
    assert won == [2]
    assert [row for row in await kept(pointing) if row[1] == "t"] == [("Y", "t", 2001)]


async def test_prefixes_written_together_keep_theirs(pointing: World):
    await pointing.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    await pointing.steward.add_template(replace(pointing.bag, prefix=OTHER, version="p", items=POINTERS))
    other = pointer("create", "Z", key("L1"))._replace(identifier=identifier("Z", OTHER))
    jobs = pointing.jobs(pointer("create", "A", key("L1")), request("create", "N"))
    jobs += [jobs[0]._replace(request=other, who=pointing.admin)]
    assert await pointing.registrar().write_together(jobs, NOW) == [Written(1, 1)] * 3
    found = await pointing.lookup.referrers([key("L1"), "77.1/nobody"], 9, 9)
    assert [(each.prefix, each.suffix, each.item) for each in found] == [(PREFIX, "A", 2001), (OTHER, "Z", 2001)]
    assert [each.suffix for each in await pointing.lookup.referrers([key("L1")], 1, 9)] == ["A"]
    assert [each.suffix for each in await pointing.lookup.referrers([key("L1")], 9, 1)] == ["A"]


async def test_a_batch_without_references_pays_nothing(pointing: World, monkeypatch: pytest.MonkeyPatch):
    asked = []
    committing = records.holdings.committing
    monkeypatch.setattr(records.holdings, "committing", lambda *given: asked.append(given) or committing(*given))
    await pointing.write(request("create", "A"), request("create", "B", *values("包")))
    await pointing.write(pointer("create", "C"))
    assert asked == []
    await pointing.write(pointer("create", "D", key("C")))
    assert len(asked) == 1


async def test_what_must_be_there_is_there_or_comes_before_it(pointing: World):
    outcomes = await pointing.write(pointer("create", "A", made=key("T")))
    assert isinstance(outcomes[0], Refused)
    assert (outcomes[0].field, outcomes[0].zh) == ("made", f"产地（made）引用的标识{key('T')}不存在")
    # In one group those before count; what lives elsewhere cannot be known, and is taken as it is said.
    outcomes = await pointing.write(
        request("create", "T"), pointer("create", "A", made=key("T")), pointer("create", "B", made="77.1/far")
    )
    assert outcomes == [Written(1, 1)] * 3
    await pointing.write(request("delete", "T"))
    outcomes = await pointing.write(pointer("update", "A", made=key("T")), pointer("create", "C", made=key("A")))
    assert isinstance(outcomes[0], Refused)
    assert outcomes[1] == Written(1, 1)
    # What was written before stays, whatever became of what it points to.
    assert isinstance((await pointing.write(pointer("update", "A", leather=key("L"))))[0], Written)


async def test_references_of_records_from_before_are_noted_later(pointing: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(steward, "REFER_MOST", 2)
    await pointing.write(*(pointer("create", f"A{n}", f"{key('L1')};{key(f'L{n}')}") for n in range(5)))
    await pointing.write(request("delete", "A4"), request("create", "N"))
    noted = await kept(pointing)
    assert len(noted) == 7
    await pointing.ask("DELETE FROM reference")
    assert [count async for count in pointing.steward.refer()] == [2, 4, 4]
    assert await kept(pointing) == noted
    assert [count async for count in pointing.steward.refer()] == [2, 4, 4]
    assert await kept(pointing) == noted
    async with pointing.pool.acquire() as connection:  # read before it changed: its writer has noted what it holds now
        await records.holdings.refer(connection, [(pointing.prefix_no, "A0", 7, Link(2001, "77.1/old"))])
    assert await kept(pointing) == noted


# --- Claims ------------------------------------------------------------------------------------------------

UNIQUE = (
    Item(2000, "productName", "产品名称"),
    Item(2001, "vin", "车架号", unique=True),
    Item(2002, "plate", "车牌", unique=True),
)


@pytest.fixture
async def claiming(world: World) -> World:
    """The world with templates `u` and `u2` in which vin and plate are unique."""
    for version in ("u", "u2"):
        assert await world.steward.add_template(replace(world.bag, version=version, items=UNIQUE))
    return world


def car(operation: str, suffix: str, vin: str | None = None, plate: str | None = None, template: str = "u") -> Request:
    given = [Value(2000, "productName", b"x")]
    given += [Value(2001, "vin", vin.encode())] if vin is not None else []
    given += [Value(2002, "plate", plate.encode())] if plate is not None else []
    return request(operation, suffix, *given, template=template)  # type: ignore[arg-type]


def said(outcome: object) -> str:
    return outcome.zh if isinstance(outcome, Refused) else "written" if isinstance(outcome, Written) else repr(outcome)


TAKEN = "车架号（vin）的值已被模板u的另一个标识使用"


async def test_a_value_is_one_live_identifiers(claiming: World):
    async def write(*requests: Request) -> list[str]:
        return [said(outcome) for outcome in await claiming.write(*requests)]

    assert await write(car("create", "A", "V1"), car("create", "B", "V2")) == ["written"] * 2
    assert await write(car("create", "C", "V1")) == [TAKEN]
    assert await write(car("update", "B", "V1")) == [TAKEN]
    assert await write(car("update", "A", "V1", "P1")) == ["written"]  # its own
    # Empty says nothing, another template is another matter.
    assert (
        await write(car("create", "C", ""), car("create", "D", ""), car("create", "E", "V1", template="u2"))
        == ["written"] * 3
    )
    # In one group: the second of two, and what is let go of before.
    assert await write(car("create", "F", "V3"), car("create", "G", "V3")) == ["written", TAKEN]
    assert await write(car("update", "F", "V4"), car("create", "G", "V3")) == ["written"] * 2
    # A deleted one lets go; one that goes over to another template takes its values along.
    assert await write(request("delete", "A")) == ["written"]
    assert await write(car("create", "H", "V1", "P1")) == ["written"]
    assert await write(car("create", "A", "V1")) == [TAKEN]
    assert await write(car("update", "H", "V9", template="u2")) == ["written"]
    assert await write(car("create", "A", "V1")) == ["written"]


async def test_of_two_who_want_a_value_at_once_one_has_it(claiming: World):
    """Judged apart, both are right; the table sees to it that one lands, and the other is judged again."""
    late = claiming.jobs(car("create", "LATE", "V1"))

    async def first() -> None:
        assert await claiming.write(car("create", "FIRST", "V1")) == [Written(1, 1)]

    interrupted = Interrupted(claiming.pool, first)
    (outcome,) = await claiming.registrar(pool=interrupted).write(late, NOW)
    assert said(outcome) == TAKEN
    rows = await claiming.ask("SELECT suffix FROM record")
    assert [row["suffix"] for row in rows] == ["FIRST"]
    assert [tuple(row) for row in await claiming.ask("SELECT suffix, item FROM claim")] == [("FIRST", 2001)]


async def test_together_a_race_for_a_value_is_run_again_alone(claiming: World):
    late = claiming.jobs(car("create", "LATE", "V1"), request("create", "OTHER"))

    async def first() -> None:
        await claiming.write(car("create", "FIRST", "V1"))

    registrar = claiming.registrar(pool=Interrupted(claiming.pool, first))
    assert await registrar.write_together(late, NOW) == [None, None]
    outcomes = await claiming.registrar().write(late, NOW)
    assert [said(outcome) for outcome in outcomes] == [TAKEN, "written"]

"""A prefix moves between two nodes, each a database of its own: nothing is lost, the stream goes on where it stood, and
a parcel that is not as it was sent is taken in nowhere. So registry/postgres/parcels.py is proven, too.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from proto.chain import Kind
from proto.signed import lets_go, public_key
from proto.uplink_pb2 import Release
from proto.value import Value
from registry import parcel, record
from registry.account import Account, Vault
from registry.auditor import Auditor
from registry.blanker import Blanked, Blanker
from registry.clerk import Clerk
from registry.drafting import next_version
from registry.filing import Filing, Told
from registry.lookup import Lookup
from registry.mover import erase, pack, signing_key, unpack
from registry.parcel import ParcelError, Way, read, seal, sealed
from registry.postgres.audit import Wanted
from registry.postgres.connection import connected, open_pool
from registry.prefix import PrefixState
from registry.registrar import Written
from registry.rights import Role
from registry.rules import Request
from registry.steward import Steward
from registry.template import Item, State
from tests.registry.world import BAG, NOW, OTHER, PREFIX, Ear, World, identifier, key, request, values

KEY = bytes(range(32))
WAY = Way("88.999", "88.777", 1_700_000_000_000)
SECRET = "张三丰"


async def lived(world: World) -> None:
    """A life with every kind of change, two templates, a record without one, something blanked, old changes bound."""
    await world.steward.add_template(replace(BAG, version="bag2"))
    await world.write(*(request("create", f"S{n}", *values(f"包{n}")) for n in range(1200)))
    await world.write(request("create", "A", *values(SECRET, "1")), now=100)
    await world.write(request("update", "A", *values("改", "1"), template="bag2"), now=200)
    await world.write(request("delete", "S1"))
    await world.write(request("delete", "S2"))
    await world.write(request("create", "S2", *values("又")))
    raw = (Value(100, "HS_ADMIN", b"\xff", ttl=60, timestamp=7, permissions=0),)
    mover = replace(world.owner, kind="person")
    (moved,) = await world.registrar().write(
        [
            world.jobs(request("create", "RAW"))[0]._replace(
                request=request("create", "RAW")._replace(values=raw, moved=True, template=""), who=mover
            )
        ],
        NOW,
    )
    assert isinstance(moved, Written)
    blanker = Blanker(world.pool, world.lookup, world.ear)
    assert await blanker.blank(identifier("A"), {"productName"}, world.owner, "本人请求", 300) == Blanked(3, [1, 2])
    await world.one("SELECT bind_changes($1, 6, now() + interval '1 day', 4, 100000)", world.prefix_no)


async def packed(world: World, prefix: str = PREFIX) -> list[bytes]:
    async with connected(world.url, "idnode-test") as connection:
        return [octets async for octets in pack(connection, prefix, WAY, KEY)]


@asynccontextmanager
async def another(url: str) -> AsyncIterator[World]:
    """Another node, with an enterprise and prefix of its own."""
    pool = await open_pool(url, size=3, name="idnode-test")
    steward, lookup = Steward(pool), Lookup(pool)
    await steward.enrol("别的企业", "Other", "automotive", OTHER)
    await steward.add_template(replace(BAG, prefix=OTHER))
    admin = Account(0, "admin", "person", Role.SYSTEM_ADMIN, None)
    await steward.put_account(admin, password="$argon2id$")
    yield World(url, pool, steward, lookup, BAG, 0, admin, admin, Ear())
    await pool.close()


async def taken_in(url: str, lines: list[bytes]) -> parcel.Head:
    async with connected(url, "idnode-test") as connection:
        return await unpack(connection, lines, WAY.to)


async def seen(world: World) -> list[Any]:
    """Everything history shows of some identifiers, but for who wrote it."""
    named = [await world.lookup.history(identifier(suffix)) for suffix in ("A", "S1", "S2", "S1199", "RAW")]
    return [
        [(e.record._replace(template=0), e.template and e.template.version, e.blanked) for e in entries]
        for entries in named
    ]


async def test_a_prefix_goes_to_another_node_with_all_its_past_and_goes_on_there(
    world: World, other_database: str
) -> None:
    await lived(world)
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    lines = await packed(world)
    before, stood = (
        await seen(world),
        await world.ask("SELECT number, head, live, octets FROM stream WHERE sub = 0 AND number > 0"),
    )
    assert sealed(lines).key == public_key(KEY)
    async with another(other_database) as there:
        head = await taken_in(there.url, lines)
        assert (head.prefix, head.enterprise, head.number) == (PREFIX, "天马皮具", stood[0]["number"])
        number = await there.one("SELECT number FROM prefix WHERE name = $1", PREFIX)
        columns = "SELECT number, head, live, octets FROM stream WHERE prefix_no = $1"
        assert await there.ask(columns, number) == stood
        assert await seen(there) == before
        told_of = [(row.action, row.objects) for row in await Auditor(there.pool).page(Wanted(), 2**62, 2)]
        assert told_of == [("prefix_moved_in", [PREFIX]), ("enterprise_enrolled", ["天马皮具"])]
        (let_go,) = await there.ask("SELECT node, number, head, made, signature FROM release")
        lets_go(PREFIX, WAY.to, Release(**dict(let_go)), public_key(KEY))
        assert await there.one("SELECT number FROM receipt WHERE prefix_no = $1", number) == head.number
        entries = await there.stream()

        assert (
            told(await there.write(request("update", "A", *values("新", "2"), template="bag2")))[0] == "prefix_closed"
        )
        assert await there.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
        assert await there.write(request("update", "A", *values("新", "2"), template="bag2")) == [
            Written(Kind.UPDATED, 4)
        ]
        assert await there.write(request("create", "S1")) == [Written(Kind.REVIVED, 3)]
        assert [entry[0] for entry in (await there.stream())[len(entries) :]] == ["", "A", "S1"]
        assert (await there.one("SELECT live FROM stream WHERE prefix_no = $1", number)) == stood[0]["live"] + 1
        with pytest.raises(ParcelError, match="已在本节点"):
            await taken_in(there.url, lines)


HELD = (
    Item(2000, "productName", "产品名称"),
    Item(2001, "vin", "车架号", unique=True),
    Item(2002, "leather", "皮料", kind="reference", count=9),
)


def held(suffix: str, vin: str, *leather: str, template: str = "held2") -> Request:
    given = Value(2001, "vin", vin.encode()), Value(2002, "leather", ";".join(map(key, leather)).encode())
    return request("create", suffix, *given, template=template)


async def lines_of(world: World) -> list[list[tuple[str, int, State]]]:
    """The templates of each line: version, revision, state."""
    found = [await world.lookup.named_template(PREFIX, version) for version in ("bag", "held2")]
    lines = [await world.lookup.line(template) for template in found if template]
    return [[(each.version, each.revision, each.state) for each in line] for line in lines]


async def test_what_templates_say_holds_at_the_other_node_too(world: World, other_database: str) -> None:
    first = replace(BAG, version="held", items=HELD)
    assert await world.steward.add_template(first)
    kept = await world.lookup.named_template(PREFIX, "held")
    assert kept
    for version, state in (("held2", State.PUBLISHED), ("held3", State.WITHDRAWN), ("held4", State.DRAFT)):
        assert await world.steward.add_template(replace(next_version(kept, version), state=state))
    assert await world.steward.remove_template(kept.number)
    await world.write(held("A", "V1", "L1", "L2"), held("B", "V2", "L1"), held("GONE", "V3", "L1"))
    await world.write(request("delete", "GONE"))
    await world.ask("UPDATE template SET told = 1000")
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    lines, before = await packed(world), await lines_of(world)
    async with another(other_database) as there:
        await there.steward.add_template(replace(first, prefix=OTHER))
        await taken_in(there.url, lines)
        assert await there.one("SELECT count(*) FROM template WHERE told > 0") == 0
        assert before[1] == [("held2", 2, 1), ("held3", 3, 2), ("held4", 4, 0)]
        assert await lines_of(there) == before
        found = await there.lookup.referrers([key("L1"), key("L2")], 9, 9)
        assert [(each.target, each.prefix, each.suffix, each.item) for each in found] == [
            (key("L1"), PREFIX, "A", 2002),
            (key("L1"), PREFIX, "B", 2002),
            (key("L2"), PREFIX, "A", 2002),
        ]

        await there.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
        assert told(await there.write(held("C", "V1"))) == ["value"]
        assert await there.write(held("C", "V3")) == [Written(Kind.CREATED, 1)]
        last = await there.lookup.named_template(PREFIX, "held3")
        assert last
        assert await there.steward.add_template(next_version(last, "held5"))
        assert (await lines_of(there))[1] == [*before[1], ("held5", 5, State.DRAFT)]


def told(outcomes: list[Any]) -> list[str]:
    return [outcome.rule.value for outcome in outcomes]


async def test_it_goes_where_it_is_for_and_waits_there_for_the_national_node(world: World, other_database: str) -> None:
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    lines = await packed(world)
    async with connected(other_database, "idnode-test") as connection:
        with pytest.raises(ParcelError, match="给节点"):
            await unpack(connection, lines, "88.999")
        await unpack(connection, lines, WAY.to, filed=True)
        assert await connection.fetchval("SELECT state FROM prefix ORDER BY number") == PrefixState.PENDING


async def test_what_has_moved_away_is_erased_and_may_come_back(world: World, other_database: str) -> None:
    await lived(world)
    await world.one("INSERT INTO filing (prefix_no, state) VALUES ($1, $2)", world.prefix_no, Filing.APPROVED)
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    lines = await packed(world)
    async with connected(world.url, "idnode-test") as mine, another(other_database) as there:
        with pytest.raises(ParcelError, match="没有迁出"):
            await erase(mine, PREFIX)
        await Clerk(world.pool, 0, 300, Vault(KEY)).take_in(Told(PREFIX, "moved"))
        assert await world.lookup.prefix(PREFIX) is None
        await taken_in(there.url, lines)
        await there.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
        assert await there.write(request("create", "NEW")) == [Written(Kind.CREATED, 1)]
        await there.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
        with pytest.raises(ParcelError, match="已在本节点"):
            await unpack(mine, lines, WAY.to)
        async with connected(there.url, "idnode-test") as theirs:
            with pytest.raises(ParcelError, match="没有迁出"):
                await erase(theirs, PREFIX)
            lines = [octets async for octets in pack(theirs, PREFIX, Way("88.777", "88.999", 9), KEY)]

        await erase(mine, PREFIX)
        for table in ("record", "history", "change", "change_volume", "blanked", "template", "receipt"):
            assert await world.one(f"SELECT count(*) FROM {table} WHERE prefix_no = $1", world.prefix_no) == 0
        await unpack(mine, lines, "88.999")
        assert await seen(world) == await seen(there)
        assert await world.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
        assert await world.write(request("delete", "NEW")) == [Written(Kind.DELETED, 2)]


async def test_what_came_in_vain_is_erased(world: World, other_database: str) -> None:
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    lines = await packed(world)
    async with another(other_database) as there, connected(other_database, "idnode-test") as theirs:
        for _ in range(2):
            await unpack(theirs, lines, WAY.to, filed=True)
            await erase(theirs, PREFIX)
        assert await there.lookup.prefix(PREFIX) is None
        assert [row.action for row in await Auditor(there.pool).page(Wanted(), 2**62, 1)] == ["prefix_erased"]


async def test_what_is_open_or_nobodys_is_not_packed(world: World) -> None:
    with pytest.raises(ParcelError, match="先停用"):
        await packed(world)
    with pytest.raises(ParcelError, match="不属于"):
        await packed(world, OTHER)


Change = Callable[[Any], Any]


def edited(lines: list[bytes], kind: type, change: Change, which: int = 0) -> list[bytes]:
    """`lines` with one of a kind changed (None: left out), sealed anew by whoever did that."""
    found = [n for n, octets in enumerate(lines[:-1]) if isinstance(read(octets), kind)]
    at = found[which]
    new = change(read(lines[at]))
    body = lines[:at] + ([msgspec.json.encode(new) + b"\n"] if new is not None else []) + lines[at + 1 : -1]
    head = read(body[0])
    assert isinstance(head, parcel.Head)
    return [*body, seal(parcel.sha256(b"".join(body)).digest(), head, KEY)]


def replaced(**fields: Any) -> Change:
    return lambda line: msgspec.structs.replace(line, **fields)


TWICE = record.pack((Value(2001, "vin", b"V9"),), {2001: "vin"}, 0)
FORGED: list[tuple[type, Change, int, str]] = [
    (parcel.ChangeLine, replaced(head=bytes(32)), 1, "断开"),
    (parcel.ChangeLine, lambda _: None, 1, "断开"),
    (parcel.ChangeLine, lambda _: None, -1, "不完整"),
    (parcel.Head, replaced(number=1), 0, "不完整"),
    (parcel.VersionLine, replaced(body=b"\x00\x02x"), 0, "不符"),
    (parcel.VersionLine, lambda _: None, 0, "不符"),
    (parcel.VersionLine, lambda _: None, -1, "不符"),
    (parcel.VersionLine, replaced(newest=False), 0, "不符"),
    (parcel.VersionLine, replaced(version=9), 0, "不符"),
    (parcel.VersionLine, replaced(template=""), 0, "不符"),
    (parcel.VersionLine, replaced(template="held2"), 1, "不符"),
    (parcel.TemplateLine, lambda _: None, 0, "缺少模板bag"),
    (parcel.BlankedLine, lambda _: None, 0, "不符"),
    (parcel.VersionLine, replaced(template="held2", body=b"\x80"), 0, "读不懂"),
    (parcel.VersionLine, replaced(template="held2", body=TWICE), 0, "不接受"),
    (parcel.TemplateLine, lambda line: line.row["items"].append({}) or line, 0, "读不懂"),
    (parcel.VersionLine, replaced(suffix="a\0"), 0, "不接受"),
    (parcel.ChangeLine, replaced(made="gestern"), 0, "不接受"),
    (parcel.VersionLine, lambda _: parcel.Head(1, "88.9.9", *WAY, "", "", "", 0, b""), 0, "读不懂"),
]


async def test_what_is_not_as_the_chain_says_is_taken_in_nowhere(world: World, other_database: str) -> None:
    await world.write(request("create", "A", *values(SECRET, "1")))
    await world.write(request("create", "B"))
    await world.write(request("update", "B", *values("改")))
    await Blanker(world.pool, world.lookup, world.ear).blank(identifier("A"), {"productName"}, world.owner, "r", NOW)
    await world.steward.add_template(replace(BAG, version="held2", items=HELD))
    await world.write(held("C", "V9"))
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    lines = await packed(world)
    for kind, change, which, said in FORGED:
        forged = edited(lines, kind, change, which)
        sealed(forged)
        with pytest.raises(ParcelError, match=said):
            await taken_in(other_database, forged)
    async with another(other_database) as there:
        assert await there.one("SELECT count(*) FROM enterprise") == 1
        assert await there.one("SELECT count(*) FROM change WHERE suffixes <> '{\"\"}'") == 0


async def test_the_node_signs_with_the_key_it_signs_everything_with(world: World) -> None:
    vault, other = Vault(KEY), Vault(bytes(32))
    async with connected(world.url, "idnode-test") as connection:
        assert await signing_key(connection, vault, b"1" * 32) == b"1" * 32
        assert await signing_key(connection, vault, b"2" * 32) == b"1" * 32
        assert await signing_key(connection, other, b"2" * 32) == b""

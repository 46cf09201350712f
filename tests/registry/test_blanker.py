"""Being forgotten on a real PostgreSQL: nothing is left of a value in any row, the chain holds, caches are told, races
lose nothing, and it may be done again.
"""

import asyncio
from dataclasses import replace
from hashlib import sha256

import pytest

from proto.chain import Kind
from proto.value import Value
from registry.blanker import Blanked, Blanker, without
from registry.errors import AuditFullError, UnavailableError
from registry.lookup import BlankedValue
from registry.postgres import blanked
from registry.postgres.connection import borrowed, open_pool
from registry.prefix import PrefixState
from registry.registrar import CONTENDED, ROUNDS, Written
from registry.rights import Role
from registry.rules import Refused, Rule
from registry.template import Item
from tests.registry.world import (
    LOCKED,
    NOW,
    OTHER,
    PREFIX,
    World,
    eventually,
    holding,
    identifier,
    key,
    request,
    values,
)

NAME = frozenset({"productName"})
SECRET = "张三丰"


def colour(text: str) -> Value:
    return Value(2002, "colour", text.encode())


async def forget(world: World, suffix: str, pool: object = None, types: frozenset[str] = NAME) -> Blanked | Refused:
    blanker = Blanker(pool or world.pool, world.lookup, world.ear)
    return await blanker.blank(identifier(suffix), types, world.owner, "本人请求", NOW + 9)


async def everything(world: World) -> str:
    """All that any table holds, as text."""
    tables = await world.ask("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return "\n".join([str(await world.ask(f"SELECT * FROM {table}")) for (table,) in tables])


async def test_nothing_is_left_of_a_value_in_any_row_and_all_else_stays(world: World) -> None:
    await world.write(request("create", "A", *values(SECRET, "1"), colour("红")), now=100)
    await world.write(request("update", "A", colour("绿")), now=200)
    await world.write(request("delete", "A"), now=300)
    await world.write(request("create", "A", *values(SECRET + "二")), now=400)
    digests = await world.ask("SELECT number, digests, head FROM change ORDER BY number")
    assert repr(SECRET.encode())[2:-1] in await everything(world)

    assert await forget(world, "A") == Blanked(5, [1, 2, 4])

    assert repr(SECRET.encode())[2:-1] not in await everything(world)
    entries = await world.lookup.history(identifier("A"))
    shown = [[(v.type, v.data.decode(), v.timestamp) for v in e.record.values] for e in entries]
    assert [(e.record.version, e.record.live, left) for e, left in zip(entries, shown, strict=True)] == [
        (5, True, []),
        (4, True, []),
        (3, False, []),
        (2, True, [("weight", "1", 100), ("colour", "绿", 200)]),
        (1, True, [("weight", "1", 100), ("colour", "红", 100)]),
    ]
    gone = [[(v.index, v.type, v.reason) for v in e.blanked] for e in entries]
    assert gone == [[], [(2000, "productName", "本人请求")], [], *[[(2000, "productName", "本人请求")]] * 2]
    assert isinstance(entries[1].blanked[0], BlankedValue)
    assert (await world.ask("SELECT number, digests, head FROM change ORDER BY number"))[:-1] == digests
    assert (await world.stream())[-1] == ("A", 5, Kind.UPDATED)
    body = await world.one("SELECT body FROM record")
    assert await world.one("SELECT digests FROM change ORDER BY number DESC LIMIT 1") == sha256(body).digest()
    assert world.ear.told[-2:] == [("pending", key("A")), ("written", (key("A"), 5))]
    assert await world.one("SELECT sum(octets) FROM stream") == await world.one(
        "SELECT sum(octet_length(body)) FROM (SELECT body FROM record UNION ALL SELECT body FROM history) kept"
    )


async def test_nothing_is_held_by_what_was_forgotten(world: World) -> None:
    items = (
        Item(2000, "productName", "产品名称"),
        Item(2001, "phone", "电话", unique=True),
        Item(2002, "buyer", "买方", kind="reference", count=9),
        Item(2003, "leather", "皮料", kind="reference"),
    )
    assert await world.steward.add_template(replace(world.bag, version="held", items=items))
    buyer, leather, phone = key("BUYER"), key("L"), Value(2001, "phone", b"13800000000")
    given = phone, Value(2002, "buyer", f"{leather};{buyer}".encode()), Value(2003, "leather", leather.encode())
    await world.write(request("create", "A", *given, template="held"))
    assert isinstance((await world.write(request("create", "B", phone, template="held")))[0], Refused)

    assert await forget(world, "A", types=frozenset({"phone", "buyer"})) == Blanked(2, [1])

    found = await world.lookup.referrers([buyer, leather], 9, 9)
    assert [(each.target, each.suffix, each.item) for each in found] == [(leather, "A", 2003)]
    assert await world.one("SELECT count(*) FROM claim") == 0
    assert await world.write(request("create", "B", phone, template="held")) == [Written(Kind.CREATED, 1)]


async def test_it_may_be_asked_again_and_then_does_nothing(world: World) -> None:
    await world.write(request("create", "A", *values(SECRET, "1")))
    assert await forget(world, "A") == Blanked(2, [1])
    before = await everything(world)
    assert await forget(world, "A") == Blanked(None, [])
    assert await everything(world) == before


async def test_of_a_deleted_identifier_history_is_blanked_and_no_version_made(world: World) -> None:
    await world.write(request("create", "A", *values(SECRET)))
    await world.write(request("delete", "A"))
    assert await forget(world, "A") == Blanked(None, [1])
    assert len(await world.stream()) == 3


async def test_a_value_that_was_replaced_long_ago_is_found_behind_many_versions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blanked, "VERSIONS_AT_ONCE", 2)
    await world.write(request("create", "A", *values(SECRET)))
    for n in range(5):
        await world.write(request("update", "A", *values(f"{n}")))
    await world.pool.execute("UPDATE record SET body = (SELECT body FROM history WHERE version = 1)")
    assert await forget(world, "A") == Blanked(7, [1, 2, 3, 4, 5, 6])
    assert await world.one("SELECT count(*) FROM blanked") == 6


async def test_no_quota_stands_in_its_way(world: World) -> None:
    await world.write(request("create", "A", *values(SECRET, "1")))
    assert world.owner.enterprise is not None
    await world.steward.set_quota(world.owner.enterprise, {"room": 0, "identifiers": 0})
    assert await forget(world, "A") == Blanked(2, [1])


async def test_who_may_not_write_may_not_blank(world: World) -> None:
    blanker = Blanker(world.pool, world.lookup, world.ear)
    stranger = replace(world.owner, enterprise=world.owner.number + 99, role=Role.ENTERPRISE_ADMIN)
    await world.write(request("create", "A"))

    async def rule(suffix: str, prefix: str = PREFIX, who=world.owner) -> Rule:
        refused = await blanker.blank(identifier(suffix, prefix), NAME, who, "r", NOW)
        assert isinstance(refused, Refused)
        return refused.rule

    assert await rule("A", who=stranger) is Rule.PERMISSION
    assert await rule("A", OTHER) is Rule.FOREIGN_PREFIX
    assert await rule("NEVER") is Rule.ABSENT
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    assert await rule("A") is Rule.PREFIX_CLOSED


async def test_who_lost_a_race_looks_again_and_gives_up_in_the_end(world: World) -> None:
    await world.write(request("create", "A", *values(SECRET)))
    numbers = iter(range(9))

    async def meanwhile() -> None:
        await world.write(request("update", "A", colour(str(next(numbers)))))

    assert await forget(world, "A", Before(world, meanwhile)) == Blanked(3, [1, 2])
    await world.write(request("update", "A", *values(SECRET)))
    assert await forget(world, "A", Before(world, meanwhile, times=ROUNDS)) == CONTENDED


class Before:
    """A pool before whose first connections something happens."""

    def __init__(self, world: World, then, times: int = 1) -> None:
        self._pool, self._then, self._left, self.watch = world.pool, then, times, world.pool.watch

    async def borrow(self):
        if self._left:
            self._left -= 1
            await self._then()
        return await self._pool.borrow()

    async def give_back(self, connection, *, clean: bool) -> None:
        await self._pool.give_back(connection, clean=clean)


async def test_what_the_server_gave_up_is_told_as_not_done(world: World) -> None:
    await world.write(request("create", "A", *values(SECRET)))
    pool = await open_pool(world.url, size=1, name="idnode-test")
    async with borrowed(pool) as connection:
        await connection.execute("SET lock_timeout = '20ms'")
    async with holding(world.url, "SELECT * FROM record FOR UPDATE"):
        with pytest.raises(UnavailableError):
            await forget(world, "A", pool)
    assert world.ear.told[-1] == ("unwritten", key("A"))
    await pool.close()


async def test_what_is_called_off_during_the_commit_is_unknown(world: World) -> None:
    await world.write(request("create", "A", *values(SECRET)))
    async with holding(world.url, "SELECT FROM stream FOR UPDATE"):
        forgetting = asyncio.create_task(forget(world, "A"))
        await eventually(world.pool, LOCKED, 1)
        forgetting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await forgetting
    assert [(each[0], each[-1]) for each in world.ear.told[-2:]] == [("pending", key("A")), ("unknown", key("A"))]


def test_values_are_parted_by_type() -> None:
    given = (*values("一", "2"), colour("红"))
    assert without(given, {"weight", "colour"}) == (given[:1], list(given[1:]))


async def test_what_the_audit_journal_has_no_room_for_is_not_done(world: World) -> None:
    await world.write(request("create", "A", *values(SECRET)))
    before = await everything(world)
    blanker = Blanker(world.pool, world.lookup, world.ear, audit_octets=1)
    with pytest.raises(AuditFullError):
        await blanker.blank(identifier("A"), NAME, world.owner, "本人请求", NOW + 9)
    assert await everything(world) == before
    assert world.ear.told[-1] == ("unwritten", key("A"))

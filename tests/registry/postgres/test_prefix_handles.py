"""What is kept at handles of prefixes, on real PostgreSQL: written as prefixes stand, and gone when they go."""

import pytest

from proto.chain import Kind
from proto.identifier import PREFIX_HANDLES, Identifier
from proto.value import Value
from registry.account import Account
from registry.administration import Add, Administrator, Create, Delete
from registry.clerk import Clerk
from registry.editing import Edit, Step
from registry.filing import Told
from registry.mover import erase
from registry.postgres import filing
from registry.postgres.connection import connected
from registry.prefix import PREFIX_HANDLES_NUMBER, PrefixState
from registry.registrar import Outcome, Registrar, Written
from registry.rights import Role
from registry.rules import Refused, Request, Rule, edited
from tests.registry.world import NOW, PREFIX, VAULT, Interrupted, World, all_at_once

HANDLE = Identifier.parse(f"0.NA/{PREFIX}")
SOMEBODY = Account(0, "300:88.999.1001/ADMIN", "program", Role.ENTERPRISE_USER, None)
URL = Value(1, "URL", b"http://x/")


def asked(step: Step, handle: Identifier = HANDLE) -> Request:
    return edited(handle, Edit(step, Administrator("", 0, everywhere=True)))


async def write(world: World, step: Step, handle: Identifier = HANDLE, registrar: Registrar | None = None) -> Outcome:
    job = world.jobs(asked(step, handle))[0]._replace(who=SOMEBODY)
    outcome = (await (registrar or world.registrar()).write([job], NOW))[0]
    assert not isinstance(outcome, Exception)
    return outcome


def rule(outcome: Outcome) -> Rule:
    assert isinstance(outcome, Refused), outcome
    return outcome.rule


async def test_a_handle_is_written_while_its_prefix_is_open(world: World) -> None:
    assert await write(world, Add((URL,))) == Written(Kind.CREATED, 1), "it is there before anything is kept at it"
    assert await write(world, Delete()) == Written(Kind.DELETED, 2)
    strict = world.registrar(reuse_deleted=False)
    assert await write(world, Create((URL,)), registrar=strict) == Written(Kind.REVIVED, 3)
    for name in ("88.999.7", "0.NA", PREFIX.rpartition(".")[0]):
        assert rule(await write(world, Create((URL,)), Identifier.parse(f"0.NA/{name}"))) is Rule.FOREIGN_PREFIX
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    assert rule(await write(world, Delete())) is Rule.FOREIGN_PREFIX
    assert [entry[:2] for entry in await world.stream(PREFIX_HANDLES)] == [(PREFIX, 1), (PREFIX, 2), (PREFIX, 3)]


async def test_nothing_judged_before_a_prefix_stopped_lands_behind_it(world: World) -> None:
    async def stopped() -> None:
        await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)

    registrar = Registrar(Interrupted(world.pool, stopped), world.lookup, world.ear, all_at_once, reuse_deleted=True)
    assert rule(await write(world, Create((URL,)), registrar=registrar)) is Rule.FOREIGN_PREFIX
    assert await world.stream(PREFIX_HANDLES) == []


@pytest.mark.parametrize("way", ["moved", "erased"])
async def test_what_is_kept_at_a_handle_goes_when_its_prefix_goes(world: World, way: str) -> None:
    await write(world, Create((URL,)))
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    async with connected(world.url, "idnode-test") as connection:
        await filing.file_all(connection)
        if way == "erased":
            await connection.execute("UPDATE filing SET state = 3")
            let_go = "SELECT prefix_no, '88.1', number, head, 1, '' FROM stream WHERE prefix_no = $1"
            await connection.execute(f"INSERT INTO release {let_go}", world.prefix_no)
            await erase(connection, PREFIX)
            await erase(connection, PREFIX)
        else:
            assert await Clerk(world.pool, 0, 300, VAULT).take_in(Told(PREFIX, "moved"))
    entries = await world.stream(PREFIX_HANDLES)
    assert [(suffix, version, kind) for suffix, version, kind in entries] == [
        (PREFIX, 1, Kind.CREATED),
        (PREFIX, 2, Kind.DELETED),
    ]
    assert await world.one("SELECT live FROM stream WHERE prefix_no = $1", PREFIX_HANDLES_NUMBER) == 0
    (stored,) = await world.lookup.look([HANDLE])
    assert (stored.prefix, stored.live) == (0, False)
    assert await world.lookup.home(HANDLE) is None


async def test_it_is_no_prefix_like_others(world: World) -> None:
    assert await world.lookup.prefix(PREFIX_HANDLES, anywhere=True) is None
    assert await world.steward.set_prefix_state(PREFIX_HANDLES, PrefixState.STOPPED) is None
    assert PREFIX_HANDLES not in [row["prefix"] for row in await world.steward.filings()]
    await write(world, Create((URL,)))
    async with connected(world.url, "idnode-test") as connection:
        await filing.file_all(connection)
    clerk = Clerk(world.pool, 0, 300, VAULT)
    assert PREFIX_HANDLES_NUMBER not in [each.prefix_no for each in await clerk.standings(behind=False)]
    assert PREFIX_HANDLES not in [row["prefix"] for row in (await clerk.to_file())[1]]
    assert (await clerk.unreceipted())[0] == await world.one(
        "SELECT number FROM stream WHERE prefix_no = $1", world.prefix_no
    )

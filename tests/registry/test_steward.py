"""Proves registry/steward.py on a real PostgreSQL: what records stand on, and that a lost answer is called unknown."""

import asyncio
import tempfile
from dataclasses import replace

import pytest

from proto.chain import Kind
from registry.account import Account, new_token
from registry.errors import NotApprovedError, TakenError, UnavailableError, UnknownOutcomeError
from registry.filing import ParticularsError
from registry.postgres.batches import Batch
from registry.postgres.connection import open_pool
from registry.prefix import PrefixState
from registry.rights import Role
from registry.steward import Steward
from registry.template import Item
from tests.registry.world import (
    BAG,
    LOCKED,
    OTHER,
    PREFIX,
    WAITING,
    Wire,
    World,
    changed,
    eventually,
    holding,
    request,
)


async def test_enrolling_again_changes_nothing(world: World):
    before = await world.steward.enterprises()
    assert await world.steward.enrol("天马皮具", "Tianma Leather", "leather", PREFIX) == world.owner.enterprise
    assert await world.steward.enterprises() == before
    assert await world.stream() == [("", 2, Kind.PREFIX_ENABLED)]


async def test_a_prefix_that_is_another_enterprises_is_not_given_away(world: World):
    before = [tuple(row) for row in await world.steward.enterprises()]
    with pytest.raises(TakenError, match=r"前缀88\.999\.1001已属于别的企业。 Prefix 88\.999\.1001 belongs to another"):
        await world.steward.enrol("别的厂", "Other", "leather", PREFIX)
    assert [tuple(row) for row in await world.steward.enterprises()] == before


async def test_an_enterprise_without_a_name_is_not_registered(world: World):
    with pytest.raises(ParticularsError, match="ent_name_cn"):
        await world.steward.enrol("", "Nobody", "leather", OTHER)
    assert OTHER not in {row["prefix"] for row in await world.steward.enterprises()}


async def test_enterprises_by_prefix(world: World):
    number = await world.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    assert [tuple(row) for row in await world.steward.enterprises()] == [
        (world.owner.enterprise, "天马皮具", "Tianma Leather", "leather", PREFIX, PrefixState.ENABLED),
        (number, "电驰汽车", "Dianchi", "automotive", OTHER, PrefixState.ENABLED),
    ]
    await world.steward.enrol("电驰汽车", "Dianchi", "automotive", f"{OTHER[:-1]}2")
    assert [row["number"] for row in await world.steward.enterprises()] == [world.owner.enterprise, number, number]


async def test_the_state_of_a_prefix(world: World):
    before = await world.steward.catalogue_number()
    stopped = await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    assert stopped == before + 1 == await world.steward.catalogue_number()
    assert await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED) == stopped
    assert await world.steward.set_prefix_state(PREFIX, PrefixState.ENABLED) == stopped + 1
    assert await world.steward.set_prefix_state(OTHER, PrefixState.STOPPED) is None
    assert await world.steward.set_prefix_state("\0", PrefixState.STOPPED) is None
    assert await world.steward.set_prefix_state("\0", PrefixState.ENABLED) is None
    assert await world.steward.catalogue_number() == stopped + 1


async def test_what_is_to_be_deleted_comes_back_as_stopped(world: World):
    await world.steward.set_prefix_state(PREFIX, PrefixState.TO_BE_DELETED)
    with pytest.raises(NotApprovedError, match="不能变为启用"):
        await world.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
    for state in (PrefixState.STOPPED, PrefixState.ENABLED):
        assert await world.steward.set_prefix_state(PREFIX, state)


async def test_templates_come_change_and_go(world: World):
    assert not await world.steward.add_template(BAG)
    assert not await world.steward.add_template(replace(BAG, prefix=OTHER))
    assert await world.steward.add_template(replace(BAG, version="bag2"))
    assert await world.steward.replace_template(changed(world.bag, Item(2003, "strap", "肩带")))
    assert not await world.steward.replace_template(world.bag)  # changed meanwhile
    await world.write(request("create", "A"))
    assert not await world.steward.remove_template(world.bag.number)
    bag2 = await world.lookup.named_template(PREFIX, "bag2")
    assert bag2 is not None
    assert await world.steward.remove_template(bag2.number)
    assert not await world.steward.remove_template(bag2.number)


async def test_accounts_come_change_and_go(world: World):
    known = await world.steward.credentials("tianma")
    assert known is not None
    assert (known.account, known.password, known.secret) == (world.owner, None, b"sealed")
    await world.steward.put_account(
        Account(0, "li", "person", Role.ENTERPRISE_ADMIN, world.owner.enterprise), password="$kept"
    )
    assert [tuple(row) for row in await world.steward.accounts()] == [
        ("admin", "person", Role.SYSTEM_ADMIN, None, True, None),
        ("li", "person", Role.ENTERPRISE_ADMIN, "天马皮具", True, None),
        ("tianma", "program", Role.ENTERPRISE_ADMIN, "天马皮具", True, None),
    ]
    assert await world.steward.disable_account("li")
    assert not await world.steward.disable_account("nobody")
    assert await world.steward.credentials("li") is None
    assert await world.steward.credentials("nobody") is None
    assert [row[4] for row in await world.steward.accounts()] == [True, False, True]


async def test_no_administrator_becomes_one_of_another_kind(world: World):
    _, digest = new_token()
    await world.steward.issue_token(world.admin.number, digest)
    auditor = replace(world.admin, role=Role.AUDIT_ADMIN)
    with pytest.raises(TakenError, match=r"不能改为审计管理员。 .* cannot become audit_admin\."):
        await world.steward.put_account(auditor, password="$other")
    known = await world.steward.credentials("admin")
    assert known is not None
    assert (known.account, known.password) == (world.admin, "$argon2id$")
    assert await world.lookup.holders([digest]) == {digest: world.admin}, "nothing was done"
    for role in (Role.REVIEWER, Role.AUDIT_ADMIN):
        await world.steward.put_account(replace(world.admin, role=role), password="$other")


async def test_tokens_are_issued_and_revoked(world: World):
    digests = [new_token()[1] for _ in range(3)]
    for digest in digests:
        await world.steward.issue_token(world.owner.number, digest)
    assert set(await world.lookup.holders(digests)) == set(digests)
    await world.steward.revoke_token(digests[0])
    assert set(await world.lookup.holders(digests)) == set(digests[1:])
    assert await world.steward.revoke_tokens("tianma") == 2
    assert await world.steward.revoke_tokens("tianma") == 0
    assert await world.lookup.holders(digests) == {}


async def test_a_batch_is_recorded_under_a_number(world: World):
    made = await world.one("SELECT now()")
    batch = Batch(world.owner.number, "create", 3, 1, 1, 0, 1, ((3, "88.1/x", "索引重复"),))
    first = await world.steward.record_batch(batch, made)
    assert await world.steward.record_batch(batch, made) == first + 1


# --- What nobody knows -------------------------------------------------------------------------------------


async def test_a_change_whose_server_process_was_killed_is_unknown(world: World):
    async with holding(world.url, "SELECT FROM catalogue FOR UPDATE"):
        stopping = asyncio.create_task(world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED))
        await eventually(world.pool, LOCKED, 1)
        backend = await world.one(f"SELECT pid FROM {WAITING}")
        assert await world.one("SELECT pg_terminate_backend($1)", backend)
        with pytest.raises(UnknownOutcomeError) as lost:
            await stopping
    assert lost.value.backend == backend
    assert await world.stream() == [("", 2, Kind.PREFIX_ENABLED)]


async def test_a_change_whose_answer_was_lost_is_unknown_though_it_was_made(world: World):
    digests = [new_token()[1] for _ in range(2)]
    with tempfile.TemporaryDirectory() as folder:
        async with Wire(world.url, folder).laid() as wire:
            steward = Steward(await open_pool(wire.url, size=1, name="idnode-far"))
            await steward.issue_token(world.owner.number, digests[0])  # prepared: the next answer but one is all
            wire.cut_next_answer()
            with pytest.raises(UnknownOutcomeError):
                await steward.issue_token(world.owner.number, digests[1])
            assert wire.cuts == 1
            await steward.catalogue_number()  # it goes on with another connection
            steward.pool.terminate()
    await eventually(world.pool, "SELECT EXISTS (SELECT FROM token WHERE digest = $1)", digests[1])


async def test_a_database_that_is_away_means_that_nothing_was_done(tmp_path):
    pool = await open_pool(f"postgresql://idnode@/idnode?host={tmp_path}&port=5432", size=1, name="idnode-test")
    with pytest.raises(UnavailableError):
        await Steward(pool).set_prefix_state(PREFIX, PrefixState.STOPPED)

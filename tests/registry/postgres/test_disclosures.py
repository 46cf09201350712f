"""Proves registry/postgres/disclosures.py: what is told of a prefix, whom it belongs to, and what was chosen."""

import asyncpg
import pytest

from registry.disclosure import Choice, Disclosure
from registry.postgres import disclosures
from registry.prefix import PrefixState
from tests.registry.world import OTHER, PARTICULARS, PREFIX, World


@pytest.fixture
async def connection(world: World):
    async with world.pool.acquire() as borrowed:
        yield borrowed


async def test_a_prefix_with_its_enterprise(world: World, connection: asyncpg.Connection):
    bare = await disclosures.entry(connection, PREFIX)
    assert bare is not None
    assert (bare.prefix, bare.state, bare.enterprise) == (PREFIX, PrefixState.ENABLED, world.owner.enterprise)
    assert (bare.filed, bare.disclosure) == (None, Disclosure())
    assert bare.registered.endswith("Z")
    await world.steward.enrol(bare.name, bare.name_en, bare.industry, PREFIX, PARTICULARS)
    full = await disclosures.entry(connection, PREFIX)
    assert full is not None
    assert full.filed is not None
    assert (full.filed.ent_crt_code, full.filed.legal_name) == (PARTICULARS.ent_crt_code, PARTICULARS.legal_name)
    assert PARTICULARS.legal_id_no not in repr(full)


async def test_only_what_is_allocated_is_told(world: World, connection: asyncpg.Connection):
    assert await disclosures.entry(connection, "88.999.7777") is None
    await connection.execute("INSERT INTO prefix (name, state, epoch) VALUES ('88.999.7', 1, 1)")
    assert await disclosures.entry(connection, "88.999.7") is None, "it is nobody's"
    enterprise = world.owner.enterprise
    assert enterprise is not None
    for state in PrefixState:
        await connection.execute("UPDATE prefix SET state = $2 WHERE name = $1", PREFIX, state)
        told = state in {PrefixState.ENABLED, PrefixState.STOPPED, PrefixState.TO_BE_DELETED}
        assert (await disclosures.entry(connection, PREFIX) is not None) == told
        assert len(await disclosures.entries(connection, [enterprise], 9)) == told


async def test_all_prefixes_of_enterprises(world: World, connection: asyncpg.Connection):
    mine = await disclosures.entry(connection, PREFIX)
    assert mine is not None
    await world.steward.enrol(mine.name, mine.name_en, mine.industry, "88.999.3001")
    other = await world.steward.enrol("另一家", "Other", "leather", OTHER)
    found = await disclosures.entries(connection, [other, mine.enterprise], 9)
    assert [each.prefix for each in found] == [PREFIX, "88.999.3001", OTHER]
    assert len(await disclosures.entries(connection, [other, mine.enterprise], 2)) == 2
    names = [(mine.enterprise, mine.name, mine.name_en), (other, "另一家", "Other")]
    assert await disclosures.names(connection, 0, 9) == names
    assert await disclosures.names(connection, mine.enterprise, 9) == names[1:]
    assert await disclosures.names(connection, 0, 1) == names[:1]


async def test_what_is_chosen_holds_until_it_is_chosen_otherwise(world: World, connection: asyncpg.Connection):
    enterprise = world.owner.enterprise
    assert enterprise is not None
    assert await disclosures.chosen(connection, enterprise) == Disclosure()
    for choice in (Choice.PUBLIC, Choice.REMOVED):
        await disclosures.choose(connection, enterprise, Disclosure({"contact": choice}))
        assert await disclosures.chosen(connection, enterprise) == Disclosure({"contact": choice})
        found = await disclosures.entry(connection, PREFIX)
        assert found is not None
        assert found.disclosure.of("contact") is choice

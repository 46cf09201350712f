"""Proves registry/postgres/templates.py: templates come back as they were kept, under epochs of the catalogue."""

from dataclasses import replace

import asyncpg
import pytest

from registry import drafting
from registry.industries import load
from registry.postgres import catalogue, templates
from registry.suffix import Segment, SuffixRule
from registry.template import Category, Item, State, Template
from tests.registry.world import BAG, OTHER, PREFIX, World, changed, request

INDUSTRIAL = [template for industry in load() for template in industry.templates]


@pytest.fixture
async def connection(world: World):
    async with world.pool.acquire() as borrowed:
        yield borrowed


async def test_every_template_of_the_industries_comes_back_as_it_was_kept(connection: asyncpg.Connection):
    for template in INDUSTRIAL:
        kept = replace(template, prefix=PREFIX)
        assert await templates.add(connection, kept)
        found = await templates.named(connection, PREFIX, template.version)
        assert found == replace(kept, number=found.number, epoch=found.epoch)


async def test_whatever_a_template_says_comes_back(connection: asyncpg.Connection):
    items = (
        Item(2000, "a", '甲“引号”"', "A\\", True, False, 1, 4096, -0.5, 1e9, "mm²", "partners", "other"),
        Item(2**31 - 1, "b", "乙", access="internal", low=0.1),
    )
    suffix = SuffixRule((Segment("const", "常", "const", "X'-"), Segment("date", "日", "day", "yyyyMM")))
    made = Template(PREFIX, "版本-1", "名\n", "", "说明", Category("A", "01", "011", "0111"), 1, items, suffix)
    assert await templates.add(connection, made)
    found = await templates.named(connection, PREFIX, "版本-1")
    assert found == replace(made, number=found.number, epoch=found.epoch)
    assert await templates.by_numbers(connection, [found.number, 999]) == [found]


async def test_a_version_is_kept_once_under_a_prefix(world: World, connection: asyncpg.Connection):
    before = await catalogue.number(connection)
    assert not await templates.add(connection, replace(BAG, zh="另一个"))
    assert await templates.named(connection, PREFIX, "bag") == world.bag
    assert await catalogue.number(connection) == before
    await world.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    assert await templates.add(connection, replace(BAG, prefix=OTHER))


async def test_under_a_prefix_that_is_not_there_nothing_is_kept_and_that_is_said(connection: asyncpg.Connection):
    assert not await templates.add(connection, replace(BAG, prefix=OTHER))
    assert await templates.named(connection, OTHER, "bag") is None


async def test_templates_are_listed_by_prefix_and_version_and_drafts_for_their_owner(
    world: World, connection: asyncpg.Connection
):
    await templates.add(connection, replace(BAG, version="a", state=State.DRAFT))

    async def listed(prefix: str | None, owner: int | None, admin: bool, after: tuple[str, str] = ("", "")):
        return [each.version for each in await templates.page(connection, prefix, owner, admin, after, 9)]

    assert await listed(PREFIX, world.owner.enterprise, False) == ["a", "bag"]
    assert await listed(None, None, True) == ["a", "bag"]
    assert await listed(None, None, False) == ["bag"]
    assert await listed(None, None, True, (PREFIX, "a")) == ["bag"]
    assert await listed(OTHER, None, True) == []


async def test_a_line_is_counted_from_its_first_and_each_number_is_given_once(
    world: World, connection: asyncpg.Connection
):
    for version in ("bag-2", "bag-3"):
        assert await templates.add(connection, drafting.next_version(world.bag, version))
    line = await templates.line(connection, world.bag.number)
    assert [(each.version, each.revision, each.line) for each in line] == [
        ("bag", 1, world.bag.number),
        ("bag-2", 2, world.bag.number),
        ("bag-3", 3, world.bag.number),
    ]
    assert [each.state for each in line] == [State.PUBLISHED, State.DRAFT, State.DRAFT]


async def test_a_change_takes_the_next_epoch_and_is_made_once(world: World, connection: asyncpg.Connection):
    grown = replace(changed(world.bag, Item(2003, "strap", "肩带")), zh="包", en="Bag 2", description="新", carrier=1)
    assert await templates.replace(connection, grown)
    found = await templates.named(connection, PREFIX, "bag")
    assert found == replace(grown, epoch=await catalogue.number(connection))
    assert found.epoch > world.bag.epoch
    assert not await templates.replace(connection, grown)
    assert await templates.named(connection, PREFIX, "bag") == found


async def test_only_what_no_identifier_was_made_with_is_removed(world: World, connection: asyncpg.Connection):
    await templates.add(connection, replace(BAG, version="unused"))
    unused = await templates.named(connection, PREFIX, "unused")
    await world.write(request("create", "A"))
    await world.write(request("delete", "A"))
    assert not await templates.remove(connection, world.bag.number)
    before = await catalogue.number(connection)
    assert await templates.remove(connection, unused.number)
    assert await catalogue.number(connection) > before
    assert not await templates.remove(connection, unused.number)
    assert await templates.named(connection, PREFIX, "unused") is None
    assert await templates.named(connection, PREFIX, "bag") == world.bag

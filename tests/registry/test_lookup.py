"""Proves registry/lookup.py on a real PostgreSQL: what stands behind identifiers, at what epoch, and every version."""

from dataclasses import replace

import pytest

from proto.chain import Kind
from proto.value import Value
from registry import lookup as lookup_module
from registry.account import new_token
from registry.errors import UnavailableError
from registry.lookup import VERSIONS_MOST, Lookup
from registry.postgres.batches import Batch
from registry.postgres.connection import open_pool
from registry.postgres.records import Stored
from registry.prefix import PrefixState, RegisteredPrefix
from registry.template import Item
from tests.registry.world import BAG, NOW, OTHER, PREFIX, World, changed, identifier, request, values


async def test_what_stands_behind_identifiers_in_the_order_asked_twice_if_asked_twice(world: World):
    await world.write(request("create", "A"), request("create", "B"))
    await world.write(request("delete", "B"), now=NOW + 5)
    asked = [identifier(s, p) for s, p in (("B", PREFIX), ("A", OTHER), ("A", PREFIX), ("X", PREFIX), ("A", PREFIX))]
    gone, foreign, live, never, again = await world.lookup.look(asked)
    prefix = await world.lookup.prefix(PREFIX)
    assert prefix is not None
    ours = (prefix.number, PrefixState.ENABLED, prefix.epoch)
    template = (world.bag.number, world.bag.epoch)
    assert gone == Stored(*ours, 2, False, *template, NOW + 5, b"")
    assert live == again == Stored(*ours, 1, True, *template, NOW, live.body)
    assert never == Stored(*ours)
    assert foreign == Stored(0, 0, await world.steward.catalogue_number())


async def test_the_key_decides_not_the_spelling(world: World):
    await world.write(request("create", "Bag"))
    assert [s.version for s in await world.look("Bag", "bag", "BAG")] == [1, 0, 0]


async def test_what_is_not_ours_changes_its_epoch_with_the_catalogue(world: World):
    before = (await world.lookup.look([identifier("A", OTHER)]))[0]
    await world.steward.enrol("他厂", "Other", "leather", OTHER)
    after = (await world.lookup.look([identifier("A", OTHER)]))[0]
    assert before.prefix == 0
    assert after.prefix > 0
    assert after.epoch > before.epoch


async def test_a_record_comes_with_its_values_and_template(world: World):
    await world.write(request("create", "A", *values("包", "1")), now=100)
    await world.write(request("update", "A", Value(2001, "weight", b"2")), now=200)
    record, template = await world.lookup.record((await world.look("A"))[0])
    assert template == world.bag
    assert record.values == (
        Value(2000, "productName", "包".encode(), timestamp=100),
        Value(2001, "weight", b"2", timestamp=200),
    )
    assert (record.version, record.live, record.updated) == (2, True, 200)


async def test_a_record_without_template_has_its_values(world: World):
    record, template = await world.lookup.record(
        Stored(1, 1, 1, 3, True, 0, 0, 100, bytes.fromhex("03 01 03 55524c 01 78"))
    )
    assert template is None
    assert record.values == (Value(1, "URL", b"x", timestamp=100),)


# --- Templates ---------------------------------------------------------------------------------------------


async def test_templates_are_kept_until_their_epoch_passes(world: World):
    lookup = Lookup(world.pool)
    first = await lookup.template(world.bag.number, world.bag.epoch)
    assert first == world.bag
    assert await lookup.template(world.bag.number, world.bag.epoch) is first
    await world.steward.replace_template(changed(world.bag, Item(2003, "strap", "肩带")))
    assert await lookup.template(world.bag.number, world.bag.epoch) is first
    now = await world.lookup.named_template(PREFIX, "bag")
    assert now is not None
    assert now.epoch > world.bag.epoch
    assert await lookup.template(now.number, now.epoch) == now
    assert await lookup.template(now.number, 0) == now


async def test_a_template_that_is_gone_is_none(world: World):
    assert await world.lookup.template(999, 0) is None
    await world.steward.remove_template(world.bag.number)
    assert await Lookup(world.pool).template(world.bag.number, 0) is None
    assert await world.lookup.named_template(PREFIX, "bag") is None


async def test_of_too_many_templates_the_one_unasked_longest_goes(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lookup_module, "TEMPLATES_MOST", 2)
    for version in ("b", "c"):
        await world.steward.add_template(replace(BAG, version=version))
    a, b, c = [t for v in ("bag", "b", "c") if (t := await world.lookup.named_template(PREFIX, v))]
    lookup = Lookup(world.pool)
    kept_a = await lookup.template(a.number, 0)
    kept_b = await lookup.template(b.number, 0)
    assert await lookup.template(a.number, 0) is kept_a
    await lookup.template(c.number, 0)
    assert await lookup.template(a.number, 0) is kept_a
    assert await lookup.template(b.number, 0) is not kept_b


# --- History -----------------------------------------------------------------------------------------------


async def test_every_version_newest_first_with_who_wrote_it_under_which_template(world: World):
    await world.steward.add_template(replace(BAG, version="bag2"))
    await world.write(request("create", "A", *values("一")), now=100)
    await world.write(request("update", "A", *values("二"), template="bag2"), now=200)
    await world.write(request("delete", "A"), now=300)
    await world.write(request("create", "A", *values("三")), now=400)
    entries = await world.lookup.history(identifier("A"))
    assert [(e.record.version, e.record.live, e.record.updated, e.by, e.template.version) for e in entries] == [
        (4, True, 400, "tianma", "bag"),
        (3, False, 300, "tianma", "bag2"),
        (2, True, 200, "tianma", "bag2"),
        (1, True, 100, "tianma", "bag"),
    ]
    assert [[v.data.decode() for v in e.record.values] for e in entries] == [["三"], [], ["二"], ["一"]]


async def test_what_was_never_registered_has_no_history(world: World):
    assert await world.lookup.history(identifier("A")) == []
    assert await world.lookup.history(identifier("A", OTHER)) == []


async def test_a_history_is_read_with_attributes_that_came_after_this_process_first_saw_the_template(world: World):
    lookup = Lookup(world.pool)
    await lookup.template(world.bag.number, world.bag.epoch)
    await world.steward.replace_template(changed(world.bag, Item(2003, "strap", "肩带")))
    await world.write(request("create", "A", *values(), Value(2003, "strap", "长".encode())))
    assert [v.type for v in (await lookup.history(identifier("A")))[0].record.values] == ["productName", "strap"]


async def test_a_history_shows_the_newest_versions_up_to_its_bound(world: World, monkeypatch: pytest.MonkeyPatch):
    await world.write(request("create", "A"))
    await world.pool.execute(
        "INSERT INTO history SELECT updated, prefix_no, n, template_no, actor_no, body, suffix "
        "FROM record, generate_series(1, $1) n",
        VERSIONS_MOST,
    )
    await world.pool.execute("UPDATE record SET version = $1", VERSIONS_MOST + 1)
    versions = [entry.record.version for entry in await world.lookup.history(identifier("A"))]
    assert versions == list(range(VERSIONS_MOST + 1, 1, -1))
    monkeypatch.setattr(lookup_module, "HISTORY_OCTETS", 1)
    versions = [entry.record.version for entry in await world.lookup.history(identifier("A"))]
    assert versions == [VERSIONS_MOST + 1], "large ones fewer, but always the newest"


# --- The rest ----------------------------------------------------------------------------------------------


async def test_prefixes_by_name_whatever_is_called_so(world: World):
    assert await world.lookup.prefix(PREFIX) == RegisteredPrefix(
        world.prefix_no, PREFIX, PrefixState.ENABLED, 2, world.owner.enterprise
    )
    assert [await world.lookup.prefix(name) for name in (OTHER, "", "88.999.1001 ", "\0", "88.999.1001\0")] == [
        None
    ] * 5


async def test_holders_of_tokens(world: World):
    mine, none = new_token()[1], new_token()[1]
    await world.steward.issue_token(world.owner.number, mine)
    assert await world.lookup.holders([none, mine, mine]) == {mine: world.owner}
    assert await world.lookup.holders([]) == {}


async def test_batches_of_one_account_or_of_all(world: World):
    made = (await world.ask("SELECT now() AS at"))[0]["at"]
    for account in (world.owner, world.admin):
        await world.steward.record_batch(Batch(account.number, "create", 1, 1, 0, 0, 0, ()), made)
    assert [b["username"] for b in await world.lookup.batches(None, 2**63 - 1, 10)] == ["admin", "tianma"]
    assert [b["username"] for b in await world.lookup.batches(world.owner.number, 2**63 - 1, 10)] == ["tianma"]


async def test_a_database_that_is_away_cannot_be_asked(tmp_path):
    pool = await open_pool(f"postgresql://idnode@/idnode?host={tmp_path}&port=5432", size=1, name="idnode-test")
    lookup = Lookup(pool)
    with pytest.raises(UnavailableError):
        await lookup.look([identifier("A")])
    with pytest.raises(UnavailableError):
        await lookup.history(identifier("A"))
    with pytest.raises(UnavailableError):
        await lookup.prefix(PREFIX)


async def test_the_reading_door_cannot_write(world: World):
    await world.write(request("create", "A"))
    before = await world.stream()
    readers = await open_pool(f"{world.url}&default_transaction_read_only=on", size=1, name="idnode-reader")
    assert await readers.fetchval("SHOW transaction_read_only") == "on"
    lookup = Lookup(readers)
    stored = (await lookup.look([identifier("A")]))[0]
    await lookup.record(stored)
    await lookup.history(identifier("A"))
    await lookup.prefix(PREFIX)
    await lookup.named_template(PREFIX, "bag")
    await lookup.holders([bytes(32)])
    await lookup.batches(None, 9, 9)
    readers.terminate()
    assert await world.stream() == before == [("", 2, Kind.PREFIX_ENABLED), ("A", 1, Kind.CREATED)]

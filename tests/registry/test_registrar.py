"""Proves registry/registrar.py on a real PostgreSQL: what is written, what a lost race leads to, and who is told when.

The rules themselves are proven in test_rules.py; here only what happens between loading and committing.
"""

import asyncio
import random
import tempfile
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import asyncpg
import pytest

from proto.chain import Kind
from proto.value import Value
from registry import registrar as module
from registry.block import AT_ONCE, Block
from registry.errors import RegistryError, UnavailableError, UnknownOutcomeError
from registry.postgres.connection import backends_gone, open_pool
from registry.postgres.records import ALIKE_LEAST, Change, Stored
from registry.prefix import PrefixState, RegisteredPrefix
from registry.quota import Left, Quota
from registry.record import Shape, Texts, pack, pack_plain
from registry.registrar import CONTENDED, GROUP_MOST, MET_BLOCKS, ROUNDS, Job, Outcome, Registrar, Written, _Grounds
from registry.rules import ALONE, Around, Refused, Request, Rule, Unchanged
from registry.suffix import Segment, SuffixRule
from registry.template import Item, State
from tests.registry.world import (
    BAG,
    LOCKED,
    NOW,
    OTHER,
    PREFIX,
    WAITING,
    Interrupted,
    Wire,
    World,
    alike,
    changed,
    eventually,
    holding,
    identifier,
    key,
    request,
    values,
)

NAMES = {item.index: item.name for item in BAG.items}
SERIAL = SuffixRule((Segment("const", "前", "front", "S-"), Segment("serial", "号", "no")))
FOUNDED = [("", 2, Kind.PREFIX_ENABLED)]
"""What the stream of a fresh world begins with."""


def rules(outcomes) -> list:
    return [each.rule if isinstance(each, Refused) else each for each in outcomes]


def spelt(suffix: str, *given: tuple[int, str], prefix: str = PREFIX, template: str = "bag") -> Request:
    """A new identifier as the doors read it: indexes and texts."""
    indexes, texts = zip(*given, strict=True)
    types = tuple(NAMES.get(index, "nothing") for index in indexes)
    return request("create", suffix, prefix=prefix, template=template)._replace(
        values=Texts(Shape.of(indexes, types), texts)
    )


# --- The life of an identifier -----------------------------------------------------------------------------


async def test_a_life_of_an_identifier_row_by_row(world: World):
    owner, bag = world.owner.number, world.bag.number
    assert await world.write(request("create", "A", *values("包", "1")), now=100) == [Written(Kind.CREATED, 1)]
    assert await world.write(request("update", "A", Value(2001, "weight", b"2")), now=200) == [Written(Kind.UPDATED, 2)]
    assert await world.write(request("update", "A", Value(2001, "weight", b"2")), now=300) == [Unchanged(2)]
    assert await world.write(request("delete", "A"), now=400) == [Written(Kind.DELETED, 3)]
    assert rules(await world.write(request("update", "A"), now=450)) == [Rule.ABSENT]
    assert await world.write(request("create", "A", *values("新包")), now=500) == [Written(Kind.REVIVED, 4)]

    first = (Value(2000, "productName", "包".encode(), timestamp=100), Value(2001, "weight", b"1", timestamp=100))
    second = (first[0], Value(2001, "weight", b"2", timestamp=200))
    revived = (Value(2000, "productName", "新包".encode(), timestamp=500),)
    columns = "updated + 2147483648, prefix_no, version, template_no, actor_no, suffix, body"
    assert [tuple(row) for row in await world.ask(f"SELECT {columns} FROM history ORDER BY version")] == [
        (100, world.prefix_no, 1, bag, owner, "A", pack(first, NAMES, 100)),
        (200, world.prefix_no, 2, bag, owner, "A", pack(second, NAMES, 200)),
        (400, world.prefix_no, 3, bag, owner, "A", None),
    ]
    assert [tuple(row) for row in await world.ask(f"SELECT {columns} FROM record")] == [
        (500, world.prefix_no, 4, bag, owner, "A", pack(revived, NAMES, 500))
    ]
    assert await world.stream() == [
        *FOUNDED,
        ("A", 1, Kind.CREATED),
        ("A", 2, Kind.UPDATED),
        ("A", 3, Kind.DELETED),
        ("A", 4, Kind.REVIVED),
    ]


async def test_what_was_deleted_may_be_kept_from_coming_back(world: World):
    await world.write(request("create", "A"), request("create", "B"))
    await world.write(request("delete", "A"))
    outcomes = await world.write(request("create", "A"), request("create", "C"), reuse_deleted=False)
    assert rules(outcomes) == [Rule.DELETED, Written(Kind.CREATED, 1)]
    assert [s.live for s in await world.look("A", "B", "C")] == [False, True, True]


async def test_outcomes_come_in_the_order_asked_whatever_became_of_them(world: World):
    await world.write(request("create", "B"), request("create", "D"))
    outcomes = await world.write(
        request("create", "Z"),
        request("create", "B"),
        request("update", "D", *values(), Value(2001, "weight", b"5")),
        request("update", "X"),
        request("create", "A", template="other"),
        request("update", "B"),
        request("delete", "D-none"),
    )
    assert rules(outcomes) == [
        Written(Kind.CREATED, 1),
        Rule.EXISTS,
        Written(Kind.UPDATED, 2),
        Rule.ABSENT,
        Rule.TEMPLATE,
        Unchanged(1),
        Rule.ABSENT,
    ]
    assert outcomes[1].differs == ()
    assert (await world.stream())[-2:] == [("D", 2, Kind.UPDATED), ("Z", 1, Kind.CREATED)]


async def test_a_prefix_that_is_not_ours_takes_nothing_and_nobody_is_told(world: World):
    outcomes = await world.write(request("create", "A", prefix="88.999.9999"))
    assert rules(outcomes) == [Rule.FOREIGN_PREFIX]
    assert world.ear.told == []


async def test_a_whole_group_of_the_largest_size_is_one_change(world: World):
    suffixes = [f"BAG-{n:06d}" for n in range(GROUP_MOST)]
    made = await world.write(*(request("create", s, *values(s)) for s in suffixes))
    assert made == [Written(Kind.CREATED, 1)] * GROUP_MOST
    again = await world.write(*(request("update", s, *values(f"{s}'")) for s in reversed(suffixes)))
    assert again == [Written(Kind.UPDATED, 2)] * GROUP_MOST
    entries = await world.stream()
    assert entries == [
        *FOUNDED,
        *((s, 1, Kind.CREATED) for s in suffixes),
        *((s, 2, Kind.UPDATED) for s in suffixes),
    ]
    assert await world.one("SELECT max(number) FROM stream") == 3
    stored = await world.look(*suffixes)
    shown = [(await world.lookup.record(each))[0].values[0].data.decode() for each in stored[:: GROUP_MOST // 20]]
    assert shown == [f"{s}'" for s in suffixes[:: GROUP_MOST // 20]]


async def test_a_template_name_that_postgresql_cannot_hold_leaves_the_neighbours_alone(world: World):
    outcomes = await world.write(request("create", "A", template="ba\0g"), request("create", "B"))
    assert rules(outcomes) == [Rule.TEMPLATE, Written(Kind.CREATED, 1)]


async def test_a_record_moves_to_another_template_and_is_read_with_it(world: World):
    await world.write(request("create", "A"))
    await world.steward.add_template(replace(changed(BAG, Item(2003, "strap", "肩带")), version="bag2"))
    strap = Value(2003, "strap", "长".encode())
    assert await world.write(request("update", "A", strap, template="bag2"), now=NOW + 1) == [Written(Kind.UPDATED, 2)]
    record, template = await world.lookup.record((await world.look("A"))[0])
    assert template is not None
    assert (template.version, [v.type for v in record.values]) == ("bag2", ["productName", "strap"])
    assert rules(await world.write(request("update", "A", *values("x")))) == [Rule.INDEX]


# --- Who is told what, and when ----------------------------------------------------------------------------


async def test_everybody_is_told_before_and_after_in_the_order_of_keys(world: World):
    await world.write(request("create", "b"), request("create", "A"), request("create", "a"))
    keys = [key("A"), key("a"), key("b")]
    assert world.ear.told == [("pending", *keys), ("written", *((k, 1) for k in keys))]
    world.ear.told.clear()
    await world.write(request("create", "c"), request("delete", "A"), request("update", "b"))
    assert world.ear.told == [("pending", key("A"), key("c")), ("written", (key("A"), 2), (key("c"), 1))]


async def test_nobody_is_told_of_what_is_not_tried(world: World):
    await world.write(request("create", "A"))
    world.ear.told.clear()
    await world.write(request("create", "A"), request("update", "B"))
    await world.write(request("update", "A"))
    assert world.ear.told == []


async def test_it_is_committed_when_written_is_told(world: World):
    seen = []

    async def written(keys, versions):
        seen.append([s.version for s in await world.look("A")])

    world.ear.written = written  # type: ignore[method-assign]
    await world.write(request("create", "A"))
    assert seen == [[1]]


async def test_the_ear_hears_of_the_commit_before_anything_is_sent(world: World):
    def refuse() -> None:
        raise RuntimeError("no")

    world.ear.on_pending = refuse
    with pytest.raises(RuntimeError):
        await world.write(request("create", "A"))
    assert (await world.look("A"))[0].version == 0


async def test_a_statement_that_fails_is_told_as_not_written_and_raised(fresh_world: World):
    await fresh_world.pool.execute("ALTER TABLE record ADD CHECK (suffix <> 'bad')")
    with pytest.raises(asyncpg.CheckViolationError):
        await fresh_world.write(request("create", "a"), request("create", "bad"))
    keys = (key("a"), key("bad"))
    assert fresh_world.ear.told == [("pending", *keys), ("unwritten", *keys)]
    assert [s.version for s in await fresh_world.look("a", "bad")] == [0, 0]
    assert await fresh_world.stream() == FOUNDED


# --- Lost races --------------------------------------------------------------------------------------------


async def test_two_creators_of_one_identifier_one_makes_it_the_other_is_told_it_exists(world: World):
    async def other() -> None:
        assert await world.write(request("create", "A", *values("他的"))) == [Written(Kind.CREATED, 1)]

    pool = Interrupted(world.pool, other)
    outcome = (await world.write(request("create", "A", *values("我的")), pool=pool))[0]
    assert isinstance(outcome, Refused)
    assert (outcome.rule, outcome.differs) == (Rule.EXISTS, ("productName",))
    assert world.ear.told == [("pending", key("A")), ("written", (key("A"), 1))] * 2
    assert await world.stream() == [*FOUNDED, ("A", 1, Kind.CREATED)]


async def test_a_batch_of_which_a_part_lost_the_race_is_written_but_for_that_part(world: World):
    await world.write(*(request("create", s) for s in "ABC"))

    async def other() -> None:
        await world.write(request("update", "B", *values("他的")), request("delete", "C"), request("create", "E"))

    pool = Interrupted(world.pool, other)
    outcomes = await world.write(
        request("create", "F"),
        request("create", "E"),
        request("create", "D"),
        request("update", "C", *values("我的")),
        request("update", "B", Value(2001, "weight", b"7")),
        request("update", "A", Value(2001, "weight", b"7")),
        pool=pool,
    )
    assert rules(outcomes) == [
        Written(Kind.CREATED, 1),
        Rule.EXISTS,
        Written(Kind.CREATED, 1),
        Rule.ABSENT,
        Written(Kind.UPDATED, 3),
        Written(Kind.UPDATED, 2),
    ]
    assert (await world.stream())[4:] == [
        ("B", 2, Kind.UPDATED),
        ("C", 2, Kind.DELETED),
        ("E", 1, Kind.CREATED),
        ("A", 2, Kind.UPDATED),
        ("D", 1, Kind.CREATED),
        ("F", 1, Kind.CREATED),
        ("B", 3, Kind.UPDATED),
    ]
    # Judged again on what the other one wrote, not on what was loaded first.
    record, _ = await world.lookup.record((await world.look("B"))[0])
    assert [v.data.decode() for v in record.values] == ["他的", "7"]


async def test_who_loses_every_round_is_told_to_come_back(world: World):
    await world.write(request("create", "A"), request("create", "B"))
    rounds = []

    async def other() -> None:
        rounds.append(len(rounds))
        await world.write(request("update", "A", *values(f"第{len(rounds)}次")))

    pool = Interrupted(world.pool, other, rounds=9)
    mine = (request("update", "A", *values("我的")), request("update", "B", *values("我的")))
    outcomes = await world.write(*mine, pool=pool)
    assert outcomes == [CONTENDED, Written(Kind.UPDATED, 2)]
    assert CONTENDED.rule is Rule.CONTENDED
    assert len(rounds) == ROUNDS
    assert [s.version for s in await world.look("A", "B")] == [1 + ROUNDS, 2]
    await world.stream()


async def test_a_prefix_stopped_between_judgement_and_commit_takes_nothing(world: World):
    async def stop() -> None:
        await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)

    pool = Interrupted(world.pool, stop)
    outcomes = await world.write(request("create", "A"), request("create", "B"), pool=pool)
    assert rules(outcomes) == [Rule.PREFIX_CLOSED] * 2
    assert world.ear.told == [("pending", key("A"), key("B")), ("unwritten", key("A"), key("B"))]
    assert [s.version for s in await world.look("A", "B")] == [0, 0]
    assert [entry[::2] for entry in await world.stream()] == [("", Kind.PREFIX_ENABLED), ("", Kind.PREFIX_STOPPED)]


async def test_a_prefix_stopped_and_enabled_again_meanwhile_is_judged_again_and_written(world: World):
    async def twice() -> None:
        await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
        await world.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)

    pool = Interrupted(world.pool, twice)
    assert await world.write(request("create", "A"), pool=pool) == [Written(Kind.CREATED, 1)]
    assert [each[0] for each in world.ear.told] == ["pending", "unwritten", "pending", "written"]
    assert (await world.stream())[-1] == ("A", 1, Kind.CREATED)


async def test_a_stop_waits_for_a_commit_under_way_and_nothing_lands_behind_it(world: World):
    """The stream's row is taken last by both: held by a third, both queue for it, and whoever is first is whole."""
    async with holding(world.url, "SELECT FROM stream FOR UPDATE"):
        writing = asyncio.create_task(world.write(request("create", "A")))
        await eventually(world.pool, LOCKED, 1)
        stopping = asyncio.create_task(world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED))
        await eventually(world.pool, LOCKED, 2)
    assert await writing == [Written(Kind.CREATED, 1)]
    assert await stopping is not None
    assert [kind for _, _, kind in await world.stream()] == [
        Kind.PREFIX_ENABLED,
        Kind.CREATED,
        Kind.PREFIX_STOPPED,
    ]


async def test_a_template_removed_between_judgement_and_commit_is_not_written_under(world: World):
    async def remove() -> None:
        assert await world.steward.remove_template(world.bag.number)

    pool = Interrupted(world.pool, remove)
    assert rules(await world.write(request("create", "A"), pool=pool)) == [Rule.TEMPLATE]
    assert world.ear.told == [("pending", key("A")), ("unwritten", key("A"))]
    assert (await world.look("A"))[0].version == 0
    assert await world.stream() == FOUNDED


async def test_a_template_in_use_is_not_removed(world: World):
    await world.write(request("create", "A"))
    await world.write(request("delete", "A"))
    assert not await world.steward.remove_template(world.bag.number)


async def test_registrars_that_race_for_the_same_identifiers(world: World):
    """However they interleave: no version twice, none left out, no number left out, the chain whole."""
    chance = random.Random(20261122)
    suffixes = [f"S{n}" for n in range(6)]
    made: dict[str, list[int]] = defaultdict(list)
    alive: dict[str, list[tuple[int, Kind]]] = defaultdict(list)

    async def client(registrar: Registrar, rounds: list[list]) -> None:
        for requests in rounds:
            for asked, outcome in zip(requests, await registrar.write(world.jobs(*requests), NOW), strict=True):
                if isinstance(outcome, Written):
                    made[asked.identifier.suffix].append(outcome.version)
                    alive[asked.identifier.suffix].append((outcome.version, outcome.kind))

    def any_request(suffix: str):
        operation = chance.choice(["create", "create", "update", "update", "delete"])
        return request(operation, suffix, *values(f"{chance.random()}"))

    clients = [
        [[any_request(s) for s in chance.sample(suffixes, chance.randint(1, 6))] for _ in range(25)] for _ in range(6)
    ]
    async with asyncio.TaskGroup() as group:
        for rounds in clients:
            group.create_task(client(world.registrar(), rounds))

    stored = await world.look(*suffixes)
    assert [sorted(made[s]) for s in suffixes] == [
        list(range(1, each.version + 1)) for s, each in zip(suffixes, stored, strict=True)
    ]
    entries = (await world.stream())[1:]
    for suffix, each in zip(suffixes, stored, strict=True):
        mine = [(version, kind) for s, version, kind in entries if s == suffix]
        assert mine == sorted(alive[suffix])
        assert each.live is (mine[-1][1] != Kind.DELETED)
        _sane([kind for _, kind in mine])
        kept = await world.ask(
            "SELECT version, body IS NOT NULL FROM history WHERE suffix = $1 ORDER BY version", suffix
        )
        assert [tuple(row) for row in kept] == [(v, k != Kind.DELETED) for v, k in mine[:-1]]
    assert sum(map(len, made.values())) > 100  # they did race


def _sane(kinds: list[int]) -> None:
    """A life begins once, and only what is dead is revived."""
    assert kinds[0] == Kind.CREATED
    for before, after in pairwise(kinds):
        assert (after == Kind.REVIVED) is (before == Kind.DELETED)
        assert after != Kind.CREATED


async def test_groups_in_opposite_order_do_not_wait_for_each_other_in_a_circle(world: World):
    """Half of each group exists and half is new, and they overlap: without one order of keys some would deadlock."""
    suffixes = [f"S{n:02d}" for n in range(40)]
    await world.write(*(request("create", s) for s in suffixes[::2]))

    async def client(turn: int) -> list:
        mine = suffixes if turn % 2 else suffixes[::-1]
        asked = [
            request("update" if int(s[1:]) % 2 == 0 or turn > 3 else "create", s, *values(f"{turn}")) for s in mine
        ]
        return await world.write(*asked)

    before = await world.one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    await asyncio.gather(*(client(turn) for turn in range(8)))
    await world.one("SELECT pg_stat_force_next_flush()")
    after = await world.one("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    assert after == before
    await world.stream()


# --- What nobody knows -------------------------------------------------------------------------------------


async def _kill_waiting(world: World) -> int:
    await eventually(world.pool, LOCKED, 1)
    backend = await world.one(f"SELECT pid FROM {WAITING}")
    assert await world.one("SELECT pg_terminate_backend($1)", backend)
    return int(backend)


async def test_a_server_process_killed_during_the_commit_leaves_it_unknown(world: World):
    async with holding(world.url, "SELECT FROM stream FOR UPDATE"):
        writing = asyncio.create_task(world.write(request("create", "A"), request("create", "B")))
        backend = await _kill_waiting(world)
        with pytest.raises(UnknownOutcomeError) as lost:
            await writing
    assert lost.value.backend == backend
    assert world.ear.told == [("pending", key("A"), key("B")), ("unknown", backend, key("A"), key("B"))]
    assert [s.version for s in await world.look("A", "B")] == [0, 0]
    assert await world.write(request("create", "A")) == [Written(Kind.CREATED, 1)]
    await world.stream()


async def test_an_answer_lost_on_the_way_is_unknown_though_it_was_written(world: World):
    with tempfile.TemporaryDirectory() as folder:
        async with Wire(world.url, folder).laid() as wire:
            pool = await open_pool(wire.url, size=1, name="idnode-far")
            await world.write(request("create", "0"), pool=pool)  # the statement is prepared: the next answer is all
            world.ear.told.clear()
            world.ear.on_pending = wire.cut_next_answer
            with pytest.raises(UnknownOutcomeError) as lost:
                await world.write(request("create", "A"), pool=pool)
            pool.terminate()
    backend = lost.value.backend
    assert world.ear.told == [("pending", key("A")), ("unknown", backend, key("A"))]
    async with asyncio.timeout(30):
        while not await backends_gone(world.url, "idnode", "idnode-far", backend):
            continue
    assert (await world.stream())[2:] == [("A", 1, Kind.CREATED)]


async def test_a_write_that_is_called_off_during_the_commit_is_unknown(world: World):
    async with holding(world.url, "SELECT FROM stream FOR UPDATE"):
        writing = asyncio.create_task(world.write(request("create", "A")))
        await eventually(world.pool, LOCKED, 1)
        writing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writing
    assert [(each[0], each[-1]) for each in world.ear.told] == [("pending", key("A")), ("unknown", key("A"))]


async def test_a_database_that_cannot_be_asked_means_that_nothing_was_done(world: World):
    away = await open_pool("postgresql://idnode@127.0.0.1:1/none", size=1, name="idnode-away")
    with pytest.raises(UnavailableError):
        await world.write(request("create", "A"), pool=away)
    assert world.ear.told == []


async def test_a_job_is_one_request_and_who_asks(world: World):
    foreign = replace(world.owner, enterprise=world.owner.enterprise + 1)
    jobs = [Job(request("create", "A"), foreign), Job(request("create", "B"), world.admin)]
    assert rules(await world.registrar().write(jobs, NOW)) == [Rule.PERMISSION, Written(Kind.CREATED, 1)]
    assert await world.one("SELECT actor_no FROM record") == world.admin.number
    assert identifier("B").key == key("B")


# --- Several prefixes together -----------------------------------------------------------------------------


async def test_what_is_written_together_is_told_by_job_and_those_that_must_go_alone_are_not(world: World):
    enterprise = await world.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    await world.steward.add_template(replace(BAG, prefix=OTHER))
    theirs = replace(world.owner, enterprise=enterprise)
    jobs = [
        *world.jobs(request("create", "B"), request("create", "A"), request("update", "X")),
        Job(request("create", "A", prefix=OTHER), theirs),
        *world.jobs(request("create", "Z", prefix="88.999.7777"), request("create", "A", prefix=OTHER)),
    ]
    together = await world.registrar().write_together(jobs, NOW)
    assert rules(together) == [
        Written(Kind.CREATED, 1),
        Written(Kind.CREATED, 1),
        Rule.ABSENT,
        Written(Kind.CREATED, 1),
        Rule.FOREIGN_PREFIX,
        Rule.PERMISSION,
    ]
    assert (await world.stream())[1:] == [("A", 1, Kind.CREATED), ("B", 1, Kind.CREATED)]
    assert (await world.stream(OTHER))[-1:] == [("A", 1, Kind.CREATED)]
    keys = [key("A"), key("B"), f"{OTHER}/A"]
    assert world.ear.told == [("pending", *keys), ("written", *((each, 1) for each in keys))]


async def test_a_prefix_that_is_held_keeps_nobody_waiting_who_is_written_together_with_it(world: World):
    enterprise = await world.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    await world.steward.add_template(replace(BAG, prefix=OTHER))
    theirs = Job(request("create", "A", prefix=OTHER), replace(world.owner, enterprise=enterprise))
    async with world.pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT 1 FROM stream WHERE prefix_no = $1 FOR UPDATE", world.prefix_no)
        outcomes = await world.registrar().write_together([*world.jobs(request("create", "A")), theirs], NOW)
        assert outcomes == [None, Written(Kind.CREATED, 1)]
        # Also when it is the only one of them that has something to write.
        outcomes = await world.registrar().write_together([*world.jobs(request("create", "A")), theirs], NOW)
        assert rules(outcomes) == [None, Rule.EXISTS]
    assert await world.registrar().write_together([*world.jobs(request("create", "A")), theirs], NOW) == [
        Written(Kind.CREATED, 1),
        await refusal(world, theirs),
    ]


async def refusal(world: World, job: Job) -> object:
    return (await world.registrar().write([job], NOW))[0]


# --- What neighbours have in common ------------------------------------------------------------------------


@pytest.mark.parametrize("quota", [None, Left(Quota(identifiers=4, room=10_000), 4, 10_000)], ids=["any", "four"])
async def test_what_is_judged_together_is_judged_as_each_by_itself(world: World, quota: Left | None):
    stranger, bag = replace(world.owner, number=77, enterprise=77), world.bag
    stored = Stored(1, 0, 3, 2, live=True, template=bag.number, body=pack(values(), NAMES, NOW), updated=NOW)
    named = {"bag": bag, "draft": replace(bag, state=State.DRAFT), "odd": replace(bag, suffix=SERIAL), "none": None}
    prefixes = {
        PREFIX: RegisteredPrefix(1, PREFIX, PrefixState.ENABLED, 3, world.owner.enterprise),
        OTHER: RegisteredPrefix(2, OTHER, PrefixState.STOPPED, 3, world.owner.enterprise),
        "88.1.1": None,
    }
    fine = ((2000, "挎包"), (2001, "1"))
    requests = [
        spelt("A", *fine),
        spelt("THERE", *fine),
        spelt("THERE", *fine)._replace(operation="update"),
        spelt("B", (2000, "挎包")),
        spelt("C", (2001, "1")),
        spelt("D", (2000, "挎" * 5000)),
        spelt("E", (2000, 'a"b')),
        spelt("F", (2000, "包"), (2000, "包")),
        spelt("META_G", *fine),
        spelt("G", *fine)._replace(operation="update"),
        request("delete", "H"),
        request("create", "I"),
        *(spelt(suffix, *fine, template=template) for template in named for suffix in ("S-17", "S-x")),
        *(spelt("J", *fine, prefix=prefix) for prefix in prefixes),
        spelt("K", *fine),
        spelt("L", *fine),
        spelt("M", *fine),
    ]
    jobs = [Job(each, who) for who in (world.owner, stranger, world.admin) for each in requests]

    def grounds() -> dict[str, _Grounds]:
        names, kept, records = {bag.number: "bag"}, {bag.number: bag}, {"THERE": stored}
        left = replace(quota) if quota else None
        return {key: _Grounds(prefix, named, kept, names, records, left) for key, prefix in prefixes.items()}

    registrar, apart, together = world.registrar(), grounds(), grounds()
    expected = [registrar._judge(job, apart, ALONE, NOW) for job in jobs]
    assert registrar._judged(jobs, together, ALONE, NOW) == expected
    around = Around(set(), {})  # then each is looked at closely
    assert registrar._judged(jobs, grounds(), around, NOW) == expected
    assert sum(isinstance(each, Change) for each in expected) == (4 + 2 if quota else 24)


async def test_many_changes_are_written_alike_or_not(world: World):
    alike = [spelt(f"A{n:03}", (2000, f"包{n}")) for n in range(ALIKE_LEAST)]
    assert await world.write(*alike) == [Written(Kind.CREATED, 1)] * ALIKE_LEAST
    jobs = world.jobs(*(spelt(f"B{n:03}", (2000, f"包{n}")) for n in range(ALIKE_LEAST)))
    jobs[7] = jobs[7]._replace(who=world.admin)
    assert await world.registrar().write(jobs, NOW) == [Written(Kind.CREATED, 1)] * ALIKE_LEAST
    rows = await world.ask(
        'SELECT suffix, version, template_no, actor_no, body FROM record ORDER BY suffix COLLATE "C"'
    )
    actors = [world.owner.number] * (2 * ALIKE_LEAST)
    actors[ALIKE_LEAST + 7] = world.admin.number
    bodies = [pack_plain([2000], [f"包{n}"]) for n in [*range(ALIKE_LEAST)] * 2]
    names = [each.identifier.suffix for each in (*alike, *(job.request for job in jobs))]
    assert [tuple(row) for row in rows] == [
        (name, 1, world.bag.number, actor, body) for name, actor, body in zip(names, actors, bodies, strict=True)
    ]


# --- Blocks ------------------------------------------------------------------------------------------------


def block_of(*suffixes: str, template: str = "bag", names: tuple[str, ...] = ()) -> Block:
    """New bags of these names; "包" unless given."""
    shape = Shape.of([2000, 2001], ["productName", "weight"])
    said = [name.encode() for name in names or ["包"] * len(suffixes)]
    return alike(shape, suffixes, [said, [b"%d" % (n % 100) for n in range(len(suffixes))]], template=template)


WHOLE = "SELECT suffix, version, template_no, actor_no, updated, body FROM record ORDER BY hashtext(suffix), suffix"


async def test_a_block_is_written_as_its_rows_would_be(fresh_world: World):
    world, size = fresh_world, 3 * AT_ONCE + 1
    names = [f"S-{n}" for n in range(size, 0, -1)]
    block = block_of(*names, names=tuple(f"包 {n}" for n in range(size)))
    assert await world.registrar().write_block(block, world.owner, NOW) == [Written(Kind.CREATED, 1)] * size
    keys = [key(suffix) for suffix in sorted(names)]
    assert world.ear.told == [("pending", *keys), ("written", *((each, 1) for each in keys))]
    written = [tuple(row) for row in await world.ask(WHOLE)]
    assert await world.stream() == [*FOUNDED, *((suffix, 1, Kind.CREATED) for suffix in sorted(names))]
    await world.ask("TRUNCATE record")
    again = [replace_suffix(each) for each in block.requests(block.parts)]
    assert (
        await world.registrar().write([Job(each, world.owner) for each in again], NOW)
        == [Written(Kind.CREATED, 1)] * size
    )
    rows = [(row[0].removeprefix("again-"), *tuple(row)[1:]) for row in await world.ask(WHOLE)]
    assert sorted(rows) == sorted(written)


def replace_suffix(each: Request) -> Request:
    return each._replace(identifier=identifier(f"again-{each.identifier.suffix}"))


async def test_what_is_there_already_is_told_and_some_more_blocks_are_rows(world: World):
    await world.write(request("create", "B"), request("create", "D"))
    await world.write(request("delete", "D"))
    registrar, new = world.registrar(), Written(Kind.CREATED, 1)
    outcomes = await registrar.write_block(block_of("D", "C", "B", "A"), world.owner, NOW)
    assert rules(outcomes) == [Written(Kind.REVIVED, 3), new, Rule.EXISTS, new]
    for n in range(MET_BLOCKS):
        told = len(world.ear.told)
        outcomes = await registrar.write_block(block_of("A", "B"), world.owner, NOW)
        assert rules(outcomes) == [Rule.EXISTS] * 2
        assert len(world.ear.told) == told, f"block {n} was not tried"
    await registrar.write_block(block_of("A", "B"), world.owner, NOW)
    assert len(world.ear.told) > told, "and then one is"
    assert [s.version for s in await world.look("A", "B", "C", "D")] == [1, 1, 1, 3]


async def test_few_prefixes_are_remembered_for_what_was_there(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MET_MOST", 1)
    enterprise = await world.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    await world.steward.add_template(replace(BAG, prefix=OTHER))
    registrar = world.registrar()
    for prefix, who in ((PREFIX, world.owner), (OTHER, replace(world.owner, enterprise=enterprise))):
        await registrar.write([Job(request("create", "A", prefix=prefix), who)], NOW)
        assert len(await registrar.write_block(block_of("A", "B")._replace(prefix=prefix), who, NOW)) == 2
    assert list(registrar._met) == [OTHER]


@pytest.mark.parametrize("case", ["template", "value", "suffix", "stranger", "NUL", "closed"])
async def test_of_a_block_nothing_is_done_if_something_may_speak_against_a_row(fresh_world: World, case: str):
    world, who, block = fresh_world, fresh_world.owner, block_of("A", "B", "C")
    if case in {"template", "NUL"}:
        block = block._replace(template="none" if case == "template" else "b\0g")
    if case == "value":
        block = block_of("A", "B", "C", names=("包", "x" * 65, "包"))
    if case == "suffix":
        block = block_of("A", "META_B", "C")
    if case == "stranger":
        who = replace(world.owner, number=77, enterprise=77)
    if case == "closed":
        await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    before = len(world.ear.told), await world.one("SELECT count(*) FROM record")
    assert await world.registrar()._write_whole(block, who, NOW) is None
    assert (len(world.ear.told), await world.one("SELECT count(*) FROM record")) == before


@pytest.mark.parametrize("item", [Item(2002, "parent", "上级", kind="reference"), Item(2002, "no", "号", unique=True)])
async def test_what_holds_more_than_itself_is_no_block(world: World, item: Item):
    await world.steward.add_template(replace(BAG, version="holds", items=(*BAG.items, item)))
    block = block_of("A", "B", template="holds")
    assert await world.registrar()._write_whole(block, world.owner, NOW) is None
    assert await world.registrar().write_block(block, world.owner, NOW) == [Written(Kind.CREATED, 1)] * 2


@pytest.mark.parametrize(
    ("quota", "fits"), [({"identifiers": 2}, 2), ({"identifiers": 3}, 3), ({"room": 20}, 3), ({"room": 13}, 2)]
)
async def test_a_block_within_the_quota_is_written(world: World, quota: dict[str, int | None], fits: int):
    assert world.owner.enterprise
    await world.steward.set_quota(world.owner.enterprise, quota)
    assert (await world.registrar()._write_whole(block_of("A", "B", "C"), world.owner, NOW) is None) == (fits < 3)
    if fits < 3:
        outcomes = await world.registrar().write_block(block_of("A", "B", "C"), world.owner, NOW)
        assert [isinstance(each, Written) for each in outcomes] == [True, True, False]
    assert await world.one("SELECT count(*) FROM record") == fits


async def test_of_a_block_that_lost_a_race_the_others_are_written(world: World):
    async def other() -> None:
        await world.write(request("create", "B", *values("他的")))

    pool = Interrupted(world.pool, other)
    outcomes = await world.registrar(pool=pool).write_block(block_of("C", "B", "A"), world.owner, NOW)
    assert rules(outcomes) == [Written(Kind.CREATED, 1), Rule.EXISTS, Written(Kind.CREATED, 1)]
    assert (await world.stream())[1:] == [("B", 1, Kind.CREATED), ("A", 1, Kind.CREATED), ("C", 1, Kind.CREATED)]


async def test_of_a_block_that_lost_a_race_only_the_losers_share_what_comes_then(world: World):
    async def other() -> None:
        await world.write(request("create", "B", *values("他的")))

    registrar = world.registrar(pool=Interrupted(world.pool, other))

    async def away(jobs: list[Job], now: int) -> list[Outcome | RegistryError]:
        raise UnavailableError(f"{len(jobs)} at {now}")

    registrar.write = away  # type: ignore[method-assign, assignment]
    first, second, third = await registrar.write_block(block_of("C", "B", "A"), world.owner, NOW)
    assert first == third == Written(Kind.CREATED, 1)
    assert isinstance(second, UnavailableError)
    assert str(second) == f"1 at {NOW}"


async def test_a_block_whose_prefix_closed_meanwhile_is_not_written(world: World):
    async def other() -> None:
        await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)

    registrar = world.registrar(pool=Interrupted(world.pool, other))
    outcomes = await registrar.write_block(block_of("A", "B"), world.owner, NOW)
    assert rules(outcomes) == [Rule.PREFIX_CLOSED] * 2
    assert world.ear.told[-1][0] == "unwritten"
    assert await world.one("SELECT count(*) FROM record") == 0

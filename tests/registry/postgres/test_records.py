"""Proves registry/postgres/records.py: every statement over records, history, changes and streams.

What a registrar makes of them is proven in test_registrar.py.
"""

import asyncio
from collections.abc import Awaitable
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from proto.chain import Kind, entry_digest
from proto.identifier import PREFIX_HANDLES
from registry.postgres import records
from registry.postgres.records import Change, Ground, Share, Stored
from registry.prefix import PREFIX_HANDLES_NUMBER, PrefixState
from tests.registry.world import NOW, OTHER, PREFIX, World, key, request, values

HANDLES = {PREFIX_HANDLES_NUMBER: 0}
"""Where the stream of the handles of prefixes stands."""
MANY = 400
CAPACITY = Path(__file__).parents[3].joinpath("docs/capacity.md").read_text(encoding="utf-8")
PARTITIONS = CAPACITY.partition("```sql partitions\n")[2].partition("```")[0]


def change(world: World, suffix: str, base: int, *, template: int | None = None, body: bytes = b"body") -> Change:
    kind = Kind.UPDATED if base else Kind.CREATED
    number = world.bag.number if template is None else template
    name = world.bag.version if number else ""
    digest = sha256(body).digest()
    entry = entry_digest(key(suffix), base + 1, kind, name, digest)
    return Change(world.prefix_no, suffix, base, kind, number, world.owner.number, body, digest, entry)


async def committed(world: World, *changes: Change, epoch: int | None = None, at: int = NOW) -> list[int]:
    prefix = await world.lookup.prefix(PREFIX)
    assert prefix is not None
    async with world.pool.acquire() as connection:
        given = prefix.epoch if epoch is None else epoch
        return list(await records.commit(connection, Share(prefix.number, given, len(changes)), at, changes))


async def test_what_is_written_is_told_by_position(world: World):
    assert await committed(world, change(world, "A", 0), change(world, "B", 0)) == [0, 1]
    assert await committed(world, change(world, "A", 0), change(world, "C", 0)) == [1]
    assert await committed(world, change(world, "A", 7), change(world, "B", 1), change(world, "D", 0)) == [1, 2]
    assert await committed(world, change(world, "A", 7)) == []
    assert (await world.stream())[1:] == [
        ("A", 1, Kind.CREATED),
        ("B", 1, Kind.CREATED),
        ("C", 1, Kind.CREATED),
        ("B", 2, Kind.UPDATED),
        ("D", 1, Kind.CREATED),
    ]
    assert await world.one("SELECT max(number) FROM stream") == 4  # nothing won, nothing appended


async def test_a_lost_premise_leaves_record_and_history_alone(world: World):
    await committed(world, change(world, "A", 0, body=b"one"))
    await committed(world, change(world, "A", 1, body=b"two"))
    for base in (0, 1, 3):
        assert await committed(world, change(world, "A", base, body=b"lost")) == []
    assert [tuple(r) for r in await world.ask("SELECT version, body FROM record")] == [(2, b"two")]
    assert [tuple(r) for r in await world.ask("SELECT version, body FROM history")] == [(1, b"one")]


@pytest.mark.parametrize("taken", [(), ("N017",), ("N000", "N399")])
async def test_of_a_large_batch_only_what_lost_is_left_out(world: World, taken: tuple[str, ...]):
    if taken:
        await committed(world, *(change(world, suffix, 0, body=b"first") for suffix in taken))
    suffixes = [f"N{n:03d}" for n in range(MANY)]
    won = await committed(world, *(change(world, suffix, 0, body=suffix.encode()) for suffix in suffixes))
    assert [suffixes[n] for n in won] == [suffix for suffix in suffixes if suffix not in taken]
    kept = await world.ask("SELECT suffix, version, body FROM record ORDER BY suffix")
    assert [tuple(row) for row in kept] == [(s, 1, b"first" if s in taken else s.encode()) for s in suffixes]
    # The stream counts each once, whichever way it was written.
    octets = 4 * (MANY - len(taken)) + 5 * len(taken)
    assert [tuple(row) for row in await world.ask("SELECT number, live, octets FROM stream WHERE live > 0")] == [
        (3 if taken else 2, MANY, octets)
    ]
    assert (await world.stream())[1:] == [
        *((suffix, 1, Kind.CREATED) for suffix in taken),
        *((suffix, 1, Kind.CREATED) for suffix in suffixes if suffix not in taken),
    ]


async def test_a_prefix_that_changed_takes_nothing(world: World):
    with pytest.raises(asyncpg.PostgresError) as refused:
        await committed(world, change(world, "A", 0), epoch=1)
    assert refused.value.sqlstate == "ID001"
    assert await world.one("SELECT count(*) FROM record") == 0


async def test_a_template_that_is_gone_takes_nothing(world: World):
    with pytest.raises(asyncpg.PostgresError) as refused:
        await committed(world, change(world, "A", 0), change(world, "B", 0, template=999))
    assert refused.value.sqlstate == "ID002"
    assert await world.one("SELECT count(*) FROM record") == 0


async def test_no_template_is_needed_where_there_is_none(world: World):
    assert await committed(world, change(world, "A", 0, template=0)) == [0]


async def test_the_ground_of_a_judgement(world: World):
    await world.write(request("create", "A"), request("create", "B"))
    await world.write(request("delete", "B"), now=NOW + 1)
    prefix = await world.lookup.prefix(PREFIX)
    async with world.pool.acquire() as connection:
        found = await records.grounds(connection, [OTHER, PREFIX], ["bag", "none"], ["B", "A", "A", "X"], [2, 1, 2, 2])
    other, ground = found
    assert other == Ground(None, {}, {})
    assert ground.prefix == (prefix.number, PrefixState.ENABLED, prefix.epoch, world.owner.enterprise)
    assert ground.templates == {"bag": (world.bag.number, world.bag.epoch)}
    a, b = await world.look("A", "B")
    assert ground.records == {"A": a, "B": b}


async def test_versions_of_an_identifier_with_their_writer_and_template(world: World):
    await world.write(request("create", "A", *values("一")), now=100)
    await world.write(request("delete", "A"), now=200)
    async with world.pool.acquire() as connection:
        rows = [dict(row) for row in await records.versions(connection, PREFIX, "A", 10, 9999)]
        assert [dict(row) for row in await records.versions(connection, PREFIX, "A", 1, 9999)] == rows[:1]
        assert await records.versions(connection, OTHER, "A", 10, 9999) == []
    assert [(r["version"], r["live"], r["updated"], r["username"], r["template"]) for r in rows] == [
        (2, False, 200, "tianma", "bag"),
        (1, True, 100, "tianma", "bag"),
    ]
    assert {(r["template_no"], r["template_epoch"]) for r in rows} == {(world.bag.number, world.bag.epoch)}
    octets = len(rows[1]["body"])
    await world.write(request("create", "A", *values("一")), now=300)
    async with world.pool.acquire() as connection:
        for most, shown in ((0, []), (1, [3]), (octets, [3]), (octets + 1, [3, 2, 1])):
            found = await records.versions(connection, PREFIX, "A", 9, most)
            assert [row["version"] for row in found] == shown


# --- Several prefixes in one transaction --------------------------------------------------------------------


async def together(world: World, *groups: tuple[str, list[Change]], **epochs: int) -> list[int]:
    """Positions of what was written of changes of several prefixes, ascending."""
    async with world.pool.acquire() as connection:
        shares = []
        for name, changes in groups:
            prefix = await world.lookup.prefix(name)
            assert prefix is not None
            shares.append(Share(prefix.number, epochs.get(name, prefix.epoch), len(changes)))
        every = [each for _, changes in groups for each in changes]
        return list(await records.commit_together(connection, shares, NOW, every))


@pytest.fixture
async def two(world: World) -> World:
    await world.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    return world


async def heads(world: World) -> dict[str, int]:
    """How far the stream of each prefix of an enterprise is."""
    streams = "SELECT p.name, s.number FROM stream s JOIN prefix p ON p.number = s.prefix_no WHERE enterprise_no > 0"
    return dict(await world.ask(streams))


async def test_prefixes_written_together_have_each_a_change_of_their_own(two: World):
    ours, theirs = [change(two, "A", 0), change(two, "B", 0)], [change(two, "A", 0, template=0)]
    assert await together(two, (PREFIX, ours), (OTHER, theirs)) == [0, 1, 2]
    assert await heads(two) == {PREFIX: 2, OTHER: 2}
    again = [change(two, "A", 0), change(two, "C", 0)]
    assert await together(two, (PREFIX, again), (OTHER, [change(two, "A", 1, template=0)])) == [1, 2]
    assert await together(two, (PREFIX, again), (OTHER, [change(two, "A", 7, template=0)])) == []
    assert await heads(two) == {PREFIX: 3, OTHER: 3}
    assert [(s.version, s.live) for s in await two.look("A", "B", "C")] == [(1, True)] * 3


async def test_what_is_all_new_is_written_together_as_each_prefix_would_write_it(two: World):
    """Records, streams and changes, but for the moment: by both ways, each taken back."""
    await committed(two, change(two, "A", 0))  # from now on the template is used
    ours = [change(two, suffix, 0, body=suffix.encode() * n) for n, suffix in enumerate("BCDE", 1)]
    theirs = [change(two, "B", 0, template=0, body=b"b"), change(two, "号", 0, template=0, body=b"")]
    mine, other = two.prefix_no, (await two.lookup.prefix(OTHER)).number
    epochs = dict(await two.ask("SELECT number, epoch FROM prefix"))
    shares = [Share(mine, epochs[mine], len(ours)), Share(other, epochs[other], len(theirs))]
    theirs = [each._replace(prefix=other) for each in theirs]
    kept = []
    async with two.pool.acquire() as connection:
        for together in (True, False):
            transaction = connection.transaction()
            await transaction.start()
            if together:
                assert list(await records.commit_together(connection, shares, NOW, [*ours, *theirs])) == [*range(6)]
            else:
                assert list(await records.commit(connection, shares[0], NOW, ours)) == [0, 1, 2, 3]
                assert list(await records.commit(connection, shares[1], NOW, theirs)) == [0, 1]
            kept.append(
                [
                    await connection.fetch("SELECT * FROM record ORDER BY prefix_no, suffix"),
                    await connection.fetch("SELECT * FROM stream ORDER BY prefix_no"),
                    await connection.fetch(
                        "SELECT prefix_no, number, head, suffixes, versions, kinds, templates, digests FROM change "
                        "ORDER BY prefix_no, number"
                    ),
                ]
            )
            await transaction.rollback()
    assert [len(rows) for rows in kept[0]] == [7, 3, 5]
    assert kept[0] == kept[1]


async def test_a_prefix_that_changed_or_lacks_its_template_is_left_out_and_no_other(two: World):
    theirs = (OTHER, [change(two, "A", 0, template=0), change(two, "B", 0, template=0)])
    gone = [change(two, "A", 0), change(two, "Z", 0, template=999)]
    assert await together(two, (PREFIX, gone), theirs) == [2, 3]
    assert await together(two, (PREFIX, [change(two, "A", 0)]), (OTHER, [change(two, "C", 0)]), **{PREFIX: 1}) == [1]
    assert await heads(two) == {PREFIX: 1, OTHER: 3}
    assert await two.one("SELECT count(*) FROM record WHERE suffix = 'A'") == 1, "half a share is none"


async def test_a_prefix_that_somebody_holds_is_left_out_at_once(two: World):
    async with two.pool.acquire() as holder, holder.transaction():
        await holder.execute("SELECT 1 FROM stream WHERE prefix_no = $1 FOR UPDATE", two.prefix_no)
        ours = (PREFIX, [change(two, "A", 0)])
        assert await together(two, ours, (OTHER, [change(two, "A", 0, template=0)])) == [1]
    assert await together(two, ours, (OTHER, [change(two, "B", 0, template=0)])) == [0, 1]


# --- Streams -----------------------------------------------------------------------------------------------


async def test_changes_after_a_place_prefix_by_prefix(world: World):
    await world.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    other = (await world.lookup.prefix(OTHER)).number
    for n in range(3):
        await world.write(request("create", f"A{n}"), request("create", f"B{n}"))

    async def after(places: dict[int, int], most: int) -> list[tuple[Any, ...]]:
        async with world.pool.acquire() as connection:
            return [tuple(row) for row in await records.changes_after(connection, places, most)]

    mine = world.prefix_no
    rows = await after({other: 0, mine: 0}, 10)
    assert [row[:3] for row in rows] == [(mine, n, PREFIX) for n in (1, 2, 3, 4)] + [(other, 1, OTHER)]
    assert rows[1][3:] == (["A0", "B0"], [1, 1])
    assert [row[1] for row in await after({mine: 1}, 2)] == [2, 3]
    assert [row[1] for row in await after({mine: 3}, 2)] == [4]
    assert await after({mine: 4, other: 1}, 2) == []
    assert await after({}, 2) == []


async def test_where_every_stream_stood(world: World):
    await world.steward.enrol("电驰汽车", "Dianchi", "automotive", OTHER)
    other = (await world.lookup.prefix(OTHER)).number
    for n in range(4):
        await world.write(request("create", f"A{n}"))
    await world.pool.execute(
        "UPDATE change SET made = clock_timestamp() - make_interval(secs => 100 * (5 - number)) WHERE prefix_no = $1",
        world.prefix_no,
    )

    async def places(seconds: int) -> dict[int, int]:
        async with world.pool.acquire() as connection:
            return await records.places(connection, seconds)

    mine = world.prefix_no
    assert await places(0) == {mine: 5, other: 1} | HANDLES
    assert await places(50) == {mine: 4, other: 0} | HANDLES
    assert await places(150) == {mine: 3, other: 0} | HANDLES
    assert await places(9999) == {mine: 0, other: 0} | HANDLES


async def test_heads_are_told_whatever_the_clock_says(world: World):
    await world.write(request("create", "A"))
    await world.pool.execute("UPDATE change SET made = clock_timestamp() + interval '1 hour'")  # it was put back since
    async with world.pool.acquire() as connection:
        assert await records.places(connection, 0) == {world.prefix_no: 2} | HANDLES
        assert await records.places(connection, 90) == {world.prefix_no: 0} | HANDLES


# --- Old changes are bound into volumes ----------------------------------------------------------------------


async def bind(world: World, rows: int, entries: int, *, last: int = 10**6, seconds: int = 0) -> bool:
    """Whether a volume was bound of rows older than `seconds`."""
    asked = "SELECT bind_changes($1, $2, clock_timestamp() - make_interval(secs => $3), $4, $5)"
    return bool(await world.one(asked, world.prefix_no, last, float(seconds), rows, entries))


async def lived(world: World) -> list[tuple[Any, ...]]:
    """Eight change rows, some of several identifiers, one of the prefix itself; returns them as they are."""
    for n in range(6):
        await world.write(*(request("create", f"{n}-{m}·号", *values("包" * 9)) for m in range(1 + n % 3)))
    await world.write(request("delete", "0-0·号"))
    return await every(world)


async def every(world: World, after: int = 0, most: int = 10**6) -> list[tuple[Any, ...]]:
    asked = "SELECT * FROM changes_after($1, $2, $3)"
    return [tuple(row) for row in await world.ask(asked, world.prefix_no, after, most)]


async def test_bound_changes_read_as_before_from_any_place_and_of_any_number(world: World):
    rows = await lived(world)
    assert await bind(world, 3, 100)
    assert await bind(world, 100, 4)  # numbers 4, 5: 2 and 3 entries
    assert not await bind(world, 4, 100)  # only three are left
    bound = await world.ask("SELECT first, last, sizes FROM change_volume ORDER BY last")
    assert [tuple(row) for row in bound] == [(1, 3, [1, 1, 2]), (4, 5, [3, 1])]
    assert [row["number"] for row in await world.ask("SELECT number FROM change ORDER BY 1")] == [6, 7, 8]
    for after in range(len(rows) + 1):
        for most in range(1, len(rows) + 2):
            assert await every(world, after, most) == rows[after : after + most]
    async with world.pool.acquire() as connection:
        told = await records.changes_after(connection, {world.prefix_no: 2}, 4)
    assert [(r["number"], r["suffixes"], r["versions"]) for r in told] == [(r[2], r[5], r[6]) for r in rows[2:6]]


async def test_heads_are_found_in_volumes(world: World):
    rows = await lived(world)
    heads = {row[2]: row[4] for row in rows}
    assert await bind(world, 3, 100)
    assert await bind(world, 2, 100)
    for number in range(-1, len(rows) + 2):
        assert await world.one("SELECT head_at($1, $2)", world.prefix_no, number) == heads.get(number)


async def test_only_full_volumes_of_old_and_receipted_rows_are_bound(world: World):
    await lived(world)
    await world.pool.execute("UPDATE change SET made = made - interval '1 hour' WHERE number <= 4")
    assert not await bind(world, 9, 100)  # there are eight
    assert not await bind(world, 5, 100, seconds=60)  # the fifth is young
    assert not await bind(world, 4, 100, last=3)  # the fourth has no receipt
    assert await world.one("SELECT count(*) FROM change_volume") == 0
    assert await bind(world, 4, 100, last=4, seconds=60)
    assert await world.one("SELECT last FROM change_volume") == 4


async def test_two_that_bind_at_once_bind_once(world: World):
    rows = await lived(world)
    done = await asyncio.gather(*(bind(world, 5, 100) for _ in range(4)))
    assert sorted(done) == [False, False, False, True]
    assert await every(world) == rows


async def test_where_a_stream_stood_when_all_before_is_bound(world: World):
    await lived(world)
    await world.pool.execute("UPDATE change SET made = made - interval '1 hour' WHERE number <= 4")
    assert await bind(world, 4, 100)
    async with world.pool.acquire() as connection:
        assert await records.places(connection, 0) == {world.prefix_no: 8} | HANDLES
        assert await records.places(connection, 90) == {world.prefix_no: 4} | HANDLES


async def test_single_writes_take_little_room_when_bound(world: World):
    """A row of one takes 300 octets in `change`; the bound is 120 an identifier, and headers come to this."""
    suffixes = [f"BAG-2026-{n:06d}" for n in range(512)]
    for suffix in suffixes:
        assert await committed(world, change(world, suffix, 0)) == [0]
    assert await bind(world, 256, 4096)
    assert await bind(world, 256, 4096)
    columns = ("made", "heads", "sizes", "suffixes", "versions", "kinds", "templates", "digests")
    kept = await world.one(f"SELECT sum({' + '.join(f'pg_column_size({c})' for c in columns)}) FROM change_volume")
    assert kept / len(suffixes) < 90
    assert [s for row in await every(world, 1) for s in row[5]] == suffixes


# --- By the whole key --------------------------------------------------------------------------------------


async def _fetched(connection: Any, table: str, doing: Awaitable[Any]) -> int:
    """How many rows of `table` were fetched by index while `doing`, inside one transaction."""
    question = f"SELECT idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = '{table}'"
    async with connection.transaction():
        before = await connection.fetchval(question)
        await doing
        return int(await connection.fetchval(question) - before)


async def test_a_session_that_began_on_empty_tables_still_comes_by_the_whole_key(fresh_world: World):
    """Plans are kept; one made while a table looked empty would read all of a prefix for each of its identifiers."""
    suffixes = [f"S{n:04d}" for n in range(MANY)]
    some = suffixes[::20]
    prefix = await fresh_world.lookup.prefix(PREFIX)
    async with fresh_world.pool.acquire() as connection:
        await connection.execute("ALTER TABLE record SET (autovacuum_enabled = false)")  # nobody tells the planner

        def commit(base: int, which: list[str]) -> Awaitable[Any]:
            made = [change(fresh_world, suffix, base) for suffix in which]
            return records.commit(connection, Share(prefix.number, prefix.epoch, len(made)), NOW, made)

        await commit(0, ["first"])
        await commit(1, ["first"])
        await records.look(connection, [PREFIX], ["first"])
        await records.grounds(connection, [PREFIX], ["bag"], ["first"], [1])
        await commit(0, suffixes)
        looks = records.look(connection, [PREFIX] * len(some), some)
        assert await _fetched(connection, "record", looks) <= 2 * len(some)
        grounds = records.grounds(connection, [OTHER, PREFIX], ["bag"], some, [2] * len(some))
        assert await _fetched(connection, "record", grounds) <= 2 * len(some)
        assert await _fetched(connection, "record", commit(1, some)) <= 3 * len(some)


async def test_a_life_goes_on_when_records_are_divided_as_the_manual_says(fresh_world: World):
    """The SQL of docs/capacity.md: what was written is there, what comes is written, and by one partition alone."""
    await fresh_world.write(request("create", "A"), request("create", "B"))
    await fresh_world.pool.execute(PARTITIONS)
    await fresh_world.write(request("delete", "A"), now=NOW + 1)
    await fresh_world.write(request("create", "A", *values("新")), request("create", "C"), now=NOW + 2)
    assert [(s.version, s.live) for s in await fresh_world.look("A", "B", "C", "D")] == [
        (3, True),
        (1, True),
        (1, True),
        (0, False),
    ]
    assert [r[0] for r in await fresh_world.ask("SELECT version FROM history ORDER BY 1")] == [1, 2]
    assert len(await fresh_world.stream()) == 6
    parts = await fresh_world.ask("SELECT tableoid::regclass::text, count(*) FROM record GROUP BY 1")
    assert [count for _, count in parts] == [3]
    where = "attname = 'body' AND attrelid IN (SELECT inhrelid FROM pg_inherits WHERE inhparent = 'record'::regclass)"
    assert await fresh_world.one(f"SELECT bool_and(attstorage = 'm') FROM pg_attribute WHERE {where}")
    suffixes = [f"S{n:03d}" for n in range(100)]
    async with fresh_world.pool.acquire() as connection:
        looked = records.look(connection, [PREFIX] * len(suffixes), suffixes)
        assert await _scanned(connection, "record_%_pkey", looked) == len(suffixes)


async def _scanned(connection: Any, like: str, doing: Awaitable[Any]) -> int:
    """How many index scans of indexes named so there were while `doing`, inside one transaction."""
    question = (
        "SELECT coalesce(sum(pg_stat_get_xact_numscans(oid)), 0) FROM pg_class "
        f"WHERE relname LIKE '{like}' AND relkind = 'i'"
    )
    async with connection.transaction():
        before = await connection.fetchval(question)
        await doing
        return int(await connection.fetchval(question) - before)


async def test_where_a_stream_stood_is_found_from_its_end(world: World):
    await world.pool.execute(
        "INSERT INTO change SELECT $1, 0, n, clock_timestamp() - interval '1 day', '', '{}', '{}', '{}', '{}', '' "
        "FROM generate_series(2, 2000) n",
        world.prefix_no,
    )
    await world.pool.execute("UPDATE change SET made = clock_timestamp() - interval '2 days' WHERE number = 1")
    await world.pool.execute("ANALYZE change")  # as autovacuum does at any moment
    async with world.pool.acquire() as connection:
        await records.places(connection, 90)
        assert await _fetched(connection, "change", records.places(connection, 90)) <= 2


async def test_what_was_never_asked_for_is_not_told(world: World):
    async with world.pool.acquire() as connection:
        assert await records.look(connection, [], []) == []
        assert (await records.grounds(connection, [PREFIX], [], [], []))[0].records == {}
        assert await records.look(connection, [OTHER], ["A"]) == [Stored(0, 0, await world.steward.catalogue_number())]


async def test_many_identifiers_are_told_as_each_of_them_and_as_beside_the_handle_of_a_prefix(two: World):
    """That goes by another statement, row by row."""
    await two.write(*(request("create", suffix) for suffix in ("A", "B", "a/b", "皮")))
    await two.write(request("delete", "B"), now=NOW + 1)
    await together(two, (OTHER, [change(two, "A", 0, template=0)]))
    await two.steward.set_prefix_state(OTHER, PrefixState.STOPPED)
    asked = [(p, s) for s in ("A", "none", "B", "a/b", "皮", "A", "a", "none") for p in (OTHER, PREFIX, "77.1")]
    prefixes, suffixes = [prefix for prefix, _ in asked], [suffix for _, suffix in asked]
    async with two.pool.acquire() as connection:
        found = await records.look(connection, prefixes, suffixes)
        *beside, _ = await records.look(connection, [*prefixes, PREFIX_HANDLES], [*suffixes, PREFIX])
        assert found == beside == [(await records.look(connection, [p], [s]))[0] for p, s in asked]
    assert {(stored.version, stored.live) for stored in found} == {(0, False), (1, True), (2, False)}
    assert len({(stored.prefix, stored.state) for stored in found}) == 3
    assert len({id(stored) for stored in found if not stored.version}) == 3, "one object for all of a prefix"

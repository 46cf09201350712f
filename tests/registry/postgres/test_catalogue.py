"""Proves registry/postgres/catalogue.py: prefixes and their streams, and that no reader of epochs ever misses one."""

import asyncio
from dataclasses import replace

import asyncpg

from proto.chain import HEAD_FIRST, Kind
from registry.postgres import catalogue, templates
from registry.prefix import PREFIX_HANDLES_NUMBER, PrefixState, RegisteredPrefix
from tests.registry.world import BAG, LOCKED, OTHER, PREFIX, World, eventually, holding


async def test_an_enterprise_is_known_by_its_name(pool: asyncpg.Pool):
    async with pool.acquire() as connection:
        first, new = await catalogue.add_enterprise(connection, "天马皮具", "Tianma", "leather")
        assert new
        assert await catalogue.add_enterprise(connection, "天马皮具", "Another", "automotive") == (first, False)
        other, _ = await catalogue.add_enterprise(connection, "电驰汽车", "Dianchi", "automotive")
        assert other != first
        assert [tuple(row) for row in await catalogue.enterprises(connection)] == [
            (first, "天马皮具", "Tianma", "leather", None, None),
            (other, "电驰汽车", "Dianchi", "automotive", None, None),
        ]


async def test_a_prefix_begins_its_stream_with_itself(pool: asyncpg.Pool):
    async with pool.acquire() as connection:
        before = await catalogue.number(connection)
        assert await catalogue.add_prefix(connection, PREFIX, None)
        found = await catalogue.prefix(connection, PREFIX)
        assert found == RegisteredPrefix(found.number, PREFIX, PrefixState.ENABLED, before + 1, None)
        stream = await connection.fetchrow(
            "SELECT number, prefix_epoch, head FROM stream WHERE prefix_no = $1", found.number
        )
        assert (stream["number"], stream["prefix_epoch"]) == (1, found.epoch)
        assert stream["head"] != HEAD_FIRST
        assert not await catalogue.add_prefix(connection, PREFIX, None)
        assert await catalogue.prefix(connection, PREFIX) == found


async def test_a_prefix_added_by_two_at_once_is_added_once(world: World):
    async def add() -> bool:
        async with world.pool.acquire() as connection:
            return await catalogue.add_prefix(connection, OTHER, None)

    assert sorted(await asyncio.gather(*(add() for _ in range(4)))) == [False, False, False, True]
    assert len(await world.stream(OTHER)) == 1


async def test_every_state_can_be_reached_and_the_stream_tells_when_it_opens_and_closes(world: World):
    wanted, was_open = [("", 2, Kind.PREFIX_ENABLED)], True
    for state in [*(s for s in PrefixState if s is not PrefixState.ENABLED), PrefixState.ENABLED]:
        async with world.pool.acquire() as connection:
            epoch = await catalogue.set_state(connection, PREFIX, state)
        found = RegisteredPrefix(world.prefix_no, PREFIX, state, epoch, world.owner.enterprise)
        assert await world.lookup.prefix(PREFIX) == found
        if state.open is not was_open:
            wanted.append(("", epoch, Kind.PREFIX_ENABLED if state.open else Kind.PREFIX_STOPPED))
        was_open = state.open
        assert await world.stream() == wanted
        assert await world.one("SELECT prefix_epoch FROM stream WHERE prefix_no = $1", world.prefix_no) == epoch


async def test_two_who_stop_a_prefix_at_once_stop_it_once(world: World):
    async with holding(world.url, "SELECT FROM catalogue FOR UPDATE"):
        stops = [asyncio.create_task(world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)) for _ in range(3)]
        await eventually(world.pool, LOCKED, 3)
    epochs = [await stop for stop in stops]
    assert epochs == [epochs[0]] * 3
    assert [kind for _, _, kind in await world.stream()] == [Kind.PREFIX_ENABLED, Kind.PREFIX_STOPPED]


async def test_a_change_called_back_takes_its_number_with_it(world: World):
    before = await world.steward.catalogue_number()
    async with world.pool.acquire() as connection:
        change = connection.transaction()
        await change.start()
        assert await catalogue.set_state(connection, PREFIX, PrefixState.STOPPED) == before + 1
        await change.rollback()
    assert await world.steward.catalogue_number() == before
    assert await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED) == before + 1
    await world.stream()


async def test_epochs_after_a_number(world: World):
    async with world.pool.acquire() as connection:
        at, prefixes, kinds = await catalogue.epochs_after(connection, 0)
        handles = (PREFIX_HANDLES_NUMBER, 1)
        assert (sorted(prefixes), kinds) == ([(world.prefix_no, 2), handles], [(world.bag.number, 3)])
        assert at == await catalogue.number(connection)
        assert await catalogue.epochs_after(connection, at) == (at, [], [])
        stopped = await catalogue.set_state(connection, PREFIX, PrefixState.STOPPED)
        at, prefixes, kinds = await catalogue.epochs_after(connection, at)
        handles = (PREFIX_HANDLES_NUMBER, stopped)
        assert (at, sorted(prefixes), kinds) == (stopped, [(world.prefix_no, stopped), handles], [])
        assert await templates.replace(connection, world.bag)
        assert await catalogue.epochs_after(connection, stopped) == (stopped + 1, [], [(world.bag.number, stopped + 1)])


async def test_a_reader_of_epochs_misses_none_however_writers_race(world: World):
    """A number handed out is only seen with what it was handed out for: the next reader may begin behind it."""
    names = [f"88.999.{n}" for n in range(3001, 3005)]
    for name in names:
        await world.steward.enrol(f"企业{name}", name, "leather", name)
        await world.steward.add_template(replace(BAG, prefix=name))
    made: list[int] = []

    async def warden(name: str) -> None:
        for turn in range(12):
            state = PrefixState.ENABLED if turn % 2 else PrefixState.STOPPED
            made.append(await world.steward.set_prefix_state(name, state))
            template = await world.lookup.named_template(name, "bag")
            assert await world.steward.replace_template(template)

    seen: dict[tuple[str, int], list[int]] = {}

    async def follower() -> None:
        mine, done = 0, False
        async with world.pool.acquire() as connection:
            while not done:
                done = writing.done()
                at, prefixes, kinds = await catalogue.epochs_after(connection, mine)
                for kind, rows in (("prefix", prefixes), ("template", kinds)):
                    for number, epoch in rows:
                        assert mine < epoch <= at
                        seen.setdefault((kind, number), []).append(epoch)
                mine = at

    writing = asyncio.ensure_future(asyncio.gather(*map(warden, names)))
    await follower()
    await writing
    assert len(set(made)) == len(made) == 12 * len(names)
    for kind in ("prefix", "template"):
        for number, epoch in await world.ask(f"SELECT number, epoch FROM {kind}"):
            assert seen[kind, number][-1] == epoch
            assert seen[kind, number] == sorted(set(seen[kind, number]))
    for name in names:
        assert len(await world.stream(name)) == 1 + 12


async def test_prefixes_tell_their_names_and_industries(world: World):
    async with world.pool.acquire() as connection:
        ours = await catalogue.prefix(connection, PREFIX)
        assert await catalogue.names(connection, [ours.number, 999_999]) == {ours.number: PREFIX}
        assert await catalogue.names(connection, []) == {}
        assert await catalogue.industry(connection, PREFIX) == "leather"
        await catalogue.add_prefix(connection, OTHER, None)
        assert await catalogue.industry(connection, OTHER) is None
        assert await catalogue.industry(connection, "88.999.7777") is None

"""The follower on real PostgreSQL and Valkey: how a machine learns of what others wrote, and when Redis is trusted.

The "other machine" is a registrar that tells nobody. Waiting is for what another task does, with a deadline.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import asyncpg
import pytest
import redis.asyncio

from node import clock
from node import follower as following
from node.embedded import Servers
from node.follower import Follower
from node.metrics import FOLLOWER_BEHIND, FOLLOWER_CHANGES
from node.redis_cache import Fill, RedisCache, RestartedError
from node.resolve.answer import Answer, Outcome
from node.stamps import Shared
from registry.errors import UnavailableError
from registry.prefix import PrefixState
from tests.fakes.counting import Counting
from tests.fakes.small_registry import PREFIX, TEMPLATE, SmallRegistry, small_registry
from tests.fakes.valkey import looked
from tests.waiting import until

SECONDS = 60


class Redis(RedisCache):
    """A real one, with faults and looks on order."""

    away = False
    on_ping: Callable[[], None] = staticmethod(lambda: None)

    def __init__(self, url: str, seconds: int, namespace: str, now: Callable[[], int]) -> None:
        super().__init__(url, seconds, namespace, now)
        self.corrected: list[list[str]] = []

    async def correct(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        if self.away:
            raise ConnectionError("away")
        self.corrected.append(list(keys))
        await super().correct(keys, versions)

    async def ping(self) -> None:
        if self.away:
            raise ConnectionError("away")
        self.on_ping()
        await super().ping()


class Machine:
    """One worker's view (column 0) and the follower (column 1) of a machine's memory."""

    def __init__(self, descriptor: int, registry: SmallRegistry, cache: Redis | None) -> None:
        self.registry, self.redis = registry, cache
        self.descriptor = descriptor
        self.worker, self.shared = Shared(descriptor, 1, 0, 2), Shared(descriptor, 1, 1, 3)
        self.counting = Counting()
        self.follower = Follower(registry.pool, self.shared, cache, SECONDS, self.counting.meter)

    def stamp(self, suffix: str) -> bytes:
        return self.worker.stamp(self.worker.slot(f"{PREFIX}/{suffix}"))

    @property
    def cacheable(self) -> bool:
        return self.worker.trusted(lambda: None) is not None

    async def shelve(self, suffix: str, version: int) -> None:
        """An answer of that version in Redis."""
        assert self.redis is not None
        key = f"{PREFIX}/{suffix}"
        (lease,) = await self.redis.lease([key])
        assert isinstance(lease, bytes)
        await self.redis.fill([Fill(key, lease, Answer(Outcome.FOUND, version, 1, 1))])

    async def shelved(self, suffix: str) -> int | None:
        """The version in Redis."""
        assert self.redis is not None
        (held,) = await looked(self.redis, [f"{PREFIX}/{suffix}"])
        return held.version if isinstance(held, Answer) else None


@asynccontextmanager
async def running(machine: Machine) -> AsyncIterator[None]:
    task = asyncio.create_task(machine.follower.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        if machine.follower._recovering is not None:
            machine.follower._recovering.cancel()
            await asyncio.gather(machine.follower._recovering, return_exceptions=True)


@pytest.fixture
async def machine(servers: Servers, database: str, descriptor: int) -> AsyncIterator[Machine]:
    cache = Redis(servers.redis_url, SECONDS, "idnode", clock.seconds)
    with pytest.raises(RestartedError):  # who is met for the first time is not trusted
        await RedisCache.ping(cache)
    async with redis.asyncio.from_url(servers.redis_url) as raw, small_registry(database) as registry:
        await raw.flushall()
        yield Machine(descriptor, registry, cache)
    await cache.close()


# -- the start


async def test_caches_are_used_from_when_it_has_caught_up(machine: Machine) -> None:
    assert not machine.cacheable
    await machine.follower.start()
    assert machine.cacheable
    number = await machine.registry.steward.catalogue_number()
    assert machine.worker.followed == number
    prefix = await machine.registry.lookup.prefix(PREFIX)
    template = await machine.registry.lookup.named_template(PREFIX, TEMPLATE)
    assert prefix is not None
    assert template is not None
    assert machine.worker.current(prefix.number, prefix.epoch, template.number, template.epoch)
    assert machine.worker.current(0, number, 0, 0)


async def test_redis_is_trusted_only_when_what_may_be_stale_in_it_is_replayed(machine: Machine) -> None:
    await machine.registry.write("create", "A", "B")
    await machine.shelve("A", 0)
    await machine.shelve("B", 1)
    await machine.follower.start()
    assert not machine.worker.redis_trusted
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    assert await machine.shelved("A") is None
    assert await machine.shelved("B") == 1


async def test_what_no_answer_can_be_as_old_as_is_not_replayed(machine: Machine) -> None:
    await machine.registry.write("create", "old")
    await machine.registry.write("create", "new")
    age = SECONDS + following.REPLAY_SLACK + 1
    async with machine.registry.pool.acquire() as connection:
        await connection.execute(
            "UPDATE change SET made = made - make_interval(secs => $1) WHERE suffixes[1] IS DISTINCT FROM 'new'",
            float(age),
        )
    await machine.follower.start()
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    assert machine.redis is not None
    assert [f"{PREFIX}/new"] in machine.redis.corrected
    assert [f"{PREFIX}/old"] not in machine.redis.corrected


async def test_without_redis_there_is_nothing_to_distrust(descriptor: int, database: str) -> None:
    async with small_registry(database) as registry:
        machine = Machine(descriptor, registry, None)
        await machine.follower.start()
        assert machine.worker.redis_trusted
        before = machine.stamp("A")
        await registry.write("create", "A")
        await machine.follower.look()
        assert machine.stamp("A") != before


async def test_a_start_that_fails_sets_no_generation(machine: Machine) -> None:
    await machine.registry.pool.close()
    with pytest.raises(UnavailableError):
        await machine.follower.start()
    assert not machine.cacheable


# -- what others wrote


async def test_every_change_is_stamped_and_nothing_else(machine: Machine) -> None:
    await machine.follower.start()
    before = {suffix: machine.stamp(suffix) for suffix in ("A", "B", "C", "D")}
    await machine.registry.write("create", "A", "B")
    await machine.registry.write("create", "C")
    await machine.registry.write("delete", "B")
    await machine.follower.look()
    changed = [suffix for suffix, stamp in before.items() if machine.stamp(suffix) != stamp]
    assert changed == ["A", "B", "C"]
    assert machine.counting.told(FOLLOWER_CHANGES) == {(): 4}
    assert not machine.worker.is_pending(machine.stamp("A"))
    after = {suffix: machine.stamp(suffix) for suffix in before}
    await machine.follower.look()
    assert {suffix: machine.stamp(suffix) for suffix in before} == after, "each change is taken in once"


async def test_it_tells_when_it_had_taken_in_everything_last(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    told = machine.counting.told
    await machine.follower.start()
    assert told(FOLLOWER_BEHIND, clock.utc().timestamp()) == {}, "it has not looked yet"
    before = clock.utc().timestamp()
    await machine.follower.look()
    assert told(FOLLOWER_BEHIND, before + 3600)[()] <= 3600
    moment = before + 3600 - told(FOLLOWER_BEHIND, before + 3600)[()]

    async def away(*_: object) -> None:
        raise UnavailableError("away")

    monkeypatch.setattr(following.records, "changes_after", away)
    with pytest.raises(UnavailableError):
        await machine.follower.look()
    assert told(FOLLOWER_BEHIND, moment + 60)[()] == pytest.approx(60, abs=0.01), "a look in vain is none"


async def test_a_change_lost_in_a_race_is_no_change(machine: Machine) -> None:
    await machine.registry.write("create", "A")
    await machine.follower.start()
    before = machine.stamp("A")
    await machine.registry.write("create", "A", "B")
    await machine.follower.look()
    assert machine.stamp("A") == before


async def test_redis_is_corrected_before_the_stamp(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    await machine.registry.write("create", "A")
    await machine.follower.start()
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    await machine.shelve("A", 1)
    before = machine.stamp("A")
    seen: list[bool] = []
    assert machine.redis is not None
    correct = machine.redis.correct

    async def watched(keys: Sequence[str], versions: Sequence[int]) -> None:
        await correct(keys, versions)
        seen.append(machine.stamp("A") == before)

    monkeypatch.setattr(machine.redis, "correct", watched)
    await machine.registry.write("update", "A", styleNo="S2")
    await machine.follower.look()
    assert seen == [True]
    assert machine.stamp("A") != before
    assert await machine.shelved("A") is None
    assert machine.worker.redis_trusted


async def test_more_rows_than_fit_in_one_look_are_all_taken_in(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "ROWS_MOST", 2)
    await machine.follower.start()
    suffixes = [f"S{n}" for n in range(7)]
    before = [machine.stamp(suffix) for suffix in suffixes]
    for suffix in suffixes:
        await machine.registry.write("create", suffix)
    await machine.follower.look()
    assert all(machine.stamp(suffix) != old for suffix, old in zip(suffixes, before, strict=True))


async def test_a_long_look_shows_that_it_is_alive(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "ROWS_MOST", 2)
    await machine.follower.start()
    for n in range(7):
        await machine.registry.write("create", f"S{n}")
    beats: list[float] = []
    monkeypatch.setattr(machine.shared, "beat", beats.append)
    await machine.follower.look()
    assert len(beats) >= 3, "else the supervisor takes it for dead in the middle of its work"


async def test_a_prefix_that_is_new_is_followed_from_its_first_change(machine: Machine) -> None:
    await machine.follower.start()
    other = "88.999.2001"
    await machine.registry.steward.enrol("星禾", "Xinghe", "automotive", other)
    async with machine.registry.pool.acquire() as connection:
        await connection.execute(
            "SELECT append_change(p.number, p.epoch, ARRAY[1], ARRAY['CAR-1'], ARRAY[0], ARRAY[1::smallint], ARRAY[0],"
            " ARRAY[''::bytea], ARRAY[''::bytea]) FROM prefix p WHERE name = $1",
            other,
        )
    slot = machine.worker.slot(f"{other}/CAR-1")
    before = machine.worker.stamp(slot)
    await machine.follower.look()
    assert machine.worker.stamp(slot) != before
    prefix = await machine.registry.lookup.prefix(other)
    assert prefix is not None
    assert machine.worker.current(prefix.number, prefix.epoch, 0, 0)


async def test_epochs_of_prefixes_and_templates_are_followed(machine: Machine) -> None:
    await machine.follower.start()
    prefix = await machine.registry.lookup.prefix(PREFIX)
    template = await machine.registry.lookup.named_template(PREFIX, TEMPLATE)
    assert prefix is not None
    assert template is not None
    epoch = await machine.registry.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    await machine.follower.look()
    assert not machine.worker.current(prefix.number, prefix.epoch, 0, 0)
    assert machine.worker.current(prefix.number, epoch or 0, template.number, template.epoch)
    await machine.registry.steward.replace_template(replace(template, description="changed"))
    await machine.follower.look()
    assert not machine.worker.current(prefix.number, epoch or 0, template.number, template.epoch)
    assert machine.worker.followed == await machine.registry.steward.catalogue_number()


# -- trust in Redis


async def test_when_redis_cannot_be_corrected_it_is_distrusted_and_the_stamps_go_on(machine: Machine) -> None:
    await machine.registry.write("create", "A", "B", "C")
    await machine.follower.start()
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    await machine.shelve("A", 1)
    await machine.shelve("B", 1)
    await machine.shelve("C", 1)
    assert machine.redis is not None
    machine.redis.away = True
    for suffix in "AB":
        before = machine.stamp(suffix)
        await machine.registry.write("update", suffix, styleNo="S2")
        await machine.follower.look()
        assert machine.stamp(suffix) != before
        assert not machine.worker.redis_trusted
    assert await machine.shelved("A") == 1, "which is why it is not trusted"
    machine.redis.away = False
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    assert [await machine.shelved(suffix) for suffix in "ABC"] == [None, None, 1]


async def test_after_redis_is_back_changes_are_corrected_at_once_again(machine: Machine) -> None:
    await machine.registry.write("create", "A")
    assert machine.redis is not None
    machine.redis.away = True
    await machine.follower.start()
    await machine.registry.write("create", "B")
    await machine.follower.look()
    machine.redis.away = False
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    await machine.registry.write("create", "C")
    machine.redis.corrected.clear()
    await machine.follower.look()
    assert machine.redis.corrected == [[f"{PREFIX}/C"]]
    assert machine.worker.redis_trusted


async def test_a_worker_s_distrust_ends_when_everything_before_it_is_replayed(machine: Machine) -> None:
    await machine.registry.write("create", "A")
    await machine.follower.start()
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
        await machine.shelve("A", 1)
        await machine.registry.write("update", "A", styleNo="S2")
        machine.worker.distrust()
        await until(lambda: machine.worker.redis_trusted)
    assert await machine.shelved("A") is None


async def test_a_distrust_that_comes_during_a_replay_is_not_ended_by_it(machine: Machine) -> None:
    assert machine.redis is not None
    await machine.follower.start()
    pings: list[bool] = []

    def distrusted_meanwhile() -> None:
        pings.append(machine.worker.redis_trusted)
        if len(pings) <= 3:
            machine.worker.distrust()

    machine.redis.on_ping = distrusted_meanwhile
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    assert pings == [False] * 4, "three replays ended without trust, since each time there was something newer"


async def test_a_change_taken_in_before_a_replay_does_not_hide_what_is_to_be_replayed(machine: Machine) -> None:
    await machine.registry.write("create", "A")
    await machine.shelve("A", 0)
    await machine.follower.start()
    await machine.registry.write("create", "B")
    await machine.follower.look()
    assert not machine.worker.redis_trusted
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    assert await machine.shelved("A") is None


async def test_a_restart_found_in_the_middle_of_a_replay_begins_it_anew(machine: Machine) -> None:
    assert machine.redis is not None
    for suffix in "ABC":
        await machine.registry.write("create", suffix)
    await machine.follower.start()
    correct, after = machine.redis.correct, []

    async def restarted(keys: Sequence[str], versions: Sequence[int]) -> None:
        await correct(keys, versions)
        if after:
            after.extend(keys)
        elif keys == [f"{PREFIX}/B"]:
            after.append("restarted")
            machine.follower.redis_restarted()  # as a look finds out on another connection

    machine.redis.correct = restarted  # type: ignore[method-assign]
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    assert {f"{PREFIX}/{suffix}" for suffix in "ABC"} <= set(after)


async def test_a_change_that_comes_during_a_replay_is_corrected_before_there_is_trust(machine: Machine) -> None:
    assert machine.redis is not None
    await machine.registry.write("create", *(f"S{n}" for n in range(5)))
    await machine.follower.start()
    machine.redis.away = True
    for n in range(5):
        await machine.shelve(f"S{n}", 1)
        await machine.registry.write("update", f"S{n}", styleNo="S2")
        await machine.follower.look()
    machine.redis.away = False
    correct = machine.redis.correct
    written = asyncio.Event()

    async def slowly(keys: Sequence[str], versions: Sequence[int]) -> None:
        if not written.is_set():
            written.set()
            await machine.registry.write("update", "S0", styleNo="S3")
            machine.worker.distrust()
            await machine.follower.look()
        await correct(keys, versions)

    machine.redis.correct = slowly  # type: ignore[method-assign]
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
    assert written.is_set()
    assert [await machine.shelved(f"S{n}") for n in range(5)] == [None] * 5
    assert machine.follower._corrected == machine.follower._stamped


# -- PostgreSQL away


@asynccontextmanager
async def shut(servers: Servers, database: str) -> AsyncIterator[None]:
    """The database takes no connections meanwhile, and those it had are gone."""
    name = database.partition("?")[0].rpartition("/")[2]
    connection: Any = await asyncpg.connect(servers.database_url)
    try:
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = $1 AND backend_type = 'client backend'",
            name,
        )
        yield
        await connection.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    finally:
        await connection.close()


async def test_it_outlives_the_database_and_catches_up(machine: Machine, servers: Servers, database: str) -> None:
    await machine.follower.start()
    before = machine.stamp("A")
    async with running(machine):
        await until(lambda: machine.worker.redis_trusted)
        async with shut(servers, database):
            beats = machine.worker.beats()[1]
            await until(lambda: machine.worker.beats()[1] > beats + 1)
            assert machine.cacheable, "answers that are kept are given on"
        await machine.registry.write("create", "A")
        await until(lambda: machine.stamp("A") != before)


async def test_a_replay_outlives_the_database(machine: Machine, servers: Servers, database: str) -> None:
    await machine.registry.write("create", "A")
    await machine.follower.start()
    async with running(machine):
        async with shut(servers, database):
            machine.worker.distrust()
            beats = machine.worker.beats()[1]
            await until(lambda: machine.worker.beats()[1] > beats + 1)
        await until(lambda: machine.worker.redis_trusted)


# -- the bell


async def test_a_bell_shortens_the_rest(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "POLL_SECONDS", 3600.0)
    await machine.follower.start()
    async with running(machine):
        await until(lambda: machine.worker.beats()[1] > 0)
        before = machine.stamp("A")
        await machine.registry.write("create", "A")
        machine.follower.bell.set()
        await until(lambda: machine.stamp("A") != before)

"""What the caches of a machine are told of a commit, and in which order; and that no doubt is ever forgotten.

Shared memory is real. Redis is a fake that looks at the memory whenever it is asked; the last tests have PostgreSQL.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial

import asyncpg
import pytest

from node import announcer as announcing
from node import clock
from node.announcer import Announcer
from node.redis_wire import BROKEN
from node.slices import Slices
from node.stamps import Shared
from registry.errors import UnavailableError, UnknownOutcomeError
from registry.postgres.connection import backends_gone, open_pool
from registry.registrar import Registrar
from tests.fakes.small_registry import PREFIX, SmallRegistry, small_registry
from tests.waiting import until

KEYS = ["88.999.1001/A", "88.999.1001/B"]


class Redis:
    """Keeps what it was told and how the memory stood then; fails on order."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.corrected: list[tuple[list[str], list[int]]] = []
        self.seen: list[str] = []
        self.error: BaseException | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    async def correct(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        pending = all(self._shared.is_pending(self._shared.stamp(self._shared.slot(key))) for key in keys)
        self.seen.append("pending" if pending else "quiet")
        self.corrected.append((list(keys), list(versions)))
        await self.gate.wait()
        if self.error is not None:
            raise self.error


class World:
    """An announcer of column 0 on real shared memory, with a follower's view of it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.shared, self.follower = Shared(descriptor, 1, 0, 2), Shared(descriptor, 1, 1, 3)
        self.follower.set_generation()
        self.redis = Redis(self.shared)
        self.asked: list[int] = []
        self.gone: list[bool | Exception] = []
        self.rung = 0
        self.announcer = self.made(self.shared, self.redis)

    def made(self, shared: Shared, redis: Redis | None) -> Announcer:
        def ring() -> None:
            self.rung += 1

        return Announcer(shared, redis, self._gone, ring)  # type: ignore[arg-type]

    async def _gone(self, backend: int) -> bool:
        self.asked.append(backend)
        if not self.gone:
            return False
        result = self.gone.pop(0)
        if isinstance(result, Exception):
            raise result
        return result

    @property
    def pending(self) -> list[bool]:
        return [self.shared.is_pending(self.shared.stamp(self.shared.slot(key))) for key in KEYS]

    @property
    def cacheable(self) -> bool:
        return self.shared.trusted(lambda: None) is not None


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "SETTLE_SECONDS", (0.0,))
    monkeypatch.setattr(announcing, "FOLLOW_SECONDS", 0.0)


@pytest.fixture
async def world(descriptor: int) -> AsyncIterator[World]:
    made = World(descriptor)
    yield made
    await made.announcer.close()


# -- a commit that happened


async def test_pending_then_redis_then_quiet_then_the_answer(world: World) -> None:
    world.announcer.pending(KEYS)
    assert world.pending == [True, True]
    await world.announcer.written(KEYS, [1, 7])
    assert world.redis.corrected == [(KEYS, [1, 7])]
    assert world.redis.seen == ["pending"]
    assert world.pending == [False, False]
    assert world.shared.redis_trusted
    assert world.rung == 1


async def test_without_redis_there_is_nothing_to_distrust(world: World) -> None:
    announcer = world.made(world.shared, None)
    announcer.pending(KEYS)
    await announcer.written(KEYS, [1, 1])
    assert world.pending == [False, False]
    assert world.shared.redis_trusted
    assert world.rung == 1


@pytest.mark.parametrize("error", [kind("broken") for kind in BROKEN])
async def test_a_redis_that_cannot_be_corrected_is_distrusted_before_the_slots_are_quiet(
    world: World, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted_at_end: list[bool] = []
    end = world.shared.end

    def watched(slots: list[int]) -> None:
        trusted_at_end.append(world.shared.redis_trusted)
        end(slots)

    monkeypatch.setattr(world.shared, "end", watched)
    world.redis.error = error
    world.announcer.pending(KEYS)
    await world.announcer.written(KEYS, [1, 1])
    assert trusted_at_end == [False]
    assert world.pending == [False, False]
    assert world.rung == 1


async def test_an_error_nobody_foresaw_is_raised_and_leaves_neither_trust_nor_pending_slots(world: World) -> None:
    world.redis.error = KeyError("a bug")
    world.announcer.pending(KEYS)
    with pytest.raises(KeyError):
        await world.announcer.written(KEYS, [1, 1])
    assert not world.shared.redis_trusted
    assert world.pending == [False, False]


async def test_who_is_cancelled_while_redis_is_corrected_leaves_it_distrusted(world: World) -> None:
    world.redis.gate.clear()
    world.announcer.pending(KEYS)
    writing = asyncio.create_task(world.announcer.written(KEYS, [1, 1]))
    await until(lambda: bool(world.redis.corrected))
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert not world.shared.redis_trusted
    assert world.pending == [False, False]


async def test_a_distrust_that_is_about_to_end_does_not_end_for_this_commit(world: World) -> None:
    world.follower.distrust()
    seen = world.follower.distrusts()  # the follower begins to replay what was committed before now
    world.announcer.pending(KEYS)
    await world.announcer.written(KEYS, [1, 1])
    assert world.redis.corrected == [], "it is bypassed"
    world.follower.absolve(seen)
    assert not world.shared.redis_trusted
    world.follower.absolve(world.follower.distrusts())
    assert world.shared.redis_trusted


# -- one that did not, and one of which nobody knows


async def test_what_did_not_happen_makes_the_slots_quiet_and_nothing_else(world: World) -> None:
    world.announcer.pending(KEYS)
    before = world.shared.stamp(world.shared.slot(KEYS[0]))
    world.announcer.unwritten(KEYS)
    assert world.pending == [False, False]
    assert world.shared.stamp(world.shared.slot(KEYS[0])) != before
    assert world.redis.corrected == []
    assert world.shared.redis_trusted


async def test_an_unknown_commit_stays_pending_until_its_server_process_is_gone(world: World) -> None:
    world.announcer.pending(KEYS)
    world.announcer.unknown(KEYS, 4711)
    await until(lambda: len(world.asked) >= 3)
    assert set(world.asked) == {4711}
    assert world.pending == [True, True]
    world.gone = [UnavailableError("restarting"), False, UnavailableError("restarting"), True]
    await until(lambda: world.pending == [False, False])
    assert world.gone == []
    assert not world.shared.redis_trusted, "nobody corrected Redis for what may have been committed"
    assert world.rung == 1


async def test_distrust_comes_before_an_unknown_commit_is_quiet(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    trusted_at_end: list[bool] = []
    end = world.shared.end

    def watched(slots: list[int]) -> None:
        trusted_at_end.append(world.shared.redis_trusted)
        end(slots)

    monkeypatch.setattr(world.shared, "end", watched)
    world.announcer.pending(KEYS)
    world.gone = [True]
    world.announcer.unknown(KEYS, 4711)
    await until(lambda: bool(trusted_at_end))
    assert trusted_at_end == [False]


async def test_a_later_commit_does_not_end_an_unknown_one(world: World) -> None:
    world.announcer.pending(KEYS)
    world.announcer.unknown(KEYS, 4711)
    world.announcer.pending(KEYS[:1])
    await world.announcer.written(KEYS[:1], [2])
    assert world.pending == [True, True]
    world.gone = [True]
    await until(lambda: world.pending == [False, False])


async def test_a_successor_settles_what_its_predecessor_left(world: World) -> None:
    world.announcer.pending(KEYS)
    heir = Shared(world.descriptor, 1, 0, 4)
    announcer = world.made(heir, world.redis)
    announcer.inherit()
    await until(lambda: bool(world.asked))
    assert set(world.asked) == {0}, "whichever server process of the predecessor"
    assert world.pending == [True, True]
    world.gone = [True]
    await until(lambda: world.pending == [False, False])
    assert not world.shared.redis_trusted
    await announcer.close()


async def test_who_inherits_nothing_asks_nobody(world: World) -> None:
    world.announcer.inherit()
    world.announcer.inherit_doubt(_never)
    await asyncio.sleep(0)
    assert world.asked == []
    assert world.shared.redis_trusted


async def _never() -> int:
    raise AssertionError("nobody shall ask")


async def test_closing_leaves_what_is_in_doubt_to_the_successor(world: World) -> None:
    world.announcer.pending(KEYS)
    world.announcer.unknown(KEYS, 4711)
    await until(lambda: bool(world.asked))
    await world.announcer.close()
    assert world.pending == [True, True]
    assert Shared(world.descriptor, 1, 0, 4).inherit() == sorted(world.shared.slot(key) for key in KEYS)


# -- changes of prefixes and templates


def number(*results: int | Exception) -> Callable[[], Awaitable[int]]:
    left = list(results)

    async def ask() -> int:
        result = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(result, Exception):
            raise result
        return result

    return ask


async def test_no_cache_is_used_until_the_follower_knows_the_change(world: World) -> None:
    assert world.cacheable

    async def change() -> None:
        async with world.announcer.catalogue_change(number(12)):
            assert not world.cacheable

    changing = asyncio.create_task(change())
    await until(lambda: world.rung == 1)
    world.follower.follow(11, [], [])
    for _ in range(20):
        await asyncio.sleep(0)
    assert not changing.done(), "the follower has not come so far"
    assert not world.cacheable
    world.follower.follow(12, [], [])
    await changing
    assert world.cacheable


async def test_it_is_answered_after_a_while_and_caches_stay_bypassed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "FOLLOW_PATIENCE", 0.01)
    async with world.announcer.catalogue_change(number(12)):
        pass
    assert not world.cacheable
    world.follower.follow(12, [], [])
    await until(lambda: world.cacheable)


async def test_two_changes_at_once_are_in_doubt_until_both_are_followed(world: World) -> None:
    async def change(upto: int) -> None:
        async with world.announcer.catalogue_change(number(upto)):
            await asyncio.sleep(0)

    changes = [asyncio.create_task(change(upto)) for upto in (12, 13)]
    await until(lambda: world.rung == 2)
    world.follower.follow(12, [], [])
    await changes[0]
    assert not world.cacheable
    world.follower.follow(13, [], [])
    await changes[1]
    assert world.cacheable


async def test_a_change_that_failed_is_asked_about_as_well(world: World) -> None:
    world.follower.follow(11, [], [])
    with pytest.raises(UnavailableError):
        async with world.announcer.catalogue_change(number(11)):
            raise UnavailableError("nothing was done")
    assert world.asked == []
    assert world.cacheable


async def test_a_change_nobody_knows_of_is_in_doubt_until_its_server_process_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcing, "FOLLOW_PATIENCE", 0.01)
    world.follower.follow(11, [], [])
    numbers = number(UnavailableError("away"), UnavailableError("away"), 12)
    with pytest.raises(UnknownOutcomeError):
        async with world.announcer.catalogue_change(numbers):
            raise UnknownOutcomeError("lost", 4711)
    assert set(world.asked) == {4711}
    assert not world.cacheable
    world.gone = [True]
    world.follower.follow(12, [], [])
    await until(lambda: world.cacheable)


async def test_a_successor_ends_the_doubt_its_predecessor_left(world: World) -> None:
    world.shared.begin_doubt()
    heir = Shared(world.descriptor, 1, 0, 4)
    announcer = world.made(heir, world.redis)
    announcer.inherit_doubt(number(12))
    await until(lambda: bool(world.asked))
    assert set(world.asked) == {0}
    assert not world.cacheable
    world.gone = [True]
    for _ in range(20):
        await asyncio.sleep(0)
    assert not world.cacheable
    world.follower.follow(12, [], [])
    await until(lambda: world.cacheable)
    await announcer.close()


# -- with PostgreSQL: a commit that loses its connection


# The server process of ours that waits for a lock.
WAITING_FOR_LOCK = (
    "SELECT pid FROM pg_stat_activity "
    "WHERE application_name = 'mine' AND wait_event_type = 'Lock' AND datname = current_database()"
)


@pytest.mark.parametrize(
    ("blow", "error"), [("pg_terminate_backend", UnknownOutcomeError), ("pg_cancel_backend", UnavailableError)]
)
async def test_the_slots_of_a_commit_that_failed_come_back(
    world: World, database: str, blow: str, error: type[Exception]
) -> None:
    world.announcer._gone = partial(backends_gone, database, "mi", "mine")
    async with small_registry(database) as registry:
        pool = await open_pool(database, size=2, name="mine")
        mine = SmallRegistry(
            pool,
            registry.lookup,
            registry.steward,
            Registrar(pool, registry.lookup, world.announcer, Slices(clock.monotonic, int).runs, reuse_deleted=True),
        )
        other = await asyncpg.connect(database)
        holding = other.transaction()
        await holding.start()
        await other.execute("SELECT FROM stream FOR UPDATE")
        slot = world.shared.slot(f"{PREFIX}/A")
        writing = asyncio.create_task(mine.write("create", "A"))
        watching = await asyncpg.connect(database)  # a transaction would see its first picture of the others again
        await until(lambda: watching.fetchval(WAITING_FOR_LOCK), "the commit comes to the lock")
        backend = await watching.fetchval(WAITING_FOR_LOCK)
        assert world.shared.is_pending(world.shared.stamp(slot))
        await watching.execute(f"SELECT {blow}($1)", backend)
        with pytest.raises(error):
            await writing
        await holding.rollback()
        await until(lambda: not world.shared.is_pending(world.shared.stamp(slot)), "the slot is quiet")
        assert world.shared.redis_trusted == (error is UnavailableError), "a cancelled commit has changed nothing"
        for connection in (watching, other, pool):
            await connection.close()

"""The shared cache on real Valkey: what was read before a change is never stored after it, whatever happens between."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import redis.asyncio

from node import clock
from node.embedded import Servers
from node.redis_cache import BODY_MOST, LEASE_MILLISECONDS, Fill, RedisCache, RestartedError, namespace
from node.redis_wire import BROKEN
from node.resolve.answer import Answer, Outcome
from node.stamps import PREFIXES_MOST
from tests.fakes.valkey import SECONDS, OwnValkey, looked, met_cache, own_valkey

KEY, OTHER = "88.999.1001/BAG-1", "88.999.1001/皮料 2"


def answer(version: int, shown: bytes = b"[]") -> Answer:
    return Answer(Outcome.FOUND if version else Outcome.ABSENT, version, 3, 11, 5, 12, shown)


@pytest.fixture
async def cache(servers: Servers) -> AsyncIterator[RedisCache]:
    async with met_cache(servers.redis_url) as made, redis.asyncio.from_url(servers.redis_url) as raw:
        await raw.flushall()
        yield made


@pytest.fixture
async def raw(servers: Servers) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.from_url(servers.redis_url) as client:
        yield client


@pytest.fixture
def valkey() -> Iterator[OwnValkey]:
    with own_valkey() as made:
        yield made


async def lease(cache: RedisCache, key: str = KEY) -> bytes:
    (taken,) = await cache.lease([key])
    assert isinstance(taken, bytes)
    return taken


async def held(cache: RedisCache, key: str = KEY) -> Answer | None:
    """The answer held, if there is one; a lease taken by looking stands in nobody's way: it is dropped again."""
    (taken,) = await cache.lease([key])
    if isinstance(taken, bytes):
        await cache.correct([key], [0])
        return None
    return taken


async def stored(cache: RedisCache, version: int, key: str = KEY, shown: bytes = b"[]") -> None:
    await cache.fill([Fill(key, await lease(cache, key), answer(version, shown))])


# -- leases and fills


async def test_who_misses_gets_a_lease_who_comes_then_gets_nothing_and_in_the_end_the_answer(cache: RedisCache) -> None:
    mine = await lease(cache)
    assert await cache.lease([KEY]) == [None], "somebody fetches it: ask for yourself, store nothing"
    await cache.fill([Fill(KEY, mine, answer(1))])
    assert await cache.lease([KEY]) == [answer(1)]


async def test_many_keys_in_one_round_trip_keep_their_order(cache: RedisCache) -> None:
    await stored(cache, 1, "b")
    await lease(cache, "c")
    a, b, c, d = await cache.lease(["a", "b", "c", "d"])
    assert isinstance(a, bytes)
    assert b == answer(1)
    assert c is None
    assert isinstance(d, bytes)
    assert a != d
    await cache.fill([Fill("a", a, answer(7)), Fill("d", d, answer(8)), Fill("b", a, answer(9))])
    assert await cache.lease(["a", "b", "d"]) == [answer(7), answer(1), answer(8)]


async def test_an_answer_is_held_no_longer_than_it_may_be_given(cache: RedisCache, raw: redis.asyncio.Redis) -> None:
    lives = {"short": 5, "long": 10 * SECONDS, "over": 0}
    fills = [
        Fill(key, await lease(cache, key), answer(1)._replace(until=clock.seconds() + life))
        for key, life in lives.items()
    ]
    await cache.fill(fills)
    assert 0 < await raw.pttl("idnode:short") <= 5000
    assert LEASE_MILLISECONDS < await raw.pttl("idnode:long") <= SECONDS * 1000
    assert await held(cache, "short") == fills[0].answer
    assert await held(cache, "over") is None


async def test_a_fill_is_refused_after_a_correction(cache: RedisCache) -> None:
    mine = await lease(cache)
    await cache.correct([KEY], [2])
    await cache.fill([Fill(KEY, mine, answer(1))])
    assert await held(cache) is None


async def test_a_fill_is_refused_after_everything_was_wiped(cache: RedisCache, raw: redis.asyncio.Redis) -> None:
    mine = await lease(cache)
    await raw.flushall()
    await cache.correct([KEY], [2])
    await cache.fill([Fill(KEY, mine, answer(1))])
    assert await held(cache) is None


async def test_a_fill_is_refused_while_another_holds_the_lease(cache: RedisCache, raw: redis.asyncio.Redis) -> None:
    slow = await lease(cache)
    await raw.delete(f"idnode:{KEY}")  # as when its time is over
    quick = await lease(cache)
    await cache.fill([Fill(KEY, slow, answer(1))])
    assert await cache.lease([KEY]) == [None]
    await cache.fill([Fill(KEY, quick, answer(2))])
    await cache.fill([Fill(KEY, slow, answer(1))])
    assert await cache.lease([KEY]) == [answer(2)]


async def test_a_lease_fills_once(cache: RedisCache) -> None:
    mine = await lease(cache)
    await cache.fill([Fill(KEY, mine, answer(2))])
    await cache.fill([Fill(KEY, mine, answer(1))])
    assert await held(cache) == answer(2)


async def test_leases_and_answers_end_by_themselves(cache: RedisCache, raw: redis.asyncio.Redis) -> None:
    mine = await lease(cache)
    assert 0 < await raw.pttl(f"idnode:{KEY}") <= LEASE_MILLISECONDS
    await cache.fill([Fill(KEY, mine, answer(1))])
    assert LEASE_MILLISECONDS < await raw.pttl(f"idnode:{KEY}") <= SECONDS * 1000


async def test_looking_does_not_lengthen_a_life(cache: RedisCache, raw: redis.asyncio.Redis) -> None:
    await stored(cache, 1)
    await raw.pexpire(f"idnode:{KEY}", 5000)
    await cache.lease([KEY])
    assert await raw.pttl(f"idnode:{KEY}") <= 5000


async def test_a_large_answer_is_not_shared(cache: RedisCache) -> None:
    await stored(cache, 1, shown=b"x" * BODY_MOST)
    await stored(cache, 1, OTHER, shown=b"x" * (BODY_MOST + 1))
    assert await held(cache) == answer(1, b"x" * BODY_MOST)
    assert await cache.lease([OTHER]) == [None], "its lease stands until its time is over"


async def test_nothing_to_do_asks_nobody() -> None:
    async with met_cache("unix:///nowhere/at-all.sock") as cache:
        await cache.correct([], [])
        await cache.fill([])
        await cache.fill([Fill(KEY, b"L", answer(1, b"x" * (BODY_MOST + 1)))])


# -- the version guard

EDGES = [(0, 1), (1, 2), (9, 10), (64, 65), (90, 97), (127, 128), (128, 129), (255, 256), (256, 65536), (1, 2**31 - 1)]


@pytest.mark.parametrize(("older", "newer"), EDGES)
async def test_a_correction_removes_what_is_older_and_only_that(cache: RedisCache, older: int, newer: int) -> None:
    await stored(cache, older, "older")
    await stored(cache, newer, "same")
    await stored(cache, newer, "newer")
    await cache.correct(["older", "same", "newer", "nothing"], [newer, newer, older, newer])
    assert [await held(cache, key) for key in ("older", "same", "newer", "nothing")] == [
        None,
        answer(newer),
        answer(newer),
        None,
    ]


async def test_a_correction_removes_tombstones_and_absent_answers_too(cache: RedisCache) -> None:
    for n, outcome in enumerate(Outcome):
        key = f"k{n}"
        await cache.fill([Fill(key, await lease(cache, key), Answer(outcome, 4, 3, 11))])
        await cache.correct([key], [5])
        assert await held(cache, key) is None


LOCALES = Path("/usr/share/i18n/locales")


@pytest.fixture
def chinese_valkey(
    program: Callable[[str], str], need: Callable[[object, str], None], tmp_path: Path
) -> Iterator[OwnValkey]:
    """A server whose language is Chinese, as on a machine set up for people."""
    localedef = program("localedef")
    need((LOCALES / "zh_CN").exists(), "locales")
    subprocess.run([localedef, "-i", "zh_CN", "-f", "UTF-8", str(tmp_path / "zh_CN.UTF-8")], check=True)
    with own_valkey({"LOCPATH": str(tmp_path), "LC_ALL": "zh_CN.UTF-8"}) as made:
        yield made


async def test_the_version_guard_does_not_go_by_the_language_of_the_server(chinese_valkey: OwnValkey) -> None:
    # Redis compares strings by LC_COLLATE: in most languages 127 is no less than 128, and 128 no less than 129.
    async with met_cache(chinese_valkey.url) as cache:
        for older, newer in EDGES:
            await stored(cache, older, f"k{newer}")
            await cache.correct([f"k{newer}"], [newer])
            assert await held(cache, f"k{newer}") is None, (older, newer)


# -- an epoch that is over


async def test_what_is_dropped_can_be_leased_and_filled_anew(cache: RedisCache) -> None:
    await stored(cache, 1)
    await cache.drop([KEY])
    assert await looked(cache, [KEY]) == [None]
    (again,) = await cache.lease([KEY])
    assert isinstance(again, bytes)
    await cache.fill([Fill(KEY, again, answer(1, b"[2]"))])
    assert await held(cache) == answer(1, b"[2]")


async def test_dropping_takes_the_lease_from_who_held_it(cache: RedisCache) -> None:
    slow = await lease(cache)
    await cache.drop([KEY])
    (mine,) = await cache.lease([KEY])
    assert isinstance(mine, bytes)
    await cache.fill([Fill(KEY, slow, answer(1))])
    assert await looked(cache, [KEY]) == [None]
    assert await cache.lease([KEY]) == [None]


# -- trouble

STEPS: dict[str, Callable[[RedisCache], object]] = {
    "look": lambda cache: looked(cache, [KEY, OTHER]),
    "lease": lambda cache: cache.lease([KEY, OTHER]),
    "drop": lambda cache: cache.drop([KEY]),
    "fill": lambda cache: cache.fill([Fill(KEY, b"Lx", answer(1))]),
    "correct": lambda cache: cache.correct([KEY], [1]),
    "ping": lambda cache: cache.ping(),
}
BOUND = 20.0
"""Far above every patience of ours: reaching it means that something waits for ever."""


@pytest.mark.parametrize("step", STEPS)
async def test_nobody_there_is_said(step: str, tmp_path: Path) -> None:
    failures: list[str] = []
    async with met_cache(f"unix://{tmp_path}/nobody.sock") as cache, asyncio.timeout(BOUND):
        cache.on_failure = failures.append
        with pytest.raises(BROKEN):
            await STEPS[step](cache)  # type: ignore[misc]
    assert failures == [step if step in {"fill", "correct", "ping"} else "read"]


@pytest.mark.parametrize("known", [True, False])
async def test_a_frozen_server_is_not_waited_for_and_heals(valkey: OwnValkey, known: bool) -> None:
    async with met_cache(valkey.url) as cache:
        if known:
            await stored(cache, 1)
        valkey.freeze()
        for step in STEPS.values():
            async with asyncio.timeout(BOUND):
                with pytest.raises(BROKEN):
                    await step(cache)  # type: ignore[misc]
        valkey.thaw()
        assert await held(cache, "another") is None
        await stored(cache, 9, "another")
        assert await held(cache, "another") == answer(9), "no late answer is taken for that of a later question"


async def test_what_was_sent_before_the_freeze_does_no_harm_after_it(valkey: OwnValkey) -> None:
    async with met_cache(valkey.url) as slow, met_cache(valkey.url) as writer:
        mine = await lease(slow)
        await writer.ping()
        valkey.freeze()
        results = await asyncio.gather(
            writer.correct([KEY], [2]), slow.fill([Fill(KEY, mine, answer(1))]), return_exceptions=True
        )
        assert all(isinstance(result, BROKEN) for result in results)
        valkey.thaw()
        await writer.correct([KEY], [2])  # what the follower replays before Redis is trusted again
        assert await held(writer) is None


async def test_a_restarted_server_is_used_again_and_knows_no_old_lease(valkey: OwnValkey) -> None:
    async with met_cache(valkey.url) as cache:
        mine = await lease(cache)
        await stored(cache, 1, OTHER)
        await cache.correct(["x"], [1])
        valkey.kill()
        with pytest.raises(BROKEN):
            await cache.lease([KEY])
        valkey.start()
        with pytest.raises(RestartedError):
            await cache.fill([Fill(KEY, mine, answer(1))])
        await cache.fill([Fill(KEY, mine, answer(1))])
        await cache.correct([OTHER], [2])
        assert await held(cache) is None
        assert await held(cache, OTHER) is None


async def test_a_killed_server_is_said_by_every_step(valkey: OwnValkey) -> None:
    async with met_cache(valkey.url) as cache:
        for step in STEPS.values():
            with suppress(RestartedError):
                await cache.ping()
            valkey.kill()
            with pytest.raises(BROKEN):
                await step(cache)  # type: ignore[misc]
            valkey.start()


async def test_what_comes_back_with_an_old_dump_is_not_believed(valkey: OwnValkey) -> None:
    async with met_cache(valkey.url) as cache, redis.asyncio.from_url(valkey.url) as raw:
        await stored(cache, 1)
        await raw.save()
        await cache.correct([KEY], [2])
        valkey.kill()
        valkey.start()
        met: list[str] = []
        cache.on_restart = lambda: met.append("restarted")
        while not met:
            with pytest.raises(BROKEN):  # the broken connection says so first, then who comes anew
                await cache.lease([KEY])
        assert met == ["restarted"]
        async with redis.asyncio.from_url(valkey.url) as again:
            assert await again.exists(f"idnode:{KEY}"), "the dump brought nothing back: this proves nothing"
        await cache.ping()
        assert met == ["restarted"], "the same run again is no restart"


async def test_meeting_a_server_is_no_failure_of_it(servers: Servers) -> None:
    failures: list[str] = []
    cache = RedisCache(servers.redis_url, SECONDS, "idnode", clock.seconds)
    cache.on_failure = failures.append
    with pytest.raises(RestartedError):
        await cache.ping()
    await cache.ping()
    await cache.close()
    assert failures == []


async def test_two_installations_on_one_redis_never_meet(servers: Servers, raw: redis.asyncio.Redis) -> None:
    names = [namespace(bytes([n]) * 32) for n in range(2)]
    assert len(set(names)) == 2
    first, second = (RedisCache(servers.redis_url, SECONDS, name, clock.seconds) for name in names)
    for each in (first, second):
        with pytest.raises(RestartedError):
            await each.ping()
    await stored(first, 1)
    assert await held(first) == answer(1)
    assert isinstance((await second.lease([KEY]))[0], bytes)
    await first.close()
    await second.close()


async def test_who_is_cancelled_leaves_no_answer_behind_for_the_next(valkey: OwnValkey) -> None:
    async with met_cache(valkey.url) as cache:
        await stored(cache, 1, "a")
        await stored(cache, 2, "b")
        valkey.freeze()
        asking = asyncio.create_task(cache.lease(["a"]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        valkey.thaw()
        assert await cache.lease(["b"]) == [answer(2)]


async def test_more_at_once_than_there_are_connections_wait_their_turn(cache: RedisCache) -> None:
    keys = [f"k{n}" for n in range(100)]
    for key in keys:
        await stored(cache, 1, key)
    await asyncio.gather(*(cache.correct([key], [2]) for key in keys))
    assert [await held(cache, key) for key in keys] == [None] * 100


async def test_something_that_is_no_answer_is_nobody_s_answer(cache: RedisCache, raw: redis.asyncio.Redis) -> None:
    await raw.set(f"idnode:{KEY}", b"something else")
    assert await cache.lease([KEY]) == [None]


SPOILT = {
    "lease": b"L" + bytes(20),
    "empty": b"",
    "other": b"something else",
    "short": b"E" + bytes(40),
    "unknown": b"E" + bytes(24) + b"\x63" + bytes(16),
}


async def test_what_is_no_answer_takes_no_answer_beside_it(cache: RedisCache, raw: redis.asyncio.Redis) -> None:
    await stored(cache, 1, "before")
    await stored(cache, 2, "behind")
    for name, octets in SPOILT.items():
        await raw.set(f"idnode:{name}", octets)
    for some in (["lease", "empty", "other", "nothing"], ["short"], list(SPOILT)):
        before, *between, behind = await looked(cache, ["before", *some, "behind"])
        assert (before, behind) == (answer(1), answer(2))
        for name, found in zip(some, between, strict=True):
            # What looks like one of ours and is none is dropped, as answers are under an epoch that never is.
            assert (found.prefix if found else None) == (PREFIXES_MOST if name in {"short", "unknown"} else None), name

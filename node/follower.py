"""The follower, one a machine: reads the streams and the catalogue from PostgreSQL, corrects Redis, stamps, absolves.

That, not Redis, is how a machine learns of what others wrote. It alone writes epochs, and it sets the generation,
which the supervisor clears when a follower has died.
"""

import asyncio
import os
from functools import partial
from typing import Any, Final

import structlog

from node import clock, process
from node.bell import REST_SECONDS, listen, rang
from node.config import Config
from node.meter import Meter
from node.metrics import FOLLOWER_BEHIND, FOLLOWER_CHANGES, REDIS_FAILURES
from node.pool_watch import PoolWatch
from node.redis_cache import RedisCache, RestartedError
from node.redis_wire import BROKEN
from node.stamps import Shared
from registry.errors import UnavailableError
from registry.postgres import catalogue, records
from registry.postgres.connection import borrowed, open_pool

POLL_SECONDS: Final = 0.5
"""The truth: streams are looked at this often whether a bell rang or not."""
ROWS_MOST: Final = 50
"""Change rows of one prefix taken at once: 100,000 identifiers at most."""
REPLAY_SLACK: Final = 30
"""Seconds beyond the life of a cached answer that are replayed into Redis at the start."""

log = structlog.get_logger("follower")


class Follower:
    """Follows one database for one machine's shared memory."""

    def __init__(self, pool: Any, shared: Shared, redis: RedisCache | None, cache_seconds: int, meter: Meter) -> None:
        self._pool = pool
        self._meter = meter
        self._shared = shared
        self._redis = redis
        if redis is not None:
            redis.on_restart = self.redis_restarted
        self._cache_seconds = cache_seconds
        self._stamped: dict[int, int] = {}
        self._corrected: dict[int, int] = {}
        self._recovering: asyncio.Task[None] | None = None
        self._down = False
        self.bell = asyncio.Event()

    def redis_restarted(self) -> None:
        """Redis may hold again whatever it held before: nothing corrected counts any more."""
        # Another table, not an emptied one: what is being corrected just now goes on writing into the old one.
        self._corrected = {}
        self._shared.distrust()

    async def start(self) -> None:
        """Catches up, then lets caches be used; Redis only after everything that may be stale in it is replayed."""
        await self._catalogue(0)
        async with borrowed(self._pool, "follow") as connection:
            self._stamped = await records.places(connection, 0)
        if self._redis is not None:
            self._shared.distrust()
        self._shared.set_generation()

    async def run(self) -> None:
        """Looks for ever; a database that is away is asked again."""
        living = asyncio.create_task(self._live())
        try:
            while True:
                await self._look_once()
                self._recover()
                await self._rest()
        finally:
            living.cancel()

    async def _look_once(self) -> None:
        try:
            await self.look()
        except UnavailableError as error:
            log.warning("database_unreachable", error=str(error))
            await asyncio.sleep(POLL_SECONDS)

    async def _live(self) -> None:
        """Says for ever that this process is alive; a database that hangs does not make it silent."""
        while True:
            self._pool.show()
            self._shared.beat(clock.monotonic())
            await asyncio.sleep(POLL_SECONDS)

    async def _rest(self) -> None:
        await asyncio.sleep(REST_SECONDS)
        await rang(self.bell, POLL_SECONDS - REST_SECONDS)
        self.bell.clear()

    async def look(self) -> None:
        """Takes in everything that was committed before this call."""
        began = clock.utc().timestamp()
        await self._catalogue(self._shared.followed)
        more = True
        while more:
            async with borrowed(self._pool, "follow") as connection:
                rows = await records.changes_after(connection, self._stamped, ROWS_MOST)
            for row in rows:
                await self._take_in(row)
                self._stamped[row["prefix_no"]] = row["number"]
            # However much there is to take in, the supervisor shall not take it for silence.
            self._shared.beat(clock.monotonic())
            more = len(rows) >= ROWS_MOST
        self._meter.set(FOLLOWER_BEHIND, began)

    async def _catalogue(self, mine: int) -> None:
        async with borrowed(self._pool, "follow") as connection:
            number, prefixes, templates = await catalogue.epochs_after(connection, mine)
        if number != mine:
            self._shared.follow(number, prefixes, templates)
        for prefix, _ in prefixes:
            self._stamped.setdefault(prefix, 0)
            self._corrected.setdefault(prefix, 0)

    async def _take_in(self, row: Any) -> None:
        keys, versions = _changed(row)
        corrected = self._corrected
        # Redis first: a reader that takes the new stamp must not find the old answer there.
        if self._redis is not None and not await self._corrected_now(self._redis, row["prefix_no"], keys, versions):
            # Distrusted anew each time: a replay under way may not end a distrust older than this change.
            self._shared.distrust()
        elif self._redis is not None:
            corrected[row["prefix_no"]] = row["number"]
        self._shared.touch(self._shared.slots(keys))
        self._meter.count(FOLLOWER_CHANGES, by=len(keys))

    async def _corrected_now(self, redis: RedisCache, prefix: int, keys: list[str], versions: list[int]) -> bool:
        if self._down or self._corrected.get(prefix) != self._stamped.get(prefix):
            return False
        try:
            await redis.correct(keys, versions)
        except BROKEN as error:
            self._down = True
            log.warning("redis_distrusted", error=str(error))
            return False
        return True

    def _recover(self) -> None:
        if self._redis is not None and self._recovering is None and not self._shared.redis_trusted:
            self._recovering = asyncio.create_task(self._recovered(self._redis))

    async def _recovered(self, redis: RedisCache) -> None:
        """Replays into Redis what it may lack, then ends the distrust that was there when the replay began."""
        try:
            while not self._shared.redis_trusted:
                try:
                    await self._replay(redis)
                except RestartedError:
                    await asyncio.sleep(REST_SECONDS)  # two servers behind one name must not make this spin
                except (*BROKEN, UnavailableError) as error:
                    self._down = True
                    log.debug("redis_still_distrusted", error=str(error))
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            self._recovering = None

    async def _replay(self, redis: RedisCache) -> None:
        seen = self._shared.distrusts()
        await redis.ping()
        self._down = False
        corrected = self._corrected
        async with borrowed(self._pool, "follow") as connection:
            # Nothing in Redis is older than this: what changed before needs no correction.
            oldest = await records.places(connection, self._cache_seconds + REPLAY_SLACK)
            heads = await records.places(connection, 0)
        for prefix, number in oldest.items():
            corrected[prefix] = max(number, corrected.get(prefix, 0))
        while any(corrected.get(prefix, 0) < number for prefix, number in heads.items()):
            async with borrowed(self._pool, "follow") as connection:
                rows = await records.changes_after(
                    connection, {prefix: corrected.get(prefix, 0) for prefix in heads}, ROWS_MOST
                )
            for row in rows:
                await redis.correct(*_changed(row))
                corrected[row["prefix_no"]] = row["number"]
        self._shared.absolve(seen)
        log.info("redis_trusted")


def _changed(row: Any) -> tuple[list[str], list[int]]:
    """Keys and versions of the records a change row is about; what happens to the prefix itself has no suffix."""
    begin, suffixes, versions = f"{row['name']}/", row["suffixes"], row["versions"]
    if not all(suffixes):
        versions = [version for version, suffix in zip(versions, suffixes, strict=True) if suffix]
        suffixes = filter(None, suffixes)
    return [begin + suffix for suffix in suffixes], versions


async def run(config: Config, place: process.Place) -> None:
    """The follower's process, from start to death."""
    shared = Shared(place.descriptor, config.workers, place.column, place.incarnation)
    meter = Meter(place.meter, config.workers, place.column)
    watch = PoolWatch(meter, "follower", clock.monotonic)
    pool = await open_pool(config.database_url, size=2, name=place.name, watch=watch)
    redis = RedisCache.of(config) if config.redis_url else None
    if redis is not None:
        redis.on_failure = partial(meter.count, REDIS_FAILURES)
    follower = Follower(pool, shared, redis, config.cache_seconds, meter)
    listening = asyncio.create_task(listen(config.database_url, place.name, follower.bell))
    while True:
        try:
            await follower.start()
            break
        except UnavailableError as error:
            log.warning("database_unreachable", error=str(error))
            await asyncio.sleep(POLL_SECONDS)
    log.info("following", pid=os.getpid())
    try:
        await follower.run()
    finally:
        listening.cancel()

"""The uplink's process, one a machine: counts for its own machine, and speaks for all of them when it is elected."""

import asyncio
import random
from ipaddress import ip_address

import structlog

from node import clock, process
from node.bell import Bell, listen
from node.config import Config
from node.meter import Meter, Totals
from node.metrics import UPLINK_FAILURES, UPLINK_UNREACHABLE
from node.pool_watch import PoolWatch
from node.stamps import Shared
from node.uplink.client import FencedError, Name, TopLevelNode, session
from node.uplink.counting import Counting
from node.uplink.sync import Sync
from node.uplink.tenure import Around, Tenure
from node.uplink.voice import Voice
from proto.signed import KEY_OCTETS
from registry.account import Vault
from registry.clerk import Clerk
from registry.errors import NotInOfficeError
from registry.postgres.connection import Pool, open_pool

CONNECTIONS = 3
"""Changes are read while receipts are noted, and one is to spare."""
SHOW_SECONDS = 1.0
"""Gauges are no older than this, as a worker's are."""

log = structlog.get_logger("uplink")


class KeyLostError(Exception):
    """The node's private key was sealed with another IDNODE_SECRET_KEY."""


def route_address(config: Config) -> str:
    """Where others resolve what this node has; empty when that cannot be told from the settings."""
    text = config.route_address or config.host
    try:
        address = ip_address(text)
    except ValueError:
        return ""
    return "" if address.is_unspecified else str(address)


class Office:
    """What a tenure needs and outlives it."""

    def __init__(self, config: Config, pool: Pool, around: Around) -> None:
        self._config = config
        self._pool = pool
        self._around = around

    async def tenure(self, fence: int) -> None:
        """Speaks until another voice is elected."""
        config = self._config
        clerk = Clerk(self._pool, fence, config.statistics_seconds, Vault(config.key()), config.audit_octets)
        fresh = random.SystemRandom().randbytes(KEY_OCTETS)
        key = await clerk.key(fresh)
        if not key:
            raise KeyLostError(
                "节点的签名密钥是用另一个IDNODE_SECRET_KEY加密的。 "
                "The node's signing key was sealed with another IDNODE_SECRET_KEY."
            )
        name = Name(self._config.prefix, key, fence)
        async with session() as asking:
            node = TopLevelNode(asking, self._config.toplevel_url, name, clock.milliseconds)
            node.on_reach = lambda answered: self._around.meter.set(UPLINK_UNREACHABLE, not answered)
            try:
                await Sync(Tenure(clerk, node, self._around), random.Random(fence)).run()  # noqa: S311 - only spreads pauses
            except (FencedError, NotInOfficeError) as error:
                self._around.meter.count(UPLINK_FAILURES, "fence")
                log.warning("voice_fenced", fence=fence, error=str(error))


async def run(config: Config, place: process.Place) -> None:
    """The uplink's process, from start to death."""
    # This view writes no column of the stamps: it only reads how far the follower is.
    shared = Shared(place.descriptor, config.workers, 0, 1)
    meter = Meter(place.meter, config.workers, place.column)
    watch = PoolWatch(meter, "uplink", clock.monotonic)
    pool = await open_pool(config.database_url, size=CONNECTIONS, name=place.name, watch=watch)
    counting = Counting(
        pool, Totals(place.meter, config.workers), place.machine, config.statistics_seconds, clock.milliseconds
    )
    around = Around(
        config=config,
        machine=place.machine,
        shared=shared,
        meter=meter,
        ring=Bell(pool),
        changed=asyncio.Event(),
        address=route_address(config),
        started=clock.milliseconds(),
    )
    if not around.address:
        log.warning("route_address_unknown", host=config.host)
    office = Office(config, pool, around)
    voice = Voice(config.database_url, place.machine, place.name, office.tenure, meter)
    tasks = [
        asyncio.create_task(listen(config.database_url, place.name, around.changed)),
        asyncio.create_task(counting.run()),
        asyncio.create_task(_shown(pool)),
        asyncio.create_task(voice.run()),
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await counting.tell()
        pool.terminate()


async def _shown(pool: Pool) -> None:
    """Sets the gauges of the pool for ever."""
    while True:
        pool.show()
        await asyncio.sleep(SHOW_SECONDS)

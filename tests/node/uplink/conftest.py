"""What tests of the uplink share: a voice in office under a top-level node that lies."""

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from node import clock, meter, stamps
from node.bell import Bell
from node.config import Config
from node.meter import Meter, Totals
from node.stamps import Shared
from node.uplink import client
from node.uplink.client import Name, TopLevelNode
from node.uplink.tenure import Around
from proto import signed
from registry.postgres.connection import open_pool
from tests.fakes.top_level_node import SEED, lying
from tests.node.uplink.side import Side
from tests.registry.world import PARTICULARS, PREFIX, founded


@pytest.fixture
async def side(database: str) -> AsyncIterator[Side]:
    pool = await open_pool(database, size=3, name="idnode-test")
    descriptor, counting = stamps.create(1), meter.create(1)
    world = await founded(database, pool)
    await world.steward.enrol("天马皮具", "Tianma Leather", "leather", PREFIX, PARTICULARS)
    shared = Shared(descriptor, 1, 1, 2)
    shared.follow(2**40, (), ())
    around = Around(
        config=Config(),
        machine="one",
        shared=shared,
        meter=Meter(counting, 1, 2),
        ring=Bell(pool),
        changed=asyncio.Event(),
        address="127.0.0.1",
        started=clock.milliseconds(),
    )
    async with lying() as liar, client.session() as asking:
        node = TopLevelNode(asking, liar.url, Name("88.999", b"o" * 32, 1), clock.milliseconds)
        node.public_key = signed.public_key(SEED)
        made = Side(world, liar, node, around, Totals(counting, 1))
        await made.take_office()
        yield made
    pool.terminate()
    os.close(descriptor)
    os.close(counting)

"""Proves node/toplevel/keeper.py: what it keeps alive is alive again after it was killed, and gone when it stops."""

import asyncio
import os
import signal

import aiohttp

from node.config import Config
from node.nursery import Born, Nursery
from node.process import Place
from node.toplevel import keeper, server
from node.toplevel.keeper import Keeper, until_ready
from tests.fakes.nursery import own_nursery
from tests.waiting import until
from tests.whole.calls import children, free_port, runs


async def test_it_is_started_again_when_it_dies_and_stopped_at_the_end(empty_database: str):
    config = Config(database_url=empty_database, toplevel_port=free_port())
    async with own_nursery(keeper.MODULE) as nursery:
        with server.listening(config) as sock:
            keeping = asyncio.create_task(Keeper(config, nursery, sock).run())
            url = server.url(config)
            await until_ready(url)
            (first,) = children(nursery.pid, "node.toplevel")
            os.kill(first, signal.SIGKILL)
            await until(lambda: children(nursery.pid, "node.toplevel") not in ([], [first]), "the next one")
            await until_ready(url)
            (second,) = children(nursery.pid, "node.toplevel")
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            assert not runs(second)
        async with aiohttp.ClientSession() as session:
            assert not await keeper._is_ready(session, url)


async def test_one_that_cannot_be_started_is_tried_again(empty_database: str, monkeypatch):
    tried = []

    class Barren(Nursery):
        async def fork(self, module: str, config: Config, place: Place) -> Born:
            tried.append(module)
            raise OSError("no more processes")

    monkeypatch.setattr(keeper, "RESTART_SECONDS", (0.0,))
    config = Config(database_url=empty_database, toplevel_port=free_port())
    async with own_nursery(kind=Barren) as nursery:
        with server.listening(config) as sock:
            keeping = asyncio.create_task(Keeper(config, nursery, sock).run())
            await until(lambda: len(tried) >= 3, "three tries")
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)

"""Keeps the process of the top-level node alive beside `up`: starts it, starts it again when it dies, stops it last.

What it does is in server.py; here is nothing but its life. It dies with us, by the kernel's hand.
"""

import asyncio
import signal
import socket
from typing import Final

import aiohttp
import structlog

from node import clock
from node.config import Config
from node.nursery import Born, Nursery
from node.process import Place
from node.supervisor import RESTART_SECONDS, STOP_SECONDS, YOUNG_SECONDS

LOOK_SECONDS: Final = 0.05
"""Pause between two questions whether it is ready."""
ANSWER_SECONDS: Final = 5.0
MODULE: Final = "node.toplevel.server"

log = structlog.get_logger("toplevel")


class Keeper:
    """Keeps one top-level node that listens on `sock`, which stays open meanwhile: who connects waits for the next."""

    def __init__(self, config: Config, nursery: Nursery, sock: socket.socket) -> None:
        self._config = config
        self._nursery = nursery
        self._sock = sock
        self._process: Born | None = None

    async def run(self) -> None:
        """Keeps it alive until cancelled, then stops it."""
        young = 0
        try:
            while True:
                await asyncio.sleep(RESTART_SECONDS[min(young, len(RESTART_SECONDS) - 1)])
                born = clock.monotonic()
                try:
                    await self._start()
                except OSError as error:  # no memory or no more processes just now: as if it had died young
                    log.warning("toplevel_not_started", error=str(error))
                    young += 1
                    continue
                assert self._process is not None
                code = await self._process.wait()
                young = young + 1 if clock.monotonic() - born < YOUNG_SECONDS else 0
                log.warning("toplevel_died", pid=self._process.pid, code=code)
        finally:
            await self._stop()

    async def _start(self) -> None:
        place = Place("toplevel", 0, 0, -1, self._sock.fileno())
        self._process = await self._nursery.fork(MODULE, self._config, place)

    async def _stop(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.send_signal(signal.SIGKILL)
            await process.wait()


async def until_ready(url: str) -> None:
    """Returns when the top-level node at `url` says that it is ready."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        while not await _is_ready(session, url):  # noqa: ASYNC110 - another process, it rings no bell of ours
            await asyncio.sleep(LOOK_SECONDS)


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with session.get(f"{url}/health/ready") as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False

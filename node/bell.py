"""The bell of a database: rung after a commit, heard on every machine by who follows the streams. It says nothing but
"look", it may be lost, and nobody depends on it: whoever listens looks by himself as well.
"""

import asyncio
from typing import Final

import structlog

from registry.errors import UnavailableError
from registry.postgres.connection import BROKEN, READ_ONLY, Pool, borrowed, connect

BELL: Final = "idnode_change"
REST_SECONDS: Final = 0.05
"""Shortest pause between two rings, and between two looks: a storm costs at most twenty of them a second, some 1 ms of
a processor each."""
AGAIN_SECONDS: Final = 0.5
"""Pause before a lost connection is made again."""

log = structlog.get_logger("bell")


class Bell:
    """Wakes the followers of all machines after a commit, at most twenty times a second. Loss costs half a second."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._task: asyncio.Task[None] | None = None
        self._again = False

    def ring(self) -> None:
        """Rings soon."""
        self._again = True
        if self._task is None:
            self._task = asyncio.create_task(self._ringing())

    async def _ringing(self) -> None:
        try:
            while self._again:
                self._again = False
                async with borrowed(self._pool) as connection:
                    await connection.execute(f"NOTIFY {BELL}")
                await asyncio.sleep(REST_SECONDS)
        except UnavailableError as error:
            log.debug("bell_lost", error=str(error))
        finally:
            self._task = None


async def rang(bell: asyncio.Event, seconds: float) -> bool:
    """Whether `bell` is set within so many seconds. Who is cancelled in the very moment it is, is cancelled."""
    try:
        async with asyncio.timeout(seconds):
            return await bell.wait()
    except TimeoutError:
        return False


async def listen(url: str, name: str, bell: asyncio.Event) -> None:
    """Keeps one connection listening, and sets `bell` when it rings; without it their own looks alone are the truth."""
    while True:
        try:
            connection = await connect(url, name)
            try:
                lost = asyncio.Event()
                connection.add_termination_listener(lambda _, lost=lost: lost.set())
                await connection.add_listener(BELL, lambda *_: bell.set())
                await lost.wait()
            finally:
                connection.terminate()
        except (*BROKEN, READ_ONLY, UnavailableError) as error:  # a standby lets nobody listen
            log.debug("bell_lost", error=str(error))
        await asyncio.sleep(AGAIN_SECONDS)

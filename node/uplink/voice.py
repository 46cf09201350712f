"""Elects the one voice of all machines of a database, and lets it speak for as long as it is that.

A session of PostgreSQL holds an advisory lock; whoever gets it takes the next fence. Nothing is said upwards here.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog

from node.bell import rang
from node.meter import Meter
from node.metrics import (
    UPLINK_CHAIN_BROKEN,
    UPLINK_FENCE,
    UPLINK_IS_VOICE,
    UPLINK_NOT_ENROLLED,
    UPLINK_OLDEST,
    UPLINK_QUEUE,
    UPLINK_UNREACHABLE,
)
from registry.errors import UnavailableError
from registry.postgres import uplink
from registry.postgres.connection import BROKEN, Connection, connect

TRY_SECONDS: Final = 1.0
"""Pause between two looks whether the office is vacant, and between two signs of life of who holds it."""
ANSWER_SECONDS: Final = 4.0
"""A voice whose database says nothing for so long steps down: another one may have been elected."""
SILENT_SECONDS: Final = 8.0
"""A voice that gave no sign of life for so long is put out of office: its process is frozen, its session is not."""

OF_OFFICE: Final = (
    UPLINK_IS_VOICE,
    UPLINK_FENCE,
    UPLINK_OLDEST,
    UPLINK_QUEUE,
    UPLINK_CHAIN_BROKEN,
    UPLINK_UNREACHABLE,
    UPLINK_NOT_ENROLLED,
)
"""What only the voice tells: once out of office, another machine tells it."""

log = structlog.get_logger("voice")


class Voice:
    """One machine's candidate. `tenure(fence)` speaks until it is cancelled or told that its fence is old."""

    def __init__(
        self, url: str, machine: str, name: str, tenure: Callable[[int], Awaitable[None]], meter: Meter
    ) -> None:
        self._url = url
        self._machine = machine
        self._name = name
        self._tenure = tenure
        self._meter = meter

    async def run(self) -> None:
        """Stands for election for ever."""
        self._silence()  # a predecessor that was killed may have left some
        while True:
            try:
                connection = await connect(self._url, self._name, ANSWER_SECONDS, uplink.SESSION)
                try:
                    await self._stand(connection)
                finally:
                    # First of all: nobody else is elected while this session lives.
                    connection.terminate()
            except (*BROKEN, UnavailableError) as error:
                log.debug("no_election", error=str(error))
            await asyncio.sleep(TRY_SECONDS)

    def _silence(self) -> None:
        for metric in OF_OFFICE:
            self._meter.set(metric, 0)

    async def _stand(self, connection: Connection) -> None:
        while (fence := await uplink.claim(connection, self._machine)) is None:
            if await uplink.oust(connection, SILENT_SECONDS):
                log.warning("silent_voice_ousted")
            await asyncio.sleep(TRY_SECONDS)
        log.info("voice", fence=fence)
        self._meter.set(UPLINK_IS_VOICE, 1)
        self._meter.set(UPLINK_FENCE, fence)
        try:
            await self._serve(connection, fence)
        finally:
            self._silence()
            log.info("voice_no_more", fence=fence)

    async def _serve(self, connection: Connection, fence: int) -> None:
        speaking = asyncio.ensure_future(self._tenure(fence))
        holding = asyncio.ensure_future(_hold(connection, fence))
        try:
            await asyncio.wait({speaking, holding}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A request in flight ends here; one that was sent already is refused by its fence if it comes too late.
            for task in (speaking, holding):
                task.cancel()
            outcomes = await asyncio.gather(speaking, holding, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome


async def _hold(connection: Connection, fence: int) -> None:
    """Gives signs of life; returns when the office is lost."""
    lost = asyncio.Event()
    connection.add_termination_listener(lambda _: lost.set())
    while not connection.is_closed() and await uplink.renew(connection, fence):
        if await rang(lost, TRY_SECONDS):
            return

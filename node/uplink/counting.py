"""Tells the database what this machine has resolved, whether it is the voice or not. Counting itself is the meter's.

What is told are totals since the supervisor started: told twice, or by a successor, they count once.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from node.meter import Totals
from node.uplink import tally
from registry.clerk import count_resolutions
from registry.errors import UnavailableError
from registry.postgres.connection import Pool

COUNT_SECONDS: Final = 10.0
"""Pause between two tellings: what a machine that dies altogether may lose."""

log = structlog.get_logger("uplink")


class Counting:
    """Tells for `machine`. `seconds` is the length of a window, `now` gives milliseconds since 1970 UTC."""

    def __init__(self, pool: Pool, totals: Totals, machine: str, seconds: int, now: Callable[[], int]) -> None:
        self._pool = pool
        self._totals = totals
        self._machine = machine
        self._seconds = seconds
        self._now = now
        self._told: dict[int, tuple[int, int]] = {}

    async def run(self) -> None:
        """Tells for ever; what the database cannot take now is told later."""
        while True:
            await asyncio.sleep(COUNT_SECONDS)
            await self.tell()

    async def tell(self) -> None:
        """Tells what was counted since the last time."""
        after = self._totals.prefix_counts()
        grown = tally.grown(self._told, after)
        start = tally.start(self._now(), self._seconds)
        try:
            await count_resolutions(self._pool, self._machine, grown, start, self._seconds)
        except UnavailableError as error:
            log.debug("resolutions_not_told", error=str(error))
        else:
            self._told = after

"""The voice at work: a table of steps with their own pauses, each of which may be repeated without harm.

What is done in each stands in streams.py, filings.py, messages.py and reports.py; here they are repeated for ever.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import structlog

from node.bell import rang
from node.metrics import UPLINK_FAILURES, UPLINK_NOT_ENROLLED
from node.uplink.client import AwayError
from node.uplink.filings import Filings
from node.uplink.messages import Messages
from node.uplink.reports import Reports
from node.uplink.streams import GATHER_SECONDS, Streams
from node.uplink.tenure import Tenure
from registry.errors import UnavailableError

FORGET_SECONDS: Final = 3600.0
KEEP_DAYS: Final = 90
"""What is told is kept so long."""
BIND_DAYS: Final = 2
"""Change rows so old are bound into volumes: whoever follows the streams has read them but for a long outage."""
BACKOFF_FIRST: Final = 0.25
BACKOFF_LAST: Final = 8.0
"""Longest pause, seconds, before a top-level node that is away is asked again: half a minute of outage costs at most
that much more."""

_ALWAYS_ASK: Final = frozenset({"poll", "heartbeat"})
"""Steps that do not succeed without an answer of the top-level node."""

log = structlog.get_logger("uplink")


def backoff(failures: int, chance: random.Random) -> float:
    """Seconds before the next try after so many failures in a row, from half to all of a doubling bound."""
    return min(BACKOFF_LAST, BACKOFF_FIRST * 2.0 ** min(failures - 1, 30)) * (0.5 + chance.random() / 2)


@dataclass(frozen=True, slots=True)
class Step:
    """One thing the voice does over and over. `work` returns the seconds until it is done again; `bell` shortens that,
    but is not heard in the first `deaf` ones.
    """

    name: str
    work: Callable[[], Awaitable[float]]
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    deaf: float = 0.0


class Sync:
    """One tenure. `run` ends with FencedError or NotInOfficeError when another voice was elected."""

    def __init__(self, tenure: Tenure, chance: random.Random) -> None:
        self._clerk = tenure.clerk
        self._node = tenure.node
        self._around = tenure.around
        self._meter = tenure.around.meter
        self._mail = tenure.mail
        self._chance = chance
        self._streams = Streams(tenure)
        self._filings = Filings(tenure, self._streams)
        self._messages = Messages(tenure, self._filings)
        self._reports = Reports(tenure)
        self._away: set[str] = set()

    async def run(self) -> None:
        """Enrols, then does every step for ever."""
        await self._repeat(Step("enrol", self._enrol), until=lambda: self._node.public_key is not None)
        steps = (
            Step("changes", self._streams.changes, self._around.changed, GATHER_SECONDS),
            Step("filing", self._filings.file),
            Step("poll", self._messages.poll, self._mail),
            Step("routes", self._reports.routes),
            Step("statistics", self._reports.statistics),
            Step("heartbeat", self._reports.heartbeat),
            Step("compare", self._streams.compare),
            Step("measure", self._reports.measure),
            Step("bind", self.bind),
            Step("forget", self.forget),
        )
        tasks = [asyncio.create_task(self._repeat(step), name=step.name) for step in steps]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _repeat(self, step: Step, until: Callable[[], bool] = lambda: False) -> None:
        failures = 0
        while not until():
            step.bell.clear()
            try:
                pause = await step.work()
                failures = 0
                if step.name in _ALWAYS_ASK:
                    self._reached()
            except (AwayError, UnavailableError) as error:
                failures += 1
                pause = backoff(failures, self._chance)
                self._missed(step.name, error)
            if failures:
                await asyncio.sleep(pause)
            elif pause:
                deaf = min(pause, step.deaf)
                await asyncio.sleep(deaf)
                await rang(step.bell, pause - deaf)

    def _reached(self) -> None:
        if self._away:
            self._away.clear()
            log.info("toplevel_reached")

    def _missed(self, step: str, error: Exception) -> None:
        reason = "database"
        if isinstance(error, AwayError):
            reason = error.reason
            self._meter.count(UPLINK_FAILURES, error.reason)
            self._streams.lost()
        # Each reason once: that nobody answered must not hide that whoever does now is a stranger.
        (log.debug if reason in self._away else log.warning)(
            "toplevel_away", step=step, reason=reason, error=str(error)
        )
        self._away.add(reason)

    async def _enrol(self) -> float:
        self._node.public_key = await self._clerk.toplevel_key()
        self._meter.set(UPLINK_NOT_ENROLLED, self._node.public_key is None)
        if self._node.public_key is None:
            prefix = self._around.config.prefix
            key = await self._node.enrol(f"二级节点{prefix}", f"secondary node {prefix}")
            await self._clerk.pin(key)
            self._node.public_key = await self._clerk.toplevel_key()
            self._meter.set(UPLINK_NOT_ENROLLED, 0)
            log.info("enrolled", toplevel_key=key.hex())
        return 0.0

    async def bind(self) -> float:
        """Binds change rows that were told a while ago."""
        return 0.0 if await self._clerk.bind_old(BIND_DAYS) else FORGET_SECONDS

    async def forget(self) -> float:
        """Lets go of what was told long ago."""
        await self._clerk.forget_old(KEEP_DAYS)
        return FORGET_SECONDS

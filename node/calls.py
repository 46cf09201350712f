"""Counts the signed-in calls of enterprises, and says when one has used up those of its day.

Each worker counts by itself and tells PostgreSQL what it counted every TELL_SECONDS, which tells it what all of them
did. So a quota is overrun by at most what all workers are asked in so long; a worker that dies takes no more with it.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Final, TypeVar

import structlog

from registry.account import Account
from registry.errors import UnknownOutcomeError
from registry.quota import day_end
from registry.steward import Steward

TELL_SECONDS: Final = 1.0

T = TypeVar("T")

log = structlog.get_logger("calls")


class CallsSpentError(Exception):
    """The enterprise of who asks has used up its calls; it may come again in so many `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"no calls left for {seconds} s")
        self.seconds = seconds


class Calls:
    """The calls of one worker. `now` gives the present moment on the node's calendar."""

    def __init__(self, steward: Steward, now: Callable[[], datetime]) -> None:
        self._steward = steward
        self.now = now
        self._made = Counter[int]()  # since they were told, by enterprise
        self._left: dict[int, int] = {}  # of enterprises that have a quota
        self._day: date | None = None

    def counted(self, who: T) -> T | CallsSpentError:
        """`who` asks, if it is an account; CallsSpentError in its place if it shall not."""
        if not isinstance(who, Account) or who.enterprise is None:
            return who
        left = self._left.get(who.enterprise)
        if left is not None:
            if left <= 0:
                now = self.now()
                return CallsSpentError(int((day_end(now) - now).total_seconds()) + 1)
            self._left[who.enterprise] = left - 1
        self._made[who.enterprise] += 1
        return who

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Meanwhile PostgreSQL is told, and once more at the end."""
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await self.tell()

    async def _run(self) -> None:
        while True:
            await self.tell()
            await asyncio.sleep(TELL_SECONDS)

    async def tell(self) -> None:
        """Tells PostgreSQL what was counted, and learns what is left."""
        day, made, self._made = self.now().date(), self._made, Counter()
        try:
            left = await self._steward.count_calls(day, dict(made), new_day=day != self._day)
        except UnknownOutcomeError as error:  # rather forgotten than counted twice
            log.debug("calls_untold", error=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, they are told the next time
            self._made.update(made)
            log.debug("calls_untold", error=str(error))
        else:
            self._day = day
            self._left = {enterprise: count - self._made[enterprise] for enterprise, count in left.items()}

"""Long work that strangers cause: one piece at a time, and a rest after each, in which all else goes on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

REST: Final = 3
"""A rest is so many times what the piece took: whatever is asked, it takes a quarter of the process's time at most."""


class Turns:
    """Those of one kind of work. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = asyncio.Lock()

    @property
    def taken(self) -> bool:
        """Whether a piece is under way, or its rest."""
        return self._lock.locked()

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Around a piece: waits for its turn."""
        await self._lock.acquire()
        began = self._clock()
        try:
            yield
        finally:
            asyncio.get_running_loop().call_later(REST * (self._clock() - began), self._lock.release)

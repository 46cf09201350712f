"""The names of all enterprises, folded and in order: what IIIDAP searches go through instead of the database.

What is found here is a number; whether the name still fits is for who reads it there.
"""

import asyncio
from bisect import bisect_left
from collections.abc import Callable
from typing import Final

from proto.iiidap import Pattern, folded
from registry.lookup import Lookup

FRESH_SECONDS: Final = 60.0
"""A name that is newer may not be found yet."""
PAGE: Final = 1000
"""Names read and folded at once: some 2 ms."""
NAMES_MOST: Final = 200_000
"""Names kept, two an enterprise, some 200 octets each: eighty times as many as an average node has."""


class Names:
    """The names as this process knows them. `clock` gives monotonic seconds."""

    def __init__(self, lookup: Lookup, clock: Callable[[], float]) -> None:
        self._lookup = lookup
        self._clock = clock
        self._names: list[tuple[str, int]] = []
        self._stale = -1.0
        self._reading = asyncio.Lock()

    async def find(self, pattern: Pattern, most: int) -> list[int]:
        """The numbers of enterprises with such a name, in the order of the names, `most` at most.

        Raises UnavailableError.
        """
        async with self._reading:
            if self._clock() >= self._stale:
                self._names = await self._read()
                self._stale = self._clock() + FRESH_SECONDS
        found: dict[int, None] = {}
        for at in range(bisect_left(self._names, (pattern.text, 0)), len(self._names)):
            name, number = self._names[at]
            if not pattern.fits(name) or len(found) >= most:
                break
            found[number] = None
        return list(found)

    async def _read(self) -> list[tuple[str, int]]:
        names: list[tuple[str, int]] = []
        after = 0
        while len(names) < NAMES_MOST and (page := await self._lookup.enterprise_names(after, PAGE)):
            names += [(folded(name), number) for number, *both in page for name in both if name]
            after = page[-1][0]
        return sorted(names)

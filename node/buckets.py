"""Buckets of tokens, one for each key: how often something may happen, with a burst, in bounded memory.

What is counted, and what is said when a bucket is empty, is its user's business.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Final

KEYS_MOST: Final = 65_536
"""Keys remembered; the longest silent one is forgotten, which only gives it a full bucket again."""

_TOKEN: Final = 1 - 1e-9
"""So much of one is a token: fractions of them do not add up evenly."""


class Buckets:
    """`size` tokens for each key, which come back evenly within `seconds`; `clock` gives monotonic seconds."""

    def __init__(self, size: int, seconds: float, clock: Callable[[], float]) -> None:
        self._size = size
        self._rate = size / seconds
        self._clock = clock
        self._left: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()

    def draw(self, key: Hashable) -> float:
        """Takes a token: 0.0 if there was one, else the seconds until there is."""
        now = self._clock()
        left, at = self._left.pop(key, (float(self._size), now))
        left = min(self._size, left + (now - at) * self._rate)
        wait = 0.0 if left >= _TOKEN else (1 - left) / self._rate
        self._left[key] = (left if wait else left - 1, now)
        if len(self._left) > KEYS_MOST:
            self._left.popitem(last=False)
        return wait

    def give_back(self, key: Hashable) -> None:
        """Puts a token back that was drawn for what did not happen."""
        if key in self._left:  # else it was forgotten, and is full
            left, at = self._left[key]
            self._left[key] = (min(self._size, left + 1), at)

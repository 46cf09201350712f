"""`admit`: may this peer be served now? One function for every road, so that no road is a way around it.

Bounds: requests in hand per worker, and a bucket of tokens per peer when a rate is set.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from node.buckets import Buckets
from proto.forwarded_for import end_site

BURST_SECONDS: Final = 2
"""A silent peer may send this many seconds' worth at once."""


class Admission:
    """Counts what is in hand. `rate` requests a second and peer (0: no limit), `clock` monotonic seconds."""

    def __init__(self, requests: int, rate: int, clock: Callable[[], float]) -> None:
        self._most = requests
        self._buckets = Buckets(rate * BURST_SECONDS, BURST_SECONDS, clock) if rate else None
        self.in_hand = 0

    @property
    def crowded(self) -> bool:
        """Whether more are in hand than may be: some came back from `aside` while others were admitted."""
        return self.in_hand > self._most

    @property
    def full(self) -> bool:
        """Whether nobody is served now, whoever asks."""
        return self.in_hand >= self._most

    @property
    def by_peer(self) -> bool:
        """Whether it matters to `admit` who asks."""
        return self._buckets is not None

    def takes(self, count: int) -> bool:
        """Whether `admit` would serve so many who come together, whoever they are."""
        return self._buckets is None and self.in_hand + count <= self._most

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within it a request in hand is not counted: it waits for its own client, and takes nothing from others."""
        self.in_hand -= 1
        try:
            yield
        finally:
            self.in_hand += 1

    def has_room(self, waiting: int) -> bool:
        """Whether one more may wait for another node where `waiting` do: not if they may be half of what is in hand."""
        return min(self.in_hand, waiting) * 2 < self._most

    def admit(self, peer: str) -> int:
        """0 if the peer may be served, else the HTTP status that says why not: 503 all busy, 429 it asks too much."""
        if self.in_hand >= self._most:
            return 503
        return 429 if self._buckets is not None and self._buckets.draw(end_site(peer)) else 0

"""Latencies in bounded memory: counts in buckets that grow by 4 % each, so a percentile is off by 2 % at most.

Pure. Histograms of several processes add up to the histogram of all.
"""

from dataclasses import dataclass, field
from math import ceil, log
from typing import Final, Self

GROWTH: Final = 1.04
"""Each bucket ends this much above where it begins; told as its geometric middle, a value is off by √1.04 at most."""
LEAST: Final = 1e-6
"""Seconds; what is shorter counts as this: nothing over a socket is."""
MOST: Final = 1000.0
"""Seconds where the last bucket ends; it holds what is longer, too: patience ends far earlier."""
BUCKETS: Final = ceil(log(MOST / LEAST) / log(GROWTH))
"""529, whatever the run."""
_PER_FACTOR: Final = 1 / log(GROWTH)
_OFFSET: Final = -log(LEAST)


@dataclass(slots=True)
class Histogram:
    """Latencies in seconds. `total`, `least` and `most` are exact."""

    buckets: list[int] = field(default_factory=lambda: [0] * BUCKETS)
    count: int = 0
    total: float = 0.0
    least: float = float("inf")
    most: float = 0.0

    def add(self, seconds: float) -> None:
        """Counts one latency, which is not negative."""
        place = int((log(seconds) + _OFFSET) * _PER_FACTOR) if seconds > LEAST else 0
        self.buckets[place if place < BUCKETS else BUCKETS - 1] += 1
        self.count += 1
        self.total += seconds
        self.most = max(self.most, seconds)
        self.least = min(self.least, seconds)

    def merge(self, other: Self) -> None:
        """Counts all that `other` counted."""
        self.buckets = [mine + theirs for mine, theirs in zip(self.buckets, other.buckets, strict=True)]
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)

    @property
    def mean(self) -> float | None:
        """The exact mean in seconds; None while nothing is counted."""
        return self.total / self.count if self.count else None

    def percentile(self, share: float) -> float | None:
        """The nearest-rank percentile in seconds: the least latency that a `share` (0 … 1) of all do not exceed.

        Off by 2 % at most within LEAST … MOST; None while nothing is counted.
        """
        if not self.count:
            return None
        rank = max(1, ceil(share * self.count))
        if rank >= self.count:
            return self.most
        place = self._place(rank)
        middle: float = LEAST * GROWTH ** (place + 0.5)
        return min(max(middle, self.least), self.most)

    def curve(self) -> list[tuple[float, float]]:
        """Shares of all (below 1, rising) and the latency in seconds each of them does not exceed: for a drawing."""
        points, passed = [], 0
        for place, count in enumerate(self.buckets):
            passed += count
            if count:
                middle = LEAST * GROWTH ** (place + 0.5)
                points.append((min(passed, self.count - 0.5) / self.count, min(max(middle, self.least), self.most)))
        return points

    def _place(self, rank: int) -> int:
        """The bucket that holds the latency of this rank, counted from 1."""
        passed = 0
        for place, count in enumerate(self.buckets):
            passed += count
            if passed >= rank:
                return place
        raise AssertionError("the buckets hold fewer than were counted")

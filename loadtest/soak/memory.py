"""Resident memory over a run, and whether it grows. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

GROWN_OCTETS: Final = 4 * 1024 * 1024
GROWN_SHARE: Final = 0.03
"""Growth from the second quarter of a run to its last is called so beyond both: allocators and a cache whose entries
come and go make less of it; a leak of one small object a request makes as much in a minute."""
FEWEST: Final = 8
"""Samples below which nothing is said: two in each quarter."""


@dataclass(frozen=True, slots=True)
class Memory:
    """One process: its number, and (seconds since the beginning, octets) in order."""

    pid: int
    samples: Sequence[tuple[float, int]]

    @property
    def first(self) -> int:
        """Octets in the beginning."""
        return self.samples[0][1]

    @property
    def last(self) -> int:
        """Octets in the end."""
        return self.samples[-1][1]

    @property
    def most(self) -> int:
        """Octets at the highest."""
        return max(octets for _, octets in self.samples)

    @property
    def growth(self) -> int | None:
        """Octets from the median of the second quarter to that of the last; None when there are too few samples.

        In the first quarter caches fill and connections are made.
        """
        quarter = len(self.samples) // 4
        if len(self.samples) < FEWEST:
            return None
        octets = [each for _, each in self.samples]
        return round(median(octets[-quarter:]) - median(octets[quarter : 2 * quarter]))

    @property
    def grows(self) -> bool:
        """Whether that is more than what comes and goes."""
        growth = self.growth
        return growth is not None and growth > max(GROWN_OCTETS, GROWN_SHARE * self.last)

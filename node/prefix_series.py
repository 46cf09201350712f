"""Which prefixes have series of their own in /metrics: the first PREFIX_SERIES_MOST that are asked for.

A prefix that has its own series keeps it, one that was told under `other` stays there: no counter ever falls.
"""

from collections.abc import Mapping

from node.meter import Sample
from node.metrics import OTHER, PREFIX_SERIES_MOST

Counts = Mapping[int, tuple[int, int]]
"""Prefix number to (found, not found), as Totals.prefix_counts tells them."""


class PrefixSeries:
    """Names of prefixes by number, learnt as they are asked for."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._others = {0}

    def unknown(self, counts: Counts) -> list[int]:
        """Numbers whose names must be learnt before they are told, ascending."""
        new = sorted(counts.keys() - self._names.keys() - self._others)
        room = PREFIX_SERIES_MOST - len(self._names)
        self._others.update(new[room:])
        return new[:room]

    def learn(self, asked: list[int], names: Mapping[int, str]) -> None:
        """The `names` of the numbers that were `asked` for; one without a name is `other`."""
        self._names.update(names)
        self._others.update(set(asked) - names.keys())

    def samples(self, counts: Counts) -> list[Sample]:
        """The series of PREFIX_RESOLUTIONS; what is not learnt yet is left out until then."""
        told = {name: counts[number] for number, name in self._names.items() if number in counts}
        beyond = [counts[number] for number in self._others if number in counts]
        told[OTHER] = (sum(ok for ok, _ in beyond), sum(failed for _, failed in beyond))
        return [
            Sample((name, outcome), count)
            for name, pair in told.items()
            for outcome, count in zip(("ok", "failed"), pair, strict=True)
        ]

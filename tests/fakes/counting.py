"""The memory a process counts in, for tests of what counts: nothing is faked, only made and read in one place."""

import os

from node import meter
from node.meter import Meter, Totals
from node.metrics import Metric


class Counting:
    """Fresh memory of a machine with one worker, that worker's `meter`, and what all of it says."""

    def __init__(self) -> None:
        descriptor = meter.create(1)
        self.meter = Meter(descriptor, 1, 0)
        self.totals = Totals(descriptor, 1)
        os.close(descriptor)

    def told(self, metric: Metric, now: float = 0.0) -> dict[tuple[str, ...], float]:
        """The series of a metric that are not 0, by label values; of a histogram its sums."""
        return {sample.labels: sample.value for sample in self.totals.samples(metric, now) if sample.value}

    def observed(self, metric: Metric) -> dict[tuple[str, ...], int]:
        """How often a histogram was told of something, by label values."""
        return {s.labels: sum(s.buckets) for s in self.totals.samples(metric, 0.0) if any(s.buckets)}

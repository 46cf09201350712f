"""Where the processes of one machine count: a table of 8-byte words in shared memory, a column for each process.

Every word has one writer, so counting is one addition and nothing is locked; a process that dies loses nothing, its
successor goes on in the same column. What is counted is said in `node/metrics.py`, and told by `operator_port.py`.
"""

import mmap
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from node.metrics import COUNTED, RESOLUTION_SECONDS, RESOLUTIONS, Metric
from node.resolve.answer import Answer, Outcome, Where

PREFIXES_COUNTED: Final = 1 << 16
"""Prefixes with words of their own, by number: 1 MiB a column. Greater numbers are counted together, as number 0."""

_WORD: Final = 8
_BLOCK: Final = 4096
_PAGE: Final = 65_536
"""Octets: the largest page of the machines we run on; a column begins on one, for only so can it be mapped alone."""
_ZERO: Final = bytes(_BLOCK)


def _places() -> tuple[dict[tuple[str, tuple[str, ...]], int], int]:
    """Where in a column each series begins, by metric name and label values; and the words of all of them."""
    found: dict[tuple[str, tuple[str, ...]], int] = {}
    at = 0
    for metric in COUNTED:
        for labels in metric.series:
            found[metric.name, labels] = at
            at += metric.words
    return found, at


_AT, _SERIES_WORDS = _places()
_PREFIXES_AT: Final = -(-_SERIES_WORDS * _WORD // _PAGE) * _PAGE // _WORD
_COLUMN: Final = _PREFIXES_AT + 2 * PREFIXES_COUNTED


_RESOLVED: Final = slice(
    _AT[RESOLUTIONS.name, RESOLUTIONS.series[0]], _AT[RESOLUTIONS.name, RESOLUTIONS.series[-1]] + 1
)
_SECONDS: Final = RESOLUTION_SECONDS.bounds
_SECONDS_SUM: Final = len(_SECONDS) + 1


def layout() -> tuple[object, ...]:
    """All that decides what a word of the memory means: where each series begins, bounds of histograms, sizes."""
    return tuple(_AT.items()), tuple((each.kind, each.bounds) for each in COUNTED), _PREFIXES_AT, _COLUMN, _WORD


def columns(workers: int) -> int:
    """Columns of the memory: the workers', the follower's, the uplink's, in that order."""
    return workers + 2


def create(workers: int) -> int:
    """A descriptor of fresh shared memory, all zero, for `workers` workers."""
    descriptor = os.memfd_create("idnode-meter")
    os.ftruncate(descriptor, columns(workers) * _COLUMN * _WORD)
    return descriptor


class Meter:
    """One process's view: it writes `column` and nothing else. Label values not in the table raise KeyError."""

    def __init__(self, descriptor: int, workers: int, column: int) -> None:
        octets = _COLUMN * _WORD
        assert 0 <= column < columns(workers)
        self._memory = mmap.mmap(descriptor, octets, offset=column * octets)
        view = memoryview(self._memory)
        self._words, self._reals = view.cast("Q"), view.cast("d")
        self._roads = {(where, outcome): self._road(where, outcome) for where in Where for outcome in Outcome}

    def count(self, metric: Metric, *labels: str, by: int = 1) -> None:
        """It happened, `by` times. The metric is a counter."""
        self._words[_AT[metric.name, labels]] += by

    def counter(self, metric: Metric, *labels: str) -> Callable[..., None]:
        """`count` of one series, by 1 unless told, for where every tenth of a microsecond counts."""
        words, at = self._words, _AT[metric.name, labels]

        def count(by: int = 1) -> None:
            words[at] += by

        return count

    def set(self, metric: Metric, value: float, *labels: str) -> None:
        """It is so now. The metric is a gauge; for an age the value is the moment, in seconds since 1970 UTC."""
        self._reals[_AT[metric.name, labels]] = value

    def observe(self, metric: Metric, value: float, *labels: str) -> None:
        """It took, or was, so much. The metric is a histogram."""
        at = _AT[metric.name, labels]
        self._words[at + bisect_left(metric.bounds, value)] += 1
        self._reals[at + len(metric.bounds) + 1] += value

    def resolved(self, answer: Answer, seconds: float) -> None:
        """An identifier was asked for and answered, after so many seconds."""
        self._roads[answer.where, answer.outcome](answer.prefix, seconds)

    def answered(self) -> int:
        """How many identifiers that were asked for have been answered so far, whatever the answer."""
        return sum(self._words[_RESOLVED])

    def road(self, where: Where, outcome: Outcome) -> Callable[..., None]:
        """`resolved` of the answers of one road and outcome, given their prefix and seconds, and how many they are."""
        return self._roads[where, outcome]

    def _road(self, where: Where, outcome: Outcome) -> Callable[..., None]:
        words, reals = self._words, self._reals
        counted = _AT[RESOLUTIONS.name, (where.value, outcome.name.lower())]
        timed = _AT[RESOLUTION_SECONDS.name, (where.value,)]
        of_prefixes = _PREFIXES_AT + (outcome is not Outcome.FOUND)

        def resolved(prefix: int, seconds: float, count: int = 1) -> None:
            words[counted] += count
            words[timed + bisect_left(_SECONDS, seconds)] += count
            reals[timed + _SECONDS_SUM] += seconds * count
            if prefix:
                words[of_prefixes + (2 * prefix if prefix < PREFIXES_COUNTED else 0)] += count

        return resolved

    def close(self) -> None:
        """Lets the memory go."""
        self._words.release()
        self._reals.release()
        self._memory.close()


@dataclass(frozen=True, slots=True)
class Sample:
    """One series over all columns. `buckets` are a histogram's counts, bucket by bucket; `value` is then its sum."""

    labels: tuple[str, ...]
    value: float
    buckets: tuple[int, ...] = ()


class Totals:
    """The whole memory, for reading: the supervisor's view, and the uplink's for statistics."""

    def __init__(self, descriptor: int, workers: int) -> None:
        self._columns = columns(workers)
        self._memory = mmap.mmap(descriptor, self._columns * _COLUMN * _WORD)
        view = memoryview(self._memory)
        self._words, self._reals = view.cast("Q"), view.cast("d")

    def samples(self, metric: Metric, now: float) -> Iterator[Sample]:
        """Every series of a metric in memory; `now` in seconds since 1970 UTC, for ages."""
        for labels in metric.series:
            at = [column * _COLUMN + _AT[metric.name, labels] for column in range(self._columns)]
            if metric.kind == "counter":
                yield Sample(labels, sum(self._words[n] for n in at))
            elif metric.kind == "gauge":
                yield Sample(labels, sum(self._reals[n] for n in at))
            elif metric.kind == "age":
                yield Sample(labels, max(_age(self._reals[n], now) for n in at))
            else:
                last = metric.words - 1
                buckets = tuple(sum(self._words[n + bucket] for n in at) for bucket in range(last))
                yield Sample(labels, sum(self._reals[n + last] for n in at), buckets)

    def gauge(self, metric: Metric) -> float:
        """The sum of a gauge without labels."""
        return sum(sample.value for sample in self.samples(metric, 0.0))

    def prefix_counts(self) -> dict[int, tuple[int, int]]:
        """Resolutions by prefix number: (found, not found), prefixes never asked for left out.

        Number 0 stands for all from PREFIXES_COUNTED on. Takes some 0.1 ms a column and 0.2 ms a thousand prefixes.
        """
        found: dict[int, tuple[int, int]] = {}
        for column in range(self._columns):
            for number, ok, failed in self._column_counts((column * _COLUMN + _PREFIXES_AT) * _WORD):
                before = found.get(number, (0, 0))
                found[number] = before[0] + ok, before[1] + failed
        return found

    def _column_counts(self, begin: int) -> Iterator[tuple[int, int, int]]:
        """(prefix number, found, not found) of one column, whose words of prefixes begin at that octet."""
        for at in range(begin, begin + 2 * PREFIXES_COUNTED * _WORD, _BLOCK):
            block = self._memory[at : at + _BLOCK]
            if block == _ZERO:
                continue
            words = memoryview(block).cast("Q")
            first = (at - begin) // (2 * _WORD)
            for n in range(0, _BLOCK // _WORD, 2):
                if words[n] or words[n + 1]:
                    yield first + n // 2, words[n], words[n + 1]

    def forget(self, column: int) -> None:
        """Sets the gauges of a process that is dead to 0. What it counted stays, and ages go on growing."""
        for metric in COUNTED:
            if metric.kind == "gauge":
                for labels in metric.series:
                    self._reals[column * _COLUMN + _AT[metric.name, labels]] = 0.0

    def close(self) -> None:
        """Lets the memory go."""
        self._words.release()
        self._reals.release()
        self._memory.close()


def _age(moment: float, now: float) -> float:
    return max(0.0, now - moment) if moment else 0.0

"""Proves loadtest/histogram.py: percentiles off by 2 % at most, in bounded memory, over any number of processes."""

from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.histogram import BUCKETS, LEAST, MOST, Histogram

LATENCIES = st.lists(st.floats(LEAST, MOST), min_size=1, max_size=300)
SHARES = st.sampled_from([0.0, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0])


def counted(latencies: list[float]) -> Histogram:
    histogram = Histogram()
    for each in latencies:
        histogram.add(each)
    return histogram


@given(LATENCIES, SHARES)
def test_a_percentile_is_off_by_two_percent_at_most(latencies: list[float], share: float) -> None:
    exact = sorted(latencies)[max(1, ceil(share * len(latencies))) - 1]
    assert counted(latencies).percentile(share) == pytest.approx(exact, rel=0.02)


@given(LATENCIES)
def test_count_least_most_and_mean_are_exact(latencies: list[float]) -> None:
    histogram = counted(latencies)
    assert (histogram.count, histogram.least, histogram.most) == (len(latencies), min(latencies), max(latencies))
    assert histogram.percentile(1.0) == max(latencies)
    assert histogram.mean == pytest.approx(sum(latencies) / len(latencies))


@given(st.lists(LATENCIES, min_size=1, max_size=5))
def test_histograms_add_up(parts: list[list[float]]) -> None:
    merged = Histogram()
    for part in parts:
        merged.merge(counted(part))
    whole = counted([each for part in parts for each in part])
    assert merged.total == pytest.approx(whole.total)
    merged.total = whole.total
    assert merged == whole


@given(st.lists(st.floats(0, 1e9), max_size=50))
def test_memory_is_bounded_whatever_is_counted(latencies: list[float]) -> None:
    histogram = counted(latencies)
    assert len(histogram.buckets) == BUCKETS == 529
    assert sum(histogram.buckets) == len(latencies)


def test_nothing_has_no_percentile() -> None:
    assert Histogram().percentile(0.5) is None
    assert Histogram().mean is None


def test_a_curve_rises_to_the_longest() -> None:
    histogram = Histogram()
    for milliseconds in range(1, 101):
        histogram.add(milliseconds / 1000)
    curve = histogram.curve()
    shares = [share for share, _ in curve]
    assert shares == sorted(set(shares))
    assert shares[-1] == 0.995
    assert curve[-1][1] == pytest.approx(0.1, rel=0.02)
    assert dict(curve)[0.01] == pytest.approx(0.001, rel=0.02)
    assert Histogram().curve() == []

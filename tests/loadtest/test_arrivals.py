"""Proves loadtest/arrivals.py: a Poisson process from the seed alone."""

from itertools import pairwise
from random import Random
from statistics import mean, stdev

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.arrivals import poisson


@given(st.integers(0, 2**32), st.floats(0.5, 500), st.floats(0.1, 5))
def test_arrivals_rise_and_end_in_time(seed: int, rate: float, seconds: float) -> None:
    arrivals = list(poisson(Random(seed), rate, seconds))
    assert arrivals == sorted(arrivals)
    assert all(0 <= at < seconds for at in arrivals)
    assert arrivals == list(poisson(Random(seed), rate, seconds))


def test_gaps_are_exponential() -> None:
    gaps = [b - a for a, b in pairwise(poisson(Random(1), 1000, 60))]
    assert mean(gaps) == pytest.approx(1e-3, rel=0.03)
    # Mean and deviation of an exponential distribution are the same; of even arrivals the deviation is nothing.
    assert stdev(gaps) == pytest.approx(1e-3, rel=0.05)
    assert sum(gap > 1e-3 for gap in gaps) / len(gaps) == pytest.approx(0.3679, rel=0.03)

"""Proves loadtest/population.py: names, order and texts from the seed alone, each member once."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.population import CHECKED, CHUNK, ITEMS, MOST, Population, texts

TWO = ("88.999.1001", "88.999.2001")


@given(st.integers(0, 2**63), st.integers(1, 3000))
def test_the_seeded_order_has_each_member_once(seed: int, size: int) -> None:
    population = Population(TWO, seed, size)
    assert sorted(population.member(rank) for rank in range(size)) == list(range(size))


@given(st.integers(0, 2**32), st.integers(0, MOST - 1))
def test_the_order_stays_within_the_largest_population(seed: int, rank: int) -> None:
    assert 0 <= Population(TWO, seed, MOST).member(rank) < MOST


def test_another_seed_is_another_order_under_other_names() -> None:
    one, other = Population(TWO, 1, 500), Population(TWO, 2, 500)
    assert [one.member(rank) for rank in range(500)] != [other.member(rank) for rank in range(500)]
    assert one.serial(7) == "LOAD-1-000000007"
    assert other.serial(7) == "LOAD-2-000000007"


def test_neighbours_of_the_order_are_far_apart() -> None:
    members = [Population(TWO, 7, 100_000).member(rank) for rank in range(2000)]
    near = sum(abs(a - b) < 1000 for a, b in pairwise(members))
    assert near < 100  # of independent draws some 40


def test_a_chunk_stands_under_one_prefix_and_a_larger_population_begins_with_the_smaller() -> None:
    small, large = Population(TWO, 7, CHUNK + 5), Population(TWO, 7, 3 * CHUNK)
    assert [len(chunk) for chunk in small.chunks()] == [CHUNK, 5]
    assert [{small.prefix(n) for n in chunk} for chunk in small.chunks()] == [{TWO[0]}, {TWO[1]}]
    assert [(small.prefix(n), small.serial(n)) for n in range(small.size)] == [
        (large.prefix(n), large.serial(n)) for n in range(small.size)
    ]


@given(st.integers(0, MOST - 1))
def test_texts_fit_the_template(number: int) -> None:
    serial = Population(TWO, 2**63, MOST).serial(number)
    told = texts(serial, number)
    assert len(told) == len(ITEMS)
    assert all(0 < len(text) <= item.most for text, item in zip(told, ITEMS, strict=True))
    assert told[[item.name for item in ITEMS].index(CHECKED)] == serial
    assert sum(len(text.encode()) for text in told) == pytest.approx(420, abs=40)

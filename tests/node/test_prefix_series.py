"""Which prefixes are told by name: the first ones, for good; what is told never falls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import prefix_series
from node.prefix_series import PrefixSeries


def told(series: PrefixSeries, counts: dict[int, tuple[int, int]]) -> dict[tuple[str, ...], float]:
    return {sample.labels: sample.value for sample in series.samples(counts)}


def name(number: int) -> str:
    return f"88.999.{number}"


def learn(series: PrefixSeries, counts: dict[int, tuple[int, int]]) -> None:
    asked = series.unknown(counts)
    series.learn(asked, {number: name(number) for number in asked})


def test_a_prefix_is_told_by_name_once_its_name_is_known() -> None:
    series, counts = PrefixSeries(), {7: (5, 1)}
    assert told(series, counts) == {("other", "ok"): 0, ("other", "failed"): 0}, "not under another name meanwhile"
    learn(series, counts)
    assert told(series, counts) == {
        ("88.999.7", "ok"): 5,
        ("88.999.7", "failed"): 1,
        ("other", "ok"): 0,
        ("other", "failed"): 0,
    }
    assert series.unknown(counts) == []


def test_what_has_no_name_or_no_number_of_its_own_is_other() -> None:
    series, counts = PrefixSeries(), {0: (1, 2), 9: (10, 20)}
    assert series.unknown(counts) == [9]
    series.learn([9], {})
    assert told(series, counts) == {("other", "ok"): 11, ("other", "failed"): 22}
    assert series.unknown(counts) == [], "and is not asked for again"


@given(st.lists(st.sets(st.integers(1, 12), max_size=6), max_size=8))
def test_no_counter_ever_falls_and_few_have_names(asked: list[set[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix_series, "PREFIX_SERIES_MOST", 4)
        series, counts, before = PrefixSeries(), dict[int, tuple[int, int]](), dict[tuple[str, ...], float]()
        for numbers in asked:
            for number in numbers:
                ok, failed = counts.get(number, (0, 0))
                counts[number] = ok + 2, failed + 1
            learn(series, counts)
            now = told(series, counts)
            assert all(now[labels] >= value for labels, value in before.items())
            assert len(now) <= 2 * (4 + 1)
            assert sum(now.values()) == sum(map(sum, counts.values()))
            before = now

"""The table of metrics: names as Prometheus wants them, labels bounded, both languages, every row one of a kind."""

import re

import pytest

from node.metrics import COUNTED, METRICS, OPEN, TOLD, Metric

SERIES_MOST = 2000
"""Time series of one machine without those of prefixes and processes: what a small Prometheus takes as nothing."""


def name_of(metric: Metric) -> str:
    return metric.name


@pytest.mark.parametrize("metric", METRICS, ids=name_of)
def test_a_metric_is_named_and_explained(metric: Metric) -> None:
    assert re.fullmatch(r"idnode_[a-z]+(_[a-z]+)*", metric.name)
    assert metric.name.endswith("_total") == (metric.kind == "counter")
    assert metric.kind != "age" or metric.name.endswith("_seconds")
    assert bool(metric.bounds) == (metric.kind == "histogram")
    assert list(metric.bounds) == sorted(set(metric.bounds))
    assert re.search(r"[\u4e00-\u9fff]", metric.zh)
    assert re.search(r"[a-z]", metric.en)
    assert "\n" not in metric.zh + metric.en


@pytest.mark.parametrize("metric", METRICS, ids=name_of)
def test_labels_are_words_of_closed_sets_or_told_by_the_supervisor(metric: Metric) -> None:
    for name, values in metric.labels:
        assert re.fullmatch(r"[a-z]+", name)
        assert name not in {"le", "quantile", "job", "instance"}, "Prometheus's own"
        assert len(set(values)) == len(values)
        assert all(re.fullmatch(r"[a-z0-9_]+", value) for value in values)
    assert any(values == OPEN for _, values in metric.labels) == metric.open
    assert not metric.open or metric in TOLD


def test_no_two_have_one_name() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    assert not set(map(id, COUNTED)) & set(map(id, TOLD))


def test_the_series_are_few() -> None:
    told = sum(len(metric.series) * (metric.words + 1 if metric.bounds else 1) for metric in COUNTED)
    assert 100 < told < SERIES_MOST

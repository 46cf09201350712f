"""The memory processes count in: one writer a word, nothing lost with a process, totals over all columns."""

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node import meter, metrics
from node.meter import PREFIXES_COUNTED, Meter, Totals
from node.resolve.answer import Answer, Outcome, Where

WORKERS = 2
NOW = 1_795_000_000.0


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = meter.create(WORKERS)
    yield descriptor
    os.close(descriptor)


def told(memory: int, metric: metrics.Metric, now: float = NOW) -> dict[tuple[str, ...], float]:
    """The series of a metric that are not 0."""
    return {s.labels: s.value for s in Totals(memory, WORKERS).samples(metric, now) if s.value}


def test_what_each_process_counts_is_summed(memory: int) -> None:
    one, other = Meter(memory, WORKERS, 0), Meter(memory, WORKERS, 1)
    one.count(metrics.FORWARDS, "found")
    one.count(metrics.FORWARDS, "found", by=4)
    other.count(metrics.FORWARDS, "found")
    other.count(metrics.FORWARDS, "loop")
    assert told(memory, metrics.FORWARDS) == {("found",): 6, ("loop",): 1}
    assert told(memory, metrics.HTTP_REFUSED) == {}


def test_gauges_are_summed_until_their_process_is_forgotten(memory: int) -> None:
    one, other = Meter(memory, WORKERS, 0), Meter(memory, WORKERS, 1)
    one.set(metrics.HOT_ENTRIES, 70, "found")
    one.count(metrics.HOT_EVICTIONS, "found")
    other.set(metrics.HOT_ENTRIES, 5, "found")
    other.set(metrics.HOT_ENTRIES, 7, "found")
    assert told(memory, metrics.HOT_ENTRIES) == {("found",): 77}
    Totals(memory, WORKERS).forget(0)
    assert told(memory, metrics.HOT_ENTRIES) == {("found",): 7}
    assert told(memory, metrics.HOT_EVICTIONS) == {("found",): 1}, "what was counted stays"


def test_an_age_grows_though_its_process_is_dead(memory: int) -> None:
    Meter(memory, WORKERS, WORKERS).set(metrics.FOLLOWER_BEHIND, NOW - 2.5)
    assert told(memory, metrics.FOLLOWER_BEHIND) == {(): 2.5}
    Totals(memory, WORKERS).forget(WORKERS)
    assert told(memory, metrics.FOLLOWER_BEHIND, NOW + 60) == {(): 62.5}
    assert told(memory, metrics.FOLLOWER_BEHIND, NOW - 60) == {}, "a clock put back makes no negative age"
    assert told(memory, metrics.UPLINK_OLDEST) == {}, "what never was has no age"


def histogram(memory: int, metric: metrics.Metric) -> meter.Sample:
    return next(iter(Totals(memory, WORKERS).samples(metric, NOW)))


@given(st.lists(st.floats(0, 5000), max_size=50))
def test_a_histogram_holds_every_value_in_the_bucket_whose_bound_it_does_not_pass(values: list[float]) -> None:
    memory = meter.create(WORKERS)
    for n, value in enumerate(values):
        Meter(memory, WORKERS, n % 2).observe(metrics.REGISTRATION_IDENTIFIERS, value)
    sample = histogram(memory, metrics.REGISTRATION_IDENTIFIERS)
    os.close(memory)
    bounds = (*metrics.REGISTRATION_IDENTIFIERS.bounds, float("inf"))
    below = [sum(value <= bound for value in values) for bound in bounds]
    assert [sum(sample.buckets[: n + 1]) for n in range(len(bounds))] == below
    assert sample.value == pytest.approx(sum(values))


def answer(where: Where, outcome: Outcome, prefix: int) -> Answer:
    return Answer(outcome, 1, prefix, 1, where=where)


def test_a_resolution_counts_where_what_how_long_and_for_whom(memory: int) -> None:
    mine = Meter(memory, WORKERS, 1)
    mine.resolved(answer(Where.HOT, Outcome.FOUND, 7), 0.00001)
    mine.resolved(answer(Where.HOT, Outcome.FOUND, 7), 0.00002)
    mine.resolved(answer(Where.OWN, Outcome.GONE, 7), 0.003)
    mine.resolved(answer(Where.FORWARDED, Outcome.FOREIGN, 0), 0.2)
    assert mine.answered() == 4
    assert told(memory, metrics.RESOLUTIONS) == {
        ("hot", "found"): 2,
        ("own", "gone"): 1,
        ("forwarded", "foreign"): 1,
    }
    assert told(memory, metrics.RESOLUTION_SECONDS) == pytest.approx(
        {("hot",): 0.00003, ("own",): 0.003, ("forwarded",): 0.2}
    )
    assert Totals(memory, WORKERS).prefix_counts() == {7: (2, 1)}


def test_prefixes_are_counted_by_number_and_together_beyond_the_table(memory: int) -> None:
    one, other = Meter(memory, WORKERS, 0), Meter(memory, WORKERS, 1)
    numbers = (1, 255, 256, 257, PREFIXES_COUNTED - 1, PREFIXES_COUNTED, PREFIXES_COUNTED + 5)
    for number in numbers:
        one.resolved(answer(Where.OWN, Outcome.FOUND, number), 0.001)
        other.resolved(answer(Where.OWN, Outcome.ABSENT, number), 0.001)
    within = {number: (1, 1) for number in numbers if number < PREFIXES_COUNTED}
    assert Totals(memory, WORKERS).prefix_counts() == within | {0: (2, 2)}


def test_a_column_ends_where_the_next_begins(memory: int) -> None:
    last = Meter(memory, WORKERS, WORKERS + 1)
    last.resolved(answer(Where.OWN, Outcome.ABSENT, PREFIXES_COUNTED - 1), 9.0)
    for metric in metrics.COUNTED:
        for labels in metric.series:
            if metric.kind == "counter":
                last.count(metric, *labels)
            elif metric.kind == "histogram":
                last.observe(metric, 1e9, *labels)
            else:
                last.set(metric, 1.0, *labels)
    for metric in metrics.COUNTED:
        for sample in Totals(memory, WORKERS).samples(metric, 2.0):
            twice = metric.name == "idnode_resolutions_total" and sample.labels == ("own", "absent")
            assert sum(sample.buckets) in ({1, 2} if sample.labels == ("own",) else {1}) or metric.kind != "histogram"
            assert sample.value in ({2} if twice else {1, 1e9, 1e9 + 9.0}), (metric.name, sample)
    with pytest.raises(AssertionError):
        Meter(memory, WORKERS, WORKERS + 2)


def test_a_word_nobody_knows_is_a_broken_promise(memory: int) -> None:
    with pytest.raises(KeyError):
        Meter(memory, WORKERS, 0).count(metrics.FORWARDS, "88.999.1001/A")


COUNTING = """
import sys
from node import metrics
from node.meter import Meter
mine = Meter(int(sys.argv[1]), 2, 0)
for _ in range(1000):
    mine.count(metrics.FOLLOWER_CHANGES)
print("counted", flush=True)
while True:
    mine.count(metrics.HTTP_REFUSED, "rate")
"""


def test_what_a_process_counted_outlives_it(memory: int) -> None:
    for life in (1, 2):
        with subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(memory)], stdout=subprocess.PIPE, pass_fds=[memory]
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"counted\n"
            process.kill()
        assert told(memory, metrics.FOLLOWER_CHANGES) == {(): 1000 * life}, "its successor goes on in the column"

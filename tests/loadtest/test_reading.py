"""Proves loadtest/reading: what is asked comes from the seed, wrong answers are found, the table tells what is met."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.crowd import CrowdError
from loadtest.mix import HEADS
from loadtest.population import Population
from loadtest.reading import report
from loadtest.reading.measure import Measure, Open, Pair, Result, Side, _Asked, _Server
from loadtest.reading.report import Told
from loadtest.reading.scenarios import SCENARIOS, absent_share, heads, requests
from loadtest.tally import Tally
from loadtest.wrk import Counted, Line
from loadtest.yardstick import nginx

POPULATION = Population(("88.999.1001", "88.999.2001"), 7, 20_000)


def test_the_seed_makes_the_requests() -> None:
    for scenario in (replace(each, listed=min(each.listed, 5000)) for each in SCENARIOS.values()):
        lines = requests(scenario, POPULATION)
        assert lines == requests(scenario, POPULATION)
        assert lines != requests(scenario, replace(POPULATION, seed=8))  # names hold the seed
        assert all(line.path.split("/")[3] in POPULATION.prefixes for line in lines)
        assert all(0 <= line.head <= len(scenario.heads) for line in lines)


def test_hot_ones_are_few_and_those_of_postgres_any() -> None:
    hot = requests(SCENARIOS["hot"], POPULATION)
    assert len(set(hot)) == len(hot) == 1000
    anybody = requests(replace(SCENARIOS["postgres"], listed=40_000), POPULATION)
    assert 0.8 < len(set(anybody)) / 20_000 < 0.92  # 1 - exp(-2)


def test_absent_ones_are_another_each_time() -> None:
    lines = requests(SCENARIOS["absent"], POPULATION)
    assert all(line.fresh for line in lines)
    assert absent_share(lines) == 1.0
    assert {line.path.split("/")[3] for line in lines} == set(POPULATION.prefixes)


def test_the_mix_is_what_it_says() -> None:
    lines = requests(replace(SCENARIOS["mix"], listed=50_000), POPULATION)
    kinds = Counter(line.head for line in lines)
    assert kinds[len(HEADS)] / len(lines) == pytest.approx(0.02, abs=0.005)
    assert absent_share(lines) == pytest.approx(0.05, abs=0.005)
    assert len(kinds) == 4
    asked = Counter(line.path for line in lines if not line.fresh)
    (_, first), *_, (_, tenth) = asked.most_common(10)
    assert first / tenth == pytest.approx(10, rel=0.35)


def test_the_last_head_is_of_who_is_signed_in() -> None:
    told = heads(SCENARIOS["mix"], "node:1", "secret")
    assert len(told) == len(HEADS) + 1
    assert all(head.startswith("Host: node:1\r\n") for head in told)
    assert [head.endswith("Authorization: Bearer secret\r\n") for head in told] == [False, False, False, True]


async def test_answers_that_are_not_what_they_must_be_are_found_out(
    program: Callable[[str], str], need: Callable[[object, str], None], tmp_path: Path
) -> None:
    program("wrk")
    need(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "nginx")
    asked = _Asked(tmp_path / "requests", SCENARIOS["hot"], [Line(0, "/a")], Measure(POPULATION, "", 1, 1, 1))
    async with nginx(10, workers=1) as standing:
        server = _Server(asked, standing.address, {"worker": standing.pid}, absent=0.0)
        side = await server.run(1)
        assert side.counted.requests > 100
        assert side.effort["worker"] > 0
        with pytest.raises(CrowdError, match="answers wrongly: 0 of"):
            await replace(server, absent=0.05).run(1)


def side(rate: float, **effort: float) -> Side:
    return Side(Counted(int(rate), 1.0, 0, 0, 0, 0, 1.0, 2.0, 3.0), {"worker": 10.0, **effort})


def told(*ratios: float, open_: Open | None = None) -> Told:
    pairs = [Pair(side(1000 * ratio, postgres=2.0, redis=0.1), side(1000)) for ratio in ratios]
    result = Result(SCENARIOS["hot"], 655, pairs, open_)
    settings = {"pairs": 3, "seconds": 1, "population": 20_000}
    return Told("2026-01-02T03:04:05+00:00", settings, {"python": "3.11"}, {"hot": result}, {})


def test_the_table_says_what_is_met() -> None:
    row = next(line for line in report.table(told(0.7, 0.85, 0.9)).splitlines() if line.startswith("hot"))
    for part in ("0.850", "0.700…0.900", "0.80 ✓", "0.90 ✗", "850", "1,000", "10.0+2.0"):
        assert part in row
    assert "+0.1" not in row
    assert "1.000" in row  # by CPU: both took 10 µs
    assert report.document(told(0.7))["scenarios"]["hot"]["ratio_by_cpu"] == 1.0


def test_the_latency_is_told_with_its_trouble() -> None:
    tally = Tally(cpu=[0.9], stalled=[0.0])
    tally.line("warm").latency.add(0.002)
    quicker = Tally()
    quicker.line("warm").latency.add(0.001)
    text = report.table(told(0.8, open_=Open(500.0, tally, quicker)))
    assert "p50 2.00 ms" in text
    assert "on nginx: p50 1.00 ms" in text
    assert "at its own limit" in text
    assert report.document(told(0.8, open_=Open(500.0, tally, tally)))["scenarios"]["hot"]["open"]["limited"] is True


def test_wrong_answers_to_open_arrivals_count() -> None:
    tally = Tally()
    tally.line("warm").wrong = 1
    tally.example("H: not found")
    bad = told(0.8, open_=Open(500.0, tally, tally))
    assert bad.exit_code == 1
    assert "H: not found" in report.table(bad)


def test_the_page_draws_it() -> None:
    tally = Tally(seconds=2.5, cpu=[0.1], stalled=[0.0])
    tally.line("warm").latency.add(0.002)
    tally.by_second.update([0, 0, 1])
    text = report.html(told(0.7, 0.8, open_=Open(500.0, tally, tally)))
    for part in ("Node by yardstick", "Latency: hot", "Throughput over time", "p50 2.00 ms"):
        assert part in text
    assert report.document(told(0.8, open_=Open(500.0, tally, tally)))["scenarios"]["hot"]["open"]["by_second"] == [
        2,
        1,
    ]


def test_what_could_not_be_measured_is_told() -> None:
    bad = replace(told(0.8), failed={"mix": "answers wrongly"})
    assert "mix: answers wrongly" in report.table(bad)
    assert (bad.exit_code, told(0.8).exit_code) == (1, 0)
    assert report.document(bad)["failed"] == {"mix": "answers wrongly"}


@pytest.mark.parametrize(("side", "counted"), [("variables", 1), ("beside", 0)])
def test_one_side_of_counted_counts_and_the_other_does_not(side: str, counted: int) -> None:
    count = (
        "from node.meter import Meter, Totals, create\n"
        "from node.metrics import FOLLOWER_BEHIND, HTTP_REQUESTS\n"
        "memory = create(1)\n"
        "meter, totals = Meter(memory, 1, 0), Totals(memory, 1)\n"
        "meter.counter(HTTP_REQUESTS, 'handle', '2xx')()\n"
        "meter.set(FOLLOWER_BEHIND, 40.0)\n"
        "samples = [each.value for each in totals.samples(HTTP_REQUESTS, 0.0)]\n"
        "print(sum(samples), max(each.value for each in totals.samples(FOLLOWER_BEHIND, 50.0)))\n"
    )
    variables = getattr(SCENARIOS["counted"], side)
    done = subprocess.run(
        [sys.executable, "-c", count], env={**os.environ, **variables}, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == [str(counted), "10.0"]

"""Proves loadtest/compare: what is told apart is told, what overlaps is not, and unlike reports are no comparison."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from loadtest.compare.__main__ import main
from loadtest.compare.figures import Change, CompareError, Figure, changes, differing
from loadtest.reading import report as reading_report
from loadtest.reading.measure import Open, Pair, Result, Side
from loadtest.reading.report import Told
from loadtest.reading.scenarios import SCENARIOS
from loadtest.soak import report as soak_report
from loadtest.soak.memory import Memory
from loadtest.soak.report import Told as Soaked
from loadtest.tally import Tally
from loadtest.writing import report as writing_report
from loadtest.writing.report import Pair as Pair_
from loadtest.writing.report import Part
from loadtest.wrk import Counted


def side(rate: float, effort: float) -> Side:
    return Side(Counted(1000, 1000 / rate, 0, 0, 0, 0, 1.0, 2.0, 3.0), {"worker": effort})


def reading(*ratios: float, effort: float = 10.0, pairs: int = 3) -> dict[str, Any]:
    """A report with a pair for each ratio."""
    tally = Tally(seconds=1.0)
    tally.line("warm").latency.add(0.002)
    both = [Pair(side(1000 * ratio, effort + ratio), side(1000, 6.0)) for ratio in ratios]
    result = Result(SCENARIOS["hot"], 655, both, Open(500.0, tally, tally))
    told = Told("2026-01-02T03:04:05+00:00", {"pairs": pairs}, {"python": "3.11"}, {"hot": result}, {})
    return json.loads(json.dumps(reading_report.document(told)))  # type: ignore[no-any-return]


def verdicts(before: dict[str, Any], after: dict[str, Any]) -> dict[str, bool | None]:
    return {change.name: change.better for change in changes(before, after)}


RATIO, EFFORT = "hot 节点÷标尺 node by yardstick", "hot CPU µs"


def test_what_is_apart_is_told() -> None:
    told = verdicts(reading(0.5, 0.6), reading(0.7, 0.8, effort=5.0))
    assert (told[RATIO], told[EFFORT]) == (True, True)
    told = verdicts(reading(0.7, 0.8), reading(0.5, 0.6, effort=20.0))
    assert (told[RATIO], told[EFFORT]) == (False, False)


def test_what_overlaps_is_not() -> None:
    told = verdicts(reading(0.5, 0.7), reading(0.6, 0.8))
    assert (told[RATIO], told[EFFORT]) == (None, None)


def test_of_one_turn_there_is_no_verdict() -> None:
    assert set(verdicts(reading(0.5), reading(0.9)).values()) == {None}


def test_latencies_are_there_without_a_verdict() -> None:
    told = {change.name: change for change in changes(reading(0.5), reading(0.5))}
    assert told["hot 半载 at half load p99 ms"].ratio == 1.0
    assert Change("x", Figure(0.0, True), Figure(1.0, True)).ratio is None


def soak(*ends: int) -> dict[str, Any]:
    tally = Tally(seconds=1.0)
    tally.line("warm").latency.add(0.002)
    memory = [Memory(1, [(0.0, 1), (1.0, end * 2**20)]) for end in ends]
    return soak_report.document(Soaked("2026-01-02T03:04:05+00:00", {}, {}, tally, memory, 0))


def test_long_runs_are_compared_by_what_workers_hold() -> None:
    told = verdicts(soak(100, 110), soak(150, 160))
    assert told == {"内存 memory MiB": False, "p50 ms": None, "p99 ms": None, "p99.9 ms": None}


def load(*rates: float, p99: float = 5.0) -> dict[str, Any]:
    latency = {"p50": 1.0, "p99": p99, "p99_9": None}
    return {
        "kind": "load",
        "schema": 1,
        "turns": [{"node": {"total": {"rate": rate}}} for rate in rates],
        "classes": {"warm": {"latency_ms": latency}},
        "ratios": {"rate": {"median": rates[0], "least": rates[0], "most": rates[-1]}},
    }


def test_loads_are_compared_by_rate_and_latency() -> None:
    found = {change.name: change for change in changes(load(1.0, 2.0), load(3.0, 4.0, p99=2.5))}
    assert found["每秒答对 rate/s"].better is True
    assert found["节点÷标尺 by yardstick rate"].better is True
    assert found["warm p99 ms"].ratio == 0.5
    assert "warm p99.9 ms" not in found


def writing(*ratios: float) -> dict[str, Any]:
    return writing_report.document([Part("batch", "批", "batches", [Pair_(each, 1.0) for each in ratios])], {})


def test_writing_is_compared_by_its_ratios() -> None:
    assert verdicts(writing(0.2, 0.3), writing(0.4, 0.5)) == {"batch 比值 ratio": True}


@pytest.mark.parametrize("other", [soak(1), {}, {"kind": "reading", "schema": 99}, {"kind": "reading", "schema": 1}])
def test_unlike_reports_are_no_comparison(other: dict[str, Any]) -> None:
    with pytest.raises(CompareError, match=r"[\u4e00-\u9fff].*[a-z]"):
        changes(reading(0.5), other)


def test_other_settings_are_told() -> None:
    assert differing(reading(0.5), reading(0.5, pairs=9)) == ["pairs: 3 → 9"]
    assert differing(reading(0.5), reading(0.5)) == []


def written(folder: Path, *documents: Any) -> Sequence[str]:
    files = [folder / f"{number}.json" for number in range(len(documents))]
    for file, document in zip(files, documents, strict=True):
        file.write_text(json.dumps(document))
    return [str(file) for file in files]


def test_the_command_says_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(written(tmp_path, reading(0.5, 0.6), reading(0.7, 0.8, pairs=9))) == 1  # its CPU time is worse
    told = capsys.readouterr().out
    row = next(line for line in told.splitlines() if line.startswith(RATIO))
    assert row.removeprefix(RATIO).split() == ["0.55", "0.75", "1.36", "更好", "better", "✓"]
    assert "differs: pairs: 3 → 9" in told
    assert main(written(tmp_path, reading(0.5), reading(0.7))) == 0


def test_what_is_no_report_is_a_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for other in ([], {"kind": "x"}):
        assert main(written(tmp_path, reading(0.5), other)) == 2
    assert main([str(tmp_path / "none"), str(tmp_path / "none")]) == 2
    told = capsys.readouterr().err
    assert "is no report" in told
    assert "cannot be read" in told

"""Proves loadtest/soak: what grows is told from what comes and goes, and the verdict from both memory and answers."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from loadtest.soak import report
from loadtest.soak.memory import FEWEST, Memory
from loadtest.soak.report import MEBI, Told
from loadtest.tally import Tally

DOCUMENT = Path(__file__).parents[2] / "docs" / "loadtest.md"


def memory(*mebi: float) -> Memory:
    return Memory(7, [(float(at), round(each * MEBI)) for at, each in enumerate(mebi)])


FILLING = [60, 90, 99, 100, 100, 101, 100, 99, 101, 100, 101, 100]
LEAKING = [60, 90, 99, 100, 102, 104, 106, 108, 110, 112, 114, 116]


def test_a_cache_that_fills_is_no_growth() -> None:
    assert not memory(*FILLING).grows
    assert memory(*FILLING).growth == 0


def test_a_leak_is() -> None:
    assert memory(*LEAKING).grows
    assert memory(*LEAKING).growth == 12 * MEBI
    assert not memory(*reversed(LEAKING)).grows


@pytest.mark.parametrize(
    ("growth", "size", "grows"), [(3, 50, False), (5, 50, True), (5, 1000, False), (40, 1000, True)]
)
def test_little_growth_is_none(growth: int, size: int, grows: bool) -> None:
    assert memory(*[size] * 6, *[size + growth] * 6).grows is grows


def test_of_few_samples_nothing_is_said() -> None:
    short = memory(*range(1, FEWEST))
    assert (short.growth, short.grows) == (None, False)
    assert (short.first, short.last, short.most) == (MEBI, 7 * MEBI, 7 * MEBI)


@pytest.fixture
def told() -> Told:
    tally = Tally(seconds=2.0, cpu=[0.1], stalled=[0.0])
    tally.line("warm").latency.add(0.002)
    tally.by_second.update([0, 1])
    return Told("2026-01-02T03:04:05+00:00", {"rate": 1.0}, {"python": "3.11"}, tally, [memory(*FILLING)], 0)


def test_a_steady_run_is_told(told: Told) -> None:
    assert told.exit_code == 0
    row = next(line for line in report.table(told).splitlines() if line.startswith("worker 7"))
    assert row.split() == ["worker", "7", "60.0", "101.0", "100.0", "0.0", "不增长", "steady", "✓"]
    assert "Resident memory of each worker" in report.html(told)


def test_troubles_decide(told: Told) -> None:
    grown = replace(told, memory=[memory(*FILLING), memory(*LEAKING)])
    assert grown.exit_code == 1
    assert "GROWS ✗" in report.table(grown)
    died = replace(told, restarted=1)
    assert died.exit_code == 1
    assert "replaced: 1" in report.table(died)
    assert replace(told, tally=Tally()).exit_code == 2
    told.tally.line("warm").wrong = 1
    told.tally.example("H: not found")
    assert told.exit_code == 1
    assert "H: not found" in report.table(told)


def test_the_json_is_what_the_document_says(told: Told) -> None:
    document = report.document(told)
    assert json.loads(json.dumps(document)) == document
    named = set(re.findall(r"`(\w+)`", DOCUMENT.read_text("utf-8")))
    assert {*document, *document["memory"][0]} - named == set()

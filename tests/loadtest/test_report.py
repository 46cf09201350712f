"""Proves loadtest/report.py: the table tells the troubles, the JSON is what its document says, ratios are per turn."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loadtest import report
from loadtest.report import Told, Turn
from loadtest.response import Kind
from loadtest.settings import parse
from loadtest.table import width
from loadtest.tally import Tally

DOCUMENT = Path(__file__).parents[2] / "docs" / "loadtest.md"


def tally(rate: int, latency: float, seconds: float = 10.0) -> Tally:
    """A run with so many right answers a second, all as fast."""
    made = Tally(seconds=seconds, cpu=[0.4, 0.5], stalled=[0.1, 0.0], opened=64, cold_reached=50)
    line = made.line("warm")
    for _ in range(int(rate * seconds)):
        line.sent += 1
        line.latency.add(latency)
        line.octets += 600
    return made


@pytest.fixture
def told(tmp_path: Path) -> Told:
    file = tmp_path / "ready.json"
    file.write_text(
        json.dumps(
            {
                "http": "http://127.0.0.1:8000",
                "operator": None,
                "admin": {"username": "a", "password": "s3cret"},
                "enterprises": [{"prefix": "88.999.1001"}],
            }
        )
    )
    settings = parse(["--ready", str(file), "--population", "1100", "--hot", "1000"], "")
    versions = {"loadtest": "0.1.0", "node": None, "python": "3.11.7", "system": "Linux"}
    return Told(settings, "2026-01-02T03:04:05+00:00", "r", 0, [Turn(tally(10, 0.002))], None, versions)


def test_a_good_run_is_a_row_and_no_warning(told: Told) -> None:
    text = report.table(told)
    row = next(line for line in text.splitlines() if line.startswith("warm"))
    assert row.split() == ["warm", "100", "100", "0", "0", "0", "10.0", *["2.00"] * 5]
    assert "WARNING" not in text
    assert "the node counted" not in text
    assert told.exit_code == 0


def test_columns_stand_under_each_other_whatever_their_words(told: Told) -> None:
    lines = [line for line in report.table(told).splitlines() if re.match("类|class|warm|Σ", line)]
    assert len(lines) == 4
    assert len({width(line) for line in lines}) == 1


def test_troubles_are_told(told: Told) -> None:
    bad = tally(10, 0.002)
    bad.line("cold").errors[Kind.TIMEOUT] += 3
    bad.line("cold").shed = 4
    bad.line("cold").wrong = 1
    bad.example("H: not found")
    bad.cpu, bad.stalled, bad.refused, bad.cold_reached = [0.5], [0.4], 7, 101
    run = replace(told, turns=[Turn(bad)], resolutions={("hot", "found"): 90, ("own", "absent"): 1})
    text = report.table(run)
    for part in (
        "no answer in time: 3",
        "H: not found",
        "at its own limit",
        "connections refused: 7",
        "cold ones ran out",
    ):
        assert part in text
    assert "the node counted: hot found 90, own absent 1" in text
    assert run.exit_code == 1
    assert run.wrapped == 1


def test_how_late_the_crowd_was_is_told_of_open_runs_only(told: Told) -> None:
    late = tally(10, 0.002)
    for each in (0.25, 0.25, 0.25):
        late.late.add(each)
    text = report.table(replace(told, turns=[Turn(late)]))
    assert "the crowd's own lateness, ms: p50 250.00 p99 250.00 max 250.00" in text
    assert "lateness" not in report.table(told)


def test_nothing_answered_proves_nothing(told: Told) -> None:
    assert replace(told, turns=[Turn(Tally())]).exit_code == 2
    assert "–" in report.table(replace(told, turns=[Turn(tally(0, 1.0))]))


def test_runs_after_each_other_add_up_and_take_their_times_together(told: Told) -> None:
    both = replace(told, turns=[Turn(tally(10, 0.001, 10)), Turn(tally(40, 0.001, 5))])
    assert both.sum.seconds == 15
    assert report.document(both)["total"]["rate"] == pytest.approx(300 / 15)


def test_ratios_are_of_each_turn_by_itself(told: Told) -> None:
    pairs = [(10, 20, 0.004, 0.002), (30, 40, 0.002, 0.002), (20, 100, 0.010, 0.002)]
    turns = [Turn(tally(a, la), tally(b, lb)) for a, b, la, lb in pairs]
    ratios = report.document(replace(told, turns=turns))["ratios"]
    assert ratios["rate"] == {"median": 0.5, "least": 0.2, "most": 0.75}
    assert (ratios["p50"]["least"], ratios["p50"]["most"]) == (1.0, 5.0)
    assert "0.500 (0.200 … 0.750, 3 " in report.table(replace(told, turns=turns))


def test_a_yardstick_that_never_answers_has_no_ratio(told: Told) -> None:
    assert report.document(replace(told, turns=[Turn(tally(1, 0.1), Tally())]))["ratios"] == {}


def test_a_crowd_at_its_limit_before_the_yardstick_is_told_too(told: Told) -> None:
    hard = tally(10, 0.001)
    hard.cpu, hard.stalled = [0.99], [0.0]
    run = replace(told, turns=[Turn(tally(10, 0.001), hard)])
    assert "at its own limit" in report.table(run)
    assert report.document(run)["crowd"]["limited"]


def test_the_json_is_what_the_document_says(told: Told) -> None:
    """Each key is named in docs/loadtest.md, and no secret is among the values."""
    full = replace(told, turns=[Turn(tally(10, 0.002), tally(20, 0.002))], resolutions={("hot", "found"): 1})
    document = report.document(full)
    assert json.loads(json.dumps(document)) == document
    assert "s3cret" not in json.dumps(document)
    named = set(re.findall(r"`(\w+)`", DOCUMENT.read_text("utf-8")))
    assert keys(document) - named == set()


NAMES = {"classes", "errors", "versions", "settings", "mix"}
"""Whose keys are names from elsewhere: classes of the mix, kinds, options."""


def keys(document: Any) -> set[str]:
    if isinstance(document, list):
        return {key for each in document for key in keys(each)}
    if not isinstance(document, dict):
        return set()
    found = set(document)
    for name, value in document.items():
        inner = list(value.values()) if name in NAMES and isinstance(value, dict) else value
        found |= keys(inner)
    return found

"""The edition of a program: the same however often it is loaded, another one when a word of shared memory moves."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from node import edition, meter, stamps
from node.edition import EDITION

ROOT = Path(__file__).parents[2]


def test_every_process_of_a_program_is_of_one_edition() -> None:
    words = [sys.executable, "-c", "from node.edition import EDITION; print(EDITION)"]
    said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    assert said == EDITION
    assert len(EDITION) == 16


def test_a_table_of_stamps_of_another_size_is_another_edition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamps, "SLOTS", stamps.SLOTS * 2)
    assert edition._edition() != EDITION


def test_other_buckets_of_a_histogram_are_another_edition(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tuple(replace(each, bounds=each.bounds and (*each.bounds[:-1], 99.0)) for each in meter.COUNTED)
    monkeypatch.setattr(meter, "COUNTED", changed)
    assert edition._edition() != EDITION


def test_a_series_more_is_another_edition(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(meter._AT, ("idnode_new_total", ()), 0)
    assert edition._edition() != EDITION

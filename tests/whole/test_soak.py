"""A long run (loadtest/soak) cut short, on the real thing: the workers are found, and what they hold is told."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0
"""Longest a run of three seconds may take with registration, on a machine that has other things to do."""


def test_the_memory_of_each_worker_is_watched(world: Any, tmp_path: Path) -> None:
    report = tmp_path / "soak.json"
    words = ["--ready", str(world.data / "ready.json"), "--seconds", "3", "--warm-up", "0.3", "--rate", "50"]
    words += ["--population", "1000", "--seed", "20261123", "--connections", "8", "--report", str(report)]
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "soak", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode in {0, 1}, done.stderr  # so short a run may see caches fill
    told = json.loads(report.read_text())
    assert told["answered"] > 50
    assert told["wrong_examples"] == []
    assert told["restarted"] == 0
    assert len(told["memory"]) == 2
    for worker in told["memory"]:
        assert len(worker["samples"]) >= 4
        assert all(20_000_000 < octets < 2_000_000_000 for _, octets in worker["samples"])
    assert "Soak" in report.with_suffix(".html").read_text()

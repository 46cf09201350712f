"""The side-by-side for reading (loadtest/reading) on the real thing: its own node (loadtest/nodes.py), nginx and wrk;
and what it tells of it (loadtest/telling.py). Figures are not judged: nothing is a timed test.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0
"""Longest a pair of a second each may take with the start of a node, on a machine that has other things to do."""
SMALL = ["--pairs", "1", "--population", "1000", "--processes", "1"]


def test_one_command_without_anything_compares(
    program: Callable[[str], str], need: Callable[[object, str], None], folder: Path, tmp_path: Path
) -> None:
    program("wrk")
    need(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "nginx")
    report, data = tmp_path / "reading.json", folder / "reading"
    words = ["--only", "mix", *SMALL, "--report", str(report), "--data", str(data)]
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "reading", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "a realistic mix" in done.stdout
    assert "A ratio of 1.000" in done.stdout
    told = json.loads(report.read_text())
    mix = told["scenarios"]["mix"]
    assert 300 < mix["octets"] < 900
    (pair,) = mix["pairs"]
    assert pair["yardstick"]["from_400"] == 0
    assert 0 < pair["node"]["from_400"] < pair["node"]["requests"]
    assert mix["ratio"]["median"] == round(pair["node"]["rate"] / pair["yardstick"]["rate"], 4) > 0
    assert pair["node"]["cpu_us"]["worker"] > 0 < pair["yardstick"]["cpu_us"]["worker"]
    assert mix["open"]["wrong_examples"] == []
    assert mix["open"]["latency_ms"]["p50"] > 0
    assert not told["failed"]
    assert (data / "credentials.json").exists()  # for a second run to go on with
    page = report.with_suffix(".html").read_text()
    for part in ("side by side", "Latency: mix", "<svg"):
        assert part in page

"""The side-by-side for reading (loadtest/reading) on the real thing: its own node (loadtest/nodes.py), nginx and wrk.

Figures are not judged: nothing is a timed test.
"""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0
"""Longest a pair of a second each may take with the start of a node, on a machine that has other things to do."""


def test_a_command_without_anything_compares(program: Callable[[str], str]) -> None:
    program("wrk")
    program("nginx")
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "reading", "--only", "hot", "--pairs", "1", "--seconds", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "hot: " in done.stdout

"""Growth (loadtest/growth/) on the real thing: filled, measured alone, in turn and beside housework, and told.

It starts a node five times over, which is what the command does; so it may take half a minute.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_one_size_is_filled_measured_and_told(tmp_path: Path):
    file = tmp_path / "growth.json"
    words = ["--sizes", "10000", "--turns", "1", "--seconds", "0.5", "--batches", "1", "--report", str(file)]
    command = [sys.executable, "-m", "loadtest", "growth", *words]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDNODE_")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr

    told = json.loads(file.read_text())
    (size,) = told["sizes"]
    assert size["records"] == 10_000
    assert size["fill"]["rows"] == 6000  # the others came through the front door
    assert size["octets"]["table"]["each"] <= 1.25 * size["text_octets"]
    assert size["octets"]["changes"]["each"] <= 120
    (turn,) = size["turns"]
    for figures in (turn["one"], turn["many"], turn["batches"], size["read_beside_vacuum"], size["read_from_disk"]):
        assert figures["rate"] > 0
        assert sum(figures["cpu"].values()) > 0
    assert told["ratios"]["read_p50"]["median"] == 1.0
    assert "最大÷最小 largest by smallest, batch_rate: 1.00" in done.stdout

"""The load test (loadtest/__main__.py) on the real thing: each class is right, a second run finds its population, a
fault of the node is found out, and the yardstick is compared with. Figures are not judged: nothing is a timed test.
"""

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loadtest.population import Population
from loadtest.report import SCHEMA

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0
"""Longest a run of two seconds may take with registration on a machine that has other things to do."""
SEED = "20261122"
SMALL = ["--seed", SEED, "--population", "1200", "--hot", "100", "--batch", "20", "--warm-up", "0.3", "--seconds", "2"]
SMALL += ["--connections", "8"]
EVERYTHING = ["--mix", "warm=60,cold=20,absent=10,foreign=5,batch=5", "--foreign-prefix", "88.777.1", "--rate", "100"]


def load(ready: Path, *words: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and output of one run."""
    report = ready.parent / "load.json"
    report.unlink(missing_ok=True)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDNODE_")}
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", "--ready", str(ready), "--report", str(report), *SMALL, *words],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return done.returncode, json.loads(report.read_text()) if report.exists() else {}, done.stdout


def call(http: str, method: str, path: str, body: Any, token: str = "") -> Any:
    """The data of one call of the SNMS OpenAPI."""
    request = urllib.request.Request(f"{http}{path}", json.dumps(body).encode(), method=method)
    request.add_header("Authorization", f"Bearer {token}")
    with urllib.request.urlopen(request) as answer:
        document = json.loads(answer.read())
    assert document["status"] == 1, document
    return document["data"]


def test_every_class_is_asked_and_right(world: Any) -> None:
    code, told, output = load(world.data / "ready.json", *EVERYTHING, "--processes", "2")
    assert code == 0, output
    assert told["schema"] == SCHEMA
    assert told["registered"] in {0, 1200}
    assert set(told["classes"]) == {"warm", "cold", "absent", "foreign", "batch"}
    for name, line in told["classes"].items():
        assert line["answered"] == line["sent"] > 0, f"{name}: {output}"
        assert line["latency_ms"]["p50"] <= line["latency_ms"]["max"]
    assert 100 < told["total"]["sent"] < 320
    assert len(told["cpu"]) == 2
    assert told["versions"]["node"]
    assert "batch" in output

    code, again, output = load(world.data / "ready.json", *EVERYTHING, "--processes", "2")
    assert code == 0, output
    assert again["registered"] == 0
    assert {name: line["sent"] for name, line in again["classes"].items()} == {
        name: line["sent"] for name, line in told["classes"].items()
    }


def test_a_node_that_forgets_one_is_found_out(world: Any) -> None:
    other = ["--seed", "99", "--population", "300", "--hot", "50", "--mix", "warm=1", "--rate", "100"]
    assert load(world.data / "ready.json", *other)[0] == 0
    ready = world.ready
    population = Population(tuple(sorted(each["prefix"] for each in ready["enterprises"])), 99, 300)
    favourite = population.member(0)
    handle = f"{population.prefix(favourite)}/{population.serial(favourite)}"
    token = call(ready["http"], "POST", "/identity/token", ready["admin"])["token"]
    call(ready["http"], "DELETE", "/identityv2/data", {"handle": handle}, token)
    code, told, output = load(world.data / "ready.json", *other)
    assert code == 1, output
    assert told["total"]["wrong"] > 0
    assert 1 <= len(told["wrong_examples"]) <= 3
    assert f"{handle}: not found: HTTP 404" in output


def test_the_yardstick_is_compared_with_in_turn(world: Any, need: Callable[[object, str], None]) -> None:
    need(shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin"), "nginx")
    words = ["--mix", "warm=1", "--closed", "--yardstick", "nginx", "--pairs", "2", "--seconds", "0.5"]
    code, told, output = load(world.data / "ready.json", *words)
    assert code == 0, output
    assert len(told["turns"]) == 2
    for turn in told["turns"]:
        assert turn["yardstick"]["total"]["answered"] > 0
        # The same octets, else a ratio would tell nothing.
        assert mean_octets(turn["yardstick"]) == mean_octets(turn["node"]) > 300
    rate = told["ratios"]["rate"]
    assert rate["least"] <= rate["median"] <= rate["most"]
    assert "node by yardstick" in output
    page = (world.data / "load.html").read_text()
    for part in ("Load test", "node by yardstick", "<svg", "p99.9"):
        assert part in page


def mean_octets(measured: Any) -> int:
    return round(measured["total"]["octets"] / measured["total"]["answered"])


def test_a_result_that_cannot_be_written_is_a_sentence(world: Any, tmp_path: Path) -> None:
    words = ["--mix", "absent=1", "--seconds", "0.2", "--report", str(tmp_path)]
    code, _, output = load(world.data / "ready.json", *words)
    assert code == 2
    assert "could not be written" in output
    assert "Σ" in output


def test_without_a_node_it_is_a_sentence(tmp_path: Path) -> None:
    code, told, output = load(tmp_path / "ready.json")
    assert (code, told) == (2, {})
    assert "idnode up" in output
    assert "Traceback" not in output

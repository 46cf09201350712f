"""Writing beside PostgreSQL's own (loadtest/writing/) on the real thing: every part runs, is told, and leaves nothing.

Figures are not judged: nothing is a timed test.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from loadtest.writing.bare import TABLE
from loadtest.writing.importing import write_file
from loadtest.writing.pgbench import script
from loadtest.writing.report import SCHEMA, Pair, Part, document, table

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120.0
SMALL = ["--pairs", "2", "--batches", "4", "--rows", "40", "--clients", "6", "--seconds", "1", "--import-rows", "1000"]


def compared(*words: str) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("IDNODE_")}
    command = [sys.executable, "-m", "loadtest", "writing", *words]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )


async def test_every_part_is_measured_and_the_bare_table_goes(world: Any, tmp_path: Path) -> None:
    file = tmp_path / "writing.json"
    done = compared("--data", str(world.data), "--report", str(file), *SMALL)
    assert done.returncode == 0, done.stderr
    told = json.loads(file.read_text("utf-8"))
    assert told["schema"] == SCHEMA
    assert told["settings"]["rows"] == 40
    assert {name: len(part["pairs"]) for name, part in told["parts"].items()} == {
        "batches": 2,
        "singles": 2,
        "storm": 2,
        "import": 1,
    }
    for name, part in told["parts"].items():
        assert 0 < part["ratio"]["least"] <= part["ratio"]["median"] <= part["ratio"]["most"], name
        assert name in done.stdout
    assert told["parts"]["batches"]["notes"]["CPU µs 工作进程 workers"] > 0
    assert told["parts"]["batches"]["notes"]["行/秒 rows/s PostgreSQL: commit_changes()"] > 0
    assert told["parts"]["import"]["notes"]["MB max"] > 0
    assert all(told["parts"][name]["ratio_by_cpu"] > 0 for name in ("batches", "singles", "import"))
    page = file.with_suffix(".html").read_text("utf-8")
    assert all(part in page for part in ("side by side", "singles", "<svg", "MB max"))
    servers = json.loads((world.data / "servers.json").read_text("utf-8"))
    connection = await asyncpg.connect(servers["database_url"])
    assert await connection.fetchval("SELECT to_regclass($1)", TABLE) is None
    await connection.close()


def test_without_a_node_there_is_a_sentence(tmp_path: Path) -> None:
    done = compared("--data", str(tmp_path))
    assert done.returncode == 2
    assert "ready.json" in done.stderr
    assert compared("--parts", "nothing").returncode == 2
    assert compared("--rows", "2001").returncode == 2


def test_ratios_are_of_each_turn() -> None:
    part = Part("batches", "批", "batches", [Pair(1.0, 4.0), Pair(3.0, 4.0), Pair(8.0, 16.0)], {"ms p99": 7.25})
    assert part.ratios == (0.5, 0.25, 0.75)
    assert "0.50 (0.25 … 0.75)" in table([part])
    assert "ms p99: 7.2" in table([part])
    told = document([part], {"rows": 9})
    assert told["parts"]["batches"]["ratio"] == {"median": 0.5, "least": 0.25, "most": 0.75}
    assert told["parts"]["batches"]["pairs"][0] == {"ours": 1.0, "theirs": 4.0, "cost": None}
    assert told["parts"]["batches"]["ratio_by_cpu"] is None


def test_the_ratio_by_cpu_is_that_of_the_other_side_by_ours() -> None:
    part = Part("batches", "批", "batches", [Pair(1.0, 4.0, (80.0, 8.0)), Pair(1.0, 4.0, (40.0, 12.0))])
    assert part.by_cpu == pytest.approx(0.2)
    assert "by CPU: 0.20" in table([part])
    assert document([part], {})["parts"]["batches"]["ratio_by_cpu"] == pytest.approx(0.2)


def test_pgbench_inserts_the_same_row_under_another_name_each_time() -> None:
    said = script({"prefix_no": "'1'", "suffix": "'A'", "body": "'\\x00ff'"})
    assert said.startswith("\\set n :n + 1\nINSERT INTO loadtest_bare (prefix_no, suffix, body) VALUES ('1', concat(")
    assert said.endswith("'\\x00ff');\n")
    assert "'A'" not in said


def test_the_file_that_is_imported_has_a_line_a_row(tmp_path: Path) -> None:
    write_file(tmp_path / "rows.csv", 3)
    lines = (tmp_path / "rows.csv").read_text("utf-8").splitlines()
    assert lines[0].startswith("id,serialNo,productName")
    assert [line.partition(",")[0] for line in lines[1:]] == ["0", "1", "2"]

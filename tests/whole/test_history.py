"""The history checker on the real thing: clean as it is, and violated once a protecting line is taken out.

What the checker's judge makes of literal histories is proven in tests/loadtest/test_history_judge.py.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ABSENT

ROOT = Path(__file__).parents[2]
ROOMS = ("proto", "registry", "node", "loadtest")
PATIENCE_SECONDS = 240.0
"""Longest a run of half a minute may take with start, stop and judging on a machine that has other things to do."""
END_SECONDS = 60.0
"""How long the checker may take to stop its world when it is told to."""


@dataclass(frozen=True)
class Edit:
    """One line, and what stands there instead. Of several migrations that have it the last one is in force."""

    file: str
    old: str
    new: str


@dataclass(frozen=True)
class Mutant:
    """A protecting line that is taken out; `rules` of which the checker must find one broken."""

    line: Edit
    rules: frozenset[str]


PAUSES = (
    Edit(
        "node/announcer.py",
        "            await self._correct(keys, versions)\n",
        "            await asyncio.sleep(0.05)\n            await self._correct(keys, versions)\n",
    ),
    Edit(
        "node/resolve/cached.py",
        "                await self._redis.fill(fills)\n",
        "                await asyncio.sleep(0.2)\n                await self._redis.fill(fills)\n",
    ),
)
"""Moments that lines protect, made as long as they may be on a bad day: from the commit to the caches' correction, from
the answer to its being kept. They break nothing while the lines stand, which is proven as well; and that a missing one
is found hangs less on luck and on what else the machine has to do."""
STALE = frozenset({"STALE_HERE", "WENT_BACK", "STALE_THERE"})
TORN = frozenset({"LOST", "TWICE", "GROW", "ACCOUNT"})
MUTANTS = {
    "no stamp before COMMIT": Mutant(
        Edit(
            "node/stamps.py",
            "            pending[slot] = pending.get(slot, 0) + 1\n        self._renew(slots)\n",
            "            pending[slot] = pending.get(slot, 0) + 1\n",
        ),
        STALE,
    ),
    "no guard of Redis fills": Mutant(
        Edit(
            "node/redis_cache.py",
            "  if redis.call('GET', KEYS[i]) == ARGV[3 * i - 2] then\n",
            "  if true then\n",
        ),
        STALE,
    ),
    "no stamp compared in the hot cache": Mutant(
        Edit(
            "node/resolve/hot.py",
            "            if kept.stamp != stamp or not self._shared.current(*kept.terms):\n",
            "            if not self._shared.current(*kept.terms):\n",
        ),
        STALE,
    ),
    "no stamp by the follower": Mutant(
        Edit(
            "node/follower.py",
            "        self._shared.touch(self._shared.slots(keys))\n",
            "        pass\n",
        ),
        STALE,
    ),
    "no premise of a version": Mutant(
        Edit(
            "registry/postgres/migrations/*.sql",
            "WHERE record.version = excluded.version - 1\n",
            "WHERE true\n",
        ),
        TORN,
    ),
}


def copied(folder: Path, *edits: Edit) -> Path:
    """A copy of the rooms with these lines altered; fails when one is not there exactly once."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, folder / room, ignore=shutil.ignore_patterns("__pycache__"))
    for edit in edits:
        texts = {file: file.read_text(encoding="utf-8") for file in sorted(folder.glob(edit.file))}
        *_, file = (file for file, text in texts.items() if edit.old in text)
        assert texts[file].count(edit.old) == 1, f"the line to alter is not there just once: {file}"
        file.write_text(texts[file].replace(edit.old, edit.new), encoding="utf-8")
    return folder


@contextmanager
def checker(root: Path, report: Path, *flags: str) -> Iterator["subprocess.Popen[str]"]:
    """The checker of the rooms under `root`, with its world; both are gone afterwards, whatever happens."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("IDNODE_")}
    environment["PYTHONPATH"] = os.pathsep.join((str(root), str(ABSENT)))
    command = [sys.executable, "-m", "loadtest.history", "--report", str(report), *flags]
    process = subprocess.Popen(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with process:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=END_SECONDS)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def checked(root: Path, report: Path, *flags: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, report and output of one run."""
    report.unlink(missing_ok=True)
    with checker(root, report, *flags) as process:
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    return process.returncode, json.loads(report.read_text()) if report.exists() else {}, output


def test_a_short_run_is_clean(folder: Path) -> None:
    code, report, output = checked(ROOT, folder / "history.json", "--seconds", "16", "--seed", "2026")
    assert code == 0, output
    assert report["clean"]
    assert report["judged"]["sights"] > 1000
    assert report["judged"]["versions"] > 200
    assert report["judged"]["gates worked"] > 2
    assert report["judged"]["gates not judged"] == 0
    assert report["surprises"] == {}
    assert {fault["kind"] for fault in report["faults"] if fault["result"] == "done"} == {
        "KILL_WORKER",
        "KILL_FOLLOWER",
        "FREEZE",
        "WIPE",
        "RESTART",
    }


def test_the_pauses_alone_break_nothing(folder: Path) -> None:
    root = copied(folder / "slow", *PAUSES)
    _, report, output = checked(root, root / "history.json", "--seconds", "12", "--storm", "--seed", "2026")
    assert report["broken"] == {}, output
    assert report["judged"]["sights"] > 500, output


ROUND = ("--seconds", "4", "--workers", "1", "--races")
"""A round: nothing dies, for it is races that are to be seen, not restarts."""
SEEDS = (1, 2, 3, 4, 5, 6, 7, 8)
"""Rounds a mutant is given to show itself: how processes interleave is in nobody's power."""


@pytest.mark.parametrize("name", MUTANTS)
def test_a_node_without_a_protecting_line_is_found_out(name: str, folder: Path) -> None:
    root = copied(folder / name.replace(" ", "-"), MUTANTS[name].line, *PAUSES)
    told = []
    for seed in SEEDS:
        code, report, output = checked(root, root / "history.json", *ROUND, "--seed", str(seed))
        told.append(output)
        if code == 1:
            assert MUTANTS[name].rules & report["broken"].keys(), output
            return
    pytest.fail(f"nothing was found in {len(SEEDS)} rounds:\n" + "\n".join(told))

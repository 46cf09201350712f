"""`idnode import` of a file of many rows, as an enterprise runs it: how long it takes, and what memory it takes.

The program is started and watched; what it does is its own.
"""

import asyncio
import csv
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.effort import resident
from loadtest.population import ITEMS, TEMPLATE, texts
from loadtest.writing.problem import WritingError

GLANCE: Final = 0.2
"""Seconds between two looks at its memory."""
SHOWN: Final = 2000
"""Characters of what it said that are shown when it fails."""


@dataclass(frozen=True, slots=True)
class Imported:
    """How long it took, how many seconds of CPU, and the memory it held after a quarter of that time and at most, in
    MB.
    """

    seconds: float
    cpu: float
    quarter: float
    most: float


def write_file(path: Path, rows: int) -> None:
    """A CSV with a column `id` and one for each attribute of the population's template."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", *(item.name for item in ITEMS)])
        table.writerows((number, *texts(f"{number:09d}", number)) for number in range(rows))


async def imported(file: Path, data: Path, prefix: str, mark: str) -> Imported:
    """Imports `file` under `prefix` into the node of the data folder `data`. Raises WritingError."""
    command = [sys.executable, "-m", "node.cli", "import", str(file), "--data", str(data), "--enterprise", prefix]
    command += ["--template", TEMPLATE, "--suffix", f"I-{mark}-{{id}}", "--restart"]
    began, spent = time.perf_counter(), _of_children()
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    seen: list[float] = []
    watching = asyncio.create_task(_watched(process.pid, seen))
    try:
        said, _ = await process.communicate()
    finally:
        watching.cancel()
    seconds = time.perf_counter() - began
    if process.returncode:
        raise WritingError(f"idnode import: {process.returncode}\n{said.decode(errors='replace')[-SHOWN:]}")
    return Imported(seconds, _of_children() - spent, seen[len(seen) // 4] if seen else 0.0, max(seen, default=0.0))


def _of_children() -> float:
    """Seconds of CPU of what this process has started and seen the end of."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _watched(pid: int, seen: list[float]) -> None:
    """Notes what memory a process holds, in MB, for as long as it lives."""
    while (held := resident(pid)) is not None:
        seen.append(held / 1e6)
        await asyncio.sleep(GLANCE)

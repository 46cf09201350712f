"""Whose processor time it was: the node's own processes, PostgreSQL's, Valkey's, the top-level node's.

Ratios of rates shake on a busy machine; seconds of processor time a row hardly do.
"""

from collections import Counter
from typing import Final

from loadtest.effort import below, cpu, ended

_KINDS: Final = (
    ("node.worker", "工作进程 workers"),
    ("node.follower", "跟随 follower"),
    ("node.uplink", "上报 uplink"),
    ("node.toplevel", "国家节点 top level"),
    ("postgres", "PostgreSQL"),
    ("valkey", "Valkey"),
)
"""What a command line holds, and what its process is called."""
OTHERS: Final = "其余 others"


def spent(root: int) -> Counter[str]:
    """Microseconds of processor time of everything that descends from process `root`, by kind; of what has ended, too:
    each COPY, and each client of pgbench, has a process of PostgreSQL's.
    """
    total: Counter[str] = Counter()
    for pid, command in below(root):
        total[_kind(command)] += round((cpu((pid,)) + ended(pid)) * 1e6)
    return total


def _kind(command: str) -> str:
    return next((name for held, name in _KINDS if held in command), OTHERS)


def a_row(before: Counter[str], after: Counter[str], rows: int) -> dict[str, float]:
    """Microseconds of processor time a row between two readings, by kind."""
    return {kind: (after[kind] - before[kind]) / rows for kind in sorted(after)}

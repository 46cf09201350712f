"""The processes of a server, and what they use of the machine, read from /proc (proc(5)). Nothing is decided here."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PARENT, _USER, _SYSTEM, _RESIDENT = 1, 11, 12, 21
"""Places in /proc/PID/stat behind the name: fields 4, 14, 15 and 24, of which the first two are gone by then."""


def below(root: int) -> list[tuple[int, str]]:
    """Process number and command line of everything that descends from process `root`."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        if stat := _stat(int(folder.name)):
            children.setdefault(int(stat[_PARENT]), []).append(int(folder.name))
    found, open_ = [], [root]
    while open_:
        for pid in children.get(open_.pop(), []):
            open_.append(pid)
            command = _read(Path(f"/proc/{pid}/cmdline"))
            found.append((pid, command.replace(b"\0", b" ").decode(errors="replace")))
    return found


def cpu(pids: Iterable[int]) -> float:
    """Seconds of CPU these processes have used since they were started, to some hundredths."""
    fields = [stat for pid in pids if (stat := _stat(pid))]
    return sum(int(stat[_USER]) + int(stat[_SYSTEM]) for stat in fields) / _TICKS


def resident(pid: int) -> int | None:
    """Octets of resident memory of a process; None when it is gone."""
    stat = _stat(pid)
    return int(stat[_RESIDENT]) * _PAGE if stat else None


def _stat(pid: int) -> list[bytes]:
    # The name of a program may hold anything, a parenthesis too: what follows begins after the last one.
    return _read(Path(f"/proc/{pid}/stat")).rpartition(b")")[2].split()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""

"""The processes of a server, and what they use of the machine, as the kernel tells it. Nothing is decided here."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_PARENT, _ENDED, _RESIDENT = 1, slice(13, 15), 21
"""Places in /proc/PID/stat (proc(5)) behind the name: fields 4, 16 to 17 and 24, of which the first two are gone by
then."""
_TICK: Final = 1 / os.sysconf("SC_CLK_TCK")


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
    """Seconds of CPU these processes have used since they were started, all threads of them; to a microsecond."""
    used = 0.0
    for pid in pids:
        with suppress(OSError):  # it is gone
            # What clock_getcpuclockid(3) gives for a process; Python has it for threads only.
            used += time.clock_gettime(~pid << 3 | 2)
    return used


def ended(pid: int) -> float:
    """Seconds of CPU of the children of a process that have ended, to a hundredth; a server's sessions, for one."""
    return _TICK * sum(map(int, _stat(pid)[_ENDED]))


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

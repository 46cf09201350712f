"""What a process uses of the machine, read from /proc (proc(5)). Nothing is decided or told here."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_TICKS: Final = os.sysconf("SC_CLK_TCK")
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_UTIME, _STIME, _RSS = 11, 12, 21
"""Places in /proc/PID/stat behind the name: fields 14, 15 and 24, of which the first three are gone by then."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Octets of resident memory now, and seconds of CPU since it was started."""

    resident: int
    cpu: float


def usage(pid: int) -> Usage | None:
    """What process `pid` uses; None when it is gone."""
    try:
        told = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = told.rpartition(b")")[2].split()  # a program's name may hold blanks and brackets
    return Usage(int(fields[_RSS]) * _PAGE, (int(fields[_UTIME]) + int(fields[_STIME])) / _TICKS)

"""An alarm clock that rings to the microsecond: event loops count in milliseconds, too coarse to measure by.

Linux timerfd_create(2); CLOCK_MONOTONIC is what time.monotonic() tells, in every process of the machine.
"""

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import Final

_MONOTONIC: Final = 1
_FLAGS: Final = os.O_NONBLOCK | os.O_CLOEXEC
_ABSOLUTE: Final = 1
_SOONEST: Final = 1e-9
"""Seconds: a time of zero would stop the clock instead of ringing at once."""


class _Moment(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _Setting(ctypes.Structure):
    _fields_ = (("interval", _Moment), ("value", _Moment))


class Alarm:
    """Calls `ring` in the running loop at the time it was last set to. Close it in the end."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.timerfd_create(_MONOTONIC, _FLAGS)
        if self._descriptor < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._ring, self._setting = ring, _Setting()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._descriptor, self._rings)

    def set(self, at: float) -> None:
        """Rings at `at` (of time.monotonic()), at once if that is past; an earlier setting is forgotten."""
        at = max(at, _SOONEST)
        value = self._setting.value
        value.seconds = int(at)
        value.nanoseconds = int((at - int(at)) * 1e9)
        if self._libc.timerfd_settime(self._descriptor, _ABSOLUTE, ctypes.byref(self._setting), None) < 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _rings(self) -> None:
        os.read(self._descriptor, 8)
        self._ring()

    def close(self) -> None:
        """Rings no more."""
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)

"""What every child process has in common: its place in the shared memory, its end with its parent, its journal."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from functools import partial
from socket import socket
from typing import Any, Final

import msgspec
import setproctitle
import uvloop

from node import journal
from node.config import Config

LINE_OCTETS: Final = 65_536
"""Octets of an order that are read at once; it has some thousand."""
NICE: Final = {"uplink": 10}
"""Who gives way when processors are short, by so many steps of nice(2): nobody waits for what it does, and a minute
later is soon enough. 10 leaves it a tenth of what a worker gets, so that it never comes to a stand.
"""
_PR_SET_PDEATHSIG: Final = 1
_DESCRIPTORS: Final = ("descriptor", "listening", "meter", "https", "native_tcp", "native_udp", "client_cert")
"""Fields of a place that are descriptors."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a child stands: its column, its number among all children so far, and the descriptors it was handed:
    of the stamps, of its listening sockets (-1: there is none), and of the memory it counts in.

    `machine` is drawn anew by each supervisor, so that no two of them are mistaken for one in pg_stat_activity.
    """

    machine: str
    column: int
    incarnation: int
    descriptor: int
    listening: int = -1
    meter: int = -1
    https: int = -1
    native_tcp: int = -1
    native_udp: int = -1
    client_cert: int = -1

    @property
    def handed(self) -> list[int]:
        """The descriptors it is handed."""
        return [getattr(self, name) for name in self._handed]

    def taken(self, received: Sequence[int]) -> "Place":
        """The same place with the numbers its descriptors have in the child, in the order of `handed`."""
        numbers: dict[str, Any] = dict(zip(self._handed, received, strict=True))
        return replace(self, **numbers)

    @property
    def _handed(self) -> list[str]:
        return [name for name in _DESCRIPTORS if getattr(self, name) >= 0]

    @property
    def name(self) -> str:
        """The name of its connections to PostgreSQL."""
        return f"{self.family}{self.incarnation}"

    @property
    def family(self) -> str:
        """What the names of all who ever stood in this place begin with."""
        return f"idnode-{self.machine}-{self.column}-"


@dataclass(frozen=True, slots=True)
class _Order:
    config: Config
    place: Place


def order(config: Config, place: Place) -> bytes:
    """What a child is told on its line."""
    return msgspec.json.encode(_Order(config, place))


def die_with(parent: int) -> None:
    """Has the kernel kill this process when `parent` is gone, even by kill -9; ends at once if that is so already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # not "is it 1": in a container the supervisor itself may be process 1
        sys.exit(0)


def name_of(module: str) -> str:
    """What operators call a process that does what `module` says."""
    return module.removeprefix("node.").removesuffix(".process").removesuffix(".server")


def titled(name: str) -> None:
    """Calls this process so wherever processes are listed."""
    setproctitle.setproctitle(f"idnode: node.{name}")


def enter(
    module: str,
    run: Callable[[Config, Place], Coroutine[Any, Any, None]],
    parent: int,
    line: socket,
    received: Sequence[int],
) -> None:
    """The main function of a child: reads its order from `line`, then does `run` until it is told to stop.

    `received` are its descriptors, in the order of `Place.handed`; `parent` is the number of its parent.
    """
    die_with(parent)
    told = msgspec.json.decode(b"".join(iter(partial(line.recv, LINE_OCTETS), b"")), type=_Order)
    line.close()
    place = told.place.taken(received)
    name = name_of(module)
    titled(f"{name} {place.column}")
    os.nice(NICE.get(name, 0))
    journal.open_(told.config.log_level)
    # What is loaded by now stays: nobody shall look through it again.
    gc.freeze()
    uvloop.run(_until_told(run(told.config, place)))


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return

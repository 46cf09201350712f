"""What every child process has in common: its place in the shared memory, its end with its parent, its journal."""

import asyncio
import ctypes
import gc
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
import uvloop

from node import journal
from node.config import Config
from node.edition import EDITION

OTHER_EDITION: Final = os.EX_PROTOCOL
"""The exit code of a child that was started by a supervisor of another edition."""

GARBAGE: Final = (50_000, 20, 50)
"""When cycles are looked for: after so many new containers, then every so many looks one generation deeper. At Python's
own 700 a batch of 1000 rows is walked through again and again, two fifths of a worker's time; nothing on our roads
makes cycles but an exception now and then."""

_PR_SET_PDEATHSIG: Final = 1

log = structlog.get_logger("process")


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
    def name(self) -> str:
        """The name of its connections to PostgreSQL."""
        return f"{self.family}{self.incarnation}"

    @property
    def family(self) -> str:
        """What the names of all who ever stood in this place begin with."""
        return f"idnode-{self.machine}-{self.column}-"


@dataclass(frozen=True, slots=True)
class _Sender:
    """The one part of an order that every edition writes and reads alike."""

    edition: str = ""


@dataclass(frozen=True, slots=True)
class _Order:
    edition: str
    config: Config
    place: Place


def order(config: Config, place: Place) -> bytes:
    """What a child is told on its standard input."""
    return msgspec.json.encode(_Order(EDITION, config, place))


def _understood(octets: bytes) -> _Order:
    """The order in `octets`; ends this process when a supervisor of another edition gave it.

    The memory it shares is laid out otherwise: it would be counted into the wrong words, and stamps would be missed.
    """
    sender = msgspec.json.decode(octets, type=_Sender).edition
    if sender != EDITION:
        journal.open_("info")
        log.error(
            "other_edition",
            supervisor=sender,
            disk=EDITION,
            mend="磁盘上的程序已换成另一版本，请重启节点 · the program on disk is another one: restart the node",
        )
        sys.exit(OTHER_EDITION)
    return msgspec.json.decode(octets, type=_Order)


def die_with(parent: int) -> None:
    """Has the kernel kill this process when `parent` is gone, even by kill -9; ends at once if that is so already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # not "is it 1": in a container the supervisor itself may be process 1
        sys.exit(0)


def enter(run: Callable[[Config, Place], Coroutine[Any, Any, None]]) -> None:
    """The main function of a child, told its parent's number: reads its order, then runs until it is told to stop."""
    die_with(int(sys.argv[1]))
    told = _understood(sys.stdin.buffer.read())
    journal.open_(told.config.log_level)
    # What is loaded by now stays: nobody shall look through it again.
    gc.freeze()
    gc.set_threshold(*GARBAGE)
    uvloop.run(_until_told(run(told.config, told.place)))


async def _until_told(work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.ensure_future(work)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return

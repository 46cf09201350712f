"""Whom tests/node/test_nursery.py has born: does what the machine of its place names, and says it over its socket."""

import asyncio
import gc
import os
import socket
import stat
import sys

from node.config import Config
from node.process import Place


def _sockets() -> int:
    """How many sockets this process holds that are no standard stream of it."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd") if int(name) > 2]
    return sum(_is_socket(number) for number in numbers)


def _is_socket(number: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(number).st_mode)
    except OSError:  # the listing's own
        return False


async def run(config: Config, place: Place) -> None:
    sockets = _sockets()
    with socket.socket(fileno=place.listening) as ours:
        if place.machine == "exits":
            sys.exit(76)
        if place.machine == "fails":
            print(1 // 0)
        if place.machine == "waits":
            ours.send(b".")
            await asyncio.Event().wait()
        ours.sendall(f"{config.http_port} {os.getppid()} {sockets} {gc.get_freeze_count() > 1000}".encode())

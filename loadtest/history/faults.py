"""Does what the timetable says to the processes of our own world, and writes down what came of it.

Processes are found below those we started, and signalled through pidfds: a number used anew is never hit.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import redis.asyncio
from redis.exceptions import RedisError

from loadtest.effort import below
from loadtest.history.timetable import Fault, FaultKind, Suffered

PATIENCE: Final = 2.0
"""Seconds Valkey is waited for when it shall be wiped; a fault that cannot be done is told, not forced."""

_PARTS: Final = {FaultKind.KILL_WORKER: "node.worker", FaultKind.KILL_FOLLOWER: "node.follower"}
_STORES: Final = ("valkey-server", "redis-server")


class Faults:
    """Faults for machines whose topmost processes are `roots`; the first of them keeps the Valkey at `redis_url`.

    `clock` tells ns since the start.
    """

    def __init__(self, roots: Sequence[int], redis_url: str, clock: Callable[[], int], random: Random) -> None:
        self._roots, self._clock, self._random = roots, clock, random
        self._redis = redis.asyncio.from_url(redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE)
        self.suffered: list[Suffered] = []

    async def run(self, faults: Sequence[Fault]) -> None:
        """Every fault at its time; they may overlap. Valkey is left running, however this ends."""
        try:
            async with asyncio.TaskGroup() as group:
                for fault in faults:
                    group.create_task(self._at_its_time(fault))
        finally:
            for pid in self._stores():
                _signal(pid, signal.SIGCONT)
            await self._redis.aclose()

    async def _at_its_time(self, fault: Fault) -> None:
        await asyncio.sleep(max(0.0, fault.at - self._clock() / 1e9))
        self.suffered.append(Suffered(fault, await self._do(fault)))

    async def _do(self, fault: Fault) -> str:
        if fault.kind in _PARTS:
            return self._kill_one(fault)
        if fault.kind is FaultKind.WIPE:
            return await self._wipe()
        if fault.kind is FaultKind.RESTART:
            return _together([_signal(pid, signal.SIGKILL) for pid in self._stores()])
        return await self._freeze(fault.seconds)

    def _kill_one(self, fault: Fault) -> str:
        part = _PARTS[fault.kind]
        pids = [pid for pid, command in below(self._roots[fault.machine]) if part in command]
        return _signal(self._random.choice(pids), signal.SIGKILL) if pids else f"no {part} is running"

    def _stores(self) -> list[int]:
        return [pid for pid, command in below(self._roots[0]) if any(name in command for name in _STORES)]

    async def _wipe(self) -> str:
        try:
            await self._redis.flushall()
        except (RedisError, OSError, TimeoutError) as error:
            return f"Valkey did not answer: {error}"
        return "done"

    async def _freeze(self, seconds: float) -> str:
        pids = self._stores()
        try:
            result = _together([_signal(pid, signal.SIGSTOP) for pid in pids])
            await asyncio.sleep(seconds)
        finally:
            for pid in pids:
                _signal(pid, signal.SIGCONT)
        return result


def _signal(pid: int, number: signal.Signals) -> str:
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return "it was gone already"
    try:
        signal.pidfd_send_signal(process, number)
    except ProcessLookupError:
        return "it was gone already"
    finally:
        os.close(process)
    return "done"


def _together(results: Sequence[str]) -> str:
    """What came of signals to each Valkey there is; there should be one."""
    return "; ".join(sorted(set(results))) or "no Valkey is running"

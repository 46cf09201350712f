"""One run by several processes that begin at the same moment, and the sum of what they counted."""

import asyncio
import gc
import multiprocessing
import os
import time
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from random import Random
from typing import Final

import uvloop

from loadtest.arrivals import poisson
from loadtest.crowd import PATIENCE, Crowd, CrowdError, Judge
from loadtest.mix import Mix, Place, Questions, World, readable, wrong
from loadtest.tally import Tally

SETTLED: Final = 0.2
"""Seconds between the word to begin and the beginning: every process has heard it by then."""
START_MOST: Final = 60.0
"""Seconds a process may take to start and to make its connections."""
END_MOST: Final = 2 * PATIENCE + 10.0
"""Seconds after its time by which a run has ended: who waits last is sent after PATIENCE, and waited for as long."""

_SCHEDULED: Final = Path("/proc/self/schedstat")


@dataclass(frozen=True, slots=True)
class Run:
    """What one process does: `rate` requests a second for `seconds`, or as many as its `connections` carry (None).

    A connection is let go after `kept` answers (0: never). A `yardstick` answers everything alike: its answers must
    only be readable.
    """

    host: str
    port: int
    connections: int
    rate: float | None
    seconds: float
    world: World
    mix: Mix
    place: Place
    kept: int = 0
    yardstick: bool = False


def shares(run: Run, processes: int) -> list[Run]:
    """The run divided among processes; each gets at least one connection."""
    rate = None if run.rate is None else run.rate / processes
    return [
        replace(
            run,
            connections=(run.connections + number) // processes,
            rate=rate,
            place=replace(run.place, number=number, of=processes),
        )
        for number in range(processes)
    ]


async def ran(run: Run, processes: int) -> Tally:
    """Carries out a run. Raises CrowdError when it could not be begun or a process died."""
    # Spawned, not forked: a child shall have nothing of ours but its run.
    context = multiprocessing.get_context("spawn")
    children: list[tuple[SpawnProcess, Connection]] = []
    try:
        for share in shares(run, processes):
            mine, theirs = context.Pipe()
            child = context.Process(target=_child, args=(theirs, share), daemon=True)
            child.start()
            theirs.close()
            children.append((child, mine))
        pipes = [pipe for _, pipe in children]
        await _all_heard(pipes, START_MOST)
        begin = time.monotonic() + SETTLED
        for pipe in pipes:
            pipe.send(begin)
        total = Tally()
        for tally in await _all_heard(pipes, SETTLED + run.seconds + END_MOST):
            total.merge(tally)
        return total
    finally:
        for child, pipe in children:
            pipe.close()
            child.terminate()
            child.join()


async def _all_heard(pipes: list[Connection], patience: float) -> list[Tally]:
    """What each child says next; the first one that has nothing good to say ends the waiting for all."""
    hearing = [asyncio.ensure_future(_heard(pipe, patience)) for pipe in pipes]
    try:
        return await asyncio.gather(*hearing)
    finally:
        for task in hearing:
            task.cancel()
        await asyncio.gather(*hearing, return_exceptions=True)


async def _heard(pipe: Connection, patience: float) -> Tally:
    """What a child says next: a tally, which is empty while it has counted nothing."""
    ready = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pipe.fileno(), ready.set)
    try:
        async with asyncio.timeout(patience):
            await ready.wait()
    except TimeoutError:
        raise CrowdError("负载进程没有应答。 A process of the crowd does not answer.") from None
    finally:
        loop.remove_reader(pipe.fileno())
    try:
        said = pipe.recv()
    except (EOFError, ConnectionResetError):
        raise CrowdError("负载进程意外结束。 A process of the crowd died.") from None
    if isinstance(said, str):
        raise CrowdError(said)
    assert isinstance(said, Tally)
    return said


def _child(pipe: Connection, run: Run) -> None:
    """The life of a process of the crowd."""
    try:
        uvloop.run(_measured(run, pipe))
    except CrowdError as error:
        pipe.send(str(error))
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return  # Whoever started us is gone or wants us gone: nobody is left to tell.


async def _measured(run: Run, pipe: Connection) -> None:
    judge: Judge = readable if run.yardstick else wrong
    questions = Questions(run.world, run.mix, run.place)
    async with Crowd(run.host, run.port, run.connections, questions, judge, run.kept) as crowd:
        pipe.send(Tally())
        begin = await asyncio.to_thread(pipe.recv)
        # What is there now stays: the collector shall not visit it while latencies are measured.
        gc.collect()
        gc.freeze()
        before = _clocks()
        asyncio.get_running_loop().add_reader(pipe.fileno(), _left)
        await _asked(crowd, run, begin)
        asyncio.get_running_loop().remove_reader(pipe.fileno())
        passed, busy, stalled = (after - begun for after, begun in zip(_clocks(), before, strict=True))
        crowd.tally.cpu.append(busy / passed)
        crowd.tally.stalled.append(stalled / passed)
    pipe.send(crowd.tally)


def _left() -> None:
    """Nothing more is said to us: the pipe can only have come to its end, with whoever started us."""
    os._exit(1)


def _clocks() -> tuple[float, float, float]:
    """Seconds that have passed, that this process was busy, and that it wanted a processor and got none.

    The last one is the run delay of Linux's /proc/PID/schedstat, 0 where the kernel does not tell.
    """
    try:
        delay = int(_SCHEDULED.read_text().split()[1]) / 1e9
    except (OSError, LookupError):
        delay = 0.0
    return time.monotonic(), time.process_time(), delay


async def _asked(crowd: Crowd, run: Run, begin: float) -> None:
    if run.rate is None:
        await crowd.closed(begin, run.seconds)
    else:
        place = run.place
        random = Random(f"{run.world.population.seed}/{place.round}/{place.number}/arrivals")
        await crowd.open(poisson(random, run.rate, run.seconds), begin)

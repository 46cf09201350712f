"""`python -m loadtest soak`: the realistic mix for long, and the memory of each worker meanwhile.

The wiring and the command line; every decision is made elsewhere.
"""

import argparse
import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtest.crowd import CrowdError
from loadtest.effort import below, resident
from loadtest.mix import Mix, Place, World
from loadtest.nodes import NodeError, folder, up
from loadtest.population import Population
from loadtest.processes import Run, ran
from loadtest.registering import RegisteringError, Registrar
from loadtest.settings import Number, add_number
from loadtest.soak import report
from loadtest.soak.memory import Memory
from loadtest.soak.report import Told
from loadtest.target import Target, TargetError, from_ready
from loadtest.telling import kept, say, versions

SAMPLES: Final = 400
"""Looks at the memory over a run: enough for a drawing."""
GLANCE_LEAST: Final = 0.25
"""Seconds between two looks, at least: nothing grows faster than it is seen."""
WORKER: Final = "node.worker"
NUMBERS: Final[Mapping[str, Number]] = {
    "seconds": Number(600.0, 1.0, 86_400.0, "运行的秒数", "seconds of the run"),
    "rate": Number(1000.0, 1.0, 1_000_000.0, "每秒到达的请求数", "requests that arrive in a second"),
    "population": Number(20_000, 1, 100_000, "预先注册并常被问的标识数", "identifiers, all of them asked for"),
    "seed": Number(1, 0, 2**63 - 1, "种子：标识、到达时刻与选择", "the seed of names, arrivals and choices"),
    "processes": Number(1, 1, 64, "负载进程数", "processes of the crowd"),
    "connections": Number(64, 1, 10_000, "连接总数", "connections of all processes"),
    "kept": Number(100, 0, 1_000_000, "每连接的请求数；0为不限", "requests a connection; 0: no limit"),
    "workers": Number(2, 1, 64, "自己启动的节点的工作进程数", "workers of a node of its own"),
    "warm-up": Number(10.0, 0.1, 3600.0, "先均匀地问遍所有标识的秒数", "seconds of asking for all alike, uncounted"),
}
"""The options that take a number."""
MIX: Final = "warm=93,absent=5,signed=2"
TROUBLES: Final = (NodeError, TargetError, RegisteringError, CrowdError)
"""What ends it with a sentence."""


@dataclass(frozen=True, slots=True)
class _Site:
    """The node that is looked at, and its topmost process."""

    target: Target
    pid: int


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 steady, 1 memory grows or answers are wrong, 2 it could not run.

    `arguments` are those of the process unless given.
    """
    options = _options(arguments)
    try:
        told = asyncio.run(_told(options))
    except TROUBLES as error:
        say(str(error))
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("已中止。 Stopped.")
        return 2
    print(report.table(told))
    return told.exit_code if kept(options.report, report.document(told), report.html(told)) else 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest soak", description=f"{report.ZH} {report.EN}")
    add = parser.add_argument
    add(
        "--ready", type=Path, help="本机节点的就绪文件，否则自己启动 what idnode up wrote on this machine; else its own"
    )
    add("--mix", type=Mix.parse, default=Mix.parse(MIX), help=f"份额 shares ({MIX})")
    for name, number in NUMBERS.items():
        add_number(parser, name, number)
    add("--report", type=Path, metavar="FILE", help="结果写成JSON与网页 the result as JSON and a page")
    return parser.parse_args(arguments)


@asynccontextmanager
async def _site(options: argparse.Namespace) -> AsyncIterator[_Site]:
    """The node that is named, or one of its own while the block lasts. Raises TargetError or NodeError."""
    async with AsyncExitStack() as stack:
        ready = options.ready
        if ready is None:
            home = await stack.enter_async_context(up(stack.enter_context(folder()), options.workers))
            ready = home.data / "ready.json"
        target = from_ready(ready)
        yield _Site(target, int(json.loads(ready.read_text(encoding="utf-8"))["pid"]))


async def _told(options: argparse.Namespace) -> Told:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    async with _site(options) as site:
        run = await _run(site.target, options)
        say(f"预热 warming up: {options.warm_up:g} s")
        place = replace(run.place, round=0)
        world = replace(run.world, zipf=0.0)
        warming = replace(run, rate=None, seconds=options.warm_up, mix=Mix({"warm": 1.0}), world=world, place=place)
        await ran(warming, options.processes)
        say(f"运行 running: {options.seconds:g} s")
        memory = asyncio.create_task(_memory(site.pid, max(GLANCE_LEAST, options.seconds / SAMPLES)))
        try:
            tally = await ran(run, options.processes)
        finally:
            memory.cancel()
        workers, restarted = await memory
        settings = {name: getattr(options, name.replace("-", "_")) for name in NUMBERS}
        settings["mix"] = dict(options.mix.shares)
        return Told(started, settings, versions(), tally, workers, restarted)


async def _run(target: Target, options: argparse.Namespace) -> Run:
    """What the crowd does, once the population is there."""
    population = Population(target.prefixes, options.seed, options.population)
    registrar = Registrar(target.node)
    await registrar.sign_in(target.username, target.password)
    registered = await registrar.register(population, lambda _: None)
    say(f"标识已备 population ready: {population.size:,}, 新注册 of these new: {registered:,}")
    return Run(
        host=target.node.host,
        port=target.node.port,
        connections=options.connections,
        rate=options.rate,
        seconds=options.seconds,
        world=World(population, population.size, 1.0, 100, "", registrar.token, str(target.node)),
        mix=options.mix,
        place=Place(run=f"{int(time.time()):x}", round=1, number=0, of=options.processes, cold_from=0),
        kept=options.kept,
    )


async def _memory(root: int, glance: float) -> tuple[list[Memory], int]:
    """Looks at the workers below process `root` until it is cancelled: those there at the end, and how many were gone
    by then.
    """
    begin = time.monotonic()
    seen: dict[int, list[tuple[float, int]]] = {}
    there: list[int] = []
    try:
        while True:
            there = [pid for pid, command in below(root) if WORKER in command]
            for pid in there:
                if octets := resident(pid):
                    seen.setdefault(pid, []).append((time.monotonic() - begin, octets))
            await asyncio.sleep(glance)
    except asyncio.CancelledError:
        return [Memory(pid, samples) for pid, samples in sorted(seen.items()) if pid in there], len(seen) - len(there)


if __name__ == "__main__":
    sys.exit(main())

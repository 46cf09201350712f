"""`python -m loadtest growth`: databases of several sizes, filled, and measured in turn.

The wiring and the command line; every decision is made elsewhere.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg

from loadtest.crowd import CrowdError
from loadtest.growth import cluster, report
from loadtest.growth.filling import filled
from loadtest.growth.form import FormError
from loadtest.growth.measure import Subject, Turn
from loadtest.growth.report import Begun, Filled, Grown, Told
from loadtest.nodes import Home, NodeError, serve, up
from loadtest.population import CHUNK, MOST, Population, texts
from loadtest.ports import free_ports
from loadtest.registering import RegisteringError, Registrar
from loadtest.settings import Number, add_number
from loadtest.telling import kept, say, versions
from loadtest.writing.problem import WritingError

SIZES: Final = (100_000, 1_000_000)
LEAST: Final = 10_000
"""Smallest size: two chunks under each of the four prefixes, and some more."""
NUMBERS: Final[Mapping[str, Number]] = {
    "turns": Number(3, 1, 100, "轮数", "turns of all sizes"),
    "seconds": Number(3.0, 0.5, 3600.0, "每次读取的秒数", "seconds of a run of reads"),
    "batches": Number(10, 1, 1000, "每次写入的批数，每批1000行", "batches of 1000 rows of a run of writes"),
    "seed": Number(1, 0, 2**63 - 1, "种子：标识与次序", "the seed of names and order"),
}
UNCACHED: Final = {"IDNODE_HOT_ENTRIES": "0", "IDNODE_REDIS_URL": ""}
"""What turns both caches off."""
TOLD_EVERY: Final = 5.0
"""Seconds between two lines on how far the filling is."""
SAMPLE: Final = 1000
"""Members whose raw text is counted."""
TROUBLES: Final = (NodeError, RegisteringError, CrowdError, WritingError, FormError, asyncpg.PostgresError)
"""What ends it with a sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 measured, 2 it could not run. `arguments` are those of the process unless given."""
    options = _options(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="idnode-growth-") as folder:
            told = asyncio.run(_told(options, _passable(options.data or Path(folder))))
    except TROUBLES as error:
        say(str(error))
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("已中止。 Stopped.")
        return 2
    print(report.table(told))
    return 0 if kept(options.report, report.document(told), report.html(told)) else 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest growth", description="增长 growth")
    add = parser.add_argument
    sizes = f"标识数，从小到大 records, ascending ({' '.join(map(str, SIZES))}; {LEAST}…{MOST})"
    add("--sizes", type=int, nargs="+", default=list(SIZES), metavar="N", help=sizes)
    about = "数据目录，留下来再量 folder of the databases, which are kept for another time (临时 temporary)"
    add("--data", type=Path, metavar="DIR", help=about)
    for name, number in NUMBERS.items():
        add_number(parser, name, number)
    add("--report", type=Path, metavar="FILE", help="结果写成JSON与网页 the result as JSON and a page")
    options = parser.parse_args(arguments)
    if not all(LEAST <= size <= MOST for size in options.sizes) or sorted(set(options.sizes)) != options.sizes:
        parser.error(sizes)
    return options


def _passable(folder: Path) -> Path:
    """Makes it so: embedded servers may run as another user, who must be able to pass."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    return folder


async def _told(options: argparse.Namespace, folder: Path) -> Told:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    started = datetime.now(UTC)
    run = f"{int(started.timestamp()):x}{os.getpid():x}"
    sites = [_Site(folder / str(size), size, options.seed, options.seconds, run) for size in options.sizes]
    begun = [await site.begun() for site in sites]
    turns: list[list[Turn]] = [[] for _ in sites]
    async with AsyncExitStack() as stack:
        subjects = [await stack.enter_async_context(site.warm()) for site in sites]
        for number in range(options.turns):
            for mine, subject in zip(turns, subjects, strict=True):
                say(f"第{number + 1}轮 turn {number + 1}: {subject.population.size:,}")
                mine.append(await subject.turn(options.seconds, options.batches))
        grown = []
        for each, mine, subject in zip(begun, turns, subjects, strict=True):
            say(f"VACUUM, CHECKPOINT: {subject.population.size:,}")
            beside = await subject.beside_vacuum(options.seconds), await subject.beside_checkpoints(options.batches)
            grown.append(Grown(each, mine, *beside))
    settings = {"sizes": options.sizes, **{name: getattr(options, name) for name in NUMBERS}}
    return Told(started.isoformat(timespec="seconds"), settings, versions(), grown)


@dataclass(frozen=True, slots=True)
class _Site:
    """A folder with a node of one size."""

    data: Path
    size: int
    seed: int
    seconds: float
    run: str

    async def begun(self) -> Begun:
        """Fills it as far as it is not, and measures what can be measured of it alone."""
        self.data.mkdir(mode=0o755, exist_ok=True)
        # The national node is there for the approval alone: books of its own would grow as fast as what is measured.
        async with up(self.data, workers=1) as home:
            registrar = await _signed_in(home)
            await registrar.register(self._population(home, CHUNK * len(home.prefixes)), lambda _: None)
        async with self._home() as home:
            url, population = home.servers["database_url"], self._population(home, self.size)
            say(f"填充 filling: {self.size:,}")
            done = Filled(*await filled(url, population, _progress(self.size)))
            vacuum, room = await cluster.vacuumed(url), await cluster.room(url)
        forgotten = cluster.forget(url)
        began = time.perf_counter()
        async with self._home() as home:
            start = time.perf_counter() - began
            async with self._subject(home) as subject:
                disk = await subject.read(1, self.seconds) if forgotten else None
        return Begun(_text(population), done, room, vacuum, start, disk)

    @asynccontextmanager
    async def warm(self) -> AsyncIterator[Subject]:
        """Its node, with all files in the system's memory as far as it goes."""
        async with self._home() as home, self._subject(home) as subject:
            cluster.remember(subject.url)
            await subject.read(1, self.seconds)
            yield subject

    @asynccontextmanager
    async def _home(self) -> AsyncIterator[Home]:
        nobody = f"http://127.0.0.1:{free_ports(1)[0]}"
        async with up(self.data, 1, {"IDNODE_TOPLEVEL_URL": nobody}) as home:
            yield home

    @asynccontextmanager
    async def _subject(self, home: Home) -> AsyncIterator[Subject]:
        registrar = await _signed_in(home)
        async with serve(home, 1, UNCACHED) as bare:
            yield Subject(self._population(home, self.size), home, bare, registrar.token, self.run)

    def _population(self, home: Home, size: int) -> Population:
        return Population(home.prefixes, self.seed, size)


async def _signed_in(home: Home) -> Registrar:
    registrar = Registrar(home.node.http)
    await registrar.sign_in(home.ready["admin"]["username"], home.ready["admin"]["password"])
    return registrar


def _text(population: Population) -> float:
    """Octets of raw text a record."""
    some = [texts(population.serial(number), number) for number in range(SAMPLE)]
    return sum(len(text.encode()) for each in some for text in each) / SAMPLE


def _progress(size: int) -> Callable[[int], None]:
    """Tells how many of `size` are there, now and then."""
    last = time.monotonic()

    def progress(there: int) -> None:
        nonlocal last
        if time.monotonic() - last > TOLD_EVERY:
            last = time.monotonic()
            say(f"填充 filling: {there:,} / {size:,}")

    return progress


if __name__ == "__main__":
    sys.exit(main())

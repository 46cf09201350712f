"""`python -m loadtest`: finds the node, sees that the population is there, sends the crowd, tells what it saw.

The wiring; every decision is made elsewhere. What it measures and how is said in docs/loadtest.md.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from typing import Final

from loadtest import counts, report
from loadtest.crowd import CrowdError
from loadtest.mix import Mix, Place, World
from loadtest.nodes import NodeError, folder, up
from loadtest.population import Population
from loadtest.processes import Run, ran
from loadtest.registering import RegisteringError, Registrar
from loadtest.report import Told, Turn
from loadtest.settings import OWN_NGINX, Settings, SettingsError, nameless, parse
from loadtest.tally import Tally
from loadtest.target import Address, TargetError
from loadtest.telling import kept, say, versions
from loadtest.wire import Connection, LostError, RefusedError
from loadtest.yardstick import OCTETS, OCTETS_MOST, YardstickError, nginx

READING_SECONDS: Final = 10.0
"""How long the node may take to tell its metrics."""
TOLD_EVERY: Final = 2.0
"""Seconds between two lines on how far the registration is."""
TROUBLES: Final = (SettingsError, TargetError, RegisteringError, CrowdError, YardstickError, NodeError)
"""What ends it with a sentence."""


WORKERS: Final = 2
"""Of a node of its own: as many as `idnode up` has."""
COMMANDS: Final = {"native": "resolving"} | {
    name: name for name in ("compare", "fuzz", "growth", "history", "reading", "soak", "writing")
}
"""Further commands, each a room of its own: `python -m loadtest reading …`. A client is called native.py already."""


def main() -> int:
    """The exit code: 0 all right, 1 wrong answers, 2 nothing was measured."""
    if sys.argv[1:] and sys.argv[1] in COMMANDS:
        return int(import_module(f"loadtest.{COMMANDS[sys.argv[1]]}.__main__").main(sys.argv[2:]))
    try:
        told = asyncio.run(_told(sys.argv[1:]))
    except TROUBLES as error:
        say(str(error))
        return 2
    except ExceptionGroup as group:
        say(str(group.exceptions[0]))
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("已中止。 Stopped.")
        return 2
    print(report.table(told))
    return told.exit_code if kept(told.settings.report, report.document(told), report.html(told)) else 2


async def _told(arguments: Sequence[str]) -> Told:
    """What was measured on the node that is named, or on one of its own. Raises TROUBLES."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with AsyncExitStack() as stack:
        ready: list[str] = []
        if nameless(arguments):
            say("没有运行中的节点，自己启动一个 no node is running: starting one")
            home = await stack.enter_async_context(up(stack.enter_context(folder()), WORKERS))
            ready = ["--ready", str(home.data / "ready.json")]
        return await _measured(parse([*arguments, *ready], os.environ.get("IDNODE_PASSWORD", "")))


async def _measured(settings: Settings) -> Told:
    started = datetime.now(UTC)
    # Names of new registrations: no two commands share one.
    run = f"{int(started.timestamp()):x}{os.getpid():x}"
    target = settings.target
    population = Population(target.prefixes, settings.whole("seed"), settings.whole("population"))
    registrar = Registrar(target.node)
    await registrar.sign_in(target.username, target.password)
    registered = await registrar.register(population, _progress(population.size))
    say(f"标识已备 population ready: {population.size:,}, 新注册 of these new: {registered:,}")
    world = World(
        population=population,
        hot=min(settings.whole("hot"), population.size),
        zipf=settings["zipf"],
        rows=settings.whole("batch"),
        foreign=settings.foreign,
        token=registrar.token,
        host=str(target.node),
    )
    first = Run(
        host=target.node.host,
        port=target.node.port,
        connections=settings.whole("connections"),
        rate=settings.rate,
        seconds=settings["seconds"],
        world=world,
        mix=settings.mix,
        place=Place(run=run, round=1, number=0, of=settings.whole("processes"), cold_from=0),
    )
    warmed = await _warmed(first, settings)
    async with _yardstick(settings, warmed) as yardstick:
        before = await _metrics(target.operator)
        turns = await _turns(first, settings, yardstick)
        after = await _metrics(target.operator)
    return Told(
        settings=settings,
        started=started.isoformat(timespec="seconds"),
        run=run,
        registered=registered,
        turns=turns,
        resolutions=counts.grown(counts.resolutions(before), seen) if (seen := counts.resolutions(after)) else None,
        versions=versions() | {"node": counts.version(after)},
    )


def _progress(size: int) -> Callable[[int], None]:
    """Tells how many of `size` are there, now and then."""
    last = time.monotonic()

    def progress(there: int) -> None:
        nonlocal last
        if time.monotonic() - last > TOLD_EVERY:
            last = time.monotonic()
            say(f"注册 registering: {there:,} / {size:,}")

    return progress


async def _warmed(run: Run, settings: Settings) -> Tally | None:
    """Asks for the hot set without counting; None when the mix has none of it or no time is given."""
    seconds = settings["warm-up"]
    if "warm" not in settings.mix.shares or not seconds:
        return None
    say(f"预热 warming up: {seconds:g} s")
    place = replace(run.place, round=0)
    warm = replace(run, rate=None, seconds=seconds, mix=Mix({"warm": 1.0}), place=place)
    return await ran(warm, settings.whole("processes"))


@asynccontextmanager
async def _yardstick(settings: Settings, warmed: Tally | None) -> AsyncIterator[Address | None]:
    """Where the yardstick is, if one is wanted; our own answers with as many octets as the node's warm answers have."""
    if settings.yardstick != OWN_NGINX:
        assert not isinstance(settings.yardstick, str)
        yield settings.yardstick
        return
    answers = warmed.total if warmed else None
    octets = round(answers.octets / answers.answered) if answers and answers.answered else OCTETS
    async with nginx(min(octets, OCTETS_MOST), workers=1) as standing:
        say(f"标尺 yardstick: nginx, http://{standing.address}, {min(octets, OCTETS_MOST)} B")
        yield standing.address


async def _turns(first: Run, settings: Settings, yardstick: Address | None) -> list[Turn]:
    """The runs, node and yardstick in turn."""
    turns: list[Turn] = []
    run, processes = first, settings.whole("processes")
    for number in range(settings.whole("pairs") if yardstick else 1):
        say(f"第{number + 1}轮 run {number + 1}: {run.seconds:g} s")
        tally = await ran(run, processes)
        other = None
        if yardstick:
            against = replace(run, host=yardstick.host, port=yardstick.port, yardstick=True)
            other = await ran(against, processes)
        turns.append(Turn(tally, other))
        run = replace(run, place=replace(run.place, round=number + 2, cold_from=tally.cold_reached))
    return turns


async def _metrics(operator: Address | None) -> str:
    """The node's metrics; empty when it has no operator port or does not tell."""
    if operator is None:
        return ""
    try:
        async with asyncio.timeout(READING_SECONDS):
            connection = await Connection.open(operator.port, operator.host)
            try:
                reply = await connection.ask("GET", "/metrics", {})
            finally:
                await connection.close()
    except (RefusedError, LostError, TimeoutError):
        say(f"运维端口{operator}没有应答。 The operator port {operator} does not answer: no counts of the node.")
        return ""
    return reply.body.decode(errors="replace") if reply.status == 200 else ""


if __name__ == "__main__":
    sys.exit(main())

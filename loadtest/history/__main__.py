"""`python -m loadtest history`: makes a world, sends the crowd and the faults, gathers the facts, asks the judge.

The wiring and the command line; every decision is made elsewhere.
"""

import argparse
import asyncio
import gc
import secrets
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Final

from loadtest.history import report
from loadtest.history.crowd import Crowd
from loadtest.history.facts import Facts
from loadtest.history.faults import Faults
from loadtest.history.gather import gather
from loadtest.history.judge import judge
from loadtest.history.line import SECOND, Bounds
from loadtest.history.population import Population
from loadtest.history.timetable import RACES, STORM, USUAL, timetable
from loadtest.history.world import World, WorldError, world
from loadtest.nodes import NodeError, folder
from loadtest.telling import kept, say
from loadtest.wire import LostError, RefusedError

GATED: Final = 1
"""Prefixes that are stopped now and then; the others keep the writes coming."""
TURNS: Final = 12
"""Generations of a run, unless each would last longer than TURN_MOST."""
TURN_MOST: Final = 20.0
"""Longest life of a generation in seconds: it bounds the versions of an identifier, whose history is one answer."""
END_SECONDS: Final = 90.0
"""How long the last calls and faults may take after their time."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The verdict as exit code: 0 clean, 1 violated, 2 nothing proven or it could not run.

    `arguments` are those of the process unless given.
    """
    options = _options(arguments)
    seed = secrets.randbelow(2**32) if options.seed is None else options.seed
    say(f"种子 seed {seed}, {options.seconds:g} s")
    try:
        with folder() as data:
            run = asyncio.run(_run(options, seed, data))
    except (WorldError, NodeError) as error:
        say(str(error))
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("已中止。 Stopped.")
        return 2
    print(report.table(run))
    return run.exit_code if kept(options.report, report.document(run)) else 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest history", description="历史检查 the history checker")
    add = parser.add_argument
    add("--seconds", type=float, default=60.0, help="运行秒数 how long the crowd calls (60)")
    add("--seed", type=int, help="随机种子 the seed of all chance (another each time)")
    add("--report", type=Path, metavar="FILE", help="把结果写成JSON the result as JSON")
    add("--clients", type=int, default=14, help="并发客户数 clients at a time (14)")
    add("--workers", type=int, default=2, help="每节点工作进程数 workers of each node (2)")
    add("--pause", type=float, default=0.005, help="客户两次调用间平均停顿秒数 mean rest of a client, seconds (0.005)")
    add("--bound", type=float, default=1.5, help="他机读取时限秒数 bound for the other machine, seconds (1.5)")
    add("--watched", type=float, default=1.0, help="超过此秒数计为迟缓 counted as late beyond, seconds (1.0)")
    weather = parser.add_mutually_exclusive_group()
    storm, races = "故障密集 faults as dense as can be", "只清空Valkey，看竞态 Valkey wiped, nothing else: races alone"
    weather.add_argument("--storm", dest="weather", action="store_const", const=STORM, default=USUAL, help=storm)
    weather.add_argument("--races", dest="weather", action="store_const", const=RACES, help=races)
    return parser.parse_args(arguments)


async def _run(options: argparse.Namespace, seed: int, data: Path) -> report.Run:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    bounds = Bounds(int(options.bound * SECOND), int(options.watched * SECOND))
    async with world(data, options.workers) as made:
        say("两个节点已就绪 two nodes are ready")
        start = time.monotonic_ns()
        crowd, faults, facts = await _live(options, seed, made, lambda: time.monotonic_ns() - start)
    say("判定中 judging")
    # Millions of plain tuples: nothing for the cycle collector to find, and much for it to visit.
    gc.freeze()
    gc.disable()
    verdict = judge(crowd.recording, crowd.gates, facts, len(made.ports), bounds)
    tallies, surprises = crowd.tallies, crowd.surprises
    return report.Run(
        seed, options.seconds, options.weather is STORM, bounds, tallies, surprises, tuple(faults.suffered), verdict
    )


async def _live(
    options: argparse.Namespace, seed: int, made: World, clock: Callable[[], int]
) -> tuple[Crowd, Faults, Facts]:
    """The run itself: what was called, what was suffered, what is left."""
    until = int(options.seconds * SECOND)
    population = Population(made.prefixes, int(min(options.seconds / TURNS, TURN_MOST) * SECOND))
    crowd = Crowd(made.ports, made.token, population, clock, options.pause)
    faults = Faults(tuple(node.pid for node in made.nodes), made.redis_url, clock, Random(f"{seed}/victims"))
    plan = timetable(Random(f"{seed}/faults"), options.seconds, len(made.ports), options.weather)
    try:
        async with asyncio.timeout(options.seconds + END_SECONDS), asyncio.TaskGroup() as group:
            group.create_task(faults.run(plan))
            for number in range(options.clients):
                group.create_task(crowd.client(Random(f"{seed}/client/{number}"), until))
            for prefix in made.prefixes[:GATED]:
                group.create_task(crowd.warden(prefix, Random(f"{seed}/warden/{prefix}"), until))
    except TimeoutError:
        raise WorldError("有调用未结束。 Calls or faults did not come to an end: a node does not answer.") from None
    say("等待平静 waiting until all is quiet")
    await made.ready()
    await asyncio.sleep(options.bound)
    generations = population.generation(clock()) + 1
    await crowd.look(generations)
    try:
        facts = await gather(made.database_url, made.ports[0], made.token, population, generations, say)
    except (TimeoutError, RefusedError, LostError):
        raise WorldError("节点在平静时不应答。 A node does not answer although all is quiet.") from None
    return crowd, faults, facts


if __name__ == "__main__":
    sys.exit(main())

"""`python -m loadtest reading`: a node of its own and nginx, side by side, scenario by scenario.

The wiring and the command line; every decision is made elsewhere.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtest.crowd import CrowdError
from loadtest.nodes import NodeError, folder, up
from loadtest.population import MOST, Population
from loadtest.profile import ProfileError
from loadtest.reading import report
from loadtest.reading.measure import Measure, measured
from loadtest.reading.report import Told
from loadtest.reading.scenarios import SCENARIOS
from loadtest.registering import RegisteringError, Registrar
from loadtest.settings import Number, add_number
from loadtest.telling import kept, say, versions
from loadtest.yardstick import YardstickError

NUMBERS: Final[Mapping[str, Number]] = {
    "pairs": Number(3, 1, 100, "轮流的次数", "turns taken"),
    "seconds": Number(1, 1, 3600, "每次的秒数", "seconds of a run"),
    "population": Number(20_000, 1000, MOST, "预先注册的标识数", "identifiers registered beforehand"),
    "seed": Number(1, 0, 2**63 - 1, "种子：标识与选择", "the seed of names and choices"),
    "processes": Number(2, 1, 64, "开放到达的负载进程数", "processes of the crowd, for open arrivals"),
}
"""The options that take a number; as they are, all scenarios take less than two minutes."""
TROUBLES: Final = (NodeError, RegisteringError, CrowdError, YardstickError, ProfileError)
"""What ends it with a sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 measured, 1 something answered wrongly, 2 it could not run.

    `arguments` are those of the process unless given.
    """
    options = _options(arguments)
    try:
        with _data(options.data) as data:
            told = asyncio.run(_told(options, data))
    except TROUBLES as error:
        say(str(error))
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("已中止。 Stopped.")
        return 2
    print(report.table(told))
    return told.exit_code if kept(options.report, report.document(told), report.html(told)) else 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest reading", description="读取对比 reading side by side")
    add = parser.add_argument
    add("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="只测这些 only these scenarios")
    for name, number in NUMBERS.items():
        add_number(parser, name, number)
    add("--data", type=Path, metavar="DIR", help="留下的数据目录 a data folder that stays, population and all")
    add("--report", type=Path, metavar="FILE", help="结果写成JSON the result as JSON")
    add("--profile", action="store_true", help="在报告旁画火焰图 flame graphs beside the report, by py-spy")
    options = parser.parse_args(arguments)
    if options.profile and not options.report:
        parser.error("--profile需要--report --profile needs --report")
    return options


def _data(given: Path | None) -> AbstractContextManager[Path]:
    """The data folder of the node: the given one, which stays, or one that does not."""
    if given is None:
        return folder()
    given.mkdir(parents=True, exist_ok=True)
    return nullcontext(given)


async def _told(options: argparse.Namespace, data: Path) -> Told:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    async with up(data, workers=1) as home:
        say("节点已就绪 the node is ready")
        population = Population(home.prefixes, options.seed, options.population)
        registrar = Registrar(home.node.http)
        await registrar.sign_in(home.ready["admin"]["username"], home.ready["admin"]["password"])
        await registrar.register(population, lambda _: None)
        say(f"标识已备 population ready: {population.size:,}")
        flames = options.report if options.profile else None
        measure = Measure(population, registrar.token, options.seconds, options.pairs, options.processes, flames)
        results, failed = {}, {}
        for name in options.only:
            say(f"{name} …")
            try:
                results[name] = await measured(home, name, measure)
            except CrowdError as error:
                failed[name] = str(error)
        return Told(started, {name: getattr(options, name) for name in NUMBERS}, versions(), results, failed)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m loadtest native`: a node of its own and NSD, side by side, over UDP and TCP.

The wiring and the command line; every decision is made elsewhere.
"""

import argparse
import asyncio
import signal
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from loadtest.crowd import CrowdError
from loadtest.nodes import NodeError, folder, up
from loadtest.population import Population
from loadtest.registering import RegisteringError, Registrar
from loadtest.resolving import report
from loadtest.resolving.measure import SCENARIOS, Measure, measured
from loadtest.resolving.questions import ASKED
from loadtest.resolving.report import Told
from loadtest.settings import Number, add_number
from loadtest.telling import kept, say, versions
from loadtest.yardstick import YardstickError

NUMBERS: Final[Mapping[str, Number]] = {
    "pairs": Number(5, 1, 100, "轮流的次数", "turns taken"),
    "seconds": Number(1.0, 0.1, 3600, "每次的秒数", "seconds of a run"),
    "seed": Number(1, 0, 2**63 - 1, "标识的种子", "the seed of the names"),
}
"""The options that take a number; as they are, it takes a minute."""
TROUBLES: Final = (NodeError, RegisteringError, CrowdError, YardstickError)
"""What ends it with a sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 measured, 2 it could not run, or something was answered wrongly.

    `arguments` are those of the process unless given.
    """
    options = _options(arguments)
    try:
        with folder() as data:
            told = asyncio.run(_told(options, data))
    except TROUBLES as error:
        say(str(error))
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("已中止。 Stopped.")
        return 2
    print(report.table(told))
    return 0 if kept(options.report, report.document(told), report.html(told)) else 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    about = "Handle协议，与NSD并排 the Handle protocol, side by side with NSD"
    parser = argparse.ArgumentParser(prog="python -m loadtest native", description=about)
    add = parser.add_argument
    add("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="只测这些 only these scenarios")
    for name, number in NUMBERS.items():
        add_number(parser, name, number)
    add(
        "--access-log",
        choices=("on", "off"),
        default="on",
        help="节点记访问日志与否 the node's access log (%(default)s)",
    )
    add("--report", type=Path, metavar="FILE", help="结果写成JSON the result as JSON")
    return parser.parse_args(arguments)


async def _told(options: argparse.Namespace, data: Path) -> Told:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    settings = {name: getattr(options, name) for name in NUMBERS} | {"access_log": options.access_log}
    async with up(data, workers=1, variables={"IDNODE_ACCESS_LOG": options.access_log}) as home:
        say("节点已就绪 the node is ready")
        population = Population(home.prefixes, options.seed, ASKED)
        registrar = Registrar(home.node.http)
        await registrar.sign_in(home.ready["admin"]["username"], home.ready["admin"]["password"])
        await registrar.register(population, lambda _: None)
        pairs, octets = await measured(home, population, options.only, Measure(options.seconds, options.pairs))
        return Told(started, settings, versions(), pairs, octets)


if __name__ == "__main__":
    sys.exit(main())

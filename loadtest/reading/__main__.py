"""`python -m loadtest reading`: a node of its own and nginx, side by side, scenario by scenario.

The wiring and the command line; every decision is made elsewhere.
"""

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from loadtest.crowd import CrowdError
from loadtest.nodes import NodeError, up
from loadtest.population import Population
from loadtest.reading import report
from loadtest.reading.measure import Measure, Result, measured
from loadtest.reading.scenarios import SCENARIOS
from loadtest.registering import RegisteringError, Registrar
from loadtest.yardstick import YardstickError

TROUBLES: Final = (NodeError, RegisteringError, CrowdError, YardstickError)
"""What ends it with a sentence."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 measured, 2 nothing was measured. `arguments` are those of the process unless given."""
    options = _options(arguments)
    try:
        with tempfile.TemporaryDirectory(prefix="idnode-reading-") as folder:
            # Embedded servers may run as another user, who must be able to pass.
            Path(folder).chmod(0o755)
            data = Path(folder) / "data"
            data.mkdir(mode=0o755)
            results = asyncio.run(_measured(options, data))
    except TROUBLES as error:
        say(str(error))
        return 2
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("已中止。 Stopped.")
        return 2
    print(report.table(results))
    return 0


def say(text: str) -> None:
    """A line on how far it is, apart from the result."""
    print(time.strftime("%T"), text, file=sys.stderr, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m loadtest reading", description="读取对比 reading side by side")
    add = parser.add_argument
    add("--only", nargs="+", choices=SCENARIOS, default=list(SCENARIOS), help="只测这些 only these scenarios")
    add("--seconds", type=int, default=2, help="每次的秒数 seconds of a run (2)")
    add("--pairs", type=int, default=5, help="轮流的次数 turns taken (5)")
    add("--population", type=int, default=5000, help="预先注册的标识数 identifiers registered beforehand (5000)")
    return parser.parse_args(arguments)


async def _measured(options: argparse.Namespace, data: Path) -> dict[str, Result]:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with up(data, workers=1) as home:
        say("节点已就绪 the node is ready")
        population = Population(home.prefixes, 1, options.population)
        registrar = Registrar(home.node.http)
        await registrar.sign_in(home.ready["admin"]["username"], home.ready["admin"]["password"])
        await registrar.register(population, lambda _: None)
        say(f"已注册 registered: {population.size:,}")
        results = {}
        for name in options.only:
            say(f"{name}: {options.pairs} × 2 × {options.seconds} s")
            results[name] = await measured(home, SCENARIOS[name], Measure(population, options.seconds, options.pairs))
        return results


if __name__ == "__main__":
    sys.exit(main())

"""Measures scenarios side by side: node and nginx in turn, several pairs, each by its rate and by its CPU time."""

import asyncio
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import mean
from typing import Final

from loadtest.crowd import CrowdError
from loadtest.effort import below, cpu
from loadtest.nodes import Home, serve
from loadtest.population import Population
from loadtest.reading.scenarios import Scenario, requests
from loadtest.target import Address
from loadtest.wire import Connection
from loadtest.wrk import Counted, Line, listed, wrk
from loadtest.yardstick import OCTETS_MOST, nginx

LOOKED_AT: Final = 200
"""Answers of a scenario that are looked at before it is measured: is each what it must be, and how long are they?"""
WARM_SECONDS: Final = 1
"""Seconds each side is asked before it counts."""
CONNECTIONS: Final = 64
NODE_WORKER: Final = "node.worker"
NGINX_WORKER: Final = "worker process"


@dataclass(frozen=True, slots=True)
class Side:
    """One run on one server: what wrk counted, and the CPU seconds of its worker processes."""

    counted: Counted
    cpu: float

    @property
    def effort(self) -> float:
        """Microseconds of CPU of the worker processes for a request."""
        return self.cpu / self.counted.requests * 1e6


@dataclass(frozen=True, slots=True)
class Pair:
    """One run on the node and one on the yardstick, one after the other."""

    node: Side
    yardstick: Side

    @property
    def ratio(self) -> float:
        """The node's rate by that of the yardstick."""
        return self.node.counted.rate / self.yardstick.counted.rate


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of a scenario; `octets` is the mean length of a body."""

    scenario: Scenario
    octets: int
    pairs: Sequence[Pair]


@dataclass(frozen=True, slots=True)
class Measure:
    """How long and how often is measured, and who is asked for."""

    population: Population
    seconds: int
    pairs: int
    threads: int = 1


async def measured(home: Home, scenario: Scenario, measure: Measure) -> Result:
    """One scenario, on a node and an nginx of its own. Raises CrowdError, NodeError or YardstickError."""
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(serve(home, scenario.workers, scenario.variables))
        lines = requests(scenario, measure.population)
        octets = await _looked_at(node.http, lines)
        standing = await stack.enter_async_context(nginx(min(octets, OCTETS_MOST), scenario.workers))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idnode-reading-")))
        sides = (
            _Asked(folder, scenario, lines, measure, node.http, _workers(node.pid, NODE_WORKER)),
            _Asked(folder, scenario, lines, measure, standing.address, _workers(standing.pid, NGINX_WORKER)),
        )
        for side in sides:
            await side.run(WARM_SECONDS)
        return Result(
            scenario, octets, [await _pair(number, sides, measure.seconds) for number in range(measure.pairs)]
        )


async def _pair(number: int, sides: "tuple[_Asked, _Asked]", seconds: int) -> Pair:
    """Each pair in the other order: what grows or wanes meanwhile favours neither."""
    order = (0, 1) if number % 2 == 0 else (1, 0)
    told = {place: await sides[place].run(seconds) for place in order}
    return Pair(told[0], told[1])


def _workers(pid: int, word: str) -> list[int]:
    return [child for child, command in below(pid) if word in command]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A server that is asked: where it is, its worker processes, and what it is asked from a file in `folder`."""

    folder: Path
    scenario: Scenario
    lines: Sequence[Line]
    measure: Measure
    address: Address
    pids: Sequence[int]

    async def run(self, seconds: int) -> Side:
        """One run of wrk. Raises CrowdError."""
        file = self.folder / "requests"
        heads = [head.format(host=self.address) for head in self.scenario.heads]
        await asyncio.to_thread(file.write_text, listed(heads, self.lines), encoding="utf-8")
        before = cpu(self.pids)
        counted = await wrk(
            self.address,
            file,
            seconds=seconds,
            threads=self.measure.threads,
            connections=CONNECTIONS,
            closing_after=self.scenario.kept,
        )
        if not counted.requests:
            raise CrowdError(f"{self.address}没有回答。 {self.address} answers nothing.")
        return Side(counted, cpu(self.pids) - before)


async def _looked_at(address: Address, lines: Sequence[Line]) -> int:
    """The mean length of the first bodies, octets."""
    connection = await Connection.open(address.port, address.host)
    try:
        replies = [await connection.ask("GET", line.path, {}) for line in islice(lines, LOOKED_AT)]
    finally:
        await connection.close()
    return round(mean(len(reply.body) for reply in replies))

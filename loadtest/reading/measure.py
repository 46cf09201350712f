"""Measures scenarios side by side: node and yardstick in turn, several pairs, each by its rate and its CPU time."""

import asyncio
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from math import sqrt
from pathlib import Path
from statistics import mean, median
from typing import Final

from loadtest.crowd import CrowdError
from loadtest.effort import below, cpu
from loadtest.mix import Ask, Place, World, wrong
from loadtest.nodes import Home, serve
from loadtest.population import Population
from loadtest.processes import Run, ran
from loadtest.profile import flame_graph
from loadtest.reading.scenarios import KEPT, MIX, SCENARIOS, Scenario, absent_share, heads, requests
from loadtest.response import Response
from loadtest.tally import Tally
from loadtest.target import Address
from loadtest.wire import Connection
from loadtest.wrk import Counted, Line, listed, wrk
from loadtest.yardstick import OCTETS_MOST, Standing, nginx

LOOKED_AT: Final = 200
"""Answers of a scenario that are looked at before it is measured: is each what it must be, and how long are they?"""
WARM_SECONDS: Final = 1
"""Seconds of a run that does not count."""
WARM_EACH: Final = 3
"""Uncounted requests for each identifier beyond which nothing becomes warmer."""
WARM_RUNS: Final = 10
"""Most of them: a server so slow that it has not answered what it should by then is measured as it is."""
CONNECTIONS: Final = 64
ABSENT_OFF: Final = 0.005
"""How far the share of answers from 400 on may be off from that of requests for what does not exist, beyond what chance
makes of it: a run is not a whole round of those listed."""
CHANCE: Final = 5
"""Standard deviations that chance is allowed."""
OPEN_SECONDS: Final = 5.0
"""Seconds of open arrivals: 10,000 of them at the least rate worth a test, so that p99.9 rests on ten."""
FLAME_SECONDS: Final = 4
"""Seconds of a flame graph: some hundred looks at whatever takes a tenth of the time."""
HOT_MOST: Final = 100_000
"""Most members open arrivals are for: each process of the crowd keeps a request of each."""

ROLES: Final = {"worker": ("node.worker", "nginx: worker"), "postgres": ("postgres",), "redis": ("valkey-server",)}
"""Whose CPU time is told, and what stands in their command lines."""


@dataclass(frozen=True, slots=True)
class Side:
    """One run on one server: what wrk counted, and the microseconds of CPU each role of process took for an answer."""

    counted: Counted
    effort: Mapping[str, float]


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
class Open:
    """Open arrivals at `rate` a second, and what became of them; and of the same ones on the yardstick, which tells how
    much of a latency is the crowd's and the machine's.
    """

    rate: float
    tally: Tally
    yardstick: Tally


@dataclass(frozen=True, slots=True)
class Result:
    """What was measured of a scenario; `octets` is the mean length of a body."""

    scenario: Scenario
    octets: int
    pairs: Sequence[Pair]
    open: Open | None

    @property
    def ratios(self) -> list[float]:
        """The ratio of each pair."""
        return [pair.ratio for pair in self.pairs]


@dataclass(frozen=True, slots=True)
class Measure:
    """How long and how often is measured, who is asked for, and the token of who is signed in.

    A flame graph of each scenario lands in `flames`, unless that is None.
    """

    population: Population
    token: str
    seconds: int
    pairs: int
    processes: int
    flames: Path | None = None


async def measured(home: Home, name: str, measure: Measure) -> Result:
    """The scenario of this name, on a node and a yardstick of its own.

    Raises CrowdError, NodeError, YardstickError or ProfileError.
    """
    scenario = SCENARIOS[name]
    async with AsyncExitStack() as stack:
        node = await stack.enter_async_context(serve(home, scenario.workers, scenario.variables))
        lines = requests(scenario, measure.population)
        octets = await _looked_at(node.http, lines)
        standing = await stack.enter_async_context(_yardstick(home, scenario, octets))
        file = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="idnode-reading-"))) / "requests"
        asked = _Asked(file, scenario, lines, measure)
        stores = {"postgres": home.node.pid, "redis": home.node.pid}
        absent = absent_share(lines)
        sides = (
            _Server(asked, node.http, {"worker": node.pid, **stores}, absent),
            _Server(asked, standing.address, {"worker": standing.pid}, 0.0 if scenario.beside is None else absent),
        )
        for side in sides:
            await side.warmed()
        pairs = [await _pair(number, sides, measure.seconds) for number in range(measure.pairs)]
        if measure.flames:
            await sides[0].drawn(measure.flames.with_name(f"{measure.flames.stem}-{name}.svg"))
        open_ = await _open(node.http, standing.address, pairs, measure) if scenario.open else None
        return Result(scenario, octets, pairs, open_)


@asynccontextmanager
async def _yardstick(home: Home, scenario: Scenario, octets: int) -> AsyncIterator[Standing]:
    if scenario.beside is None:
        async with nginx(min(octets, OCTETS_MOST), scenario.workers) as standing:
            yield standing
    else:
        async with serve(home, scenario.workers, scenario.beside) as node:
            yield Standing(node.http, node.pid)


async def _pair(number: int, sides: "tuple[_Server, _Server]", seconds: int) -> Pair:
    """Each pair in the other order: what grows or wanes meanwhile favours neither."""
    order = (0, 1) if number % 2 == 0 else (1, 0)
    told = {place: await sides[place].run(seconds) for place in order}
    return Pair(told[0], told[1])


@dataclass(frozen=True, slots=True)
class _Asked:
    """What both sides are asked, by way of `file`."""

    file: Path
    scenario: Scenario
    lines: Sequence[Line]
    measure: Measure


@dataclass(frozen=True, slots=True)
class _Server:
    """A server that is asked: below which process those of a role are, and the share of its answers from 400 on."""

    asked: _Asked
    address: Address
    roots: Mapping[str, int]
    absent: float

    async def warmed(self) -> None:
        """Asks as much as shall not count."""
        enough = min(self.asked.scenario.warm, WARM_EACH * self.asked.measure.population.size)
        count = 0
        for _ in range(WARM_RUNS):
            count += (await self.run(WARM_SECONDS)).counted.requests
            if count >= enough:
                return

    async def run(self, seconds: int) -> Side:
        """One run of wrk. Raises CrowdError, also when the answers are not what they must be."""
        asked = self.asked
        text = listed(heads(asked.scenario, str(self.address), asked.measure.token), asked.lines)
        await asyncio.to_thread(asked.file.write_text, text, encoding="utf-8")
        before = self._spent()
        counted = await wrk(
            self.address,
            asked.file,
            seconds=seconds,
            threads=1,
            connections=CONNECTIONS,
            closing_after=asked.scenario.kept,
        )
        spent = self._spent()
        if not self._right(counted):
            raise CrowdError(
                f"{self.address}的回答不对：{counted.requests}个中有{counted.statuses}个为4xx或5xx。 "
                f"{self.address} answers wrongly: {counted.statuses} of {counted.requests} are 4xx or 5xx."
            )
        spent.subtract(before)
        return Side(counted, {role: most / counted.requests for role, most in spent.items()})

    async def drawn(self, file: Path) -> None:
        """Draws what one worker does while it is asked; that run does not count. Raises ProfileError."""
        worker = next(pid for pid, command in below(self.roots["worker"]) if _is(command, "worker"))
        asking = asyncio.create_task(self.run(FLAME_SECONDS))
        try:
            await flame_graph(worker, FLAME_SECONDS, file)
        finally:
            await asyncio.gather(asking, return_exceptions=True)

    def _right(self, counted: Counted) -> bool:
        if not counted.requests:
            return False
        chance = CHANCE * sqrt(self.absent * (1 - self.absent) / counted.requests)
        return abs(counted.statuses / counted.requests - self.absent) <= ABSENT_OFF + chance

    def _spent(self) -> Counter[str]:
        """Microseconds of CPU by role, of those who live."""
        return Counter({role: round(self._cpu(role, root) * 1e6) for role, root in self.roots.items()})

    def _cpu(self, role: str, root: int) -> float:
        return cpu(pid for pid, command in below(root) if _is(command, role))


def _is(command: str, role: str) -> bool:
    return any(word in command for word in ROLES[role])


async def _looked_at(address: Address, lines: Sequence[Line]) -> int:
    """The mean length of the first bodies, octets. Raises CrowdError when one is not what it must be."""
    connection = await Connection.open(address.port, address.host)
    lengths = []
    try:
        for line in islice(lines, LOOKED_AT):
            reply = await connection.ask("GET", line.path, {})
            handle = line.path.removeprefix("/api/handles/")
            ask = Ask("absent" if line.fresh else "warm", b"", (handle,), handle.partition("/")[2])
            if said := wrong(ask, Response(reply.status, reply.body, closing=False)):
                raise CrowdError(said)
            lengths.append(len(reply.body))
    finally:
        await connection.close()
    return round(mean(lengths))


async def _open(address: Address, yardstick: Address, pairs: Iterable[Pair], measure: Measure) -> Open:
    """The mix at half of what the node answers, by open arrivals; on the yardstick afterwards."""
    rate = median(pair.node.counted.rate for pair in pairs) / 2
    population = measure.population
    world = World(population, min(population.size, HOT_MOST), 1.0, 1, "", measure.token, str(address))
    place = Place(run="reading", round=1, number=0, of=measure.processes, cold_from=0)
    run = Run(address.host, address.port, CONNECTIONS, rate, OPEN_SECONDS, world, MIX, place, kept=KEPT)
    control = replace(run, host=yardstick.host, port=yardstick.port, yardstick=True)
    return Open(rate, await ran(run, measure.processes), await ran(control, measure.processes))

"""Measures the node and NSD in turn, several pairs, each by its rate and by the CPU time of an answer."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.effort import below, cpu
from loadtest.nodes import Home
from loadtest.nsd import nsd
from loadtest.population import Population
from loadtest.resolving.crowd import Asked, Counted, by_datagrams, learned, on_new_connections, pipelined
from loadtest.resolving.questions import DNS, HANDLE, ZONE, Dialect, dns_packets, handle_packets, zone
from loadtest.target import Address

WARM_SECONDS: Final = 0.3
"""Seconds of a run that does not count, of each way."""
PROCESSES: Final = ("node.worker", "nsd")
"""What stands in the command lines of who answers."""

Way = Callable[[Address, Dialect, Sequence[Asked], float], Counted]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One comparison: how the node is asked, and how NSD is. `bar` is the ratio that is promised, None without one."""

    zh: str
    en: str
    node: Way
    nsd: Way
    bar: float | None


SCENARIOS: Final = {
    "udp": Scenario("UDP", "UDP", by_datagrams, by_datagrams, 1.0),
    "tcp": Scenario("TCP，16个连接各16个请求", "TCP, 16 requests on each of 16", pipelined, by_datagrams, 2.5),
    "new": Scenario(
        "TCP，每个请求一个新连接", "TCP, each on a new connection", on_new_connections, on_new_connections, 0.66
    ),
}
"""The scenarios by name. What is promised of `new` is 1.5 times what Handle.Net does, which is not at hand. NSD stands
in for it: on one machine Handle.Net 9.3.1 was seen to answer 15,500 requests a second on new connections, and NSD 4.6
35,000 over TCP, so 1.5 × 0.44.
"""


@dataclass(frozen=True, slots=True)
class Side:
    """One run on one server: what came of it; microseconds of CPU of the server, and of the crowd, for an answer."""

    counted: Counted
    effort: float
    crowd: float


@dataclass(frozen=True, slots=True)
class Pair:
    """One run on each, one after the other."""

    node: Side
    nsd: Side

    @property
    def ratio(self) -> float:
        """The node's rate by NSD's."""
        return self.node.counted.rate / self.nsd.counted.rate


@dataclass(frozen=True, slots=True)
class Server:
    """A server that is asked, below which process it is, and what it is asked."""

    address: Address
    pid: int
    dialect: Dialect
    asked: Sequence[Asked]

    @property
    def octets(self) -> float:
        """The mean length of its answers."""
        return sum(len(each.answer) for each in self.asked) / len(self.asked)

    def run(self, way: Way, seconds: float) -> Side:
        """One run. Raises CrowdError."""
        before = self._spent()
        counted = way(self.address, self.dialect, self.asked, seconds)
        spent = self._spent() - before
        return Side(counted, spent / counted.answers * 1e6, counted.cpu / counted.answers * 1e6)

    def _spent(self) -> float:
        return cpu(pid for pid, command in below(self.pid) if any(word in command for word in PROCESSES))


@dataclass(frozen=True, slots=True)
class Measure:
    """How long a run takes, and how many pairs there are."""

    seconds: float
    pairs: int


async def measured(
    home: Home, population: Population, names: Sequence[str], measure: Measure
) -> tuple[dict[str, list[Pair]], tuple[float, float]]:
    """The pairs of each of these scenarios, and the mean length of the answers of both.

    Raises CrowdError or YardstickError.
    """
    packets = await asyncio.to_thread(handle_packets, population)
    asked = await asyncio.to_thread(learned, home.node.native, HANDLE, packets)
    node = Server(home.node.native, home.node.pid, HANDLE, asked)
    async with nsd(ZONE, zone(population, round(node.octets))) as standing:
        answers = await asyncio.to_thread(learned, standing.address, DNS, dns_packets(population))
        other = Server(standing.address, standing.pid, DNS, answers)
        found = {}
        for name in names:
            found[name] = await asyncio.to_thread(pairs, node, other, SCENARIOS[name], measure)
        return found, (node.octets, other.octets)


def pairs(node: Server, other: Server, scenario: Scenario, measure: Measure) -> list[Pair]:
    """The runs of one scenario, each pair in the other order: what grows or wanes meanwhile favours neither."""
    node.run(scenario.node, WARM_SECONDS)
    other.run(scenario.nsd, WARM_SECONDS)
    told = []
    for number in range(measure.pairs):
        if number % 2:
            theirs = other.run(scenario.nsd, measure.seconds)
            ours = node.run(scenario.node, measure.seconds)
        else:
            ours = node.run(scenario.node, measure.seconds)
            theirs = other.run(scenario.nsd, measure.seconds)
        told.append(Pair(ours, theirs))
    return told

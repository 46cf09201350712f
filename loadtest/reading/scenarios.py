"""What is asked side by side: one table of scenarios, and the requests of each from the seed. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from random import Random
from typing import Final

from loadtest.mix import drawn, zipf
from loadtest.population import Population
from loadtest.wrk import Line

HOT: Final = 1000
"""Identifiers of the hot set."""
LISTED_HOT: Final = 10_000
"""Requests drawn from the hot set; then they begin anew."""
LISTED: Final = 200_000
"""Requests drawn from all identifiers; then they begin anew: 30 MB in wrk's memory."""
PLAIN: Final = "Host: {host}\n"
"""What wrk says of itself."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One comparison: the node's `workers` and settings (`variables`), and what is asked.

    `bar` is the ratio to nginx that is promised, `reach` the one that is striven for. A client lets its connection go
    after `kept` requests (0: never).
    """

    zh: str
    en: str
    bar: float
    reach: float
    lines: Callable[[Population, Random], Iterator[Line]]
    listed: int
    workers: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    heads: Sequence[str] = (PLAIN,)
    kept: int = 0


def requests(scenario: Scenario, population: Population) -> list[Line]:
    """The requests of a scenario in order, from the seed of the population alone."""
    random = Random(f"{population.seed}/{scenario.en}")
    return list(islice(scenario.lines(population, random), scenario.listed))


def path(population: Population, number: int) -> str:
    """Where member `number` is asked for."""
    return f"/api/handles/{population.prefix(number)}/{population.serial(number)}"


def _hot(population: Population, random: Random) -> Iterator[Line]:
    count = min(HOT, population.size)
    for rank in drawn(random, range(count), zipf(count, 0.0)):
        yield Line(0, path(population, population.member(rank)))


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "hot": Scenario("进程内的热回答", "answered hot, in the process", 0.8, 0.9, _hot, LISTED_HOT),
}
"""The scenarios by name."""

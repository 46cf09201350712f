"""What is asked side by side: one table of scenarios, and the requests of each from the seed. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Final

from loadtest.mix import HEADS, Mix, drawn, zipf
from loadtest.population import Population
from loadtest.wrk import Line

HOT: Final = 1000
"""Identifiers of the hot set: some hundred kilobytes of answers, whatever the size of the population."""
SHARED: Final = 10_000
"""Identifiers asked for from Redis: so many that two of 64 connections seldom ask for one at once."""
LISTED: Final = 200_000
"""Requests drawn at random before they begin anew: some 50 MB in wrk's memory."""
RANKS_MOST: Final = 1_000_000
"""Identifiers the mix asks for by Zipf's law; one beyond them would come once in fourteen million requests."""
KEPT: Final = 100
"""Requests after which a client of the mix lets its connection go."""
MIX: Final = Mix({"warm": 93.0, "absent": 5.0, "signed": 2.0})
"""The realistic mix: most by Zipf's law over all identifiers, some that do not exist, some signed in."""
PLAIN: Final = ("",)
"""A client that says nothing beside the host."""

Lines = Callable[[Population, Random], Iterator[Line]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One comparison: the node's `workers` and settings (`variables`), and what is asked.

    `bar` is the ratio to the yardstick that is promised, `reach` the one striven for, None without one. `listed`
    requests are drawn and then begin anew; `warm` are asked before anything counts, or three for each identifier. A
    client lets its connection go after `kept` requests (0: never). `open` adds the latency at half of the rate, by open
    arrivals.
    """

    zh: str
    en: str
    bar: float | None
    reach: float | None
    lines: Lines
    listed: int
    warm: int = 0
    workers: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)
    heads: Sequence[str] = PLAIN
    kept: int = 0
    open: bool = False
    beside: Mapping[str, str] | None = None


def requests(scenario: Scenario, population: Population) -> list[Line]:
    """The requests of a scenario in order, from the seed of the population alone."""
    random = Random(f"{population.seed}/{scenario.en}")
    return list(islice(scenario.lines(population, random), scenario.listed))


def heads(scenario: Scenario, host: str, token: str) -> list[str]:
    """The heads of its kinds of client, and of one that is signed in."""
    kinds = [f"Host: {host}\r\n{head}" for head in scenario.heads]
    return [*kinds, f"{kinds[-1]}Authorization: Bearer {token}\r\n"]


def absent_share(lines: Sequence[Line]) -> float:
    """The share of requests for what does not exist."""
    return sum(line.fresh for line in lines) / len(lines)


def _path(population: Population, number: int) -> str:
    return f"/api/handles/{population.prefix(number)}/{population.serial(number)}"


def _never(population: Population, prefix: str) -> str:
    """A name that was never registered, another one each time."""
    return f"/api/handles/{prefix}/NONE-{population.seed}-*"


def _first(count: int) -> Lines:
    """The first `count` of the seeded order, one after the other."""

    def lines(population: Population, _: Random) -> Iterator[Line]:
        for rank in range(min(count, population.size)):
            yield Line(0, _path(population, population.member(rank)))

    return lines


def _any(population: Population, random: Random) -> Iterator[Line]:
    """Any member, all alike."""
    while True:
        yield Line(0, _path(population, random.randrange(population.size)))


def _absent(population: Population, _: Random) -> Iterator[Line]:
    for prefix in population.prefixes:
        yield Line(0, _never(population, prefix))


def _signed(population: Population, random: Random) -> Iterator[Line]:
    """The hot ones, by a client that is signed in."""
    for line in _first(HOT)(population, random):
        yield line._replace(head=len(PLAIN))


def _mixed(population: Population, random: Random) -> Iterator[Line]:
    classes = drawn(random, list(MIX.shares), list(MIX.shares.values()))
    count = min(RANKS_MOST, population.size)
    ranks = drawn(random, range(count), zipf(count, 1.0))
    for name in classes:
        kind = random.randrange(len(HEADS))
        if name == "absent":
            yield Line(kind, _never(population, random.choice(population.prefixes)))
        else:
            path = _path(population, population.member(next(ranks)))
            yield Line(len(HEADS) if name == "signed" else kind, path)


def _mix(zh: str, en: str, bar: float | None, reach: float | None, workers: int) -> Scenario:
    return Scenario(zh, en, bar, reach, _mixed, LISTED, 30_000, workers, {}, HEADS, KEPT, open=workers == 1)


_COLD: Final = {"IDNODE_HOT_ENTRIES": "0"}
_UNNOTED: Final = {"IDNODE_ACCESS_LOG": "off"}
_COLDEST: Final = {"IDNODE_HOT_ENTRIES": "0", "IDNODE_REDIS_URL": ""}

SCENARIOS: Final[Mapping[str, Scenario]] = {
    "hot": Scenario("进程内的热回答", "hot, in the process", 0.8, 0.9, _first(HOT), HOT, HOT),
    "hot-2": Scenario("热，两个工作进程", "hot, two workers", 0.65, 0.8, _first(HOT), HOT, 2 * HOT, workers=2),
    "redis": Scenario("来自Redis", "from Redis", 0.55, 0.65, _first(SHARED), SHARED, SHARED, variables=_COLD),
    "postgres": Scenario("来自PostgreSQL", "from PostgreSQL", 0.33, 0.42, _any, LISTED, variables=_COLDEST),
    "absent": Scenario("不存在的，各不相同", "absent, each another", 0.3, None, _absent, HOT),
    "access-log": Scenario(
        "热，每次解析都记下，与不记相比",
        "hot, each resolution noted, beside none",
        0.85,
        None,
        _first(HOT),
        HOT,
        HOT,
        variables={"IDNODE_ACCESS_LOG": "on"},
        beside={"IDNODE_ACCESS_LOG": "off"},
    ),
    "counted": Scenario(
        "热，有指标与日志，与都没有相比",
        "hot, with metrics and journal, beside neither",
        0.95,
        None,
        _first(HOT),
        HOT,
        HOT,
        variables=_UNNOTED,
        beside=_UNNOTED | {"IDNODE_LOG_LEVEL": "error", "PYTHONPATH": str(Path(__file__).parent / "uncounted")},
    ),
    "signed": Scenario("热，登录后读取", "hot, by someone signed in", None, None, _signed, HOT, HOT),
    "mix": _mix("接近实际的混合", "a realistic mix", 0.45, 0.6, workers=1),
    "mix-2": _mix("混合，两个工作进程", "the mix, two workers", None, None, workers=2),
}
"""The scenarios by name, with what is promised of each."""

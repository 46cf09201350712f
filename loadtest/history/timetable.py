"""When which fault happens: rounds that hold every kind once, in an order and at moments a seed decides. Pure."""

from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final, NamedTuple


class FaultKind(Enum):
    """What goes wrong, in Chinese and English."""

    KILL_WORKER = "杀死工作进程 kill -9 of a worker"
    KILL_FOLLOWER = "杀死跟随进程 kill -9 of a follower"
    FREEZE = "冻结Valkey Valkey frozen (SIGSTOP … SIGCONT)"
    WIPE = "清空Valkey Valkey wiped (FLUSHALL)"
    RESTART = "重启Valkey kill -9 of Valkey"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault `at` seconds after the start, on `machine` where it has one, for `seconds` where it lasts."""

    at: float
    kind: FaultKind
    machine: int = 0
    seconds: float = 0.0


class Suffered(NamedTuple):
    """A fault and what came of it: "done", or why it could not be."""

    fault: Fault
    result: str


@dataclass(frozen=True, slots=True)
class Weather:
    """`round` seconds hold each kind of fault `times`; a freeze lasts up to `freeze` seconds."""

    round: float
    times: dict[FaultKind, int]
    freeze: float


USUAL: Final = Weather(30.0, dict.fromkeys(FaultKind, 1) | {FaultKind.KILL_WORKER: 3}, 4.0)
"""A bad day: everything that can go wrong twice a minute, and calm between to write and read in numbers."""
STORM: Final = Weather(
    12.0,
    {
        FaultKind.KILL_WORKER: 12,
        FaultKind.KILL_FOLLOWER: 1,
        FaultKind.FREEZE: 5,
        FaultKind.WIPE: 5,
        FaultKind.RESTART: 1,
    },
    1.5,
)
"""As bad as can be while something is still answered: for finding what is known to be wrong."""
RACES: Final = Weather(4.0, {FaultKind.WIPE: 24}, 0.0)
"""Valkey has to be filled again all the time, and nothing dies: for seeing races alone, in little time."""
CALM: Final = 0.1
"""The share of the whole time at its end (and half of it at its beginning) without new faults."""


def timetable(random: Random, seconds: float, machines: int, weather: Weather) -> list[Fault]:
    """The faults of a run of `seconds`, by time: whole rounds, at least one, fitted into the time there is."""
    span = seconds * (1 - 1.5 * CALM)
    rounds = max(1, round(span / weather.round))
    faults = []
    for number in range(rounds):
        kinds = [kind for kind, times in weather.times.items() for _ in range(times)]
        random.shuffle(kinds)
        step = span / rounds / len(kinds)
        for place, kind in enumerate(kinds):
            at = seconds * CALM / 2 + number * span / rounds + (place + random.random()) * step
            length = random.uniform(0.2, 1) * min(weather.freeze, span / 4) if kind is FaultKind.FREEZE else 0.0
            faults.append(Fault(at, kind, random.randrange(machines), length))
    return sorted(faults, key=lambda fault: fault.at)

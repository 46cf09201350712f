"""The line of one identifier: its versions in order, and whether every sight of it fits time and machine.

Pure, and one sweep over sorted times: n log n for n sights, never each against each.
"""

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple

from loadtest.history.operation import ABROAD, NEVER, Operation
from loadtest.history.verdict import Rule

SECOND: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Bounds:
    """How old a read may be on a machine that did not make the write, and from when it is counted as late (ns)."""

    other: int = 3 * SECOND // 2
    watched: int = SECOND


class Made(NamedTuple):
    """One version: in force not before `begin`, for certain from `acked` (NEVER = not acknowledged) on.

    `machine` is the one it was written through, ABROAD when that is not certain.
    """

    begin: int
    acked: int
    machine: int
    operation: Operation | None = None


NOTHING: Final = Made(-1, NEVER, ABROAD)
"""Version 0: there is nothing yet."""


class Sight(NamedTuple):
    """What one operation saw: one of the versions in `candidates` (ascending, never empty)."""

    operation: Operation
    candidates: Sequence[int]


class Stale(NamedTuple):
    """A sight that cannot be: it saw `seen` at most, although `cause` showed `needed`."""

    rule: Rule
    sight: Sight
    seen: int
    needed: int
    cause: Operation | None


class Lag(NamedTuple):
    """A sight older than something already known elsewhere, by `age` ns, within the bound."""

    age: int


class _Known(NamedTuple):
    version: int
    rule: Rule
    cause: Operation | None


class _Frontier:
    """What must be visible on one machine, and whose doing that is."""

    def __init__(self, machines: int) -> None:
        first = _Known(0, Rule.STALE_HERE, None)
        self.here = [first] * machines
        self.settled = _Known(0, Rule.STALE_THERE, None)
        self.recent: deque[tuple[int, int, Operation | None]] = deque()

    def raise_here(self, machine: int, known: _Known) -> None:
        if known.version > self.here[machine].version:
            self.here[machine] = known

    def raise_there(self, time: int, version: int, cause: Operation | None) -> None:
        if version > max(self.settled.version, self.recent[-1][1] if self.recent else 0):
            self.recent.append((time, version, cause))

    def settle(self, before: int) -> None:
        while self.recent and self.recent[0][0] < before:
            _, version, cause = self.recent.popleft()
            self.settled = _Known(version, Rule.STALE_THERE, cause)

    def needed(self, machine: int) -> _Known:
        return max(self.here[machine], self.settled, key=lambda known: known.version)

    def age(self, time: int, seen: int) -> int:
        return next((time - at for at, version, _ in self.recent if version > seen), 0)


def begun(made: Sequence[Made]) -> list[int]:
    """For each version the time before which it cannot have been in force: nor could any version before it."""
    return list(accumulate((version.begin for version in made), max))


def _own_versions(made: Sequence[Made], machine: int) -> list[int]:
    """For each version the last one, up to it, that was written through `machine`.

    Who saw a version there may only rely on those: the caches of a machine learn of its own writes before
    COMMIT, and of the others' within the bound.
    """
    return list(accumulate((n if m.machine == machine else 0 for n, m in enumerate(made)), max))


def _events(made: Sequence[Made], sights: Sequence[Sight]) -> list[tuple[int, int, int]]:
    """(time, what, index): 0 a sight begins, 1 it ends, 2 a version is acknowledged.

    At one and the same instant beginnings come first: what touches does not follow.
    """
    begins = [(sight.operation.begin, 0, n) for n, sight in enumerate(sights)]
    ends = [(sight.operation.end, 1, n) for n, sight in enumerate(sights)]
    acks = [(version.acked, 2, n) for n, version in enumerate(made) if version.acked < NEVER]
    return sorted(begins + ends + acks)


def sweep(made: Sequence[Made], sights: Sequence[Sight], machines: int, bounds: Bounds) -> Iterator[Stale | Lag]:
    """Every sight that is too old or too early, and every one that lags within the bound.

    What such a sight showed is not held against others: one fault is told once.

    `made[0]` is NOTHING; sights have `machine` in 0 … machines-1 and an end. Each sight is given the most
    charitable of its candidates.
    """
    frontier, since = _Frontier(machines), begun(made)
    own = [_own_versions(made, machine) for machine in range(machines)]
    required = [ABROAD] * len(sights)
    for time, what, n in _events(made, sights):
        if what == 2:
            operation = made[n].operation
            if made[n].machine != ABROAD:
                frontier.raise_here(made[n].machine, _Known(n, Rule.STALE_HERE, operation))
            frontier.raise_there(time, n, operation)
            continue
        sight = sights[n]
        machine = sight.operation.machine
        if what == 1:
            if required[n] == ABROAD:
                continue
            version = least(sight.candidates, required[n])
            frontier.raise_here(machine, _Known(own[machine][version], Rule.WENT_BACK, sight.operation))
            frontier.raise_there(time, version, sight.operation)
            continue
        frontier.settle(time - bounds.other)
        needed = frontier.needed(machine)
        seen = greatest(sight.candidates, bisect_right(since, sight.operation.end) - 1)
        if seen is None:
            yield Stale(Rule.FUTURE, sight, sight.candidates[0], 0, None)
        elif seen < needed.version:
            yield Stale(needed.rule, sight, seen, needed.version, needed.cause)
        else:
            required[n] = needed.version
            if age := frontier.age(time, seen):
                yield Lag(age)


def greatest(candidates: Sequence[int], most: int) -> int | None:
    """The greatest candidate that is not above `most`."""
    at = bisect_right(candidates, most)
    return candidates[at - 1] if at else None


def least(candidates: Sequence[int], from_: int) -> int:
    """The least candidate from `from_` on, of which there must be one."""
    return candidates[bisect_left(candidates, from_)]

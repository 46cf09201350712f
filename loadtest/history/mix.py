"""What a client does next: a random mix of writes and reads by every face, on every machine.

Pure: chance and time are arguments.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import Final

from loadtest.history.operation import WRITES, Act
from loadtest.history.population import Population


class Face(Enum):
    """By which of the node's faces a call is made."""

    SINGLE = "single"
    BATCH = "batch"
    HANDLE = "handle"
    PAGE = "page"
    BULK = "bulk"
    NDJSON = "ndjson"
    DETAIL = "detail"


@dataclass(frozen=True, slots=True)
class Call:
    """One request: `act` on `items` by `face`. `fresh` asks for a new connection, and so for any worker.

    A write may set the note too (`noted`), and be watched while it is under way (`escorted`).
    """

    act: Act
    face: Face
    machine: int
    items: tuple[int, ...]
    fresh: bool
    noted: bool = False
    escorted: bool = False


WITNESSES: Final = ((Act.DETAIL, Face.DETAIL), (Act.RESOLVE, Face.HANDLE))
"""How a write under way is watched: by the road past the caches and the one through them, in turn."""

_CHOICES: Final = {
    (Act.CREATE, Face.SINGLE, 1): 10,
    (Act.UPDATE, Face.SINGLE, 1): 16,
    (Act.DELETE, Face.SINGLE, 1): 6,
    (Act.CREATE, Face.BATCH, 20): 2,
    (Act.UPDATE, Face.BATCH, 20): 2,
    (Act.DELETE, Face.BATCH, 8): 1,
    (Act.RESOLVE, Face.HANDLE, 1): 40,
    (Act.RESOLVE, Face.PAGE, 1): 3,
    (Act.RESOLVE, Face.BULK, 20): 3,
    (Act.RESOLVE, Face.NDJSON, 20): 2,
    (Act.DETAIL, Face.DETAIL, 1): 4,
}
"""What a client may do, on how many identifiers, and how often in comparison."""

NOTED: Final = 0.5
"""The share of updates that set the note: the others must leave it as it was."""
FRESH: Final = 0.4
"""The share of calls on a connection of their own: with SO_REUSEPORT each meets some worker."""
ESCORTED: Final = 0.3
"""The share of writes that are watched: between COMMIT and the answer, one road may show what the other does not."""
CHASED: Final = 0.7
"""The share of writes the same client looks at right afterwards."""
LOOKS_MOST: Final = 3
"""Looks after a write, each on a fresh connection."""
ABROAD: Final = 0.25
"""The share of such looks on the other machine."""


def calls(random: Random, population: Population, machines: int, clock: Callable[[], int]) -> Iterator[Call]:
    """What one client does, without end; `clock` tells the time in ns since the start."""
    choices, weights = list(_CHOICES), list(_CHOICES.values())
    while True:
        act, face, count = random.choices(choices, weights)[0]
        items = population.choose(random, clock(), count)
        machine = random.randrange(machines)
        noted, escorted = random.random() < NOTED, act in WRITES and random.random() < ESCORTED
        yield Call(act, face, machine, items, random.random() < FRESH, noted, escorted)
        if act in WRITES and random.random() < CHASED:
            for _ in range(random.randint(1, LOOKS_MOST)):
                where = (machine + (random.random() < ABROAD)) % machines
                yield Call(Act.RESOLVE, Face.HANDLE, where, items[:1], fresh=True)

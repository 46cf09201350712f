"""What one call did and was told, and the `Recording` of all of them, kept compactly.

Pure: times are handed in, in nanoseconds of the monotonic clock of the one process that makes the calls.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import IntEnum
from struct import Struct
from typing import Final, NamedTuple

NEVER: Final = 2**63 - 1
"""The time of what was not seen to end; fits the 8 octets of a recorded time."""
ABROAD: Final = -1
"""A token in an answer that is none of ours: not a number, or not there."""


class Act(IntEnum):
    """What a call wanted of one identifier, or of one prefix."""

    CREATE = 1
    UPDATE = 2
    DELETE = 3
    RESOLVE = 4
    DETAIL = 5
    STOP = 6
    ENABLE = 7


WRITES: Final = frozenset({Act.CREATE, Act.UPDATE, Act.DELETE})
"""What makes a version of an identifier."""


class Outcome(IntEnum):
    """What a call was told. ABSENT, EXISTS and STOPPED refuse a write and also tell what is in force."""

    DONE = 1
    UNKNOWN = 2
    ABSENT = 3
    EXISTS = 4
    STOPPED = 5
    REFUSED = 6


NOT_DONE: Final = frozenset({Outcome.ABSENT, Outcome.EXISTS, Outcome.STOPPED, Outcome.REFUSED})
"""What a write may be told only if it had no effect."""


class Operation(NamedTuple):
    """One identifier (or prefix) in one call.

    `item` is the number of the identifier, or of the prefix. `begin` is before the first octet was sent and `end`
    after the last was received, so the effect lies between (or after, when the outcome is UNKNOWN).
    A write carries `token` (in two attributes) and, unless 0, `note` in a third; a read tells what it found in
    the three, and `told`, the version in its ETag (0 = it had none).
    """

    item: int
    act: Act
    outcome: Outcome
    machine: int
    begin: int
    end: int
    token: int = 0
    again: int = 0
    note: int = 0
    told: int = 0

    def __str__(self) -> str:
        found = f" token={self.token}" if self.token else ""
        return (
            f"{self.act.name.lower()} → {self.outcome.name.lower()}{found} "
            f"[machine {self.machine}, {self.begin / 1e9:.4f}–{self.end / 1e9:.4f} s]"
        )


_ROW: Final = Struct("<BBBqqqqqI")


class Recording:
    """All operations, by item: 47 octets each, so that three million of them take 140 MB."""

    def __init__(self, operations: Iterable[Operation] = ()) -> None:
        self._rows: defaultdict[int, bytearray] = defaultdict(bytearray)
        for operation in operations:
            self.add(operation)

    def add(self, operation: Operation) -> None:
        """Writes one down. Raises struct.error when a field does not fit its octets."""
        self._rows[operation.item] += _ROW.pack(*operation[1:])

    def items(self) -> list[int]:
        """The items that were touched, ascending."""
        return sorted(self._rows)

    def of(self, item: int) -> Iterator[Operation]:
        """The operations on `item`, as they were added."""
        for act, outcome, *rest in _ROW.iter_unpack(self._rows.get(item, b"")):
            yield Operation(item, Act(act), Outcome(outcome), *rest)

    def __len__(self) -> int:
        return sum(len(rows) for rows in self._rows.values()) // _ROW.size

"""`Known`: whether an identifier was asked for before. What is asked for once and never again is not worth keeping."""

from typing import Final

from node.stamps import MARKS

MARKS_KNOWN: Final = MARKS // 64
"""Marks remembered, some 260,000; with so many, one identifier in 64 is taken for one asked for before, and kept: of a
flood of unknown ones, few turns have any, for each such turn costs two commands to Redis and a query more."""


class Known:
    """Which marks were asked for lately: their bits in `marks`, MARKS / 8 octets, which others may write to as well.

    Once MARKS_KNOWN of them are set, by who looks here and the other `sharers` together, all are forgotten: each counts
    its part, for those of one machine have about as much to do.
    """

    def __init__(self, marks: memoryview | bytearray, sharers: int = 1) -> None:
        self._marks = marks
        self._most = MARKS_KNOWN // sharers
        self._count = 0

    def seen(self, mark: int) -> bool:
        """Whether `mark` was asked for before; from now on it was."""
        at, bit = mark >> 3, 1 << (mark & 7)
        if self._marks[at] & bit:
            return True
        if self._count >= self._most:
            self._marks[:] = bytes(MARKS // 8)
            self._count = 0
        self._marks[at] |= bit
        self._count += 1
        return False

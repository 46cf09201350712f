"""`Known`: whether an identifier was asked for before. What is asked for once and never again is not worth keeping."""

from typing import Final

from node.stamps import SLOTS

SLOTS_KNOWN: Final = SLOTS // 4
"""Slots remembered; with so many, one identifier in four is taken for one asked for before, and kept."""


class Known:
    """Which slots were asked for lately, a bit for each. Once these are SLOTS_KNOWN, all are forgotten."""

    def __init__(self) -> None:
        self._slots = bytearray(SLOTS // 8)
        self._count = 0

    def seen(self, slot: int) -> bool:
        """Whether `slot` was asked for before; from now on it was."""
        at, bit = slot >> 3, 1 << (slot & 7)
        if self._slots[at] & bit:
            return True
        if self._count >= SLOTS_KNOWN:
            self._slots = bytearray(SLOTS // 8)
            self._count = 0
        self._slots[at] |= bit
        self._count += 1
        return False

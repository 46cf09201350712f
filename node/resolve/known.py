"""`Known`: whether an identifier was asked for before. What is asked for once and never again is not worth keeping."""

from typing import Final

from node.stamps import SLOTS

SLOTS_KNOWN: Final = SLOTS // 4
"""Slots remembered; with so many, one identifier in four is taken for one asked for before, and kept."""


class Known:
    """Which slots were asked for lately: their bits in `slots`, SLOTS / 8 octets, which others may write to as well.

    Once whoever looks here has set SLOTS_KNOWN of them, all are forgotten.
    """

    def __init__(self, slots: memoryview | bytearray) -> None:
        self._slots = slots
        self._count = 0

    def seen(self, slot: int) -> bool:
        """Whether `slot` was asked for before; from now on it was."""
        at, bit = slot >> 3, 1 << (slot & 7)
        if self._slots[at] & bit:
            return True
        if self._count >= SLOTS_KNOWN:
            self._slots[:] = bytes(SLOTS // 8)
            self._count = 0
        self._slots[at] |= bit
        self._count += 1
        return False

"""Memory that was freed is kept for what comes next.

Where bodies of megabytes come and go, glibc gives their pages back to the kernel, and gets empty ones for the next: an
eighth of the processor time of an import.
"""

import ctypes
from typing import Final

KEPT_OCTETS: Final = 64 << 20
"""Most octets at the end of the heap that are kept though nothing is in them: more than all bodies under way take, and
what they are made of."""
PIECE_OCTETS: Final = 32 << 20
"""Pieces up to this size are of the heap, and not mapped each by itself: the most glibc takes."""
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
"""Both as malloc.h has them; glibc chooses well as long as nobody says one of them."""


def keep_freed() -> None:
    """Has this process keep what it frees. Where the C library is another one, it is left as it is."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):
        mallopt(_M_TRIM_THRESHOLD, KEPT_OCTETS)
        mallopt(_M_MMAP_THRESHOLD, PIECE_OCTETS)

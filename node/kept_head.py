"""The head of the audit journal, kept on this machine: by it a journal that was cut or written anew is found.

It is sealed with the node's key. Whoever has the database and not this folder and the key cannot make it fit.
"""

import os
from pathlib import Path
from typing import Final

from registry.audit import Kept, Seal

_FILE: Final = "audit-head"


class KeptHead:
    """The file in `folder`, which `key` (32 octets) seals."""

    def __init__(self, folder: Path, key: bytes) -> None:
        self.path = folder / _FILE
        self._seal = Seal(key)

    def read(self) -> Kept | None:
        """What was kept last, `Kept()` when nothing was; None when it was not kept with this key. Raises OSError."""
        try:
            return self._seal.read(self.path.read_text("ascii", errors="replace"))
        except FileNotFoundError:
            return Kept()

    def write(self, kept: Kept) -> None:
        """Keeps another head: whoever reads sees the old one or the new one. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        fresh = self.path.with_suffix(".new")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(self._seal.written(kept) + "\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)

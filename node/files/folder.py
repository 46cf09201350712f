"""Files on disk: each encrypted, under its number, written whole or not at all. No database, nothing of their meaning.

Everything here waits for the disk: call it in a thread.
"""

import math
import os
import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from registry.account import Vault, derived

EACH_MOST: Final = 1000
"""Files of one subfolder, so that listing one is quick whatever there is in all."""
_DRAFT: Final = ".new"
_NUMBER: Final = re.compile(r"[0-9]{1,18}", re.ASCII)


class FolderError(Exception):
    """The disk, or what was found there, does not let this be done."""


class Folder:
    """The files under `path`: AES-256-GCM by a key derived from the node's `key`, each bound to its number."""

    def __init__(self, path: Path, key: bytes) -> None:
        self.path = path
        self._vault = Vault(derived(key, "files"))

    def keep(self, number: int, octets: bytes) -> bytes:
        """Keeps a file: it is on disk when this returns its sha256. Raises FolderError: it is not there."""
        place = self._place(number)
        draft = place.with_suffix(_DRAFT)
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            place.parent.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(self._vault.close(str(number), octets))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(place)
            _settle(place.parent)
            _settle(self.path)
        except OSError as error:
            raise FolderError(str(error)) from error
        return sha256(octets).digest()

    def read(self, number: int) -> bytes:
        """What is in a file. Raises FolderError when it is gone, was changed, or was kept under another key."""
        try:
            octets = self._vault.open(str(number), self._place(number).read_bytes())
        except OSError as error:
            raise FolderError(str(error)) from error
        if not octets:
            raise FolderError(f"file {number} was changed, or kept under another IDNODE_SECRET_KEY")
        return octets

    def remove(self, number: int) -> None:
        """Removes a file if it is there."""
        self._place(number).unlink(missing_ok=True)

    def subfolders(self) -> list[Path]:
        """Where files are. Raises OSError."""
        return [each for each in self.path.iterdir() if each.is_dir()] if self.path.exists() else []

    def older(self, subfolder: Path, than: float) -> list[int]:
        """The numbers of its files last written before `than` (seconds since 1970). Raises OSError.

        Drafts so old, left by a process that died, are removed on the way.
        """
        old = [entry for entry in subfolder.iterdir() if _written(entry) < than]
        for draft in (entry for entry in old if entry.suffix == _DRAFT):
            draft.unlink(missing_ok=True)
        return [int(entry.name) for entry in old if _NUMBER.fullmatch(entry.name)]

    def check(self) -> None:
        """Raises FolderError when files could not be kept here, or the folder not be made. Changes nothing."""
        there = next(each for each in (self.path, *self.path.absolute().parents) if each.exists())
        if not there.is_dir() or not os.access(there, os.R_OK | os.W_OK | os.X_OK):
            raise FolderError(f"{there}: no folder that may be written to")

    def _place(self, number: int) -> Path:
        return self.path / str(number // EACH_MOST) / str(number)


def _written(entry: Path) -> float:
    """When that was; never, if another one has removed it meanwhile."""
    try:
        return entry.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _settle(folder: Path) -> None:
    """Returns when the names in `folder` are on disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

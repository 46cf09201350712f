"""Files on their way in: told by content, scanned, drawn anew, encrypted, only then on record. And their way out.

What is taken stands in registry/file.py; requests and answers are node/listen/snms_files.py's.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from node import metrics
from node.config import Config
from node.files.folder import Folder, FolderError
from node.files.scanner import Scanner, ScannerAwayError
from node.gather import BusyError
from node.meter import Meter
from registry.file import UNLINKED_MOST, FileError, Kind, StoredFile, check_pdf, kind_of
from registry.steward import Steward

EACH_MOST: Final = 2
"""Files of one account on their way in at once."""
MOST: Final = 8
"""Files on their way into a worker at once: each is held up to three times over (as sent, as clear, as encrypted), so
120 MB at most, beside the picture that is decoded."""

log = structlog.get_logger("files")


class Intake:
    """Takes files in and gives them out. `scanner` None: files are not scanned."""

    def __init__(self, folder: Folder, scanner: Scanner | None, steward: Steward, meter: Meter) -> None:
        self.folder = folder
        self._scanner = scanner
        self._steward = steward
        self._meter = meter
        self._coming: Counter[int] = Counter()
        self._drawing = asyncio.Semaphore(1)

    @classmethod
    def of(cls, config: Config, steward: Steward, meter: Meter) -> "Intake | None":
        """As the settings say; None where they name no folder."""
        if not config.files:
            return None
        scanner = Scanner(config.clamd) if config.clamd else None
        return cls(Folder(Path(config.files), config.key()), scanner, steward, meter)

    @contextmanager
    def place(self, account: int) -> Iterator[None]:
        """Held while a file of that account is received and taken. Raises BusyError beyond EACH_MOST or MOST."""
        if self._coming.total() >= MOST or self._coming[account] >= EACH_MOST:
            raise BusyError
        self._coming[account] += 1
        try:
            yield
        finally:
            self._coming[account] -= 1
            self._coming += Counter()  # forgets who has none

    async def take(self, account: int, octets: bytes, now: datetime) -> int:
        """Keeps a file of that account; its number.

        Raises FileError for one that is not taken; ScannerAwayError, FolderError and RegistryErrors when none is now.
        """
        try:
            number = await self._take(account, octets, now)
        except FileError:
            self._meter.count(metrics.UPLOADS, "refused")
            raise
        except (ScannerAwayError, FolderError) as error:
            self._meter.count(metrics.UPLOADS, "failed")
            log.error("file_not_taken", kind=type(error).__name__, error=str(error))
            raise
        self._meter.count(metrics.UPLOADS, "taken")
        return number

    async def _take(self, account: int, octets: bytes, now: datetime) -> int:
        kind = kind_of(octets)
        await self._scan(account, octets)
        kind, kept = await self._cleared(kind, octets)
        number = await self._steward.reserve_file(account)
        if number is None:
            raise FileError(
                f"尚未使用的文件已有{UNLINKED_MOST}个，请先使用，或一天后再上传",
                f"{UNLINKED_MOST} files are not used yet; use them, or come back in a day",
            )
        digest = await asyncio.to_thread(self.folder.keep, number, kept)
        await self._steward.add_file(StoredFile(number, account, kind, len(kept), digest), now)
        return number

    async def _scan(self, account: int, octets: bytes) -> None:
        found = await self._scanner.infection(octets) if self._scanner else ""
        if found:
            log.warning("file_infected", account=account, infection=found)
            raise FileError(f"文件含有病毒（{found}）", f"the file is infected ({found})")

    async def _cleared(self, kind: Kind, octets: bytes) -> tuple[Kind, bytes]:
        if kind is Kind.PDF:
            check_pdf(octets)
            return kind, octets
        async with self._drawing:
            return await asyncio.to_thread(_drawn_anew, octets, kind)

    async def content(self, number: int) -> bytes:
        """What is in a file. Raises FolderError when that cannot be had."""
        return await asyncio.to_thread(self.folder.read, number)


def _drawn_anew(octets: bytes, kind: Kind) -> tuple[Kind, bytes]:
    from node.files.pictures import drawn_anew  # noqa: PLC0415 - 3 MB of a worker, and few ever need it

    return drawn_anew(octets, kind)

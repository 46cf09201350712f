"""Removes files nobody linked in time, and what is long on disk without being on record, hour by hour, everywhere.

Several may do so at once, with one folder: what is gone for one is gone for the other.
"""

import asyncio
from datetime import datetime
from typing import Final

import structlog

from node import clock
from node.files.folder import Folder
from registry.errors import UnavailableError, UnknownOutcomeError
from registry.file import UNRECORDED_LIFE
from registry.lookup import Lookup
from registry.steward import Steward

SWEEP_SECONDS: Final = 3600.0

log = structlog.get_logger("files")


async def run(folder: Folder, steward: Steward, lookup: Lookup) -> None:
    """Sweeps for ever."""
    while True:
        try:
            await sweep(folder, steward, lookup, clock.utc())
        except (OSError, UnavailableError, UnknownOutcomeError) as error:
            log.warning("files_not_swept", kind=type(error).__name__, error=str(error))
        except Exception:  # a mistake of ours in the housework must not end the worker
            log.exception("files_not_swept")
        await asyncio.sleep(SWEEP_SECONDS)


async def sweep(folder: Folder, steward: Steward, lookup: Lookup, now: datetime) -> int:
    """Sweeps once; how many files were removed.

    First from the record, then from the disk: what is interrupted between the two is without record, and found later.
    """
    removed = 0
    while numbers := await steward.remove_unlinked_files(now):
        removed += await _remove(folder, numbers)
    # A file is in its place before it is on record, so a young one without record may be on its way.
    for subfolder in await asyncio.to_thread(folder.subfolders):
        numbers = await asyncio.to_thread(folder.older, subfolder, (now - UNRECORDED_LIFE).timestamp())
        removed += await _remove(folder, sorted(set(numbers) - await lookup.files_known(numbers)))
    if removed:
        log.info("files_removed", count=removed)
    return removed


async def _remove(folder: Folder, numbers: list[int]) -> int:
    for number in numbers:
        await asyncio.to_thread(folder.remove, number)
    return len(numbers)

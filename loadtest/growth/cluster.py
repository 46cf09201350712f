"""The files of a PostgreSQL on this machine and what it can be asked to do: pages forgotten and read, room, vacuum.

Its statements are about tables as such; what stands in them is filling.py's.
"""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import asyncpg

BLOCK: Final = 1 << 20
"""Octets read at a time."""
STATEMENT_SECONDS: Final = 7200.0
"""Longest statement: a vacuum of a hundred million records on a slow disk."""

_ROOM: Final = """
    SELECT count(*) AS records,
        pg_table_size('record') AS table, pg_indexes_size('record') AS index,
        pg_total_relation_size('history') AS history,
        pg_total_relation_size('change') + pg_total_relation_size('change_volume') AS changes,
        pg_database_size(current_database()) AS database
    FROM record
"""
_CHECKPOINT_BY: Final = "postgres"
"""Who may call for a checkpoint in the cluster `up` has made: the node's own user may not."""


def files(url: str) -> list[Path]:
    """The data files of the cluster whose socket `url` names; empty when they are not this machine's, or not ours."""
    (folder,) = parse_qs(urlsplit(url).query).get("host", [""])
    base = Path(folder) / "base"
    with suppress(OSError):
        return [path for path in base.rglob("*") if path.is_file() and os.access(path, os.R_OK)]
    return []


def forget(url: str) -> bool:
    """Has the system forget what it keeps of these files in memory (posix_fadvise(2)); False: there are none.

    To be called when the server is stopped: what is not yet written cannot be forgotten.
    """
    found = files(url)
    for path in found:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
    return bool(found)


def remember(url: str) -> None:
    """Reads all of these files, so that they lie in the system's memory as far as it goes."""
    for path in files(url):
        with suppress(FileNotFoundError), path.open("rb", buffering=0) as file:
            while file.read(BLOCK):
                continue


@dataclass(frozen=True, slots=True)
class Room:
    """Octets of tables with all that belongs to them, and how many records there are."""

    records: int
    octets: Mapping[str, int]

    def each(self, name: str) -> float:
        """Octets a record."""
        return self.octets[name] / self.records


async def room(url: str) -> Room:
    """What the tables take."""
    row = dict(await _asked(url, "fetchrow", _ROOM))
    return Room(row.pop("records"), row)


async def vacuumed(url: str) -> float:
    """Seconds of a vacuum of `record` that looks at every page."""
    return await _timed(url, "VACUUM (DISABLE_PAGE_SKIPPING, ANALYZE) record")


async def checkpointed(url: str) -> float:
    """Seconds of a checkpoint."""
    parts = urlsplit(url)
    return await _timed(parts._replace(netloc=f"{_CHECKPOINT_BY}@").geturl(), "CHECKPOINT")


async def _timed(url: str, statement: str) -> float:
    began = time.perf_counter()
    await _asked(url, "execute", statement)
    return time.perf_counter() - began


async def _asked(url: str, how: str, statement: str) -> Any:
    connection = await asyncpg.connect(url, command_timeout=STATEMENT_SECONDS)
    try:
        return await getattr(connection, how)(statement)
    finally:
        await connection.close()

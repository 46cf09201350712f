"""Files in the database: whose they are, what they were linked with. What is in them lies elsewhere."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from registry.file import UNLINKED_LIFE, UNLINKED_MOST, Kind, StoredFile
from registry.postgres.connection import Connection

REMOVED_MOST: Final = 1000
"""Most rows removed at once: the files themselves are removed after them, one by one."""


async def reserve(connection: Connection, account: int) -> int | None:
    """The number of a file that is about to be kept; None when the account has UNLINKED_MOST without link."""
    number = await connection.fetchval(
        """
        SELECT nextval(pg_get_serial_sequence('file', 'number'))
        WHERE (SELECT count(*) FROM file WHERE account_no = $1 AND linked IS NULL) < $2
        """,
        account,
        UNLINKED_MOST,
    )
    return None if number is None else int(number)


async def add(connection: Connection, file: StoredFile, created: datetime) -> None:
    """Keeps what is known of a file, which is in its place already."""
    await connection.execute(
        "INSERT INTO file (number, account_no, kind, octets, sha256, created) VALUES ($1, $2, $3, $4, $5, $6)",
        file.number,
        file.account,
        file.kind,
        file.octets,
        file.sha256,
        created,
    )


async def link(connection: Connection, number: int, account: int, purpose: str) -> bool:
    """Makes a file part of something, for good: once, and only by whom it belongs to; False when that cannot be.

    Call it in the transaction that makes the something: what is linked is never removed.
    """
    done = await connection.fetchval(
        "UPDATE file SET purpose = $3, linked = now() WHERE number = $1 AND account_no = $2 AND linked IS NULL "
        "RETURNING true",
        number,
        account,
        purpose,
    )
    return bool(done)


async def found(connection: Connection, number: int) -> StoredFile | None:
    """The file of that number."""
    row = await connection.fetchrow(
        "SELECT number, account_no, kind, octets, sha256 FROM file WHERE number = $1", number
    )
    return StoredFile(row[0], row[1], Kind(row[2]), row[3], bytes(row[4])) if row else None


async def remove_unlinked(connection: Connection, now: datetime) -> list[int]:
    """Forgets REMOVED_MOST files at most that were not linked within UNLINKED_LIFE; their numbers."""
    rows = await connection.fetch(
        """
        DELETE FROM file WHERE linked IS NULL AND number IN (
            SELECT number FROM file WHERE linked IS NULL AND created < $1 ORDER BY created LIMIT $2
            FOR UPDATE SKIP LOCKED)
        RETURNING number
        """,
        now - UNLINKED_LIFE,
        REMOVED_MOST,
    )
    return [row[0] for row in rows]


async def known(connection: Connection, numbers: Sequence[int]) -> set[int]:
    """Those of `numbers` that there are files of."""
    return {row[0] for row in await connection.fetch("SELECT number FROM file WHERE number = ANY ($1)", numbers)}

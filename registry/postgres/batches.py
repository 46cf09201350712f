"""The record every batch leaves: who, when, how many rows, and what came of them. Kept KEPT_DAYS."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from registry.postgres.connection import Connection

KEPT_DAYS: Final = 90
"""Days a batch's record is kept: a quarter, in which a factory has reconciled."""
REASONS_MOST: Final = 200
"""Most refused rows a record names with their reasons; the client was told all of them in the answer."""
TEXT_MOST: Final = 500
"""Most characters kept of what a row called its identifier, and of its reason: twice the longest identifier."""
PAGE_MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Batch:
    """What one batch did. `reasons` are (row from 1, identifier, reason) of refused rows."""

    account: int
    operation: str
    rows: int
    succeeded: int
    existed_alike: int
    existed_different: int
    refused: int
    reasons: tuple[tuple[int, str, str], ...]


async def add(connection: Connection, batch: Batch, made: datetime) -> int:
    """Keeps the record of a batch, dropping a few of those past their days; its number."""
    return int(
        await connection.fetchval(
            """
            WITH gone AS (
                DELETE FROM batch WHERE number IN (SELECT number FROM batch WHERE made < $10
                    LIMIT 10 FOR UPDATE SKIP LOCKED)
            )
            INSERT INTO batch (account_no, made, operation, rows, succeeded, existed_alike, existed_different, refused,
                reasons)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9::text::jsonb) RETURNING number
            """,
            batch.account,
            made,
            batch.operation,
            batch.rows,
            batch.succeeded,
            batch.existed_alike,
            batch.existed_different,
            batch.refused,
            msgspec.json.encode([(n, _kept(i), _kept(why)) for n, i, why in batch.reasons[:REASONS_MOST]]).decode(),
            made - timedelta(days=KEPT_DAYS),
        )
    )


def _kept(text: str) -> str:
    """`text`, which may be anything a client sent, as jsonb can hold it."""
    return text[:TEXT_MOST].replace("\0", "\N{REPLACEMENT CHARACTER}")


_LISTED: Final = """
    SELECT b.number, a.username, b.made, b.operation, b.rows, b.succeeded, b.existed_alike, b.existed_different,
        b.refused, b.reasons::text AS reasons
    FROM batch b JOIN account a ON a.number = b.account_no
    WHERE b.number < $2 AND {} ORDER BY b.number DESC LIMIT $3
"""
# Two statements: one for both cases would be planned for neither, and walk through everybody's batches.
_OF_ALL: Final = _LISTED.format("$1::integer IS NULL")
_OF_ONE: Final = _LISTED.format("b.account_no = $1")


async def listed(connection: Connection, account: int | None, below: int, most: int) -> list[dict[str, Any]]:
    """Records with numbers below `below`, newest first, at most `most`; of one account, or of all when None."""
    rows = await connection.fetch(_OF_ALL if account is None else _OF_ONE, account, below, min(most, PAGE_MOST))
    return [{**row, "made": row["made"].isoformat(), "reasons": msgspec.json.decode(row["reasons"])} for row in rows]

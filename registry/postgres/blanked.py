"""Values that are blanked, in the database: records and history without them, and the note that says so."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from registry.postgres import holdings
from registry.postgres.connection import Connection
from registry.postgres.records import Change

VERSIONS_AT_ONCE: Final = 200
"""Earlier versions that are read and blanked together: of the richest records some megabytes."""


Mark = tuple[int, int, str]
"""A value that is blanked in one version: the version, its index and type."""


class Note(NamedTuple):
    """By whom and why."""

    actor: int
    reason: str


class Earlier(NamedTuple):
    """An earlier version of an identifier, as it is kept."""

    version: int
    template: int
    template_epoch: int
    updated: int
    body: bytes


async def renew(
    connection: Connection,
    prefix: tuple[int, int],
    at: int,
    change: Change,
    before: bytes,
    marks: Sequence[Mark],
    note: Note,
) -> bool:
    """Writes `change`, which lacks some values and what they held, of a prefix (number and epoch); the version it comes
    after is kept with the body `before`. False, and nothing is written, when it is not the newest any more.
    """
    async with connection.transaction():
        written = await connection.fetchval(
            "SELECT blank_record($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
            *(*prefix, at, change.suffix, change.base, change.template, change.actor),
            *(before, change.body, change.entry, change.digest),
        )
        if written:
            lost = [holdings.held(1, False, prefix[0], change.suffix, what) for what in change.loses]
            await holdings.keep(connection, lost)
            await _mark(connection, prefix[0], change.suffix, marks, note)
    return bool(written)


async def earlier(connection: Connection, prefix: int, suffix: str, below: int) -> list[Earlier]:
    """The newest VERSIONS_AT_ONCE versions in history below a number that have values, newest first."""
    rows = await connection.fetch(
        """
        SELECT h.version, h.template_no, coalesce(t.epoch, 0), h.updated + 2147483648, h.body
        FROM history h LEFT JOIN template t ON t.number = h.template_no
        WHERE h.prefix_no = $1 AND h.suffix = $2 AND h.version < $3 AND h.body IS NOT NULL
        ORDER BY h.version DESC LIMIT $4
        """,
        prefix,
        suffix,
        below,
        VERSIONS_AT_ONCE,
    )
    return [Earlier(*row) for row in rows]


async def blank(
    connection: Connection,
    prefix: int,
    suffix: str,
    changed: Sequence[tuple[Earlier, bytes]],
    marks: Sequence[Mark],
    note: Note,
) -> set[int]:
    """Gives earlier versions other bodies; the versions that were still as they are said to be, and have them now."""
    async with connection.transaction():
        versions, old = [each.version for each, _ in changed], [each.body for each, _ in changed]
        new = [body for _, body in changed]
        query = "SELECT blank_history($1, $2, $3, $4, $5)"
        done = set(await connection.fetchval(query, prefix, suffix, versions, old, new))
        await _mark(connection, prefix, suffix, [mark for mark in marks if mark[0] in done], note)
    return done


async def _mark(connection: Connection, prefix: int, suffix: str, marks: Sequence[Mark], note: Note) -> None:
    columns: tuple[Sequence[Any], ...] = tuple(zip(*marks, strict=True)) or ((), (), ())
    await connection.execute(
        """
        INSERT INTO blanked (prefix_no, suffix, version, index, type, actor_no, reason)
        SELECT $1, $2, m.version, m.index, m.type, $6, $7
        FROM unnest($3::integer[], $4::integer[], $5::text[]) m(version, index, type)
        """,
        prefix,
        suffix,
        *columns,
        *note,
    )

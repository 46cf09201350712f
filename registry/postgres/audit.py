"""The audit journal in the database: entries are added and read, never changed."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import asyncpg

from registry.audit import OF_AUDITORS, RESERVE_OCTETS, Entry, Head, Row, detail_text
from registry.errors import AuditFullError
from registry.postgres.connection import Connection

_FULL: Final = "ID005"


async def append(connection: Connection, entries: Iterable[Entry], most: int) -> None:
    """Adds entries in the caller's transaction, as the last thing it does: nobody else adds any before it ends.

    Raises AuditFullError when the journal would take more than `most` octets.
    """
    for entry in entries:
        who = entry.actor
        room = most + RESERVE_OCTETS if entry.action in OF_AUDITORS else most
        try:
            await connection.fetchval(
                "SELECT append_audit($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                who.number,
                who.name,
                who.role,
                who.peer,
                entry.action,
                entry.objects,
                detail_text(entry.before),
                detail_text(entry.after),
                entry.octets,
                entry.room,
                room,
            )
        except asyncpg.PostgresError as error:
            if error.sqlstate == _FULL:
                raise AuditFullError from None
            raise


async def keep_settings(connection: Connection, machine: str, settings: str) -> str | None:
    """Keeps what a machine is set to; what it was set to before, None when it is new."""
    before = await connection.fetchval("SELECT settings FROM machine_setting WHERE machine = $1 FOR UPDATE", machine)
    await connection.execute(
        "INSERT INTO machine_setting VALUES ($1, $2) ON CONFLICT (machine) DO UPDATE SET settings = $2",
        machine,
        settings,
    )
    return str(before) if before is not None else None


async def head(connection: Connection) -> tuple[Head, int]:
    """The head of the journal, and the octets it takes."""
    row = await connection.fetchrow("SELECT number, digest, octets FROM audit_head")
    return Head(row[0], bytes(row[1])), row[2]


async def digest(connection: Connection, number: int) -> bytes | None:
    """The digest of the entry with that number; None when there is none."""
    found = await connection.fetchval("SELECT digest FROM audit WHERE number = $1", number)
    return bytes(found) if found is not None else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries: of an actor (by name), an action, that name an object; `since` and `until` in milliseconds
    since 1970 UTC. None: any.
    """

    actor: str | None = None
    action: str | None = None
    object: str | None = None
    since: int | None = None
    until: int | None = None


_TESTS: Final = {
    "actor": "a.actor = ${}",
    "action": "a.action = ${}",
    "object": "o.object = ${}",
    # Times grow with numbers: from the first entry that is not older, up to the first that is not older than the end.
    "since": "a.number >= (SELECT number FROM audit WHERE at >= ${} ORDER BY at, number LIMIT 1)",
    "until": "a.number < coalesce((SELECT number FROM audit WHERE at >= ${} ORDER BY at, number LIMIT 1), "
    "9223372036854775807)",
}
_NAMING: Final = "audit_object o CROSS JOIN LATERAL (SELECT * FROM audit WHERE number = o.number LIMIT 1) a"


async def rows(
    connection: Connection, wanted: Wanted, *, above: int = 0, below: int | None = None, most: int
) -> list[Row]:
    """At most `most` entries with numbers above `above`, oldest first; with `below` those under it, newest first."""
    number = "a.number" if wanted.object is None else "o.number"
    given: list[object] = [most, above if below is None else below]
    tests = [f"{number} > $2" if below is None else f"{number} < $2"]
    for name, test in _TESTS.items():
        if (value := getattr(wanted, name)) is not None:
            given.append(value)
            tests.append(test.format(len(given)))
    found = await connection.fetch(
        f"SELECT {', '.join(f'a.{name}' for name in Row._fields)} "  # noqa: S608 - words of ours
        f"FROM {'audit a' if wanted.object is None else _NAMING} WHERE {' AND '.join(tests)} "
        f"ORDER BY {number} {'ASC' if below is None else 'DESC'} LIMIT $1",
        *given,
    )
    return [Row(**each) for each in found]

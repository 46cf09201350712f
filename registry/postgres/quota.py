"""Quotas in the database: what enterprises may have, what they have, and their calls of a day."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from registry.postgres.connection import Connection
from registry.quota import Quota, Usage

CALL_DAYS: Final = 400
"""Days the calls of an enterprise are kept: a year can be compared with the one before."""


async def enterprise_of(connection: Connection, name: str) -> int | None:
    """The enterprise called `name`, or whose prefix is."""
    if "\0" in name:  # PostgreSQL refuses such text
        return None
    found: int | None = await connection.fetchval(
        "SELECT number FROM enterprise WHERE name = $1 UNION ALL SELECT enterprise_no FROM prefix WHERE name = $1", name
    )
    return found


async def put(connection: Connection, enterprise: int, wanted: Mapping[str, int | None]) -> tuple[str, Quota, Quota]:
    """Sets what an enterprise may have; what is not `wanted` stays. Its name, what it might have before, and may now.

    What was judged before is not written if it would have more.
    """
    async with connection.transaction():
        # Nobody sets it or adds a prefix meanwhile, whose stream we would not see.
        await connection.execute("SELECT number FROM catalogue FOR UPDATE")
        known = await connection.fetchrow(
            "SELECT identifiers, calls, room FROM quota WHERE enterprise_no = $1", enterprise
        )
        before = Quota(*known) if known else Quota()
        quota = before._replace(**wanted)
        # The streams first: who writes to one asks for the quota afterwards.
        await connection.execute(
            "UPDATE stream SET limited = $2 WHERE prefix_no IN (SELECT number FROM prefix WHERE enterprise_no = $1)",
            enterprise,
            quota.identifiers is not None or quota.room is not None,
        )
        await connection.execute(
            """
            INSERT INTO quota VALUES ($1, $2, $3, $4) ON CONFLICT (enterprise_no) DO UPDATE
            SET identifiers = excluded.identifiers, calls = excluded.calls, room = excluded.room
            """,
            enterprise,
            *quota,
        )
        name = await connection.fetchval("SELECT name FROM enterprise WHERE number = $1", enterprise)
    return str(name), before, quota


async def of(connection: Connection, enterprise: int, day: date) -> tuple[str, Quota, Usage]:
    """The name of an enterprise, what it may have, and what it has."""
    row = await connection.fetchrow(
        """
        SELECT e.name, q.identifiers, q.calls, q.room, coalesce(s.live, 0), coalesce(c.made, 0), coalesce(s.octets, 0)
        FROM enterprise e LEFT JOIN quota q ON q.enterprise_no = e.number
        LEFT JOIN calls c ON c.enterprise_no = e.number AND c.day = $2
        LEFT JOIN LATERAL (
            SELECT sum(live)::bigint AS live, sum(octets)::bigint AS octets
            FROM prefix JOIN stream ON prefix_no = prefix.number WHERE prefix.enterprise_no = e.number
        ) s ON true
        WHERE e.number = $1
        """,
        enterprise,
        day,
    )
    return row[0], Quota(*row[1:4]), Usage(*row[4:])


async def add_calls(connection: Connection, day: date, made: dict[int, int]) -> None:
    """Adds calls to those of a day, by enterprise."""
    rows: list[Any] = sorted(made.items())  # in one order: two workers never wait for each other in a circle
    await connection.execute(
        """
        INSERT INTO calls SELECT $1, e.number, e.made FROM unnest($2::integer[], $3::bigint[]) e(number, made)
        ON CONFLICT (day, enterprise_no) DO UPDATE SET made = calls.made + excluded.made
        """,
        day,
        [number for number, _ in rows],
        [count for _, count in rows],
    )


async def calls_left(connection: Connection, day: date) -> dict[int, int]:
    """The calls each enterprise that has a quota of them may still make on a day."""
    rows = await connection.fetch(
        """
        SELECT q.enterprise_no, q.calls - coalesce(c.made, 0)
        FROM quota q LEFT JOIN calls c ON c.enterprise_no = q.enterprise_no AND c.day = $1 WHERE q.calls IS NOT NULL
        """,
        day,
    )
    return {row[0]: row[1] for row in rows}


async def forget_calls(connection: Connection, day: date) -> None:
    """Forgets the calls of days CALL_DAYS before `day`."""
    await connection.execute("DELETE FROM calls WHERE day < $1::date - $2::integer", day, CALL_DAYS)

"""What IIIDAP tells of prefixes and their enterprises, and what those let everybody see, in the database.

Nothing is told of what has moved to another node (registry/filing.py, Filing.MOVED): that one tells it.
"""

from collections.abc import Sequence
from datetime import UTC
from typing import Any, Final

import msgspec

from registry.disclosure import SHOWN, Disclosure, Entry, Filed, from_json, to_json
from registry.postgres.connection import Connection
from registry.prefix import PrefixState

_ENTRY: Final = """
    SELECT p.name AS prefix, p.state, p.created, e.number, e.name, e.name_en, e.industry, d.given::text AS given,
        c.chosen::text AS chosen, a.photo
    FROM prefix p JOIN enterprise e ON e.number = p.enterprise_no
    LEFT JOIN particulars d ON d.enterprise_no = e.number
    LEFT JOIN disclosure c ON c.enterprise_no = e.number
    LEFT JOIN LATERAL (
        SELECT (form -> 'entBasicInfo' ->> 'orgCrtImgRid')::bigint AS photo FROM application
        WHERE enterprise_no = e.number AND state = {passed} ORDER BY number DESC LIMIT 1
    ) a ON true
    WHERE p.state = ANY ($1) AND NOT EXISTS (SELECT FROM filing f WHERE f.prefix_no = p.number AND f.state = 4) AND {}
    ORDER BY p.number
"""
_PASSED: Final = int(PrefixState.IN_REVIEW)
_BY_PREFIX: Final = _ENTRY.format("p.name = $2", passed=_PASSED)
_BY_ENTERPRISE: Final = _ENTRY.format("p.enterprise_no = ANY ($2)", passed=_PASSED) + " LIMIT $3"


def _entry(row: Any) -> Entry:
    given, chosen = row["given"], row["chosen"]
    return Entry(
        prefix=row["prefix"],
        state=PrefixState(row["state"]),
        registered=row["created"].astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        enterprise=row["number"],
        name=row["name"],
        name_en=row["name_en"],
        industry=row["industry"],
        filed=msgspec.json.decode(given, type=Filed) if given else None,
        disclosure=from_json(chosen.encode()) if chosen else Disclosure(),
        photo=row["photo"],
    )


async def entry(connection: Connection, prefix: str) -> Entry | None:
    """The prefix of that name, if it is allocated to an enterprise."""
    row = await connection.fetchrow(_BY_PREFIX, list(SHOWN), prefix)
    return _entry(row) if row else None


async def entries(connection: Connection, enterprises: Sequence[int], most: int) -> list[Entry]:
    """The prefixes allocated to those enterprises, `most` at most."""
    return [_entry(row) for row in await connection.fetch(_BY_ENTERPRISE, list(SHOWN), enterprises, most)]


async def names(connection: Connection, after: int, most: int) -> list[tuple[int, str, str]]:
    """(number, name, name_en) of enterprises whose number is above `after`, in order, `most` at most."""
    rows = await connection.fetch(
        "SELECT number, name, name_en FROM enterprise WHERE number > $1 ORDER BY number LIMIT $2", after, most
    )
    return [tuple(row) for row in rows]


async def chosen(connection: Connection, enterprise: int) -> Disclosure:
    """What an enterprise has chosen."""
    kept = await connection.fetchval("SELECT chosen::text FROM disclosure WHERE enterprise_no = $1", enterprise)
    return from_json(kept.encode()) if kept else Disclosure()


async def choose(connection: Connection, enterprise: int, disclosure: Disclosure) -> None:
    """Keeps what an enterprise has chosen."""
    await connection.execute(
        """
        INSERT INTO disclosure (enterprise_no, chosen) VALUES ($1, $2::text::jsonb)
        ON CONFLICT (enterprise_no) DO UPDATE SET chosen = excluded.chosen
        """,
        enterprise,
        to_json(disclosure).decode(),
    )

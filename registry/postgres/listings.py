"""The identifiers of a template in the database, page by page, and when and by whom identifiers were written."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from registry.postgres.connection import Connection


class Authors(NamedTuple):
    """When an identifier was first and last written, and the user names of who did; None: not known."""

    created: datetime
    updated: datetime
    creator: str | None
    updater: str | None


_AUTHORS: Final = """
    SELECT coalesce(h.updated, r.updated) + 2147483648 AS created, r.updated + 2147483648 AS updated,
        (SELECT username FROM account WHERE number = coalesce(h.actor_no, r.actor_no)) AS creator,
        (SELECT username FROM account WHERE number = r.actor_no) AS updater
    FROM unnest($2::text[]) WITH ORDINALITY q(suffix, n)
    LEFT JOIN LATERAL (SELECT * FROM record WHERE prefix_no = $1 AND suffix = q.suffix LIMIT 1) r ON true
    LEFT JOIN LATERAL (
        SELECT updated, actor_no FROM history WHERE prefix_no = $1 AND suffix = q.suffix ORDER BY version LIMIT 1
    ) h ON true
    ORDER BY q.n
"""


async def authors(connection: Connection, prefix: int, suffixes: Sequence[str]) -> list[Authors | None]:
    """Those of the identifiers with these suffix keys under the prefix of that number, in order."""
    return [_authors(row) for row in await connection.fetch(_AUTHORS, prefix, suffixes)]


def _authors(row: Any) -> Authors | None:
    if row["updated"] is None:
        return None
    created, updated = (datetime.fromtimestamp(row[name], UTC) for name in ("created", "updated"))
    return Authors(created, updated, row["creator"], row["updater"])


class Asked(NamedTuple):
    """Live identifiers of a template (numbers), whose suffix holds `part`, last written in a span of time (seconds
    since 1970 UTC).
    """

    prefix: int
    template: int
    part: str
    since: int
    until: int


_OF: Final = """
    SELECT r.suffix FROM record r WHERE r.prefix_no = $1 AND r.template_no = $2 AND r.body IS NOT NULL
    AND strpos(r.suffix, $3) > 0 AND r.updated BETWEEN $4::bigint - 2147483648 AND $5::bigint - 2147483648
"""
_COUNT: Final = "SELECT count(*) FROM ({} LIMIT $6) found"


async def page(connection: Connection, asked: Asked, skipped: int, size: int, most: int) -> tuple[int, list[str]]:
    """How many there are, counted to `most`, and the suffix keys of `size` of them in order behind those `skipped`."""
    count = await connection.fetchval(_COUNT.format(_OF), *asked, most)
    rows = await connection.fetch(_OF + " ORDER BY r.suffix OFFSET $6 LIMIT $7", *asked, skipped, size)
    return count, [row[0] for row in rows]


_LIVE: Final = "SELECT coalesce(sum(live), 0)::bigint FROM stream WHERE prefix_no = $1"
_ALL: Final = """
    SELECT suffix FROM record WHERE prefix_no = $1 AND body IS NOT NULL ORDER BY suffix OFFSET $2 LIMIT $3
"""


async def under(connection: Connection, prefix: int, skipped: int, size: int) -> tuple[int, list[str]]:
    """How many live identifiers a prefix has, and the suffix keys of `size` of them in order behind those `skipped`.

    PostgreSQL passes over those skipped one by one, some million a second.
    """
    count = await connection.fetchval(_LIVE, prefix)
    rows = await connection.fetch(_ALL, prefix, skipped, size) if size else []
    return count, [row[0] for row in rows]

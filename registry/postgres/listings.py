"""The identifiers of a template in the database, page by page, and when and by whom identifiers were written."""

from datetime import UTC, datetime
from typing import NamedTuple

from registry.postgres.connection import Connection


class Authors(NamedTuple):
    """When an identifier was first and last written, and the user names of who did; None: not known."""

    created: datetime
    updated: datetime
    creator: str | None
    updater: str | None


_AUTHORS = """
    SELECT coalesce(h.updated, r.updated) + 2147483648 AS created, r.updated + 2147483648 AS updated,
        (SELECT username FROM account WHERE number = coalesce(h.actor_no, r.actor_no)) AS creator,
        (SELECT username FROM account WHERE number = r.actor_no) AS updater
    FROM record r LEFT JOIN LATERAL (
        SELECT updated, actor_no FROM history
        WHERE prefix_no = r.prefix_no AND suffix = r.suffix ORDER BY version LIMIT 1
    ) h ON true
    WHERE r.prefix_no = $1 AND r.suffix = $2
"""


async def authors(connection: Connection, prefix: int, suffix: str) -> Authors | None:
    """Those of the identifier with that suffix key under the prefix of that number."""
    row = await connection.fetchrow(_AUTHORS, prefix, suffix)
    if row is None:
        return None
    created, updated = (datetime.fromtimestamp(row[name], UTC) for name in ("created", "updated"))
    return Authors(created, updated, row["creator"], row["updater"])

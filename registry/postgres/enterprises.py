"""Enterprises and their prefixes as people look them up, in the database."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from registry.hosting import ProxyState
from registry.postgres.connection import Connection

_LAST: Final = """
    LEFT JOIN LATERAL (
        SELECT number, form, sealed, updated FROM application WHERE enterprise_no = e.number
        ORDER BY number DESC LIMIT 1
    ) a ON true
    LEFT JOIN particulars d ON d.enterprise_no = e.number
"""
_ENTERPRISE: Final = f"""
    SELECT e.number, e.name, e.created, greatest(e.created, a.updated) AS updated, a.form::text, a.sealed,
        d.given::text, coalesce(d.ent_id, '') AS ent_id,
        ARRAY(SELECT open_id FROM account u WHERE u.enterprise_no = e.number AND open_id IS NOT NULL ORDER BY u.number)
            AS open_ids
    FROM enterprise e {_LAST}
"""  # noqa: S608 - of our own text alone


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a list holds: of one enterprise (None: of all), whose text contains `name`, made from `first` to `last`;
    the page `number`, counted from 1, of `size` rows.
    """

    enterprise: int | None
    name: str
    first: datetime | None
    last: datetime | None
    number: int
    size: int
    prefix: str = ""

    @property
    def bounds(self) -> tuple[int | None, str, datetime | None, datetime | None]:
        """What every list is bounded by."""
        return self.enterprise, self.name, self.first, self.last

    @property
    def rows(self) -> tuple[int, int]:
        """Rows of the page, and rows before it."""
        return self.size, (self.number - 1) * self.size


_ENTERPRISES: Final = """
    WHERE ($1::integer IS NULL OR e.number = $1) AND position($2::text IN e.name) > 0
        AND ($3::timestamptz IS NULL OR e.created >= $3) AND ($4::timestamptz IS NULL OR e.created <= $4)
"""


async def page(connection: Connection, wanted: Wanted) -> tuple[int, list[Any]]:
    """How many enterprises there are as wanted, and the rows of the page, newest first.

    Rows of (number, name, created, updated, form, sealed, given, ent_id, open_ids): the form is that of the last
    application, `given` are the particulars that are filed; each is None where there is none.
    """
    total = await connection.fetchval(f"SELECT count(*) FROM enterprise e {_ENTERPRISES}", *wanted.bounds)  # noqa: S608
    rows = await connection.fetch(
        f"{_ENTERPRISE} {_ENTERPRISES} ORDER BY e.number DESC LIMIT $5 OFFSET $6", *wanted.bounds, *wanted.rows
    )
    return int(total), list(rows)


async def found(connection: Connection, number: int) -> Any:
    """The row of one enterprise; None when there is none."""
    return await connection.fetchrow(f"{_ENTERPRISE} WHERE e.number = $1", number)


_PREFIXES: Final = """
    FROM prefix p JOIN enterprise e ON e.number = p.enterprise_no
    WHERE ($1::integer IS NULL OR e.number = $1) AND position($2::text IN e.name) > 0
        AND ($3::timestamptz IS NULL OR p.created >= $3) AND ($4::timestamptz IS NULL OR p.created <= $4)
        AND position($5::text IN p.name) > 0
"""


async def prefixes(connection: Connection, wanted: Wanted) -> tuple[int, list[Any]]:
    """How many prefixes there are as wanted, and the rows of the page, newest first.

    Rows of (number, name, created, updated, state, enterprise, entity, proxy). What an operator enrolled is hosted
    here; whoever applied says where.
    """
    total = await connection.fetchval(f"SELECT count(*) {_PREFIXES}", *wanted.bounds, wanted.prefix)
    rows = await connection.fetch(
        f"""
        SELECT p.number, p.name, p.created, p.state, e.number AS enterprise, e.name AS entity,
            greatest(p.created, (SELECT updated FROM hosting h WHERE h.prefix_no = p.number)) AS updated,
            coalesce(
                (SELECT state FROM hosting h WHERE h.prefix_no = p.number),
                (SELECT $8::smallint FROM application a WHERE a.enterprise_no = e.number LIMIT 1), $9::smallint
            ) AS proxy
        {_PREFIXES} ORDER BY p.number DESC LIMIT $6 OFFSET $7
        """,  # noqa: S608
        *wanted.bounds,
        wanted.prefix,
        *wanted.rows,
        ProxyState.OWN,
        ProxyState.HOSTED,
    )
    return int(total), list(rows)


async def prefix(connection: Connection, name: str) -> Any:
    """The row of a prefix, with the last application for it, or of that alone; None when it is neither.

    (prefix, created, state, prefix_state, not_filed, enterprise, entity, form, given): `state` is the application's,
    `not_filed` says that the top-level node does not want the enterprise's particulars.
    """
    return await connection.fetchrow(
        f"""
        SELECT g.name AS prefix, coalesce(p.created, w.applied) AS created, w.state, p.state AS prefix_state,
            coalesce(d.refused = d.revision AND d.filed < d.revision, false) AS not_filed,
            e.number AS enterprise, e.name AS entity, a.form::text, d.given::text
        FROM (SELECT $1::text AS name) g
        LEFT JOIN prefix p ON p.name = g.name
        LEFT JOIN LATERAL (
            SELECT * FROM application WHERE prefix = g.name AND enterprise_no = coalesce(p.enterprise_no, enterprise_no)
            ORDER BY number DESC LIMIT 1
        ) w ON true
        LEFT JOIN enterprise e ON e.number = coalesce(p.enterprise_no, w.enterprise_no) {_LAST}
        WHERE p.number IS NOT NULL OR w.number IS NOT NULL
        """,  # noqa: S608
        name,
    )

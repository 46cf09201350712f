"""A prefix with all that is kept under it, read out of the database and written into another one."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import msgspec

from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST
from registry.filing import Filing
from registry.parcel import FORMAT, BlankedLine, ChangeLine, Head, TemplateLine, VersionLine, Way
from registry.postgres import catalogue
from registry.postgres.connection import Connection
from registry.prefix import PrefixState

CHANGES_AT_ONCE: Final = 200
"""Change rows read at a time: of full batches some 200,000 entries."""
_EPOCH: Final = 2**31
"""Times are kept less this (migrations/0004_room.sql)."""


async def head(connection: Connection, prefix: str, way: Way) -> tuple[int, bool, Head] | None:
    """The number of a prefix, whether it is open, and the first line of its parcel; None for one without enterprise."""
    row = await connection.fetchrow(
        """
        SELECT p.number, p.state = 1, e.name, e.name_en, e.industry, s.number, s.head
        FROM prefix p JOIN enterprise e ON e.number = p.enterprise_no
        JOIN stream s ON s.prefix_no = p.number AND s.sub = 0 WHERE p.name = $1
        """,
        prefix,
    )
    return (row[0], row[1], Head(FORMAT, prefix, *way, *row[2:])) if row else None


async def templates(connection: Connection, prefix: int) -> AsyncIterator[TemplateLine]:
    """The templates of a prefix, oldest first, without what only this database numbers so."""
    rows = await connection.fetch(
        """
        SELECT version, first_value(version) OVER (PARTITION BY coalesce(nullif(lineage, 0), number) ORDER BY number),
            (to_jsonb(t) - '{number,prefix_no,epoch,lineage,told}'::text[])::text
        FROM template t WHERE prefix_no = $1 ORDER BY number
        """,
        prefix,
    )
    for version, lineage, row in rows:
        yield TemplateLine(version, lineage, msgspec.json.decode(row))


async def changes(connection: Connection, prefix: int) -> AsyncIterator[ChangeLine]:
    """Every change of the stream, ascending."""
    names = dict(await connection.fetch("SELECT number, version FROM template WHERE prefix_no = $1", prefix))
    after = 0
    while rows := await connection.fetch(
        "SELECT number, made, head, suffixes, versions, kinds, templates, digests FROM changes_after($1, $2, $3)",
        *(prefix, after, CHANGES_AT_ONCE),
    ):
        for number, made, head_, suffixes, versions, kinds, numbers, digests in rows:
            each = [digests[at : at + 32] for at in range(0, len(digests), 32)]
            called = [names.get(template, "") for template in numbers]
            entries = list(zip(suffixes, versions, kinds, called, each, strict=True))
            yield ChangeLine(number, made.isoformat(), head_, entries)
            after = number


async def versions(connection: Connection, prefix: int) -> AsyncIterator[VersionLine]:
    """Every version of every identifier: the newest ones, then those before."""
    for table in ("record", "history"):
        query = (
            f"SELECT v.suffix, v.version, t.version, v.updated, v.body FROM {table} v "  # noqa: S608 - our own names
            "LEFT JOIN template t ON t.number = v.template_no WHERE v.prefix_no = $1"
        )
        async for suffix, version, template, updated, body in connection.cursor(query, prefix, prefetch=1000):
            yield VersionLine(suffix, version, table == "record", template or "", updated + _EPOCH, body)


async def blanked(connection: Connection, prefix: int) -> AsyncIterator[BlankedLine]:
    """What was blanked."""
    query = "SELECT suffix, version, index, type, made, reason FROM blanked WHERE prefix_no = $1"
    async for suffix, version, index, type_, made, reason in connection.cursor(query, prefix, prefetch=1000):
        yield BlankedLine(suffix, version, index, type_, made.isoformat(), reason)


_ERASED: Final = (
    *("record", "history", "change", "change_volume", "reference", "claim", "blanked", "access_grant", "grant_notice"),
    *("template", "receipt", "statistics", "hosting", "release"),
)
"""What is kept under a prefix, in an order in which it can go."""


async def is_left_over(connection: Connection, prefix: int) -> bool:
    """Whether a prefix has moved away, or has come, was never opened, and waits for nothing: refused, or not filed."""
    return bool(
        await connection.fetchval(
            """
            SELECT coalesce(f.state, $3) = $2 OR coalesce(r.number = s.number, false)
                AND (coalesce(f.state, $3) = $4 OR coalesce(f.state, $3) = $3 AND coalesce(f.nonce, '') = '')
            FROM stream s LEFT JOIN filing f USING (prefix_no) LEFT JOIN release r USING (prefix_no)
            WHERE s.prefix_no = $1 AND s.sub = 0
            """,
            prefix,
            Filing.MOVED,
            Filing.WAITING,
            Filing.REFUSED,
        )
    )


async def erase(connection: Connection, prefix: int) -> None:
    """Lets go of all that is kept under a prefix; itself and its empty stream stay, as one that has moved."""
    for table in _ERASED:
        await connection.execute(f"DELETE FROM {table} WHERE prefix_no = $1", prefix)  # noqa: S608 - our own names
    await connection.execute(
        "UPDATE stream SET number = 0, head = $2, live = 0, octets = 0 WHERE prefix_no = $1", prefix, HEAD_FIRST
    )
    await connection.execute(
        "INSERT INTO filing (prefix_no, state) VALUES ($1, $2) ON CONFLICT (prefix_no) DO UPDATE SET state = $2",
        prefix,
        Filing.MOVED,
    )


# -- the other way


async def take_again(connection: Connection, prefix: str, enterprise: int, state: PrefixState) -> bool:
    """Makes a prefix that was erased the enterprise's once more, in `state`; False when it was not."""
    known = await catalogue.prefix(connection, prefix, held=True)
    erased = "SELECT number = 0 FROM stream WHERE prefix_no = $1 AND sub = 0"
    if known is None or not known.elsewhere or not await connection.fetchval(erased, known.number):
        return False
    await catalogue.set_elsewhere(connection, known, False)
    await catalogue.set_state(connection, prefix, state)
    await connection.execute("UPDATE prefix SET enterprise_no = $2 WHERE number = $1", known.number, enterprise)
    await connection.execute("DELETE FROM filing WHERE prefix_no = $1", known.number)
    return True


async def add_template(connection: Connection, prefix: int, line: TemplateLine, lineage: int) -> int:
    """Keeps a template under a number and epoch of this database, in the line of that number (0: the first of its own);
    its number.
    """
    return int(
        await connection.fetchval(
            """
            INSERT INTO template OVERRIDING SYSTEM VALUE
            SELECT * FROM jsonb_populate_record(NULL::template, $2::text::jsonb || jsonb_build_object(
                'number', nextval(pg_get_serial_sequence('template', 'number')), 'prefix_no', $1::integer,
                'version', $3::text, 'epoch', next_epoch(), 'lineage', $4::integer, 'told', 0)) RETURNING number
            """,
            prefix,
            msgspec.json.encode(line.row).decode(),
            line.version,
            lineage,
        )
    )


async def add_changes(
    connection: Connection, prefix: int, lines: Sequence[ChangeLine], numbers: Mapping[str, int]
) -> None:
    """Appends changes to the rows of a stream; `numbers` are those of the templates by version name."""
    columns = ("prefix_no", "number", "made", "head", "suffixes", "versions", "kinds", "templates", "digests")
    rows = [
        (
            *(prefix, line.number, datetime.fromisoformat(line.made), line.head),
            *([entry[n] for entry in line.entries] for n in range(3)),
            [numbers.get(entry[3], 0) for entry in line.entries],
            b"".join(entry[4] for entry in line.entries),
        )
        for line in lines
    ]
    await connection.copy_records_to_table("change", records=rows, columns=columns)


async def add_versions(
    connection: Connection, prefix: int, lines: Sequence[VersionLine], numbers: Mapping[str, int]
) -> None:
    """Keeps versions; who wrote them is nobody of this node."""
    columns = ("updated", "prefix_no", "version", "template_no", "actor_no", "body", "suffix")
    for table, newest in (("record", True), ("history", False)):
        rows = [
            (line.updated - _EPOCH, prefix, line.version, numbers.get(line.template, 0), 0, line.body, line.suffix)
            for line in lines
            if line.newest is newest
        ]
        if rows:
            await connection.copy_records_to_table(table, records=rows, columns=columns)


async def add_blanked(connection: Connection, prefix: int, lines: Sequence[BlankedLine]) -> None:
    """Keeps what was blanked."""
    rows = [
        (datetime.fromisoformat(line.made), prefix, line.version, line.index, 0, line.suffix, line.type, line.reason)
        for line in lines
    ]
    columns = ("made", "prefix_no", "version", "index", "actor_no", "suffix", "type", "reason")
    await connection.copy_records_to_table("blanked", records=rows, columns=columns)


async def astray(connection: Connection, prefix: int) -> str | None:
    """The suffix of an identifier whose versions and changes do not agree: one without the other, another template, by
    which other values would be public, another digest than that of a body nobody blanked, or a newest version that is
    not.
    """
    found = await connection.fetchval(
        """
        WITH told AS (
            SELECT e.suffix, e.version, e.template, substr(c.digests, (32 * e.n - 31)::integer, 32) AS digest
            FROM change c CROSS JOIN LATERAL unnest(c.suffixes, c.versions, c.kinds, c.templates)
                WITH ORDINALITY e(suffix, version, kind, template, n)
            WHERE c.prefix_no = $1 AND e.kind < 10
        ), kept AS (
            SELECT suffix, version, template_no, sha256(coalesce(body, '')) AS digest, true AS newest
            FROM record WHERE prefix_no = $1
            UNION ALL
            SELECT suffix, version, template_no, sha256(coalesce(body, '')), false FROM history WHERE prefix_no = $1
        ), last AS (
            SELECT suffix, max(version) AS version FROM kept GROUP BY suffix
        )
        SELECT coalesce(told.suffix, kept.suffix)
        FROM told FULL JOIN kept ON kept.suffix = told.suffix AND kept.version = told.version
        LEFT JOIN last ON last.suffix = kept.suffix
        WHERE kept.suffix IS NULL OR kept.newest <> (kept.version = last.version) OR told.template <> kept.template_no
            OR told.digest IS DISTINCT FROM kept.digest AND NOT (told.suffix IS NOT NULL AND EXISTS (
                SELECT FROM blanked b WHERE b.prefix_no = $1 AND b.suffix = kept.suffix AND b.version = kept.version))
        LIMIT 1
        """,
        prefix,
    )
    return None if found is None else str(found)


async def begin_at(connection: Connection, prefix: int, line: Head) -> None:
    """Lets the stream go on from where it stood, and counts what is there. All of it counts as told: that was for the
    node it comes from to do, and if not all was, the top-level node says so.
    """
    await connection.execute(
        """
        UPDATE stream SET number = $2, head = $3,
            live = (SELECT count(body) FROM record WHERE prefix_no = $1),
            octets = (SELECT coalesce(sum(octet_length(body)), 0) FROM (
                SELECT body FROM record WHERE prefix_no = $1
                UNION ALL SELECT body FROM history WHERE prefix_no = $1) kept)
        WHERE prefix_no = $1 AND sub = 0
        """,
        prefix,
        line.number,
        line.head,
    )
    await connection.execute(
        "INSERT INTO receipt (prefix_no, number, head, live) SELECT prefix_no, number, head, live FROM stream "
        "WHERE prefix_no = $1",
        prefix,
    )


async def keep_release(connection: Connection, prefix: int, given: pb.Release) -> None:
    """Keeps what lets the prefix go from the node it comes from."""
    await connection.execute(
        "INSERT INTO release (prefix_no, node, number, head, made, signature) VALUES ($1, $2, $3, $4, $5, $6)",
        prefix,
        given.node,
        given.number,
        given.head,
        given.made,
        given.signature,
    )

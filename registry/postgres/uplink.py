"""The voice, the node's key, receipts and statistics in the database, and the changes that are to be sent up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from proto.chain import HEAD_FIRST
from registry.filing import Filing
from registry.postgres.connection import Connection

_LOCK: Final = 0x1D0DF
"""Key of the advisory lock of the voice."""
SESSION: Final = {
    "tcp_keepalives_idle": "2",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "5000",
    "client_connection_check_interval": "1000",
}
"""Of the connection that holds the lock: the server lets go of a machine that is gone within seconds."""


VOLUME_ROWS: Final = 256
"""Change rows of a volume: single writes come one a row, and more of them compress no better."""
VOLUME_ENTRIES: Final = 4096
"""A volume is full with so many identifiers: one of them is read as a whole."""

# -- the voice


async def claim(connection: Connection, machine: str) -> int | None:
    """Makes this session the one voice and returns its fence; None while another session is."""
    if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        return None
    async with connection.transaction():
        await _close_office(connection)
        return int(
            await connection.fetchval(
                "UPDATE voice SET fence = fence + 1, machine = $1, since = now(), seen = now() RETURNING fence",
                machine,
            )
        )


async def _close_office(connection: Connection) -> None:
    """Waits for all who hold the fence, and lets nobody hold it before the transaction ends."""
    await connection.execute("SELECT FROM voice FOR UPDATE")


async def renew(connection: Connection, fence: int) -> bool:
    """Says that the voice with `fence` speaks; False when another one was elected since."""
    return bool(await connection.fetchval("UPDATE voice SET seen = now() WHERE fence = $1 RETURNING true", fence))


async def oust(connection: Connection, seconds: float) -> int:
    """Ends the session of a voice that was silent for `seconds`: its process is frozen. How many were ended."""
    return int(
        await connection.fetchval(
            """
            SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l, voice v
            WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid = $1 AND l.granted
                AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                AND v.seen < now() - make_interval(secs => $2)
            """,
            _LOCK,
            seconds,
        )
    )


async def hold_fence(connection: Connection, fence: int) -> bool:
    """Whether the voice with `fence` is still the one; if so no other is elected before the transaction ends.

    Signs of life (`renew`) go on meanwhile: a long transaction costs nobody the office.
    """
    return bool(await connection.fetchval("SELECT true FROM voice WHERE fence = $1 FOR KEY SHARE", fence))


# -- the key


async def keep_key(connection: Connection, sealed: bytes) -> bytes:
    """The node's sealed private key: `sealed`, unless somebody was first."""
    await connection.execute("INSERT INTO node_key (private_key) VALUES ($1) ON CONFLICT DO NOTHING", sealed)
    return bytes(await connection.fetchval("SELECT private_key FROM node_key"))


async def toplevel_key(connection: Connection) -> bytes | None:
    """The public key of the top-level node; None before enrolment."""
    found = await connection.fetchval("SELECT toplevel_key FROM node_key")
    return bytes(found) if found else None


async def pin(connection: Connection, key: bytes) -> bool:
    """Believes answers signed with `key` from now on; False when the key of an earlier enrolment stays."""
    done = await connection.execute("UPDATE node_key SET toplevel_key = $1 WHERE toplevel_key IS NULL", key)
    return bool(done == "UPDATE 1")


async def forget_toplevel(connection: Connection) -> None:
    """Forgets whom the node enrolled with and everything that one was told: all of it is told anew."""
    async with connection.transaction():
        await _close_office(connection)
        await connection.execute("UPDATE voice SET fence = fence + 1")
        await connection.execute("UPDATE node_key SET toplevel_key = NULL")
        await connection.execute("UPDATE particulars SET filed = 0, refused = 0, ent_id = '', whole = true")
        await connection.execute(
            "UPDATE filing SET state = $1, nonce = '' WHERE state <> $2", Filing.WAITING, Filing.MOVED
        )
        await connection.execute("UPDATE route SET told = 0")
        await connection.execute("UPDATE statistics SET sent = 0")
        await connection.execute("UPDATE template SET told = 0")
        await connection.execute("DELETE FROM message")


# -- streams and receipts


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a stream stands here, and how far the top-level node is known to be in it."""

    prefix_no: int
    prefix: str
    number: int
    receipted: int


async def standings(connection: Connection, behind: bool = True) -> list[Standing]:
    """The streams of all prefixes that are filed; only those with changes without receipt if `behind`."""
    rows = await connection.fetch(
        """
        SELECT s.prefix_no, p.name, s.number, coalesce(r.number, 0)
        FROM stream s
        JOIN filing f ON f.prefix_no = s.prefix_no
        JOIN prefix p ON p.number = s.prefix_no
        LEFT JOIN receipt r ON r.prefix_no = s.prefix_no AND r.sub = s.sub
        WHERE s.sub = 0 AND f.state IN ($2, $3) AND (NOT $1 OR s.number > coalesce(r.number, 0))
        ORDER BY s.prefix_no
        """,
        behind,
        Filing.IN_REVIEW,
        Filing.APPROVED,
    )
    return [Standing(*row) for row in rows]


async def unreceipted(connection: Connection) -> tuple[int, int]:
    """How many changes have no receipt, and when the oldest was made (milliseconds since 1970 UTC; 0: there is none).

    Prefixes the top-level node has refused and those that have moved are left out: nobody waits for them.
    """
    row = await connection.fetchrow(
        """
        SELECT coalesce(sum(w.number - w.told), 0)::bigint,
            coalesce((extract(epoch FROM min(c.made)) * 1000)::bigint, 0)
        FROM (
            SELECT s.prefix_no, s.number, coalesce(r.number, 0) AS told FROM stream s
            JOIN prefix p ON p.number = s.prefix_no AND p.enterprise_no IS NOT NULL
            LEFT JOIN filing f ON f.prefix_no = s.prefix_no
            LEFT JOIN receipt r ON r.prefix_no = s.prefix_no AND r.sub = s.sub
            WHERE s.sub = 0 AND coalesce(f.state, 0) <> ALL ($1) AND s.number > coalesce(r.number, 0)
        ) w
        CROSS JOIN LATERAL (
            SELECT made FROM change WHERE prefix_no = w.prefix_no AND sub = 0 AND number = w.told + 1 LIMIT 1
        ) c
        """,
        [Filing.REFUSED, Filing.MOVED],
    )
    return int(row[0]), int(row[1])


async def heads(connection: Connection, places: Mapping[int, int]) -> dict[int, bytes]:
    """The head of each stream after the change of that number; streams that have no such change are left out."""
    rows = await connection.fetch(
        """
        SELECT q.prefix_no, c.head FROM unnest($1::integer[], $2::bigint[]) q(prefix_no, number)
        CROSS JOIN LATERAL head_at(q.prefix_no, q.number) c(head) WHERE c.head IS NOT NULL
        """,
        list(places),
        list(places.values()),
    )
    return {n: HEAD_FIRST for n, number in places.items() if number == 0} | {row[0]: bytes(row[1]) for row in rows}


async def changes(
    connection: Connection, wanted: Sequence[tuple[int, int]], rows_most: int, share: int, entries: int
) -> list[Any]:
    """The changes after each (prefix number, change number) of `wanted`, in its order, consecutive for each prefix.

    As many as begin within the first `share` entries of a prefix and within the first `entries` of all; at most
    `rows_most` of a prefix. Rows of (prefix_no, number, made in milliseconds, head, suffixes, versions, kinds,
    templates, digests).
    """
    return list(
        await connection.fetch(
            """
            SELECT prefix_no, number, (extract(epoch FROM made) * 1000)::bigint AS made, head,
                suffixes, versions, kinds, templates, digests
            FROM (
                SELECT *, sum(size) OVER (ORDER BY turn, number) - size AS before
                FROM (
                    SELECT q.turn, c.*, sum(c.size) OVER (PARTITION BY q.turn ORDER BY c.number) - c.size AS mine
                    FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY q(prefix_no, after, turn)
                    CROSS JOIN LATERAL (
                        SELECT *, cardinality(kinds) AS size FROM changes_after(q.prefix_no, q.after, $3)
                    ) c
                ) each
                WHERE mine < $4
            ) whole
            WHERE before < $5 ORDER BY turn, number
            """,
            [number for number, _ in wanted],
            [after for _, after in wanted],
            rows_most,
            share,
            entries,
        )
    )


async def bound_to_be(connection: Connection, days: int) -> list[tuple[int, int]]:
    """Streams whose oldest change row is older than `days` and has its receipt: (prefix number, number receipted)."""
    rows = await connection.fetch(
        """
        SELECT r.prefix_no, r.number FROM receipt r CROSS JOIN LATERAL (
            SELECT number, made FROM change WHERE prefix_no = r.prefix_no AND sub = r.sub ORDER BY number LIMIT 1
        ) c
        WHERE r.sub = 0 AND c.number <= r.number AND c.made < now() - make_interval(days => $1)
        """,
        days,
    )
    return [(row[0], row[1]) for row in rows]


async def bind(connection: Connection, prefix: int, last: int, days: int) -> bool:
    """Binds the oldest change rows of a stream, up to number `last`, into a volume; False: they do not fill one yet."""
    return bool(
        await connection.fetchval(
            "SELECT bind_changes($1, $2, now() - make_interval(days => $3), $4, $5)",
            prefix,
            last,
            days,
            VOLUME_ROWS,
            VOLUME_ENTRIES,
        )
    )


async def template_versions(connection: Connection, numbers: Sequence[int]) -> dict[int, str]:
    """The version names of templates by number."""
    rows = await connection.fetch("SELECT number, version FROM template WHERE number = ANY ($1)", list(numbers))
    return {row[0]: row[1] for row in rows}


async def templates_to_tell(connection: Connection, most: int) -> list[int]:
    """Numbers of templates the top-level node does not know as they are, of prefixes it knows; drafts are left out."""
    rows = await connection.fetch(
        """
        SELECT t.number FROM template t JOIN filing f ON f.prefix_no = t.prefix_no
        WHERE t.told < t.epoch AND t.state <> 0 AND f.state IN ($2, $3) ORDER BY t.epoch LIMIT $1
        """,
        most,
        Filing.IN_REVIEW,
        Filing.APPROVED,
    )
    return [row[0] for row in rows]


async def templates_told(connection: Connection, epochs: Mapping[int, int]) -> None:
    """Notes that the top-level node knows templates (by number) as they were under these epochs."""
    await connection.execute(
        "UPDATE template t SET told = greatest(t.told, g.epoch) "
        "FROM unnest($1::integer[], $2::bigint[]) g(number, epoch) WHERE t.number = g.number",
        list(epochs),
        list(epochs.values()),
    )


async def templates_lost(connection: Connection, prefixes: Sequence[int]) -> None:
    """Has the templates of prefixes told anew: the top-level node has lost something of them."""
    await connection.execute("UPDATE template SET told = 0 WHERE prefix_no = ANY ($1)", list(prefixes))


_RECEIVE: Final = """
    WITH given AS (
        SELECT * FROM unnest($1::integer[], $2::bigint[], $3::bytea[]) g(prefix_no, number, head)
    ), before AS (
        SELECT r.prefix_no, r.number AS was, g.number, g.head FROM given g
        CROSS JOIN LATERAL (
            SELECT * FROM receipt WHERE prefix_no = g.prefix_no AND sub = 0 AND number < g.number FOR UPDATE
        ) r
    ), counted AS (
        SELECT b.prefix_no,
            (extract(epoch FROM c.made) * 1000)::bigint / ($4 * 1000::bigint) * ($4 * 1000::bigint) AS start,
            count(*) FILTER (WHERE kind IN (1, 4)) AS registered, count(*) FILTER (WHERE kind = 2) AS updated,
            count(*) FILTER (WHERE kind = 3) AS deleted
        FROM before b
        CROSS JOIN LATERAL (
            SELECT made, kinds FROM change
            WHERE prefix_no = b.prefix_no AND sub = 0 AND number > b.was AND number <= b.number
        ) c
        CROSS JOIN unnest(c.kinds) kind
        WHERE kind < 10
        GROUP BY 1, 2
    ), moved AS (
        UPDATE receipt r SET number = b.number, head = b.head, live = r.live + coalesce((
            SELECT sum(registered - deleted) FROM counted WHERE counted.prefix_no = b.prefix_no), 0)
        FROM before b WHERE r.prefix_no = b.prefix_no AND r.sub = 0
    ), later AS (
        UPDATE statistics s SET revision = s.revision + 1
        FROM (SELECT prefix_no, min(start) AS first FROM counted GROUP BY 1) c
        WHERE s.prefix_no = c.prefix_no AND s.start > c.first
            AND NOT EXISTS (SELECT 1 FROM counted k WHERE k.prefix_no = s.prefix_no AND k.start = s.start)
    )
    INSERT INTO statistics (prefix_no, start, seconds, registered, updated, deleted)
    SELECT prefix_no, start, $4, registered, updated, deleted FROM counted
    ON CONFLICT (prefix_no, start, seconds) DO UPDATE
    SET registered = statistics.registered + excluded.registered, updated = statistics.updated + excluded.updated,
        deleted = statistics.deleted + excluded.deleted, revision = statistics.revision + 1
"""


async def receive(connection: Connection, places: Mapping[int, tuple[int, bytes]], seconds: int) -> None:
    """Notes that the top-level node has each stream up to (number, head), and counts what is new by windows.

    A place it was known to have reached before changes nothing: each change is counted once. `seconds` is the length
    of a window.
    """
    await connection.execute(
        _RECEIVE,
        list(places),
        [number for number, _ in places.values()],
        [head for _, head in places.values()],
        seconds,
    )


# -- statistics


async def count_resolutions(
    connection: Connection, machine: str, totals: Mapping[int, tuple[int, int]], start: int, seconds: int
) -> None:
    """Adds to the window `start` what `machine` has counted since it said so last: (resolved, failed) by prefix number.

    `totals` are those since the machine's supervisor started: told twice, they count once.
    """
    async with connection.transaction():
        await connection.execute(
            "INSERT INTO machine (name) VALUES ($1) ON CONFLICT (name) DO UPDATE SET seen = now()", machine
        )
        await connection.execute(
            """
            WITH given AS (
                SELECT g.*, coalesce(t.resolved, 0) AS resolved_before, coalesce(t.failed, 0) AS failed_before
                FROM unnest($2::integer[], $3::bigint[], $4::bigint[]) g(prefix_no, resolved, failed)
                LEFT JOIN tally t ON t.machine = $1 AND t.prefix_no = g.prefix_no
                WHERE EXISTS (SELECT 1 FROM prefix p WHERE p.number = g.prefix_no)
            ), kept AS (
                INSERT INTO tally (machine, prefix_no, resolved, failed)
                SELECT $1, prefix_no, resolved, failed FROM given ORDER BY prefix_no
                ON CONFLICT (machine, prefix_no) DO UPDATE SET resolved = excluded.resolved, failed = excluded.failed
            )
            INSERT INTO statistics (prefix_no, start, seconds, resolved, resolve_failed)
            SELECT prefix_no, $5, $6, resolved - resolved_before, failed - failed_before FROM given
            WHERE resolved > resolved_before OR failed > failed_before ORDER BY prefix_no
            ON CONFLICT (prefix_no, start, seconds) DO UPDATE
            SET resolved = statistics.resolved + excluded.resolved,
                resolve_failed = statistics.resolve_failed + excluded.resolve_failed,
                revision = statistics.revision + 1
            """,
            machine,
            list(totals),
            [resolved for resolved, _ in totals.values()],
            [failed for _, failed in totals.values()],
            start,
            seconds,
        )


async def unsent(connection: Connection, before: int, most: int) -> list[Any]:
    """Windows over at `before` (milliseconds) that the top-level node does not know as they are, oldest first.

    Rows of (prefix_no, prefix, start, seconds, total, registered, updated, deleted, resolved, resolve_failed,
    revision); `total` are the identifiers live at the end of the window, as far as receipts tell.
    """
    return list(
        await connection.fetch(
            """
            SELECT s.prefix_no, p.name AS prefix, s.start, s.seconds,
                coalesce(r.live, 0) - coalesce((
                    SELECT sum(l.registered - l.deleted) FROM statistics l
                    WHERE l.prefix_no = s.prefix_no AND l.start > s.start), 0)::bigint AS total,
                s.registered, s.updated, s.deleted, s.resolved, s.resolve_failed, s.revision
            FROM statistics s
            JOIN prefix p ON p.number = s.prefix_no
            JOIN filing f ON f.prefix_no = s.prefix_no AND f.state = $3
            LEFT JOIN receipt r ON r.prefix_no = s.prefix_no AND r.sub = 0
            WHERE s.sent < s.revision AND s.start + s.seconds * 1000::bigint <= $1
            ORDER BY s.start, s.prefix_no LIMIT $2
            """,
            before,
            most,
            Filing.APPROVED,
        )
    )


async def sent(connection: Connection, rows: Sequence[Any]) -> None:
    """Notes that the top-level node knows those rows of `unsent` as they were read."""
    await connection.execute(
        """
        UPDATE statistics s SET sent = greatest(s.sent, g.revision)
        FROM unnest($1::integer[], $2::bigint[], $3::integer[], $4::bigint[]) g(prefix_no, start, seconds, revision)
        WHERE s.prefix_no = g.prefix_no AND s.start = g.start AND s.seconds = g.seconds
        """,
        [row["prefix_no"] for row in rows],
        [row["start"] for row in rows],
        [row["seconds"] for row in rows],
        [row["revision"] for row in rows],
    )


async def forget_old(connection: Connection, days: int) -> None:
    """Lets go of sent windows, carried messages and tallies of machines not seen, all older than `days`."""
    await connection.execute(
        "DELETE FROM statistics WHERE start < (extract(epoch FROM now()) * 1000)::bigint - $1 * 86400000::bigint "
        "AND sent = revision",
        days,
    )
    await connection.execute("DELETE FROM message WHERE carried < now() - make_interval(days => $1)", days)
    await connection.execute("DELETE FROM machine WHERE seen < now() - make_interval(days => $1)", days)

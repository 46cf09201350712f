"""The books of the top-level node: every statement over its schema `toplevel`. What may be written is for rules.py.

All moments are milliseconds since 1970 UTC. Functions take a connection; whoever calls holds the transaction.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.toplevel.rules import Change, Filed, Flaw, Standing
from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST
from proto.signed import SKEW_SECONDS
from registry.postgres import binary_copy
from registry.postgres.connection import Connection
from registry.postgres.migrate import Schema

SCHEMA: Final = Schema("node.toplevel", "toplevel")

NODES_MOST: Final = 1000
"""Nodes that may enrol: the country has some 400 secondary nodes. The next one is refused."""
MESSAGES_MOST: Final = 10_000
"""Messages that may wait for one node. At the bound filings stay pending and orders are refused until it polls."""
MESSAGE_DAYS: Final = 30
"""Days an acknowledged message is kept, for people who ask what was told."""
WINDOW_DAYS: Final = 400
"""Days a window is kept: a year and a month to compare it with."""
LISTED_MOST: Final = 200
"""Rows of one table on the page; a larger number is told beside it."""
NEWEST_MOST: Final = 20
"""Changes and messages on the page."""
_DAY: Final = 86_400_000
_SWEPT: Final = 100
"""Rows past their days that one write takes along, so that nothing needs a broom of its own."""


# -- the seal


async def seal(connection: Connection, drawn: bytes) -> bytes:
    """The private key of this top-level node; `drawn` becomes it where there is none yet."""
    await connection.execute("INSERT INTO toplevel.seal (seed) VALUES ($1) ON CONFLICT DO NOTHING", drawn)
    return bytes(await connection.fetchval("SELECT seed FROM toplevel.seal"))


# -- nodes


@dataclass(frozen=True, slots=True)
class Node:
    """A node that has enrolled."""

    number: int
    prefix: str
    public_key: bytes
    fence: int


async def node(connection: Connection, prefix: str) -> Node | None:
    """The node of that prefix."""
    row = await connection.fetchrow(
        "SELECT number, prefix, public_key, fence FROM toplevel.node WHERE prefix = $1", prefix
    )
    return Node(*row) if row else None


async def enrol(connection: Connection, prefix: str, given: pb.EnrolRequest, now: int) -> Node | None:
    """Keeps the key and names of a node, the key for ever; None when no more nodes are taken."""
    await connection.execute(
        """
        INSERT INTO toplevel.node (prefix, public_key, name_zh, name_en, enrolled)
        SELECT $1, $2, $3, $4, $5 WHERE (SELECT count(*) FROM toplevel.node WHERE prefix <> $1) < $6
        ON CONFLICT (prefix) DO UPDATE SET name_zh = excluded.name_zh, name_en = excluded.name_en
        WHERE node.public_key = excluded.public_key AND (node.name_zh, node.name_en) <> ($3, $4)
        """,
        prefix,
        given.public_key,
        given.name_zh,
        given.name_en,
        now,
        NODES_MOST,
    )
    return await node(connection, prefix)


async def hold_fence(connection: Connection, number: int, fence: int) -> int:
    """Raises the fence of a node to `fence` if it is lower; the fence then, held until the transaction ends.

    Who brings a higher one waits until those who came with the present one are done, so none of them lands after it.
    """
    await connection.execute("UPDATE toplevel.node SET fence = $2 WHERE number = $1 AND fence < $2", number, fence)
    return int(await connection.fetchval("SELECT fence FROM toplevel.node WHERE number = $1 FOR SHARE", number))


async def use_nonce(connection: Connection, number: int, nonce: bytes, now: int) -> bool:
    """Marks the nonce of a request as used; False if it was. Forgets some whose date refuses them anyway."""
    fresh = await connection.fetchval(
        """
        WITH gone AS (
            DELETE FROM toplevel.nonce WHERE (node_no, nonce) IN (
                SELECT node_no, nonce FROM toplevel.nonce WHERE seen < $4 ORDER BY seen LIMIT $5 FOR UPDATE SKIP LOCKED)
        )
        INSERT INTO toplevel.nonce (node_no, nonce, seen) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true
        """,
        number,
        nonce,
        now,
        now - 2 * SKEW_SECONDS * 1000,
        _SWEPT,
    )
    return bool(fresh)


async def beat(connection: Connection, number: int, given: pb.HeartbeatRequest, now: int) -> None:
    """Keeps what a node last told of itself."""
    await connection.execute(
        """
        INSERT INTO toplevel.heartbeat AS known
            (node_no, heard, version, machine, started, oldest_unreceipted, unreceipted, iiidap, iiidap_since)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $2)
        ON CONFLICT (node_no) DO UPDATE SET heard = excluded.heard, version = excluded.version,
            machine = excluded.machine, started = excluded.started,
            oldest_unreceipted = excluded.oldest_unreceipted, unreceipted = excluded.unreceipted,
            iiidap = excluded.iiidap,
            iiidap_since = CASE known.iiidap WHEN excluded.iiidap THEN known.iiidap_since ELSE excluded.heard END
        """,
        number,
        now,
        given.version,
        given.machine,
        given.started,
        given.oldest_unreceipted,
        given.unreceipted,
        given.iiidap,
    )


# -- enterprises


def ent_id(number: int) -> str:
    """The filing number of an enterprise, 16 digits (SNMS OpenAPI, `entGeneralId`)."""
    return f"{number:016d}"


def _enterprise_number(given: str) -> int:
    """The number behind an ent_id; 0, which nobody has, for what is none."""
    return int(given) if len(given) == 16 and given.isascii() and given.isdigit() and given < "0000002147483648" else 0


async def enterprise_of(connection: Connection, number: int, ent_crt_code: str) -> str:
    """The ent_id under which a node has filed the enterprise with that code; empty if it has not."""
    found = await connection.fetchval(
        "SELECT number FROM toplevel.enterprise WHERE node_no = $1 AND ent_crt_code = $2", number, ent_crt_code
    )
    return ent_id(found) if found else ""


async def enterprise_owner(connection: Connection, given: str) -> int | None:
    """The number of the node that filed an ent_id; None if nobody did."""
    owner = await connection.fetchval(
        "SELECT node_no FROM toplevel.enterprise WHERE number = $1", _enterprise_number(given)
    )
    return int(owner) if owner else None


async def add_enterprise(connection: Connection, number: int, given: pb.Enterprise, now: int) -> str:
    """Keeps a new enterprise; its ent_id, or empty when the node has filed that code already."""
    made = await connection.fetchval(
        """
        INSERT INTO toplevel.enterprise (node_no, ent_crt_code, ent_name_cn, particulars, filed, updated)
        VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT DO NOTHING RETURNING number
        """,
        number,
        given.ent_crt_code,
        given.ent_name_cn,
        given.SerializeToString(),
        now,
    )
    return ent_id(made) if made else ""


async def particulars(connection: Connection, given: str) -> pb.Enterprise:
    """What is filed under an ent_id, which is known; held until the transaction ends."""
    kept = await connection.fetchval(
        "SELECT particulars FROM toplevel.enterprise WHERE number = $1 FOR UPDATE", _enterprise_number(given)
    )
    return pb.Enterprise.FromString(bytes(kept))


async def update_enterprise(connection: Connection, given: str, particulars: pb.Enterprise, now: int) -> bool:
    """Replaces the particulars of an ent_id; False when another enterprise of the node bears the new code."""
    number = _enterprise_number(given)
    taken = await connection.fetchval(
        """
        SELECT true FROM toplevel.enterprise mine JOIN toplevel.enterprise other
            ON other.node_no = mine.node_no AND other.ent_crt_code = $2 AND other.number <> mine.number
        WHERE mine.number = $1
        """,
        number,
        particulars.ent_crt_code,
    )
    if taken:
        return False
    await connection.execute(
        "UPDATE toplevel.enterprise SET ent_crt_code = $2, ent_name_cn = $3, particulars = $4, updated = $5 "
        "WHERE number = $1",
        number,
        particulars.ent_crt_code,
        particulars.ent_name_cn,
        particulars.SerializeToString(),
        now,
    )
    return True


# -- prefixes


async def prefix(connection: Connection, name: str) -> Filed | None:
    """A filed prefix, held until the transaction ends."""
    row = await connection.fetchrow(f"{_FILED} WHERE p.name = $1 FOR UPDATE OF p", name)
    return Filed(*row) if row else None


_FILED: Final = """
    SELECT p.number, p.node_no, p.state, p.heir_no, p.released, e.ent_crt_code
    FROM toplevel.prefix p JOIN toplevel.enterprise e ON e.number = p.enterprise_no
"""


async def prefixes(connection: Connection, names: list[str]) -> dict[str, Filed]:
    """Those of `names` that are filed. None of them goes to another node before the transaction ends."""
    rows = await connection.fetch(
        "SELECT name, number, node_no, state FROM toplevel.prefix WHERE name = ANY ($1) FOR KEY SHARE", names
    )
    return {name: Filed(*rest) for name, *rest in rows}


async def file_prefix(
    connection: Connection, number: int, name: str, given: str, nonce: bytes, now: int, due: int
) -> bool:
    """Keeps a filing, pending until `due`; False when another one of that prefix came in between."""
    made = await connection.fetchval(
        """
        INSERT INTO toplevel.prefix (name, node_no, enterprise_no, state, nonce, due) VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (name) DO UPDATE
        SET enterprise_no = excluded.enterprise_no, state = excluded.state, nonce = excluded.nonce, due = excluded.due
        WHERE prefix.node_no = excluded.node_no AND prefix.state = $7
        RETURNING number
        """,
        name,
        number,
        _enterprise_number(given),
        pb.PREFIX_STATE_PENDING,
        nonce,
        due,
        pb.PREFIX_STATE_REFUSED,
    )
    if made:
        await _remember(connection, made, pb.PREFIX_STATE_PENDING, "", "", now)
    return bool(made)


async def begin_move(
    connection: Connection, number: int, heir: int, given: pb.CreatePrefixRequest, nonce: bytes, due: int
) -> None:
    """Keeps that a prefix is on its way to the node `heir`, which waits for an audit until `due`."""
    await connection.execute(
        "UPDATE toplevel.prefix SET heir_no = $2, heir_enterprise_no = $3, release = $4, nonce = $5, due = $6 "
        "WHERE number = $1",
        number,
        heir,
        _enterprise_number(given.ent_id),
        given.release.SerializeToString(),
        nonce,
        due,
    )


async def end_move(connection: Connection, number: int, released: int | None, now: int) -> None:
    """Ends that: the prefix is its heir's from now on, let go at `released`, or (None) stays whose it is.

    The heir's templates replace those known, whatever their epochs; until it tells a route it is found where it is.
    """
    if released is not None:
        await connection.execute("UPDATE toplevel.template SET epoch = 0 WHERE prefix_no = $1", number)
        await connection.execute(
            "DELETE FROM toplevel.route r USING toplevel.prefix p WHERE p.number = $1 AND r.prefix = p.name", number
        )
        await connection.execute(
            """
            INSERT INTO toplevel.route (prefix, node_no, serial, address, tcp_port, udp_port, http_port, changed)
            SELECT p.name, n.number, 0, r.address, r.tcp_port, r.udp_port, r.http_port, $2
            FROM toplevel.prefix p JOIN toplevel.node n ON n.number = p.heir_no
            JOIN toplevel.route r ON r.prefix = n.prefix WHERE p.number = $1
            """,
            number,
            now,
        )
        await connection.execute(
            "UPDATE toplevel.prefix SET node_no = heir_no, enterprise_no = heir_enterprise_no, released = $2 "
            "WHERE number = $1",
            number,
            released,
        )
    await connection.execute(
        "UPDATE toplevel.prefix SET heir_no = NULL, heir_enterprise_no = NULL, release = NULL, due = NULL "
        "WHERE number = $1",
        number,
    )


async def set_state(connection: Connection, number: int, state: int, zh: str, en: str, now: int) -> None:
    """Brings a prefix into `state`, with the reason; one that is on its way to another node is audited all the same."""
    await connection.execute(
        "UPDATE toplevel.prefix SET state = $2, due = CASE WHEN heir_no IS NULL THEN NULL ELSE due END "
        "WHERE number = $1",
        number,
        state,
    )
    await _remember(connection, number, state, zh, en, now)


async def _remember(connection: Connection, number: int, state: int, zh: str, en: str, now: int) -> None:
    await connection.execute(
        "INSERT INTO toplevel.prefix_history (prefix_no, at, state, reason_zh, reason_en) VALUES ($1, $2, $3, $4, $5)",
        number,
        now,
        state,
        zh,
        en,
    )


@dataclass(frozen=True, slots=True)
class Due:
    """A pending filing whose audit is due; `release` lets go a prefix that is to come from the node `leaver`."""

    number: int
    name: str
    node: int
    ent_id: str
    nonce: bytes
    release: pb.Release | None = None
    leaver: int = 0


async def due(connection: Connection, now: int, most: int) -> list[Due]:
    """Pending filings due at `now`, held; none of nodes for which too much waits already."""
    rows = await connection.fetch(
        """
        SELECT p.number, p.name, coalesce(p.heir_no, p.node_no), coalesce(p.heir_enterprise_no, p.enterprise_no),
            p.nonce, p.release, p.node_no
        FROM toplevel.prefix p
        WHERE p.due <= $1 AND (SELECT count(*) FROM toplevel.message m
            WHERE m.node_no = coalesce(p.heir_no, p.node_no) AND m.acknowledged IS NULL) < $3
        ORDER BY p.due LIMIT $2 FOR UPDATE SKIP LOCKED
        """,
        now,
        most,
        MESSAGES_MOST,
    )
    return [
        Due(number, name, owner, ent_id(enterprise), nonce, pb.Release.FromString(release) if release else None, leaver)
        for number, name, owner, enterprise, nonce, release, leaver in rows
    ]


async def next_due(connection: Connection) -> int | None:
    """When the next audit is due; None when none waits."""
    at = await connection.fetchval("SELECT min(due) FROM toplevel.prefix WHERE due IS NOT NULL")
    return int(at) if at is not None else None


async def enterprise_behind(connection: Connection, number: int) -> str:
    """The ent_id a prefix was filed for."""
    return ent_id(await connection.fetchval("SELECT enterprise_no FROM toplevel.prefix WHERE number = $1", number))


# -- messages


async def tell(connection: Connection, number: int, body: pb.Message, now: int, *, always: bool = False) -> bool:
    """Puts a message into the queue of a node; False when it is full, unless it is to be told `always`."""
    made = await connection.fetchval(
        """
        WITH gone AS (
            DELETE FROM toplevel.message WHERE id IN (SELECT id FROM toplevel.message WHERE acknowledged < $5
                ORDER BY acknowledged LIMIT $6 FOR UPDATE SKIP LOCKED)
        )
        INSERT INTO toplevel.message (node_no, made, body) SELECT $1, $2, $3
        WHERE (SELECT count(*) FROM toplevel.message WHERE node_no = $1 AND acknowledged IS NULL) < $4 OR $7
        RETURNING true
        """,
        number,
        now,
        body.SerializeToString(),
        MESSAGES_MOST,
        now - MESSAGE_DAYS * _DAY,
        _SWEPT,
        always,
    )
    return bool(made)


async def waiting(connection: Connection, number: int) -> int:
    """Messages in the queue of a node."""
    return int(
        await connection.fetchval(
            "SELECT count(*) FROM toplevel.message WHERE node_no = $1 AND acknowledged IS NULL", number
        )
    )


async def oldest_message(connection: Connection, number: int) -> pb.Message | None:
    """The message a node is to take next."""
    row = await connection.fetchrow(
        "SELECT id, made, body FROM toplevel.message WHERE node_no = $1 AND acknowledged IS NULL ORDER BY id LIMIT 1",
        number,
    )
    if row is None:
        return None
    message = pb.Message.FromString(row["body"])
    message.id, message.made = row["id"], row["made"]
    return message


async def acknowledge(connection: Connection, number: int, message: int, now: int, *, again: bool) -> bool:
    """Marks a message of a node as taken; False if it has none of that id. Taking it twice changes nothing.

    `again`: it stays in the queue to be delivered once more, unless it was so before.
    """
    found = await connection.fetchval(
        """
        UPDATE toplevel.message SET again = again OR $4,
            acknowledged = CASE WHEN $4 AND NOT again AND acknowledged IS NULL THEN NULL
                ELSE coalesce(acknowledged, $3) END
        WHERE id = $2 AND node_no = $1 RETURNING true
        """,
        number,
        message,
        now,
        again,
    )
    return bool(found)


# -- routes


_ROUTE: Final = "SELECT prefix, serial, address, tcp_port, udp_port, http_port FROM toplevel.route WHERE prefix = "


def _route(row: Any) -> pb.Route | None:
    return pb.Route(**dict(row)) if row else None


async def route(connection: Connection, name: str) -> pb.Route | None:
    """The route of exactly that prefix, held until the transaction ends."""
    return _route(await connection.fetchrow(_ROUTE + "$1 FOR UPDATE", name))


async def doors(connection: Connection) -> tuple[list[tuple[str, str, int, str]], int]:
    """(prefix, address, HTTP port, HTTPS URL of its IIIDAP or nothing) of every node that has told where it is found,
    and of every prefix that has moved there; and when that last changed.
    """
    rows = await connection.fetch(
        """
        SELECT w.prefix, r.address, r.http_port, coalesce(h.iiidap, ''),
            greatest(r.changed, h.iiidap_since, w.changed)
        FROM toplevel.node n JOIN toplevel.route r ON r.prefix = n.prefix AND r.node_no = n.number
        LEFT JOIN toplevel.heartbeat h ON h.node_no = n.number
        CROSS JOIN LATERAL (
            SELECT n.prefix, 0::bigint AS changed UNION ALL
            SELECT p.name, p.released FROM toplevel.prefix p
            WHERE p.node_no = n.number AND NOT starts_with(p.name, n.prefix || '.')
        ) w
        WHERE r.http_port > 0 OR h.iiidap <> '' ORDER BY w.prefix
        """
    )
    return [tuple(row[:4]) for row in rows], max((row[4] for row in rows), default=0)


async def put_route(connection: Connection, number: int, given: pb.Route, now: int) -> None:
    """Keeps a route, unless a newer one came in between."""
    await connection.execute(
        """
        INSERT INTO toplevel.route (prefix, node_no, serial, address, tcp_port, udp_port, http_port, changed)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
        ON CONFLICT (prefix) DO UPDATE SET serial = excluded.serial, address = excluded.address,
            tcp_port = excluded.tcp_port, udp_port = excluded.udp_port, http_port = excluded.http_port,
            changed = excluded.changed
        WHERE route.serial < excluded.serial
        """,
        given.prefix,
        number,
        given.serial,
        given.address,
        given.tcp_port,
        given.udp_port,
        given.http_port,
        now,
    )


async def referral(connection: Connection, name: str) -> tuple[int | None, pb.Route | None]:
    """The state of a prefix (None: not filed), and its route or else that of its node."""
    state, node_prefix = await connection.fetchrow(
        "SELECT p.state, n.prefix FROM toplevel.prefix p JOIN toplevel.node n ON n.number = p.node_no "
        "WHERE p.name = $1",
        name,
    ) or (None, None)
    found = _route(await connection.fetchrow(_ROUTE + "$1", name))
    if found is None and node_prefix is not None:
        found = _route(await connection.fetchrow(_ROUTE + "$1", node_prefix))
    return state, found


# -- streams


async def standings(connection: Connection, number: int, after: str, most: int) -> list[pb.Place]:
    """Where the streams of a node's prefixes stand, those whose prefix comes after `after`, in order."""
    rows = await connection.fetch(
        """
        SELECT p.name, coalesce(s.sub, 0), coalesce(s.number, 0), coalesce(s.head, $4)
        FROM (SELECT name, number FROM toplevel.prefix WHERE node_no = $1 AND name > $2 ORDER BY name LIMIT $3) p
        LEFT JOIN toplevel.stream s ON s.prefix_no = p.number ORDER BY p.name, 2
        """,
        number,
        after,
        most,
        HEAD_FIRST,
    )
    return [pb.Place(prefix=name, sub=sub, number=at, head=head) for name, sub, at, head in rows]


Stream = tuple[int, int]
"""The number of a prefix and a sub-stream."""


async def hold_streams(connection: Connection, wanted: list[Stream]) -> dict[Stream, Standing]:
    """Where streams stand, held until the transaction ends; those nobody told of begin here. All in one order."""
    prefix_nos, subs = [stream[0] for stream in wanted], [stream[1] for stream in wanted]
    await connection.execute(
        "INSERT INTO toplevel.stream (prefix_no, sub, head) SELECT p, s, $3 FROM unnest($1::integer[], $2::integer[]) "
        "q(p, s) ORDER BY p, s ON CONFLICT DO NOTHING",
        prefix_nos,
        subs,
        HEAD_FIRST,
    )
    rows = await connection.fetch(
        """
        SELECT s.prefix_no, s.sub, s.number, s.head FROM toplevel.stream s
        WHERE (s.prefix_no, s.sub) IN (SELECT p, s FROM unnest($1::integer[], $2::integer[]) q(p, s))
        ORDER BY s.prefix_no, s.sub FOR UPDATE OF s
        """,
        prefix_nos,
        subs,
    )
    return {(prefix_no, sub): Standing(number, head) for prefix_no, sub, number, head in rows}


async def heads(connection: Connection, stream: Stream, numbers: list[int]) -> dict[int, bytes]:
    """Heads of the kept changes of a stream with those numbers."""
    rows = await connection.fetch(
        "SELECT number, head FROM toplevel.change WHERE prefix_no = $1 AND sub = $2 AND number = ANY ($3::bigint[])",
        *stream,
        numbers,
    )
    return dict(rows)


_COLUMNS: Final = (
    *("prefix_no", "sub", "number", "made", "received", "head", "suffixes", "versions", "kinds", "templates"),
    "digests",
)


async def add_changes(connection: Connection, stream: Stream, changes: Sequence[Change], now: int) -> None:
    """Keeps changes of a stream that were accepted, all with one COPY."""
    copied = [binary_copy.START, *[_row(stream, change, now) for change in changes], binary_copy.END]
    await connection.copy_to_table(
        "change", schema_name="toplevel", source=memoryview(b"".join(copied)), columns=_COLUMNS, format="binary"
    )


def _row(stream: Stream, change: Change, now: int) -> bytes:
    """A change in the order of _COLUMNS."""
    prefix_no, sub = stream
    return binary_copy.row(
        (
            binary_copy.integer(prefix_no),
            binary_copy.integer(sub),
            *map(binary_copy.bigint, (change.number, change.made, now)),
            change.head,
            binary_copy.texts(change.suffixes),
            binary_copy.bigints(change.versions),
            binary_copy.smallints(change.kinds),
            binary_copy.texts(change.templates),
            change.digests,
        )
    )


@dataclass(frozen=True, slots=True)
class Progress:
    """How a stream went on: where it stands now, when its last change was made, and entries more of each kind."""

    stream: Stream
    standing: Standing
    made: int
    created: int
    updated: int
    deleted: int
    revived: int


async def move_stream(connection: Connection, p: Progress) -> None:
    """Moves a stream, which is held, to where it stands now."""
    await connection.execute(
        """
        UPDATE toplevel.stream SET number = $3, head = $4, made = $5, created = created + $6, updated = updated + $7,
            deleted = deleted + $8, revived = revived + $9
        WHERE prefix_no = $1 AND sub = $2
        """,
        *(*p.stream, p.standing.number, p.standing.head, p.made, p.created, p.updated, p.deleted, p.revived),
    )


# -- statistics


async def add_windows(connection: Connection, windows: Sequence[tuple[int, pb.Window]], now: int) -> None:
    """Keeps windows, each with the number of its prefix; what was known of one is replaced."""
    await connection.execute(
        "DELETE FROM toplevel.window WHERE ctid IN (SELECT ctid FROM toplevel.window WHERE start < $1 LIMIT $2)",
        now - WINDOW_DAYS * _DAY,
        _SWEPT,
    )
    await connection.executemany(
        """
        INSERT INTO toplevel.window (prefix_no, start, seconds, registered_total, registered, updated, deleted,
            resolved, resolve_failed)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        ON CONFLICT (prefix_no, start, seconds) DO UPDATE SET registered_total = excluded.registered_total,
            registered = excluded.registered, updated = excluded.updated, deleted = excluded.deleted,
            resolved = excluded.resolved, resolve_failed = excluded.resolve_failed
        """,
        [
            (
                *(prefix_no, w.start, w.seconds, w.registered_total, w.registered, w.updated, w.deleted, w.resolved),
                w.resolve_failed,
            )
            for prefix_no, w in windows
        ],
    )


# -- proof


async def kept(connection: Connection, stream: Stream, last: int) -> AsyncIterator[Change]:
    """The kept changes of a stream up to number `last`, in order, one at a time. Inside a transaction only."""
    async for row in connection.cursor(
        """
        SELECT number, made, head, suffixes, versions, kinds, templates, digests FROM toplevel.change
        WHERE prefix_no = $1 AND sub = $2 AND number <= $3 ORDER BY number
        """,
        *stream,
        last,
        prefetch=10,
    ):
        yield Change(*row)


@dataclass(frozen=True, slots=True)
class Census:
    """What the kept changes of a stream say of its identifiers: how many live, and one out of line, or empty."""

    live: int
    astray: str


CENSUS_SECONDS: Final = 600
"""Longest census: some hundred million entries, sorted on disk."""


async def be_patient(connection: Connection) -> None:
    """Lets statements of this transaction take CENSUS_SECONDS."""
    await connection.execute(f"SET LOCAL statement_timeout = '{CENSUS_SECONDS}s'")


async def census(connection: Connection, stream: Stream, last: int) -> Census:
    """Counts the live identifiers of a stream from its kept changes up to `last`; PostgreSQL sorts, on disk if need be.

    Out of line is an identifier whose versions are not 1, 2, 3 …, or that was created while it lived.
    """
    row = await connection.fetchrow(
        """
        SELECT count(*) FILTER (WHERE newest AND kind <> 3) AS live,
            min(suffix) FILTER (WHERE version <> before + 1 OR (kind IN (1, 4)) = lived) AS astray
        FROM (
            SELECT suffix, version, kind,
                coalesce(lag(version) OVER history, 0) AS before,
                coalesce(lag(kind) OVER history, 3) <> 3 AS lived,
                lead(version) OVER history IS NULL AS newest
            FROM toplevel.change CROSS JOIN LATERAL unnest(suffixes, versions, kinds) e(suffix, version, kind)
            WHERE prefix_no = $1 AND sub = $2 AND number <= $3 AND suffix <> ''
            WINDOW history AS (PARTITION BY suffix ORDER BY number, version)
        ) entry
        """,
        *stream,
        last,
        timeout=CENSUS_SECONDS,
    )
    return Census(row["live"], row["astray"] or "")


async def streams_of(connection: Connection, name: str) -> list[tuple[Stream, Standing, int]]:
    """The streams of a prefix, where they stand, and the live identifiers counted with every push."""
    rows = await connection.fetch(
        """
        SELECT s.prefix_no, s.sub, s.number, s.head, s.created + s.revived - s.deleted FROM toplevel.stream s
        JOIN toplevel.prefix p ON p.number = s.prefix_no WHERE p.name = $1 ORDER BY s.sub
        """,
        name,
    )
    return [((prefix_no, sub), Standing(number, head), live) for prefix_no, sub, number, head, live in rows]


async def keep_proof(connection: Connection, stream: Stream, number: int, flaw: Flaw | None, now: int) -> None:
    """Keeps what a proof of a stream up to `number` found."""
    await connection.execute(
        "UPDATE toplevel.stream SET proven = $3, proven_number = $4, flaw_zh = $5, flaw_en = $6 "
        "WHERE prefix_no = $1 AND sub = $2",
        *stream,
        now,
        number,
        flaw.zh if flaw else "",
        flaw.en if flaw else "",
    )


# -- templates


async def put_templates(connection: Connection, given: Sequence[tuple[int, pb.Template]], now: int) -> None:
    """Keeps templates of prefixes (by number), unless newer ones are kept."""
    await connection.executemany(
        """
        INSERT INTO toplevel.template
            (prefix_no, version, epoch, state, revision, name_zh, name_en, items, told, received)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        ON CONFLICT (prefix_no, version) DO UPDATE SET epoch = excluded.epoch, state = excluded.state,
            revision = excluded.revision, name_zh = excluded.name_zh, name_en = excluded.name_en,
            items = excluded.items, told = excluded.told, received = excluded.received
        WHERE template.epoch < excluded.epoch
        """,
        [
            (
                number,
                each.version,
                each.epoch,
                each.state,
                each.revision,
                each.name_zh,
                each.name_en,
                len(each.items),
                each.SerializeToString(),
                now,
            )
            for number, each in given
        ],
    )


# -- the page

_PAGE: Final = {
    "totals": """
        SELECT (SELECT count(*) FROM toplevel.node) AS nodes, (SELECT count(*) FROM toplevel.prefix) AS prefixes,
            (SELECT coalesce(sum(created + revived - deleted), 0)::bigint FROM toplevel.stream) AS live,
            (SELECT coalesce(sum(number), 0)::bigint FROM toplevel.stream) AS changes,
            (SELECT count(*) FROM toplevel.message WHERE acknowledged IS NULL) AS waiting LIMIT $1
    """,
    "nodes": """
        SELECT n.prefix, n.name_zh, n.name_en, n.fence, n.enrolled, h.heard, h.version, h.machine, h.started,
            h.oldest_unreceipted, h.unreceipted,
            (SELECT count(*) FROM toplevel.message m WHERE m.node_no = n.number AND m.acknowledged IS NULL) AS waiting
        FROM toplevel.node n LEFT JOIN toplevel.heartbeat h ON h.node_no = n.number ORDER BY n.prefix LIMIT $1
    """,
    "prefixes": """
        SELECT p.name, e.ent_name_cn, p.state, r.reason_zh, r.reason_en, s.sub, s.number, s.head, s.created, s.updated,
            s.deleted, s.revived, s.created + s.revived - s.deleted AS live, s.made, s.proven, s.proven_number,
            s.flaw_zh, s.flaw_en, w.registered_total, w.start + w.seconds * 1000 AS window_end, w.resolved
        FROM toplevel.prefix p JOIN toplevel.enterprise e ON e.number = p.enterprise_no
        LEFT JOIN toplevel.stream s ON s.prefix_no = p.number
        LEFT JOIN LATERAL (SELECT * FROM toplevel.prefix_history h WHERE h.prefix_no = p.number
            ORDER BY h.at DESC LIMIT 1) r ON true
        LEFT JOIN LATERAL (SELECT * FROM toplevel.window w WHERE w.prefix_no = p.number
            ORDER BY w.start DESC LIMIT 1) w ON true
        ORDER BY p.name, s.sub LIMIT $1
    """,
    "templates": """
        SELECT p.name, t.version, t.state, t.revision, t.name_zh, t.name_en, t.items, t.received
        FROM toplevel.template t JOIN toplevel.prefix p ON p.number = t.prefix_no ORDER BY p.name, t.version LIMIT $1
    """,
    "changes": """
        SELECT p.name, c.sub, c.number, c.made, c.received, c.head, cardinality(c.suffixes) AS entries,
            c.suffixes[1] AS suffix, c.kinds[1] AS kind, c.versions[1] AS version
        FROM toplevel.change c JOIN toplevel.prefix p ON p.number = c.prefix_no
        ORDER BY c.received DESC, c.prefix_no DESC, c.sub DESC, c.number DESC LIMIT $1
    """,
    "messages": """
        SELECT m.id, n.prefix AS node, m.made, m.acknowledged, m.again, m.body
        FROM toplevel.message m JOIN toplevel.node n ON n.number = m.node_no ORDER BY m.id DESC LIMIT $1
    """,
}
_MOST: Final = {"totals": 1, "changes": NEWEST_MOST, "messages": NEWEST_MOST}


async def shown(connection: Connection) -> dict[str, list[dict[str, Any]]]:
    """What the page shows, of one moment: totals, nodes, prefixes, templates, changes, messages.
    Inside a transaction."""
    return {
        name: [dict(row) for row in await connection.fetch(statement, _MOST.get(name, LISTED_MOST))]
        for name, statement in _PAGE.items()
    }

"""What was filed with the top-level node, and its routes and messages, in the database."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import msgspec

from registry.account import Vault
from registry.filing import Filing, Particulars, Standing, whole
from registry.postgres import applications, catalogue, prefix_handles
from registry.postgres.connection import Connection

MOST: Final = 100
"""Filings and routes taken at once: each is a request of its own."""


_SEALED: Final = "legal_id_no"
"""The number of a person's document: kept sealed."""


def _opened(given: str, sealed: bytes | None, vault: Vault, enterprise: int) -> Particulars:
    fields = msgspec.json.decode(given)
    if sealed is not None:
        fields[_SEALED] = vault.open(f"particulars/{enterprise}", sealed).decode()
    return msgspec.convert(fields, Particulars)


async def put_particulars(
    connection: Connection,
    enterprise: int,
    given: Particulars,
    vault: Vault,
    *,
    again: bool = False,
    wholly: bool = False,
) -> int | None:
    """Keeps what is to be filed of an enterprise; its revision, 0 for what is the same as before: that is
    filed `again` only.

    `wholly`: all of it, since its name has changed or nothing is taken for granted. None when another enterprise has
    that code.
    """
    taken = await connection.fetchval(
        "SELECT true FROM particulars WHERE ent_crt_code = $2 AND enterprise_no <> $1", enterprise, given.ent_crt_code
    )
    if taken:
        return None
    row = await connection.fetchrow(
        "SELECT given::text, sealed FROM particulars WHERE enterprise_no = $1 FOR UPDATE", enterprise
    )
    before = _opened(row[0], row[1], vault, enterprise) if row else None
    if before == given and not again:
        return 0
    revision: int = await connection.fetchval(
        """
        INSERT INTO particulars (enterprise_no, ent_crt_code, given, sealed) VALUES ($1, $2, $3::text::jsonb, $4)
        ON CONFLICT (enterprise_no) DO UPDATE
        SET ent_crt_code = excluded.ent_crt_code, given = excluded.given, sealed = excluded.sealed,
            revision = particulars.revision + 1, whole = particulars.whole OR $5
        RETURNING revision
        """,
        enterprise,
        given.ent_crt_code,
        msgspec.json.encode(asdict(given) | {_SEALED: ""}).decode(),
        vault.close(f"particulars/{enterprise}", given.legal_id_no.encode()),
        wholly or before is None or whole(before, given),
    )
    return revision


@dataclass(frozen=True, slots=True)
class EnterpriseToFile:
    """An enterprise whose particulars the top-level node does not know as they are.

    `whole`: an update tells all of them, not only what may be changed in part.
    """

    number: int
    name: str
    name_en: str
    particulars: Particulars
    ent_id: str
    revision: int
    whole: bool = True


async def enterprises_to_file(connection: Connection, vault: Vault) -> list[EnterpriseToFile]:
    """At most MOST of them."""
    rows = await connection.fetch(
        """
        SELECT e.number, e.name, e.name_en, f.given::text, f.sealed, f.ent_id, f.revision, f.whole
        FROM particulars f JOIN enterprise e ON e.number = f.enterprise_no
        WHERE f.filed < f.revision AND f.refused < f.revision ORDER BY e.number LIMIT $1
        """,
        MOST,
    )
    return [
        EnterpriseToFile(row[0], row[1], row[2], _opened(row[3], row[4], vault, row[0]), row[5], row[6], row[7])
        for row in rows
    ]


async def enterprise_filed(connection: Connection, enterprise: int, ent_id: str, revision: int) -> None:
    """The top-level node knows that revision under the filing number `ent_id`."""
    await connection.execute(
        "UPDATE particulars SET ent_id = $2, filed = greatest(filed, $3), whole = whole AND revision <> $3, "
        "reason_zh = '', reason_en = '' WHERE enterprise_no = $1",
        enterprise,
        ent_id,
        revision,
    )


async def enterprise_refused(connection: Connection, enterprise: int, revision: int, zh: str, en: str) -> None:
    """The top-level node does not want that revision; the next one is told again."""
    await connection.execute(
        "UPDATE particulars SET refused = $2, reason_zh = $3, reason_en = $4 WHERE enterprise_no = $1",
        enterprise,
        revision,
        zh,
        en,
    )


async def verify_again(connection: Connection, ent_id: str, prefix: str) -> bool:
    """The enterprise with that filing number, or of that prefix, is to be verified and its particulars told again.

    One that applied is verified and reviewed anew before that. False when there is no such enterprise.
    """
    enterprise = await connection.fetchval(
        """
        SELECT enterprise_no FROM particulars WHERE ent_id = $1 AND $1 <> ''
            OR $1 = '' AND enterprise_no = (SELECT enterprise_no FROM prefix WHERE name = $2)
        """,
        ent_id,
        prefix,
    )
    if enterprise is None:
        return False
    if not await applications.verify_again(connection, enterprise):
        await connection.execute(
            "UPDATE particulars SET revision = revision + 1, whole = true WHERE enterprise_no = $1", enterprise
        )
    return True


async def file_all(connection: Connection) -> None:
    """Takes up every prefix of an enterprise that was never filed."""
    await connection.execute(
        """
        INSERT INTO filing (prefix_no, state)
        SELECT p.number, $1 FROM prefix p WHERE p.enterprise_no IS NOT NULL
            AND NOT EXISTS (SELECT 1 FROM filing f WHERE f.prefix_no = p.number)
        ON CONFLICT DO NOTHING
        """,
        Filing.WAITING,
    )


async def file_prefix(connection: Connection, prefix_no: int) -> bool:
    """That prefix is to be filed, for the first time or after a refusal; False when it is on its way already."""
    done = await connection.fetchval(
        """
        INSERT INTO filing (prefix_no, state) VALUES ($1, $2)
        ON CONFLICT (prefix_no) DO UPDATE SET state = $2, nonce = '', reason_zh = '', reason_en = ''
        WHERE filing.state = $3 RETURNING true
        """,
        prefix_no,
        Filing.WAITING,
        Filing.REFUSED,
    )
    return bool(done)


async def filings(connection: Connection) -> list[Any]:
    """How each prefix stands with the top-level node, by prefix.

    Rows of (enterprise, industry, prefix, state, filing, suspended, ent_id, unnamed, reason_zh, reason_en): `filing`
    is None for what was never taken up, `unnamed` says that there are no particulars to file; the reason is that of
    the refused prefix, or of the refused enterprise.
    """
    return list(
        await connection.fetch(
            """
            SELECT e.name AS enterprise, e.industry, p.name AS prefix, p.state, f.state AS filing,
                coalesce(f.suspended, false) AS suspended, coalesce(d.ent_id, '') AS ent_id,
                d.enterprise_no IS NULL AS unnamed,
                coalesce(nullif(f.reason_zh, ''), d.reason_zh, '') AS reason_zh,
                coalesce(nullif(f.reason_en, ''), d.reason_en, '') AS reason_en
            FROM enterprise e
            LEFT JOIN prefix p ON p.enterprise_no = e.number
            LEFT JOIN filing f ON f.prefix_no = p.number
            LEFT JOIN particulars d ON d.enterprise_no = e.number
            ORDER BY p.name
            """
        )
    )


async def prefixes_to_file(connection: Connection) -> list[Any]:
    """At most MOST rows of (prefix_no, prefix, ent_id, nonce), of enterprises that are filed, and the release each came
    with from another node: (node, number, head, made, signature), None for one that began here.
    """
    return list(
        await connection.fetch(
            """
            SELECT f.prefix_no, p.name AS prefix, e.ent_id, f.nonce, r.node, r.number, r.head, r.made, r.signature
            FROM filing f
            JOIN prefix p ON p.number = f.prefix_no
            JOIN particulars e ON e.enterprise_no = p.enterprise_no
            LEFT JOIN release r ON r.prefix_no = f.prefix_no
            WHERE f.state = $1 AND e.ent_id <> '' ORDER BY f.prefix_no LIMIT $2
            """,
            Filing.WAITING,
            MOST,
        )
    )


async def keep_nonce(connection: Connection, prefix_no: int, nonce: bytes) -> None:
    """What the filing that is about to be sent is named by."""
    await connection.execute("UPDATE filing SET nonce = $2 WHERE prefix_no = $1", prefix_no, nonce)


@dataclass(frozen=True, slots=True)
class Filed:
    """A prefix that was taken up; `nonce` is that of the filing that stands."""

    prefix_no: int
    prefix: str
    standing: Standing
    nonce: bytes


async def filed(connection: Connection, prefix: str) -> Filed | None:
    """How that prefix stands, held until the transaction ends; None when it is unknown or was never taken up."""
    here = await catalogue.prefix(connection, prefix, held=True)
    if here is None:
        return None
    row = await connection.fetchrow(
        "SELECT state, suspended, stopped_here, nonce FROM filing WHERE prefix_no = $1 FOR UPDATE", here.number
    )
    if row is None:
        return None
    return Filed(here.number, prefix, Standing(here.state, Filing(row[0]), row[1], row[2]), bytes(row[3]))


async def bring(connection: Connection, known: Filed, then: Standing, zh: str = "", en: str = "") -> None:
    """Brings a prefix to stand so; its receipt begins when the top-level node knows it."""
    await connection.execute(
        "UPDATE filing SET state = $2, suspended = $3, stopped_here = $4, reason_zh = $5, reason_en = $6 "
        "WHERE prefix_no = $1",
        known.prefix_no,
        then.filing,
        then.suspended,
        then.stopped_here,
        zh,
        en,
    )
    await connection.execute(
        "INSERT INTO receipt (prefix_no, number, head, live) SELECT $1, 0, decode(repeat('00', 32), 'hex'), 0 "
        "WHERE $2::smallint <> $3::smallint ON CONFLICT DO NOTHING",
        known.prefix_no,
        then.filing,
        Filing.WAITING,
    )
    await catalogue.set_state(connection, known.prefix, then.state)
    if then.filing is Filing.MOVED:
        here = await catalogue.prefix(connection, known.prefix, held=True)
        assert here is not None
        await catalogue.set_elsewhere(connection, here, True)
        await prefix_handles.drop(connection, known.prefix)
        await connection.execute("DELETE FROM route WHERE prefix = $1", known.prefix)


async def stop_here(connection: Connection, prefix_no: int) -> None:
    """Its own operator stops a prefix: one that is suspended stays stopped when that is lifted."""
    await connection.execute("UPDATE filing SET stopped_here = suspended WHERE prefix_no = $1", prefix_no)


async def carry(connection: Connection, number: int) -> bool:
    """Notes that the message is carried out in this transaction; False when it was before."""
    done = await connection.fetchval(
        "INSERT INTO message (number) VALUES ($1) ON CONFLICT DO NOTHING RETURNING true", number
    )
    return bool(done)


# -- routes


@dataclass(frozen=True, slots=True)
class Route:
    """Where identifiers of a prefix are resolved; port 0: none."""

    prefix: str
    serial: int
    address: str
    tcp_port: int
    udp_port: int
    http_port: int


async def want_routes(
    connection: Connection, prefix: str, address: str, tcp_port: int, udp_port: int, http_port: int
) -> None:
    """The node's own prefix and every approved one are to be resolved there, or at the enterprise's own node; what
    differs gets the next serial.
    """
    await connection.execute(
        """
        INSERT INTO route (prefix, address, tcp_port, udp_port, http_port)
        SELECT $1, $2, $3, $4, $5 UNION ALL
        SELECT p.name, w.* FROM filing f JOIN prefix p ON p.number = f.prefix_no
        LEFT JOIN hosting h ON h.prefix_no = p.number AND h.address <> ''
        CROSS JOIN LATERAL (
            SELECT h.address, h.tcp_port, h.udp_port, h.http_port WHERE h.prefix_no IS NOT NULL UNION ALL
            SELECT $2, $3, $4, $5 WHERE h.prefix_no IS NULL
        ) w WHERE f.state = $6
        ON CONFLICT (prefix) DO UPDATE SET address = excluded.address, tcp_port = excluded.tcp_port,
            udp_port = excluded.udp_port, http_port = excluded.http_port, serial = route.serial + 1
        WHERE (route.address, route.tcp_port, route.udp_port, route.http_port)
            <> (excluded.address, excluded.tcp_port, excluded.udp_port, excluded.http_port)
        """,
        prefix,
        address,
        tcp_port,
        udp_port,
        http_port,
        Filing.APPROVED,
    )


async def route(connection: Connection, prefix: str) -> Route | None:
    """Where that prefix is resolved, as the top-level node is told; None when it is told nothing."""
    if "\0" in prefix:  # PostgreSQL refuses such text
        return None
    row = await connection.fetchrow(
        "SELECT prefix, serial, address, tcp_port, udp_port, http_port FROM route WHERE prefix = $1", prefix
    )
    return Route(*row) if row else None


async def routes_to_tell(connection: Connection, resting: Sequence[str]) -> list[Route]:
    """At most MOST routes the top-level node has not confirmed, none of them of a prefix that is `resting`."""
    rows = await connection.fetch(
        "SELECT prefix, serial, address, tcp_port, udp_port, http_port FROM route "
        "WHERE told < serial AND prefix <> ALL ($2) ORDER BY prefix LIMIT $1",
        MOST,
        resting,
    )
    return [Route(*row) for row in rows]


async def route_told(connection: Connection, route: Route) -> None:
    """The top-level node knows that route."""
    await connection.execute("UPDATE route SET told = greatest(told, $2) WHERE prefix = $1", route.prefix, route.serial)

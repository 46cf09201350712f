"""Where prefixes are resolved, in the database."""

from dataclasses import dataclass
from typing import Any

from registry.hosting import ProxyState, Site
from registry.postgres import catalogue
from registry.postgres.connection import Connection
from registry.prefix import PrefixState


@dataclass(frozen=True, slots=True)
class Hosting:
    """How hosting of a prefix stands, and whose wish that is."""

    state: ProxyState
    applicant: int


async def found(connection: Connection, prefix_no: int) -> Hosting | None:
    """How it stands, held until the transaction ends; None when nothing was ever said."""
    row = await connection.fetchrow(
        "SELECT state, applicant_no FROM hosting WHERE prefix_no = $1 FOR UPDATE", prefix_no
    )
    return Hosting(ProxyState(row[0]), row[1]) if row else None


async def own(connection: Connection, prefix_no: int, account: int, site: Site) -> None:
    """The enterprise's own node answers for the prefix from now on."""
    await connection.execute(
        """
        INSERT INTO hosting (prefix_no, state, applicant_no, address, tcp_port, udp_port, http_port)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (prefix_no) DO UPDATE
        SET state = excluded.state, applicant_no = excluded.applicant_no, reason = '', address = excluded.address,
            tcp_port = excluded.tcp_port, udp_port = excluded.udp_port, http_port = excluded.http_port, updated = now()
        """,
        prefix_no,
        ProxyState.OWN,
        account,
        site.address,
        site.tcp_port,
        site.udp_port,
        site.http_port,
    )


async def apply(connection: Connection, prefix_no: int, account: int) -> None:
    """The prefix is to be hosted here; until that is decided, whoever answered for it goes on."""
    await connection.execute(
        """
        INSERT INTO hosting (prefix_no, state, applicant_no) VALUES ($1, $2, $3) ON CONFLICT (prefix_no) DO UPDATE
        SET state = excluded.state, applicant_no = excluded.applicant_no, reason = '', updated = now()
        """,
        prefix_no,
        ProxyState.APPLIED,
        account,
    )


async def decide(connection: Connection, prefix_no: int, state: ProxyState, reason: str) -> None:
    """What was applied for is decided; a prefix hosted here is answered for by no other node."""
    await connection.execute(
        """
        UPDATE hosting SET state = $2, reason = $3, updated = now(), address = CASE WHEN $4 THEN '' ELSE address END,
            tcp_port = CASE WHEN $4 THEN 0 ELSE tcp_port END, udp_port = CASE WHEN $4 THEN 0 ELSE udp_port END,
            http_port = CASE WHEN $4 THEN 0 ELSE http_port END
        WHERE prefix_no = $1
        """,
        prefix_no,
        state,
        reason,
        state is ProxyState.HOSTED,
    )


async def settle(connection: Connection) -> list[str]:
    """Lets prefixes live at their enterprises' own nodes, once the top-level node refers to those; which."""
    rows = await connection.fetch(
        f"SELECT name FROM prefix p WHERE state = $1 AND NOT elsewhere AND {catalogue.AT_ITS_OWN_NODE}",  # noqa: S608
        PrefixState.ENABLED,
    )
    for (name,) in rows:
        known = await catalogue.prefix(connection, name, held=True)
        assert known is not None
        await catalogue.set_elsewhere(connection, known, True)
    return [name for (name,) in rows]


async def listed(connection: Connection, enterprise: int | None) -> list[Any]:
    """Rows of (prefix, enterprise, applicant, updated, state, reason), the oldest first, at most 100: what waits for a
    decision, or (an enterprise) whatever it has said of its prefixes.
    """
    return list(
        await connection.fetch(
            "SELECT p.name AS prefix, e.name AS enterprise, u.username AS applicant, h.updated, h.state, h.reason "
            "FROM hosting h "
            "JOIN prefix p ON p.number = h.prefix_no LEFT JOIN enterprise e ON e.number = p.enterprise_no "
            "JOIN account u ON u.number = h.applicant_no "
            "WHERE CASE WHEN $2::integer IS NULL THEN h.state = $1 ELSE p.enterprise_no = $2 END "
            "ORDER BY h.updated LIMIT 100",
            ProxyState.APPLIED,
            enterprise,
        )
    )

"""Logins by UDP in the database: found by every worker, bounded."""

from datetime import timedelta
from typing import Final

from registry.native_login import IDLE_SECONDS, LOGINS_MOST, OF_PEER_MOST
from registry.postgres.connection import Connection

_IDLE: Final = timedelta(seconds=IDLE_SECONDS)


async def keep(connection: Connection, peer: str, port: int, name: str, key: bytes) -> bool:
    """Keeps who logged in from an address, in place of whoever did before; False when too many have. Silent ones go."""
    kept = await connection.fetchval(
        """
        WITH silent AS (
            DELETE FROM native_login WHERE (peer, port) IN (
                SELECT peer, port FROM native_login
                WHERE used <= now() - $5::interval AND (peer, port) <> ($1, $2) FOR UPDATE SKIP LOCKED
            )
        ), held AS (
            SELECT count(*) AS count, count(*) FILTER (WHERE peer = $1) AS of_peer FROM native_login
            WHERE used > now() - $5::interval AND (peer, port) <> ($1, $2)
        )
        INSERT INTO native_login (peer, port, name, key_digest)
        SELECT $1, $2, $3, $4 FROM held WHERE count < $6 AND of_peer < $7
        ON CONFLICT (peer, port) DO UPDATE
        SET name = excluded.name, key_digest = excluded.key_digest, used = excluded.used
        RETURNING true
        """,
        peer,
        port,
        name,
        key,
        _IDLE,
        LOGINS_MOST,
        OF_PEER_MOST,
    )
    return bool(kept)


async def used(connection: Connection, peer: str, port: int) -> tuple[str, bytes] | None:
    """The key that logged in from an address, by name and digest; it is used now."""
    row = await connection.fetchrow(
        """
        UPDATE native_login SET used = now() WHERE peer = $1 AND port = $2 AND used > now() - $3::interval
        RETURNING name, key_digest
        """,
        peer,
        port,
        _IDLE,
    )
    return (row["name"], row["key_digest"]) if row else None


async def end(connection: Connection, peer: str, port: int) -> None:
    """Ends the login from an address."""
    await connection.execute("DELETE FROM native_login WHERE peer = $1 AND port = $2", peer, port)

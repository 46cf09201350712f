"""Sessions of the Handle HTTP API in the database: begun once each, found by every worker, bounded for each key."""

from datetime import timedelta
from typing import Final

from registry.key_session import IDLE_SECONDS, SESSIONS_OF_KEY
from registry.postgres.connection import Connection

_IDLE: Final = timedelta(seconds=IDLE_SECONDS)
_TOUCHED: Final = timedelta(seconds=60)
"""A session that is used is noted as used no more often than this."""


async def begin(connection: Connection, digest: bytes, name: str, key_digest: bytes) -> bool:
    """Keeps the session of who proved the key `name`; False when it has begun before. Others of that key that are too
    many end, and whatever is silent for too long.
    """
    made = await connection.fetchval(
        """
        WITH silent AS (DELETE FROM key_session WHERE used <= now() - $4::interval),
        over AS (
            DELETE FROM key_session WHERE digest IN (
                SELECT digest FROM key_session WHERE name = $2 ORDER BY used DESC OFFSET $5
            )
        )
        INSERT INTO key_session (digest, name, key_digest) VALUES ($1, $2, $3)
        ON CONFLICT (digest) DO NOTHING RETURNING true
        """,
        digest,
        name,
        key_digest,
        _IDLE,
        SESSIONS_OF_KEY - 1,
    )
    return bool(made)


async def used(connection: Connection, digest: bytes) -> tuple[str, bytes] | None:
    """The key a live session was begun with, by name and digest; it is used now."""
    row = await connection.fetchrow(
        """
        WITH live AS (SELECT * FROM key_session WHERE digest = $1 AND name IS NOT NULL AND used > now() - $2::interval),
        touched AS (
            UPDATE key_session s SET used = now() FROM live
            WHERE s.digest = live.digest AND live.used < now() - $3::interval
        )
        SELECT name, key_digest FROM live
        """,
        digest,
        _IDLE,
        _TOUCHED,
    )
    return (row["name"], row["key_digest"]) if row else None


async def end(connection: Connection, digest: bytes) -> None:
    """Ends a session; its nonce stays used."""
    await connection.execute("UPDATE key_session SET name = NULL WHERE digest = $1", digest)

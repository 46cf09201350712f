"""Sessions of the Handle protocol in the database: found by every worker, no message of theirs heard twice, bounded."""

from datetime import timedelta
from typing import Final

from registry.native_session import (
    LIFE_SECONDS,
    OF_PEER_MOST,
    SESSIONS_MOST,
    UNPROVEN_SECONDS,
    WINDOW,
    NativeSession,
    Used,
)
from registry.postgres.connection import Connection

_LIFE: Final = timedelta(seconds=LIFE_SECONDS)
_UNPROVEN: Final = timedelta(seconds=UNPROVEN_SECONDS)
_LIVE: Final = """
    made > now() - $2::interval
    AND used > now() - CASE WHEN name IS NULL THEN least(idle, $3::interval) ELSE idle END
"""


async def begin(connection: Connection, session: NativeSession, peer: str) -> bool:
    """Keeps a session that `peer` set up; False when too many live, or the number is taken. Those that ended go."""
    kept = await connection.fetchval(
        f"""
        WITH over AS (
            DELETE FROM native_session WHERE number IN (
                SELECT number FROM native_session WHERE NOT ({_LIVE}) FOR UPDATE SKIP LOCKED
            )
        ), held AS (
            SELECT count(*) AS count, count(*) FILTER (WHERE peer = $4) AS of_peer FROM native_session WHERE {_LIVE}
        )
        INSERT INTO native_session (number, peer, sealed, claimed, idle)
        SELECT $1, $4, $5, $6, $7::interval FROM held WHERE count < $8 AND of_peer < $9
        ON CONFLICT (number) DO NOTHING RETURNING true
        """,  # noqa: S608 - our own text
        session.number,
        _LIFE,
        _UNPROVEN,
        peer,
        session.sealed,
        session.claimed,
        timedelta(seconds=session.idle),
        SESSIONS_MOST,
        OF_PEER_MOST,
    )
    return bool(kept)


async def live(connection: Connection, number: int) -> NativeSession | None:
    """A session that has not ended."""
    row = await connection.fetchrow(
        f"""
        SELECT number, sealed, claimed, extract(epoch FROM idle)::integer FROM native_session
        WHERE number = $1 AND {_LIVE}
        """,  # noqa: S608 - our own text
        number,
        _LIFE,
        _UNPROVEN,
    )
    return NativeSession(*row) if row else None


async def use(connection: Connection, number: int, counter: int, answers: int) -> Used | None:
    """Notes that the message with that counter was heard in a live session, and takes numbers for `answers` of ours.

    None for one that was heard before, or is WINDOW behind the newest. The row is locked for it: of two workers that
    hear the same message one is told None.
    """
    row = await connection.fetchrow(
        f"""
        UPDATE native_session SET
            heard = CASE
                WHEN $4::bigint >= highest + $5::integer THEN 1
                WHEN $4 > highest THEN ((heard << ($4 - highest)::integer) | 1) & ((1::bigint << $5::integer) - 1)
                ELSE heard | (1::bigint << (highest - $4)::integer)
            END,
            highest = greatest(highest, $4), answered = answered + $6, used = now()
        WHERE number = $1 AND {_LIVE} AND (
            $4 > highest
            OR (highest - $4 < $5 AND (heard >> least(greatest(highest - $4, 0), $5)::integer) & 1 = 0)
        )
        RETURNING answered - $6 + 1, coalesce(name, ''), coalesce(key_digest, '')
        """,  # noqa: S608 - our own text
        number,
        _LIFE,
        _UNPROVEN,
        counter,
        WINDOW,
        answers,
    )
    return Used(*row) if row else None


async def prove(connection: Connection, number: int, name: str, key: bytes) -> None:
    """Notes the key that was proven in a session, unless it was set up for another; index 0 stands for any."""
    await connection.execute(
        """
        UPDATE native_session SET name = $2::text, key_digest = $3
        WHERE number = $1 AND claimed IN ('', $2, '0' || substr($2, strpos($2, ':')))
        """,
        number,
        name,
        key,
    )


async def end(connection: Connection, number: int) -> None:
    """Ends a session."""
    await connection.execute("DELETE FROM native_session WHERE number = $1", number)

"""Challenges of the Handle protocol in the database: taken once each, by whichever worker hears the answer, bounded."""

from datetime import timedelta
from typing import Final

from registry.native_challenge import LIVES_SECONDS, OF_PEER_MOST, WAITING_OCTETS, NativeChallenge
from registry.native_session import NUMBER_FIRST
from registry.postgres.connection import Connection

_LIVES: Final = timedelta(seconds=LIVES_SECONDS)


async def keep(connection: Connection, challenge: NativeChallenge, peer: str, most: int) -> bool:
    """Keeps what waits for `peer`'s proof; False when too much waits, `most` and more, or the number is taken. In a
    session the last one counts. The old ones go.
    """
    kept = await connection.fetchval(
        """
        WITH over AS (
            DELETE FROM native_challenge WHERE number IN (
                SELECT number FROM native_challenge WHERE made <= now() - $6::interval FOR UPDATE SKIP LOCKED
            )
        ), held AS (
            SELECT count(*) AS count, coalesce(sum(octet_length(request)), 0) AS octets,
                count(*) FILTER (WHERE peer = $2) AS of_peer
            FROM native_challenge WHERE made > now() - $6::interval
        )
        INSERT INTO native_challenge (number, peer, nonce, digest, request)
        SELECT $1, $2, $3, $4, $5::bytea FROM held
        WHERE count < $7 AND of_peer < $8 AND octets + octet_length($5::bytea) <= $9
        ON CONFLICT (number) DO UPDATE
        SET peer = excluded.peer, nonce = excluded.nonce, digest = excluded.digest, request = excluded.request,
            made = excluded.made
        WHERE excluded.number >= $10
        RETURNING true
        """,
        challenge.number,
        peer,
        challenge.nonce,
        challenge.digest,
        challenge.request,
        _LIVES,
        most,
        OF_PEER_MOST,
        WAITING_OCTETS,
        NUMBER_FIRST,
    )
    return bool(kept)


async def take(connection: Connection, number: int, peer: str) -> NativeChallenge | None:
    """Uses a live challenge to `peer` up."""
    row = await connection.fetchrow(
        """
        DELETE FROM native_challenge WHERE number = $1 AND peer = $2 AND made > now() - $3::interval
        RETURNING number, nonce, digest, request
        """,
        number,
        peer,
        _LIVES,
    )
    return NativeChallenge(*row) if row else None

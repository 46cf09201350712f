"""Whether the chain of a prefix is whole: computed anew from the kept changes, never asserted.

Memory is bounded: changes are read one by one, and identifiers are counted by PostgreSQL.
"""

from dataclasses import dataclass

import asyncpg

from node.toplevel import books, rules
from node.toplevel.books import Stream
from node.toplevel.rules import Flaw, Standing
from proto.chain import HEAD_FIRST
from registry.postgres.connection import Connection, borrowed


@dataclass(frozen=True, slots=True)
class Proof:
    """What came of a stream up to the number and head where it stood: `flaw` None when it is whole."""

    stream: Stream
    standing: Standing
    live: int
    flaw: Flaw | None


async def prove(pool: asyncpg.Pool, prefix: str, now: int) -> list[Proof]:
    """Proves every stream of a prefix and keeps what was found; none when the prefix has no stream."""
    async with borrowed(pool) as connection:
        # One moment for all of it, though pushes go on meanwhile.
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            await books.be_patient(connection)
            streams = await books.streams_of(connection, prefix)
            proofs = [await _proven(connection, prefix, *stream) for stream in streams]
        for each in proofs:
            await books.keep_proof(connection, each.stream, each.standing.number, each.flaw, now)
    return proofs


async def _proven(connection: Connection, prefix: str, stream: Stream, told: Standing, live: int) -> Proof:
    at: Standing | Flaw = Standing(0, HEAD_FIRST)
    async for change in books.kept(connection, stream, told.number):
        assert isinstance(at, Standing)
        at = rules.walk(prefix, at, change)
        if isinstance(at, Flaw):
            return Proof(stream, told, live, at)
    counted = await books.census(connection, stream, told.number)
    return Proof(stream, told, counted.live, rules.agrees(told, live, at, counted.live, counted.astray))

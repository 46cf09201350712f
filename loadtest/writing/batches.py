"""Batches of registrations over some connections, as fast as they are answered. What COPY takes is bare.py's.

Bodies are made before the clock starts, those of a storm by hardly more than a copy: on a small machine, who makes them
competes with who reads them.
"""

import asyncio
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, takewhile
from typing import Final

from loadtest.mix import Ask, rows_body, wrong
from loadtest.response import Response
from loadtest.target import Address
from loadtest.wire import Connection, LostError, RefusedError
from loadtest.writing.problem import WritingError
from loadtest.wrk import FRESH, Post, listed

MARK_OCTETS: Final = 4
"""Drawn for the mark of a batch: no two batches of a run get the same one but by a chance in a million."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The rows of one request, all under `prefix`, and its body."""

    prefix: str
    serials: tuple[str, ...]
    body: bytes

    @property
    def handles(self) -> list[str]:
        """The identifiers, in order."""
        return [f"{self.prefix}/{serial}" for serial in self.serials]


def made(prefixes: Sequence[str], mark: str, count: int, rows: int) -> list[Batch]:
    """`count` batches of `rows` identifiers nobody registered before, the prefixes in turn; `mark` is in all names."""
    batches = []
    for number in range(count):
        prefix = prefixes[number % len(prefixes)]
        serials = tuple(f"W-{mark}-{number:06d}-{row:04d}" for row in range(rows))
        numbers = range(number * rows, (number + 1) * rows)
        batches.append(Batch(prefix, serials, rows_body([f"{prefix}/{s}" for s in serials], serials, numbers)))
    return batches


def endless(prefixes: Sequence[str], rows: int) -> Iterator[Batch]:
    """Batches of `rows` identifiers nobody registered before, without end, the prefixes in turn.

    Each is the first one of its prefix under another mark, which costs hardly more than copying it.
    """
    mark = secrets.token_hex(MARK_OCTETS)
    firsts = made(prefixes, mark, len(prefixes), rows)
    for first in cycle(firsts):
        other = secrets.token_hex(MARK_OCTETS)
        serials = tuple(serial.replace(mark, other) for serial in first.serials)
        yield Batch(first.prefix, serials, first.body.replace(mark.encode(), other.encode()))


def singles(prefixes: Sequence[str], mark: str, node: Address, token: str) -> str:
    """A file of requests for wrk: fresh serials that begin with `mark`, one by one, the prefixes in turn."""
    head = f"Host: {node}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    serial = mark + FRESH
    bodies = [rows_body((f"{prefix}/{serial}",), (serial,), (n,))[1:-1].decode() for n, prefix in enumerate(prefixes)]
    return listed([head], [Post(0, "/identityv2/data", body) for body in bodies])


async def stormed(
    node: Address, token: str, batches: Iterator[Batch], connections: int, seconds: float
) -> tuple[int, float]:
    """Sends `batches` for so many seconds, as many as are answered: rows registered, and seconds until the last answer.

    Raises WritingError.
    """
    until = time.perf_counter() + seconds
    return await _sent(node, token, takewhile(lambda _: time.perf_counter() < until, batches), connections)


async def sent(node: Address, token: str, batches: Sequence[Batch], connections: int) -> float:
    """Seconds until the last of `batches` was answered, every row with success. Raises WritingError."""
    return (await _sent(node, token, iter(batches), connections))[1]


async def _sent(node: Address, token: str, waiting: Iterator[Batch], connections: int) -> tuple[int, float]:
    """How many rows were registered, each with success, and in how many seconds. Raises WritingError."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    rows = 0

    async def some(connection: Connection) -> None:
        nonlocal rows
        for batch in waiting:
            reply = await connection.ask("POST", "/identityv2/data/batchCreate", headers, batch.body)
            judged = Ask("batch", b"", batch.handles)
            if said := wrong(judged, Response(reply.status, reply.body, closing=False)):
                raise WritingError(said)
            rows += len(batch.serials)

    opened: list[Connection] = []
    try:
        for _ in range(connections):
            opened.append(await Connection.open(node.port, node.host))
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(some(connection))
        return rows, time.perf_counter() - began
    except* (RefusedError, LostError) as group:
        raise WritingError(f"{node}: {group.exceptions[0]}") from None
    finally:
        for connection in opened:
            await connection.close()

"""Batches of registrations over some connections, as fast as they are answered. What COPY takes is copying.py's.

Bodies are made before the clock starts: on a small machine, who makes them would compete with who reads them.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from loadtest.mix import Ask, rows_body, wrong
from loadtest.response import Response
from loadtest.target import Address
from loadtest.wire import Connection, LostError, RefusedError
from loadtest.writing.problem import WritingError


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


async def sent(node: Address, token: str, batches: Sequence[Batch], connections: int) -> float:
    """Seconds until the last of `batches` was answered, every row with success. Raises WritingError."""
    waiting = deque(batches)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    async def some(connection: Connection) -> None:
        while waiting:
            batch = waiting.popleft()
            reply = await connection.ask("POST", "/identityv2/data/batchCreate", headers, batch.body)
            judged = Ask("batch", b"", batch.handles)
            if said := wrong(judged, Response(reply.status, reply.body, False)):
                raise WritingError(said)

    opened: list[Connection] = []
    try:
        for _ in range(connections):
            opened.append(await Connection.open(node.port, node.host))
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            for connection in opened:
                group.create_task(some(connection))
        return time.perf_counter() - began
    except* (RefusedError, LostError) as group:
        raise WritingError(f"{node}: {group.exceptions[0]}") from None
    finally:
        for connection in opened:
            await connection.close()

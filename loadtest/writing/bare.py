"""What PostgreSQL does by itself with the rows the node has written: COPY into a table of the same shape, and the
node's own statement, which writes indexes, change and chain as well.

The table is made beside the node's own, in the same database, and goes with the run. Rules are never here.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import Any, Final

import asyncpg

from loadtest.population import TEMPLATE
from loadtest.writing.batches import Batch
from loadtest.writing.problem import WritingError
from proto.chain import Kind, entry_digest

TABLE: Final = "loadtest_bare"
"""Shaped like the node's `record`, its indexes included."""
_ROWS: Final = """
    SELECT r.* FROM record r JOIN prefix p ON p.number = r.prefix_no
    WHERE p.name = $1 AND r.suffix = ANY ($2) ORDER BY r.suffix
"""
_SHAPE: Final = """
    SELECT attname FROM pg_attribute
    WHERE attrelid = 'record'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""

_COMMIT: Final = """
    SELECT commit_changes(number, epoch, $2, $3, $4, $5, $6, $7, $8, $9, $10) FROM prefix WHERE name = $1
"""
AGAIN: Final = "again-"
"""What the suffixes of rows begin with that the node's statement writes once more."""

_UNRECEIPTED: Final = """
    SELECT count(*) FROM stream s LEFT JOIN receipt r ON r.prefix_no = s.prefix_no AND r.sub = s.sub
    WHERE s.number > coalesce(r.number, 0)
"""

Row = tuple[Any, ...]


@asynccontextmanager
async def bare_table(url: str) -> AsyncIterator["Bare"]:
    """The table, empty, until the block ends. Raises WritingError when the database cannot be reached."""
    try:
        connection = await asyncpg.connect(url)
    except (OSError, asyncpg.PostgresError) as error:
        raise WritingError(f"数据库连不上：{error}。 The database cannot be reached: {error}.") from None
    try:
        await connection.execute(f"DROP TABLE IF EXISTS {TABLE}; CREATE TABLE {TABLE} (LIKE record INCLUDING ALL)")
        columns = tuple(row[0] for row in await connection.fetch(_SHAPE))
        yield Bare(url, connection, columns)
    finally:
        await connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
        await connection.close()


class Bare:
    """The bare table; `columns` are those of `record`, in order."""

    def __init__(self, url: str, connection: Any, columns: tuple[str, ...]) -> None:
        self._url, self._connection, self.columns = url, connection, columns

    async def rows(self, batch: Batch) -> list[Row]:
        """What the node has written for a batch, as it stands in its table."""
        found = await self._connection.fetch(_ROWS, batch.prefix, list(batch.serials))
        if len(found) != len(batch.serials):
            raise WritingError(f"{len(found)} ≠ {len(batch.serials)}: {batch.prefix}")
        return [tuple(row[column] for column in self.columns) for row in found]

    async def literals(self, batch: Batch) -> dict[str, str]:
        """The first row of a batch as SQL, by column."""
        row = await self._connection.fetchrow(
            f"SELECT {', '.join(f'quote_nullable({c}::text) AS {c}' for c in self.columns)} "  # noqa: S608 - our own names
            "FROM record WHERE prefix_no = (SELECT number FROM prefix WHERE name = $1) AND suffix = $2",
            batch.prefix,
            batch.serials[0],
        )
        return dict(row)

    async def registered(self, mark: str) -> int:
        """How many serials that begin with `mark` the node has written."""
        return int(await self._connection.fetchval("SELECT count(*) FROM record WHERE starts_with(suffix, $1)", mark))

    async def unreceipted(self) -> int:
        """How many streams hold changes the top-level node has not receipted."""
        return int(await self._connection.fetchval(_UNRECEIPTED))

    async def copied(self, groups: Sequence[Sequence[Row]], connections: int) -> float:
        """Seconds until every group of rows was copied by itself, over so many connections at once."""

        async def copy(connection: Any, group: Sequence[Row]) -> None:
            await connection.copy_records_to_table(TABLE, records=group, columns=self.columns)

        return await self._written(copy, groups, connections)

    async def committed(self, batches: Sequence[Batch], groups: Sequence[Sequence[Row]], connections: int) -> float:
        """Seconds until the node's own statement has written every group of rows, which are of those batches, once more
        under other suffixes, over so many connections: into its tables, with their indexes, change and chain.
        """

        async def commit(connection: Any, given: Sequence[Any]) -> None:
            if await connection.fetchval(_COMMIT, *given) is not None:
                raise WritingError(f"没有写入 Not written: {given[0]}/{given[2][0]}")

        given = [
            self._changes(batch.prefix, [dict(zip(self.columns, row, strict=True)) for row in group])
            for batch, group in zip(batches, groups, strict=True)
        ]
        return await self._written(commit, given, connections)

    @staticmethod
    def _changes(prefix: str, rows: Sequence[dict[str, Any]]) -> tuple[Any, ...]:
        """The arguments of _COMMIT."""
        suffixes = [AGAIN + row["suffix"] for row in rows]
        bodies = [row["body"] for row in rows]
        digests = [sha256(body).digest() for body in bodies]
        entries = [
            entry_digest(f"{prefix}/{suffix}", 1, Kind.CREATED, TEMPLATE, digest)
            for suffix, digest in zip(suffixes, digests, strict=True)
        ]
        return (
            *(prefix, int(time.time()), suffixes, [0] * len(rows), [int(Kind.CREATED)] * len(rows)),
            *([row["template_no"] for row in rows], [row["actor_no"] for row in rows], bodies),
            *(b"".join(entries), b"".join(digests)),
        )

    async def _written(self, write: Callable[[Any, Any], Awaitable[None]], groups: Sequence[Any], most: int) -> float:
        """Seconds until `write` has been done with each of `groups`, over `most` connections at once."""
        waiting = deque(groups)

        async def some(connection: Any) -> None:
            while waiting:
                await write(connection, waiting.popleft())

        opened = [await asyncpg.connect(self._url) for _ in range(most)]
        try:
            began = time.perf_counter()
            async with asyncio.TaskGroup() as group:
                for connection in opened:
                    group.create_task(some(connection))
            return time.perf_counter() - began
        finally:
            for connection in opened:
                await connection.close()

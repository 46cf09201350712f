"""The audit journal's own door: what changes nothing is added, and the whole is read and proven."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from registry.audit import EMPTY, NODE, OCTETS_MOST, Actor, Broken, Entry, Head, Minutes, Row, ended, prove
from registry.errors import UnknownOutcomeError
from registry.postgres import accounts, audit
from registry.postgres.audit import Wanted
from registry.postgres.connection import BROKEN, Connection, Pool, borrowed, cut

PAGE: Final = 500
"""Entries read at once: 4 MB of the largest."""


@asynccontextmanager
async def audited(pool: Pool, actor: Actor, most: int) -> AsyncIterator[tuple[Connection, Minutes]]:
    """A transaction, and whom to tell what is done in it in the name of `actor`. The journal is written last: its head
    is held by nobody who waits for something else. Raises as Auditor does.
    """
    async with borrowed(pool, "administer") as connection:
        backend = connection.get_server_pid()
        try:
            async with connection.transaction():
                note = Minutes(actor)
                yield connection, note
                await audit.append(connection, note.entries, most)
        except BROKEN as error:
            cut(connection)
            raise UnknownOutcomeError(str(error), backend) from error


class Auditor:
    """Reads and adds. Raises UnavailableError (nothing done), UnknownOutcomeError (maybe done) or AuditFullError."""

    def __init__(self, pool: Pool, most: int = OCTETS_MOST) -> None:
        self._pool = pool
        self.most = most

    async def record(self, entries: Sequence[Entry]) -> None:
        """Adds entries about what changed nothing: readings."""
        async with audited(self._pool, NODE, self.most) as (_, note):
            note.entries.extend(entries)

    async def head(self) -> tuple[Head, int]:
        """The head of the journal, and the octets it takes."""
        async with borrowed(self._pool, "administer") as connection:
            return await audit.head(connection)

    async def first(self) -> bytes:
        """The digest of its first entry, by which it is known; empty before there is one."""
        async with borrowed(self._pool, "administer") as connection:
            return await audit.digest(connection, 1) or b""

    async def goes_through(self, kept: Head) -> bool:
        """Whether the journal still holds the entry that was its head once."""
        async with borrowed(self._pool, "administer") as connection:
            return kept == EMPTY or await audit.digest(connection, kept.number) == kept.digest

    async def account(self, username: str) -> int | None:
        """The number of the account called so; None when there is none."""
        async with borrowed(self._pool, "administer") as connection:
            known = await accounts.known(connection, username)
        return known.number if known else None

    async def page(self, wanted: Wanted, below: int, most: int) -> list[Row]:
        """At most `most` (PAGE at most) entries with numbers below that, newest first."""
        async with borrowed(self._pool, "administer") as connection:
            return await audit.rows(connection, wanted, below=below, most=min(most, PAGE))

    async def all(self, wanted: Wanted) -> AsyncIterator[list[Row]]:
        """The entries there are now, oldest first, PAGE at a time."""
        above, last = 0, (await self.head())[0].number
        while True:
            async with borrowed(self._pool, "administer") as connection:
                found = await audit.rows(connection, wanted, above=above, most=PAGE)
            rows = [row for row in found if row.number <= last]
            if rows:
                yield rows
            if len(rows) < PAGE:
                return
            above = rows[-1].number

    async def verify(self, kept: Head = EMPTY) -> Head | Broken:
        """Proves the journal, as it is now, from its first entry to its end, and that it goes through `kept`."""
        proven: Head | Broken = EMPTY
        async with (
            borrowed(self._pool, "administer") as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            head, _ = await audit.head(connection)
            while not isinstance(proven, Broken):
                rows = await audit.rows(connection, Wanted(), above=proven.number, most=PAGE)
                if not rows:
                    return ended(proven, head, kept)
                proven = prove(proven, rows, kept)
        return proven

"""Pools of connections, and what a broken one means. No statement of any table lives here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from typing import Any, Final, Literal, Protocol, get_args

import asyncpg

from registry.errors import UnavailableError

ACQUIRE_SECONDS: Final = 5.0
"""How long a question waits for a connection: longer, and the client's own patience (60 s) is in sight."""
STATEMENT_SECONDS: Final = 30.0
"""Longest statement of a door; a batch of 2000 takes well under one."""
CONNECT_SECONDS: Final = 5.0
CONNECTION_QUERIES: Final = 50_000
"""A connection is replaced after so many: what a server process gathers in its caches is let go."""
BORROWED_MOST: Final = 1000
"""Once in so many times a connection goes back to asyncpg's pool, which replaces it when its time has come."""

BROKEN: Final = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg says when it is asked between the server's farewell and the end of the connection.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
)
"""What asyncpg raises when the server is away, stopping, starting, full or too slow."""

READ_ONLY: Final = asyncpg.ReadOnlySQLTransactionError
"""The server answers questions but takes no changes (a standby, or default_transaction_read_only): none was made."""

Connection = Any
"""asyncpg ships no types; statements say the shape of their rows themselves."""

_SESSION: Final = {
    # Every statement of ours comes by an index; a plan made while a table looked empty must not outlive that.
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "plan_cache_mode": "force_generic_plan",
    "jit": "off",
    "synchronous_commit": "on",
    "idle_in_transaction_session_timeout": "30000",
    # Below STATEMENT_SECONDS: the server gives up first and says so, and no backend outlives who asked.
    "statement_timeout": "25000",
    "lock_timeout": "20000",
    "client_connection_check_interval": "5000",
}


Purpose = Literal[
    "look",
    "template",
    "prefix",
    "history",
    "token",
    "batch",
    "grants",
    "file",
    "judge",
    "commit",
    "administer",
    "follow",
    "uplink",
    "other",
]
PURPOSES: Final[tuple[str, ...]] = get_args(Purpose)
"""What a connection is borrowed for, as operators are told."""


class Watch(Protocol):
    """Sees how a pool is used. What it gives is entered before and left after the thing it is named for."""

    def waiting(self) -> AbstractContextManager[object]:
        """A question waits for a connection."""

    def using(self, purpose: Purpose) -> AbstractContextManager[object]:
        """A question has one."""

    def show(self, size: int, idle: int) -> None:
        """So many connections there are, and so many of them nobody uses."""


class Unwatched:
    """Nobody sees."""

    def waiting(self) -> AbstractContextManager[object]:
        """Nothing."""
        return nullcontext()

    def using(self, purpose: Purpose) -> AbstractContextManager[object]:
        """Nothing."""
        return nullcontext()

    def show(self, size: int, idle: int) -> None:
        """Nothing."""


class Pool(asyncpg.Pool):  # type: ignore[misc] # asyncpg ships no types
    """A pool of asyncpg whose use is seen by `watch`.

    A connection that nobody else waits for stays at hand for who borrows next: giving it to the pool and taking it out
    again costs two tasks.
    """

    watch: Watch

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._at_hand: list[Connection] = []
        self._borrowed = 0
        self._waiting = 0
        self._lent = False

    async def borrow(self) -> Connection:
        """A connection, within ACQUIRE_SECONDS."""
        while self._at_hand:
            connection = self._at_hand.pop()
            with suppress(asyncpg.InterfaceError):  # the pool has taken it back already when it broke by itself
                if not connection.is_closed():
                    return connection
                await self.release(connection)
        self._waiting += 1
        try:
            return await super().acquire(timeout=ACQUIRE_SECONDS)
        finally:
            self._waiting -= 1

    async def give_back(self, connection: Connection, *, clean: bool) -> None:
        """Lets a borrowed connection go; `clean`: whoever had it ended in peace."""
        self._borrowed += 1
        usable = clean and not connection.is_in_transaction()
        wanted = self._waiting or self._lent or self.is_closing()
        if usable and not wanted and self._borrowed % BORROWED_MOST:
            self._at_hand.append(connection)
        else:
            await self.release(connection)

    def show(self) -> None:
        """Tells its watch how it is now."""
        self.watch.show(self.get_size(), self.get_idle_size())

    def get_idle_size(self) -> int:
        """Connections nobody uses."""
        return min(int(super().get_idle_size()) + len(self._at_hand), int(self.get_size()))

    def acquire(self, *, timeout: float | None = None) -> Any:
        """A connection as asyncpg lends it, also to its own `fetch` and `execute`. From then on none stays at hand:
        asyncpg knows of no such.
        """
        self._lent = True
        for connection in self._at_hand:
            self._loop.call_soon(asyncio.ensure_future, self.release(connection))
        self._at_hand.clear()
        return super().acquire(timeout=timeout)

    async def close(self) -> None:
        """Closes all connections once they are given back."""
        while self._at_hand:
            await self.release(self._at_hand.pop())
        await super().close()


async def _as_it_is(_: Connection) -> None:
    """What a connection goes through on its way back: no round trip, for no statement of ours leaves anything in its
    session (SET, LISTEN, an advisory lock): what needs that has a connection of its own. An open transaction is rolled
    back by the pool before this is asked.
    """


async def open_pool(url: str, *, size: int, name: str, watch: Watch | None = None) -> Pool:
    """A pool of at most `size` connections, named `name` in pg_stat_activity. Opens none yet."""
    pool = Pool(
        url,
        connection_class=asyncpg.Connection,
        record_class=asyncpg.Record,
        loop=None,
        max_queries=CONNECTION_QUERIES,
        min_size=0,
        max_size=size,
        timeout=CONNECT_SECONDS,
        command_timeout=STATEMENT_SECONDS,
        max_inactive_connection_lifetime=0,
        reset=_as_it_is,
        server_settings=_SESSION | {"application_name": name},
    )
    pool.watch = watch or Unwatched()
    await pool
    return pool


@asynccontextmanager
async def borrowed(pool: Pool, purpose: Purpose = "other") -> AsyncIterator[Connection]:
    """A connection for questions. Raises UnavailableError when the database cannot be asked."""
    try:
        with pool.watch.waiting():
            connection = await pool.borrow()
    except (*BROKEN, asyncpg.PostgresError) as error:  # whatever it says: a database that lets nobody in is away
        raise UnavailableError(f"{type(error).__name__}: {error}") from error
    clean = False
    try:
        try:
            with pool.watch.using(purpose):
                yield connection
            clean = True
        finally:
            # What was asked is answered, a commit above all: breaking while it is put back changes nothing of that.
            with suppress(*BROKEN):
                await pool.give_back(connection, clean=clean)
    except (*BROKEN, READ_ONLY) as error:
        raise UnavailableError(f"{type(error).__name__}: {error}") from error


def cut(connection: Connection) -> None:
    """Ends a borrowed connection after an outcome was lost: its server process shall end, and with it the doubt."""
    with suppress(asyncpg.InterfaceError):  # the pool has taken it back already when it broke by itself
        connection.terminate()


async def connect(
    url: str, name: str, seconds: float | None = STATEMENT_SECONDS, settings: Mapping[str, str] | None = None
) -> Connection:
    """One connection outside any pool, whose statements may take `seconds` (None: any), with `settings` of its own.

    Raises UnavailableError.
    """
    try:
        return await asyncpg.connect(
            url,
            timeout=CONNECT_SECONDS,
            command_timeout=seconds,
            server_settings={"application_name": name, **(settings or {})},
        )
    except (*BROKEN, asyncpg.PostgresError, ValueError) as error:
        raise UnavailableError(f"{type(error).__name__}: {error}") from error


@asynccontextmanager
async def connected(url: str, name: str, seconds: float | None = STATEMENT_SECONDS) -> AsyncIterator[Connection]:
    """`connect` for as long as it is needed; what breaks meanwhile is UnavailableError, too."""
    connection = await connect(url, name, seconds)
    try:
        yield connection
    except (*BROKEN, asyncpg.PostgresError) as error:
        raise UnavailableError(f"{type(error).__name__}: {error}") from error
    finally:
        connection.terminate()


async def is_read_only(connection: Connection) -> bool:
    """Whether the server takes no changes: it is a standby, or told so by default_transaction_read_only."""
    return bool(await connection.fetchval("SELECT current_setting('transaction_read_only') = 'on'"))


async def backends_gone(url: str, family: str, mine: str, backend: int) -> bool:
    """Whether the server process `backend` is over; 0 asks for all whose name begins with `family` but is not `mine`.

    What a lost connection left behind may still be committing; this tells when its outcome is settled.
    """
    async with connected(url, "idnode-settle") as connection:
        return not await connection.fetchval(
            """
            SELECT count(*) FROM pg_stat_activity
            WHERE CASE WHEN $3::integer > 0 THEN pid = $3 AND application_name = $2
                ELSE starts_with(application_name, $1) AND application_name <> $2 END
            """,
            family,
            mine,
            backend,
        )

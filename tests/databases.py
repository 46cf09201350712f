"""Databases for tests, each as good as new: one that was used is brought back to its template's state and lent again.

Making one and dropping it costs half a second of a processor, bringing one back some milliseconds. What a test may have
done is not guessed but looked for: whoever touched the schema, a setting or the planner's statistics, or left much
behind, has used it up, and so has everybody of whose doings a trace is left after all.
"""

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from io import BytesIO

import asyncpg

OCTETS_MOST = 16 * 2**20
"""Tables of more octets than these are dropped sooner than emptied."""
FIRST_OID = 16384
"""Everything below is PostgreSQL's own (FirstNormalObjectId)."""
CATALOGUES = (
    *("pg_class", "pg_attribute", "pg_attrdef", "pg_constraint", "pg_index", "pg_trigger", "pg_proc", "pg_type"),
    *("pg_namespace", "pg_rewrite", "pg_policy", "pg_extension", "pg_enum", "pg_sequence", "pg_statistic_ext"),
)
WRITTEN = f"""
    {" UNION ALL ".join(f"SELECT '{name}', count(*), max(xmin::text::bigint) FROM {name}" for name in CATALOGUES)}
    UNION ALL SELECT 'statistics', count(*), max(xmin::text::bigint) FROM pg_statistic WHERE starelid >= {FIRST_OID}
    UNION ALL SELECT 'settings', count(*), max(s.xmin::text::bigint)
        FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = current_database()
    UNION ALL SELECT 'limits', datconnlimit, datallowconn::integer FROM pg_database WHERE datname = current_database()
    UNION ALL SELECT 'large objects', count(*), 0 FROM pg_largeobject_metadata
    ORDER BY 1
"""
"""How many rows the catalogues have, and the newest transaction that wrote one: the same again, and nobody did."""
OCTETS = f"""
    SELECT oid::regclass::text AS name, pg_relation_size(oid) AS octets FROM pg_class
    WHERE relkind = 'r' AND oid >= {FIRST_OID} ORDER BY 1
"""
SEQUENCES = """
    SELECT format('%I.%I', schemaname, sequencename) AS name, last_value, start_value FROM pg_sequences ORDER BY 1
"""
END_OTHERS = """
    SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


@dataclass(frozen=True)
class State:
    """What a database is like: its schema, the rows of tables that have any from the start, where sequences stand."""

    written: list[tuple[object, ...]]
    octets: dict[str, int]
    rows: dict[str, bytes]
    sequences: dict[str, tuple[int | None, int]]


@dataclass
class Template:
    """A database that others are copied from, and its copies that nobody has."""

    name: str
    state: State
    free: list[str] = field(default_factory=list)


class Databases:
    """The databases of the server at `url`, which is nobody else's."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._templates: dict[str, Template] = {}

    def named(self, name: str) -> str:
        """The URL of one of them."""
        return self._url.replace("/idnode?", f"/{name}?", 1)

    async def add(self, name: str, fill: Callable[[asyncpg.Connection], Awaitable[object]]) -> None:
        """A template of that name with what `fill` makes in it."""
        await self._say(f"CREATE DATABASE {name} OWNER idnode")
        connection = await asyncpg.connect(self.named(name))
        await fill(connection)
        await connection.close()
        connection = await self._master(name)
        self._templates[name] = Template(name, await _state(connection))
        await connection.close()

    @asynccontextmanager
    async def lent(self, template: str) -> AsyncIterator[str]:
        """The URL of a database like that template. Who still is at it in the end is sent away."""
        name = await self.take(template)
        try:
            yield self.named(name)
        finally:
            await self.give_back(template, name)

    async def take(self, template: str) -> str:
        """The name of a database like that template."""
        free = self._templates[template].free
        return free.pop() if free else await self._made(template)

    async def give_back(self, template: str, name: str) -> None:
        """Nobody needs that one any more."""
        origin = self._templates[template]
        if await self._brought_back(name, origin):
            origin.free.append(name)
        else:
            await self._dropped(name)

    @asynccontextmanager
    async def fresh(self, template: str) -> AsyncIterator[str]:
        """The URL of one that nobody had before; it is dropped in the end."""
        name = await self._made(template)
        try:
            yield self.named(name)
        finally:
            await self._dropped(name)

    async def _made(self, template: str) -> str:
        name = f"test_{secrets.token_hex(6)}"
        # Files are copied for less than pages are written to the log one by one; fsync is off, so checkpoints are free.
        await self._say(f"CREATE DATABASE {name} OWNER idnode TEMPLATE {template} STRATEGY file_copy")
        return name

    async def _dropped(self, name: str) -> None:
        await self._say(f"DROP DATABASE {name} WITH (FORCE)")

    async def _say(self, statement: str) -> None:
        connection = await self._master("postgres")
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _brought_back(self, name: str, origin: Template) -> bool:
        """Whether it is as its template again."""
        try:
            connection = await self._master(name)
        except asyncpg.ObjectNotInPrerequisiteStateError:  # a test let nobody in any more
            return False
        try:
            await connection.fetch(END_OTHERS)
            was = await _state(connection, origin.state.rows)
            if was.written != origin.state.written or sum(was.octets.values()) > OCTETS_MOST:
                return False
            await _bring_back(connection, origin.state, was)
            return _same(await _state(connection, origin.state.rows), origin.state)
        finally:
            await connection.close()

    async def _master(self, name: str) -> asyncpg.Connection:
        """A connection of PostgreSQL's own administrator, whom no foreign key or trigger hinders."""
        return await asyncpg.connect(self.named(name), user="postgres")


async def _state(connection: asyncpg.Connection, filled: Iterable[str] | None = None) -> State:
    """What it is like; `filled` are the tables that have rows, unless those are to be found."""
    written = [tuple(row) for row in await connection.fetch(WRITTEN)]
    octets = {row["name"]: row["octets"] for row in await connection.fetch(OCTETS)}
    rows = {}
    for name in [name for name in octets if octets[name]] if filled is None else filled:
        copied = BytesIO()
        await connection.copy_from_query(f"SELECT * FROM {name} t ORDER BY t::text", output=copied)
        rows[name] = copied.getvalue()
    found = await connection.fetch(SEQUENCES)
    return State(written, octets, rows, {row["name"]: (row["last_value"], row["start_value"]) for row in found})


async def _bring_back(connection: asyncpg.Connection, origin: State, was: State) -> None:
    emptied = [name for name, octets in was.octets.items() if octets and name not in origin.rows]
    changed = [name for name, rows in origin.rows.items() if was.rows[name] != rows]
    async with connection.transaction():
        await connection.execute("SET LOCAL session_replication_role = replica")
        for name in emptied + changed:
            await connection.execute(f"DELETE FROM {name}")
        for name in changed:
            schema, _, table = name.rpartition(".")
            await connection.copy_to_table(table, schema_name=schema or None, source=BytesIO(origin.rows[name]))
        for name, (last, start) in origin.sequences.items():
            if was.sequences[name] != (last, start):
                await connection.execute(f"SELECT setval('{name}', {last or start}, {last is not None})")
    if emptied:
        await connection.execute(f"VACUUM {', '.join(emptied)}")  # gives the pages back: none is left in a new one


def _same(now: State, origin: State) -> bool:
    emptied = now.octets.keys() - origin.rows
    return (
        now.written == origin.written
        and now.rows == origin.rows
        and now.sequences == origin.sequences
        and not any(now.octets[name] for name in emptied)
    )

"""What the tests of the registry stand on: an enterprise with a prefix and a template, registrars, and an ear.

No test lives here. Everything is real but the ear, which stands where a node's caches would be told.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import asyncpg

from proto.chain import HEAD_FIRST, entry_digest, next_head
from proto.identifier import Identifier
from proto.value import Value
from registry.account import Account, Vault
from registry.block import AT_ONCE, Block, Rows
from registry.filing import Particulars
from registry.lookup import Lookup
from registry.postgres.connection import Pool
from registry.postgres.records import Stored
from registry.record import Shape
from registry.registrar import Job, Outcome, Registrar
from registry.rights import Role
from registry.rules import Operation, Request
from registry.steward import Steward
from registry.template import Category, Item, Template

PREFIX = "88.999.1001"
OTHER = "88.999.2001"
NOW = 1_795_330_554
VAULT = Vault(bytes(32))
PATIENCE = 30.0
"""Seconds a test waits for what must come; only a broken one reaches it."""
ITEMS = (
    Item(2000, "productName", "产品名称", required=True, most=64),
    Item(2001, "weight", "重量", low=0, high=100),
    Item(2002, "colour", "颜色"),
)
PARTICULARS = Particulars(
    ent_crt_code="91440114MAE9X8K18E",
    ent_type=2,
    ent_province_code="440000",
    ent_city_code="440100",
    ent_county_code="440114",
    ent_addr_cn="广州市花都区狮岭镇合成路1号",
    contact_name="张三",
    contact_email="zhang@example.com",
    contact_phone="020-12345678",
    legal_name="李四",
    legal_id_type=6,
    legal_id_no="E00000001",
)
BAG = Template(PREFIX, "bag", "手袋", "Bag", "一只手袋", Category("C", "19", "192", "1922"), 2, ITEMS)


def identifier(suffix: str, prefix: str = PREFIX) -> Identifier:
    return Identifier.parse(f"{prefix}/{suffix}")


def key(suffix: str) -> str:
    return f"{PREFIX}/{suffix}"


def values(name: str = "挎包", weight: str | None = None) -> tuple[Value, ...]:
    made = (Value(2000, "productName", name.encode()),)
    return made if weight is None else (*made, Value(2001, "weight", weight.encode()))


def request(operation: Operation, suffix: str, *given: Value, template: str = "bag", prefix: str = PREFIX) -> Request:
    if operation == "delete":
        return Request(operation, identifier(suffix, prefix))
    return Request(operation, identifier(suffix, prefix), template, given or values())


def alike(shape: Shape, suffixes: Sequence[str], columns: Sequence[Sequence[bytes]], **other: str) -> Block:
    """A block of bags under PREFIX, unless told otherwise, with the texts of each value."""
    parts = [
        Rows(suffixes[at : at + AT_ONCE], [column[at : at + AT_ONCE] for column in columns])
        for at in range(0, len(suffixes), AT_ONCE)
    ]
    return Block(PREFIX, "bag", shape, parts)._replace(**other)


@dataclass
class Ear:
    """An Announcer that remembers what it was told, in order; `on_pending` is called before each commit is sent."""

    told: list[tuple[Any, ...]] = field(default_factory=list)
    on_pending: Callable[[], None] = lambda: None

    def pending(self, keys: Sequence[str]) -> None:
        self.told.append(("pending", *keys))
        self.on_pending()

    async def written(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        self.told.append(("written", *zip(keys, versions, strict=True)))

    def unwritten(self, keys: Sequence[str]) -> None:
        self.told.append(("unwritten", *keys))

    def unknown(self, keys: Sequence[str], backend: int) -> None:
        self.told.append(("unknown", backend, *keys))


async def all_at_once(do: Callable[[Sequence[Any]], Sequence[Any]], items: Sequence[Any]) -> list[Any]:
    """A registrar's `runs` where nobody else wants the loop."""
    return list(do(items))


class Interrupted:
    """A pool for a registrar: it borrows one connection to load and one to commit, and `then` happens in between."""

    def __init__(self, pool: Pool, then: Callable[[], Awaitable[object]], *, rounds: int = 1) -> None:
        self._pool = pool
        self._then = then
        self._left = rounds
        self._committing = False
        self.watch = pool.watch

    async def borrow(self) -> Any:
        if self._committing and self._left:
            self._left -= 1
            await self._then()
        self._committing = not self._committing
        return await self._pool.borrow()

    async def give_back(self, connection: Any, *, clean: bool) -> None:
        await self._pool.give_back(connection, clean=clean)


@dataclass
class World:
    """One database with an enterprise, its prefix and template, and an account that may write."""

    url: str
    pool: asyncpg.Pool
    steward: Steward
    lookup: Lookup
    bag: Template
    prefix_no: int
    owner: Account
    admin: Account
    ear: Ear

    def registrar(self, *, lookup: Lookup | None = None, pool: Any = None, reuse_deleted: bool = True) -> Registrar:
        return Registrar(pool or self.pool, lookup or self.lookup, self.ear, all_at_once, reuse_deleted=reuse_deleted)

    def jobs(self, *requests: Request) -> list[Job]:
        return [Job(each, self.owner) for each in requests]

    async def write(self, *requests: Request, now: int = NOW, **given: Any) -> list[Outcome]:
        return await self.registrar(**given).write(self.jobs(*requests), now)

    async def look(self, *suffixes: str) -> list[Stored]:
        return await self.lookup.look([identifier(suffix) for suffix in suffixes])

    async def ask(self, statement: str, *given: Any) -> list[Any]:
        return list(await self.pool.fetch(statement, *given))

    async def one(self, statement: str, *given: Any) -> Any:
        return await self.pool.fetchval(statement, *given)

    async def stream(self, prefix: str = PREFIX) -> list[tuple[str, int, int]]:
        """All entries of a stream in order, after proving it: no number missing, chain and digests as recomputed."""
        number = await self.one("SELECT number FROM prefix WHERE name = $1", prefix)
        rows = await self.ask(CHANGES, number)
        stream = (await self.ask("SELECT number, head FROM stream WHERE prefix_no = $1 AND sub = 0", number))[0]
        assert [row["number"] for row in rows] == list(range(1, stream["number"] + 1))
        assert [row["made"] for row in rows] == sorted(row["made"] for row in rows)
        head, entries = HEAD_FIRST, []
        for row in rows:
            head = next_head(head, _digests(prefix, row))
            assert row["head"] == head
            entries += zip(row["suffixes"], row["versions"], row["kinds"], strict=True)
        assert stream["head"] == head
        return entries


CHANGES = """
    SELECT *, ARRAY (
        SELECT coalesce(t.version, '') FROM unnest(c.templates) WITH ORDINALITY u(number, n)
        LEFT JOIN template t ON t.number = u.number ORDER BY n
    ) AS names FROM change c WHERE prefix_no = $1 ORDER BY number
"""


def _digests(prefix: str, row: Any) -> list[bytes]:
    digests = [row["digests"][at : at + 32] for at in range(0, len(row["digests"]), 32)]
    columns = zip(row["suffixes"], row["versions"], row["kinds"], row["names"], digests, strict=True)
    return [entry_digest(f"{prefix}/{s}" if s else prefix, v, k, t, d) for s, v, k, t, d in columns]


async def founded(url: str, pool: asyncpg.Pool) -> World:
    """A world in a fresh database."""
    steward, lookup = Steward(pool, VAULT), Lookup(pool)
    enterprise = await steward.enrol("天马皮具", "Tianma Leather", "leather", PREFIX)
    await steward.add_template(BAG)
    await steward.put_account(Account(0, "tianma", "program", Role.ENTERPRISE_ADMIN, enterprise), secret=b"sealed")
    await steward.put_account(Account(0, "admin", "person", Role.SYSTEM_ADMIN, None), password="$argon2id$")
    bag, prefix = await lookup.named_template(PREFIX, "bag"), await lookup.prefix(PREFIX)
    owner, admin = await steward.credentials("tianma"), await steward.credentials("admin")
    assert bag
    assert prefix
    assert owner
    assert admin
    return World(url, pool, steward, lookup, bag, prefix.number, owner.account, admin.account, Ear())


async def eventually(pool: asyncpg.Pool, question: str, *given: Any) -> None:
    """Waits until the answer to `question` is true, by asking it again and again."""
    async with asyncio.timeout(PATIENCE):
        while not await pool.fetchval(question, *given):
            continue


WAITING = "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
LOCKED = f"SELECT count(*) >= $1 FROM {WAITING}"
"""Whether that many wait for a lock."""
NO_VOICE = """
SELECT count(*) = 0 FROM pg_locks l JOIN pg_database d ON d.oid = l.database
WHERE locktype = 'advisory' AND datname = current_database()
"""
"""Whether nobody holds the office of this database; other tests have voices in theirs."""


@asynccontextmanager
async def holding(url: str, statement: str, *given: Any):
    """Holds the locks of `statement` in a transaction of its own until the end."""
    connection = await asyncpg.connect(url)
    try:
        async with connection.transaction():
            await connection.fetch(statement, *given)
            yield connection
    finally:
        await connection.close()


class Wire:
    """A wire to PostgreSQL that can be cut: a socket that passes octets on.

    After `cut_next_answer()` the next octets of the server are lost with the connection.
    """

    def __init__(self, url: str, folder: str) -> None:
        head, _, query = url.partition("?")
        settings = dict(pair.split("=", 1) for pair in query.split("&"))
        self._server = f"{settings['host']}/.s.PGSQL.{settings['port']}"
        self._socket = f"{folder}/.s.PGSQL.{settings['port']}"
        self.url = f"{head}?host={folder}&port={settings['port']}"
        self._cutting = False
        self._passing: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self.cuts = 0

    def cut_next_answer(self) -> None:
        self._cutting = True

    @asynccontextmanager
    async def laid(self):
        """The wire, until the end."""
        server = await asyncio.start_unix_server(self._accept, self._socket)
        try:
            yield self
        finally:
            server.close()
            for task, writers in self._passing.items():
                for writer in writers:
                    writer.transport.abort()
                await task

    async def _accept(self, from_client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(self._server)
        ways = (self._octets(from_client, to_server, False), self._octets(from_server, to_client, True))
        self._passing[asyncio.ensure_future(self._both(*ways))] = [to_client, to_server]

    async def _both(self, *ways: Awaitable[None]) -> None:
        await asyncio.gather(*ways)

    async def _octets(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bool) -> None:
        with suppress(ConnectionError):  # the other way was cut
            while octets := await reader.read(65536):
                if answer and self._cutting:
                    self._cutting = False
                    self.cuts += 1
                    break
                writer.write(octets)
                await writer.drain()
        writer.close()


def changed(template: Template, *more: Item) -> Template:
    """`template` with more items."""
    return replace(template, items=(*template.items, *more))

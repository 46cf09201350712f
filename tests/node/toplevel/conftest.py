"""A top-level node for each test: real books in PostgreSQL, a real socket, a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from random import Random
from zoneinfo import ZoneInfo

import aiohttp
import pytest

from node.config import Config
from node.supervisor import listening_socket
from node.toplevel import audit, server
from node.toplevel.books import SCHEMA
from node.toplevel.faults import Faults, Switches
from node.toplevel.office import Office
from registry.postgres.migrate import migrate
from tests.databases import Databases
from tests.fakes.secondary_node import SecondaryNode

NOON = 1_795_335_354_000


@dataclass
class Top:
    """The top-level node under test and how to reach it."""

    office: Office
    url: str
    session: aiohttp.ClientSession
    clock: list[int]

    def node(self, prefix: str = "88.999", seed: bytes = bytes([7]) * 32, fence: int = 1) -> SecondaryNode:
        """A secondary node that has not enrolled yet."""
        return SecondaryNode(self.session, self.url, self.office.now, prefix, seed, fence)

    async def enrolled(self, prefix: str = "88.999", seed: bytes = bytes([7]) * 32) -> SecondaryNode:
        """One that has."""
        made = self.node(prefix, seed)
        await made.enrol()
        return made

    async def audit(self) -> int:
        """Lets the time of audits pass, and carries them out."""
        self.clock[0] += self.office.audit_milliseconds
        return await audit.audit(self.office.pool, self.office.switches, self.office.now())

    def fault(self, **given: object) -> None:
        """Turns faults on."""
        self.office.switches.faults = Faults(**given)  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def books_template(databases: Databases) -> str:
    """The name of a template with the books' schema and nothing in it."""
    asyncio.run(databases.add("books", partial(migrate, schema=SCHEMA)))
    return "books"


@pytest.fixture
async def top(databases: Databases, books_template: str) -> AsyncIterator[Top]:
    async with databases.lent(books_template) as url, opened(url) as made:
        yield made


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Top]:
    """A top-level node on the books at `url`."""
    pool, seed = await server.open_books(Config(database_url=url))
    clock = [NOON]
    office = Office(
        pool=pool,
        seed=seed,
        switches=Switches(Random(20261122)),
        now=lambda: clock[0],
        zone=ZoneInfo("Asia/Shanghai"),
        audit_milliseconds=500,
        filed=asyncio.Event(),
        proving=asyncio.Lock(),
    )
    sock = listening_socket("127.0.0.1", 0, "", shared=False)
    async with server.serving(office, sock), aiohttp.ClientSession() as session:
        host, port = sock.getsockname()
        yield Top(office, f"http://{host}:{port}", session, clock)
    pool.terminate()

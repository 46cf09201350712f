"""A small real registry for tests: one firm with a prefix, one template of three attributes, one account, real doors.

Only what tests need to have something to ask for; nothing is faked here.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from node import clock
from node.slices import Slices
from proto.identifier import Identifier
from proto.value import Value
from registry.account import Account, Vault
from registry.lookup import Lookup
from registry.postgres.connection import open_pool
from registry.registrar import Announcer, Job, Outcome, Registrar
from registry.rights import Role
from registry.rules import Operation, Request
from registry.steward import Steward
from registry.template import Category, Item, Template

PREFIX, NODE = "88.999.1001", "88.999"
TEMPLATE = "bag"
ITEMS = (
    Item(2000, "styleNo", "款号", required=True, least=1),
    Item(2001, "colour", "颜色"),
    Item(2002, "costPrice", "成本价", access="internal"),
)
NOW = 1_795_000_000
KEY = bytes(range(32))
ADMIN = Account(0, "admin", "person", Role.SYSTEM_ADMIN, None)


class Deaf:
    """An announcer for tests in which there is no cache to tell."""

    def pending(self, keys: Sequence[str]) -> None:
        """Nobody keeps anything."""

    async def written(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        """Nobody keeps anything."""

    def unwritten(self, keys: Sequence[str]) -> None:
        """Nobody keeps anything."""

    def unknown(self, keys: Sequence[str], backend: int) -> None:
        """Nobody keeps anything."""


def template(prefix: str = PREFIX, version: str = TEMPLATE, items: tuple[Item, ...] = ITEMS) -> Template:
    """The template of the small registry."""
    return Template(prefix, version, "手袋", "bag", "", Category("C", "19", "192", "1922"), 2, items)


@dataclass
class SmallRegistry:
    """The doors of a registry, and short ways through them."""

    pool: Any
    lookup: Lookup
    steward: Steward
    registrar: Registrar
    now: int = NOW

    async def write(self, operation: Operation, *suffixes: str, **values: str) -> list[Outcome]:
        """Writes identifiers of PREFIX, all with the same values; `styleNo` is given if nothing is."""
        given = values or {"styleNo": "S1"}
        indexes = {item.name: item.index for item in ITEMS}
        told = tuple(Value(indexes[name], name, text.encode()) for name, text in given.items())
        jobs = [
            Job(
                Request(operation, Identifier.parse(f"{PREFIX}/{suffix}"), TEMPLATE, told)
                if operation != "delete"
                else Request(operation, Identifier.parse(f"{PREFIX}/{suffix}")),
                ADMIN,
            )
            for suffix in suffixes
        ]
        self.now += 1
        return await self.registrar.write(jobs, self.now)


@asynccontextmanager
async def small_registry(url: str, announcer: Announcer | None = None) -> AsyncIterator[SmallRegistry]:
    """The registry in a migrated, empty database at `url`; commits are told to `announcer`."""
    pool = await open_pool(url, size=4, name="idnode-test")
    steward, lookup = Steward(pool, Vault(KEY)), Lookup(pool, NODE)
    if await lookup.prefix(PREFIX) is None:
        await steward.enrol("云岫皮具", "Yunxiu", "leather", PREFIX)
        await steward.add_template(template())
    yield SmallRegistry(
        pool,
        lookup,
        steward,
        Registrar(pool, lookup, announcer or Deaf(), Slices(clock.monotonic, int).runs, reuse_deleted=True),
    )
    await pool.close()

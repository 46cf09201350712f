"""A world of our own: `up` in a folder, and a second node beside it on the same database.

What a history needs of two machines stands here; how they are started is said in loadtest/nodes.py.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from loadtest import said
from loadtest.history import requests
from loadtest.history.operation import Act
from loadtest.nodes import Home, Node, call, ready, serve, up


class WorldError(Exception):
    """The world could not be furnished or does not answer; the text is for people."""


@dataclass(frozen=True, slots=True)
class World:
    """Two machines, and what they share."""

    nodes: tuple[Node, ...]
    token: str
    prefixes: tuple[str, ...]
    database_url: str
    redis_url: str

    @property
    def ports(self) -> tuple[int, ...]:
        """The ports of their public doors."""
        return tuple(node.http.port for node in self.nodes)

    async def ready(self) -> None:
        """Returns when every node says it is ready. Raises NodeError."""
        for node in self.nodes:
            await ready(node)


@asynccontextmanager
async def world(data: Path, workers: int) -> AsyncIterator[World]:
    """Two nodes on the data folder `data`, each with `workers` workers; both are stopped in the end.

    Raises NodeError with the end of the log of a node that does not come up, or WorldError.
    """
    async with up(data, workers) as home, serve(home, workers) as second:
        made = World(
            nodes=(home.node, second),
            token=await _token(home),
            prefixes=home.prefixes,
            database_url=home.servers["database_url"],
            redis_url=home.servers["redis_url"],
        )
        await made.ready()
        await _furnish(made)
        yield made


async def _token(home: Home) -> str:
    admin = home.ready["admin"]
    reply = await call(home.node.http, said.token(admin["username"], admin["password"]))
    return str(json.loads(reply.body)["data"]["token"])


async def _furnish(made: World) -> None:
    """Makes our template under each prefix and sees that each is enabled."""
    for prefix in made.prefixes:
        for asked in (requests.template(prefix), requests.state(prefix, Act.ENABLE)):
            reply = await call(made.nodes[0].http, asked, made.token)
            if reply.status != 200 or json.loads(reply.body).get("status", 1) != 1:
                raise WorldError(
                    f"{asked.method} {asked.path}: HTTP {reply.status} {reply.body.decode(errors='replace')}"
                )

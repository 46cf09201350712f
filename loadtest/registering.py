"""Sees that the population is registered: what is missing is, what is there stays. Run twice, the second finds all.

The last member of a chunk is registered when all others are there, so it vouches for them; it is asked for past the
caches, so that cold members stay cold.
"""

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

from loadtest import said
from loadtest.mix import SHOWN, rows_body
from loadtest.population import ITEMS, TEMPLATE, Population
from loadtest.said import JSON, Said
from loadtest.target import Address
from loadtest.wire import Connection, LostError, RefusedError

AT_ONCE: Final = 4
"""Connections that register: one batch each, more than one node of a small machine works on at a time."""
PATIENCE: Final = 60.0
"""Seconds one call may take: a batch takes well under one, on a busy machine some."""
TRIES: Final = 20
"""How often a call is repeated while the node is busy or its answer is lost: with the pauses, some twenty seconds."""
PAUSE: Final = 1.0
"""Seconds before a call is repeated."""
_BUSY: Final = (429, 503, 504)
_NEW: Final = "success"
_THERE: Final = (_NEW, "标识已存在")
"""What a row that is registered now is told. Another who registers the same population at once is no trouble."""
_LATER: Final = "系统繁忙"
"""What a row is told that shall be sent again."""


class RegisteringError(Exception):
    """The node did not take the population; the text is for people."""


class Registrar:
    """Speaks to the node at `address`; `token` is empty until signed in."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self.token = ""

    async def sign_in(self, username: str, password: str) -> None:
        """Takes a token. Raises RegisteringError."""
        self.token = str((await self._data(said.token(username, password)))["token"])

    async def register(self, population: Population, say: Callable[[int], None]) -> int:
        """How many members were missing and are registered now; `say` is told how many are there.

        Raises RegisteringError.
        """
        for prefix in population.prefixes:
            await self._furnish(prefix)
        chunks = iter(population.chunks())
        there = new = 0

        async def some() -> None:
            nonlocal there, new
            for chunk in chunks:
                missing = await self._chunk(population, chunk)
                new, there = new + missing, there + len(chunk)
                say(there)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(some())
        return new

    async def _furnish(self, prefix: str) -> None:
        """Makes our template under `prefix`, unless it is there."""
        path = f"/snms/api/v5/template?prefix={quote(prefix)}&version={TEMPLATE}"
        if (await self._envelope(Said("GET", path, {})))["status"] != 1:
            await self._data(said.template(prefix, TEMPLATE, "负载测试 load test", ITEMS))

    async def _chunk(self, population: Population, chunk: range) -> int:
        """How many members of a chunk were missing."""
        last = f"{population.prefix(chunk[-1])}/{population.serial(chunk[-1])}"
        found = await self._envelope(Said("GET", f"/identityv2/data/detail?handle={quote(last)}", {}))
        if found["status"] == 1:
            return 0
        return await self._batch(population, chunk[:-1]) + await self._batch(population, chunk[-1:])

    async def _batch(self, population: Population, numbers: Sequence[int]) -> int:
        """How many of these members were registered now."""
        if not numbers:
            return 0
        serials = [population.serial(number) for number in numbers]
        handles = [f"{population.prefix(n)}/{serial}" for n, serial in zip(numbers, serials, strict=True)]
        asked = Said("POST", "/identityv2/data/batchCreate", JSON, rows_body(handles, serials, numbers))
        new = 0
        for _ in range(TRIES):
            told = [str(row["msg"]) for row in await self._data(asked)]
            new += told.count(_NEW)
            if all(message in _THERE for message in told):
                return new
            _check(handles, told)
            await asyncio.sleep(PAUSE)
        raise RegisteringError("节点一直繁忙。 The node stays busy.")

    async def _data(self, asked: Said) -> Any:
        document = await self._envelope(asked)
        if document["status"] != 1:
            raise RegisteringError(f"{asked.path}: {document['message']}")
        return document["data"]

    async def _envelope(self, asked: Said) -> Any:
        """The answer to one call, repeated while the node is busy."""
        for _ in range(TRIES):
            status, body = await self._ask(asked)
            if status not in _BUSY:
                break
            await asyncio.sleep(PAUSE)
        try:
            document = json.loads(body)
        except ValueError:
            document = None
        if not isinstance(document, dict) or not document.keys() >= {"status", "message", "data"}:
            raise RegisteringError(f"{asked.path}: HTTP {status} {body[:SHOWN].decode(errors='replace')}")
        return document

    async def _ask(self, asked: Said) -> tuple[int, bytes]:
        """Status and body; 504 when the answer was lost, for then the outcome is unknown, too."""
        headers = asked.headers | ({"Authorization": f"Bearer {self.token}"} if self.token else {})
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await Connection.open(self._address.port, self._address.host)
                try:
                    reply = await connection.ask(asked.method, asked.path, headers, asked.body)
                finally:
                    await connection.close()
        except RefusedError as error:
            raise RegisteringError(f"{self._address}连不上：{error}。 Nobody listens at {self._address}.") from None
        except (LostError, TimeoutError):
            return 504, b""
        return reply.status, reply.body


def _check(handles: Sequence[str], told: Sequence[str]) -> None:
    """Raises RegisteringError for a row that sending again would not help."""
    for handle, message in zip(handles, told, strict=True):
        if message not in (*_THERE, _LATER):
            raise RegisteringError(f"{handle}未被接受：{message}。 {handle} was refused: {message}.")

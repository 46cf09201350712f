"""One HTTP/1.1 connection that asks exactly once. Nothing here knows what is asked.

aiohttp's client repeats idempotent requests on a connection that was lost: a DELETE that took effect would be
told "absent" the second time, and be written down as refused.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

BODY_MOST: Final = 64 * 1024 * 1024
"""Largest answer read, in octets: far above the largest asked for, the history of one identifier."""


class RefusedError(Exception):
    """There was no connection: nothing was sent."""


class LostError(Exception):
    """The connection was lost, or the answer cannot be read: what was sent may have been done."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Status, headers (names in lower case) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A connection to a node; one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, host: str) -> None:
        self._reader, self._writer, self._host = reader, writer, host

    @classmethod
    async def open(cls, port: int, host: str = "127.0.0.1") -> Self:
        """A fresh connection. Raises RefusedError."""
        try:
            return cls(*await asyncio.open_connection(host, port), host)
        except OSError as error:
            raise RefusedError(str(error)) from error

    async def ask(self, method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> Reply:
        """The reply to one request. Raises LostError; the connection is of no use then."""
        fields = {"Host": self._host, "Content-Length": str(len(body)), **headers}
        head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{n}: {v}\r\n" for n, v in fields.items()) + "\r\n"
        try:
            self._writer.write(head.encode() + body)
            await self._writer.drain()
            return await self._reply()
        except (OSError, EOFError, ValueError, LookupError, asyncio.LimitOverrunError) as error:
            raise LostError(str(error)) from error

    async def _reply(self) -> Reply:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {}
        for line in head[1:-2]:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        body = await self._chunks() if chunked else await self._octets(int(headers.get("content-length", "0")))
        return Reply(int(head[0].split(" ")[1]), headers, body)

    async def _octets(self, count: int) -> bytes:
        if not 0 <= count <= BODY_MOST:
            raise ValueError(f"a body of {count} octets")
        return await self._reader.readexactly(count)

    async def _chunks(self) -> bytes:
        body = b""
        while size := int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16):
            body += await self._octets(size)
            await self._reader.readexactly(2)
            if len(body) > BODY_MOST:
                raise ValueError(f"a body of more than {BODY_MOST} octets")
        await self._reader.readuntil(b"\r\n")
        return body

    async def close(self) -> None:
        """Lets it go at once, whatever is under way."""
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()

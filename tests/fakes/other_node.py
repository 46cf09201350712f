"""Another node, or a top-level node, as far as one that asks can see: listens on a port and says what a test wants.

It says it octet for octet, slowly or for ever if need be; nothing of it knows our own code but the JSON of a site.
"""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import unquote

from proto.values.site import Interface, Protocol, Server, Site
from proto.web_json import site_to_json

Replying = Callable[[bytes], bytes]
"""What is answered to a body that is posted."""

Saying = Callable[[asyncio.StreamWriter, str], Awaitable[None]]
"""Writes what is said to a question for an identifier."""

REASONS = {200: "OK", 300: "Multiple Choices", 400: "Bad Request", 404: "Not Found"}


def octets(status: int, body: bytes, *headers: str) -> bytes:
    """A whole HTTP response."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Whatever')}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(status: int, body: Any, *headers: str) -> Saying:
    """The same response to every question; what is not bytes goes as JSON."""

    async def saying(writer: asyncio.StreamWriter, _: str) -> None:
        writer.write(octets(status, body if isinstance(body, bytes) else json.dumps(body).encode(), *headers))

    return saying


def by_name(body: Callable[[str], tuple[int, Any]]) -> Saying:
    """A response that hangs on the identifier."""

    async def saying(writer: asyncio.StreamWriter, name: str) -> None:
        await says(*body(name))(writer, name)

    return saying


def value(text: str, index: int = 1, ttl: Any = 60, **more: Any) -> dict[str, Any]:
    return {"index": index, "type": "URL", "data": {"format": "string", "value": text}, "ttl": ttl, **more}


def knows(*values: dict[str, Any]) -> Saying:
    """A node that has every identifier, with these values or one that is its name."""
    return by_name(lambda name: (200, {"responseCode": 1, "handle": name, "values": list(values) or [value(name)]}))


def knows_nothing() -> Saying:
    return by_name(lambda name: (404, {"responseCode": 100, "handle": name}))


def site(*ports: int, address: str = "127.0.0.1", protocol: Protocol = Protocol.HTTP, query: bool = True) -> Any:
    """The JSON of a site with one server that has these ports."""
    interfaces = tuple(Interface(protocol, port, query=query, admin=False) for port in ports)
    server = Server(1, ip_address(address), b"", interfaces)
    return site_to_json(Site((2, 11), 1, primary=True, multi_primary=False, servers=(server,)))


def refers(*sites: Any, code: int = 303, ttl: int = 300, handle: str | None = None) -> Saying:
    """A node that points to these sites, the first the best; the referral is for `handle`, or for what is asked."""
    values = [
        {"index": 500 + n, "type": "HS_SITE", "data": {"format": "site", "value": each}, "ttl": ttl}
        for n, each in enumerate(sites)
    ]
    return by_name(lambda name: (300, {"responseCode": code, "handle": handle or name, "values": values}))


async def hangs(_: asyncio.StreamWriter, __: str) -> None:
    """Says nothing, for ever."""
    await asyncio.Event().wait()


@dataclass
class OtherNode:
    """One of them: what it says may be changed at any time; what it was asked is kept."""

    port: int
    saying: Saying
    asked: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    connections: int = 0
    replying: Replying | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def site(self) -> Any:
        return site(self.port)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                method, path, _ = head.split(" ", 2)
                if method != "GET" and self.replying is None:  # what a node tells upwards; nobody listens to that here
                    return
                if method != "GET":
                    await self._reply(reader, writer, head)
                    continue
                name = unquote(path.removeprefix("/api/handles/"))
                self.heads.append(head)
                self.asked.append(name)
                await self.saying(writer, name)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # who asked has gone
        finally:
            self.connections -= 1
            if not writer.is_closing():
                writer.transport.abort()

    async def _reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        length = int(head.lower().partition("content-length:")[2].split("\r\n", 1)[0])
        body = await reader.readexactly(length)
        self.heads.append(head)
        assert self.replying is not None
        writer.write(octets(200, self.replying(body)))
        await writer.drain()


@asynccontextmanager
async def other_node(saying: Saying, tls: ssl.SSLContext | None = None) -> AsyncIterator[OtherNode]:
    """One that listens, with a certificate if `tls` is given; at the end every connection to it is cut."""
    made = OtherNode(0, saying)
    serving: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(made.serve(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)
        await asyncio.sleep(0)  # transports close in the next turn of the loop

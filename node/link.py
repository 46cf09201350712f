"""The way out to other nodes: one HTTP client for a whole process, bounded in everything a stranger could make grow.

Whom to ask and what to believe is decided elsewhere; here is no name, no retry and no meaning.
"""

import socket
from collections.abc import Mapping
from typing import Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

CONNECTIONS_MOST: Final = 256
"""Connections to other nodes in all: seven that hang may take their full share and others still get through."""
CONNECTIONS_EACH: Final = 32
"""Connections to one address and port: at 5 ms a question some 6000 a second, more than a neighbour should be sent."""
BODY_MOST: Final = 256 * 1024
"""Largest body taken, in octets: a record of 2000 values takes 180 kB; the worst one of this size is read in 20 ms."""
HEADER_MOST: Final = 8192
"""Longest line of a header, in octets, as web servers usually have it; and at most HEADERS_MOST of them."""
HEADERS_MOST: Final = 64
BUFFER_MOST: Final = 65_536
"""Octets of a body read ahead of who reads it."""
IDLE_SECONDS: Final = 15.0
"""A connection nobody uses is kept so long: less than the 75 s after which our own node closes it."""


class LinkError(Exception):
    """Nothing useful came back; `too_large` if more than BODY_MOST did."""

    def __init__(self, text: str, *, too_large: bool = False) -> None:
        super().__init__(text)
        self.too_large = too_large


class _OneName(AbstractResolver):
    """Resolves the one host the operator has named; whatever else is connected to is given as an address."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._resolver = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        if host != self._host:
            raise OSError(f"{host} is no address")
        return await self._resolver.resolve(host, port, family)

    async def close(self) -> None:
        await self._resolver.close()


class Link:
    """Asks other nodes. Made inside a running loop. `host`: the only name that is ever resolved, or empty."""

    def __init__(self, host: str) -> None:
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS_MOST,
            limit_per_host=CONNECTIONS_EACH,
            resolver=_OneName(host),
            keepalive_timeout=IDLE_SECONDS,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None),  # who asks has a deadline
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=BUFFER_MOST,
            max_line_size=HEADER_MOST,
            max_field_size=HEADER_MOST,
            max_headers=HEADERS_MOST,
            headers={"User-Agent": "idnode", "Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def get(self, url: str, headers: dict[str, str]) -> tuple[int, bytes]:
        """Status and body of one GET; redirections are not followed. Raises LinkError; sets no deadline."""
        return (await self.fetch(url, headers))[:2]

    async def fetch(self, url: str, headers: dict[str, str]) -> tuple[int, bytes, Mapping[str, str]]:
        """`get` with the headers of the answer."""
        return await self._asked("GET", url, headers, None)

    async def post(self, url: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        """Status and body of one POST, as `get`."""
        return (await self._asked("POST", url, headers, body))[:2]

    async def _asked(
        self, method: str, url: str, headers: dict[str, str], sent: bytes | None
    ) -> tuple[int, bytes, Mapping[str, str]]:
        try:
            asking = self._session.request(method, url, headers=headers, data=sent, allow_redirects=False)
            async with asking as response:
                return response.status, await _body(response), response.headers
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LinkError(f"{type(error).__name__}: {error}") from error

    async def close(self) -> None:
        """Lets its connections go."""
        await self._session.close()


async def _body(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > BODY_MOST:
            raise LinkError(f"more than {BODY_MOST} octets", too_large=True)
    return bytes(body)

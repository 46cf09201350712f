"""A connection to the HTTP door, up to its requests: how many there may be, who is at its end, how long it may take.

What a request asks for is not known here; `node/listen/http.py` and the faces see to that.
"""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog
from aiohttp import web

from node.listen import replies
from proto.errors import ProtoError
from proto.forwarded_for import TrustedProxies
from proto.proxy_header import NoHeader, read

KEEPALIVE_SECONDS: Final = 75.0
"""Idle connections are closed after this; longer than the 60 s clients and proxies keep theirs."""
HEAD_SECONDS = 20.0
"""The head of a request, the PROXY protocol header before the first one included, may take this long from its first
octet (of a new connection: from its beginning): a lost segment is sent again several times within it."""

log = structlog.get_logger("connection")


class Connection(web.RequestHandler):
    """aiohttp's connection that knows whom a trusted proxy speaks for.

    The PROXY protocol's document (§2) wants a port to expect its header always or never, lest strangers name their own
    address. Strangers are not asked here: only from a listed address is a header looked for, and its health checks may
    come without one.
    """

    __slots__ = ("_beginning", "_deadline", "_proxies", "_source")

    def __init__(self, server: web.Server, proxies: TrustedProxies) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_SECONDS,
            access_log=None,  # type: ignore[arg-type]
        )
        self._proxies = proxies
        self._source = ""
        self._beginning: bytes | None = None  # what came of a header; None where none is looked for (any more)
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def peername(self) -> str:
        """The address of who speaks; `request.remote` is made of it."""
        return self._source

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for the first head."""
        super().connection_made(transport)
        address = transport.get_extra_info("peername")
        self._source = str(address[0]) if isinstance(address, tuple) else ""
        if self._proxies.trusts(self._source):
            self._beginning = b""
        self._await_head()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Waits for nothing any more."""
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Keeps back what belongs to a PROXY protocol header; all else is HTTP."""
        if self._beginning is not None:
            rest = self._behind_header(self._beginning + data)
            if rest is None:
                return
            data = rest
        super().data_received(data)
        if self._waiter is None or self._waiter.done():
            self._head_came()
        elif self._deadline is None:
            self._await_head()

    def _behind_header(self, octets: bytes) -> bytes | None:
        """What is HTTP of the first `octets`; None while that is not known, and for a connection that is given up."""
        try:
            found = read(octets)
        except ProtoError as error:
            log.info("proxy_header_refused", peer=self._source, error=error.en)
            self.force_close()
            return None
        if found is NoHeader.UNFINISHED:
            self._beginning = octets
            return None
        self._beginning = None
        if found is NoHeader.ABSENT:
            return octets
        self._source = found.source or self._source
        return octets[found.length :]

    def _await_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._late)

    def _head_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        self.force_close()


class _Refusal(asyncio.Protocol):
    """Stands in for a connection beyond the bound: says 503, in the words of the face that needs them, and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%s"
            % (replies.BUSY_RETRY_SECONDS, replies.JSON_TYPE.encode(), len(replies.SNMS_BUSY), replies.SNMS_BUSY)
        )
        transport.close()


def bounded(server: web.Server, most: int, proxies: TrustedProxies) -> Callable[[], asyncio.Protocol]:
    """A protocol factory that serves at most `most` connections at once."""

    def connection() -> asyncio.Protocol:
        return _Refusal() if len(server.connections) >= most else Connection(server, proxies)

    return connection

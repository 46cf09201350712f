"""A connection to the HTTP door, up to its requests: how many there may be, who is at its end, how long it may take.

What a request asks for is not known here; `node/listen/http.py` and the faces see to that.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final, cast

import structlog
from aiohttp import StreamReader, web
from aiohttp.http_exceptions import HttpProcessingError, InvalidURLError, LineTooLong

from node.listen import replies
from node.listen.http import trouble
from node.listen.lane import Lane
from node.listen.plain import LEFT, MORE, Sign
from proto.errors import ProtoError
from proto.forwarded_for import TrustedProxies, end_site
from proto.proxy_header import NoHeader, read
from registry.access_log import Source

PEER_SHARE: Final = 4
"""One address may hold one part in so many of a worker's connections, by default 1024: many times what a firm behind
one address needs, and three of them do not keep all others out. Trusted proxies may hold them all."""
KEEPALIVE_SECONDS: Final = 75.0
"""Idle connections are closed after this; longer than the 60 s clients and proxies keep theirs."""
LINGER_SECONDS = 2.0
"""What is left of a body when its answer is out is read and dropped for so long: the client shall read the answer."""
HEAD_SECONDS = 20.0
"""The head of a request, the PROXY protocol header before the first one included, may take this long from its first
octet (of a new connection: from its beginning): a lost segment is sent again several times within it."""
BODY_BEHIND_SECONDS = 1.0
"""The lanes wait so long for the end of a small body: clients send it right behind its head. Then the door does."""
PIECES_MOST: Final = 8
"""In so many pieces such a request may come, which are put together again with each: head and body are two."""
REFUSAL_SECONDS = 2.0
"""A refused client may take this long to read why; it costs a descriptor meanwhile."""
REFUSAL_OCTETS: Final = 65_536
"""Most that is read of what a refused client sends: a request with its whole head, and a small body."""
REFUSALS_MOST = 256
"""Most connections that are being refused at once; beyond it they are reset without a word."""
_REFUSED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Type: %s\r\nContent-Length: %d\r\n"
    b"Server: idnode\r\nConnection: close\r\n\r\n%s"
) % (replies.BUSY_RETRY_SECONDS, replies.JSON_TYPE.encode(), len(replies.SNMS_BUSY), replies.SNMS_BUSY)

_MALFORMED: Final = (400, "请求不是合法的HTTP", "The request is not well-formed HTTP")
_BAD_REQUESTS: Final[dict[type[BaseException], tuple[int, str, str]]] = {
    InvalidURLError: (400, "请求的路径须为百分号编码的UTF-8", "The path must be percent-encoded UTF-8"),
    LineTooLong: (431, "请求行或某个请求头过长", "The request line or a header is too long"),
}
"""What is said of a request that never became one; aiohttp's own words would quote it."""
_REFUSALS: Final = {417: ("请求头Expect只能是100-continue", "The header Expect can only be 100-continue")}

log = structlog.get_logger("connection")


class Connection(web.RequestHandler):
    """aiohttp's connection that knows whom a trusted proxy speaks for.

    The PROXY protocol's document (§2) wants a port to expect its header always or never, lest strangers name their own
    address. Strangers are not asked here: only from a listed address is a header looked for, and its health checks may
    come without one.
    """

    __slots__ = (
        *("_asked", "_beginning", "_begun", "_body", "_deadline", "_held", "_lane", "_last", "_left"),
        *("_over", "_proxies", "_refused", "_unanswered", "_wanting", "ending", "named", "source"),
    )

    def __init__(
        self,
        server: web.Server,
        proxies: TrustedProxies,
        lane: Lane | None,
        refused: Callable[[str], None],
        left: Callable[[], None],
    ) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=KEEPALIVE_SECONDS,
            lingering_time=LINGER_SECONDS,
            auto_decompress=False,  # node/listen/bodies.py does it, within its bounds
            access_log=None,  # type: ignore[arg-type]
        )
        self._proxies = proxies
        self._lane = lane
        self._refused = refused
        self._left = left
        self.named: Source | None = None  # whom a proxy named before the handshake, where there is one
        self.source: Source = ("", 0)
        self.ending = False
        self._beginning: bytes | None = None  # what came of a header; None where none is looked for (any more)
        self._deadline: asyncio.TimerHandle | None = None
        self._asked: list[bytes] | None = None  # the request the lane is asked about, in the pieces it came in
        self._held: list[bytes] = []  # what came meanwhile; one read, for then nothing more is read
        self._begun: list[bytes] = []  # one of which the end of the body is wanting, which the lane waits for
        self._wanting: asyncio.TimerHandle | None = None
        self._last: asyncio.Future[None] | None = None  # done when that answer is out, if all ends then
        self._unanswered = 0  # requests that aiohttp has, and has not begun to answer
        self._body: StreamReader | None = None  # of the last one
        self._over = False  # whether the client says no more

    @property
    def peername(self) -> str:
        """The address of who speaks; `request.remote` is made of it."""
        return self.source[0]

    @property
    def port(self) -> int:
        """The port they speak from; 0: not known."""
        return self.source[1]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for the first head."""
        super().connection_made(transport)
        address, port = self.named or _address(transport)
        # In one spelling, once for all its requests.
        self.source = self._proxies.asker(address, ()), port
        if self.named is None and self._proxies.trusts(self.source[0]):
            self._beginning = b""
        self._await_head()
        if self._task_handler is not None:
            self._task_handler.add_done_callback(partial(_ended, transport))

    def connection_lost(self, exc: BaseException | None) -> None:
        """Waits for nothing any more."""
        self._head_came()
        self._taken_back()
        self.leave()
        super().connection_lost(exc)

    def leave(self) -> None:
        """Gives its place to others, once; to be called for one whose handshake failed, which never began."""
        left, self._left = self._left, _nothing
        left()

    def data_received(self, data: bytes) -> None:
        """Keeps back what belongs to a PROXY protocol header; all else is HTTP: for the lane, or for aiohttp."""
        lane = self._lane
        if lane is not None and self._asked is None and self._beginning is None and not self._begun and data:
            self._asked = [data]
            self._next_keepalive_close_time = self._loop.time() + KEEPALIVE_SECONDS
            lane.take(data, self)
        elif not data:  # aiohttp's own, when it goes on reading what it has
            self._parse(data)
        elif self._beginning is not None:
            if rest := self._behind_header(self._beginning + data):
                self.data_received(rest)
        elif lane is None:
            self._pass_on(data)
        elif self._asked is None:
            self._asked = [*self._taken_back(), data]
            self._next_keepalive_close_time = self._loop.time() + KEEPALIVE_SECONDS
            lane.take(b"".join(self._asked), self)
        else:  # not while an earlier answer is under way
            if not self._held and self.transport is not None:
                self.transport.pause_reading()
            self._held.append(data)

    def _pass_on(self, data: bytes) -> None:
        """To aiohttp."""
        self._parse(data)
        if self._waiter is None or self._waiter.done():
            self._head_came()
        elif self._deadline is None:
            self._await_head()

    def _parse(self, data: bytes) -> None:
        before = len(self._messages)
        super().data_received(data)
        if len(self._messages) > before:
            self._unanswered += len(self._messages) - before
            self._body = self._messages[-1][1]

    def eof_received(self) -> bool:  # type: ignore[override] # as asyncio has it
        """The client says no more and may still listen (RFC 9293 section 3.6): what it has asked whole is answered
        before all ends. TLS knows no such thing.
        """
        self._over = True
        if self.transport is None or self.transport.get_extra_info("sslcontext") is not None:
            return False
        if self._asked is not None:
            self.ending = True
            return True
        return self._answers

    @property
    def _answers(self) -> bool:
        """Whether aiohttp has something to answer, and all of it."""
        cut = self._body is not None and not self._body.is_eof()
        return self._unanswered > cut

    def _keep(self, pieces: list[bytes]) -> None:
        """Waits for the end of a body."""
        self._head_came()
        self._begun = pieces
        if len(pieces) < PIECES_MOST:
            self._wanting = self._loop.call_later(BODY_BEHIND_SECONDS, self._waited)
        else:
            self._waited()

    def _taken_back(self) -> list[bytes]:
        """What was kept so, and is no more."""
        if self._wanting is not None:
            self._wanting.cancel()
            self._wanting = None
        begun, self._begun = self._begun, []
        return begun

    def _waited(self) -> None:
        """It does not come, or in crumbs."""
        self._lane = None
        for piece in self._taken_back():
            self._pass_on(piece)

    @property
    def nearest(self) -> str | None:
        """Who speaks, when aiohttp waits for a request and the client reads."""
        waiter = self._waiter
        return None if waiter is None or waiter.done() or self._paused else self.source[0]

    def told(self, said: bytes | Sign) -> None:
        """What the lane says of what it was asked; then it is the turn of what came meanwhile."""
        pieces, self._asked = self._asked, None
        if self._last is not None and not self._last.done():
            self._last.set_result(None)
        transport = self.transport
        if transport is None or transport.is_closing() or pieces is None:
            self._held = []
        elif isinstance(said, bytes):
            transport.write(said)
            if self.ending:
                transport.close()
            if self._deadline is not None:
                self._head_came()
        elif said is MORE:
            self._keep(pieces)
        else:
            if said is LEFT:
                self._lane = None
            for piece in pieces:
                self._pass_on(piece)
        if self._held:
            self._go_on()
        elif self._over and transport is not None and not self._answers:
            transport.close()

    def _go_on(self) -> None:
        held, self._held = self._held, []
        if self._last is None and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
            for piece in held:
                self.data_received(piece)

    def close(self) -> None:
        """Takes no more requests, but what came in this turn of the loop; aiohttp calls it before `shutdown`."""
        if self._asked is not None and self._lane is not None:
            self._lane.turn()
        super().close()

    async def shutdown(self, timeout: float | None = 15.0) -> None:  # noqa: ASYNC109 - as aiohttp calls it
        """Lets an answer the lane has asked for go out before all ends."""
        if self._asked is not None:
            self._last = self._loop.create_future()
            await asyncio.wait([self._last], timeout=timeout)
        await super().shutdown(timeout)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no request, and the end of its connection; nothing of it is quoted or kept."""
        if request.transport is None:
            log.info("client_left", peer=request.remote, kind=type(exc).__name__)
            raise ConnectionResetError("nobody is there to be answered") from None
        if isinstance(exc, HttpProcessingError):
            code, zh, en = _BAD_REQUESTS.get(type(exc), _MALFORMED)
            self._refused("malformed")
            log.info("bad_request", peer=request.remote, status=code, kind=type(exc).__name__)
            response = trouble("", code, zh, en)
        else:
            mark = secrets.token_hex(6)
            log.error("internal_error", request=mark, exc_info=exc)
            response = trouble("", 500, f"内部错误，请求编号{mark}", f"Internal error, request {mark}")
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is out, a second one must not follow")
        response.headers["Server"] = "idnode"
        response.force_close()
        return response

    def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> Coroutine[Any, Any, tuple[web.StreamResponse, bool]]:
        """Also of what aiohttp refuses before a route or ours is asked: its own words would quote the request."""
        if isinstance(resp, web.HTTPException) and resp.status >= 400:
            zh, en = _REFUSALS.get(resp.status, _MALFORMED[1:])
            resp = trouble(request.path, resp.status, zh, en)
        self._unanswered -= 1
        if self._over and not self._answers:
            super().close()  # behind this one
        return super().finish_response(request, resp, start_time)

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What escapes even from there, in our journal rather than aiohttp's."""
        log.error("internal_error", peer=self.source[0], what=args[0] % args[1:], exc_info=kw.get("exc_info"))

    def _behind_header(self, octets: bytes) -> bytes | None:
        """What is HTTP of the first `octets`; None while that is not known, and for a connection that is given up."""
        try:
            found = read(octets)
        except ProtoError as error:
            self._refused("proxy_header")
            log.info("proxy_header_refused", peer=self.source[0], error=error.en)
            self.force_close()
            return None
        if found is NoHeader.UNFINISHED:
            self._beginning = octets
            return None
        self._beginning = None
        if found is NoHeader.ABSENT:
            return octets
        if found.source:
            self.source = found.source, found.port
        return octets[found.length :]

    def _await_head(self) -> None:
        self._deadline = asyncio.get_running_loop().call_later(HEAD_SECONDS, self._late)

    def _head_came(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self._asked is None:  # else it has come, and the lane is about to answer
            self._refused("head_slow")
            self.force_close()


class _Refusal(asyncio.Protocol):
    """Stands in for a connection beyond the bound: says 503, in the words of the face that needs them, and closes.

    What the client has sent is read first, or the kernel would answer it with a reset that overtakes the 503.
    """

    def __init__(self, refusals: set["_Refusal"]) -> None:
        self._refusals = refusals
        self._dropped = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._refusals.add(self)
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by descent
        self._end = asyncio.get_running_loop().call_later(REFUSAL_SECONDS, self._transport.abort)
        self._transport.write(_REFUSED)
        self._transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > REFUSAL_OCTETS:
            self._transport.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._end.cancel()
        self._refusals.discard(self)


class _Abrupt(asyncio.Protocol):
    """Stands in for a connection that cannot even be told so."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast(asyncio.Transport, transport).abort()


class Crowd:
    """The connections a worker serves, and whose they are; decides what becomes of one more.

    At most `most` at once, a share of them of one address. `refused` is told why one was turned away or given up: a
    value of metrics.HTTP_REFUSED. `arriving` are those that are served once their handshake is done.
    """

    def __init__(
        self,
        server: web.Server,
        most: int,
        proxies: TrustedProxies,
        lane: Lane | None,
        refused: Callable[[str], None],
    ) -> None:
        self._server = server
        self._lane = lane
        self._most = most
        self._most_of_peer = max(1, most // PEER_SHARE)
        self._of_peer: Counter[str] = Counter()
        self._proxies = proxies
        self.refused = refused
        self.arriving = 0
        self._refusals: set[_Refusal] = set()

    def threshold(self) -> asyncio.Protocol:
        """The protocol of a connection that is only just there: a factory for servers."""
        return _Threshold(self)

    def place(self, address: str) -> asyncio.Protocol:
        """The protocol of a connection that has just come from there."""
        if found := self.connection(address):
            return found
        return _Refusal(self._refusals) if len(self._refusals) < REFUSALS_MOST else _Abrupt()

    def connection(self, address: str) -> Connection | None:
        """That of one which is served; None: it is one too many."""
        if len(self._server.connections) + self.arriving >= self._most:
            self.refused("connections")
            return None
        if self._proxies.trusts(address):
            return Connection(self._server, self._proxies, self._lane, self.refused, _nothing)
        site = end_site(address)
        if self._of_peer[site] >= self._most_of_peer:
            self.refused("peer_connections")
            return None
        self._of_peer[site] += 1
        return Connection(self._server, self._proxies, self._lane, self.refused, partial(self._left, site))

    def _left(self, site: str) -> None:
        self._of_peer[site] -= 1
        if not self._of_peer[site]:
            del self._of_peer[site]


def _ended(transport: asyncio.BaseTransport, serving: "asyncio.Task[None]") -> None:
    """Breaks off a connection nobody serves any more: what aiohttp does not foresee would leave its client waiting."""
    if not serving.cancelled() and (error := serving.exception()) is not None:
        log.error("internal_error", exc_info=error)
        cast(asyncio.Transport, transport).abort()


class _Threshold(asyncio.Protocol):
    """Stands in for a connection until it is known where it comes from."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        protocol = self._crowd.place(_address(transport)[0])
        cast(asyncio.Transport, transport).set_protocol(protocol)
        protocol.connection_made(transport)


def _address(transport: asyncio.BaseTransport) -> tuple[str, int]:
    address = transport.get_extra_info("peername")
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else ("", 0)


def _nothing() -> None:
    """What is done when one leaves that nobody counts."""

"""The lane: a plain GET of an identifier is answered without making it a request.

`Lane.answer` is given what came in one piece on a connection that did nothing unusual so far. It gives the octets of
the answer if that is kept in this process; else it asks the resolving road and gives them later (ASKED). Or the
ordinary door shall answer (OTHER), or the connection has left the lane for good (LEFT). What it answers is, octet for
octet, what the door would: tests/node/listen/test_lane.py asks both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from enum import Enum
from functools import partial
from typing import Final

from aiohttp import web

from node.house import House
from node.listen import handle_api, http, replies
from node.metrics import HTTP_REQUESTS
from node.resolve.answer import Answer, Outcome
from proto.errors import ProtoError
from proto.identifier import Identifier

OCTETS_MOST: Final = 8000
"""Longest request looked at here: less than the line aiohttp takes (8190); usual ones have some 500."""
BLOCKS_MOST: Final = 1024
"""Blocks of headers remembered, 8 MB at worst: clients of one make send the same one every time. Who sends ever new
ones pays for each look and drives out the oldest."""


class Sign(Enum):
    """What is said instead of an answer."""

    OTHER = "the ordinary door answers"
    LEFT = "so it does from now on"
    ASKED = "the answer comes later"


OTHER, LEFT, ASKED = Sign

_LINE: Final = re.compile(
    rb"(?:GET /api/handles/((?!0\.)[0-9.]+/[A-Za-z0-9._~!$'()*+,;=:@/-]+)|(?:GET|HEAD|OPTIONS) /[!-~]*) HTTP/1\.1\r\n"
)
"""Request lines behind which no body comes. Looked up here is only what is spelt as it is kept, with nothing to encode
in the path or in JSON."""
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([!-~](?:[ -~]*[!-~])?)?\r\n")
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"trailer", b"te", b"expect", b"upgrade"})
"""Headers that say where a request ends, or what becomes of the connection after it."""
_MEANT: Final = {b"connection": b"keep-alive", b"if-none-match": None, b"cdn-loop": None}
"""Headers by which the road answers otherwise, but for the value by which it does not: many clients say what HTTP/1.1
does anyway (RFC 9112 section 9.3)."""

_OPEN: Final = b"Date: %b\r\nServer: idnode\r\n" + "".join(f"{n}: {v}\r\n" for n, v in http.CORS.items()).encode()
_PRIVATE: Final = f"Cache-Control: {http.PRIVATE}\r\n".encode()
_TYPE: Final = b"Content-Type: " + replies.JSON_TYPE.encode() + b"\r\n"
_FOUND: Final = (
    b"HTTP/1.1 200 OK\r\n" + _TYPE + b'ETag: "%d.%d.%d"\r\nCache-Control: public, max-age=%d\r\nContent-Length: %d\r\n'
) + (_OPEN + b'\r\n{"responseCode":1,"handle":"%b","values":%b}')
_AROUND: Final = len('{"responseCode":1,"handle":"","values":}')
_ABSENT: Final = b"HTTP/1.1 404 Not Found\r\n" + _TYPE + b"Content-Length: %d\r\n" + _OPEN + _PRIVATE + b"\r\n%b"


@dataclass(frozen=True, slots=True)
class Block:
    """What stands behind a request line. `whole`: headers and the end of the request, and nothing but these.

    `meant`: the road must read them. `forwarded`: the lines of X-Forwarded-For.
    """

    whole: bool
    meant: bool = False
    forwarded: tuple[str, ...] = ()

    @classmethod
    def read(cls, octets: bytes) -> "Block":
        """From what was sent. Whatever is spelt in no everyday way is not whole."""
        at, lines, meant = 0, dict[bytes, bytes](), False
        while header := _HEADER.match(octets, at):
            name = header[1].lower()
            if name in _FRAMING:
                return cls(whole=False)
            value = header[2] or b""
            meant = meant or name in lines or (name in _MEANT and value.lower() != _MEANT[name])
            lines[name] = value
            at = header.end()
        forwarded = lines.get(b"x-forwarded-for")
        meant = meant or b"host" not in lines
        return cls(octets[at:] == b"\r\n", meant, (forwarded.decode(),) if forwarded else ())


class Lane:
    """Answers what is plain. `clock` gives monotonic seconds, `now` those since 1970 UTC."""

    def __init__(self, house: House, clock: Callable[[], float], now: Callable[[], int]) -> None:
        self._house = house
        self._seconds = house.config.cache_seconds
        self._look = house.hot.look
        self._admit = house.admission.admit
        self._asker = house.config.proxies.asker
        self._resolved = house.meter.resolved
        self._clock = clock
        self._now = now
        self._blocks: dict[bytes, Block] = {}
        self._second = -1
        self._date = b""
        self._found = house.meter.counter(HTTP_REQUESTS, "handle", "2xx")
        self._absent = house.meter.counter(HTTP_REQUESTS, "handle", "4xx")

    def answer(self, octets: bytes, nearest: str | None, then: Callable[[bytes | Sign], None]) -> bytes | Sign:
        """The answer to `octets` sent from the address `nearest` (None: it is not its turn yet).

        ASKED: `then` is given it, or OTHER, later or even before this returns.
        """
        began = self._clock()
        line = _LINE.match(octets)
        if line is None or len(octets) > OCTETS_MOST:
            return LEFT
        rest = octets[line.end() :]
        block = self._blocks.get(rest) or self._read(rest)
        if not block.whole:
            return LEFT
        handle = line[1]
        if handle is None or nearest is None or block.meant:
            return OTHER
        found = self._look(handle) or _identifier(handle)
        if found is None or self._admit(self._asker(nearest, block.forwarded) if block.forwarded else nearest):
            return OTHER  # the door says why not
        if isinstance(found, Identifier):
            self._house.admission.in_hand += 1
            self._house.road.fetch(found, partial(self._fetched, handle, then))
            return ASKED
        said = self._said(handle, found)
        self._resolved(found, self._clock() - began)
        return said

    def _read(self, rest: bytes) -> Block:
        if len(self._blocks) >= BLOCKS_MOST:
            del self._blocks[next(iter(self._blocks))]
        self._blocks[rest] = block = Block.read(rest)
        return block

    def _fetched(self, handle: bytes, then: Callable[[bytes | Sign], None], found: Answer | Exception) -> None:
        self._house.admission.in_hand -= 1
        if isinstance(found, Answer):
            then(self._said(handle, found))
        elif type(found) in http.TROUBLES:
            then(self._rendered(http.troubled(handle_api.PATH + handle.decode(), found)))
        else:
            then(OTHER)

    def _said(self, handle: bytes, found: Answer) -> bytes:
        outcome, shown = found.outcome, found.shown
        if outcome is Outcome.FOUND and found.prefix and shown != b"[]":
            self._found()
            length = _AROUND + len(handle) + len(shown)
            version, epoch, template_epoch = found.version, found.epoch, found.template_epoch
            most = found.life(self._seconds, self._tick())
            return _FOUND % (version, epoch, template_epoch, most, length, self._date, handle, shown)
        if outcome is Outcome.ABSENT:
            self._absent()
            self._tick()
            body = replies.handle_body(handle.decode(), found)
            return _ABSENT % (len(body), self._date, body)
        return self._rendered(handle_api.told(self._house, handle.decode(), found))

    def _rendered(self, response: web.Response) -> bytes:
        """What aiohttp and `node/listen/http.py` make of it."""
        self._tick()
        self._house.meter.count(HTTP_REQUESTS, "handle", f"{response.status // 100}xx")
        body = response.body
        assert isinstance(body, bytes)
        lines = [f"HTTP/1.1 {response.status} {response.reason}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "Content-Length"]
        head = "\r\n".join([*lines, f"Content-Length: {len(body)}", ""]).encode()
        kept = b"" if "Cache-Control" in response.headers else _PRIVATE
        return head + _OPEN % self._date + kept + b"\r\n" + body

    def _tick(self) -> int:
        """The second it is, of which `_date` is the text."""
        now = self._now()
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True).encode()
        return now


def _identifier(handle: bytes) -> Identifier | None:
    try:
        return Identifier.parse(handle.decode())
    except ProtoError:
        return None

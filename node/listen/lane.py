"""The lane: a plain GET of an identifier that is kept in this process is answered without making it a request.

`Lane.answer` is given what came in one piece on a connection that did nothing unusual so far, and says the octets of
the answer, or that the ordinary road shall answer (OTHER), or that the connection has left the lane for good (LEFT).
What it answers is, octet for octet, what the road would: tests/node/listen/test_lane.py asks both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from node.house import House
from node.listen import replies
from node.metrics import HTTP_REQUESTS
from node.resolve.answer import Answer, Outcome

OCTETS_MOST: Final = 8000
"""Longest request looked at here: less than the line aiohttp takes (8190); usual ones have some 500."""
BLOCKS_MOST: Final = 1024
"""Blocks of headers remembered, 8 MB at worst: clients of one make send the same one every time. Who sends ever new
ones pays for each look and drives out the oldest."""

OTHER: Final = b""
LEFT: Final = None

_LINE: Final = re.compile(
    rb"(?:GET /api/handles/((?!0\.)[0-9.]+/[A-Za-z0-9._~!$'()*+,;=:@/-]+)|(?:GET|HEAD|OPTIONS) /[!-~]*) HTTP/1\.1\r\n"
)
"""Request lines behind which no body comes. Looked up here is only what is spelt as it is kept, with nothing to encode
in the path or in JSON."""
_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([!-~](?:[ -~]*[!-~])?)?\r\n")
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"trailer", b"te", b"expect", b"upgrade"})
"""Headers that say where a request ends, or what becomes of the connection after it."""
_MEANT: Final = frozenset({b"connection", b"if-none-match", b"cdn-loop"})
"""Headers by which the road answers otherwise."""

_OPEN: Final = (
    b"Date: %b\r\nServer: idnode\r\nAccess-Control-Allow-Origin: *\r\n"
    b"Access-Control-Expose-Headers: Content-Length, ETag, Retry-After\r\n"
)
_TYPE: Final = b"Content-Type: " + replies.JSON_TYPE.encode() + b"\r\n"
_FOUND: Final = (
    b"HTTP/1.1 200 OK\r\n" + _TYPE + b'ETag: "%d.%d.%d"\r\nCache-Control: public, max-age=%d\r\nContent-Length: %d\r\n'
) + (_OPEN + b'\r\n{"responseCode":1,"handle":"%b","values":%b}')
_AROUND: Final = len('{"responseCode":1,"handle":"","values":}')
_MISSING: Final = {
    outcome: b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
    + (_TYPE + b"Content-Length: %d\r\n" + _OPEN + b"Cache-Control: private, no-store\r\n\r\n")
    for outcome, status in replies.HANDLE_STATUS.items()
    if outcome is not Outcome.FOUND
}


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
            meant = meant or name in lines or name in _MEANT
            lines[name] = header[2] or b""
            at = header.end()
        forwarded = lines.get(b"x-forwarded-for")
        meant = meant or b"host" not in lines
        return cls(octets[at:] == b"\r\n", meant, (forwarded.decode(),) if forwarded else ())


class Lane:
    """Answers from the house's hot answers. `clock` gives monotonic seconds, `now` those since 1970 UTC."""

    def __init__(self, house: House, clock: Callable[[], float], now: Callable[[], int]) -> None:
        self._look = house.hot.look
        self._admit = house.admission.admit
        self._asker = house.config.proxies.asker
        self._seconds = house.config.cache_seconds
        self._resolved = house.meter.resolved
        self._clock = clock
        self._now = now
        self._blocks: dict[bytes, Block] = {}
        self._second = -1
        self._date = b""
        self._count = {
            outcome: house.meter.counter(HTTP_REQUESTS, "handle", f"{status // 100}xx")
            for outcome, status in replies.HANDLE_STATUS.items()
        }

    def answer(self, octets: bytes, nearest: str | None) -> bytes | None:
        """The answer to `octets` sent from the address `nearest` (None: it is not its turn yet); else OTHER or LEFT."""
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
        found = self._look(handle)
        if found is None or not found.prefix or found.shown == b"[]":
            return OTHER
        if self._admit(self._asker(nearest, block.forwarded) if block.forwarded else nearest):
            return OTHER  # the road says why not
        said = self._said(handle, found)
        self._count[found.outcome]()
        self._resolved(found, self._clock() - began)
        return said

    def _read(self, rest: bytes) -> Block:
        if len(self._blocks) >= BLOCKS_MOST:
            del self._blocks[next(iter(self._blocks))]
        self._blocks[rest] = block = Block.read(rest)
        return block

    def _said(self, handle: bytes, found: Answer) -> bytes:
        now = self._now()
        if now != self._second:
            self._second, self._date = now, formatdate(now, usegmt=True).encode()
        if found.outcome is Outcome.FOUND:
            length = _AROUND + len(handle) + len(found.shown)
            most = found.life(self._seconds, now)
            tag = found.version, found.epoch, found.template_epoch
            return _FOUND % (*tag, most, length, self._date, handle, found.shown)
        body = replies.handle_body(handle.decode(), found)
        return _MISSING[found.outcome] % (len(body), self._date) + body

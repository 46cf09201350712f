"""Reads one HTTP/1.1 response after another out of octets as they come (RFC 9112). Pure.

It believes nothing: a server that says more, less or other than it announced is an error of a kind.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

from loadtest.bilingual import Bilingual

HEAD_MOST: Final = 16 * 1024
"""Longest status line with headers, octets: what proxies and servers commonly allow."""
BODY_MOST: Final = 8 * 1024 * 1024
"""Longest body read, octets: far above the answer to the largest batch, some 0.6 MB."""
CHUNK_LINE_MOST: Final = 256
"""Longest line before a chunk, octets: its size in hexadecimal, and extensions nobody sends."""


HEADS_MOST: Final = 1024
"""Heads remembered with what they say: a server says few different ones in a second, and reading one takes longer than
all the rest of an answer. 16 MB at worst."""


class Kind(Bilingual):
    """Why there is no answer to a request, in Chinese and in English."""

    CLOSED = ("未答先断", "closed before the answer")
    CUT = ("答到一半断开", "closed within the answer")
    TIMEOUT = ("超时未答", "no answer in time")
    MALFORMED = ("读不懂的回答", "unreadable answer")
    SURPLUS = ("多余的字节", "more octets than announced")
    OVERSIZE = ("回答过大", "answer too large")
    BUSY = ("繁忙429/503", "busy: 429, 503")
    FAILED = ("出错5xx", "failed: other 5xx")


class WireError(Exception):
    """The octets are no response of the kind we read; the connection is of no more use."""

    def __init__(self, kind: Kind) -> None:
        super().__init__(kind.en)
        self.kind = kind


class Response(NamedTuple):
    """Status, body, and whether the connection ends with this response."""

    status: int
    body: bytes
    closing: bool


_STATUS: Final = re.compile(rb"HTTP/1\.([01]) ([2-5][0-9]{2})(?: [^\r\n]*)?", re.DOTALL)
"""An interim response (1xx) is not taken: nothing here asks for one."""
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{1,8}")
_FIELDS: Final = (b"content-length", b"transfer-encoding", b"connection")
_END: Final = b"\r\n\r\n"
_CHUNKED: Final = -1
_BODILESS: Final = (204, 304)


class _Head(NamedTuple):
    """What the head says; `length` of the body is _CHUNKED when it comes in chunks."""

    status: int
    closing: bool
    length: int


class Reader:
    """The responses of one connection, to one request at a time."""

    def __init__(self) -> None:
        self._held = b""
        self._head: _Head | None = None
        self._parts: list[bytes] = []
        self._taken = 0
        self._trailing = False

    @property
    def begun(self) -> bool:
        """Whether a part of a response has come."""
        return bool(self._held) or self._head is not None

    def feed(self, octets: bytes) -> Response | None:
        """The response, once `octets` complete it. Raises WireError; then the reader is of no more use."""
        self._held = self._held + octets if self._held else octets
        if self._head is None:
            end = self._held.find(_END, 0, HEAD_MOST)
            if end < 0:
                if len(self._held) >= HEAD_MOST:
                    raise WireError(Kind.OVERSIZE)
                return None
            self._head = _head(self._held[:end])
            self._held = self._held[end + 4 :]
        body = self._chunked() if self._head.length == _CHUNKED else self._sized(self._head.length)
        if body is None:
            return None
        response = Response(self._head.status, body, self._head.closing)
        self._held, self._head = b"", None
        return response

    def _sized(self, length: int) -> bytes | None:
        if len(self._held) > length:
            raise WireError(Kind.SURPLUS)
        return self._held if len(self._held) == length else None

    def _chunked(self) -> bytes | None:
        """The body once its last chunk and the trailers are there (RFC 9112 section 7.1); trailers are passed over."""
        if not self._trailing:
            self._take_chunks()
        if not self._trailing or not _trailed(self._held):
            return None
        body = b"".join(self._parts)
        self._parts, self._taken, self._trailing = [], 0, False
        return body

    def _take_chunks(self) -> None:
        at = 0
        while not self._trailing and (chunk := _chunk(self._held, at)):
            content, at = chunk
            self._parts.append(content)
            self._taken += len(content)
            self._trailing = not content
            if self._taken > BODY_MOST:
                raise WireError(Kind.OVERSIZE)
        self._held = self._held[at:]


@lru_cache(HEADS_MOST)
def _head(octets: bytes) -> _Head:
    first, *lines = octets.split(b"\r\n")
    match = _STATUS.fullmatch(first)
    if match is None:
        raise WireError(Kind.MALFORMED)
    fields: dict[bytes, bytes] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        name = name.lower()
        if not colon or not name or name != name.strip():
            raise WireError(Kind.MALFORMED)
        if name in _FIELDS:
            value = value.strip()
            if fields.setdefault(name, value) != value:
                raise WireError(Kind.MALFORMED)
    status = int(match[2])
    words = fields.get(b"connection", b"").lower()
    closing = b"close" in words or (match[1] == b"0" and b"keep-alive" not in words)
    return _Head(status, closing, 0 if status in _BODILESS else _length(fields))


def _length(fields: dict[bytes, bytes]) -> int:
    """RFC 9112 section 6.3, but for a body that ends with the connection: it could not be told from a cut."""
    coding, length = fields.get(b"transfer-encoding"), fields.get(b"content-length")
    if (coding is None) == (length is None):
        raise WireError(Kind.MALFORMED)
    if length is None:
        if coding is None or coding.lower() != b"chunked":
            raise WireError(Kind.MALFORMED)
        return _CHUNKED
    if not length.isdigit() or len(length) > 18:
        raise WireError(Kind.MALFORMED)
    if int(length) > BODY_MOST:
        raise WireError(Kind.OVERSIZE)
    return int(length)


def _chunk(held: bytes, at: int) -> tuple[bytes, int] | None:
    """The chunk that begins at `at` and where the next one does, or None while a part of it is missing."""
    end = held.find(b"\r\n", at, at + CHUNK_LINE_MOST)
    if end < 0:
        if len(held) - at >= CHUNK_LINE_MOST:
            raise WireError(Kind.MALFORMED)
        return None
    digits = held[at:end].partition(b";")[0].strip()
    if not _HEX.fullmatch(digits):
        raise WireError(Kind.MALFORMED)
    begin = end + 2
    end = begin + int(digits, 16)
    if end == begin:
        return b"", begin
    if end - begin > BODY_MOST:
        raise WireError(Kind.OVERSIZE)
    if not b"\r\n".startswith(held[end : end + 2]):
        raise WireError(Kind.MALFORMED)
    return (held[begin:end], end + 2) if len(held) >= end + 2 else None


def _trailed(held: bytes) -> bool:
    """Whether the trailers are all there. Raises WireError when something follows them."""
    end = 0 if held.startswith(b"\r\n") else held.find(_END) + 2
    if held.startswith(b"\r\n") or end >= 2:
        if len(held) > end + 2:
            raise WireError(Kind.SURPLUS)
        return True
    if len(held) > HEAD_MOST:
        raise WireError(Kind.OVERSIZE)
    return False

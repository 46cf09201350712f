"""The bodies of requests: how large and how slow they may be, how they may be encoded, how much is received at once.

What is in a body is the faces' to understand.
"""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from io import BytesIO
from typing import Final

from aiohttp import web

from node.admission import Admission
from node.gather import BusyError

BODY_SECONDS = 60.0
"""A body, or the next piece of an endless one, may take this long to arrive: the largest one at 4 Mbit/s, and as long
as clients wait for an answer."""
PIECE_OCTETS: Final = 256 * 1024
"""Most octets that are decoded at once: some 1 ms of work, however small they were on the way."""
RECEIVED_BODIES: Final = 8
"""So many of the largest bodies may be arriving in a worker at once; beyond it 503. Memory is what it bounds: those who
send slowly hold a connection, and no place among the requests in hand."""
STRANGERS_SHARE: Final = 4
"""Bodies of who has not signed in may hold one part in so many of that, so that they cannot keep others out."""
_CODINGS: Final = {"gzip": 16 + zlib.MAX_WBITS, "x-gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}
"""Content codings (RFC 9110 §8.4.1) and what zlib calls their framing."""


class BodyError(Exception):
    """A body that is not taken; `status` is HTTP's, `zh` and `en` one sentence each."""

    def __init__(self, status: int, zh: str, en: str) -> None:
        super().__init__(en)
        self.status = status
        self.zh = zh
        self.en = en


def _too_large(most: int) -> BodyError:
    return BodyError(413, f"请求体不能超过{most}字节", f"The body may have at most {most} octets")


def _broken(coding: str) -> BodyError:
    return BodyError(400, f"请求体不是完整的{coding}", f"The body is no whole {coding}")


class _Plain:
    """A body that came as it is meant."""

    def decoded(self, octets: bytes) -> Iterator[bytes]:
        yield octets

    def end(self) -> None:
        """It ends where HTTP says."""


class _Deflated:
    """A body that was compressed. A piece of it is never larger than PIECE_OCTETS, so no bomb goes off."""

    def __init__(self, coding: str) -> None:
        self._coding = coding
        self._stream = zlib.decompressobj(_CODINGS[coding])

    def decoded(self, octets: bytes) -> Iterator[bytes]:
        piece = b""
        while octets or len(piece) == PIECE_OCTETS:
            try:
                piece = self._stream.decompress(octets, PIECE_OCTETS)
            except zlib.error:
                raise _broken(self._coding) from None
            if self._stream.unused_data:
                raise _broken(self._coding)
            octets = self._stream.unconsumed_tail
            if piece:
                yield piece

    def end(self) -> None:
        """Raises BodyError when it was cut short."""
        if not self._stream.eof:
            raise _broken(self._coding)


def _decoder(request: web.Request) -> _Plain | _Deflated:
    coding = request.headers.get("Content-Encoding", "").strip().lower()
    if coding in {"", "identity"} or not request.body_exists:
        return _Plain()
    if coding not in _CODINGS:
        known = ", ".join(_CODINGS)
        raise BodyError(415, f"Content-Encoding应为{known}之一", f"Content-Encoding must be one of {known}")
    return _Deflated(coding)


class Bodies:
    """Receives the bodies of one worker's requests: `most` octets at most each, `arriving` octets by now."""

    def __init__(self, admission: Admission, most: int) -> None:
        self._admission = admission
        self._most = most
        self.arriving = 0

    async def whole(self, request: web.Request, most: int | None = None) -> bytes:
        """The body of who has signed in, `most` octets at most if that is less than what is taken of anything.

        Raises BodyError, BusyError, or OSError when the client leaves.
        """
        return await self._whole(request, min(most or self._most, self._most), RECEIVED_BODIES * self._most)

    async def of_stranger(self, request: web.Request, most: int) -> bytes:
        """The body of anybody, `most` octets at most. Raises as `whole` does."""
        return await self._whole(request, min(most, self._most), RECEIVED_BODIES * self._most // STRANGERS_SHARE)

    async def _whole(self, request: web.Request, most: int, room: int) -> bytes:
        if (request.content_length or 0) > most:
            raise _too_large(most)
        body = BytesIO()
        try:
            async with asyncio.timeout(BODY_SECONDS), aclosing(self.pieces(request)) as pieces:
                async for piece in pieces:
                    if body.tell() + len(piece) > most:
                        raise _too_large(most)
                    if self.arriving + len(piece) > room:
                        raise BusyError
                    body.write(piece)
                    self.arriving += len(piece)
        except TimeoutError:
            raise BodyError(408, "请求体没有及时收到", "The body did not arrive in time") from None
        finally:
            self.arriving -= body.tell()
        if self._admission.crowded:
            raise BusyError
        return body.getvalue()

    def pieces(self, request: web.Request) -> AsyncGenerator[bytes, None]:
        """The body as it arrives, decoded, in pieces of at most PIECE_OCTETS when it is compressed.

        Raises BodyError at once for an unknown coding; later TimeoutError when nothing comes for BODY_SECONDS,
        BodyError, or OSError when the client leaves.
        """
        return self._pieces(request, _decoder(request))

    async def _pieces(self, request: web.Request, decoder: _Plain | _Deflated) -> AsyncGenerator[bytes, None]:
        while octets := await self._next(request):
            for piece in decoder.decoded(octets):
                yield piece
        decoder.end()

    async def _next(self, request: web.Request) -> bytes:
        try:
            with self._admission.aside():
                async with asyncio.timeout(BODY_SECONDS):
                    return await request.content.readany()
        except web.RequestPayloadError:
            raise BodyError(400, "请求体的传输格式有误", "The body's transfer encoding is broken") from None
        except RuntimeError as error:  # so aiohttp says of a client that left before
            if request.transport is not None:
                raise
            raise ConnectionResetError(str(error)) from None


BODIES: Final = web.AppKey("bodies", Bodies)


async def body(request: web.Request) -> bytes:
    """`Bodies.whole` of the application."""
    return await request.app[BODIES].whole(request)

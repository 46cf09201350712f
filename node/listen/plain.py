"""What the lanes share: how they read the headers of a plain request, and how they write what the door would."""

import re
from collections.abc import Callable
from email.utils import formatdate
from enum import Enum
from typing import Final, TypeVar

from aiohttp import web

from node.listen import http

TICK_SECONDS: Final = 0.1
"""So old may the Date of an answer be that is kept here."""
HEADERS_MOST: Final = 128
"""Lines of headers that aiohttp takes."""
HEADS_MOST: Final = 1024
"""Heads of requests each of the two lanes remembers, 8 MB at worst: clients of one make read with the same one, and
write with a few, by the lengths of their bodies. Who sends ever new ones pays for each and drives out the oldest."""

_HEADER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([!-~](?:[ -~]*[!-~])?)?\r\n")
_REFUSED: Final = frozenset({b"sec-websocket-key1"})
"""Headers that aiohttp takes no request with."""
PRIVATE: Final = f"Cache-Control: {http.PRIVATE}\r\n".encode()


class Sign(Enum):
    """What is said instead of an answer."""

    OTHER = "the ordinary door answers"
    LEFT = "so it does from now on"
    ASKED = "the answer comes later"
    MORE = "nothing, before the rest of it has come"


OTHER, LEFT, ASKED, MORE = Sign

Made = TypeVar("Made")


def remember(heads: dict[bytes, Made], octets: bytes, made: Made) -> Made:
    """Keeps what was made of `octets`, for which the oldest of HEADS_MOST goes."""
    if len(heads) >= HEADS_MOST:
        del heads[next(iter(heads))]
    heads[octets] = made
    return made


def headers(octets: bytes) -> list[tuple[bytes, bytes]] | None:
    """Names in lower case and values, in order, if `octets` are header lines, spelt in an everyday way, and the end of
    the headers, and nothing else; None otherwise.
    """
    at, lines = 0, list[tuple[bytes, bytes]]()
    while header := _HEADER.match(octets, at):
        name = header[1].lower()
        if name in _REFUSED or len(lines) == HEADERS_MOST:
            return None
        lines.append((name, header[2] or b""))
        at = header.end()
    return lines if octets[at:] == b"\r\n" else None


class Dates:
    """The lines of an answer that say when it was made, and by whom, and what comes `behind` them. `clock` gives
    monotonic seconds, `now` those since 1970 UTC.
    """

    def __init__(self, clock: Callable[[], float], now: Callable[[], int], behind: str = "") -> None:
        self._clock = clock
        self._now = now
        self._behind = behind.encode()
        self._second = -1
        self.stale = 0.0
        """From then on it may be another second: `tick` sees to it."""
        self.lines = b""

    def now(self) -> bytes:
        """The lines as they are now."""
        if self._clock() >= self.stale:
            self.tick()
        return self.lines

    def tick(self) -> None:
        """Makes the lines say what time it is."""
        self.stale = self._clock() + TICK_SECONDS
        now = self._now()
        if now != self._second:
            date = formatdate(now, usegmt=True).encode()
            self._second, self.lines = now, b"Date: %b\r\nServer: idnode\r\n%b" % (date, self._behind)


def rendered(response: web.Response, dated: bytes) -> bytes:
    """What aiohttp and `node/listen/http.py` make of it, given the lines of Date and what comes behind them."""
    body = response.body
    assert isinstance(body, bytes)
    lines = [f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "Content-Length"]
    head = "\r\n".join([*lines, f"Content-Length: {len(body)}", ""]).encode()
    kept = b"" if "Cache-Control" in response.headers else PRIVATE
    return head + dated + kept + b"\r\n" + body

"""The lane of single registrations: one that is small and plain is carried out without making it a request.

As in `lane.py`: what is whole but no such is the ordinary door's, and who sends anything but one complete request at a
time has left; only a body may come a moment after its head, as many clients send it. What is answered is, octet for
octet, what the door would: tests/node/listen/test_singles.py asks both.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import web

from node.house import House
from node.listen import http, replies, snms_api
from node.listen.plain import ASKED, LEFT, MORE, OTHER, PRIVATE, Dates, Sign, headers, remember, rendered
from node.metrics import HTTP_REQUESTS
from registry.access_log import Source
from registry.account import Account
from registry.registrar import Job, Outcome
from registry.rules import Operation, Request

OCTETS_MOST: Final = 16 * 1024
"""Longest request looked at here; one of fifteen attributes has some 2000. So much a connection may hold of one whose
body has not come."""
HEAD_MOST: Final = 8000
"""Longest head looked at here: less than the line aiohttp takes (8190)."""

_END: Final = b"\r\n\r\n"
_LINES: Final[dict[bytes, tuple[Operation, str]]] = {
    f"{method} {base}{snms_api.DATA} HTTP/1.1\r\n".encode(): (operation, base + snms_api.DATA)
    for base in snms_api.BASES
    for method, operation in snms_api.SINGLES.items()
}
"""Request lines that are carried out here, and what they ask for at which path."""
_LINE: Final = re.compile(rb"(?:POST|PUT|PATCH|DELETE) /[!-~]* HTTP/1\.1\r\n")
"""Request lines behind whose head a body may come."""
_LENGTH: Final = re.compile(rb"0|[1-9][0-9]{0,5}")
_OTHERWISE: Final = frozenset({b"transfer-encoding", b"trailer", b"te", b"expect", b"upgrade", b"content-encoding"})
"""Headers that say otherwise where a request ends, what becomes of the connection after it, or what its body is."""
_DONE: Final = (
    f"HTTP/1.1 200 OK\r\nContent-Type: {replies.JSON_TYPE}\r\nContent-Length: %d\r\n%b".encode() + PRIVATE + b"\r\n%b"
)

Then = Callable[[bytes | Sign], None]


@dataclass(frozen=True, slots=True)
class Head:
    """What stands before the body of a request. `length` octets follow it; with `token` this operation is asked for at
    `path`, None being none of those here. `forwarded` are the lines of X-Forwarded-For.
    """

    length: int
    operation: Operation | None
    path: str
    token: str
    forwarded: tuple[str, ...]

    @classmethod
    def read(cls, octets: bytes) -> "Head | None":
        """From what was sent; None if it is out of the common."""
        line = _LINE.match(octets)
        lines = headers(octets[line.end() :]) if line is not None else None
        if line is None or lines is None:
            return None
        by_name = dict(lines)
        length, connection = by_name.get(b"content-length", b""), by_name.get(b"connection", b"keep-alive")
        if len(by_name) < len(lines) or _OTHERWISE & by_name.keys() or b"host" not in by_name:
            return None
        if not _LENGTH.fullmatch(length) or connection.lower() != b"keep-alive":
            return None
        forwarded = by_name.get(b"x-forwarded-for")
        token = snms_api.token_of(by_name.get(b"authorization", b"").decode())
        operation, path = _LINES.get(line[0], (None, ""))
        return cls(int(length), operation, path, token, (forwarded.decode(),) if forwarded else ())


class Singles:
    """Carries out what is plain."""

    def __init__(self, house: House, dates: Dates) -> None:
        self._house = house
        self._dates = dates
        self._heads: dict[bytes, Head] = {}

    def answer(self, octets: bytes, nearest: str | None, then: Then, port: int = 0) -> Sign:
        """ASKED if `octets` sent from the address `nearest` (None: it is not its turn yet) and that port are carried
        out; `then` is given the answer later. MORE if only the end of the body is wanting.
        """
        end = octets.find(_END) + len(_END)
        if not len(_END) <= end <= HEAD_MOST or len(octets) > OCTETS_MOST:
            return LEFT
        head = self._heads.get(octets[:end]) or self._read(octets[:end])
        if head is None or not len(octets) <= end + head.length <= OCTETS_MOST:
            return LEFT
        if len(octets) < end + head.length:
            return MORE
        if head.operation is None or nearest is None:
            return OTHER
        source = self._source(nearest, port, head)
        if self._house.admission.admit(source[0]):
            return OTHER  # the door says why not
        self._house.admission.in_hand += 1
        known = partial(self._known, head, head.operation, octets[end:], source, then)
        self._house.doorkeeper.tell(head.token, known)
        return ASKED

    def _read(self, octets: bytes) -> Head | None:
        head = Head.read(octets)
        return None if head is None else remember(self._heads, octets, head)

    def _source(self, nearest: str, port: int, head: Head) -> Source:
        asker = self._house.config.proxies.asker(nearest, head.forwarded) if head.forwarded else nearest
        return asker, port if asker == nearest else 0

    def _known(
        self,
        head: Head,
        operation: Operation,
        body: bytes,
        source: Source,
        then: Then,
        account: Account | Exception | None,
    ) -> None:
        """Goes on once it is known who asks."""
        said: bytes | web.Response = snms_api.NOT_SIGNED_IN
        try:
            if isinstance(account, Exception):
                raise account
            if account is not None:
                wanted = snms_api.single(operation, body)
                if isinstance(wanted, Request):
                    self._house.batcher.ask(Job(wanted, account), partial(self._written, head, then), source)
                    return
                said = wanted
        except Exception as error:  # noqa: BLE001 - told to the client
            said = self._troubled(head, error)
        self._say(then, said)

    def _written(self, head: Head, then: Then, outcome: Outcome | Exception) -> None:
        said: bytes | web.Response
        try:
            said = snms_api.told(outcome)
        except Exception as error:  # noqa: BLE001 - told to the client
            said = self._troubled(head, error)
        self._say(then, said)

    def _troubled(self, head: Head, error: Exception) -> web.Response:
        """What the client is told of an error. The door shall not answer: it would carry it out again."""
        if type(error) in http.TROUBLES:
            return http.troubled(head.path, error)
        return http.broken(self._house.meter, head.path)

    def _say(self, then: Then, said: bytes | web.Response) -> None:
        self._house.admission.in_hand -= 1
        status = 200 if isinstance(said, bytes) else said.status
        self._house.meter.count(HTTP_REQUESTS, "snms", f"{status // 100}xx")
        if isinstance(said, bytes):
            then(_DONE % (len(said), self._dates.now(), said))
        else:
            then(rendered(said, self._dates.now()))

"""The lane: a plain GET of an identifier is answered without making it a request.

`Lane.answer` is given what came in one piece on a connection that did nothing unusual so far. It gives the octets of
the answer if that is kept in this process; else it asks the resolving road and gives them later (ASKED). Or the
ordinary door shall answer (OTHER), or the connection has left the lane for good (LEFT). What it answers is, octet for
octet, what the door would: tests/node/listen/test_lane.py asks both.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, NamedTuple, Protocol

import structlog
from aiohttp import web

from node.house import House
from node.listen import handle_api, http, replies, snms_api
from node.listen.plain import ASKED, LEFT, OTHER, PRIVATE, Dates, Sign, headers, remember, rendered
from node.listen.singles import Singles
from node.metrics import HTTP_REQUESTS
from node.resolve.answer import Answer, Outcome, Where
from node.resolve.measured import WORDS
from node.resolve.shelf import Kept
from node.sight import Told
from proto.identifier import Identifier, is_everyday
from registry.access_log import Source
from registry.account import Account

OCTETS_MOST: Final = 8000
"""Longest request looked at here: less than the line aiohttp takes (8190); usual ones have some 500."""

TAGS_MOST: Final = 8192
"""Different versions and epochs whose lines lie ready, 2 MB at most; beyond it all are made anew, for 0.3 µs each."""

_GET: Final = b"GET /api/handles/"
_POST: Final = b"POST /"
"""Behind it a body is to come, which nothing that is remembered has: looking for it would take 1 µs."""
_VERSION: Final = b" HTTP/1.1\r\n"
_LINE: Final = re.compile(rb"(?:GET|HEAD|OPTIONS) /[!-~]*" + _VERSION)
"""Request lines behind which no body comes."""
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding", b"trailer", b"te", b"expect", b"upgrade"})
"""Headers that say where a request ends, or what becomes of the connection after it."""
_MEANT: Final = {b"connection": b"keep-alive", b"if-none-match": None, b"cdn-loop": None}
"""Headers by which the road answers otherwise, but for the value by which it does not: many clients say what HTTP/1.1
does anyway (RFC 9112 section 9.3)."""

_CORS: Final = "".join(f"{name}: {value}\r\n" for name, value in http.CORS.items())
_TYPE: Final = b"Content-Type: " + replies.JSON_TYPE.encode() + b"\r\n"
_FOUND: Final = b"HTTP/1.1 200 OK\r\n" + _TYPE
_TAG: Final = b'ETag: "%d.%d.%d"\r\nCache-Control: public, max-age=%d\r\nVary: Authorization\r\nContent-Length: '
_LENGTHS: Final = tuple(b"%d\r\n" % length for length in range(4096))
"""Lengths of nearly all answers, written out."""
_BEFORE: Final = b'\r\n{"responseCode":1,"handle":"'
_BETWEEN: Final = b'","values":'
_IS_FOUND: Final = Outcome.FOUND
_IS_ABSENT: Final = Outcome.ABSENT
"""To take them from their class takes as long as to compare a hundred octets."""
_AROUND: Final = len(_BEFORE) - len(b"\r\n") + len(_BETWEEN) + len(b"}")
_ABSENT: Final = b"HTTP/1.1 404 Not Found\r\n" + _TYPE + b"Content-Length: %d\r\n%b" + PRIVATE + b"\r\n%b%b%b"
_ABSENT_BEFORE, _ABSENT_BEHIND = replies.handle_body("/", Answer(Outcome.ABSENT, 0, 0, 0)).split(b"/")
_ABSENT_AROUND: Final = len(_ABSENT_BEFORE) + len(_ABSENT_BEHIND)

Then = Callable[[bytes | Sign], None]
"""Who waits for the answer, or what there is instead."""
_Kind = tuple[float, Where, Outcome]
"""What answers that are counted together have in common: since when they were asked for, whence, and what."""
_Heard = tuple[bytes, Source, int]
"""An identifier, who asked for it, and the number of its prefix."""
_Fetch = tuple[bytes, float, Source, Then]
"""An identifier that was asked for, since when, by whom, and who waits for it."""

log = structlog.get_logger("lane")


@dataclass(frozen=True, slots=True)
class Block:
    """What stands behind a request line. `whole`: headers and the end of the request, and nothing but these.

    `plain`: the road need not read them, but for `token`, if there is one. `forwarded`: the lines of X-Forwarded-For.
    `usual`: plain, and there is neither of these. `last`: it would be usual, but the connection is to end behind it.
    """

    whole: bool
    plain: bool = False
    usual: bool = False
    last: bool = False
    forwarded: tuple[str, ...] = ()
    token: str = ""

    @classmethod
    def read(cls, octets: bytes) -> "Block":
        """From what was sent. Whatever is spelt in no everyday way is not whole."""
        found, lines, plain, last, token = headers(octets), dict[bytes, bytes](), True, False, ""
        if found is None:
            return cls(whole=False)
        for name, value in found:
            if name in _FRAMING:
                return cls(whole=False)
            if name == b"authorization":
                token = snms_api.token_of(value.decode())
                plain = plain and name not in lines and bool(token)
            elif name == b"connection" and value.lower() == b"close":
                plain, last = plain and name not in lines, True
            else:
                plain = plain and name not in lines and (name not in _MEANT or value.lower() == _MEANT[name])
            lines[name] = value
        forwarded = lines.get(b"x-forwarded-for")
        plain = plain and b"host" in lines
        usual = plain and not forwarded and not token
        return cls(
            True,
            plain and not last,
            usual and not last,
            usual and last,
            (forwarded.decode(),) if forwarded else (),
            token,
        )


class _Asked(NamedTuple):
    """A question by somebody who comes with a token."""

    handle: bytes
    identifier: Identifier
    began: float
    source: Source
    then: Then


class Asker(Protocol):
    """Who sent a request: a connection that does nothing unusual so far. `ending`: it ends behind its next answer."""

    ending: bool

    @property
    def nearest(self) -> str | None:
        """The address it comes from; None while it is not its turn to be answered."""

    @property
    def source(self) -> Source:
        """That address, and the port."""

    def told(self, said: bytes | Sign) -> None:
        """Is told the answer, or what there is instead, once and never ASKED."""


class Lane:
    """Answers what is plain. `clock` gives monotonic seconds, `now` those since 1970 UTC."""

    def __init__(self, house: House, clock: Callable[[], float], now: Callable[[], int]) -> None:
        self._house = house
        self._admission = house.admission
        self._heard = house.hot.heard
        self._shelves = house.hot.shelves
        self._holding = house.hot.holding
        self._fetch = house.hot.fetch_held
        self._fetch_new = house.hot.fetch_new
        self._admit = house.admission.admit
        self._asker = house.config.proxies.asker
        self._road = house.meter.road
        self._note = house.recording.access_log.note
        self._together = house.hot.together
        self._told = house.meter.counter(HTTP_REQUESTS, "handle", "2xx")
        self._told_absent = house.meter.counter(HTTP_REQUESTS, "handle", "4xx")
        self._clock = clock
        self._came: list[tuple[bytes, Asker]] = []
        self._blocks: dict[bytes, Block] = {}
        self._tags: dict[tuple[int, ...], bytes] = {}
        self._dates = Dates(clock, now, _CORS)
        self._last_dates = Dates(clock, now, f"Connection: close\r\n{_CORS}")
        self._seconds = house.config.cache_seconds
        self._singles = Singles(house, Dates(clock, now))

    def take(self, octets: bytes, asker: Asker) -> None:
        """`asker` sent this: it is told the answer when all that this turn of the loop brings is read, or later."""
        if not self._came:
            asyncio.get_running_loop().call_soon(self.turn)
        self._came.append((octets, asker))

    def turn(self) -> None:
        """Answers what came.

        The clock, and what was heard of changes, are asked once for all, after all was read: whatever was told to have
        changed before one of them was sent is heard of by then.
        """
        came, self._came = self._came, []
        began, heard = self._clock(), self._heard()
        if began >= self._dates.stale:
            self._dates.tick()
        found_of, absent_of, elsewhere_of = (shelf.get for shelf in self._shelves)
        block_of, lines = self._blocks.get, self._dates.lines
        ready = heard > 0 and self._admission.takes(len(came))
        hits, fresh = list[_Heard](), list[_Fetch]()
        with self._together():
            for octets, asker in came:
                try:
                    nearest, block, handle, kept, usual = asker.nearest, None, b"", None, False
                    if nearest is not None and octets.startswith(_GET):
                        end = octets.find(_VERSION)
                        block = block_of(octets[end:])
                    if block is not None:
                        usual, handle = block.usual, octets[len(_GET) : end]
                        kept = found_of(handle) if usual or block.last else None
                    if ready and kept and kept.heard == heard and began < kept.expires and kept.head:
                        kept.asked = True
                        hits.append((handle, asker.source, kept.terms.prefix))
                        dated = lines if usual else self._end(asker)
                        asker.told(b"".join((_FOUND, kept.head, dated, _BEFORE, handle, _BETWEEN, kept.shown, b"}")))
                        continue
                    source, then = asker.source, asker.told
                    if not usual:
                        said = self.answer(octets, nearest, then, source[1])
                    elif ready and not (kept or absent_of(handle) or elsewhere_of(handle)) and is_everyday(handle):
                        fresh.append((handle, began, source, then))
                        continue
                    else:
                        said = self._plain(handle, self._holding(handle), began, source, then) or _unusual(octets)
                    if said is not ASKED:
                        then(said)
                except Exception:  # a mistake of ours: the door answers
                    log.exception("lane_failed")
                    _leave(asker)
            if fresh:
                self._admission.in_hand += len(fresh)
                self._fetch_new([fetch[0] for fetch in fresh], self._fetched, fresh)
        if hits:
            self._told(len(hits))
            self._count((began, Where.HOT, Outcome.FOUND), hits)

    def _end(self, asker: Asker) -> bytes:
        """Has the connection end behind the next answer; the lines that answer is dated by."""
        asker.ending = True
        return self._last_dates.now()

    def answer(self, octets: bytes, nearest: str | None, then: Then, port: int = 0) -> bytes | Sign:
        """The answer to `octets` sent from the address `nearest` (None: it is not its turn yet) and that port.

        ASKED: `then` is given it, or OTHER, later.
        """
        end = octets.find(_VERSION)
        block = None if octets.startswith(_POST) else self._blocks.get(octets[end:])
        if block is None:
            if len(octets) > OCTETS_MOST or _LINE.match(octets) is None:
                return self._singles.answer(octets, nearest, then, port)
            block = remember(self._blocks, octets[end:], Block.read(octets[end + len(_VERSION) :]))
        if block.plain and nearest is not None and octets.startswith(_GET):
            if block.forwarded and (asker := self._asker(nearest, block.forwarded)) != nearest:
                nearest, port = asker, 0
            handle, began, source = octets[len(_GET) : end], self._clock(), (nearest, port)
            if block.token:
                return self._signed(block.token, handle, began, source, then)
            if said := self._plain(handle, self._holding(handle), began, source, then):
                return said
        return _unusual(octets) if block.whole else LEFT

    def _plain(self, handle: bytes, kept: Kept | None, began: float, source: Source, then: Then) -> bytes | Sign | None:
        """The answer everybody gets, where this is `kept`; None: it is no everyday identifier."""
        if kept is not None and began < kept.expires and (kept.head or self._headed(handle, kept)):
            if self._admit(source[0]):
                return OTHER  # the door says why not
            self._dates.now()
            self._count((began, Where.HOT, Outcome.FOUND), [(handle, source, kept.terms.prefix)])
            return self._found(kept.head, handle, kept.shown)
        if not is_everyday(handle):
            return None
        if self._admit(source[0]):
            return OTHER
        self._admission.in_hand += 1
        self._fetch(handle, kept, self._fetched, (handle, began, source, then))
        return ASKED

    def _fetched(self, fetches: Sequence[_Fetch], answers: Sequence[Answer | Exception]) -> None:
        """Tells answers that came together, and counts and notes them by what they have in common."""
        self._admission.in_hand -= len(fetches)
        lines, heads, absent = self._dates.now(), 0, 0
        tag_of, kinds, last, some = self._tags.get, dict[_Kind, list[_Heard]](), None, list[_Heard]()
        for (handle, began, source, then), found in zip(fetches, answers, strict=True):
            try:
                if isinstance(found, Exception):
                    self._failed(handle, began, source, then, found)
                    continue
                outcome, version, prefix, epoch, _, template_epoch, shown, until, where = found
                if (kind := (began, where, outcome)) != last:
                    last, some = kind, kinds.setdefault(kind, [])
                some.append((handle, source, prefix))
                if outcome is _IS_FOUND and prefix and not until and shown != b"[]":
                    heads += 1
                    tag = tag_of((version, epoch, template_epoch)) or self._tag(version, epoch, template_epoch)
                    length = _length(_AROUND + len(handle) + len(shown))
                    then(b"".join((_FOUND, tag, length, lines, _BEFORE, handle, _BETWEEN, shown, b"}")))
                elif outcome is _IS_ABSENT:
                    absent += 1
                    then(_ABSENT % (_ABSENT_AROUND + len(handle), lines, _ABSENT_BEFORE, handle, _ABSENT_BEHIND))
                else:
                    then(self._rendered(handle_api.told(self._house, handle.decode(), found)))
            except Exception:  # a mistake of ours, and not theirs who wait beside it
                log.exception("told_in_vain")
        self._told(heads)
        self._told_absent(absent)
        for kind, some in kinds.items():
            self._count(kind, some)

    def _failed(self, handle: bytes, began: float, source: Source, then: Then, error: Exception) -> None:
        self._house.road.count(error, began)
        self._house.road.note(began, source, handle, error)
        if type(error) in http.TROUBLES:
            then(self._rendered(http.troubled(handle_api.PATH + handle.decode(), error)))
        else:
            then(OTHER)

    def _count(self, kind: _Kind, some: Sequence[_Heard]) -> None:
        """Counts and notes answers of a kind that were given together."""
        began, where, outcome = kind
        count, seconds = self._road(where, outcome), self._clock() - began
        if len(some) == 1:
            handle, source, prefix = some[0]
            count(prefix, seconds)
            self._note((began, *source, 0, handle, WORDS[outcome]))
        else:
            handles, sources, prefixes = zip(*some, strict=True)
            for prefix, times in Counter(prefixes).items():
                count(prefix, seconds, times)
            self._note((began, *zip(*sources, strict=True), 0, handles, WORDS[outcome]))

    def _signed(self, token: str, handle: bytes, began: float, source: Source, then: Then) -> Sign:
        """Who comes with a token is told what that account may see."""
        identifier = Identifier.everyday(handle)
        if identifier is None or self._admit(source[0]):
            return OTHER
        self._admission.in_hand += 1
        self._house.doorkeeper.tell(token, partial(self._known, _Asked(handle, identifier, began, source, then)))
        return ASKED

    def _known(self, asked: _Asked, who: Account | Exception | None) -> None:
        if isinstance(who, Account):
            self._house.sight.ask(who, asked.identifier, partial(self._seen, asked, who))
        else:
            self._say(asked, handle_api.not_signed_in() if who is None else self._troubled(asked, who))

    def _seen(self, asked: _Asked, who: Account, told: Told | Exception | None) -> None:
        if told is None:
            fetch = asked.handle, asked.began, asked.source, asked.then
            self._fetch(asked.handle, self._holding(asked.handle), self._fetched, fetch)
            return
        try:
            if isinstance(told, Exception):
                raise told
            found = handle_api.told_alone(self._house, who, asked.identifier, asked.source, told, asked.began)
        except Exception as error:  # noqa: BLE001 - told to the client
            self._say(asked, self._troubled(asked, error))
        else:
            self._say(asked, handle_api.told(self._house, asked.handle.decode(), found, private=True))

    def _troubled(self, asked: _Asked, error: Exception) -> web.Response:
        """What the client is told of an error. The door shall not answer: it would count the call again."""
        path = handle_api.PATH + asked.handle.decode()
        if type(error) in http.TROUBLES:
            return http.troubled(path, error)
        try:
            raise error
        except Exception:  # noqa: BLE001 - a mistake of ours, for the journal
            return http.broken(self._house.meter, path)

    def _say(self, asked: _Asked, response: web.Response) -> None:
        self._admission.in_hand -= 1
        self._dates.now()
        asked.then(self._rendered(response))

    def _headed(self, handle: bytes, kept: Kept) -> bytes:
        if is_everyday(handle):
            kept.head = self._head(handle, kept.answer)
        return kept.head

    def _head(self, handle: bytes, found: Answer) -> bytes:
        """The lines that no other answer has; none where the answer is out of the common."""
        outcome, version, prefix, epoch, _, template_epoch, shown, until, _ = found
        if outcome is not _IS_FOUND or not prefix or until or shown == b"[]":
            return b""
        return self._tag(version, epoch, template_epoch) + _length(_AROUND + len(handle) + len(shown))

    def _tag(self, *said: int) -> bytes:
        """The lines of answers of this version, under these epochs of prefix and template, up to their length."""
        if len(self._tags) >= TAGS_MOST:
            self._tags.clear()
        tag = self._tags[said] = _TAG % (*said, self._seconds)
        return tag

    def _found(self, head: bytes, handle: bytes, shown: bytes) -> bytes:
        self._told()
        return b"".join((_FOUND, head, self._dates.lines, _BEFORE, handle, _BETWEEN, shown, b"}"))

    def _rendered(self, response: web.Response) -> bytes:
        self._house.meter.count(HTTP_REQUESTS, "handle", f"{response.status // 100}xx")
        return rendered(response, self._dates.lines)


def _leave(asker: Asker) -> None:
    """Leaves a request to the door; if that fails as well, who sent others in this turn shall not suffer from it."""
    try:
        asker.told(OTHER)
    except Exception:
        log.exception("told_in_vain")


def _length(octets: int) -> bytes:
    return _LENGTHS[octets] if octets < len(_LENGTHS) else b"%d\r\n" % octets


def _unusual(octets: bytes) -> Sign:
    """What becomes of a request that is none for the lane but whole, if its line is one."""
    return OTHER if _LINE.match(octets) else LEFT

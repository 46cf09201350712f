"""The native lane: a plain resolution whose answer is kept in this process needs its numbers filled in and no more.

Requests are told apart by their octets: what a client sends for one identifier differs, from time to time, in session,
request id and expiration alone, so all else of it is the key under which its answer lies ready, but for the first two.
What holds for all that came together (the clock, what was heard of changes) is asked once for all of it, after it was
read: whatever was told to have changed before one of these requests was sent is heard of by then (hot.py, `heard`).
What the lane answers is, octet for octet, what the desk would: tests/node/native/test_lane.py asks both.
"""

import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, repeat
from operator import itemgetter
from typing import Final

from node.house import House
from node.metrics import NATIVE_REQUESTS
from node.native.answers import COPIED, EXPIRES_SECONDS
from node.native.datagrams import COUNT, STRIDE, Slots
from node.resolve.answer import Outcome, Where
from node.resolve.measured import WORDS
from node.resolve.shelf import Kept
from node.site import SERIAL
from proto.codes import OpCode, ResponseCode
from proto.native import values
from proto.native.envelope import ENVELOPE_OCTETS, HEADER_OCTETS
from proto.native.message import (
    AUTHORITATIVE,
    CACHE_AUTHENTICATION,
    CERTIFY,
    PUBLIC_ONLY,
    REQUEST_DIGEST,
    TRUSTED_QUERY,
)
from proto.native.packets import PACKET_OCTETS
from proto.native.versions import OWN, agreed
from proto.web_json import values_of
from registry.access_log import unnoted

_REST: Final = struct.Struct(">IIIIIHBBIII")
"""Behind the request id: sequence, length; operation, code, flags, serial, recursion, reserved, expiration, length of
the body; length of the identifier."""
_NUMBERS_AT: Final = 4
"""Session, then request id."""
_REQUEST_AT: Final = 8
_REST_AT: Final = 12
_LENGTH_AT: Final = 16
_OP_AT: Final = ENVELOPE_OCTETS
_EXPIRATION_AT: Final = 36
_BODY_AT: Final = 40
_NUMBERS: Final = (_NUMBERS_AT, _REQUEST_AT, _EXPIRATION_AT)
_NUMBER: Final = itemgetter(slice(0, _REST_AT - _REQUEST_AT))
_HEAD: Final = itemgetter(slice(_REST_AT - _REQUEST_AT, _EXPIRATION_AT - _REQUEST_AT))
_ASKED: Final = itemgetter(slice(_BODY_AT - _REQUEST_AT, None))
"""Of what stands behind the session of a request: its id; all up to the expiration; the body."""
_SLOTS: Final = range(0, COUNT * STRIDE, STRIDE)
_NONE: Final = memoryview(bytes(4 * COUNT)).cast("I")
_NAME_AT: Final = _REST_AT + _REST.size
_COUNTS: Final = frozenset({8, 12})
"""Octets behind the identifier in the body of who wants all values: two counts, and of some clients a third length."""
_PECULIAR: Final = REQUEST_DIGEST | TRUSTED_QUERY | PUBLIC_ONLY | CACHE_AUTHENTICATION | CERTIFY
_PLAIN: Final = frozenset({0, PUBLIC_ONLY, PUBLIC_ONLY | CACHE_AUTHENTICATION})
"""Of these flags, those of who is told what everybody is: others may be asked for a proof (administration.py)."""
_ZEROS: Final = (bytes(8), bytes(4))
"""What stands in a key for session and request id, and for the expiration."""
_OVERHEAD: Final = HEADER_OCTETS + 4
_FLAGS: Final = 0xE0
ANSWERS_MOST: Final = 64
"""Answers made at a stretch over TCP: whoever sends them looks whether they are read."""
ROW_OCTETS: Final = 16_384
"""Octets looked at for them: usual requests have some 90."""
READY_MOST: Final = 16_384
"""Answers that lie ready, some 0.8 KB each; beyond it they are made anew, for half as much again."""
READY_OCTETS: Final = 512
"""Longest request whose answer lies ready; usual ones have some 90."""
READY_ANSWER_OCTETS: Final = 4096
"""Longest answer that lies ready: all of them together take 128 MB at most, and usual ones have some 600 octets."""
TURN_SECONDS: Final = 1.0
"""What lies ready is looked at anew after this, and whenever anything has changed or the second of the clock has."""
_WORDS_FOUND: Final = WORDS[Outcome.FOUND]


@dataclass(slots=True)
class Ready:
    """The answer to all requests that differ in session, request id and expiration alone.

    Such a request has so many octets of `length`, and `head` from request id to expiration. `rest` is what stands in
    the answer behind the request id, `whole` all of it with nothing for session and request id, and `end` how long that
    is: good for the turn of that number.
    """

    handle: bytes
    versions: bytes
    flags: int
    head: bytes
    length: int
    prefix: int = 0
    rest: bytes = b""
    whole: bytes = b""
    end: int = 0
    turn: int = 0


_NOTHING: Final = Ready(b"", b"", 0, bytes(_EXPIRATION_AT - _REST_AT + 1), 0)
"""Where nothing lies: no request has so long a head."""
_NOTHING_ALIKE: Final[Mapping[bytes, Ready]] = {}


class Lane:
    """Answers what is plain and ready. `clock` gives monotonic seconds, `now` those since 1970 UTC."""

    def __init__(self, house: House, clock: Callable[[], float], now: Callable[[], int]) -> None:
        self._heard = house.hot.heard
        self._holding = house.hot.holding
        self._admission = house.admission
        self._hit = house.meter.road(Where.HOT, Outcome.FOUND)
        self._told = house.meter.counter(NATIVE_REQUESTS, ResponseCode.SUCCESS.name.lower())
        self._note = house.recording.access_log.note
        self._noted = self._note is not unnoted
        self._clock = clock
        self._now = now
        self._ready: dict[bytes, Ready] = {}
        # Of them, those of this turn: by what many share and then by the rest, and those that a packet can hold.
        self._alike: dict[bytes, dict[bytes, Ready]] = {}
        self._packets: dict[bytes, Ready] = {}
        self._turn, self._until = 0, 0.0
        self._stand = (0, 0)

    def answers(self, octets: bytes, at: int, peer: str, port: int, most: int = ANSWERS_MOST) -> tuple[int, bytes]:
        """Where the requests end that begin `at` and could be answered, of a longer row `most`, and the answers."""
        began, row = self._begun(), octets[at : at + ROW_OCTETS]
        if len(row) < _NAME_AT or self._admission.full:
            return at, b""
        alone = most == 1 or ENVELOPE_OCTETS + int.from_bytes(row[_LENGTH_AT:_OP_AT]) >= len(row)
        found, said = ([], []) if alone or self._admission.by_peer else self._at_a_stretch(row, most)
        if not found:
            found, said = self._one_by_one(row, most, began, peer)
        self._count(found, began, peer, port)
        return at + sum([ready.length for ready in found]), b"".join(said)

    def answer(self, octets: bytes, peer: str, port: int) -> bytes:
        """The answer to the request the octets begin with; none if the desk shall answer."""
        return self.answers(octets, 0, peer, port, 1)[1]

    def _at_a_stretch(self, row: bytes, most: int) -> tuple[list[Ready], list[bytes]]:
        """The answers to the requests of a row, and their octets in pieces; none unless all begin alike and lie ready.

        Where requests begin alike is looked for, and proven by what lies ready: each piece is all of a request, so the
        next one begins behind it.
        """
        pieces = row.split(row[:_REQUEST_AT], most + 1)[1 : most + 1]
        alike = self._alike.get(row[:_NUMBERS_AT] + row[_OP_AT:_EXPIRATION_AT], _NOTHING_ALIKE)
        found = list(map(alike.get, map(_ASKED, pieces), repeat(_NOTHING)))
        if [ready.head for ready in found] != list(map(_HEAD, pieces)):
            return [], []
        said = [found[0].versions + row[_NUMBERS_AT:_REQUEST_AT]] * (3 * len(found))
        said[1::3] = map(_NUMBER, pieces)
        said[2::3] = [ready.rest for ready in found]
        return found, said

    def _one_by_one(self, row: bytes, most: int, began: float, peer: str) -> tuple[list[Ready], list[bytes]]:
        """The answers to the requests of a row up to the first to which none is ready, and their octets in pieces."""
        at, found, said = 0, list[Ready](), list[bytes]()
        by_peer = self._admission.by_peer
        while at < len(row) and len(found) < most:
            end = at + ENVELOPE_OCTETS + int.from_bytes(row[at + _LENGTH_AT : at + ENVELOPE_OCTETS])
            versions, asked = row[at : at + _NUMBERS_AT], row[at + _BODY_AT : end]
            key = b"".join((versions, _ZEROS[0], row[at + _REST_AT : at + _EXPIRATION_AT], _ZEROS[1], asked))
            ready = self._lying(key, began)
            if ready is None or (by_peer and self._admission.admit(peer)):
                break  # the desk says why not
            if (found or end < len(row)) and ready.turn == self._turn and key in self._ready:
                self._alike.setdefault(versions + key[_OP_AT:_EXPIRATION_AT], {})[asked] = ready
            found.append(ready)
            said += (ready.versions, row[at + _NUMBERS_AT : at + _REST_AT], ready.rest)
            at = end
        return found, said

    def fill(self, slots: Slots, lengths: Sequence[int]) -> list[int]:
        """Answers where it lies each request that fills its slot: how long the answers are. 0: that one is as it was,
        for nothing is ready or the answer is longer than a packet.
        """
        began, octets, count = self._begun(), slots.octets, len(lengths)
        if not count or self._admission.full:
            return [0] * count
        by_peer = self._admission.by_peer
        one = slots.one_source(count)
        sources = [one] * count if one is not None else slots.sources(count) if self._noted or by_peer else []
        numbers = [slots.words(at)[:count] for at in _NUMBERS]
        were = [memoryview(each.tobytes()).cast("I") for each in numbers]
        for each in numbers:
            each[:] = _NONE[:count]
        keys = [octets[at : at + length] for at, length in zip(_SLOTS, lengths, strict=False)]
        found = list(map(self._packets.get, keys, repeat(_NOTHING)))
        said = [ready.end for ready in found]
        if by_peer or not all(said):
            peers = [peer for peer, _ in sources] or repeat("")
            found = list(map(self._fitting, keys, peers, repeat(began)))
            said = [ready.end for ready in found]
        for at, ready in zip(_SLOTS, found, strict=False):
            octets[at : at + ready.end] = ready.whole
        for each, was in zip(numbers[:-1], were, strict=False):
            each[:] = was
        if not all(said):
            for slot in (slot for slot, length in enumerate(said) if not length):
                numbers[-1][slot] = were[-1][slot]
            found, sources = list(compress(found, said)), list(compress(sources, said))
        self._count(found, began, *(one or zip(*sources, strict=True)))
        return said

    def _fitting(self, key: bytes, peer: str, began: float) -> Ready:
        """The answer to requests with this key, if it is ready and a packet can hold it; else _NOTHING."""
        ready = self._lying(key, began)
        if ready is None or ready.end > PACKET_OCTETS or (self._admission.by_peer and self._admission.admit(peer)):
            return _NOTHING
        if ready.turn == self._turn and key in self._ready:
            self._packets[key] = ready
        return ready

    def _begun(self) -> float:
        """The present moment, in its turn: a new one if what lies ready may not be right any more."""
        began, stand = self._clock(), (self._heard(), self._now())
        if stand != self._stand or began >= self._until:
            self._stand, self._until = stand, began + TURN_SECONDS
            self._turn += 1
            self._alike.clear()
            self._packets.clear()
        return began

    def _lying(self, key: bytes, began: float) -> Ready | None:
        """The answer to all requests with this key, if it is ready or can be made."""
        ready = self._ready.get(key)
        return ready if ready is not None and ready.turn == self._turn else self._made(ready, key, began)

    def _made(self, ready: Ready | None, key: bytes, began: float) -> Ready | None:
        """The answer to all requests with this key, made for this turn; `ready` is what it was. None: not here."""
        known = ready is not None
        if ready is None:
            ready = _read(key)
        kept = self._holding(ready.handle) if ready is not None else None
        if ready is None or kept is None or began >= kept.expires or not (shown := kept.ready or _shown(kept)):
            return None
        length, name = len(ready.handle) + len(shown), len(ready.handle)
        says = (OpCode.RESOLUTION, ResponseCode.SUCCESS, ready.flags, SERIAL, 0, 0, self._stand[1] + EXPIRES_SECONDS)
        ready.rest = _REST.pack(0, length + _OVERHEAD, *says, length, name) + ready.handle + shown
        ready.whole = ready.versions + _ZEROS[0] + ready.rest
        ready.end, ready.prefix = len(ready.whole), kept.terms.prefix
        ready.turn = self._turn if kept.expires >= self._until else 0  # 0: it ends within the turn
        if ready.end > READY_ANSWER_OCTETS:
            self._ready.pop(key, None)
        elif not known and len(key) <= READY_OCTETS:
            if len(self._ready) >= READY_MOST:
                for each in (self._ready, self._alike, self._packets):
                    each.clear()
            self._ready[key] = ready
        return ready

    def _count(
        self, used: Sequence[Ready], began: float, source: str | tuple[str, ...] = (), port: int | tuple[int, ...] = ()
    ) -> None:
        """Counts and notes answers that were given together, to one or to each of them."""
        if not used:
            return
        seconds = self._clock() - began
        self._told(len(used))
        handles: bytes | tuple[bytes, ...]
        if len(used) == 1:  # as from who asks one thing at a time
            handles = used[0].handle
            self._hit(used[0].prefix, seconds)
        else:
            handles = tuple([ready.handle for ready in used])
            prefixes = [ready.prefix for ready in used]
            for prefix in set(prefixes):
                self._hit(prefix, seconds, prefixes.count(prefix))
        if self._noted:
            self._note((began, source, port, 0, handles, _WORDS_FOUND))


def _read(key: bytes) -> Ready | None:
    """What is asked by the whole request with this key, if it is plain."""
    if len(key) < _NAME_AT:
        return None
    _, length, op, code, flags, _, _, _, _, body, name = _REST.unpack_from(key, _REST_AT)
    stop, counts = _NAME_AT + name, body - 4 - name
    if op != OpCode.RESOLUTION or code or flags & _PECULIAR not in _PLAIN or ENVELOPE_OCTETS + length != len(key):
        return None
    major, minor, suggested_major, suggested_minor = key[:_NUMBERS_AT]
    behind = key[stop:]
    if suggested_major & _FLAGS or counts not in _COUNTS or len(behind) - counts not in {0, 4} or any(behind):
        return None
    versions = bytes((*agreed((major, minor), (suggested_major, suggested_minor)), *OWN))
    head, asked = key[_REST_AT:_EXPIRATION_AT], len(key)
    return Ready(key[_NAME_AT:stop], versions, flags & COPIED | AUTHORITATIVE, head, asked)


def _shown(kept: Kept) -> bytes:
    """What stands behind the identifier in every answer: the values and no credential; none for what is not plain."""
    if kept.outcome is Outcome.FOUND and kept.terms.prefix and not kept.until and kept.shown != b"[]":
        kept.ready = values.list_octets(values_of(kept.shown)) + bytes(4)
    return kept.ready

"""The native lane: a plain resolution whose answer is kept in this process needs its numbers filled in and no more.

What it answers is, octet for octet, what the desk would: tests/node/native/test_lane.py asks both.
"""

import struct
from collections.abc import Callable
from typing import Final

from node.house import House
from node.metrics import NATIVE_REQUESTS
from node.native.answers import COPIED, EXPIRES_SECONDS
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
from proto.native.versions import OWN, agreed
from proto.web_json import values_of

_HEAD: Final = struct.Struct(">4sIIIIIIIHHIII")
"""Versions and flags; session, request, sequence, length; operation, code, flags, serial, recursion, expiration, length
of the body; length of the identifier."""
_NAME_AT: Final = _HEAD.size
_COUNTS: Final = frozenset({8, 12})
"""Octets behind the identifier in the body of who wants all values: two counts, and of some clients a third length."""
_PECULIAR: Final = REQUEST_DIGEST | TRUSTED_QUERY | PUBLIC_ONLY | CACHE_AUTHENTICATION | CERTIFY
_PLAIN: Final = frozenset({0, PUBLIC_ONLY, PUBLIC_ONLY | CACHE_AUTHENTICATION})
"""Of these flags, those of who is told what everybody is: others may be asked for a proof (administration.py)."""
_ZEROS: Final = bytes(16)
_OVERHEAD: Final = HEADER_OCTETS + 4
_FLAGS: Final = 0xE0
PIECES_MOST: Final = 3 * 32
"""Pieces of answers made at a stretch, three each: whoever sends them looks whether they are read."""
_VERSIONS_MOST: Final = 256
"""Pairs of versions remembered; clients of all makes together use some ten."""
_WORDS_FOUND: Final = WORDS[Outcome.FOUND]


class Lane:
    """Answers what is plain and ready. `clock` gives monotonic seconds, `now` those since 1970 UTC."""

    def __init__(self, house: House, clock: Callable[[], float], now: Callable[[], int]) -> None:
        self._holding = house.hot.holding
        self._admit = house.admission.admit
        self._hit = house.meter.road(Where.HOT, Outcome.FOUND)
        self._told = house.meter.counter(NATIVE_REQUESTS, ResponseCode.SUCCESS.name.lower())
        self._note = house.recording.access_log.note
        self._clock = clock
        self._now = now
        self._versions: dict[bytes, bytes] = {}

    def answers(self, octets: bytes, at: int, peer: str, port: int) -> tuple[int, list[bytes]]:
        """Where the requests end that begin `at` and could be answered, of a longer row some, and the answers."""
        said: list[bytes] = []
        while at < len(octets) and len(said) < PIECES_MOST:
            end = self._answer(octets, at, peer, port, said)
            if not end:
                break
            at = end
        return at, said

    def answer(self, octets: bytes, peer: str, port: int) -> bytes:
        """The answer to the request the `octets` begin with; none if the desk shall answer."""
        said: list[bytes] = []
        self._answer(octets, 0, peer, port, said)
        return b"".join(said)

    def _answer(self, octets: bytes, at: int, peer: str, port: int, said: list[bytes]) -> int:
        """Where the request that begins `at` ends, when its answer was appended; else 0."""
        if len(octets) - at < _NAME_AT:
            return 0
        began = self._clock()
        spoken, session, request, _, length, op, code, flags, _, _, _, body, name = _HEAD.unpack_from(octets, at)
        stop: int = at + _NAME_AT + name
        end: int = at + ENVELOPE_OCTETS + length
        if op != OpCode.RESOLUTION or code or flags & _PECULIAR not in _PLAIN or end > len(octets):
            return 0
        counts = body - 4 - name
        if counts not in _COUNTS or end - stop - counts not in {0, 4} or octets[stop:end] != _ZEROS[: end - stop]:
            return 0
        handle = octets[at + _NAME_AT : stop]
        kept = self._holding(handle)
        if kept is None or began >= kept.expires or not (ready := kept.ready or _ready(kept)):
            return 0
        versions = self._versions.get(spoken) or self._agreed(spoken)
        if not versions or self._admit(peer):
            return 0  # the desk says why not
        length, flags = name + len(ready), flags & COPIED | AUTHORITATIVE
        expires = self._now() + EXPIRES_SECONDS
        numbers = (session, request, 0, length + _OVERHEAD, op, ResponseCode.SUCCESS, flags, SERIAL, 0, expires)
        said += (_HEAD.pack(versions, *numbers, length, name), handle, ready)
        self._told()
        self._hit(kept.terms.prefix, self._clock() - began)
        self._note((began, peer, port, 0, handle, _WORDS_FOUND))
        return end

    def _agreed(self, spoken: bytes) -> bytes:
        """The versions of the answer to who says these; none where flags are set."""
        major, minor, suggested_major, suggested_minor = spoken
        if suggested_major & _FLAGS:
            return b""
        if len(self._versions) >= _VERSIONS_MOST:
            self._versions.clear()
        found = bytes((*agreed((major, minor), (suggested_major, suggested_minor)), *OWN))
        self._versions[spoken] = found
        return found


def _ready(kept: Kept) -> bytes:
    """What stands behind the identifier in every answer: the values and no credential; none for what is not plain."""
    if kept.outcome is Outcome.FOUND and kept.terms.prefix and not kept.until and kept.shown != b"[]":
        kept.ready = values.list_octets(values_of(kept.shown)) + bytes(4)
    return kept.ready

"""What is asked: resolutions of identifiers, and as many NAPTR records of DNS; what tells a right answer. Pure.

Whatever the crowd must know of a protocol to send, match and check packets is one table, so that both servers are asked
by the same program: where a packet has its number, where its outcome, and which octets may differ between two answers.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from loadtest.native import framed
from loadtest.population import CHECKED, Population
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.native.bodies import Question, Valued, answer_body
from proto.native.envelope import ENVELOPE_OCTETS, Envelope
from proto.native.message import CACHE_AUTHENTICATION, PUBLIC_ONLY, RECURSIVE, Message

ASKED: Final = 1000
"""Identifiers that are asked for, over and over: what lies in the caches of a worker, and a zone as long."""
ZONE: Final = "resolving.test"
REGEXP_MOST: Final = 250
"""Longest text of a NAPTR record: it is a character-string of DNS (RFC 3403 section 4.1)."""
_NAPTR, _IN, _RIGHT = 35, 1, 0x8400
"""Type and class; an authoritative answer without error."""
_RECORD: Final = 12 + 4 + 2 + len("http+E2U") + 1 + 1 + 1
"""Octets of the answer section beside the text: a pointer and the fixed fields, order and preference, "u", service, the
text's length, and the empty replacement."""
_BESIDE: Final = (2 + 10 + 5) + (2 + 10 + 4)
"""Octets of what NSD adds to each answer: the name server of the zone, and its address."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How packets are matched and judged: two octets at `number` tell the request, those at `outcome` must be `right`.

    From `vague[0]` to `vague[1]` answers are another each time. Over TCP `stream` stands before a packet of that
    length, and one that begins there has its `end`. `wrong` says what is wrong with the answer about a name; empty if
    nothing.
    """

    name: str
    number: int
    outcome: int
    right: int
    vague: tuple[int, int]
    stream: Callable[[int], bytes]
    end: Callable[[bytes, int], int]
    wrong: Callable[[bytes, str], str]


def handle_packets(population: Population) -> dict[str, bytes]:
    """A resolution of each identifier, as a client of Handle.Net asks."""
    packets = {}
    for number, name in enumerate(_names(population), 1):
        flags = RECURSIVE | CACHE_AUTHENTICATION | PUBLIC_ONLY
        message = Message(OpCode.RESOLUTION, flags=flags, body=Question(name).to_octets())
        packets[name] = framed(message, number).to_octets()
    return packets


def dns_packets(population: Population) -> dict[str, bytes]:
    """A question for the NAPTR record of each."""
    return {
        name: struct.pack(">6H", number, 0, 1, 0, 0, 0) + _labels(name) + struct.pack(">2H", _NAPTR, _IN)
        for number, name in enumerate(_names(population), 1)
    }


def zone(population: Population, octets: int) -> str:
    """The zone with these records, whose answers have about so many octets."""
    lines = [f"$ORIGIN {ZONE}.", "$TTL 3600", "@ SOA ns nobody 1 3600 600 86400 60", "@ NS ns", "ns A 127.0.0.1"]
    for name in _names(population):
        text = f"!^.*$!https://node.example/{name}"
        room = min(REGEXP_MOST, octets - 12 - len(_labels(name)) - 4 - _RECORD - _BESIDE)
        lines.append(f'{_domain(name)}. NAPTR 100 10 "u" "http+E2U" "{text.ljust(room - 1, "x")}!" .')
    return "\n".join(lines) + "\n"


def _names(population: Population) -> Sequence[str]:
    chosen = map(population.member, range(min(ASKED, population.size)))
    return [f"{population.prefix(number)}/{population.serial(number)}" for number in chosen]


def _domain(name: str) -> str:
    prefix, _, serial = name.partition("/")
    return f"{serial}.{prefix.replace('.', '-')}.{ZONE}".lower()


def _labels(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label for label in _domain(name).encode().split(b".")) + b"\0"


def _wrong_handle(answer: bytes, name: str) -> str:
    try:
        message = Message.from_octets(answer[ENVELOPE_OCTETS:])
        body, _ = answer_body(message, Envelope.from_octets(answer).version)
    except ProtoError as error:
        return f"{name}: {error.en}"
    serial = name.partition("/")[2].encode()
    if message.code != ResponseCode.SUCCESS or not isinstance(body, Valued) or body.handle != name:
        return f"{name}: code {message.code}"
    shown = [value.data for value in body.values if value.type == CHECKED]
    return "" if shown == [serial] else f"{name}: {CHECKED} {shown}"


def _wrong_dns(answer: bytes, name: str) -> str:
    _, outcome, *counts = struct.unpack_from(">4H", answer)
    asked = answer[12:].startswith(_labels(name))
    return "" if outcome == _RIGHT and counts == [1, 1] and asked and name.encode() in answer else f"{name}: {answer!r}"


def _end_of_handle(octets: bytes, at: int) -> int:
    return at + ENVELOPE_OCTETS + int.from_bytes(octets[at + 16 : at + ENVELOPE_OCTETS])


def _end_of_dns(octets: bytes, at: int) -> int:
    return at + 2 + int.from_bytes(octets[at : at + 2])


HANDLE: Final = Dialect("handle", 10, 26, ResponseCode.SUCCESS, (36, 40), lambda _: b"", _end_of_handle, _wrong_handle)
"""The low halves of request id and response code; the expiration."""
DNS: Final = Dialect("dns", 0, 2, _RIGHT, (0, 0), lambda length: length.to_bytes(2), _end_of_dns, _wrong_dns)
"""RFC 1035 sections 4.1.1 and 4.2.2."""

"""The inputs: well-formed messages of every layout, and what chance makes of them. The same ones for the same seed."""

import random
from collections.abc import Iterator
from typing import Final

from proto.codes import OpCode, ResponseCode
from proto.native import bodies
from proto.native.credential import Credential
from proto.native.digest import RequestDigest
from proto.native.envelope import ENVELOPE_OCTETS, Envelope, Framed
from proto.native.message import REQUEST_DIGEST, Message
from proto.native.packets import split
from proto.value import Reference, Value

OCTETS_MOST: Final = 4096
"""No input is longer: what is wrong with long ones is wrong with these."""
CHANGES_MOST: Final = 6
"""Changes to one message; with more of them hardly any would get beyond its header."""

_NUMBERS: Final = (0, 1, 2, 3, 4, 7, 20, 24, 127, 128, 255, 492, 2048, 2049, 2**16, 2**20, 2**31 - 1, 2**31, 2**32 - 1)
"""Counts and lengths at which readers have gone wrong."""
_HANDLE: Final = "88.999.1001/箱包-1"
_VALUES: Final = (
    Value(1, "URL", b"https://example.com/"),
    Value(300, "HS_SECKEY", bytes(range(64)), 0, 1, 0x0C, True, (Reference(_HANDLE, 3), Reference("", 0))),
)
_KEY: Final = (_HANDLE, 300)
_REQUESTS: Final[dict[int, bodies.Body]] = {
    OpCode.RESOLUTION: bodies.Question(_HANDLE, (1, 2), ("URL", "HS_SITE.")),
    OpCode.GET_SITE_INFO: bodies.Named("/"),
    OpCode.CREATE_HANDLE: bodies.Valued(_HANDLE, _VALUES),
    OpCode.REMOVE_VALUE: bodies.Removal(_HANDLE, (1, 2)),
    OpCode.CHALLENGE_RESPONSE: bodies.Proof("HS_SECKEY", *_KEY, b"\2" + bytes(20)),
    OpCode.VERIFY_CHALLENGE: bodies.Verification(*_KEY, bytes(16), bytes(32), bytes(20)),
    OpCode.DELETE_HANDLE: bodies.Named(_HANDLE),
    OpCode.ADD_VALUE: bodies.Valued(_HANDLE, _VALUES[:1]),
    OpCode.MODIFY_VALUE: bodies.Valued(_HANDLE, _VALUES[1:]),
    OpCode.LIST_HANDLES: bodies.Named("0.NA/88.999.1001"),
    OpCode.LIST_PREFIXES: bodies.Named("0.NA/88"),
    OpCode.HOME_PREFIX: bodies.Named("0.NA/88.7"),
    OpCode.UNHOME_PREFIX: bodies.Named("0.NA/88.7"),
    OpCode.LIST_HOMED_PREFIXES: bodies.Named("/"),
    OpCode.SESSION_SETUP: bodies.SessionSetup(bodies.DIFFIE_HELLMAN, 600, *_KEY, bytes(40)),
    OpCode.SESSION_TERMINATE: bodies.Nothing(),
    OpCode.SESSION_EXCHANGE_KEY: bodies.KeyExchange(bytes(40)),
    OpCode.LOGIN_BY_PASSWORD: bodies.Question(_HANDLE, (300,), ("secret",)),
    OpCode.LOGIN_BY_KEY: bodies.KeyOf(*_KEY),
    1001: bodies.Opaque(bytes(24)),
}
_OTHER_SESSIONS: Final = (
    bodies.SessionSetup(bodies.CLIENT_KEY, 600, *_KEY, bytes(40)),
    bodies.SessionSetup(bodies.SERVER_KEY, 600, "", 0),
    bodies.SessionSetup(bodies.HANDLE_KEY, 600, *_KEY, exchange=Reference(_HANDLE, 302)),
)
_ANSWERS: Final[dict[tuple[int, int], bodies.Body]] = {
    (OpCode.RESOLUTION, ResponseCode.SUCCESS): bodies.Valued(_HANDLE, _VALUES),
    (OpCode.RESOLUTION, ResponseCode.PREFIX_REFERRAL): bodies.Referral("", _VALUES),
    (OpCode.RESOLUTION, ResponseCode.HANDLE_NOT_FOUND): bodies.Failure("no", (1, 2)),
    (OpCode.CREATE_HANDLE, ResponseCode.AUTHENTICATION_NEEDED): bodies.Challenge(bytes(16)),
    (OpCode.RESOLUTION, ResponseCode.SERVICE_REFERRAL): bodies.Referral("0.SERV/88"),
    (OpCode.GET_SITE_INFO, ResponseCode.SUCCESS): bodies.Opaque(bytes(64)),
    (OpCode.CREATE_HANDLE, ResponseCode.SUCCESS): bodies.Named(_HANDLE),
    (OpCode.DELETE_HANDLE, ResponseCode.SUCCESS): bodies.Nothing(),
    (OpCode.LIST_HANDLES, ResponseCode.SUCCESS): bodies.Listed((_HANDLE, "", "x" * 200)),
    (OpCode.VERIFY_CHALLENGE, ResponseCode.SUCCESS): bodies.Verified(True),
    (OpCode.SESSION_SETUP, ResponseCode.SUCCESS): bodies.SessionKey(bodies.DIFFIE_HELLMAN, bytes(40)),
    (OpCode.LOGIN_BY_PASSWORD, ResponseCode.SUCCESS): bodies.KeyOf(*_KEY),
}
_VERSIONS: Final = ((2, 0), (2, 3), (2, 11))


def well_formed() -> list[bytes]:
    """A message of every layout, in every generation of versions where they differ, some of them in packets."""
    made = [Message(op, body=body.to_octets()) for op, body in _REQUESTS.items()]
    made += [Message(OpCode.SESSION_SETUP, body=each.to_octets()) for each in _OTHER_SESSIONS]
    all_values = bodies.Question(_HANDLE).to_octets()
    credential = Credential("HS_MAC", b"\2", bytes(20), index=9).to_octets()
    made += [Message(1, body=all_values, credential=each) for each in (b"", None, credential)]
    framed = [_framed(each, (2, 11)) for each in made]
    for version in _VERSIONS:
        for (op, code), body in _ANSWERS.items():
            octets = bodies.answer_octets(body, RequestDigest.of(b"", version), version)
            framed.append(_framed(Message(op, code, REQUEST_DIGEST, octets, credential), version))
    long = _framed(Message(1, body=bodies.Question("88.999.1001/" + "x" * 1500).to_octets()), (2, 11))
    return [each.to_octets() for each in framed] + split(long)


def _framed(message: Message, version: tuple[int, int]) -> Framed:
    octets = message.to_octets()
    return Framed(Envelope(version, (2, 11), 1, len(octets)), octets)


def inputs(seed: int, count: int) -> Iterator[bytes]:
    """So many of them."""
    chance, good = random.Random(seed), well_formed()
    for _ in range(count):
        yield _broken(chance, good)


def _broken(chance: random.Random, good: list[bytes]) -> bytes:
    octets = bytearray(chance.choice(good))
    for _ in range(chance.randrange(CHANGES_MOST + 1)):
        chance.choice(_CHANGES)(chance, octets, good)
    del octets[OCTETS_MOST:]
    if len(octets) >= ENVELOPE_OCTETS and chance.random() < 0.7:  # or most would go no further than the envelope
        octets[16:20] = (len(octets) - ENVELOPE_OCTETS).to_bytes(4)
    return bytes(octets)


def _flip(chance: random.Random, octets: bytearray, _: list[bytes]) -> None:
    if octets:
        octets[chance.randrange(len(octets))] ^= 1 << chance.randrange(8)


def _count(chance: random.Random, octets: bytearray, _: list[bytes]) -> None:
    at = chance.randrange(len(octets) + 1)
    octets[at : at + 4] = chance.choice(_NUMBERS).to_bytes(4)


def _cut(chance: random.Random, octets: bytearray, _: list[bytes]) -> None:
    del octets[chance.randrange(len(octets) + 1) :]


def _remove(chance: random.Random, octets: bytearray, _: list[bytes]) -> None:
    at = chance.randrange(len(octets) + 1)
    del octets[at : at + chance.randrange(1, 9)]


def _insert(chance: random.Random, octets: bytearray, _: list[bytes]) -> None:
    at = chance.randrange(len(octets) + 1)
    octets[at:at] = chance.randbytes(chance.randrange(1, 17))


def _repeat(chance: random.Random, octets: bytearray, _: list[bytes]) -> None:
    at = chance.randrange(len(octets) + 1)
    octets[at:at] = octets[at : at + chance.randrange(1, 65)] * chance.randrange(1, 9)


def _splice(chance: random.Random, octets: bytearray, good: list[bytes]) -> None:
    other = chance.choice(good)
    octets[chance.randrange(len(octets) + 1) :] = other[chance.randrange(len(other)) :]


_CHANGES: Final = (_flip, _count, _count, _cut, _remove, _insert, _repeat, _splice)

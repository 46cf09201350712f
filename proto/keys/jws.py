"""JSON Web Signatures in their compact form (RFC 7515), as HS_CERT and HS_SIGNATURE hold them.

What the payload claims is read in proto/values/; that somebody signed it says nothing about whether he may.
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any, Final, Self

import msgspec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from proto.errors import ProtoError
from proto.keys import public
from proto.keys.private import PrivateKey
from proto.limits import DATA_OCTETS

ALGORITHMS: Final = {
    "RS256": ("RSA", "SHA256"),
    "ES256": ("EC", "SHA256"),
    "DS256": ("DSA", "SHA256"),
    "DS160": ("DSA", "SHA1"),
    "SM2256": ("SM2", "SM3"),
    "SM2SM3": ("SM2", "SM3"),
}
"""Kind of key and digest of each `alg`; SM2 has a name of either client library of the industrial identifier system."""
MADE: Final = {"RSA": "RS256", "EC": "ES256", "DSA": "DS256", "SM2": "SM2256"}
"""How we sign with each kind of key."""

_COMPACT: Final = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("JWS", f"JWS{zh}", f"JWS {en}")


class _Header(msgspec.Struct):
    alg: str
    crit: Any = None


@dataclass(frozen=True, slots=True)
class Jws:
    """What is signed (`payload`), by which `algorithm`, and the octets the signature covers."""

    algorithm: str
    payload: bytes
    signed: bytes
    signature: bytes

    @classmethod
    def read(cls, octets: bytes) -> Self:
        """The JWS in the data of a value. Raises ProtoError, also for one that must not be read without understanding
        more than we do (`crit`).
        """
        found = _COMPACT.fullmatch(octets.decode("latin-1").strip()) if len(octets) <= DATA_OCTETS else None
        if found is None:
            raise _wrong("应为三段base64url", "must be three parts of base64url")
        parts = [decoded(part) for part in found.groups()]
        try:
            header = msgspec.json.decode(parts[0], type=_Header)
        except (msgspec.MsgspecError, RecursionError):
            raise _wrong("头部应为含alg的JSON", "must have a header of JSON with alg") from None
        if header.crit is not None:
            raise _wrong("含有不支持的crit", "has a crit that is not supported")
        return cls(header.alg, parts[1], f"{found[1]}.{found[2]}".encode(), parts[2])

    @classmethod
    def made(cls, payload: bytes, key: PrivateKey) -> Self:
        """`payload` signed with `key`."""
        algorithm = MADE[public.kind(key.public())]
        signed = b".".join((encoded(b'{"alg":"%b"}' % algorithm.encode()), encoded(payload)))
        signature = key.sign(ALGORITHMS[algorithm][1], signed)
        return cls(algorithm, payload, signed, _plain(signature) if algorithm == "ES256" else signature)

    def to_octets(self) -> bytes:
        """The data of a value."""
        return self.signed + b"." + encoded(self.signature)

    def signed_with(self, key: public.Key) -> bool:
        """Whether the signature is that of `key`: only by an algorithm of its own kind."""
        kind, hash_ = ALGORITHMS.get(self.algorithm, ("", ""))
        if kind != public.kind(key):
            return False
        signature = _der(self.signature) if self.algorithm == "ES256" else self.signature
        return public.verifies(key, hash_, signature, self.signed)


def decoded(text: str) -> bytes:
    """base64url with or without padding. Raises ProtoError."""
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise _wrong("的base64url无效", "holds base64url that is none") from None


def encoded(octets: bytes) -> bytes:
    """base64url without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=")


def _der(signature: bytes) -> bytes:
    """The two numbers of ES256 (RFC 7518 §3.4) as others write them; what is no such pair stays no signature."""
    if len(signature) != 64:
        return b""
    return encode_dss_signature(int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))


def _plain(signature: bytes) -> bytes:
    return b"".join(number.to_bytes(32) for number in decode_dss_signature(signature))

"""SM2 with SM3 (GB/T 32918): keys in X.509 and PKCS #8, signatures in DER. The one room of gmssl_pyx.

That library is an optional extra (`idnode[sm2]`) with wheels for Linux on x86-64; without it no SM2 signature is good.
"""

import re
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.hashes import SM3, Hash

from proto.errors import ProtoError

try:
    import gmssl_pyx
except ImportError:  # an extra: whoever needs no SM2 goes without it
    gmssl_pyx = None

USER_ID: Final = b"1234567812345678"
"""Whom a signature names where nobody is named (GB/T 35276)."""

_P: Final = 2**256 - 2**224 - 2**96 + 2**64 - 1
_B: Final = 0x28E9FA9E9D9F5E344D5A9E4BCF6509A7F39789F515AB8F92DDBCBD414D940E93
_CURVE: Final = bytes.fromhex("301306072a8648ce3d020106082a811ccf5501822d")
"""The algorithm identifier of an elliptic key on the curve of SM2."""
_PUBLIC: Final = b"\x30\x59" + _CURVE + b"\x03\x42\x00\x04"
_PRIVATE: Final = re.compile(
    re.escape(b"\x30\x81\x87\x02\x01\x00" + _CURVE + b"\x04\x6d\x30\x6b\x02\x01\x01\x04\x20")
    + b"(.{32})"
    + re.escape(b"\xa1\x44\x03\x42\x00\x04")
    + b"(.{64})",
    re.DOTALL,
)
"""PKCS #8 as OpenSSL, GmSSL and Bouncy Castle write it: the number, and the point that goes with it."""


class Public(NamedTuple):
    """A public key: its point, two numbers of 32 octets."""

    point: bytes

    def to_der(self) -> bytes:
        """X.509 SubjectPublicKeyInfo."""
        return _PUBLIC + self.point


class Private(NamedTuple):
    """A private key: its number of 32 octets, and the public one."""

    number: bytes
    public: Public

    def __repr__(self) -> str:
        return "Private(…)"


def available() -> bool:
    """Whether signatures can be made and verified here."""
    return gmssl_pyx is not None


def public(der: bytes) -> Public | None:
    """The key in a SubjectPublicKeyInfo; None if it is no key on the curve of SM2 with an uncompressed point."""
    point = der.removeprefix(_PUBLIC)
    if len(point) != 64 or len(der) == len(point):
        return None
    x, y = int.from_bytes(point[:32]), int.from_bytes(point[32:])
    good = max(x, y) < _P and (y * y - x * x * x + 3 * x - _B) % _P == 0
    return Public(point) if good else None


def private(der: bytes) -> Private | None:
    """The key in PKCS #8, unencrypted; None if it is none on the curve of SM2."""
    found = _PRIVATE.fullmatch(der)
    held = public(_PUBLIC + found[2]) if found else None
    return Private(found[1], held) if found and held else None


def sm3(octets: bytes) -> bytes:
    """The digest of 32 octets (GB/T 32905)."""
    digest = Hash(SM3())
    digest.update(octets)
    return digest.finalize()


def verifies(key: Public, signature: bytes, signed: bytes, user: bytes = USER_ID) -> bool:
    """Whether `signature` (DER) was made with `key` over `signed` in the name of `user`."""
    if gmssl_pyx is None:
        return False
    try:
        return bool(gmssl_pyx.sm2_verify(key.point, signed, signature, signer_id=user))
    except gmssl_pyx.GmsslInnerError:  # a signature that is not even DER
        return False


def sign(key: Private, octets: bytes, user: bytes = USER_ID) -> bytes:
    """A signature (DER). Raises ProtoError without the library."""
    if gmssl_pyx is None:
        raise ProtoError("SM2", "未安装SM2支持（idnode[sm2]）", "SM2 is not installed here (idnode[sm2])")
    signature: bytes = gmssl_pyx.sm2_sign(key.number, key.public.point, octets, signer_id=user)
    return signature

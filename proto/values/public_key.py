"""HS_PUBKEY: the public half of a key pair (handle reference §1.3), as octets. What it proves is said in proto/keys/.

Deployed servers write numbers; the industrial identifier system also PEM text, alone or behind the name of its kind.
"""

import base64
from dataclasses import dataclass
from typing import Final, Self

from proto.errors import ProtoError
from proto.octets import Reader, data, string

FIELDS: Final = {
    "RSA_PUB_KEY": ("e", "n"),
    "DSA_PUB_KEY": ("q", "p", "g", "y"),
    "DH_PUB_KEY": ("y", "p", "g"),
}
"""The numbers of each kind of key in the order they stand, by their names in a JSON Web Key (RFC 7517)."""

SM2: Final = "SM2_PUB_KEY"
TEXT_KINDS: Final = frozenset({"", SM2, "SM9_PUB_KEY"})
"""Kinds whose data is text behind the name; the empty one is text alone."""

_RSA_TAIL: Final = bytes(4)
"""What deployed servers append to an RSA key; readers go without it."""
_PEM: Final = b"-----BEGIN "


def _number(number: int) -> bytes:
    return data(number.to_bytes(number.bit_length() // 8 + 1))  # two's complement: a leading bit is a sign


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("HS_PUBKEY", f"HS_PUBKEY{zh}", f"HS_PUBKEY {en}")


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of one of the kinds in FIELDS with its numbers, none of them negative."""

    kind: str
    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.kind not in FIELDS or len(self.numbers) != len(FIELDS[self.kind]) or min(self.numbers) < 0:
            raise _wrong("不是RSA、DSA或DH公钥", "is no RSA, DSA or DH public key")

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of an HS_PUBKEY value; a number must be written as short as it can be, and none be missing."""
        reader = Reader(octets)
        kind = reader.string("HS_PUBKEY")
        reader.take(2, "HS_PUBKEY")
        numbers = (int.from_bytes(reader.data("HS_PUBKEY"), signed=True) for _ in FIELDS.get(kind, ()))
        key = cls(kind, tuple(numbers))
        if octets not in {key.to_octets(), key._standard_octets()}:
            raise _wrong("写法不规范", "is not written as it should be")
        return key

    def to_octets(self) -> bytes:
        """The data of an HS_PUBKEY value, to the octet as deployed servers write it."""
        return self._standard_octets() + (_RSA_TAIL if self.kind == "RSA_PUB_KEY" else b"")

    def _standard_octets(self) -> bytes:
        return string(self.kind) + bytes(2) + b"".join(map(_number, self.numbers))


@dataclass(frozen=True, slots=True)
class TextKey:
    """A key of one of TEXT_KINDS as the PEM text of an X.509 SubjectPublicKeyInfo; what is in it is not looked at."""

    kind: str
    pem: str

    def __post_init__(self) -> None:
        if self.kind not in TEXT_KINDS or not self.pem.encode(errors="replace").startswith(_PEM):
            raise _wrong("不是PEM公钥", "is no public key in PEM")

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of an HS_PUBKEY value that is PEM text, alone or behind the name of its kind."""
        if octets.startswith(_PEM):
            return cls("", _text(octets))
        reader = Reader(octets)
        kind = reader.string("HS_PUBKEY")
        reader.take(2, "HS_PUBKEY")
        key = cls(kind, _text(reader.data("HS_PUBKEY")))
        if reader.rest or not kind:
            raise _wrong("写法不规范", "is not written as it should be")
        return key

    def to_octets(self) -> bytes:
        """The data of an HS_PUBKEY value."""
        pem = self.pem.encode()
        return string(self.kind) + bytes(2) + data(pem) if self.kind else pem


def pem(der: bytes) -> str:
    """An X.509 SubjectPublicKeyInfo as text."""
    text = base64.b64encode(der).decode()
    lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
    return f"-----BEGIN PUBLIC KEY-----\n{lines}\n-----END PUBLIC KEY-----\n"


def _text(octets: bytes) -> str:
    try:
        return octets.decode("ascii")
    except UnicodeDecodeError:
        raise _wrong("的PEM应为ASCII", "holds PEM that is not ASCII") from None


def read(octets: bytes) -> PublicKey | TextKey:
    """The key an HS_PUBKEY value with this data holds, in whichever form. Raises ProtoError."""
    if octets.startswith(_PEM) or Reader(octets).string("HS_PUBKEY") in TEXT_KINDS:
        return TextKey.from_octets(octets)
    return PublicKey.from_octets(octets)

"""HS_PUBKEY: the public half of a key pair (handle reference §1.3), as octets. What it proves is not known here.

RSA and DSA keys are read; the data of others is kept as it is by whoever holds it.
"""

from dataclasses import dataclass
from typing import Final, Self

from proto.errors import ProtoError
from proto.octets import Reader, string

FIELDS: Final = {"RSA_PUB_KEY": ("e", "n"), "DSA_PUB_KEY": ("q", "p", "g", "y")}
"""The numbers of each kind of key in the order they stand, by their names in a JSON Web Key (RFC 7517)."""

_RSA_TAIL: Final = bytes(4)
"""What deployed servers append to an RSA key; readers go without it."""


def _number(number: int) -> bytes:
    octets = number.to_bytes(number.bit_length() // 8 + 1)  # two's complement: a leading bit is a sign
    return len(octets).to_bytes(4) + octets


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of one of the kinds in FIELDS with its numbers, none of them negative."""

    kind: str
    numbers: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.kind not in FIELDS or len(self.numbers) != len(FIELDS[self.kind]) or min(self.numbers) < 0:
            raise ProtoError("HS_PUBKEY", "HS_PUBKEY不是RSA或DSA公钥", "HS_PUBKEY is no RSA or DSA public key")

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of an HS_PUBKEY value; a number must be written as short as it can be, and none be missing."""
        reader = Reader(octets)
        kind = reader.string("HS_PUBKEY")
        reader.take(2, "HS_PUBKEY")
        numbers = []
        for _ in FIELDS.get(kind, ()):
            field = reader.take(reader.unsigned(4, "HS_PUBKEY"), "HS_PUBKEY")
            numbers.append(int.from_bytes(field, signed=True))
        key = cls(kind, tuple(numbers))
        if octets not in {key.to_octets(), key._standard_octets()}:
            raise ProtoError("HS_PUBKEY", "HS_PUBKEY写法不规范", "HS_PUBKEY is not written as it should be")
        return key

    def to_octets(self) -> bytes:
        """The data of an HS_PUBKEY value, to the octet as deployed servers write it."""
        return self._standard_octets() + (_RSA_TAIL if self.kind == "RSA_PUB_KEY" else b"")

    def _standard_octets(self) -> bytes:
        return string(self.kind) + bytes(2) + b"".join(map(_number, self.numbers))

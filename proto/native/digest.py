"""`RequestDigest`: by which an answer, or whoever is to prove something, names a request (RFC 3652 §2.2.3 as deployed).

It is no secret and proves nothing alone.
"""

from hashlib import md5, sha1, sha256
from typing import Final, NamedTuple, Self

from proto.errors import ProtoError
from proto.native import versions
from proto.native.versions import Version
from proto.octets import Reader, data

UNTOLD: Final = 0
"""The algorithm of a digest that does not say by which it was made: MD5 in versions before 2.1."""
MD5: Final = 1
SHA1: Final = 2
SHA256: Final = 3

_SIZES: Final = {MD5: 16, SHA1: 20, SHA256: 32}


class RequestDigest(NamedTuple):
    """By which algorithm it was made, and the digest."""

    algorithm: int
    octets: bytes

    @classmethod
    def of(cls, covered: bytes, version: Version) -> Self:
        """That of header and body of a request, as an answer of `version` carries it."""
        if version >= versions.SHA256:
            return cls(SHA256, sha256(covered).digest())
        if version >= versions.SELF_DESCRIBING:
            return cls(SHA1, sha1(covered, usedforsecurity=False).digest())
        return cls(UNTOLD, md5(covered, usedforsecurity=False).digest())

    @classmethod
    def read(cls, reader: Reader) -> Self:
        """Takes one off the front: the number of its algorithm before it, or its length where that is not told."""
        algorithm = reader.unsigned(1, "digest")
        if algorithm == UNTOLD:  # the first octet of a length
            return cls(UNTOLD, reader.take(reader.unsigned(3, "digest"), "digest"))
        if algorithm not in _SIZES:
            raise ProtoError("digest", "摘要算法不认识", "digest is made by an unknown algorithm")
        return cls(algorithm, reader.take(_SIZES[algorithm], "digest"))

    def to_octets(self) -> bytes:
        """The digest as it is sent."""
        return data(self.octets) if self.algorithm == UNTOLD else bytes((self.algorithm,)) + self.octets

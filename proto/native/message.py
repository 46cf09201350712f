"""`Message`: header, body and credential, as they follow an envelope (RFC 3652 §2.2 as deployed).

What a body says is known in bodies.py, what a credential proves elsewhere; here both are octets.
"""

import struct
from dataclasses import dataclass
from typing import Final, Self

from proto.errors import ProtoError
from proto.native.envelope import HEADER_OCTETS
from proto.octets import data

AUTHORITATIVE: Final = 0x80000000
"""The answer is a primary site's; of a request: only such a site may answer."""
CERTIFY: Final = 0x40000000
"""The answer shall be signed by its server."""
ENCRYPT: Final = 0x20000000
"""The answer shall be encrypted in the session."""
RECURSIVE: Final = 0x10000000
"""The server may ask others on behalf of who asks it."""
CACHE_AUTHENTICATION: Final = 0x08000000
"""A cache shall prove what it answers from."""
CONTINUOUS: Final = 0x04000000
"""Another message of the same request follows."""
KEEP_CONNECTION: Final = 0x02000000
PUBLIC_ONLY: Final = 0x01000000
"""Only what everybody may read is asked for."""
REQUEST_DIGEST: Final = 0x00800000
"""The answer shall carry the digest of its request (digest.py)."""
OVERWRITE: Final = 0x00400000
"""What is created may replace what is there."""
MINT: Final = 0x00200000
"""The server shall make up the rest of the suffix."""
DO_NOT_REFER: Final = 0x00100000
"""What stands here is asked for, not who else answers."""
TRUSTED_QUERY: Final = 0x00000002
TRUSTED_RESULT: Final = 0x00000001
"""Of the industrial identifier system's own clients: whether values shall be, and were, found signed."""

SERIAL_ANY: Final = 0xFFFF
"""The serial number of the site in requests of who does not know it."""

_HEADER: Final = struct.Struct(">IIIHBBII")


@dataclass(frozen=True, slots=True)
class Message:
    """A request (`code` 0) or an answer. `expiration` is seconds since 1970 UTC, `flags` a sum of the above.

    `credential` is empty where its length says so, and None where even that is missing, as some clients leave it.
    """

    op: int
    code: int = 0
    flags: int = 0
    body: bytes = b""
    credential: bytes | None = b""
    serial: int = SERIAL_ANY
    expiration: int = 0
    recursion: int = 0
    reserved: int = 0

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads what follows an envelope; what stands behind the credential, or behind the body but is too short for
        one, is passed over. Raises ProtoError when a length says more than there is.
        """
        if len(octets) < HEADER_OCTETS:
            raise ProtoError("header", "消息头不完整", "the header is cut short")
        op, code, flags, serial, recursion, reserved, expiration, length = _HEADER.unpack_from(octets)
        end = HEADER_OCTETS + length
        if end > len(octets):
            raise ProtoError("bodyLength", "bodyLength超出消息", "bodyLength says more than the message holds")
        credential = _credential(octets, end)
        return cls(op, code, flags, octets[HEADER_OCTETS:end], credential, serial, expiration, recursion, reserved)

    def to_octets(self) -> bytes:
        """What follows the envelope."""
        return self.covered + (b"" if self.credential is None else data(self.credential))

    @property
    def covered(self) -> bytes:
        """Header and body to the octet as they came: what digests and signatures are made of."""
        said = self.op, self.code, self.flags, self.serial, self.recursion, self.reserved, self.expiration
        return _HEADER.pack(*said, len(self.body)) + self.body

    def has(self, flag: int) -> bool:
        """Whether this flag is set."""
        return bool(self.flags & flag)


def _credential(octets: bytes, at: int) -> bytes | None:
    if len(octets) - at < 4:
        return None
    end = at + 4 + int.from_bytes(octets[at : at + 4])
    if end > len(octets):
        raise ProtoError("credential", "凭证不完整", "the credential is cut short")
    return octets[at + 4 : end]

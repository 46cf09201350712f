"""`Envelope`: the 20 octets before a message, and before every packet of it (RFC 3652 §2.1 as deployed).

How long a message may be is decided by whoever reads it (stream.py, packets.py).
"""

import struct
from typing import Final, NamedTuple, Self

from proto.errors import ProtoError
from proto.native.versions import Version

ENVELOPE_OCTETS: Final = 20
HEADER_OCTETS: Final = 24
"""What the header of a message takes (message.py): no message is shorter."""

_LAYOUT: Final = struct.Struct(">BBBBIIII")
_COMPRESSED: Final = 0x80
_ENCRYPTED: Final = 0x40
_TRUNCATED: Final = 0x20
_SUGGESTED: Final = 0x1F
"""The bits of the flags in which deployed peers put the major number of the version they suggest."""


class Envelope(NamedTuple):
    """Which request or answer this is, and how much of it there is.

    `length` counts the octets of the whole message without envelopes, in every packet of it; `sequence` counts its
    packets from 0, each of which is `truncated`. `encrypted`: only those who are in `session` can read the message.
    `compressed` was never used.
    """

    version: Version
    suggested: Version
    request: int
    length: int
    session: int = 0
    sequence: int = 0
    truncated: bool = False
    encrypted: bool = False
    compressed: bool = False

    @classmethod
    def from_octets(cls, octets: bytes | bytearray, at: int = 0) -> Self:
        """Reads the envelope that begins `at`. Raises ProtoError when it is cut short."""
        if len(octets) - at < ENVELOPE_OCTETS:
            raise ProtoError("envelope", "信封不完整", "the envelope is cut short")
        major, minor, flags, suggested, session, request, sequence, length = _LAYOUT.unpack_from(octets, at)
        return cls(
            (major, minor),
            (flags & _SUGGESTED, suggested),
            request,
            length,
            session,
            sequence,
            bool(flags & _TRUNCATED),
            bool(flags & _ENCRYPTED),
            bool(flags & _COMPRESSED),
        )

    def to_octets(self) -> bytes:
        """The 20 octets."""
        flags = _COMPRESSED * self.compressed | _ENCRYPTED * self.encrypted | _TRUNCATED * self.truncated
        major, minor = self.suggested
        return _LAYOUT.pack(*self.version, flags | major, minor, self.session, self.request, self.sequence, self.length)


class Framed(NamedTuple):
    """A whole message, as long as its envelope says."""

    envelope: Envelope
    message: bytes

    def to_octets(self) -> bytes:
        """Both, in one piece: some clients read the envelope in one read and nothing behind it later."""
        return self.envelope.to_octets() + self.message


def bounded(envelope: Envelope, most: int) -> Envelope:
    """`envelope`, unless its message would be longer than `most` or too short for a header. Raises ProtoError."""
    if not HEADER_OCTETS <= envelope.length <= most:
        raise ProtoError(
            "messageLength",
            f"消息长度应在{HEADER_OCTETS}到{most}字节之间",
            f"messageLength must be from {HEADER_OCTETS} to {most}",
        )
    return envelope

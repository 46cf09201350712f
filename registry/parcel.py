"""A parcel: a prefix on its way to another node, as lines of JSON, signed as a whole. Pure.

First who it is, then its templates, every change of its stream, every version of every identifier, what was blanked;
last the signature over the sha256 of all lines before. What must hold between them is checked where they are unpacked.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from proto import signed
from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST, Kind, entry_digest, next_head
from proto.errors import ProtoError

FORMAT: Final = 1
LINE_OCTETS: Final = 8 * 1024 * 1024
"""Longest line: a change of 1000 identifiers of 255 characters, or a record of a megabyte in base64, several times."""


class ParcelError(Exception):
    """A file that is no parcel, or not as it was sent; one sentence, Chinese and English."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(f"{zh}。 {en}.")


class Way(NamedTuple):
    """From which node to which a prefix goes, and when it was let go (milliseconds since 1970 UTC)."""

    node: str
    to: str
    made: int


class Head(msgspec.Struct, tag_field="line", tag="parcel"):
    """Whose prefix it is, its way (`Way`), and where its stream stands."""

    format: int
    prefix: str
    node: str
    to: str
    made: int
    enterprise: str
    enterprise_en: str
    industry: str
    number: int
    head: bytes


class TemplateLine(msgspec.Struct, tag_field="line", tag="template"):
    """A template under its version name; `row` is what the database keeps of it, but for numbers of its own, and
    `lineage` the version name of the first one left of its line.
    """

    version: str
    lineage: str
    row: dict[str, Any]


class ChangeLine(msgspec.Struct, tag_field="line", tag="change"):
    """A change of the stream; entries of (suffix, version, kind, template, digest). `made` as ISO 8601."""

    number: int
    made: str
    head: bytes
    entries: list[tuple[str, int, int, str, bytes]]


class VersionLine(msgspec.Struct, tag_field="line", tag="version"):
    """One version of an identifier, as it is kept; a `body` of None is a deletion."""

    suffix: str
    version: int
    newest: bool
    template: str
    updated: int
    body: bytes | None


class BlankedLine(msgspec.Struct, tag_field="line", tag="blanked"):
    """A value that was blanked (registry/blanker.py). `made` as ISO 8601."""

    suffix: str
    version: int
    index: int
    type: str
    made: str
    reason: str


class Seal(msgspec.Struct, tag_field="line", tag="seal"):
    """Who signed it: an Ed25519 key, 32 octets, and the signature over the sha256 of all lines before; and over what
    the national top-level node is shown (`release`).
    """

    key: bytes
    signature: bytes
    release: bytes


Line = Head | TemplateLine | ChangeLine | VersionLine | BlankedLine
_decoder: Final[msgspec.json.Decoder[Line | Seal]] = msgspec.json.Decoder(Line | Seal)
_encode: Final = msgspec.json.encode


class Sealed(NamedTuple):
    """A parcel whose signature holds: its first line, and who signed it."""

    head: Head
    key: bytes


def release(head: Head, signature: bytes = b"") -> pb.Release:
    """What lets the prefix go, as the national top-level node is shown it."""
    return pb.Release(node=head.node, number=head.number, head=head.head, made=head.made, signature=signature)


def seal(digest: bytes, head: Head, private: bytes) -> bytes:
    """The last line of a parcel whose other lines have this sha256, and begin with `head`."""
    key = Ed25519PrivateKey.from_private_bytes(private)
    let_go = signed.let_go(head.prefix, head.to, release(head), private)
    return _encode(Seal(key.public_key().public_bytes_raw(), key.sign(digest), let_go)) + b"\n"


def unreadable() -> ParcelError:
    """What is said of a line that nothing can be made of."""
    return ParcelError("文件中有读不懂的行", "the file has a line that cannot be understood")


def read(octets: bytes) -> Line | Seal:
    """One line. Raises ParcelError."""
    try:
        if len(octets) <= LINE_OCTETS:
            return _decoder.decode(octets)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        pass
    raise unreadable()


def sealed(lines: Iterable[bytes]) -> Sealed:
    """Reads a parcel to its end. Raises ParcelError unless it is whole and as it was signed."""
    digest, head, before = sha256(), None, b""
    for octets in lines:
        if before:
            digest.update(before)
        elif isinstance(first := read(octets), Head) and first.format == FORMAT:
            head = first
        else:
            raise ParcelError("文件不是迁出的前缀", "the file is no prefix that moved out")
        before = octets
    last = read(before) if before else None
    if head is None or not isinstance(last, Seal):
        raise ParcelError("文件不完整", "the file is not whole")
    try:
        Ed25519PublicKey.from_public_bytes(last.key).verify(last.signature, digest.digest())
        signed.lets_go(head.prefix, head.to, release(head, last.release), last.key)
    except (InvalidSignature, ValueError, ProtoError):
        raise ParcelError("文件的签名无效", "the signature of the file is not valid") from None
    return Sealed(head, last.key)


class Chain:
    """The stream of a parcel's prefix, computed anew from its changes."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self.number = 0
        self.head = HEAD_FIRST

    def add(self, change: ChangeLine) -> None:
        """Takes in the next change. Raises ParcelError unless it is that, and its head follows from the one before."""
        self.number += 1
        self.head = next_head(self.head, map(self._entry, change.entries))
        if (change.number, change.head) != (self.number, self.head):
            raise ParcelError(
                f"变更链在第{self.number}号断开", f"the chain of changes is broken at number {self.number}"
            )

    def _entry(self, entry: Sequence[Any]) -> bytes:
        suffix, version, kind, template, digest = entry
        key = f"{self._prefix}/{suffix}" if kind < Kind.PREFIX_ENABLED else self._prefix
        return entry_digest(key, version, kind, template, digest)

    def end(self, head: Head) -> None:
        """Raises ParcelError unless it has come to where the first line says the stream stands."""
        if (self.number, self.head) != (head.number, head.head):
            raise ParcelError("变更链不完整", "the chain of changes is not whole")

"""HS_VLIST: a group of administrators, which may nest (RFC 3651 §3.2.6)."""

from proto.errors import ProtoError
from proto.octets import Reader, string
from proto.value import Reference


def from_octets(octets: bytes) -> tuple[Reference, ...]:
    """Reads the data of an HS_VLIST value; every entry takes at least 8 octets, which bounds the count."""
    reader = Reader(octets)
    count = reader.unsigned(4, "HS_VLIST")
    if count > reader.rest // 8:
        raise ProtoError("HS_VLIST", "HS_VLIST不完整", "HS_VLIST is cut short")
    entries = []
    for _ in range(count):
        handle = reader.string("HS_VLIST")
        entries.append(Reference(handle, reader.unsigned(4, "HS_VLIST")))
    return tuple(entries)


def to_octets(entries: tuple[Reference, ...]) -> bytes:
    """The data of an HS_VLIST value."""
    return len(entries).to_bytes(4) + b"".join(string(e.handle) + e.index.to_bytes(4) for e in entries)

"""HS_ADMIN: who may administer a record, and what they may do (RFC 3651 §3.2.1)."""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final, Self

from proto.octets import Reader, string


class Permission(IntFlag):
    """What an administrator may do. Those about handles and prefixes count in the HS_ADMIN of a prefix, `0.NA/…`."""

    ADD_HANDLE = 0x0001
    DELETE_HANDLE = 0x0002
    ADD_DERIVED_PREFIX = 0x0004
    DELETE_DERIVED_PREFIX = 0x0008
    MODIFY_VALUE = 0x0010
    REMOVE_VALUE = 0x0020
    ADD_VALUE = 0x0040
    MODIFY_ADMIN = 0x0080
    REMOVE_ADMIN = 0x0100
    ADD_ADMIN = 0x0200
    READ_VALUE = 0x0400
    LIST_HANDLES = 0x0800


ADMIN_ALL: Final = 0x0FFF
"""Every permission there is; old writers leave bits above them set, which mean nothing."""


@dataclass(frozen=True, slots=True)
class Admin:
    """Twelve permission bits (ADMIN_ALL = all) for whoever holds the key `index:handle`; index 0 = any key of it."""

    permissions: int
    handle: str
    index: int
    legacy_octets: int = 0

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of an HS_ADMIN value; what old writers append is counted, not kept."""
        reader = Reader(octets)
        permissions = reader.unsigned(2, "HS_ADMIN")
        handle = reader.string("HS_ADMIN")
        return cls(permissions, handle, reader.unsigned(4, "HS_ADMIN"), reader.rest)

    def to_octets(self) -> bytes:
        """The data of an HS_ADMIN value."""
        return self.permissions.to_bytes(2) + string(self.handle) + self.index.to_bytes(4)

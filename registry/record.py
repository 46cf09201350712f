"""`Record`: what an identifier stands for at one version, and the compact form it is kept in. Pure.

The compact form is read and written here only; every face renders from `Record.values`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from proto.limits import TTL_DEFAULT
from proto.value import PERMISSIONS_DEFAULT, Reference, Value

_TYPE: Final = 0x01
_TTL: Final = 0x02
_TIMESTAMP: Final = 0x04
_PERMISSIONS: Final = 0x08
_ABSOLUTE: Final = 0x10
_REFERENCES: Final = 0x20


@dataclass(frozen=True, slots=True)
class Record:
    """One version of an identifier. Versions count from 1 and only grow; a deletion is a version too.

    `template` is the number of its template (0 = none), `updated` seconds since 1970 UTC.
    """

    version: int
    live: bool
    template: int
    updated: int
    values: tuple[Value, ...]


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


_SMALL: Final = tuple(_varint(n) for n in range(512))
"""Nearly every index step and length is small: look it up."""


def _number(number: int) -> bytes:
    return _SMALL[number] if number < 512 else _varint(number)


def _sized(octets: bytes) -> bytes:
    return _number(len(octets)) + octets


def _flags(value: Value, names: Mapping[int, str], updated: int) -> int:
    return (
        (_TYPE if names.get(value.index) != value.type else 0)
        | (_TTL if value.ttl != TTL_DEFAULT else 0)
        | (_TIMESTAMP if value.timestamp != updated else 0)
        | (_PERMISSIONS if value.permissions != PERMISSIONS_DEFAULT else 0)
        | (_ABSOLUTE if value.ttl_absolute else 0)
        | (_REFERENCES if value.references else 0)
    )


def _extension(value: Value, flags: int) -> bytes:
    octets = bytes((flags,))
    if flags & _TYPE:
        octets += _sized(value.type.encode())
    if flags & _TTL:
        octets += _number(value.ttl)
    if flags & _TIMESTAMP:
        octets += _number(value.timestamp)
    if flags & _PERMISSIONS:
        octets += bytes((value.permissions,))
    if flags & _REFERENCES:
        octets += _number(len(value.references))
        octets += b"".join(_sized(r.handle.encode()) + _number(r.index) for r in value.references)
    return octets


def pack(values: tuple[Value, ...], names: Mapping[int, str], updated: int) -> bytes:
    """`values` (indexes ascending and distinct) in the compact form.

    What the template says (`names`: index to type) and what is usual (ttl, permissions, a timestamp equal to
    `updated`) is left out. Each value is: step of index times two, plus one if an extension follows; extension;
    length; data.
    """
    parts = []
    before = 0
    for value in values:
        flags = _flags(value, names, updated)
        step = (value.index - before) << 1
        before = value.index
        parts.append(_number(step | 1) + _extension(value, flags) if flags else _number(step))
        parts.append(_sized(value.data))
    return b"".join(parts)


class _Unpacker:
    def __init__(self, body: bytes) -> None:
        self.body = body
        self.at = 0

    def number(self) -> int:
        octet = self.body[self.at]
        self.at += 1
        if octet < 0x80:
            return octet
        number, shift = octet & 0x7F, 7
        while octet & 0x80:
            octet = self.body[self.at]
            self.at += 1
            number |= (octet & 0x7F) << shift
            shift += 7
        return number

    def sized(self) -> bytes:
        length = self.number()
        self.at += length
        return self.body[self.at - length : self.at]

    def octet(self) -> int:
        self.at += 1
        return self.body[self.at - 1]


def unpack(body: bytes, names: Mapping[int, str], updated: int) -> tuple[Value, ...]:
    """The values kept in `body`; the inverse of `pack` given the same `names` and `updated`."""
    reader = _Unpacker(body)
    values = []
    index = 0
    while reader.at < len(body):
        step = reader.number()
        index += step >> 1
        flags = reader.octet() if step & 1 else 0
        type_ = reader.sized().decode() if flags & _TYPE else names[index]
        ttl = reader.number() if flags & _TTL else TTL_DEFAULT
        timestamp = reader.number() if flags & _TIMESTAMP else updated
        permissions = reader.octet() if flags & _PERMISSIONS else PERMISSIONS_DEFAULT
        references: tuple[Reference, ...] = ()
        if flags & _REFERENCES:
            count = reader.number()
            references = tuple(Reference(reader.sized().decode(), reader.number()) for _ in range(count))
        values.append(
            Value(index, type_, reader.sized(), ttl, timestamp, permissions, bool(flags & _ABSOLUTE), references)
        )
    return tuple(values)

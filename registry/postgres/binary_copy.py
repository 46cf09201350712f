"""Rows as a binary COPY takes them (PostgreSQL, COPY, "Binary Format"), whose arrays have thousands of elements.

asyncpg looks at every element of an array several times over, and takes twice as long.
"""

from collections.abc import Iterable, Sequence
from struct import pack
from typing import Final

START: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
"""What stands before all rows: neither flags nor an extension."""
END: Final = pack(">h", -1)
"""What stands behind them."""
_TEXT, _BIGINT, _SMALLINT = 25, 20, 21
"""The types of elements, by their numbers in pg_type, which never change."""


def row(fields: Iterable[bytes]) -> bytes:
    """A row of these fields, none of them NULL."""
    given = list(fields)
    return pack(">h", len(given)) + b"".join([len(field).to_bytes(4) + field for field in given])


def integer(number: int) -> bytes:
    """A field of type integer."""
    return pack(">i", number)


def bigint(number: int) -> bytes:
    """A field of type bigint."""
    return pack(">q", number)


def texts(elements: Sequence[str]) -> bytes:
    """A field of type text[]."""
    return _array(_TEXT, len(elements), [len(octets).to_bytes(4) + octets for octets in map(str.encode, elements)])


def bigints(elements: Sequence[int]) -> bytes:
    """A field of type bigint[]."""
    each = {number: pack(">iq", 8, number) for number in set(elements)}
    return _array(_BIGINT, len(elements), map(each.__getitem__, elements))


def smallints(elements: Sequence[int]) -> bytes:
    """A field of type smallint[]."""
    each = {number: pack(">ih", 2, number) for number in set(elements)}
    return _array(_SMALLINT, len(elements), map(each.__getitem__, elements))


def _array(type_: int, length: int, elements: Iterable[bytes]) -> bytes:
    """One dimension of measured elements, none NULL, the first at 1."""
    if not length:
        return pack(">iiI", 0, 0, type_)
    return pack(">iiIii", 1, 0, type_, length, 1) + b"".join(elements)

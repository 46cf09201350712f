"""The access log: who asked for or registered which identifier; how its entries become sealed blocks. Pure.

On the roads an entry is FIELDS values in one flat list, so that noting it costs little: a moment of the monotonic
clock, source address and port, account number (0: none), identifier (text or octets), operation and outcome in one.
Entries noted together are FIELDS values as well: a tuple of identifiers, and of what else differs between them.
"""

import hmac
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, Final, NamedTuple

import msgspec

from registry.account import Vault

FIELDS: Final = 6
_IDENTIFIER: Final = 4
"""Which of them it is."""
MAGIC: Final = b"idnode access log 1\n"
"""What a file begins with."""
BLOCK_OCTETS_MOST: Final = 16 * 1024 * 1024
"""No block is longer: one of node/access_log.py has some hundreds of kilobytes."""
_LEVEL: Final = 1
"""Of zlib: the quickest; the columns shrink to a quarter all the same."""
_HEAD: Final = struct.Struct(">IQQ")
"""Before each block: its octets, and the first and last moment in it (milliseconds since 1970 UTC)."""


Source = tuple[str, int]
"""Address and port of who asks; port 0: not known, as behind a proxy."""
NOWHERE: Final[Source] = ("", 0)
"""It was asked by the node itself."""
Note = Callable[[Sequence[float | str | bytes | tuple[int | str | bytes, ...]]], None]
"""Notes an entry, or some together."""


def unnoted(_: object) -> None:
    """A Note where no access log is kept."""


class Access(NamedTuple):
    """One entry. `at` is in milliseconds since 1970 UTC."""

    at: int
    source: str
    port: int
    account: int
    identifier: str
    operation: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Block:
    """A sealed block as a file holds it, and between which moments its entries lie."""

    octets: bytes
    first: int
    last: int


class Sealer:
    """Seals and opens the blocks of files under a key made of the node's (32 octets)."""

    def __init__(self, key: bytes) -> None:
        self._vault = Vault(hmac.digest(key, b"idnode access log", "sha256"))

    def seal(self, file: str, ordinal: int, noted: Sequence[Any], epoch: float) -> Block:
        """What the flat list has, at least one entry, as block `ordinal` of a file; `epoch` is when the monotonic clock
        was 0, in seconds since 1970 UTC.
        """
        times = [int((moment + epoch) * 1000) for moment in noted[0::FIELDS]]
        first, last = min(times), max(times)
        columns = [time - first for time in times], *(noted[n::FIELDS] for n in range(1, FIELDS))
        plain = zlib.compress(msgspec.msgpack.encode([first, *columns]), _LEVEL)
        closed = self._vault.close(_name(file, ordinal, first, last), plain)
        return Block(_HEAD.pack(len(closed), first, last) + closed, first, last)

    def open(self, file: str, ordinal: int, block: Block) -> Iterator[Access]:
        """The entries of a block. Raises ValueError when it is not what was written there with this key."""
        plain = self._vault.open(_name(file, ordinal, block.first, block.last), block.octets)
        if not plain:
            raise ValueError("not written there, or with another key")
        first, *columns = msgspec.msgpack.decode(zlib.decompress(plain))
        notes = zip(*columns, strict=True)
        for time, source, port, account, identifier, words in chain.from_iterable(map(_entries, notes)):
            text = identifier.decode() if isinstance(identifier, bytes) else identifier
            operation, _, outcome = words.partition(" ")
            yield Access(first + time, source, port, account, text, operation, outcome)


def sizes(noted: Sequence[Any], since: int = 0) -> list[int]:
    """How many entries each note of the flat list stands for, from there on."""
    return [len(each) if type(each) is tuple else 1 for each in noted[since + _IDENTIFIER :: FIELDS]]


def _entries(note: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """The entries a note stands for, its values as they come out of a block."""
    if type(note[_IDENTIFIER]) is not list:
        return iter([tuple(note)])
    count = len(note[_IDENTIFIER])
    return zip(*(each if type(each) is list else repeat(each, count) for each in note), strict=True)


def _name(file: str, ordinal: int, first: int, last: int) -> str:
    """What a block is bound to: it stands at this place of this file and nowhere else."""
    return f"{file} {ordinal} {first} {last}"


HEAD_OCTETS: Final = _HEAD.size


def head(octets: bytes) -> tuple[int, int, int]:
    """Length of the block behind HEAD_OCTETS, first and last moment. Raises ValueError when none can be there."""
    if len(octets) < HEAD_OCTETS:
        raise ValueError("cut off")
    length, first, last = _HEAD.unpack(octets)
    if not 12 < length <= BLOCK_OCTETS_MOST:
        raise ValueError("not a block")
    return length, first, last

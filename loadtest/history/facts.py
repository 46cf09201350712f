"""What the database and the node say when all is quiet again: the other half of what the judge is given.

Frozen values only; how they are fetched is said in gather.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Version(NamedTuple):
    """One version of an identifier, from its history; `kind` is a proto.chain.Kind. Tokens 0 = not there."""

    number: int
    kind: int
    token: int = 0
    again: int = 0
    note: int = 0


class Row(NamedTuple):
    """What the tables hold of one identifier: how many versions, the last of them, whether that one is live,
    and the digests of the bodies of all of them, 32 octets each, in order.
    """

    versions: int
    last: int
    live: bool
    digests: bytes


class Entry(NamedTuple):
    """One entry of a change; `suffix` is empty for what happened to the prefix itself."""

    suffix: str
    version: int
    kind: int
    template: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Change:
    """One row of a stream, its entries in order."""

    number: int
    head: bytes
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Stream:
    """The stream of one prefix: where it says it stands, and its changes by number."""

    prefix: str
    number: int
    head: bytes
    changes: Sequence[Change]


@dataclass(frozen=True, slots=True)
class Facts:
    """`names` tells prefix and suffix of an item, `histories` its versions in ascending order; `rows` holds
    whatever identifier is in the tables.
    """

    names: Mapping[int, tuple[str, str]]
    histories: Mapping[int, Sequence[Version]]
    streams: Sequence[Stream]
    rows: Mapping[tuple[str, str], Row]

"""The chain of a prefix's stream: what proves to whoever receives it that no change is missing.

Every change row holds entries; `next_head` links them to all that came before. Pure: only digests.
"""

from collections.abc import Callable, Iterable
from enum import IntEnum
from functools import lru_cache
from hashlib import sha256
from typing import Final

from proto.octets import string

HEAD_FIRST: Final = bytes(32)
"""The head of a stream in which nothing has happened."""


class Kind(IntEnum):
    """What happened. Numbers are stored and sent: never reuse one."""

    CREATED = 1
    UPDATED = 2
    DELETED = 3
    REVIVED = 4
    PREFIX_ENABLED = 10
    PREFIX_STOPPED = 11


def entry_digest(identifier_key: str, version: int, kind: int, template: str, values_digest: bytes) -> bytes:
    """The digest of one entry.

    `identifier_key` is the key spelling (the bare prefix for what happens to a prefix itself), `template` the version
    name under that prefix (empty: none), `values_digest` 32 octets. Fields are of fixed size or preceded by their
    length: no two entries share octets.
    """
    return entry_digester(version, kind, template)(identifier_key, values_digest)


def entry_digests(
    keys: Iterable[str], versions: Iterable[int], kinds: Iterable[int], templates: Iterable[str], digests: bytes
) -> list[bytes]:
    """The same of many entries, given column by column, `digests` 32 octets an entry."""
    values = [digests[at : at + 32] for at in range(0, len(digests), 32)]
    return [
        sha256(len(key).to_bytes(4) + key + middle + digest).digest()
        for key, middle, digest in zip(
            map(str.encode, keys), map(_alike, versions, kinds, templates), values, strict=True
        )
    ]


@lru_cache(maxsize=256)
def _alike(version: int, kind: int, template: str) -> bytes:
    """The middle of what is digested: of the entries of a batch nearly always the same."""
    return version.to_bytes(8) + kind.to_bytes(2) + string(template)


def entry_digester(version: int, kind: int, template: str) -> Callable[[str, bytes], bytes]:
    """`entry_digest` of entries that have these in common."""
    common = _alike(version, kind, template)

    def digest(identifier_key: str, values_digest: bytes) -> bytes:
        return sha256(string(identifier_key) + common + values_digest).digest()

    return digest


def next_head(head: bytes, entries: Iterable[bytes]) -> bytes:
    """The head after a change whose entry digests are `entries`, in order: sha256(head ‖ sha256(entries))."""
    return sha256(head + sha256(b"".join(entries)).digest()).digest()

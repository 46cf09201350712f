"""Change rows as the database tells them, made of nothing: whole chains under prefixes 88.999.1, 88.999.2 and so on."""

from hashlib import sha256
from typing import Any

from proto.chain import HEAD_FIRST, entry_digest, next_head

NAMES = {n: f"88.999.{n}" for n in range(1, 2000)}


def row(
    prefix_no: int, number: int, head: bytes, entries: int = 1, template: int = 0, name: str = "S"
) -> dict[str, Any]:
    """A change row that follows `head`, as the database tells it."""
    suffixes = [f"{name}{number}-{n}" for n in range(entries)]
    digests = [sha256(suffix.encode()).digest() for suffix in suffixes]
    made = [
        entry_digest(f"{NAMES[prefix_no]}/{suffix}", 1, 1, "bag" if template else "", digest)
        for suffix, digest in zip(suffixes, digests, strict=True)
    ]
    return {
        "prefix_no": prefix_no,
        "number": number,
        "made": 1_795_330_554_000 + number,
        "head": next_head(head, made),
        "suffixes": suffixes,
        "versions": [1] * entries,
        "kinds": [1] * entries,
        "templates": [template] * entries,
        "digests": b"".join(digests),
    }


def stream(prefix_no: int, changes: int, entries: int = 1) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for number in range(1, changes + 1):
        rows.append(row(prefix_no, number, rows[-1]["head"] if rows else HEAD_FIRST, entries))
    return rows

"""Parcels by literals: what is sealed is read, and whatever is missing, changed or strange is told in a sentence."""

from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.chain import HEAD_FIRST, entry_digest, next_head
from proto.signed import lets_go, public_key
from registry.parcel import (
    LINE_OCTETS,
    Chain,
    ChangeLine,
    Head,
    ParcelError,
    Seal,
    VersionLine,
    read,
    release,
    seal,
    sealed,
)

KEY = bytes(range(32))
HEAD = Head(1, "88.999.1001", "88.999", "88.777", 1_700_000_000_000, "天马皮具", "Tianma", "leather", 0, HEAD_FIRST)
LINES = [msgspec.json.encode(HEAD) + b"\n", msgspec.json.encode(VersionLine("A", 1, True, "", 7, b"\xff")) + b"\n"]
WHOLE = [*LINES, seal(sha256(b"".join(LINES)).digest(), HEAD, KEY)]


def test_what_was_sealed_is_read_with_who_signed_it() -> None:
    assert sealed(WHOLE) == (HEAD, public_key(KEY))
    assert read(LINES[1]) == VersionLine("A", 1, True, "", 7, b"\xff")
    last = read(WHOLE[-1])
    assert isinstance(last, Seal)
    lets_go("88.999.1001", "88.777", release(HEAD, last.release), public_key(KEY))


def test_a_release_for_another_node_is_no_seal() -> None:
    other = read(seal(sha256(b"".join(LINES)).digest(), msgspec.structs.replace(HEAD, to="88.555"), KEY))
    with pytest.raises(ParcelError, match="签名"):
        sealed([*LINES, msgspec.json.encode(other) + b"\n"])


@given(st.integers(0, len(b"".join(WHOLE)) - 2), st.integers(1, 255))
def test_no_octet_can_be_changed(at: int, by: int) -> None:
    octets = bytearray(b"".join(WHOLE))
    octets[at] ^= by
    with pytest.raises(ParcelError):
        sealed(bytes(octets).splitlines(keepends=True))


@pytest.mark.parametrize(
    "lines", [[], WHOLE[:1], WHOLE[:2], WHOLE[1:], [*WHOLE[:2], WHOLE[1], WHOLE[2]], [WHOLE[0], WHOLE[2]], [b"{}\n"]]
)
def test_what_is_not_whole_is_refused(lines: list[bytes]) -> None:
    with pytest.raises(ParcelError):
        sealed(lines)


@pytest.mark.parametrize("octets", [b"", b"[" * 100_000, b"\xff", b'{"line":"other"}', b" " * (LINE_OCTETS + 1)])
def test_a_line_that_is_none_is_refused(octets: bytes) -> None:
    with pytest.raises(ParcelError):
        read(octets)


def test_a_chain_is_computed_anew() -> None:
    opened = entry_digest("88.999.1001", 5, 10, "", bytes(32))
    made = entry_digest("88.999.1001/A", 1, 1, "bag", bytes(32))
    first = next_head(HEAD_FIRST, [opened])
    second = next_head(first, [made])
    chain = Chain("88.999.1001")
    chain.add(ChangeLine(1, "", first, [("", 5, 10, "", bytes(32))]))
    with pytest.raises(ParcelError):
        chain.end(msgspec.structs.replace(HEAD, number=2, head=second))
    chain.add(ChangeLine(2, "", second, [("A", 1, 1, "bag", bytes(32))]))
    chain.end(msgspec.structs.replace(HEAD, number=2, head=second))
    with pytest.raises(ParcelError):
        chain.add(ChangeLine(4, "", next_head(second, []), []))

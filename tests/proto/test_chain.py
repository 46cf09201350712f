"""Proves proto/chain.py: digests written out by hand, and that no two streams share a head."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.chain import HEAD_FIRST, Kind, entry_digest, entry_digests, next_head

EMPTY = sha256(b"").digest()
ENTRIES = st.tuples(
    st.text(max_size=20),
    st.integers(0, 2**63),
    st.integers(0, 2**16 - 1),
    st.text(max_size=20),
    st.binary(min_size=32, max_size=32),
)


def test_kinds_are_stored_and_sent_so_their_numbers_never_change():
    assert {kind.name: int(kind) for kind in Kind} == {
        "CREATED": 1,
        "UPDATED": 2,
        "DELETED": 3,
        "REVIVED": 4,
        "PREFIX_ENABLED": 10,
        "PREFIX_STOPPED": 11,
    }


def test_an_entry_by_hand():
    octets = bytes.fromhex(
        "0000000e 38382e3939392e312f4241472d31"  # 88.999.1/BAG-1
        "0000000000000002"  # version
        "0002"  # updated
        "00000003 626167"  # template bag
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    )
    assert entry_digest("88.999.1/BAG-1", 2, Kind.UPDATED, "bag", EMPTY) == sha256(octets).digest()


def test_a_head_by_hand():
    one, two = sha256(b"one").digest(), sha256(b"two").digest()
    assert HEAD_FIRST == b"\0" * 32
    first = next_head(HEAD_FIRST, [one, two])
    assert first == sha256(b"\0" * 32 + sha256(one + two).digest()).digest()
    assert next_head(first, [two]) == sha256(first + sha256(two).digest()).digest()


@pytest.mark.parametrize(
    ("head", "wanted"),
    [
        (
            next_head(HEAD_FIRST, [entry_digest("88.999.1", 3, Kind.PREFIX_ENABLED, "", EMPTY)]),
            "14d9e8e1552ae2df01b6f8d122f247ea530879faf14551ef13dcfeeb4d9e2283",
        ),
        (next_head(HEAD_FIRST, []), "1c9ecec90e28d2461650418635878a5c91e49f47586ecf75f2b0cbb94e897112"),
    ],
)
def test_heads_do_not_change_from_one_version_of_this_program_to_the_next(head: bytes, wanted: str):
    assert head.hex() == wanted


@given(ENTRIES, ENTRIES)
def test_two_entries_share_a_digest_only_if_they_are_the_same(one, two):
    assert (entry_digest(*one) == entry_digest(*two)) == (one == two)


@given(st.lists(ENTRIES, max_size=5))
def test_digests_of_many_are_those_of_each(entries):
    keys, versions, kinds, templates, digests = zip(*entries, strict=True) if entries else ((),) * 5
    slow = [entry_digest(*entry) for entry in entries]
    assert entry_digests(keys, versions, kinds, templates, b"".join(digests)) == slow


@given(st.lists(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=3), min_size=1, max_size=5))
def test_a_missing_or_changed_change_shows_in_every_later_head(changes: list[list[bytes]]):
    def head(them: list[list[bytes]]) -> bytes:
        at = HEAD_FIRST
        for change in them:
            at = next_head(at, change)
        return at

    whole = head(changes)
    assert head(changes[1:]) != whole
    assert head(changes[:-1]) != whole
    assert head([*changes, changes[-1]]) != whole
    assert head([[bytes(32), *changes[0]], *changes[1:]]) != whole
    assert head(list(changes)) == whole

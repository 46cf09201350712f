"""Proves registry/access_log.py: what is noted comes out of its block as it was, and out of no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.access_log import (
    BLOCK_OCTETS_MOST,
    FIELDS,
    HEAD_OCTETS,
    Access,
    Block,
    Sealer,
    head,
    sizes,
    unnoted,
)

SEALER = Sealer(bytes(range(32)))
EPOCH = 1_795_000_000.0
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
ENTRY = st.tuples(
    st.floats(0, 1e8),
    TEXT,
    st.integers(0, 65_535),
    st.integers(0, 2**31 - 1),
    TEXT | TEXT.map(str.encode),
    st.sampled_from(["resolve found", "create written", "revive unchanged"]),
)


def flat(*entries: tuple[object, ...]) -> list[object]:
    assert all(len(entry) == FIELDS for entry in entries)
    return [value for entry in entries for value in entry]


ONE = flat((5.0, "192.0.2.1", 40_000, 0, b"88.999.1001/BAG-1", "resolve found"))


def inside(block: Block) -> Block:
    """A block without the head before it, as it is read."""
    length, first, last = head(block.octets[:HEAD_OCTETS])
    assert length == len(block.octets) - HEAD_OCTETS
    assert (first, last) == (block.first, block.last)
    return Block(block.octets[HEAD_OCTETS:], first, last)


def test_an_entry_is_told_with_everything_that_was_noted():
    (access,) = SEALER.open("f", 3, inside(SEALER.seal("f", 3, ONE, EPOCH)))
    assert access == Access(1_795_000_005_000, "192.0.2.1", 40_000, 0, "88.999.1001/BAG-1", "resolve", "found")


@given(st.lists(ENTRY, min_size=1, max_size=20))
def test_what_is_noted_comes_out_as_it_was(entries: list[tuple[float, str, int, int, str | bytes, str]]):
    block = SEALER.seal("f", 0, flat(*entries), EPOCH)
    found = list(SEALER.open("f", 0, inside(block)))
    assert [(each.source, each.port, each.account) for each in found] == [entry[1:4] for entry in entries]
    texts = [text.decode() if isinstance(text, bytes) else text for *_, text, _ in entries]
    assert [each.identifier for each in found] == texts
    assert [f"{each.operation} {each.outcome}" for each in found] == [entry[5] for entry in entries]
    assert [each.at for each in found] == [int((entry[0] + EPOCH) * 1000) for entry in entries]
    assert (block.first, block.last) == (min(each.at for each in found), max(each.at for each in found))


def each(value: object, count: int) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,) * count


@st.composite
def together(draw: st.DrawFn) -> tuple[object, ...]:
    """Entries noted together: each has its identifier; of the rest, what may differ is the same or of each its own."""
    count = draw(st.integers(1, 4))
    own = [st.lists(of, min_size=count, max_size=count).map(tuple) for of in (TEXT, st.integers(0, 9), TEXT)]
    one = draw(ENTRY)
    return one[0], draw(own[0] | st.just(one[1])), draw(own[1] | st.just(one[2])), one[3], draw(own[2]), one[5]


@given(st.lists(ENTRY | together(), min_size=1, max_size=9))
def test_what_is_noted_together_is_what_is_noted_one_by_one(notes: list[tuple[object, ...]]):
    counts = [len(note[4]) if isinstance(note[4], tuple) else 1 for note in notes]
    assert sizes(flat(*notes)) == counts
    assert sizes(flat(*notes), FIELDS) == counts[1:]
    alone = [
        entry
        for note, count in zip(notes, counts, strict=True)
        for entry in zip(*(each(value, count) for value in note), strict=True)
    ]
    told, right = (SEALER.seal("f", 0, flat(*some), EPOCH) for some in (notes, alone))
    assert list(SEALER.open("f", 0, inside(told))) == list(SEALER.open("f", 0, inside(right)))


@pytest.mark.parametrize(
    ("file", "ordinal", "first", "key"),
    [("g", 0, 0, 0), ("f", 1, 0, 0), ("f", 0, 1, 0), ("f", 0, 0, 1)],
    ids=["another file", "another place", "another time", "another key"],
)
def test_a_block_stands_at_its_place_alone(file: str, ordinal: int, first: int, key: int):
    block = inside(SEALER.seal("f", 0, ONE, EPOCH))
    assert list(SEALER.open("f", 0, block))
    other = Sealer(bytes(range(key, key + 32)))
    with pytest.raises(ValueError, match="not written there"):
        list(other.open(file, ordinal, Block(block.octets, block.first + first, block.last)))


@given(st.integers(0), st.integers(0, 255))
def test_a_block_that_was_changed_or_cut_is_none(at: int, octet: int):
    block = inside(SEALER.seal("f", 0, ONE, EPOCH))
    at %= len(block.octets)
    changed = block.octets[:at] + bytes((octet,)) + block.octets[at + 1 :]
    for octets in {block.octets[:at], changed} - {block.octets}:
        with pytest.raises(ValueError):  # noqa: PT011 - of ours, or of the cipher's
            list(SEALER.open("f", 0, Block(octets, block.first, block.last)))


def test_nothing_of_an_entry_stands_there_in_the_clear():
    octets = SEALER.seal("f", 0, ONE * 50, EPOCH).octets
    assert b"BAG-1" not in octets
    assert b"192.0.2" not in octets


@pytest.mark.parametrize("octets", [b"", bytes(HEAD_OCTETS - 1), bytes(HEAD_OCTETS), b"\xff" * HEAD_OCTETS])
def test_what_is_no_head_of_a_block(octets: bytes):
    with pytest.raises(ValueError, match=r"cut off|not a block"):
        head(octets)
    assert head(BLOCK_OCTETS_MOST.to_bytes(4) + bytes(16)) == (BLOCK_OCTETS_MOST, 0, 0)


def test_where_no_log_is_kept_nothing_comes_of_it():
    assert unnoted((0.0, "", 0, 0, "", "")) is None

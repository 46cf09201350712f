"""Proves proto/values/value_list.py against octets written out by hand (handle reference §1.3), both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.value import Reference
from proto.values.value_list import from_octets, to_octets

ENTRIES = st.lists(st.builds(Reference, st.text(max_size=60), st.integers(0, 2**32 - 1)), max_size=8).map(tuple)
TWO = bytes.fromhex("00000002 00000006 38382e312f61 0000012c 00000008 38382e312fe6a087 00000000")


def test_literal_octets():
    entries = (Reference("88.1/a", 300), Reference("88.1/标", 0))
    assert to_octets(entries) == TWO
    assert from_octets(TWO) == entries
    assert from_octets(bytes(4)) == ()


@given(ENTRIES)
def test_octets_come_back(entries: tuple[Reference, ...]):
    assert from_octets(to_octets(entries)) == entries


@given(ENTRIES.filter(bool), st.data())
def test_what_is_cut_short_is_refused(entries: tuple[Reference, ...], data: st.DataObject):
    octets = to_octets(entries)
    with pytest.raises(ProtoError) as refused:
        from_octets(octets[: data.draw(st.integers(0, len(octets) - 1))])
    assert refused.value.field == "HS_VLIST"


@pytest.mark.parametrize("count", [2, 3, 2**31, 2**32 - 1])
def test_a_count_that_cannot_be_true_is_refused_before_anything_is_read(count: int):
    with pytest.raises(ProtoError, match="HS_VLIST is cut short"):
        from_octets(count.to_bytes(4) + bytes(8))


def _read(octets: bytes) -> tuple[Reference, ...] | ProtoError:
    try:
        return from_octets(octets)
    except ProtoError as error:
        return error


@given(st.binary(max_size=200))
def test_whatever_octets_it_is_a_list_or_a_sentence(octets: bytes):
    read = _read(octets)
    if isinstance(read, ProtoError):
        assert (read.field, bool(read.zh)) == ("HS_VLIST", True)
    else:
        assert octets.startswith(to_octets(read))

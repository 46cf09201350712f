"""Proves proto/native/envelope.py: the 20 octets by hand, and every envelope comes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.native.envelope import ENVELOPE_OCTETS, Envelope, Framed, bounded

U8, U32 = st.integers(0, 255), st.integers(0, 2**32 - 1)
ENVELOPES = st.builds(
    Envelope,
    st.tuples(U8, U8),
    st.tuples(st.integers(0, 31), U8),
    U32,
    U32,
    U32,
    U32,
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
OCTETS = bytes.fromhex("0203 620b 0000002a 00000007 00000002 0000ffff")
MEANT = Envelope((2, 3), (2, 11), 7, 0xFFFF, 42, 2, truncated=True, encrypted=True)


def test_the_octets_by_hand():
    assert Envelope.from_octets(OCTETS) == MEANT
    assert Envelope.from_octets(b"before" + OCTETS + b"behind", 6) == MEANT
    assert MEANT.to_octets() == OCTETS
    assert Envelope((2, 1), (0, 0), 1, 24, compressed=True).to_octets()[2:4] == b"\x80\x00"
    assert Framed(MEANT, b"message").to_octets() == OCTETS + b"message"


@given(ENVELOPES)
def test_every_envelope_comes_back(envelope: Envelope):
    assert Envelope.from_octets(envelope.to_octets()) == envelope


@given(st.binary(min_size=ENVELOPE_OCTETS, max_size=ENVELOPE_OCTETS))
def test_all_octets_mean_something(octets: bytes):
    assert Envelope.from_octets(octets).to_octets() == octets


@pytest.mark.parametrize("count", [0, 1, 19])
def test_a_part_of_one_is_none(count: int):
    with pytest.raises(ProtoError, match="the envelope is cut short"):
        Envelope.from_octets(OCTETS[:count])
    with pytest.raises(ProtoError, match="the envelope is cut short"):
        Envelope.from_octets(OCTETS, 20 - count)


@pytest.mark.parametrize(("length", "fits"), [(0, False), (23, False), (24, True), (1000, True), (1001, False)])
def test_a_message_has_a_header_and_no_more_than_it_may(length: int, fits: bool):
    envelope = MEANT._replace(length=length)
    if fits:
        assert bounded(envelope, 1000) is envelope
        return
    with pytest.raises(ProtoError, match="messageLength must be from 24 to 1000") as refused:
        bounded(envelope, 1000)
    assert refused.value.field == "messageLength"

"""Proves proto/native/credential.py: the section by hand, round trips, and what a signature covers in each version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.native.credential import Credential, signed_octets
from proto.native.envelope import Envelope
from tests.proto.native.seen import OCTETS, TEXTS, U32

U8 = st.integers(0, 255)
CREDENTIALS = st.builds(
    Credential, TEXTS, OCTETS, OCTETS, TEXTS, U32, version=U8, reserved=U8, options=st.integers(0, 0xFFFF)
)


def test_the_section_by_hand():
    octets = bytes.fromhex("00 00 0000 00000000 00000009 00000006 48535f4d4143 0000000d 00000001 02 00000004 6d616321")
    credential = Credential("HS_MAC", b"\2", b"mac!", index=9)
    assert Credential.from_octets(octets) == credential
    assert Credential.from_octets(octets + b"behind") == credential
    assert credential.to_octets() == octets


@given(CREDENTIALS)
def test_every_credential_comes_back(credential: Credential):
    assert Credential.from_octets(credential.to_octets()) == credential


@given(CREDENTIALS, st.data())
def test_a_part_of_one_is_refused(credential: Credential, data: st.DataObject):
    octets = credential.to_octets()
    with pytest.raises(ProtoError) as refused:
        Credential.from_octets(octets[: data.draw(st.integers(0, len(octets) - 1))])
    assert refused.value.field == "credential"


@pytest.mark.parametrize(
    ("version", "before"),
    [
        ((2, 0), ""),
        ((2, 4), ""),
        ((2, 7), "0207 00000005 00000007 00000009"),
        ((2, 8), "0208 020b 00000005 00000007 00000009"),
        ((2, 11), "020b 020b 00000005 00000007 00000009"),
    ],
)
def test_a_signature_covers_more_in_newer_versions(version, before: str):
    envelope = Envelope(version, (2, 11), 7, 24, session=5)
    assert signed_octets(envelope, b"header and body", 9) == bytes.fromhex(before) + b"header and body"

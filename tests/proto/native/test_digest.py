"""Proves proto/native/digest.py: the digests of three generations of versions, by hand, and all come back."""

import pytest
from hypothesis import given

from proto.errors import ProtoError
from proto.native.digest import MD5, SHA1, SHA256, UNTOLD, RequestDigest
from proto.octets import Reader
from tests.proto.native.seen import DIGESTS


@pytest.mark.parametrize(
    ("version", "octets"),
    [
        ((2, 0), "00000010 900150983cd24fb0d6963f7d28e17f72"),
        ((2, 1), "02 a9993e364706816aba3e25717850c26c9cd0d89d"),
        ((2, 6), "02 a9993e364706816aba3e25717850c26c9cd0d89d"),
        ((2, 7), "03 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ((2, 11), "03 ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ],
)
def test_a_version_has_its_digest(version, octets: str):
    """Those of "abc" (RFC 1321 A.5, FIPS 180-4)."""
    digest = RequestDigest.of(b"abc", version)
    assert digest.to_octets() == bytes.fromhex(octets)
    assert RequestDigest.read(Reader(digest.to_octets())) == digest


@given(DIGESTS)
def test_every_digest_comes_back(digest: RequestDigest):
    reader = Reader(digest.to_octets() + b"behind")
    assert RequestDigest.read(reader) == digest
    assert reader.rest == len(b"behind")
    assert digest.algorithm in {UNTOLD, MD5, SHA1, SHA256}


@pytest.mark.parametrize("octets", [b"", b"\0\0\0", b"\0\0\0\5abcd", b"\1" + bytes(15), b"\3" + bytes(31), b"\4" * 99])
def test_what_is_none_is_refused(octets: bytes):
    with pytest.raises(ProtoError) as refused:
        RequestDigest.read(Reader(octets))
    assert refused.value.field == "digest"

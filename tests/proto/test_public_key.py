"""Proves proto/values/public_key.py against octets written out by hand (handle reference §1.3), both ways."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.values.public_key import FIELDS, PublicKey, TextKey, pem, read

RSA = bytes.fromhex("0000000b 5253415f5055425f4b4559 0000 00000003 010001 00000002 00c1 00000000")
DSA = bytes.fromhex("0000000b 4453415f5055425f4b4559 0000 00000001 07 00000001 0b 00000002 0080 00000001 00")
DH = bytes.fromhex("0000000a 44485f5055425f4b4559 0000 00000001 04 00000001 07 00000001 02")
PEM = "-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----\n"
SM2 = bytes.fromhex("0000000b 534d325f5055425f4b4559 0000 00000039") + PEM.encode()
KEYS = st.sampled_from(sorted(FIELDS)).flatmap(
    lambda kind: st.builds(
        PublicKey, st.just(kind), st.tuples(*[st.integers(0, 2**4096) | st.integers(0, 300)] * len(FIELDS[kind]))
    )
)


def test_literal_octets():
    rsa, dsa = PublicKey("RSA_PUB_KEY", (65537, 0xC1)), PublicKey("DSA_PUB_KEY", (7, 11, 128, 0))
    assert rsa.to_octets() == RSA
    assert dsa.to_octets() == DSA
    assert PublicKey.from_octets(RSA) == rsa
    assert PublicKey.from_octets(RSA[:-4]) == rsa, "the standard knows no tail"
    assert PublicKey.from_octets(DSA) == dsa
    assert PublicKey.from_octets(DH) == PublicKey("DH_PUB_KEY", (4, 7, 2))
    assert PublicKey("DH_PUB_KEY", (4, 7, 2)).to_octets() == DH


def test_keys_as_text():
    assert pem(bytes(3)).splitlines()[1:2] == ["AAAA"]
    assert max(map(len, pem(bytes(300)).splitlines())) == 64
    for octets, key in ((PEM.encode(), TextKey("", PEM)), (SM2, TextKey("SM2_PUB_KEY", PEM))):
        assert read(octets) == key
        assert key.to_octets() == octets
    assert read(SM2.replace(b"SM2", b"SM9")) == TextKey("SM9_PUB_KEY", PEM)
    assert read(RSA) == PublicKey("RSA_PUB_KEY", (65537, 0xC1))


@pytest.mark.parametrize(
    "octets",
    [
        SM2 + b"\0",
        SM2[:-1],
        SM2.replace(b"SM2", b"SM4"),
        SM2.replace(b"BEGIN", b"BEGUN"),
        PEM.encode() + "标".encode(),
        bytes(6) + SM2[17:],
        b"",
    ],
)
def test_other_text_is_refused(octets: bytes):
    with pytest.raises(ProtoError) as refused:
        read(octets)
    assert refused.value.field == "HS_PUBKEY"


@given(KEYS)
def test_octets_come_back(key: PublicKey):
    assert PublicKey.from_octets(key.to_octets()) == key


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        RSA[:-5],
        RSA + b"\0",
        DSA + bytes(4),
        RSA.replace(b"RSA", b"DH_"),
        DH + bytes(4),
        RSA.replace(b"RSA_PUB", b"SM2_PUB"),
        RSA.replace(b"\x00\xc1", b"\xff\xc1"),
        RSA.replace(b"\x00\x00\x00\x03\x01", b"\xff\xff\xff\xff\x01"),
        RSA.replace(bytes.fromhex("00000002 00c1"), bytes.fromhex("00000003 0000c1")),
        RSA.replace(b"KEY\0\0", b"KEY\0\1"),
    ],
)
def test_other_octets_are_refused(octets: bytes):
    with pytest.raises(ProtoError) as refused:
        PublicKey.from_octets(octets)
    assert refused.value.field == "HS_PUBKEY"


@pytest.mark.parametrize(
    "given_", [("RSA_PUB_KEY", (1,)), ("RSA_PUB_KEY", (1, -1)), ("SM2_PUB_KEY", (1, 2)), ("DSA_PUB_KEY", ())]
)
def test_a_key_that_is_none_is_not_born(given_: tuple[str, tuple[int, ...]]):
    with pytest.raises(ProtoError):
        PublicKey(*given_)


def _read(octets: bytes) -> PublicKey | ProtoError:
    try:
        return PublicKey.from_octets(octets)
    except ProtoError as error:
        return error


@given(st.binary(max_size=120) | st.binary(max_size=60).map(lambda tail: RSA[:17] + tail))
def test_whatever_octets_it_is_a_key_or_a_sentence(octets: bytes):
    read = _read(octets)
    if isinstance(read, ProtoError):
        assert (read.field, bool(read.zh)) == ("HS_PUBKEY", True)
    else:
        assert read.to_octets().startswith(octets)

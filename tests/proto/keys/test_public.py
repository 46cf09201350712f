"""Proves proto/keys/public.py by keys OpenSSL made (vectors/keys.jsonl); what they verify is in test_proof.py."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.keys import public
from proto.keys.public import KEY_OCTETS, fingerprint, kind, load, of_certificate, of_pem, to_octets, verifies
from proto.values.public_key import PublicKey
from tests.proto.keys.made import key, vectors

PAIRS = [row for row in vectors("keys") if "pem" in row.values[0]]
KINDS = {"rsa": "RSA", "dsa": "DSA", "ec": "EC", "sm2": "SM2"}


@pytest.mark.parametrize("row", PAIRS)
def test_a_key_is_the_same_however_it_is_written(row: dict[str, Any]):
    held = load(bytes.fromhex(row["data"]))
    assert kind(held) == KINDS[row["name"]]
    assert to_octets(held) == bytes.fromhex(row["data"])
    assert fingerprint(held).hex() == row["fingerprint"]
    for other in (of_pem(row["publicPem"].encode()), load(row["publicPem"].encode())):
        assert fingerprint(other).hex() == row["fingerprint"]


def _rsa(e: int, n: int) -> bytes:
    return PublicKey("RSA_PUB_KEY", (e, n)).to_octets()


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"not a key",
        _rsa(65537, (1 << 1023) - 1),
        _rsa(65537, (1 << 8193) - 1),
        _rsa(2, (1 << 1024) - 1),
        _rsa((1 << 1024) - 1, (1 << 1024) - 1),
        _rsa(0, 0),
        PublicKey("DSA_PUB_KEY", (1, 2, 3, 4)).to_octets(),
        PublicKey("DH_PUB_KEY", (4, 7, 2)).to_octets(),
        b"\0\0\0\x0bSM9_PUB_KEY\0\0" + len(key("sm2")["publicPem"]).to_bytes(4) + b"-----BEGIN X-----",
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\nA\n-----END PUBLIC KEY-----\n",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN " + bytes(KEY_OCTETS),
        key("sm2")["publicPem"].replace("=", "A").encode(),
    ],
)
def test_what_is_no_usable_key_is_a_sentence(octets: bytes):
    with pytest.raises(ProtoError) as refused:
        load(octets)
    assert refused.value.field == "HS_PUBKEY"


def test_files_have_a_bound():
    for read in (of_pem, of_certificate):
        with pytest.raises(ProtoError, match="at most"):
            read(bytes(KEY_OCTETS + 1))


def test_certificates():
    row = key("rsa")
    pem = row["certificate"]
    der = base64.b64decode("".join(pem.splitlines()[1:-1]))
    for octets in (pem.encode(), der):
        held, holder = of_certificate(octets)
        assert (fingerprint(held).hex(), holder) == (row["fingerprint"], row["holder"])
    unheard_of = der.replace(bytes.fromhex("a003020102"), bytes.fromhex("a00302012a"), 1)
    assert unheard_of != der, "it says another version"
    named = der.rfind(bytes.fromhex("0603550403")) + 5  # the name of the subject
    no_text = der[:named] + b"\x03" + der[named + 1 :]
    for octets in (b"", pem.encode()[:-40], der[:-1], row["publicPem"].encode(), unheard_of, no_text):
        with pytest.raises(ProtoError):
            of_certificate(octets)


def test_a_point_off_the_curve_is_no_key():
    der = bytearray(load(bytes.fromhex(key("sm2")["data"])).to_der())
    der[-1] ^= 1
    with pytest.raises(ProtoError):
        public.of_der(bytes(der))


@given(st.binary(max_size=120), st.sampled_from(["MD5", "SHA1", "SHA256", "SM3", ""]))
def test_no_octets_are_a_signature(signature: bytes, hash_: str):
    for name in KINDS:
        assert not verifies(load(bytes.fromhex(key(name)["data"])), hash_, signature, b"signed")

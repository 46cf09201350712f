"""Proves proto/keys/private.py by files of OpenSSL and of Handle.Net's form (vectors/keys.jsonl)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.keys import public
from proto.keys.private import FILE_OCTETS, PrivateKey
from tests.proto.keys.made import key, lacks, private, vectors


def _file(row: dict[str, Any]) -> tuple[bytes, bytes | None]:
    passphrase = row["passphrase"].encode() if "passphrase" in row else None
    return (bytes.fromhex(row["file"]) if "file" in row else row["pem"].encode()), passphrase


@pytest.mark.parametrize("row", vectors("keys"))
def test_the_key_in_a_file_is_the_one_of_the_value(row: dict[str, Any]):
    read = PrivateKey.read(*_file(row))
    assert public.to_octets(read.public()) == bytes.fromhex(row["data"]) or row["name"] == "ec"
    assert public.fingerprint(read.public()) == public.fingerprint(public.load(bytes.fromhex(row["data"])))
    assert repr(read) == "PrivateKey()"


@pytest.mark.parametrize(("name", "hash_"), [("rsa", "SHA256"), ("dsa", "SHA1"), ("ec", "SHA256"), ("sm2", "SM3")])
def test_what_it_signs_its_public_half_verifies(name: str, hash_: str, need):
    need(not lacks({"needs": name.upper()}), "gmssl-pyx")
    held = private(name)
    signature = held.sign(hash_, b"octets")
    assert public.verifies(held.public(), hash_, signature, b"octets")
    assert not public.verifies(held.public(), hash_, signature, b"others")
    with pytest.raises(ProtoError, match="does not sign with"):
        held.sign("SHA256" if hash_ == "SM3" else "SM3", b"octets")


ENCRYPTED = bytes.fromhex(key("rsa file, encrypted")["file"])
PLAIN = bytes.fromhex(key("rsa file")["file"])


@pytest.mark.parametrize(
    ("octets", "passphrase", "said"),
    [
        (ENCRYPTED, None, "needs a passphrase"),
        (ENCRYPTED, b"another", "passphrase is another|holds no|UTF-8|cut short"),
        (ENCRYPTED[:-1], key("rsa file, encrypted")["passphrase"].encode(), "cut short"),
        (ENCRYPTED[:24] + b"\xff" + ENCRYPTED[25:], b"", "parameters out of bounds"),
        (b"\0\0\0\3" + ENCRYPTED[4:], b"", "not supported"),
        (PLAIN.replace(b"RSA_PRIVCRT_KEY", b"DSA_PRIVCRT_KEY"), None, "holds no RSA_PRIVCRT_KEY"),
        (PLAIN[:-40], None, "cut short"),
        (PLAIN[:170] + bytes((PLAIN[170] ^ 1,)) + PLAIN[171:], None, "make no key"),
        (b"", None, "cut short"),
        (bytes(FILE_OCTETS + 1), None, "at most"),
        (b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----", None, "cannot be read"),
        (key("rsa")["pem"].encode(), b"word", "needs none"),
        (key("rsa")["publicPem"].encode(), None, "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(octets: bytes, passphrase: bytes | None, said: str):
    with pytest.raises(ProtoError, match=said) as refused:
        PrivateKey.read(octets, passphrase)
    assert refused.value.field == "private key"


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: PLAIN[:23] + tail))
def test_whatever_the_file_it_is_a_sentence(octets: bytes):
    with pytest.raises(ProtoError):
        PrivateKey.read(octets)

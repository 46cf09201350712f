"""Proves proto/keys/jws.py by what OpenSSL signed (vectors/jws.jsonl), and both ways."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.keys.jws import MADE, Jws
from proto.keys.public import load
from proto.limits import DATA_OCTETS
from tests.proto.keys.made import lacks, private, told, vectors

B64 = base64.urlsafe_b64encode


@pytest.mark.parametrize("row", vectors("jws"))
def test_whether_the_key_signed_it(row: dict[str, Any], need):
    need(not lacks(row), "gmssl-pyx")
    jws = Jws.read(row["jws"].encode())
    assert jws.payload.decode() == row["payload"]
    assert jws.to_octets().decode() == row["jws"]
    assert jws.signed_with(load(bytes.fromhex(row["data"]))) is row["good"]


@pytest.mark.parametrize("name", ["rsa", "dsa", "ec", "sm2"])
def test_what_we_sign_comes_back(name: str, need):
    need(not lacks({"needs": name.upper()}), "gmssl-pyx")
    signer = private(name)
    made = Jws.made(b'{"a":1}', signer)
    assert made.algorithm in MADE.values()
    assert Jws.read(made.to_octets()) == made
    assert made.signed_with(signer.public())
    others = [private(other).public() for other in ("rsa", "dsa", "ec", "sm2") if other != name]
    assert not any(made.signed_with(other) for other in others)


HEADER = B64(b'{"alg":"RS256"}').decode().rstrip("=")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "three parts"),
        ("a.b", "three parts"),
        (f"{HEADER}..AA", "three parts"),
        (f"{HEADER}.AA.AA.AA", "three parts"),
        (f"{HEADER}.A+.AA", "three parts"),
        (f"{HEADER}.A.AA", "base64url that is none"),
        ("e30.AA.AA", "header of JSON with alg"),
        ("W10.AA.AA", "header of JSON with alg"),
        ("AA.AA.AA", "header of JSON with alg"),
        (B64(b"[" * 30_000).decode().rstrip("=") + ".AA.AA", "header of JSON with alg"),
        (B64(b'{"alg":"RS256","crit":["b64"]}').decode().rstrip("=") + ".AA.AA", "crit"),
        ("A" * (DATA_OCTETS + 1), "three parts"),
    ],
)
def test_what_is_no_jws_is_a_sentence(text: str, said: str):
    with pytest.raises(ProtoError, match=said) as refused:
        Jws.read(text.encode())
    assert refused.value.field == "JWS"


@given(st.binary(max_size=80))
def test_whatever_octets_it_is_a_jws_or_a_sentence(octets: bytes):
    read = told(lambda: Jws.read(octets))
    assert isinstance(read, Jws) or read.field == "JWS"

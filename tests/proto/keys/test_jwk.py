"""Proves proto/keys/jwk.py both ways; the numbers of RSA and DSA are web_json.py's."""

import pytest

from proto.errors import ProtoError
from proto.keys import jwk
from proto.keys.public import fingerprint, load
from tests.proto.keys.made import key


@pytest.mark.parametrize(("name", "kty"), [("rsa", "RSA"), ("dsa", "DSA"), ("ec", "EC"), ("sm2", "SM2")])
def test_keys_come_back(name: str, kty: str):
    held = load(bytes.fromhex(key(name)["data"]))
    shown = jwk.to_json(held)
    assert shown["kty"] == kty
    assert fingerprint(jwk.from_json(shown)) == fingerprint(held)


EC = jwk.to_json(load(bytes.fromhex(key("ec")["data"])))


@pytest.mark.parametrize(
    "given",
    [
        None,
        {},
        {"kty": "oct", "k": "AA"},
        EC | {"crv": "P-384"},
        EC | {"x": "AA"},
        EC | {"x": 1},
        EC | {"y": "%"},
        {"kty": "EC", "crv": "P-256"},
        {"kty": "SM2", "d": "AA"},
    ],
)
def test_what_is_no_key_is_a_sentence(given):
    with pytest.raises(ProtoError):
        jwk.from_json(given)

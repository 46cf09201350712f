"""Proves proto/values/claims.py: certificates and signatures by literals, both ways, and what is none."""

import json
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.keys import public
from proto.keys.jws import Jws
from proto.value import Reference, Value
from proto.values.claims import Certificate, Signature, Term, certificate, digest, named, reference, signature
from tests.proto.keys.made import private

RSA = private("rsa")
TERM = Term(1000, 2000, 1500)
HERE, ABOVE = Reference("88.1/ADMIN", 301), Reference("88/ROOT", 300)
NAME = Identifier.parse("88.1/甲")
URL = Value(1, "URL", b"http://x/", timestamp=5)


def test_certificates_come_back():
    permissions = (("everything", "everything"), ("thisHandle", "88.1/甲"))
    for name in ("rsa", "ec", "sm2"):
        key = private(name).public()
        read = Certificate.from_octets(certificate(ABOVE, HERE, key, permissions, TERM, RSA))
        assert (read.issuer, read.subject, read.permissions, read.term) == (ABOVE, HERE, permissions, TERM)
        assert public.fingerprint(read.key) == public.fingerprint(key)
        assert read.jws.signed_with(RSA.public())
        assert not read.self_signed
    assert Certificate.from_octets(certificate(HERE, HERE, RSA.public(), (), TERM, RSA)).self_signed


@pytest.mark.parametrize("algorithm", ["SHA-256", "SM3"])
def test_signatures_come_back(algorithm: str):
    read = Signature.from_octets(signature(HERE, NAME, (URL,), TERM, RSA, algorithm))
    assert (read.issuer, read.subject, read.algorithm, read.term) == (HERE, NAME.key, algorithm, TERM)
    assert read.digests == ((1, digest(URL, algorithm)),)


def test_what_a_certificate_says_is_what_others_read():
    claims = json.loads(Jws.read(certificate(ABOVE, HERE, RSA.public(), (("everything", "x"),), TERM, RSA)).payload)
    assert list(claims) == ["perms", "publicKey", "iss", "sub", "exp", "nbf", "iat"]
    assert claims["iss"] == "300:88/ROOT"
    assert claims["perms"] == [{"perm": "everything", "handle": "x"}]
    assert claims["publicKey"]["kty"] == "RSA"


def test_the_digest_of_a_value_knows_neither_its_place_nor_its_time():
    by_hand = bytes.fromhex("00 00015180 0e 00000003 55524c 00000009 687474703a2f2f782f 00000000")
    assert digest(URL, "SHA-256") == sha256(by_hand).digest()
    assert digest(replace(URL, index=2, timestamp=9), "SHA-256") == digest(URL, "SHA-256")
    others = [
        replace(URL, data=b"http://y/"),
        replace(URL, type="url"),
        replace(URL, ttl=1),
        replace(URL, ttl_absolute=True),
        replace(URL, permissions=0b1100),
        replace(URL, references=(HERE,)),
    ]
    assert len({digest(each, "SHA-256") for each in [URL, *others]}) == 7


@pytest.mark.parametrize(
    ("now", "holds"),
    [(999, False), (1000, True), (1999, True), (2000, False)],
)
def test_terms(now: int, holds: bool):
    assert TERM.holds(now) is holds
    assert Term(None, None).holds(now)


def test_references():
    assert reference("301:0.NA/88.1") == Reference("0.NA/88.1", 301)
    assert reference(named(HERE)) == HERE
    assert reference("1:0.na/x") == Reference("0.NA/X", 1), "as it is kept"


GOOD_CERT = {"publicKey": {"kty": "RSA"}, "iss": "1:88/a", "sub": "1:88/a"}
GOOD_SIGNATURE = {"digests": {"alg": "SHA-256", "digests": []}, "iss": "1:88/a", "sub": "88/a"}


@pytest.mark.parametrize(
    "claims",
    [
        [],
        {},
        GOOD_CERT,
        GOOD_CERT | {"iss": "88/a"},
        GOOD_CERT | {"perms": ["everything"]},
        GOOD_CERT | {"publicKey": None},
        GOOD_SIGNATURE | {"sub": "no slash"},
        GOOD_SIGNATURE | {"iss": "x:88/a"},
        GOOD_SIGNATURE | {"iss": "4294967296:88/a"},
        GOOD_SIGNATURE | {"iss": "٣:88/a"},
        GOOD_SIGNATURE | {"exp": "tomorrow"},
        GOOD_SIGNATURE | {"digests": {"alg": "MD5", "digests": []}},
        GOOD_SIGNATURE | {"digests": {"alg": "SHA-256", "digests": [{"index": 1, "digest": "?"}]}},
        GOOD_SIGNATURE | {"digests": None},
    ],
)
def test_what_claims_nothing_of_the_kind_is_a_sentence(claims: Any):
    octets = Jws.made(json.dumps(claims).encode(), RSA).to_octets()
    for read in (Certificate, Signature):
        with pytest.raises(ProtoError):
            read.from_octets(octets)
    with pytest.raises(ProtoError):
        Signature.from_octets(Jws.made(b"\xff", RSA).to_octets())

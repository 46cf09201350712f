"""Proves registry/challenge.py: which keys are taken, and what answers a challenge."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry.challenge import KEY_CHARACTERS, answered, key_octets

KEY = rsa.generate_private_key(65537, 2048)
INFO, PKCS1 = PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1


def pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, form: PublicFormat = INFO) -> str:
    return key.public_key().public_bytes(Encoding.PEM, form).decode()


def signed(text: str, padding: PKCS1v15 | PSS | None = None, hashed: SHA1 | SHA256 | None = None) -> str:
    return base64.b64encode(KEY.sign(text.encode(), padding or PKCS1v15(), hashed or SHA256())).decode()


def test_keys_are_taken_however_their_pem_is_written():
    kept = key_octets(pem(KEY))
    assert kept == KEY.public_key().public_bytes(Encoding.DER, INFO)
    assert key_octets(pem(KEY, PKCS1)) == kept


def test_what_is_no_key_that_proves_anything_is_not_taken():
    short = rsa.generate_private_key(65537, 1024)
    curve = ec.generate_private_key(ec.SECP256R1())
    for wrong in ("", "标识", "\udc80", pem(short), pem(curve), pem(KEY)[:-40], "x" * (KEY_CHARACTERS + 1)):
        assert key_octets(wrong) is None


def test_the_challenge_that_was_signed_is_told():
    kept = key_octets(pem(KEY))
    assert kept is not None
    assert answered(kept, ["1815", "1816"], signed("1816")) == "1816"
    assert answered(kept, ["1815"], signed("1816")) is None
    assert answered(kept, [], signed("1816")) is None


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "===",
        "标识",
        "\udc80",
        "A" * 10_000,
        signed("1816")[:-4],
        signed("1816", hashed=SHA1()),
        signed("1816", PSS(MGF1(SHA256()), PSS.MAX_LENGTH)),
    ],
)
def test_what_signs_it_not_or_otherwise_proves_nothing(wrong: str):
    kept = key_octets(pem(KEY))
    assert kept is not None
    assert answered(kept, ["1816"], wrong) is None

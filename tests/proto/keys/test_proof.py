"""Proves proto/keys/proof.py by answers that other programs made (vectors/proofs.jsonl), and by its own."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.keys.proof import MACS, PBKDF2, Derived, KeyAnswer, SecretAnswer, Verdict, WebAnswer, judge
from tests.proto.keys.made import key, lacks, private, told, vectors

PROOFS = vectors("proofs")
WEB = [proof for proof in PROOFS if "web" in proof.values[0]]


def _given(proof: dict[str, Any]) -> tuple[bytes, bytes, bytes]:
    return tuple(bytes.fromhex(proof[name]) for name in ("key", "signedResponse", "challenge"))


@pytest.mark.parametrize("proof", PROOFS)
def test_what_comes_of_an_answer(proof: dict[str, Any], need):
    need(not lacks(proof), "gmssl-pyx")
    held, answer, challenge = _given(proof)
    if proof["verdict"] == "cut short":
        with pytest.raises(ProtoError, match="cut short"):
            judge(proof["type"], held, answer, challenge, proof["user"])
    else:
        assert judge(proof["type"], held, answer, challenge, proof["user"]) is Verdict(proof["verdict"])


@pytest.mark.parametrize("proof", WEB)
def test_the_same_signature_by_its_name_in_the_json_api(proof: dict[str, Any], need):
    need(not lacks(proof), "gmssl-pyx")
    held, answer, challenge = _given(proof)
    secret = proof["type"] == "HS_SECKEY"
    signature = SecretAnswer.from_octets(answer).mac if secret else KeyAnswer.from_octets(answer).signature
    web = WebAnswer(proof["web"], signature)
    assert web.judge(proof["type"], held, challenge, proof["user"]) is Verdict.PROVEN
    assert web.judge(proof["type"], held, challenge + b"x", proof["user"]) is Verdict.REFUSED
    assert web.judge("URL", held, challenge, proof["user"]) is Verdict.UNABLE


def test_an_answer_of_the_json_api_as_other_servers_are_sent_it():
    derived = Derived(b"salt", 10)
    web = WebAnswer("PBKDF2-HMAC-SHA1", b"mac", derived)
    octets = web.to_octets()
    assert octets is not None
    assert SecretAnswer.from_octets(octets) == SecretAnswer(PBKDF2, b"mac", derived)
    assert WebAnswer("HMAC-SHA256", b"mac").to_octets() == b"\x13mac"
    for wrong in (
        WebAnswer("SHA512", b"mac"),
        web._replace(derived=None),
        web._replace(algorithm="SHA1"),
        web._replace(derived=derived._replace(iterations=9_999_999_999)),
    ):
        assert wrong.to_octets() is None, wrong


def test_derived_keys_in_the_json_api():
    derived = Derived(b"salt", 10)
    web = WebAnswer("PBKDF2-HMAC-SHA1", derived.mac(b"secret", b"challenge"), derived)
    assert web.judge("HS_SECKEY", b"secret", b"challenge", "88.1/a") is Verdict.PROVEN
    assert web.judge("HS_SECKEY", b"other", b"challenge", "88.1/a") is Verdict.REFUSED
    assert web._replace(derived=None).judge("HS_SECKEY", b"secret", b"challenge", "88.1/a") is Verdict.UNABLE
    assert web._replace(algorithm="SHA1").judge("HS_SECKEY", b"secret", b"challenge", "88.1/a") is Verdict.UNABLE
    assert web._replace(algorithm="MD6").judge("HS_SECKEY", b"secret", b"challenge", "88.1/a") is Verdict.UNABLE


@pytest.mark.parametrize("algorithm", [*sorted(MACS), PBKDF2])
def test_who_holds_the_secret_proves_it(algorithm: int):
    answer = SecretAnswer.made(b"secret", b"challenge", algorithm, b"salt").to_octets()
    assert judge("HS_SECKEY", b"secret", answer, b"challenge", "88.1/a") is Verdict.PROVEN
    assert judge("HS_SECKEY", b"Secret", answer, b"challenge", "88.1/a") is Verdict.REFUSED


@pytest.mark.parametrize(("name", "spelt"), [("rsa", b"SHA1"), ("dsa", b"SHA-256"), ("ec", b"\3"), ("sm2", b"SM3")])
def test_who_holds_the_private_key_proves_it(name: str, spelt: bytes, need):
    need(not lacks({"needs": name.upper()}), "gmssl-pyx")
    held, user = bytes.fromhex(key(name)["data"]), "88.1/甲"
    answer = KeyAnswer.made(private(name), b"challenge", spelt, user).to_octets()
    assert judge("HS_PUBKEY", held, answer, b"challenge", user) is Verdict.PROVEN
    assert judge("HS_PUBKEY", held, answer, b"other", user) is Verdict.REFUSED


@given(st.binary(max_size=80), st.sampled_from(["HS_SECKEY", "HS_PUBKEY"]), st.binary(max_size=60))
def test_whatever_is_answered_proves_nothing(answer: bytes, type_: str, held: bytes):
    comes = told(lambda: judge(type_, held, answer, b"challenge", "88.1/a"))
    assert comes in {Verdict.REFUSED, Verdict.UNABLE} or comes.field == "signedResponse"


@given(st.binary(max_size=60))
def test_answers_come_back(octets: bytes):
    for read in (SecretAnswer, KeyAnswer):
        answer = told(lambda read=read: read.from_octets(octets))
        assert isinstance(answer, ProtoError) or octets.startswith(answer.to_octets())

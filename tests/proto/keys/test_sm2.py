"""Proves proto/keys/sm2.py by keys and signatures of OpenSSL; more of these are in vectors/proofs.jsonl."""

import pytest

from proto.errors import ProtoError
from proto.keys import sm2
from proto.keys.proof import KeyAnswer, Verdict
from tests.proto.keys.made import key, private

SM3_ABC = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"  # GB/T 32905, example 1


def test_the_digest_of_the_standard():
    assert sm2.sm3(b"abc").hex() == SM3_ABC


def test_keys_come_back_and_show_nothing():
    held = private("sm2")._held
    assert isinstance(held, sm2.Private)
    assert sm2.public(held.public.to_der()) == held.public
    assert repr(held) == "Private(…)"


@pytest.mark.parametrize("octets", [b"", bytes(64), bytes(91), b"\x30\x59" + bytes(89)])
def test_octets_that_are_no_key(octets: bytes):
    assert sm2.public(octets) is None
    assert sm2.private(octets) is None


def test_without_the_library_nothing_is_signed_or_believed(monkeypatch):
    held = private("sm2")
    monkeypatch.setattr(sm2, "gmssl_pyx", None)
    assert not sm2.available()
    assert not sm2.verifies(held.public(), b"\x30\x06\2\1\1\2\1\1", b"octets")
    with pytest.raises(ProtoError, match="not installed"):
        held.sign("SM3", b"octets")
    answer = KeyAnswer(b"SM3", b"\x30\x06\2\1\1\2\1\1")
    assert answer.judge(bytes.fromhex(key("sm2")["data"]), b"challenge", "88.1/a") is Verdict.UNABLE

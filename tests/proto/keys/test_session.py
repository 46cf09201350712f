"""Proves proto/keys/session.py by what OpenSSL encrypts and what stands written (vectors/sessions.jsonl)."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.keys.session import OAKLEY, SessionKey, exchange, propose, sign, signed
from proto.values.public_key import PublicKey
from tests.proto.keys.made import key, lacks, private, told, vectors

SESSION = SessionKey(bytes(range(32)))


def _hex(row: dict[str, Any], *names: str) -> list[bytes]:
    return [bytes.fromhex(row[name]) for name in names]


@pytest.mark.parametrize("row", vectors("sessions"))
def test_both_sides_know_the_same(row: dict[str, Any]):
    ours, theirs, known = _hex(row, "serverKey", "clientKey", "sessionKey")
    client, server = int(row["clientPrivate"], 16), int(row["serverPrivate"], 16)
    assert propose(client) == theirs
    assert exchange(theirs, server) == (ours, SessionKey(known))
    assert exchange(ours, client) == (theirs, SessionKey(known))


@pytest.mark.parametrize("row", vectors("sessions"))
def test_what_is_encrypted_and_signed(row: dict[str, Any]):
    session = SessionKey(bytes.fromhex(row["sessionKey"]))
    plain, encrypted, covered = _hex(row, "plain", "encrypted", "covered")
    assert session.encrypt(plain, encrypted[:16]) == encrypted
    assert session.decrypt(encrypted) == plain
    for each in row["macs"]:
        name, mac = _hex(each, "name", "mac")
        version = tuple(each["version"])
        assert session.mac(covered, version) == (name, mac)
        assert session.signed(name, mac, covered, version)
        assert not session.signed(name, mac, covered + b"x", version)
        assert not session.signed(name, mac[:-1], covered, version)
        assert not session.signed(b"MD5", mac, covered, version)
        assert not SESSION.signed(name, mac, covered, version)


def test_old_spellings_of_a_mac_are_those_of_old_versions_alone():
    name, mac = SESSION.mac(b"covered", (2, 6))
    assert [SESSION.signed(spelt, mac, b"covered", (2, 6)) for spelt in (name, b"SHA1", b"SHA-1")] == [True] * 3
    assert not SESSION.signed(name, mac, b"covered", (2, 7)), "nobody talks a peer down"


@given(st.binary(max_size=200))
def test_what_was_not_encrypted_here_is_one_sentence(octets: bytes):
    read = told(lambda: SESSION.decrypt(octets))
    assert isinstance(read, bytes) or str(read) == "session message cannot be decrypted"


@given(st.binary(max_size=100), st.binary(min_size=16, max_size=16))
def test_what_is_encrypted_comes_back(octets: bytes, start: bytes):
    assert SESSION.decrypt(SESSION.encrypt(octets, start)) == octets


@pytest.mark.parametrize(
    ("y", "p", "g"),
    [
        (1, OAKLEY, 2),
        (OAKLEY - 1, OAKLEY, 2),
        (OAKLEY, OAKLEY, 2),
        (0, OAKLEY, 2),
        (2, OAKLEY, 1),
        (2, OAKLEY, OAKLEY),
        (2, OAKLEY >> 1, 2),
        (2, (1 << 1024) - 2, 2),
        (2, (1 << 3072) + 1, 2),
    ],
)
def test_groups_and_keys_out_of_bounds_are_refused(y: int, p: int, g: int):
    with pytest.raises(ProtoError) as refused:
        exchange(PublicKey("DH_PUB_KEY", (y, p, g)).to_octets(), 1 << 200)
    assert refused.value.field == "session"


def test_keys_of_another_kind_and_weak_ones_are_refused():
    with pytest.raises(ProtoError, match="DH_PUB_KEY"):
        exchange(bytes.fromhex(key("rsa")["data"]), 2)
    with pytest.raises(ProtoError, match="weak"):
        exchange(PublicKey("DH_PUB_KEY", (2, OAKLEY, 2)).to_octets(), 100)


@pytest.mark.parametrize(
    ("name", "version", "spelt"),
    [("rsa", (2, 6), b"SHA1"), ("rsa", (2, 7), b"SHA-256"), ("dsa", (2, 11), b"SHA-256"), ("sm2", (2, 11), b"SM3")],
)
def test_messages_signed_by_a_key(name: str, version: tuple[int, int], spelt: bytes, need):
    need(not lacks({"needs": name.upper()}), "gmssl-pyx")
    held = bytes.fromhex(key(name)["data"])
    used, signature = sign(private(name), b"covered", version)
    assert used == spelt
    assert signed(held, used, signature, b"covered")
    assert not signed(held, used, signature, b"other")
    assert not signed(held, b"SHA-512", signature, b"covered")


def test_keys_show_nothing_of_themselves():
    assert repr(SESSION) == "SessionKey(…)"

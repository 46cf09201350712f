"""Proves proto/values/secret_key.py; what secrets prove is in tests/proto/keys/test_proof.py."""

import pytest

from proto.value import Value
from proto.values.secret_key import PERMISSIONS, exposed, is_said_by, pbkdf2_password


@pytest.mark.parametrize(
    ("secret", "password", "said"),
    [
        (b"secret", "secret", True),
        ("密".encode(), "密", True),
        (b"secret", "Secret", False),
        (b"secret", "secret ", False),
        (b"", "", False),
        (b"\xff", "\udcff", False),
    ],
)
def test_who_says_the_secret(secret: bytes, password: str, said: bool):
    assert is_said_by(secret, password) is said


def test_keys_are_derived_from_latin_1_in_utf_8():
    assert pbkdf2_password(bytes.fromhex("00ff10a5807fe2")) == bytes.fromhex("00c3bf10c2a5c2807fc3a2")


@pytest.mark.parametrize(("permissions", "told"), [(PERMISSIONS, False), (0b1110, True), (0b1101, True), (0, False)])
def test_secrets_everybody_may_read_or_set(permissions: int, told: bool):
    assert exposed(Value(300, "HS_SECKEY", b"secret", permissions=permissions)) is told

"""Proves registry/totp.py by the vectors of RFC 4226 (appendix D) and RFC 6238 (appendix B)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.totp import DRIFT_STEPS, KEY_OCTETS, STEP_SECONDS, base32, hotp, matching, parted, uri

KEY = b"12345678901234567890"


def test_the_vectors_of_rfc_4226():
    codes = "755224 287082 359152 969429 338314 254676 287922 162583 399871 520489".split()  # noqa: SIM905 - as there
    assert [hotp(KEY, n) for n in range(10)] == codes


@pytest.mark.parametrize(
    ("now", "code"),
    [
        (59, "94287082"),
        (1111111109, "07081804"),
        (1111111111, "14050471"),
        (1234567890, "89005924"),
        (2000000000, "69279037"),
        (20000000000, "65353130"),
    ],
)
def test_the_vectors_of_rfc_6238(now: int, code: str):
    assert hotp(KEY, now // STEP_SECONDS, 8) == code
    assert matching(KEY, code[2:], now, 0) == now // STEP_SECONDS


@given(st.binary(min_size=KEY_OCTETS, max_size=KEY_OCTETS), st.integers(100, 2**40), st.integers(-3, 3))
def test_a_clock_may_be_one_step_wrong(key: bytes, now: int, off: int):
    step = now // STEP_SECONDS + off
    found = matching(key, hotp(key, step), now, 0)
    assert found == step if abs(off) <= DRIFT_STEPS else found != step


def test_each_code_is_good_once_and_none_before_it():
    now, step = 1_795_330_554, 1_795_330_554 // STEP_SECONDS
    assert matching(KEY, hotp(KEY, step), now, step - 1) == step
    assert matching(KEY, hotp(KEY, step), now, step) is None
    assert matching(KEY, hotp(KEY, step - 1), now, step) is None
    assert matching(KEY, hotp(KEY, step + 1), now, step) == step + 1


@pytest.mark.parametrize("code", ["", "00000", "标识标识标识", "\udc80", "0" * 1000, "１２３４５６"])
def test_what_is_no_code_is_wrong(code: str):
    assert matching(KEY, code, 1_795_330_554, 0) is None


def test_what_is_typed_into_one_field():
    assert parted("correct horse123456") == ("correct horse", "123456")
    assert parted("12345") == ("", "12345")


def test_an_authenticator_reads_it():
    assert base64.b32decode(base32(KEY)) == KEY
    assert uri("idnode 88.999", "李/工", KEY) == (
        "otpauth://totp/idnode%2088.999:%E6%9D%8E%2F%E5%B7%A5"
        "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=idnode%2088.999"
    )

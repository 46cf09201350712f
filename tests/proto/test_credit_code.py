"""Proves proto/credit_code.py: known codes, and that no single slip of the pen goes unnoticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.credit_code import CHARACTERS, check_character, check_credit_code
from proto.errors import ProtoError

first = st.text(CHARACTERS, min_size=17, max_size=17)


@pytest.mark.parametrize("code", ["91350100M000100Y43"])
def test_the_code_of_the_standard_itself_is_right(code: str):
    check_credit_code(code, "ent_crt_code")


@given(first)
def test_the_right_check_character_and_no_other_is_taken(text: str):
    right = check_character(text)
    check_credit_code(text + right, "ent_crt_code")
    for other in CHARACTERS.replace(right, ""):
        with pytest.raises(ProtoError, match=f"ent_crt_code .* must be {right}"):
            check_credit_code(text + other, "ent_crt_code")


@given(first, st.integers(0, 16), st.sampled_from(CHARACTERS))
def test_one_wrong_character_is_noticed(text: str, place: int, character: str):
    slip = text[:place] + character + text[place + 1 :]
    if slip != text:
        with pytest.raises(ProtoError):
            check_credit_code(slip + check_character(text), "ent_crt_code")


@pytest.mark.parametrize(
    "code", ["", "91350100M000100Y4", "91350100M000100Y433", "91350100m000100Y43", "9135010OM000100Y43"]
)
def test_what_is_no_code_is_told_the_rule(code: str):
    with pytest.raises(ProtoError, match="ent_crt_code must be a unified social credit code"):
        check_credit_code(code, "ent_crt_code")

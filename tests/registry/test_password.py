"""Proves registry/password.py: what is taken, and in which words the rest is refused."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.account import SECRET_CHARACTERS
from registry.password import COMMON, LONG, SHORTEST, problem


@pytest.mark.parametrize("password", ["Xk3!mnq7", "correct horse", "三十六块牛皮都在狮岭合成路", "x-9 Q" + "长" * 59])
def test_good_ones(password: str):
    assert problem("chief", password) is None


@pytest.mark.parametrize(
    ("password", "zh"),
    [
        ("Xk3!mn7", "密码应为8到64个字符"),
        ("x-9 Q" + "长" * 60, "密码应为8到64个字符"),
        ("xkrtmnqa", "少于12个字符的密码应含小写字母、大写字母、数字、其他字符中的至少3种"),
        ("xk3rtmnqaz", "少于12个字符的密码应含小写字母、大写字母、数字、其他字符中的至少3种"),
        ("P@ssw0rd", "密码过于常见或简单"),
        ("Admin@123", "密码过于常见或简单"),
        ("aaaaaaaaaaaaaaaa", "密码过于常见或简单"),
        ("1212121212123", "密码过于常见或简单"),
        ("the Chief rides", "密码不能包含用户名"),
    ],
)
def test_bad_ones(password: str, zh: str):
    told = problem("chief", password)
    assert told is not None
    assert told[0] == zh
    assert told[1].isascii()


def test_common_ones_are_those_that_would_pass_otherwise_or_nearly():
    assert all(each == each.casefold() for each in COMMON)
    assert all(problem("chief", each) for each in COMMON)


@given(st.text(max_size=SECRET_CHARACTERS + 1), st.text(max_size=20))
def test_whatever_is_typed_is_judged(password: str, name: str):
    assert (problem(name, password) is None) <= (SHORTEST <= len(password) <= SECRET_CHARACTERS)


def test_what_the_node_draws_is_good():
    for _ in range(50):
        drawn = secrets.token_urlsafe(12)
        assert len(drawn) >= LONG
        assert problem("chief", drawn) is None

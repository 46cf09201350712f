"""Proves registry/suffix.py: what each kind of segment admits. The rules of the industries are proven with them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.suffix import ALPHABETS, DATES, Segment, SuffixRule


def rule(*segments: Segment) -> SuffixRule:
    return SuffixRule(segments)


CONST = Segment("const", "手袋", "bag", "B.A+G-")
CODE = Segment("code", "款号", "style", "", 2, 4)
DIGITS = Segment("digits", "规格", "size", "", 3, 3)
SERIAL = Segment("serial", "序列号", "serial", "", 6, 9)


@pytest.mark.parametrize(
    ("made", "admitted", "refused"),
    [
        (rule(CONST), ["B.A+G-"], ["", "BxA+G-", "b.a+g-", "B.A+G-1", "BB.A+G-"]),
        (rule(CODE), ["A1", "a-_.", "9999"], ["A", "ABCDE", "A/", "A 1", "款号", "A\n", "Ａ1"]),
        (rule(DIGITS), ["000", "123"], ["12", "1234", "12a", "１２３", "12\n", "٣٣٣"]),
        (rule(SERIAL), ["000017", "123456789"], ["00017", "1234567890", "-00017"]),
        (rule(Segment("date", "年", "year", "yyyy")), ["2026", "0000"], ["26", "20260", "２０２６"]),
        (rule(Segment("date", "月", "month", "yyyyMM")), ["202601", "202612"], ["202600", "202613", "2026"]),
        (
            rule(Segment("date", "日", "day", "yyyyMMdd")),
            ["20260101", "20261231"],
            ["20260100", "20260132", "20261301", "202601"],
        ),
        (rule(CONST, CODE, SERIAL), ["B.A+G-AB000017", "B.A+G-12000017"], ["B.A+G-000017", "AB000017"]),
        (rule(), ["", "anything", "什么都行", "a b/c\n"], []),
    ],
)
def test_what_a_rule_admits(made: SuffixRule, admitted: list[str], refused: list[str]):
    assert [suffix for suffix in admitted if not made.admits(suffix)] == []
    assert [suffix for suffix in refused if made.admits(suffix)] == []


def test_a_shape_names_the_parts_in_both_languages():
    assert rule(CONST, CODE, SERIAL).shape == ("B.A+G-{款号}{序列号}", "B.A+G-{style}{serial}")
    assert rule().shape == ("", "")


@given(st.text(max_size=20), st.text(max_size=20))
def test_a_constant_is_itself_and_nothing_else(text: str, other: str):
    constant = rule(Segment("const", "常", "const", text or "x"))
    assert constant.admits(text or "x")
    assert constant.admits(other) is (other == (text or "x"))


@given(st.text(max_size=255))
def test_rules_that_could_be_read_in_many_ways_are_still_answered(suffix: str):
    many = rule(*(Segment("code", "码", "code", "", 1, 32) for _ in range(3)))
    letters = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert many.admits(suffix) is (3 <= len(suffix) <= 96 and set(suffix) <= letters)


def test_every_kind_has_a_pattern():
    assert set(ALPHABETS) | {"const", "date"} == {"const", "code", "digits", "date", "serial"}
    assert set(DATES) == {"yyyy", "yyyyMM", "yyyyMMdd"}

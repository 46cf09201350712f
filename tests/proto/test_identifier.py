"""Proves proto/identifier.py: what is an identifier, what is not, and under which key it is kept.

No registration is tried here: which prefixes are ours is registry's.
"""

import json
import unicodedata
from collections.abc import Callable
from operator import eq, ne
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.identifier import Identifier, Prefix, are_keys, fold, is_everyday, is_key, prefix_named, prefix_of

CHARACTERS = st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp"))
INNER = CHARACTERS.filter(lambda c: not c.isspace())
LABELS = st.text(INNER.filter(lambda c: c != "/"), min_size=1, max_size=30)
PREFIXES = st.one_of(
    st.from_regex(r"[0-9]{2}(\.[0-9]{1,16}){1,2}", fullmatch=True),
    LABELS,
    LABELS.map(lambda label: f"0.{label}"),
    st.sampled_from(["0.NA", "0.na", "0.Site", "88.ab", "0"]),
)
SUFFIXES = st.one_of(
    st.from_regex(r"[A-Za-z0-9._/-]{1,40}", fullmatch=True),
    st.tuples(INNER, st.text(CHARACTERS, max_size=100), INNER).map("".join),
    INNER,
)
SPELLINGS = st.tuples(PREFIXES, SUFFIXES).map("/".join)


@given(SPELLINGS)
def test_what_is_parsed_is_spelt_the_same(text: str):
    identifier = Identifier.parse(text)
    assert str(identifier) == f"{identifier.prefix}/{identifier.suffix}" == text
    assert "/" not in identifier.prefix


@given(SPELLINGS)
def test_the_key_is_a_spelling_of_the_same_identifier_and_its_own_key(text: str):
    identifier = Identifier.parse(text)
    again = Identifier.parse(identifier.key)
    assert again == identifier
    assert not ne(again, identifier)
    assert hash(again) == hash(identifier)
    assert again.key == identifier.key == str(again)
    assert f"{identifier.prefix_key}/{identifier.suffix_key}" == identifier.key


@given(SPELLINGS)
def test_the_key_folds_the_prefix_and_of_reserved_handles_all(text: str):
    identifier = Identifier.parse(text)
    assert identifier.prefix_key == fold(identifier.prefix)
    wanted = fold(identifier.suffix) if text.startswith("0.") else identifier.suffix
    assert identifier.suffix_key == wanted


def _said(text: str) -> Identifier | ProtoError:
    try:
        return Identifier.parse(text)
    except ProtoError as error:
        return error


@given(st.text(st.characters()))
@example("\ud800")
@example("88.1/\x00")
def test_whatever_is_said_it_is_an_identifier_or_a_sentence(text: str):
    said = _said(text)
    if isinstance(said, ProtoError):
        assert (said.field, bool(said.zh)) == ("handle", True)
        assert str(said) == said.en != ""
    else:
        assert str(said) == text


@given(st.text(max_size=12), st.sampled_from("\x00\x1f\x7f\x85\u2028\u2029\ud800\udfff"), st.text(max_size=12))
def test_what_nobody_can_type_or_scan_is_refused(before: str, wrong: str, after: str):
    with pytest.raises(ProtoError):
        Identifier.parse(f"88.1/{before}{wrong}{after}")
    with pytest.raises(ProtoError, match=f"U\\+{ord(wrong):04X}") as refused:
        Identifier.parse(f"88.1/a{wrong}b")
    assert f"U+{ord(wrong):04X}" in refused.value.zh


@given(st.text())
def test_folding_changes_ascii_letters_and_nothing_else(text: str):
    folded = fold(text)
    assert fold(folded) == folded
    assert folded == "".join(c.upper() if c.isascii() else c for c in text)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("88.999.1001/BAG-2026-000017", "88.999.1001/BAG-2026-000017"),
        ("88.999.1001/bag-2026-000017", "88.999.1001/bag-2026-000017"),
        ("88.118.ab/Xy", "88.118.AB/Xy"),
        ("88.999.0001/x", "88.999.0001/x"),
        ("88.1/a/b//c", "88.1/a/b//c"),
        ("88.1/电芯 1号", "88.1/电芯 1号"),
        ("88.straße/ß", "88.STRAßE/ß"),
        ("0.na/88.abc", "0.NA/88.ABC"),
        ("0.site/status", "0.SITE/STATUS"),
        ("0.na/ß", "0.NA/ß"),
        ("0/a", "0/a"),
        ("00.1/a", "00.1/a"),
    ],
)
def test_keys(text: str, key: str):
    assert Identifier.parse(text).key == key


def test_spellings_of_one_identifier_are_equal_and_others_are_not():
    assert Identifier.parse("88.ab/x") == Identifier.parse("88.AB/x")
    assert len({Identifier.parse("88.ab/x"), Identifier.parse("88.Ab/x")}) == 1
    assert Identifier.parse("88.ab/x") != Identifier.parse("88.ab/X")
    assert Identifier.parse("0.na/x") == Identifier.parse("0.NA/X")


@pytest.mark.parametrize(
    ("text", "zh", "en"),
    [
        ("", "标识不能为空", "Empty handle invalid"),
        ("88.999.1001", "由前缀", "a prefix, a slash and a suffix"),
        ("/x", "由前缀", "a prefix, a slash and a suffix"),
        ("88.1/", "由前缀", "a prefix, a slash and a suffix"),
        ("/", "由前缀", "a prefix, a slash and a suffix"),
        ("88.1/" + "x" * 251, "不能超过255个字符", "at most 255 characters"),
        ("8" * 65 + "/x", "前缀不能超过64个字符", "at most 64 characters"),
        ("88.1/a\nb", "U+000A", "U+000A"),
        ("88.\t1/ab", "U+0009", "U+0009"),
        ("88.1/a\u2028b", "U+2028", "U+2028"),
        ("88.1/\ud800", "U+D800", "U+D800"),
        ("88. 1/a", "不能含空格", "holds no space"),
        ("88.\u30001/a", "不能含空格", "holds no space"),
        ("88.1/ a", "首尾不能是空格", "neither begins nor ends"),
        ("88.1/a\u00a0", "首尾不能是空格", "neither begins nor ends"),
    ],
)
def test_what_is_refused_is_told_in_both_languages(text: str, zh: str, en: str):
    with pytest.raises(ProtoError) as refused:
        Identifier.parse(text)
    assert zh in refused.value.zh
    assert en in refused.value.en
    assert refused.value.field == "handle"


def test_bounds_are_reached_but_not_passed():
    assert Identifier.parse("88.1/" + "x" * 250).suffix == "x" * 250
    assert Identifier.parse("88.1/" + "标" * 250).suffix == "标" * 250
    assert Identifier.parse("8" * 64 + "/x").prefix == "8" * 64
    assert str(Identifier.parse("8/x")) == "8/x"


def test_an_identifier_is_told_from_others_and_from_its_text():
    identifier = Identifier.parse("88.ab/x")
    assert identifier == Identifier.parse("88.AB/x")
    assert identifier != Identifier.parse("88.AB/X")
    assert not eq(identifier, Identifier.parse("88.AB/X"))
    assert identifier != "88.AB/x"
    assert len({identifier, Identifier.parse("88.AB/x"), Identifier.parse("88.AB/y")}) == 2


def test_an_identifier_cannot_be_changed():
    identifier = Identifier.parse("88.1/x")
    with pytest.raises(AttributeError):
        identifier.key = "88.1/y"  # type: ignore[misc]


def test_every_refused_category_is_one_unicode_has():
    assert {unicodedata.category(c) for c in "\x00\ud800\u2028\u2029"} == {"Cc", "Cs", "Zl", "Zp"}


@given(st.from_regex(r"[0-9]{2}(\.[0-9]{1,16}){1,2}", fullmatch=True))
def test_an_allocated_prefix_is_one(name: str):
    prefix = Prefix(name)
    assert prefix.name == name
    assert name.startswith(f"{prefix.parent}.")
    assert "." not in name.removeprefix(f"{prefix.parent}.")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "88",
        "88.",
        "88..1",
        "8.1",
        "888.1",
        "88.1.2.3",
        "88.a",
        "88.１",
        "８８.1",
        "88.1\n",
        " 88.1",
        "88." + "1" * 17,
    ],
)
def test_another_is_none(name: str):
    with pytest.raises(ProtoError, match=r"such as 88\.999\.1001") as refused:
        Prefix(name)
    assert refused.value.field == "prefix"
    assert "88.999.1001" in refused.value.zh


def test_parents():
    assert (Prefix("88.999.1001").parent, Prefix("88.999").parent) == ("88.999", "88")


@given(
    st.from_regex(r"\A[0-9.]{1,5}/[!-~]{0,6}\Z")
    | st.text('0.19/aZ%?#"\\é -_~', max_size=9)
    | st.builds(lambda n: "88.1/" + "x" * n, st.integers(245, 255))
)
def test_an_everyday_spelling_is_one_that_needs_no_encoding(text: str):
    everyday = Identifier.everyday(text.encode())
    assert is_everyday(text.encode()) is (everyday is not None)
    if everyday is not None:
        assert everyday == Identifier.parse(text)
        assert (str(everyday), everyday.key) == (text, text)
        assert quote(text, safe="/!$'()*+,;=:@") == text
        assert json.dumps(text) == f'"{text}"'


@pytest.mark.parametrize("text", ["88.999.1001/BAG-2026-000017", "0/x", "88./~!$'()*+,;=:@/-._", "88.1/" + "x" * 250])
def test_the_usual_spellings_are_everyday_ones(text: str):
    assert Identifier.everyday(text.encode()) == Identifier.parse(text)
    assert is_everyday(text.encode())


@pytest.mark.parametrize("text", ["0.NA/88.1", "88.ab/x", "88.1/%41", "88.1/é", '88.1/"', "88.1/", "88.1/" + "x" * 251])
def test_what_must_be_looked_at_is_none(text: str):
    assert Identifier.everyday(text.encode()) is None
    assert not is_everyday(text.encode())


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("88.999.1001/BAG-2026-000017", True),
        ("88.999.1001/bag 17", True),
        ("88.ab/x", False),
        ("88.AB/x", True),
        ("0.NA/88.1", True),
        ("0.na/88.1", False),
    ],
)
def test_a_key_is_spelt_as_it_is_kept(text: str, kept: bool):
    assert is_key(text) is kept


@pytest.mark.parametrize("text", ["", "88.1", "88.1/", "88.1/" + "x" * 251, "88.1/\u2028"])
def test_what_is_no_identifier_is_no_key(text: str):
    with pytest.raises(ProtoError):
        is_key(text)


STARTS = st.one_of(
    PREFIXES.map(lambda prefix: prefix + "/"), st.sampled_from(["88.1/", "88.1/a", "0.NA/", "0.na/", "/"])
)


@given(STARTS, st.lists(st.one_of(SUFFIXES, st.sampled_from(["x", "X ", " ", "", "é", "x" * 251])), max_size=4))
@example("88.1/", ["x" * 250, "y"])
@example("88.1/", ["x", "y" * 251])
@example("88.1/", ["x", ""])
def test_many_are_keys_as_each_of_them_is(start: str, ends: list[str]):
    def told(ask: Callable[[], bool]) -> bool | str:
        try:
            return ask()
        except ProtoError as error:
            return str(error)

    assert told(lambda: are_keys(start, ends)) == told(lambda: all(is_key(start + end) for end in ends))


def test_the_handle_of_a_prefix_is_about_that_prefix():
    for text, prefix in (("88.1/x", "88.1"), ("0.na/88.a", "88.A"), ("0.SITE/status", "0.SITE")):
        assert prefix_of(Identifier.parse(text)) == prefix
    assert [prefix_named(text) for text in ("88.a", "0.na/88.a", "0.NA/0.NA")] == ["88.A", "88.A", "0.NA"]

"""Proves registry/filing.py by literals and by chance: particulars are whole, and words said twice do no more."""

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.credit_code import check_character
from registry.filing import (
    WORDS,
    Filing,
    ParticularsError,
    Standing,
    Told,
    after,
    check_names,
    in_review,
    may_open,
)
from registry.prefix import PrefixState
from tests.registry.world import PARTICULARS

STANDINGS = [
    Standing(*each)
    for each in product(PrefixState, Filing, (False, True), (False, True))
    if (each[2] or not each[3]) and not (each[0].open and each[1] is Filing.MOVED)
]


def test_whole_particulars_are_taken():
    assert replace(PARTICULARS, ent_county_code="", ent_desc="", ent_web_site="").ent_crt_code[-1] == check_character(
        PARTICULARS.ent_crt_code[:-1]
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("ent_crt_code", "91440114MAE9X8K181"),
        ("ent_crt_code", "91440114"),
        ("ent_type", 0),
        ("ent_type", 6),
        ("ent_province_code", "44"),
        ("ent_province_code", "450000"),
        ("ent_city_code", "450100"),
        ("ent_county_code", "440304"),
        ("ent_county_code", "44011x"),
        ("ent_addr_cn", ""),
        ("ent_addr_cn", "街" * 256),
        ("ent_addr_cn", "街\n"),
        ("contact_email", "someone"),
        ("contact_phone", "12"),
        ("contact_name", ""),
        ("legal_name", ""),
        ("legal_id_type", 7),
        ("legal_id_no", ""),
        ("ent_desc", "x" * 1025),
        ("ent_web_site", "x" * 256),
    ],
)
def test_a_field_that_cannot_be_filed_is_named(field: str, value: object):
    with pytest.raises(ParticularsError, match=r"ent_(city|county)_code|" + field) as refused:
        replace(PARTICULARS, **{field: value})
    assert str(refused.value).endswith(".")


@pytest.mark.parametrize(
    ("name", "name_en", "field"),
    [
        ("", "x", "ent_name_cn"),
        (" 某厂", "x", "ent_name_cn"),
        ("某\n厂", "x", "ent_name_cn"),
        ("厂" * 256, "x", "ent_name_cn"),
        ("某厂", "", "ent_name_en"),
        ("某厂", "x" * 256, "ent_name_en"),
    ],
)
def test_a_name_that_cannot_be_filed_is_told_in_a_sentence(name: str, name_en: str, field: str):
    with pytest.raises(ParticularsError, match=rf"^{field}应为.*。 {field} has 1 to 255 characters\.$"):
        check_names(name, name_en)
    check_names("厂" * 255, "x")


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("now", STANDINGS)
def test_a_word_said_twice_does_no_more(word: str, now: Standing):
    once = after(now, Told("88.999.1", word), b"")
    assert after(once, Told("88.999.1", word), b"") == once


@pytest.mark.parametrize("now", STANDINGS)
def test_what_is_refused_or_suspended_is_never_open(now: Standing):
    assert not after(now, Told("p", "refused"), b"").state.open
    assert not after(now, Told("p", "suspended"), b"").state.open


@pytest.mark.parametrize("now", STANDINGS)
def test_what_has_moved_away_stays_closed_whatever_is_told(now: Standing):
    moved = after(now, Told("p", "moved"), b"")
    assert (moved.state.open, moved.filing, may_open(moved)) == (False, Filing.MOVED, False)
    assert {after(moved, Told("p", word), b"") for word in WORDS} == {moved}


@given(st.lists(st.sampled_from(sorted(WORDS)), max_size=12))
def test_a_prefix_opens_by_approval_alone(words: list[str]):
    now = Standing(PrefixState.PENDING, Filing.WAITING)
    for word in words:
        now = after(now, Told("p", word), b"")
        assert not now.state.open or (now.filing is Filing.APPROVED and not now.suspended)


def test_the_way_of_a_prefix():
    now = Standing(PrefixState.IN_REVIEW, Filing.IN_REVIEW)
    steps = [
        ("approved", Standing(PrefixState.ENABLED, Filing.APPROVED)),
        ("suspended", Standing(PrefixState.STOPPED, Filing.APPROVED, True)),
        ("approved", Standing(PrefixState.STOPPED, Filing.APPROVED, True)),
        ("resumed", Standing(PrefixState.ENABLED, Filing.APPROVED)),
        ("refused", Standing(PrefixState.REFUSED, Filing.REFUSED)),
    ]
    for word, wanted in steps:
        now = after(now, Told("p", word), b"")
        assert now == wanted


@pytest.mark.parametrize("now", STANDINGS)
def test_a_filing_is_taken_once_and_closes_nothing(now: Standing):
    then = in_review(now)
    assert in_review(then) == then
    assert then.filing is (Filing.IN_REVIEW if now.filing is Filing.WAITING else now.filing)
    pending = now.filing is Filing.WAITING and now.state is PrefixState.PENDING
    assert then.state is (PrefixState.IN_REVIEW if pending else now.state)


def test_what_answers_an_earlier_filing_changes_nothing():
    now = Standing(PrefixState.IN_REVIEW, Filing.IN_REVIEW)
    assert after(now, Told("p", "refused", b"old"), b"new") == now
    assert after(now, Told("p", "refused", b"new"), b"new") != now


def test_a_prefix_stopped_by_its_own_operator_stays_stopped():
    stopped = Standing(PrefixState.STOPPED, Filing.IN_REVIEW)
    assert after(stopped, Told("p", "approved"), b"").state is PrefixState.STOPPED
    assert after(stopped, Told("p", "resumed"), b"").state is PrefixState.STOPPED


@pytest.mark.parametrize("words", [["suspended", "resumed"], ["suspended", "suspended", "approved", "resumed"]])
@pytest.mark.parametrize("state", [PrefixState.STOPPED, PrefixState.ENABLED])
def test_lifting_a_suspension_brings_back_what_was_before_it(state: PrefixState, words: list[str]):
    before = now = Standing(state, Filing.APPROVED)
    for word in words:
        now = after(now, Told("p", word), b"")
    assert now == before


def test_a_prefix_that_was_never_suspended_is_stopped_by_its_operator_alone():
    with pytest.raises(AssertionError):
        Standing(PrefixState.STOPPED, Filing.APPROVED, suspended=False, stopped_here=True)


def test_what_an_administrator_may_open():
    assert may_open(Standing(PrefixState.STOPPED, Filing.APPROVED))
    assert may_open(Standing(PrefixState.STOPPED, Filing.WAITING))
    assert not may_open(Standing(PrefixState.STOPPED, Filing.APPROVED, True))
    assert not may_open(Standing(PrefixState.REFUSED, Filing.REFUSED))
    assert not may_open(Standing(PrefixState.IN_REVIEW, Filing.IN_REVIEW))


def test_every_state_has_a_name_in_both_languages():
    assert all(each.zh and each.en.isascii() for each in Filing)

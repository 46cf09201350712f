"""Proves registry/gbt4754.py: the table is whole, holds what our industries need, and says where a code belongs."""

import pytest

from proto.errors import ProtoError
from registry.gbt4754 import _tables, check_industry, name
from registry.industries import load

FIELDS = ("industryCategory", "industrySpecific", "industryTrade", "industrySubclass")


def test_all_categories_and_divisions_are_there_and_every_group_and_class_lies_in_one():
    codes = {code for table in _tables().values() for code in table if code != "name"}
    assert sorted(_tables()) == list("ABCDEFGHIJKLMNOPQRST")
    assert sorted(code for code in codes if len(code) == 2) == [f"{n:02d}" for n in range(1, 98)]
    assert {code for code in codes if len(code) > 2 and code[:-1] not in codes} == set()


def test_what_the_templates_of_our_industries_say_they_are_is_in_the_table():
    for template in (template for industry in load() for template in industry.templates):
        given = template.category
        assert check_industry((given.category, given.specific, given.trade, given.subclass), FIELDS)


def test_names():
    assert (name("C"), name("C", "1922"), name("X"), name("C", "9999")) == ("制造业", "皮箱、包（袋）制造", "", "")


@pytest.mark.parametrize(
    ("codes", "listed"),
    [(("C", "19"), True), (("I", "65"), True), (("I", "65", "651", "6513"), False), (("C", "36", "367", "3670"), True)],
)
def test_a_code_the_table_need_not_have_is_told_apart(codes: tuple[str, ...], listed: bool):
    assert check_industry(codes, FIELDS) is listed


@pytest.mark.parametrize(
    ("codes", "field"),
    [
        (("", "19"), "industryCategory"),
        (("U", "19"), "industryCategory"),
        (("name", "19"), "industryCategory"),
        (("C", "51"), "industrySpecific"),
        (("C", "00"), "industrySpecific"),
        (("C", "98"), "industrySpecific"),
        (("C", "1"), "industrySpecific"),
        (("C", "19", "201", "2011"), "industryTrade"),
        (("C", "19", "199", "1991"), "industryTrade"),
        (("C", "19", "192", "1924"), "industrySubclass"),
        (("C", "19", "192", "192"), "industrySubclass"),
        (("I", "65", "641", "6411"), "industryTrade"),
    ],
)
def test_a_code_that_cannot_be_is_refused_naming_its_field(codes: tuple[str, ...], field: str):
    with pytest.raises(ProtoError) as refused:
        check_industry(codes, FIELDS)
    assert refused.value.field == field

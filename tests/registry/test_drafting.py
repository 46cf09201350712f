"""Proves registry/drafting.py: how a template is made well, what of it may still change, and its way through life."""

import json
from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from proto.identifier import Identifier
from registry import drafting
from registry.drafting import NAME_CHARACTERS, VERSION_CHARACTERS
from registry.industries import load
from registry.rules import Refused
from registry.suffix import SEGMENTS_MOST, Segment, SuffixRule
from registry.template import ITEMS_MOST, Category, Item, State, Template

STYLE, WEIGHT = Item(2000, "styleNo", "款号", required=True), Item(2001, "weight", "重量", "Weight", low=0, unit="kg")
DRAFT = Template(
    "88.999.1",
    "bag",
    "手袋",
    "Bag",
    "一只包",
    Category("C", "19", "192", "1922"),
    2,
    (STYLE, WEIGHT),
    number=7,
    state=State.DRAFT,
)
PUBLISHED = replace(DRAFT, state=State.PUBLISHED)


def field(refused: Refused | None) -> str | None:
    return refused.field if refused else None


@pytest.mark.parametrize("template", [t for each in load() for t in each.templates], ids=lambda t: t.version)
def test_the_templates_of_the_industries_are_well_made(template: Template):
    assert drafting.flaw(template) is None


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({"version": ""}, "version"),
        ({"version": "a/b"}, "version"),
        ({"version": "x" * (VERSION_CHARACTERS + 1)}, "version"),
        ({"zh": ""}, "zh"),
        ({"en": "x" * (NAME_CHARACTERS + 1)}, "en"),
        ({"description": "\0"}, "description"),
        ({"carrier": 3}, "carrier"),
        ({"items": ()}, "items"),
        ({"items": tuple(Item(2000 + n, f"n{n}", f"名{n}") for n in range(ITEMS_MOST + 1))}, "items"),
        ({"suffix": SuffixRule((Segment("serial", "号", "no"),) * (SEGMENTS_MOST + 1))}, "suffix"),
        ({"suffix": SuffixRule((Segment("const", "号", "no"),))}, "suffix[0].text"),
        ({"suffix": SuffixRule((Segment("serial", "", "no"),))}, "suffix[0].zh"),
        ({"category": Category("Z", "19", "192", "1922")}, "category.category"),
        ({"category": Category("C", "19", "193", "1922")}, "category.subclass"),
        ({"items": (STYLE, replace(WEIGHT, index=2000))}, "items[1].index"),
        ({"items": (STYLE, replace(WEIGHT, name="styleNo"))}, "items[1].name"),
        ({"items": (STYLE, replace(WEIGHT, zh="款号"))}, "items[1].zh"),
        ({"items": (replace(STYLE, index=1999),)}, "items[0].index"),
        ({"items": (replace(STYLE, index=2**31),)}, "items[0].index"),
        ({"items": (replace(STYLE, name="9lives"),)}, "items[0].name"),
        ({"items": (replace(STYLE, zh="a\nb"),)}, "items[0].zh"),
        ({"items": (replace(STYLE, unit="x" * 33),)}, "items[0].unit"),
        ({"items": (replace(STYLE, least=9, most=8),)}, "items[0].most"),
        ({"items": (replace(STYLE, most=4097),)}, "items[0].most"),
        ({"items": (replace(STYLE, kind="date", low=1),)}, "items[0].low"),
        ({"items": (replace(STYLE, redirect=True, kind="file"),)}, "items[0].redirect"),
        ({"items": (replace(STYLE, redirect=True, count=2),)}, "items[0].redirect"),
        ({"items": (replace(STYLE, redirect=True, access="partners"),)}, "items[0].redirect"),
        ({"items": (replace(STYLE, redirect=True), Item(2009, "site", "网址", redirect=True))}, "items[1].redirect"),
    ],
)
def test_what_is_wrong_is_told_by_its_field(changes: dict[str, Any], wrong: str):
    refused = drafting.flaw(replace(DRAFT, **changes))
    assert field(refused) == wrong
    assert refused
    assert refused.zh.startswith(wrong)
    assert refused.en.startswith(wrong)


def test_a_draft_is_free_and_what_is_published_only_grows():
    smaller = replace(DRAFT, items=(STYLE,))
    assert drafting.changed(DRAFT, smaller, None) is None
    assert field(drafting.changed(PUBLISHED, replace(smaller, state=State.PUBLISHED), None)) == "items"
    grown = (STYLE, replace(WEIGHT, enabled=False, high=9), Item(2002, "colour", "颜色"))
    assert drafting.changed(PUBLISHED, replace(PUBLISHED, items=grown), None) is None
    for changed in (replace(WEIGHT, name="mass"), Item(2001, "weight", "重量"), replace(WEIGHT, unique=True)):
        assert field(drafting.changed(PUBLISHED, replace(PUBLISHED, items=(STYLE, changed)), None)) == "items"


def test_whether_a_published_reference_has_several_values_stays():
    one = Item(2001, "made", "产地", kind="reference")
    published = replace(PUBLISHED, items=(one, replace(one, index=2002, name="parts", zh="部件", count=9)))
    for counts, said in (((1, 9), None), ((1, 5), None), ((2, 9), "items"), ((1, 1), "items")):
        items = tuple(replace(item, count=count) for item, count in zip(published.items, counts, strict=True))
        assert field(drafting.changed(published, replace(published, items=items), None)) == said


def test_in_all_versions_of_a_line_an_index_means_the_same():
    second = drafting.next_version(PUBLISHED, "bag-2")
    assert (second.version, second.state, second.lineage, second.number) == ("bag-2", State.DRAFT, 7, 0)
    assert drafting.next_version(replace(second, number=9), "bag-3").lineage == 7
    assert field(drafting.changed(second, replace(second, items=(STYLE,)), PUBLISHED)) == "items"
    assert drafting.changed(second, replace(second, items=(STYLE, replace(WEIGHT, enabled=False))), PUBLISHED) is None


def test_a_copy_begins_a_line_of_its_own():
    copy = drafting.copied(replace(PUBLISHED, lineage=3, revision=4), "88.999.2", "case")
    assert (copy.prefix, copy.version, copy.lineage, copy.revision, copy.origin, copy.state) == (
        "88.999.2",
        "case",
        0,
        1,
        "88.999.1/META_bag",
        State.DRAFT,
    )
    assert copy.items == PUBLISHED.items


def test_its_life_is_a_table():
    moves = {
        (a, b) for a, b in product(State, State) if not isinstance(drafting.moved(replace(DRAFT, state=a), b), Refused)
    }
    assert moves == {
        (State.DRAFT, State.PUBLISHED),
        (State.PUBLISHED, State.WITHDRAWN),
        (State.WITHDRAWN, State.PUBLISHED),
    }
    assert [drafting.removable(replace(DRAFT, state=state)) is None for state in State] == [True, False, True]


def test_strangers_are_told_no_rules_of_what_is_not_public():
    secret = Item(2002, "customer", "客户", access="internal", choices=("甲公司", "乙公司"), responsible="销售部")
    template = replace(PUBLISHED, items=(STYLE, secret))
    assert drafting.outward(template).items == (STYLE, Item(2002, "customer", "客户", access="internal"))
    assert "甲公司" not in str([value.data.decode() for value in drafting.told(template)])


def test_what_its_own_identifier_stands_for():
    template = replace(PUBLISHED, items=(STYLE, WEIGHT, Item(2002, "old", "旧", enabled=False)), updated=1_795_000_000)
    values = drafting.told(template)
    assert Identifier.parse(template.handle).suffix == "META_bag"
    said = {(value.index, value.type): value.data.decode() for value in values}
    assert said[1, "TEMPLATE_NAME"] == "手袋"
    assert said[4, "INDUSTRY"] == "C/19/192/1922"
    assert said[5, "STATE"] == "published"
    assert said[1001, "TEMPLATE"] == "bag"
    assert json.loads(said[2001, "ITEM"]) == {
        "index": 2001,
        "name": "weight",
        "zh": "重量",
        "en": "Weight",
        "kind": "number",
        "low": 0,
        "unit": "kg",
        "access": "public",
    }
    assert not [value for value in values if value.index == 2002]
    assert {value.timestamp for value in values} == {1_795_000_000}

"""Proves registry/template.py: what a template says of itself. Rules over records are proven in test_rules.py."""

from dataclasses import FrozenInstanceError, replace

import pytest

from registry.template import (
    ACCESSES,
    ITEM_INDEX_FIRST,
    LENGTH_DEFAULT,
    LENGTH_MOST,
    Category,
    Item,
    Template,
)

ITEMS = (
    Item(2000, "a", "甲", required=True),
    Item(2001, "b", "乙", required=True, enabled=False),
    Item(2002, "c", "丙"),
)
TEMPLATE = Template("88.999.1", "bag-1", "手袋", "Bag", "", Category("C", "19", "192", "1922"), 2, ITEMS)


def test_items_are_found_by_their_index():
    assert TEMPLATE.by_index == {2000: ITEMS[0], 2001: ITEMS[1], 2002: ITEMS[2]}


def test_only_what_is_enabled_can_be_required():
    assert TEMPLATE.required == (ITEMS[0],)


def test_its_own_identifier_has_the_reserved_suffix():
    assert TEMPLATE.handle == "88.999.1/META_bag-1"


def test_browsers_are_sent_on_by_an_attribute_that_is_enabled():
    assert TEMPLATE.redirect is None
    off, on = (Item(2003 + n, "url", "网址", redirect=True, enabled=bool(n)) for n in range(2))
    assert replace(TEMPLATE, items=(*ITEMS, off, on)).redirect is on
    assert replace(TEMPLATE, items=(off,)).redirect is None


def test_what_is_not_said_is_the_usual():
    item = Item(2000, "a", "甲")
    assert (item.least, item.most, item.low, item.high) == (0, 255, None, None)
    assert (item.required, item.enabled, item.access) == (False, True, "public")
    assert (TEMPLATE.number, TEMPLATE.epoch) == (0, 0)
    assert TEMPLATE.suffix.admits("whatever")


def test_bounds_of_the_openapi():
    assert (ITEM_INDEX_FIRST, LENGTH_DEFAULT, LENGTH_MOST) == (2000, 255, 4096)
    assert ACCESSES == ("public", "partners", "internal")


@pytest.mark.parametrize(("thing", "name"), [(TEMPLATE, "version"), (ITEMS[0], "name")])
def test_templates_and_items_cannot_be_changed(thing: object, name: str):
    with pytest.raises(FrozenInstanceError):
        setattr(thing, name, "x")

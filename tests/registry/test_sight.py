"""Who sees which values: today's classes of access, and what was granted."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proto.value import ADMIN_READ, ADMIN_WRITE, Value
from registry.record import Record
from registry.sight import NO_NAMES, NOTHING, Grant, Reach, reach, seen, visible_values
from registry.template import ACCESSES, Item
from tests.registry.world import BAG

ITEMS = (
    Item(2000, "model", "型号", access="public"),
    Item(2001, "batch", "批号", access="partners"),
    Item(2002, "weight", "重量", access="partners"),
    Item(2003, "cost", "成本", access="internal"),
)
TEMPLATE = replace(BAG, items=ITEMS)
VALUES = tuple(Value(item.index, item.name, item.name.encode()) for item in ITEMS)
RECORD = Record(1, True, 1, 1000, VALUES)


def names(far: Reach, record: Record = RECORD) -> list[str]:
    return [value.type for value in seen(record, TEMPLATE, far)]


def test_everybody_sees_what_is_public_and_its_owner_everything() -> None:
    assert names(NOTHING) == ["model"]
    assert names(Reach(True)) == ["model", "batch", "weight", "cost"]
    shown = visible_values(RECORD, TEMPLATE)
    assert [(v.index, v.type) for v in shown] == [(1000, "TEMPLATE_ID"), (1001, "TEMPLATE"), (2000, "model")]


def test_a_grant_shows_what_it_names_of_what_partners_may_see_and_never_what_is_internal() -> None:
    assert names(Reach(False, (Grant(False, frozenset({"batch"}), False),))) == ["model", "batch"]
    assert names(Reach(False, (Grant(False, None, False),))) == ["model", "batch", "weight"]
    assert names(Reach(False, (Grant(True, frozenset({"cost", "weight"}), True),))) == ["model", "weight"]


def test_an_identifier_with_grants_of_its_own_goes_by_these_alone() -> None:
    class_, single = Grant(False, None, True), Grant(True, frozenset({"batch"}), False)
    assert reach(whole=False, single=True, grants=(class_, single)) == Reach(False, (single,))
    assert reach(whole=False, single=True, grants=(class_,)) == NOTHING
    assert reach(whole=False, single=False, grants=(class_,)) == Reach(False, (class_,))
    for itself in (Grant(True, NO_NAMES, False), Grant(False, NO_NAMES, False)):
        assert reach(whole=False, single=False, grants=(itself,)) == NOTHING, "of no attributes: of no value"


def test_seeing_is_not_editing_and_editing_is_seeing() -> None:
    view, edit = (Reach(False, (Grant(True, frozenset({"batch"}), edit),)) for edit in (False, True))
    assert [[far.edits(item) for item in ITEMS] for far in (view, edit)] == [[False] * 4, [False, True, False, False]]
    assert names(edit) == ["model", "batch"]
    everything = Reach(False, (Grant(True, None, True),))
    assert [everything.edits(item) for item in ITEMS] == [True, True, True, False]
    assert all(Reach(True).edits(item) for item in ITEMS)


def test_the_bit_of_a_value_hides_it_from_everybody_but_not_from_whom_it_was_granted_to() -> None:
    hidden = tuple(replace(value, permissions=ADMIN_READ | ADMIN_WRITE) for value in VALUES)
    record = RECORD._replace(values=hidden)
    assert names(NOTHING, record) == []
    assert names(Reach(False, (Grant(False, None, False),)), record) == ["batch", "weight"]
    assert names(Reach(True), record) == ["model", "batch", "weight", "cost"]


def test_without_a_template_the_bits_alone_say_it() -> None:
    values = (VALUES[0], replace(VALUES[1], permissions=ADMIN_READ))
    record = RECORD._replace(values=values)
    for far in (NOTHING, Reach(False, (Grant(True, None, True),))):
        assert visible_values(record, None, far) == values[:1]
    assert visible_values(record, None, Reach(True)) == values


grants = st.builds(
    Grant, st.booleans(), st.none() | st.frozensets(st.sampled_from([i.name for i in ITEMS])), st.booleans()
)


@given(st.lists(st.sampled_from(ACCESSES), min_size=4, max_size=4), st.lists(grants, max_size=4), st.booleans())
def test_it_is_what_a_plain_reading_of_the_rule_says(accesses: list[str], held: list[Grant], single: bool) -> None:
    items = tuple(replace(item, access=access) for item, access in zip(ITEMS, accesses, strict=True))
    far = reach(whole=False, single=single, grants=held)
    expected = set()
    for item in items:
        for each in held:
            counts = each.single if single else True
            if counts and item.access == "partners" and (each.attributes is None or item.name in each.attributes):
                expected.add(item.name)
        if item.access == "public":
            expected.add(item.name)
    assert {v.type for v in seen(RECORD, replace(TEMPLATE, items=items), far)} == expected

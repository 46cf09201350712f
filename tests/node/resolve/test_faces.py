"""Proves node/resolve/faces.py: what is put together from parts is what the values of the record say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.resolve.faces import Face, Faces
from proto.value import Value
from proto.web_json import array
from registry.record import Record, pack
from registry.sight import Reach, visible_values
from registry.template import Item
from tests.fakes.small_registry import ITEMS, template

NOW = 1_795_000_000

TEXTS = st.one_of(
    *[st.text("ab 9.é皮𠮷/", min_size=1, max_size=9).map(str.encode)] * 8,
    st.binary(max_size=9),
    st.text('a7é皮𠮷"\\/\t\x00\x7f\u00ad\u2028\u3000 ', max_size=9).map(str.encode),
)


@given(
    st.dictionaries(st.sampled_from([2000, 2001, 2002]), TEXTS),
    st.sampled_from([0, 1, NOW, 2**32 - 1]),
    st.sampled_from([Item(2001, "colour", ""), Item(2001, "HS_ADMIN", ""), Item(2001, '颜"色', "")]),
    st.booleans(),
    st.booleans(),
)
def test_what_is_put_together_from_parts_is_what_the_values_say(
    texts: dict[int, bytes], updated: int, item: Item, old: bool, whole: bool
) -> None:
    kept = template(items=(ITEMS[0], item, ITEMS[2]))
    names = {each.index: each.name for each in kept.items}
    values = tuple(Value(n, names[n], texts[n], timestamp=updated // 2 if old else updated) for n in sorted(texts))
    body = pack(values, names, updated)
    shown = Face(kept, whole=whole).shown(body, updated)
    if body[:1] == b"\x02" and item.name != "HS_ADMIN":
        assert shown is not None
    assert shown in (None, array(visible_values(Record(3, True, 1, updated, values), kept, Reach(whole))))


def test_a_type_with_a_form_of_its_own_is_not_put_together_from_parts() -> None:
    kept = template(items=(ITEMS[0], Item(2001, "HS_ADMIN", "")))
    names = {each.index: each.name for each in kept.items}
    for values in (Value(2000, "styleNo", b"S", timestamp=NOW), Value(2001, "HS_ADMIN", b"x", timestamp=NOW)):
        assert Face(kept).shown(pack((values,), names, NOW), NOW) is None


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (pack((Value(2000, "styleNo", "款 1".encode(), timestamp=NOW),), {2000: "styleNo"}, NOW), True),
        (pack((Value(2000, "styleNo", b"S1", timestamp=NOW - 1),), {2000: "styleNo"}, NOW), False),
        (pack((Value(2000, "styleNo", b"S1", 60, timestamp=NOW),), {2000: "styleNo"}, NOW), False),
        (pack((Value(2000, "styleNo", b"\xff", timestamp=NOW),), {2000: "styleNo"}, NOW), False),
        (pack((Value(2002, "costPrice", b"\xff", timestamp=NOW),), {2002: "costPrice"}, NOW), False),
        (pack((Value(2002, "costPrice", b"9", timestamp=NOW),), {2002: "costPrice"}, NOW), True),
        (b"", False),
    ],
)
def test_the_everyday_record_is_put_together_from_parts(body: bytes, shown: bool) -> None:
    assert (Face(template()).shown(body, NOW) is not None) is shown


def test_a_template_that_changed_has_another_face() -> None:
    faces, old, new = Faces(), template(), template()
    assert faces.kept(old.number, old.epoch) is None
    met = faces.met(old)
    assert faces.met(old) is met is faces.kept(old.number, old.epoch)
    assert faces.kept(old.number, old.epoch + 1) is None
    assert faces.met(new) is not met

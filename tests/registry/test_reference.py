"""Proves registry/reference.py: what a record points to, and what of it must be there."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proto.value import Value
from registry.record import Shape, Texts
from registry.reference import Link, links, missing, wanted
from registry.template import Item
from tests.registry.world import BAG

POINTING = replace(
    BAG,
    items=(
        Item(2000, "productName", "产品名称"),
        Item(2001, "leather", "皮料", kind="reference", count=3, existing=True),
        Item(2002, "carton", "箱", kind="reference"),
    ),
)
TYPES = {item.index: item.name for item in POINTING.items}


def values(**texts: str) -> tuple[Value, ...]:
    index = {name: n for n, name in TYPES.items()}
    return tuple(Value(index[name], name, text.encode()) for name, text in texts.items())


def test_references_are_found_by_their_keys():
    assert links(POINTING, values(leather="88.1/A; 88.1/B;88.1/A", carton="0.na/x", productName="88.1/N")) == {
        Link(2001, "88.1/A"),
        Link(2001, "88.1/B"),
        Link(2002, "0.NA/X"),
    }
    assert links(POINTING, values(leather="nonsense", carton="")) == frozenset()
    assert links(BAG, values(leather="88.1/A")) == links(None, values(leather="88.1/A")) == frozenset()


def test_only_what_must_be_there_is_missed():
    given_values = values(leather="88.1/A;88.1/B", carton="88.1/C")
    assert wanted(POINTING, given_values) == {Link(2001, "88.1/A"), Link(2001, "88.1/B")}
    assert missing(POINTING, given_values, {"88.1/C"}) is None
    assert missing(POINTING, given_values, {"88.1/B", "88.1/A"}) == (POINTING.items[1], "88.1/A")
    assert wanted(BAG, given_values) == wanted(None, given_values) == frozenset()


@given(st.lists(st.tuples(st.sampled_from([2000, 2001, 2002, 2003]), st.text("8./A;. ", max_size=12)), max_size=4))
def test_texts_and_values_point_to_the_same(pairs: list[tuple[int, str]]):
    indexes, texts = zip(*pairs, strict=True) if pairs else ((), ())
    said = Texts(Shape.of(indexes, tuple("t" for _ in indexes)), texts)
    assert links(POINTING, said) == links(POINTING, tuple(said))

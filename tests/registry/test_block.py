"""Proves registry/block.py: a block says what its rows would say one by one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.identifier import Identifier
from registry.block import AT_ONCE, Block
from registry.record import Shape, Texts, are_lines
from registry.rules import Request, new_body
from registry.suffix import Segment, SuffixRule
from registry.template import Item, Template
from tests.registry.test_form import BAG, template
from tests.registry.world import PREFIX, alike

SERIAL = SuffixRule((Segment("const", "前", "front", "S-"), Segment("serial", "号", "no")))
TEMPLATES = (
    BAG,
    template(Item(2000, "a", "甲"), Item(2001, "b", "乙", most=3), Item(2003, "c", "丙", kind="number", low=0)),
    template(Item(2000, "a", "甲", least=2), Item(2001, "b", "乙"), Item(2003, "c", "丙")),
)
NAMES = {2000: "a", 2001: "b", 2003: "c", 1999: "z"}


def block(suffixes: list[str], *columns: list[str], indexes: tuple[int, ...] = (2000, 2001, 2003)) -> Block:
    shape = Shape.of(indexes, [NAMES[index] for index in indexes])
    assert shape.even
    return alike(shape, suffixes, [[text.encode() for text in column] for column in columns])


def bodies(of: Block, wanted: Template) -> list[bytes] | None:
    (part,) = of.parts
    return of.bodies(part, wanted)


def by_row(of: Block, wanted: Template) -> list[bytes | None]:
    return [new_body(request, wanted) for request in of.requests(of.parts)]


said = st.sampled_from(["a", "ab", "包", "包包", "包包包", "包包包包", "5", "-5", "1e3", "x" * 255, "x" * 256])
suffixes = st.lists(st.sampled_from(["S-1", "S-22", "S-x", "A/B", "META_1", "meta_1"]), min_size=1, unique=True)


@given(suffixes, st.data(), st.sampled_from(TEMPLATES), st.booleans())
def test_a_block_is_judged_as_its_rows(names: list[str], data: st.DataObject, wanted: Template, strict: bool) -> None:
    rows = st.lists(said, min_size=len(names), max_size=len(names))
    of = block(names, *(data.draw(rows) for _ in range(3)))
    if strict:
        wanted = template(*wanted.items)
        object.__setattr__(wanted, "suffix", SERIAL)
    each = by_row(of, wanted)
    assert bodies(of, wanted) == (None if None in each else each)


@pytest.mark.parametrize(("suffix", "fine"), [("S-1", True), ("META_1", False), ("meta_1", True), ("A/B", True)])
def test_suffixes_of_templates_are_looked_at_closer(suffix: str, fine: bool) -> None:
    of = block(["S-0", suffix], ["ab", "包包"], ["b", "c"], ["c", "d"])
    each = by_row(of, TEMPLATES[2])
    assert (None not in each) == fine
    assert bodies(of, TEMPLATES[2]) == (each if fine else None)


@pytest.mark.parametrize("indexes", [(2000,), (2001,), (2000, 2003), (2001, 2003), (2003,)])
def test_values_that_are_skipped_leave_their_place(indexes: tuple[int, ...]) -> None:
    wanted = template(*(Item(index, NAMES[index], "名") for index in (2000, 2001, 2003)))
    if indexes[-1] - 2000 > 2 * len(indexes):
        assert not Shape.of(indexes, [NAMES[index] for index in indexes]).even
        return
    of = block(["A", "B"], *([f"{index}-A", f"{index}-B"] for index in indexes), indexes=indexes)
    assert bodies(of, wanted) == by_row(of, wanted)
    assert None not in by_row(of, wanted)


def test_its_rows_are_requests_and_it_can_be_cut() -> None:
    size = 2 * AT_ONCE + 3
    names, boxes = [f"B/{n}" for n in range(size)], [f"箱{n}" for n in range(size)]
    of = block(names, ["1"] * size, boxes, ["x"] * size)
    requests = of.requests(of.parts)
    assert len(requests) == of.size == size
    assert requests[-1] == Request(
        "create", Identifier.parse(f"{PREFIX}/{names[-1]}"), "bag", Texts(of.shape, ("1", boxes[-1], "x"))
    )
    assert of.suffixes == names
    assert of.keys == of.keys_of(names) == [request.identifier.key for request in requests]
    assert [some.size for some in of.cut(2 * AT_ONCE)] == [2 * AT_ONCE, 3]
    assert [some.size for some in of.cut(2 * AT_ONCE + 2)] == [2 * AT_ONCE, 3]
    assert [some.size for some in of.cut(2 * AT_ONCE + 3)] == [size]
    assert of.alike(next(of.cut(AT_ONCE)))
    for other in (of._replace(prefix="88.1"), of._replace(template="hat"), of._replace(shape=Shape.of([2000], ["a"]))):
        assert not of.alike(other)
    assert [request for some in of.cut(AT_ONCE) for request in some.requests(some.parts)] == requests


@given(st.lists(st.binary(min_size=1, max_size=6).map(lambda octets: octets.replace(b'"', b"x")), max_size=4))
def test_texts_are_lines_if_each_alone_is_one(texts: list[bytes]) -> None:
    shape = Shape.of([2000], ["a"])
    assert are_lines(texts) == all(Texts.read(shape, [text]) is not None for text in texts)

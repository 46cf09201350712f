"""Proves registry/form.py: it takes the everyday row, and nothing that `judge` would not accept with that body."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from proto.value import Value
from registry.account import Account
from registry.form import SHAPES_MOST, Form
from registry.prefix import PrefixState, RegisteredPrefix
from registry.record import Record, Shape, Texts, pack
from registry.rights import Role
from registry.rules import Accepted, Refused, Request, judge
from registry.template import Category, Item, Template
from tests.registry.world import NOW, PREFIX, identifier

WHO = Account(1, "tianma", "program", Role.ENTERPRISE_ADMIN, 1)
OURS = RegisteredPrefix(1, PREFIX, PrefixState.ENABLED, 3, 1)
PLAIN = (
    Item(2000, "productName", "产品名称", required=True, least=2, most=6),
    Item(2001, "weight", "重量", low=0, high=100),
    Item(2002, "colour", "颜色"),
    Item(2004, "old", "旧", required=True, enabled=False),
    Item(2005, "made", "日期", kind="date", since="2020-01-01"),
    Item(2006, "parts", "零件", kind="reference", count=2),
    Item(2007, "grade", "等级", choices=("甲", "乙")),
    Item(2008, "manual", "说明书", kind="file", extensions=("pdf",)),
    Item(2009, "length", "长", kind="number", accuracy=1),
    Item(2300, "note", "备注", most=300, least=1),
)
NAMES = {item.index: item.name for item in PLAIN}


def template(*items: Item) -> Template:
    return Template(PREFIX, "bag", "手袋", "Bag", "", Category("C", "19", "192", "1922"), 2, items or PLAIN, number=7)


BAG = template()


def texts_of(values: list[tuple[int, str, str]]) -> Texts:
    indexes, types, texts = zip(*values, strict=True) if values else ((), (), ())
    return Texts(Shape.of(indexes, types), texts)


def judged(values, wanted: Template = BAG, record: Record | None = None):
    return judge(record, Request("create", identifier("A"), "bag", values), WHO, OURS, wanted, NOW)


texts = st.lists(
    st.tuples(
        st.sampled_from([1999, 2000, 2001, 2002, 2003, 2004, 2300]),
        st.sampled_from(["productName", "weight", "colour", "old", "note", "Colour"]),
        st.text(max_size=8) | st.sampled_from(["", "0", "99.5", "100.1", "-1", "1e3", "x" * 255, "袋" * 256]),
    ),
    max_size=6,
)
likely = st.tuples(st.sampled_from(["包包", "挎包包", "", "包"]), st.sampled_from(["", "5", "101"]), st.booleans()).map(
    lambda drawn: [
        (2000, "productName", drawn[0]),
        (2001, "weight", drawn[1]),
        *([(2300, "note", "n" * 200)] if drawn[2] else []),
    ]
)

TYPED = [item for item in PLAIN if 2005 <= item.index < 2300]
SAID = ["", "2026-02-28", "2026-02-30", "2019-12-31", "20260228", "2026-W01-1", "88.1/A", "88.1/A; 88.1/B", "甲", "丙"]
SAID += ["88.1/A;;88.1/B", "88.1/A;88.1/B;88.1/C", "a.PDF", "https://x.cn/a.pdf?v=1", "a b.pdf", "a.doc", "1.5", "1.55"]
typed = st.lists(st.tuples(st.sampled_from(TYPED), st.sampled_from(SAID)), unique_by=lambda pair: pair[0].index).map(
    lambda drawn: [
        (2000, "productName", "包包"),
        *((item.index, item.name, text) for item, text in sorted(drawn, key=lambda pair: pair[0].index)),
    ]
)


@given(texts | likely | typed)
def test_with_and_without_a_form_a_row_is_judged_alike(given_texts: list[tuple[int, str, str]]) -> None:
    mine, theirs = judged(texts_of(given_texts)), judged(tuple(texts_of(given_texts)))
    if isinstance(theirs, Refused):
        assert mine == theirs
        return
    assert isinstance(mine, Accepted)
    assert isinstance(theirs, Accepted)
    assert (mine.kind, mine.record.version, mine.record.live, mine.record.template, mine.record.updated) == (
        theirs.kind,
        theirs.record.version,
        theirs.record.live,
        theirs.record.template,
        theirs.record.updated,
    )
    body = mine.body if mine.body is not None else pack(mine.record.values, NAMES, NOW)
    assert body == pack(theirs.record.values, NAMES, NOW)


@given(st.lists(texts | likely | typed, min_size=1, max_size=3), st.booleans())
def test_many_are_taken_if_each_is(many: list[list[tuple[int, str, str]]], alike: bool) -> None:
    first, *others = many
    indexes = [index for index, _, _ in first]
    if not first or "" in (text for _, _, text in first):
        return
    # Texts of others, index by index, for as many as there are.
    rows = [[text or "包" for _, _, text in other][: len(first)] for other in others]
    rows = [[text for _, _, text in first], *([*row, *(text for _, _, text in first[len(row) :])] for row in rows)]
    if alike:
        rows = rows[:1] * 3
    shape = Shape.of(indexes, [name for _, name, _ in first])
    columns = [[text.encode() for text in column] for column in zip(*rows, strict=True)]
    assert BAG.form.takes_all(shape, columns) == all(BAG.form.takes(Texts(shape, row)) for row in rows)


def test_the_everyday_row_is_taken() -> None:
    assert BAG.form.takes(texts_of([(2000, "productName", "包包"), (2001, "weight", "5"), (2300, "note", "n")]))
    accepted = judged(texts_of([(2000, "productName", "包包")]))
    assert isinstance(accepted, Accepted)
    assert accepted.body == pack((Value(2000, "productName", "包包".encode(), timestamp=NOW),), NAMES, NOW)


def test_what_a_form_does_not_take_is_left_to_judge() -> None:
    good = (2000, "productName", "包包")
    for left in (
        [(2001, "weight", "5")],
        [good, good],
        [(2001, "weight", "5"), good],
        [good, (2001, "weight", "101")],
        [good, (2002, "Colour", "红")],
        [good, (2003, "colour", "红")],
        [good, (2004, "old", "x")],
        [(2000, "productName", "包")],
        [(2000, "productName", "包" * 7)],
    ):
        assert not BAG.form.takes(texts_of(left))
    assert Form(()).takes(texts_of([]))


def test_a_revived_or_updated_record_is_judged_value_by_value() -> None:
    gone = Record(4, False, 7, NOW - 9, ())
    accepted = judged(texts_of([(2000, "productName", "包包")]), record=gone)
    assert isinstance(accepted, Accepted)
    assert (accepted.body, accepted.record.version) == (None, 5)
    assert accepted.record.values == (Value(2000, "productName", "包包".encode(), timestamp=NOW),)


def test_a_template_that_changed_has_another_form() -> None:
    first = template(Item(2000, "productName", "产品名称"))
    second = replace(first, items=(Item(2000, "name", "名称"),))
    assert first.form.takes(texts_of([(2000, "productName", "x")]))
    assert not second.form.takes(texts_of([(2000, "productName", "x")]))


def test_texts_are_the_values_they_say() -> None:
    said = texts_of([(2000, "a", "甲"), (2001, "b", "")])
    values = (Value(2000, "a", "甲".encode()), Value(2001, "b", b""))
    assert said == values
    assert values == said
    assert tuple(said) == values
    assert (len(said), said[1], said[:1]) == (2, values[1], values[:1])
    assert hash(said) == hash(values)
    assert said != values[:1]
    assert repr(said) == "Texts(Shape(indexes=(2000, 2001), types=('a', 'b'), even=True), ('甲', ''))"


def test_texts_are_kept_as_a_line_where_they_can_be_one() -> None:
    line = texts_of([(2001, "a", "甲 1"), (2004, "b", "é"), (2005, "c", "x" * 300)])
    assert line.body == "\x02\x1f甲 1\x1f\x1f\x1fé\x1f".encode() + b"x" * 300
    assert line.texts == ["甲 1", "é", "x" * 300]
    assert line.lengths == [3, 1, 300]
    for other in (
        [(2000, "a", "")],
        [(2000, "a", 'x"')],
        [(2000, "a", "x\x1fy")],
        [(2001, "a", "x"), (2000, "b", "y")],
        [(2000, "a", "x"), (2000, "a", "y")],
        [(1999, "a", "x")],
        [(2003, "a", "x")],
        [],
    ):
        kept = texts_of(other)
        assert kept.body is None
        assert list(kept.texts) == [text for _, _, text in other]
        assert kept == tuple(Value(index, type_, text.encode()) for index, type_, text in other)


def test_only_so_many_shapes_are_remembered() -> None:
    form = Form(Item(2000 + n, f"item{n}", "项") for n in range(SHAPES_MOST + 9))
    for n in range(SHAPES_MOST + 9):
        assert form.takes(texts_of([(2000 + n, f"item{n}", "x")]))
        assert len(form._plans) <= SHAPES_MOST

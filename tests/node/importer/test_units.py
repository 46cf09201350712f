"""Proves node/importer/units.py: rows times serials, repetitions found, bodies as batchCreate takes them."""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.importer import units as module
from node.importer.mapping import MapFile, attributes_of, bind
from node.importer.problem import Problem
from node.importer.rows import Block, Plain, Row, plain_cells
from node.importer.units import HANDLE_PLACE, Expansion, Repeats, Shape, Tally, Target, Together, Unit
from registry.template import Item
from tests.fakes.snms import OWN_ITEMS, PREFIX, TEMPLATE

ATTRIBUTES = attributes_of(OWN_ITEMS)


def only_units(found: Iterable[Unit | Together]) -> Iterator[Unit]:
    for each in found:
        yield from each.units if isinstance(each, Together) else (each,)


def units(
    *rows: Row,
    suffix: str = "B-{id}",
    tally: Tally | None = None,
    serials: int = 1,
) -> list[Unit]:
    binding = bind(("id", "款号", "colour"), ATTRIBUTES, MapFile(suffix=suffix))
    wanted = Target(PREFIX, TEMPLATE, serials)
    return [*only_units(Expansion(binding, wanted, Repeats()).units(rows, tally or Tally()))]


def test_a_row_becomes_what_batch_create_takes() -> None:
    (unit,) = units(Row(2, ("7", 'S"1', "深棕")))
    assert (unit.row, unit.serial, unit.identifier, unit.refusal) == (2, 1, f"{PREFIX}/B-7", "")
    assert json.loads(unit.body) == {
        "handle": f"{PREFIX}/B-7",
        "templateVersion": TEMPLATE,
        "value": [
            {"index": 2000, "type": "styleNo", "data": {"format": "string", "value": 'S"1'}},
            {"index": 2001, "type": "colour", "data": {"format": "string", "value": "深棕"}},
        ],
    }


def test_a_row_without_values_is_sent_for_the_node_to_judge() -> None:
    (unit,) = units(Row(2, ("7", "", "")))
    assert json.loads(unit.body)["value"] == []


def test_serials_count_within_each_row() -> None:
    found = units(Row(2, ("7", "S", "r")), Row(3, ("8", "S", "r")), suffix="{id}-{serial:03d}", serials=2)
    assert [(u.row, u.serial, u.identifier.partition("/")[2]) for u in found] == [
        (2, 1, "7-001"),
        (2, 2, "7-002"),
        (3, 1, "8-001"),
        (3, 2, "8-002"),
    ]


def test_rows_that_cannot_be_read_cost_one_refusal_and_empty_ones_none() -> None:
    tally = Tally()
    found = units(Row(2, (), "列数不符：应为3列，实为2列"), Row(3, ()), Row(4, ("", "S", "r")), tally=tally, serials=9)
    assert found == [
        Unit(2, 1, "", b"", "列数不符：应为3列，实为2列"),
        Unit(4, 1, "", b"", "组成标识的“id”是空的"),
    ]
    assert tally == Tally(rows=2, empty=1)


def test_a_repeated_identifier_is_told_with_its_row() -> None:
    found = units(Row(2, ("7", "S", "red")), Row(5, ("8", "S", "red")), Row(9, ("7", "S", "blue")))
    assert found[2] == Unit(9, 1, f"{PREFIX}/B-7", b"", "与第2行的标识重复")
    assert [bool(unit.body) for unit in found] == [True, True, False]


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        ("88.999.2001/BAG", f"标识的前缀是88.999.2001，不是所导入企业的前缀{PREFIX}"),
        (" BAG", "标识的前缀不能含空格，后缀首尾不能是空格"),
        ("B\u0007", "handle含有不允许的字符U+0007"),
        ("B" * 300, "标识长度不能超过255个字符"),
    ],
)
def test_what_cannot_be_an_identifier_is_refused_and_never_altered(text: str, refusal: str) -> None:
    assert units(Row(2, (text, "S", "r")), suffix="{id}") == [Unit(2, 1, "", b"", refusal)]


def test_the_same_prefix_may_stand_before_a_suffix() -> None:
    (unit,) = units(Row(2, (f"{PREFIX}/7é", "S", "r")), suffix="{id}")
    assert (unit.identifier, unit.refusal) == (f"{PREFIX}/7é", "")


NAMES = ("styleNo", 'qu"ote', "备注%s")
ITEMS = tuple(Item(2000 + place, name, "名") for place, name in enumerate(NAMES))


@given(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=9)] * 3))
@example(("", "", ""))
@example(("", "b", ""))
@example(("a\x7fb", "", "c"))
@example(("\x7f", "\x7f", "\x7f"))
@example(('"', '",', "\\"))
def test_a_body_is_what_msgspec_makes_of_it(texts: tuple[str, ...]) -> None:
    # Always: octet for octet what encoding it value by value gives.
    value = [
        {"index": item.index, "type": item.name, "data": {"format": "string", "value": text}}
        for item, text in zip(ITEMS, texts, strict=True)
        if text
    ]
    slow = msgspec.json.encode({"handle": "h", "templateVersion": TEMPLATE, "value": value})
    pieces = Shape(ITEMS, TEMPLATE).pieces(texts)
    pieces[HANDLE_PLACE] = b"h"
    assert b"".join(pieces) == slow


@given(st.lists(st.text("ab", max_size=9), max_size=60))
def test_repeats_know_the_first_row_of_every_key(keys: list[str]) -> None:
    # Always: what a dictionary would say.
    repeats, first = Repeats(), dict[str, int]()
    for row, key in enumerate(keys, 2):
        assert repeats.first(key, row) == first.get(key, 0)
        first.setdefault(key, row)


def test_repeats_keep_what_they_know_while_growing() -> None:
    repeats, count = Repeats(), module._FIRST_SLOTS * 4
    assert [repeats.first(f"k{n}", n + 1) for n in range(count)] == [0] * count
    assert [repeats.first(f"k{n}", count) for n in range(count)] == list(range(1, count + 1))


def test_more_identifiers_than_can_be_remembered_get_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IDENTIFIERS_MOST", 2)
    repeats = Repeats()
    assert [repeats.first(key, 2) for key in ("a", "b", "a")] == [0, 0, 2]
    with pytest.raises(Problem, match="at most 2 identifiers, reached in row 7"):
        repeats.first("c", 7)


PREFIXED = [f"{PREFIX}/7", f"{PREFIX}/", "88.999.2001/7"]
ODD = ["", " ", "\u3000", '"', "a,b", "x\ny", "\x7f", "\\", *PREFIXED, "深棕", "\u0007", "B" * 300]
CELLS = st.one_of(st.sampled_from("abcdefghij"), st.text("abc019é深", min_size=1, max_size=9), st.sampled_from(ODD))
ROWS = st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=12)
SUFFIXES = ["{id}", "B-{id}", "B-{id}-{款号}", "{colour}/{id}", "{id}{serial:03d}", "B%-{id}"]
MAPS = [{}, {"constants": {"note": "n"}}, {"replace": {"colour": {"深棕": "brown"}}}, {"whole": ["款号"]}]


@given(ROWS, st.sampled_from(SUFFIXES), st.sampled_from(MAPS), st.integers(1, 2))
@example([["1", "S", ""], ["2", " ", "red"], ["3", "S", ""]], "B-{id}", {}, 1)
@example([["1", "S", ""], ["2", "T", "red"], ["3", "S", "\u3000"]], "B-{id}", {"constants": {"note": "n"}}, 1)
@example([["1", "S", "r"], ["2", "T", "r"], ["1", "S", "r"], ["2", "T", "r"], ["3", "T", "r"]], "{id}", {}, 1)
@example([[f"{PREFIX}/1", "S", "r"], ["2", "T", "r"]], "{id}", {}, 1)
@example([["1", "S", "r"], [f"{PREFIX}/", "T", "r"]], "{id}", {}, 1)
@example([["1\\", "S", "r"], ["2", "T\\", " "], ["3", "", "r\\"]], "B-{id}", {"replace": {"colour": {" ": "x"}}}, 1)
@example([["1", "S\\", "r"], ["2", " ", "r,s"]], "B-{id}", {"constants": {"note": 'n"'}}, 1)
def test_rows_are_the_same_one_by_one_and_together(
    rows: list[list[str]], suffix: str, map_: dict[str, Any], serials: int
) -> None:
    # Always: bodies, refusals and counts do not hang on how many rows are looked at together.
    binding = bind(("id", "款号", "colour"), ATTRIBUTES, MapFile(suffix=suffix, **map_))
    target = Target(PREFIX, TEMPLATE, serials)
    blocks = [Block(2 + at, rows[at : at + 2]) for at in range(0, len(rows), 2)]
    one_by_one, together = Tally(), Tally()
    found = list(only_units(Expansion(binding, target, Repeats()).units(blocks, together)))
    read = [row for block in blocks for row in block.rows]
    assert found == list(Expansion(binding, target, Repeats()).units(read, one_by_one))
    assert together == one_by_one
    plain = [as_plain(block) for block in blocks]
    assert list(only_units(Expansion(binding, target, Repeats()).units(plain, Tally()))) == found


def as_plain(block: Block) -> Block | Plain:
    """The same cut out of octets, where they are plain."""
    text = io.StringIO()
    csv.writer(text).writerows(block.cells)
    cells = plain_cells(text.getvalue().encode(), b",", 3)
    return Plain(block.number, 3, cells) if cells else block


def test_everyday_rows_come_together_and_empty_cells_do_not_part_them() -> None:
    binding = bind(("id", "款号", "colour"), ATTRIBUTES, MapFile(suffix="B-{id}"))
    block = Block(2, [["1", "S", ""], ["2", "T", 'dark "brown"']])
    (together,) = Expansion(binding, Target(PREFIX, TEMPLATE), Repeats()).units([block], Tally())
    assert isinstance(together, Together)
    assert together.body == b"[" + b",".join(unit.body for unit in together.units) + b"]"

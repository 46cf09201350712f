"""Proves node/importer/mapping.py: names find columns, a MAP.toml overrules them, a row becomes texts and a suffix."""

from pathlib import Path

import pytest

from node.importer.mapping import Binding, MapFile, attributes_of, bind, read_map
from node.importer.problem import Problem
from proto.errors import ProtoError
from registry.template import Item
from tests.fakes.snms import OWN_ITEMS, PREFIX

ATTRIBUTES = attributes_of(OWN_ITEMS)
STYLE, COLOUR, CYLINDERS, NOTE = ATTRIBUTES
BY_ID = MapFile(suffix="B-{id}")


def bound(header: str, map_: MapFile = BY_ID, suffix: str = "") -> Binding:
    return bind(tuple(header.split(",")), ATTRIBUTES, map_, suffix)


def identifiers(binding: Binding, *cells: str, serials: int = 1) -> list[str]:
    reading = binding.read(cells)
    return [binding.handle(reading.cells, PREFIX, serial) for serial in range(1, serials + 1)]


def texts(binding: Binding, *cells: str) -> dict[Item, str]:
    """What a row says, by attribute, without what is empty."""
    pairs = zip(binding.attributes, binding.read(cells).texts, strict=True)
    return {attribute: text for attribute, text in pairs if text}


def test_attributes_are_the_enabled_items() -> None:
    assert ATTRIBUTES[:2] == (
        Item(2000, "styleNo", "款号", required=True, least=1, most=64),
        Item(2001, "colour", "颜色", required=True, least=1, most=20),
    )
    assert [a.name for a in ATTRIBUTES] == ["styleNo", "colour", "cylinders", "note"]


@pytest.mark.parametrize("name", ["colour", "Colour", "COLOUR", "颜色", "2001"])
def test_a_column_named_like_an_attribute_is_it(name: str) -> None:
    assert bound(f"id,{name}").columns == ((COLOUR, 1),)


def test_two_columns_of_one_attribute_are_ambiguous_until_one_is_named() -> None:
    with pytest.raises(Problem, match="2 columns of the header are colour"):
        bound("id,颜色,colour")
    assert bound("id,颜色,colour", MapFile(suffix="{id}", columns={"颜色": "colour"})).columns == ((COLOUR, 2),)


def test_a_map_adds_to_what_names_say_and_can_take_away() -> None:
    map_ = MapFile(suffix="{id}", columns={"note": "baseColour", "cylinders": ""}, constants={"2000": "S-1"})
    binding = bound("id,baseColour,colour,cylinders,,extra", map_)
    assert binding.columns == ((COLOUR, 2), (NOTE, 1))
    assert binding.constants == ((STYLE, "S-1"),)
    assert binding.unused == ("cylinders", "extra")


@pytest.mark.parametrize(
    ("header", "map_", "sentence"),
    [
        ("id,colour", MapFile(suffix="{id}", columns={"size": "id"}), "模板里没有属性“size”，或已禁用"),
        ("id,colour", MapFile(suffix="{id}", columns={"old": "id"}), "模板里没有属性“old”，或已禁用"),
        ("id,colour", MapFile(suffix="{id}", columns={"note": "x"}), "列“x”在表头里没有；表头有：id、colour"),
        ("id,ID,colour", MapFile(suffix="{id}"), "列“id”在表头里不止一个"),
        ("id,colour", MapFile(suffix="{id}", replace={"x": {}}), "列“x”在表头里没有"),
        ("id,colour", MapFile(suffix="{id}", whole=["x"]), "列“x”在表头里没有"),
        ("id,colour", MapFile(suffix="{id}", columns={"note": "id"}, constants={"备注": "x"}), "既有列又有常量"),
        ("id,x", MapFile(suffix="{id}"), "没有一列与模板的属性同名"),
        ("id,colour", MapFile(), "不知道标识怎么组成"),
        ("标识,handle,colour", MapFile(), "不止一列是标识"),
        ("id,colour", MapFile(suffix="{id"), "花括号没有成对"),
        ("id,colour", MapFile(suffix="{id:3}"), "写法不对"),
        ("id,colour", MapFile(suffix="{id!r}"), "写法不对"),
        ("id,colour", MapFile(suffix="{serial:6d}"), "写法不对"),
        ("id,colour", MapFile(suffix="{id.real}"), "列“id.real”在表头里没有"),
        ("id,serial,colour", MapFile(suffix="{serial}"), "也有一列叫serial"),
    ],
)
def test_what_cannot_be_bound_gets_a_sentence(header: str, map_: MapFile, sentence: str) -> None:
    with pytest.raises(Problem) as caught:
        bound(header, map_)
    assert sentence in caught.value.zh


def test_a_suffix_is_made_of_texts_columns_and_the_serial() -> None:
    binding = bound("id,make,colour", MapFile(suffix="never"), "{make}-{{{id}}}-{serial:03d}-{serial}")
    assert identifiers(binding, "7", "A", "red", serials=2) == [f"{PREFIX}/A-{{7}}-001-1", f"{PREFIX}/A-{{7}}-002-2"]
    assert binding.pattern.counts
    assert not bound("id,colour").pattern.counts


@pytest.mark.parametrize("header", ["标识", "Handle", "identifier"])
@pytest.mark.parametrize("text", [f"{PREFIX}/BAG/1", "BAG/1"])
def test_an_identifier_column_holds_it_whole_or_its_suffix(header: str, text: str) -> None:
    binding = bound(f"{header},colour", MapFile())
    assert identifiers(binding, text, "red") == [f"{PREFIX}/BAG/1"]
    assert binding.unused == ()


def test_an_identifier_of_another_prefix_is_refused() -> None:
    with pytest.raises(ProtoError) as caught:
        identifiers(bound("标识,colour", MapFile()), "88.999.2001/BAG", "red")
    assert caught.value.zh == f"标识的前缀是88.999.2001，不是所导入企业的前缀{PREFIX}"


@pytest.mark.parametrize(
    ("suffix", "cell"), [("88.999.2001/{id}", "B"), ("{id}", "88.999.2001/B"), ("8{id}", "8.999.2001/B")]
)
def test_another_prefix_is_seen_whatever_the_pattern_begins_with(suffix: str, cell: str) -> None:
    with pytest.raises(ProtoError, match=f"not {PREFIX} of the enterprise"):
        identifiers(bound("id,colour", MapFile(suffix=suffix)), cell, "red")


def test_an_identifier_needs_its_columns() -> None:
    assert bound("id,colour").read((" ", "red")).refusal == "组成标识的“id”是空的"


def test_empty_cells_give_no_value_and_others_are_not_altered() -> None:
    binding = bound("id,colour,note,款号", MapFile(suffix="{id}", constants={"cylinders": "4"}))
    assert texts(binding, "1", "  ", " a b ", "007") == {NOTE: " a b ", STYLE: "007", CYLINDERS: "4"}


@pytest.mark.parametrize(
    ("cell", "text"), [("4.0", "4"), ("4", "4"), ("4.", "4"), ("-12.000", "-12"), ("007", "007"), ("", None)]
)
def test_whole_numbers_lose_their_point(cell: str, text: str | None) -> None:
    binding = bound("id,cylinders", MapFile(suffix="{id}", whole=["cylinders"]))
    assert texts(binding, "1", cell).get(CYLINDERS) == text


@pytest.mark.parametrize("cell", ["4.5", "1e3", "four", "1,000"])
def test_what_is_no_whole_number_is_refused(cell: str) -> None:
    binding = bound("id,cylinders", MapFile(suffix="{id}", whole=["cylinders"]))
    assert binding.read(("1", cell)).refusal == f"“cylinders”应为整数，实为“{cell}”"


def test_cells_are_replaced_before_they_are_read_and_used() -> None:
    map_ = MapFile(
        suffix="B-{id}", whole=["id", "cylinders"], replace={"colour": {"Black": "黑色"}, "cylinders": {"NA": ""}}
    )
    binding = bound("id,colour,cylinders", map_)
    assert texts(binding, "7.0", "Black", "NA") == {COLOUR: "黑色"}
    assert identifiers(binding, "7.0", "black", "4") == [f"{PREFIX}/B-7"]


def test_a_map_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(
        'suffix = "B-{id}"\nwhole = ["cyl"]\n[columns]\ncylinders = "cyl"\n[constants]\n"款号" = "S"\n'
        '[replace.cyl]\nNA = ""\n',
        "utf-8",
    )
    assert read_map(path) == MapFile("B-{id}", {"cylinders": "cyl"}, {"款号": "S"}, {"cyl": {"NA": ""}}, ["cyl"])
    assert read_map(None) == MapFile()


@pytest.mark.parametrize(
    ("octets", "word"),
    [
        (b"suffx = 'x'", "suffx"),
        (b"whole = 'x'", "array"),
        (b"suffix = ", "Invalid value"),
        ("suffix = '款'".encode("gb18030"), "utf-8"),
    ],
)
def test_a_wrong_map_file_gets_a_sentence(tmp_path: Path, octets: bytes, word: str) -> None:
    path = tmp_path / "map.toml"
    path.write_bytes(octets)
    with pytest.raises(Problem, match=word):
        read_map(path)


def test_a_map_file_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="No such file"):
        read_map(tmp_path / "none.toml")

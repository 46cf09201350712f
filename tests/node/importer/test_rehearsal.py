"""Proves node/importer/rehearsal.py: a row is refused by the node's own rules, in the node's words."""

import pytest

from node.importer.mapping import MapFile, attributes_of, bind
from node.importer.rehearsal import Rehearsal, suffix_rule
from node.importer.rows import Block, Row
from node.importer.units import Expansion, Repeats, Tally, Target, Together, Unit
from registry.suffix import Segment, SuffixRule
from registry.template import Item
from tests.fakes.snms import OWN_ITEMS, PREFIX, TEMPLATE

ATTRIBUTES = attributes_of(OWN_ITEMS)


def rehearsed(part: Row | Block, attributes: tuple[Item, ...] = ATTRIBUTES, rule: SuffixRule | None = None) -> Unit:
    """What comes of the one row of `part`, under a header of the first attributes."""
    binding = bind(("id", *(each.name for each in attributes[:2])), attributes, MapFile(suffix="B-{id}"))
    checks = Rehearsal(attributes, TEMPLATE, rule or SuffixRule())
    (unit,) = Expansion(binding, Target(PREFIX, TEMPLATE, 1, checks), Repeats()).units([part], Tally())
    assert not isinstance(unit, Together)
    return unit


@pytest.mark.parametrize(
    ("cells", "refusal"),
    [
        (("7", "S", ""), "缺少必填属性颜色（colour）"),
        (("7", "S", "x" * 21), "颜色（colour）长度应在1到20之间，实为21"),
        (("7", "S", "x" * 20), ""),
    ],
)
def test_presence_and_length_are_checked(cells: tuple[str, ...], refusal: str) -> None:
    for part in (Row(2, cells), Block(2, [list(cells)])):
        unit = rehearsed(part)
        assert unit.refusal == refusal
        assert bool(unit.body) is not bool(refusal)


def test_types_are_checked() -> None:
    made = attributes_of([{"index": 2000, "name": "made", "zh": "生产日期", "kind": "date"}])
    assert rehearsed(Row(2, ("7", "2026-02-28")), made).refusal == ""
    bad = rehearsed(Row(3, ("8", "28.2.2026")), made)
    assert bad.refusal == "生产日期（made）应为写作yyyy-MM-dd的日期，实为28.2.2026"


def test_the_suffix_rule_is_checked() -> None:
    rule = SuffixRule((Segment("const", "手袋", "bag", "B-"), Segment("digits", "编号", "number")))
    refusal = "后缀B-x不符合模板bag的编码规则B-{编号}"
    assert rehearsed(Row(2, ("x", "S", "r")), rule=rule) == Unit(2, 1, f"{PREFIX}/B-x", b"", refusal)
    assert rehearsed(Row(2, ("7", "S", "r")), rule=rule).refusal == ""


def test_the_suffix_rules_of_the_industries_are_known() -> None:
    rule = suffix_rule("leather-handbag")
    assert rule.admits("BAG-48123-000001")
    assert not rule.admits("BAG-48123")
    assert suffix_rule("one of our own").admits("anything")

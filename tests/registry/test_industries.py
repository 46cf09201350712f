"""Proves registry/industries: the templates are whole, their suffix rules work, a bad file is told by name and field.

Run as a program (`python tests/registry/test_industries.py`) it writes docs/industries.md, which a test keeps true.
"""

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.industries import industry, load, read, templates_for
from registry.suffix import Segment, SuffixRule
from registry.template import ACCESSES, ITEM_INDEX_FIRST, LENGTH_MOST, Item, Template

PAGE = Path(__file__).parents[2] / "docs" / "industries.md"
TEMPLATES = [template for each in load() for template in each.templates]
BY_VERSION = {template.version: template for template in TEMPLATES}

WANTED = {
    "leather": {"leather-tannery", "leather-batch", "leather-handbag", "leather-carton", "leather-pallet"},
    "automotive": {"auto-cell", "auto-pack", "auto-vehicle"},
    "cosmetics": {"cosmetics-ingredient", "cosmetics-lot", "cosmetics-product"},
    "equipment": {"equipment-controller", "equipment-robot"},
}
REFERENCES = {
    ("leather-batch", "tanneryHandle"): "leather-tannery",
    ("leather-handbag", "leatherBatch"): "leather-batch",
    ("leather-handbag", "parentHandle"): "leather-carton",
    ("leather-carton", "parentHandle"): "leather-pallet",
    ("auto-pack", "cells"): "auto-cell",
    ("auto-vehicle", "batteryPack"): "auto-pack",
    ("cosmetics-lot", "ingredientLots"): "cosmetics-ingredient",
    ("cosmetics-product", "lotHandle"): "cosmetics-lot",
    ("equipment-robot", "controller"): "equipment-controller",
}
SENSITIVE = re.compile(r"price|cost|supplier|inspector|customer|keyTest|keyTorque|dealer|purchase|operator", re.I)
"""What a competitor would like to know: never public."""
CATALOGUES = {
    "leather-handbag": "styleNo targetUser productLine productCategory articleType colour season designYear usage",
    "auto-vehicle": "brand model modelYear vehicleClass transmission driveType cylinders displacement fuelType "
    "highwayMpg cityMpg",
    "cosmetics-product": "productCode productName brandCode brand price category",
}
"""Attributes for the columns of export lists in use; an importer may add constants for others."""


# --- What the files say ------------------------------------------------------------------------------------


def test_the_four_industries_bring_the_templates_of_their_chains():
    assert {each.key: {t.version for t in each.templates} for each in load()} == WANTED
    assert all(each.zh and each.en for each in load())


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.version)
def test_a_template_is_whole(template: Template):
    items = template.items
    assert len(items) >= 15
    assert [item.index for item in items] == list(range(ITEM_INDEX_FIRST, ITEM_INDEX_FIRST + len(items)))
    assert len({item.name for item in items}) == len({item.zh for item in items}) == len(items)
    assert all(item.name.isidentifier() and item.name[0].islower() and item.zh and item.en for item in items)
    assert all(0 <= item.least <= item.most <= LENGTH_MOST and item.enabled for item in items)
    assert {item.access for item in items} == set(ACCESSES)
    assert 3 <= len(template.required) <= 5
    assert all(item.access == "public" for item in template.required)
    assert template.description
    assert template.suffix.segments


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda t: t.version)
def test_category_codes_are_nested_and_of_manufacturing(template: Template):
    code = template.category
    assert code.category == "C"
    assert code.subclass.startswith(code.trade)
    assert code.trade.startswith(code.specific)
    assert [len(code.specific), len(code.trade), len(code.subclass)] == [2, 3, 4]


def test_handbags_stand_where_gb_t_4754_has_them():
    code = BY_VERSION["leather-handbag"].category
    assert (code.category, code.specific, code.trade, code.subclass) == ("C", "19", "192", "1922")


def test_references_are_those_of_the_chains():
    assert {(t.version, i.name): i.reference for t in TEMPLATES for i in t.items if i.reference} == REFERENCES


def test_what_competitors_would_like_to_know_is_not_public():
    shown = {(t.version, i.name) for t in TEMPLATES for i in t.items if i.access == "public"}
    assert not {each for each in shown if SENSITIVE.search(each[1])}


def test_what_consumers_ask_for_is_public():
    wanted = {
        "leather-handbag": "productName colour leatherType leatherBatch careInfo standardNo productionDate",
        "auto-vehicle": "vin brand model range batteryPack recallStatus productionDate",
        "cosmetics-product": "ingredients warnings registrationOrFilingNo expiryDate netContent lotHandle",
        "equipment-robot": "model factoryNo payload controller manufacturerName",
    }
    for version, names in wanted.items():
        public = {item.name for item in BY_VERSION[version].items if item.access == "public"}
        assert set(names.split()) <= public, version


@pytest.mark.parametrize("version", CATALOGUES)
def test_columns_of_export_lists_find_their_attribute_and_every_required_one_is_given(version: str):
    columns = set(CATALOGUES[version].split())
    assert columns <= {item.name for item in BY_VERSION[version].items}
    assert {item.name for item in BY_VERSION[version].required} <= columns


@pytest.mark.parametrize(
    ("version", "name", "text"),
    [
        ("leather-handbag", "designYear", 2008.0),
        ("auto-vehicle", "modelYear", 1984.0),
        ("auto-vehicle", "cylinders", 16.0),
        ("auto-vehicle", "displacement", 0.0),
        ("auto-vehicle", "cityMpg", 138.0),
        ("cosmetics-product", "price", 449.0),
    ],
)
def test_extremes_of_export_lists_are_in_range(version: str, name: str, text: float):
    (item,) = (each for each in BY_VERSION[version].items if each.name == name)
    assert item.low is not None
    assert item.high is not None
    assert item.low <= text <= item.high


def test_long_texts_have_room():
    long = {(t.version, i.name) for t in TEMPLATES for i in t.items if i.most == LENGTH_MOST}
    assert long >= {
        ("leather-handbag", "careInfo"),
        ("cosmetics-product", "ingredients"),
        ("cosmetics-product", "warnings"),
        ("auto-pack", "cells"),
    }


def test_templates_for_gives_them_a_prefix_and_leaves_the_originals_alone():
    templates = templates_for("leather", "88.999.1001")
    assert {t.prefix for t in templates} == {"88.999.1001"}
    assert templates[0].handle == "88.999.1001/META_leather-tannery"
    assert [t.items for t in templates] == [t.items for t in industry("leather").templates]
    assert {t.prefix for t in industry("leather").templates} == {""}


def test_an_unknown_industry_is_told_with_the_known_ones():
    with pytest.raises(LookupError, match=r"'wine'.*automotive, cosmetics, equipment, leather"):
        templates_for("wine", "88.999.1")


# --- A bad file --------------------------------------------------------------------------------------------

GOOD = """
zh = "酒"
en = "Wine"
[[templates]]
version = "wine-bottle"
zh = "瓶酒"
en = "Bottle"
description = "一瓶酒"
category = { category = "C", specific = "15", trade = "151", subclass = "1515" }
carrier = 2
suffix.segments = [
  { kind = "const", zh = "酒", en = "wine", text = "W-" },
  { kind = "serial", zh = "序号", en = "serial", least = 6, most = 9 },
]
items = [
  { index = 2000, name = "vintage", zh = "年份", en = "Vintage", low = 1900, high = 2100 },
  { index = 2001, name = "cellar", zh = "酒窖", en = "Cellar", access = "partners" },
]
"""
BAD = [
    ("colour unknown", "items[1].colour: unknown key", 'name = "cellar"', 'name = "cellar", colour = "red"'),
    ("unknown in segment", "suffix.segments[1].size: unknown", "least = 6", "least = 6, size = 1"),
    ("unknown at top", "owner: unknown key", 'en = "Wine"', 'en = "Wine"\nowner = "me"'),
    ("key said", "key: unknown key", 'en = "Wine"', 'en = "Wine"\nkey = "beer"'),
    ("index twice", "items[1].index: must be 2001", "index = 2001", "index = 2000"),
    ("index gap", "items[1].index: must be 2001", "index = 2001", "index = 2002"),
    ("name twice", "items[1].name: vintage is given twice", '"cellar"', '"vintage"'),
    ("zh twice", "items[1].zh: 年份 is given twice", '"酒窖"', '"年份"'),
    ("name not camelCase", "items[1].name: must match", '"cellar"', '"Cellar name"'),
    ("no zh", "items[1].zh: must not be empty", '"酒窖"', '""'),
    ("no en", "items[1].en: must not be empty", ', en = "Cellar"', ""),
    ("reference", "items[1].reference: no template is called", 'access = "partners"', 'reference = "grape"'),
    ("range", "items[0].low: must not be above high", "high = 2100", "high = 1800"),
    ("length", "items[0].most: 0 <= least <= most <= 4096", "high = 2100", "most = 4097"),
    ("access", "items[1].access", '"partners"', '"friends"'),
    ("type", "items[1].index", "index = 2001", 'index = "2001"'),
    ("kind", "items[1].kind", 'access = "partners"', 'kind = "colour"'),
    ("accuracy of a text", "items[1].accuracy: must be 0 to 15, of a number", 'access = "partners"', "accuracy = 2"),
    ("missing", "zh", 'zh = "瓶酒"\n', ""),
    ("version", "templates[0].version: must match", '"wine-bottle"', '"wine bottle"'),
    ("category", "templates[0].category: not nested", '"1515"', '"1922"'),
    ("carrier", "templates[0].carrier: must be 1 or 2", "carrier = 2", "carrier = 3"),
    ("prefix", "templates[0].number: prefix, number", "carrier = 2", 'carrier = 2\nprefix = "88.1"'),
    ("const without text", "suffix.segments[0].text: does not suit a const", 'text = "W-"', 'text = ""'),
    ("date", "suffix.segments[0].text: does not suit a date", 'kind = "const"', 'kind = "date"'),
    ("serial with text", "suffix.segments[1].text: does not suit a serial", "least = 6", 'text = "x", least = 6'),
    ("segment bounds", "suffix.segments[1].most: 1 <= least <= most", "most = 9", "most = 5"),
    ("segment kind", "suffix.segments[1].kind", '"serial", zh', '"check", zh'),
    ("not TOML", "line 3", 'en = "Wine"', "en = Wine"),
    ("not tables", "wine.toml", "[[templates]]", "templates = 3\n[other]"),
]


def _spoilt(old: str, new: str) -> str:
    assert GOOD.count(old) == 1, old
    return GOOD.replace(old, new)


def test_a_good_file_is_read():
    (wine,) = read({"wine.toml": GOOD})
    assert (wine.key, wine.zh, [t.version for t in wine.templates]) == ("wine", "酒", ["wine-bottle"])
    assert wine.templates[0].items[1] == Item(2001, "cellar", "酒窖", "Cellar", access="partners")


@pytest.mark.parametrize(("told", "old", "new"), [each[1:] for each in BAD], ids=[each[0] for each in BAD])
def test_a_bad_file_is_told_by_file_and_field(told: str, old: str, new: str):
    text = _spoilt(old, new)
    with pytest.raises(AssertionError) as caught:
        read({"wine.toml": text})
    assert str(caught.value).startswith("wine.toml: ")
    assert told in str(caught.value)


def test_an_industry_has_templates():
    with pytest.raises(AssertionError, match=r"^wine\.toml: templates: must not be empty"):
        read({"wine.toml": GOOD.partition("[[")[0]})


def test_a_template_version_belongs_to_one_industry():
    with pytest.raises(AssertionError, match=r"beer\.toml: templates\[0\]\.version: wine-bottle is given twice"):
        read({"wine.toml": GOOD, "beer.toml": GOOD})


def test_a_reference_may_point_into_another_industry():
    beer = GOOD.replace("wine-bottle", "beer-bottle").replace('access = "partners"', 'reference = "wine-bottle"')
    assert len(read({"wine.toml": GOOD, "beer.toml": beer})) == 2


# --- Suffix rules ------------------------------------------------------------------------------------------

DATE_FORMATS = {"yyyy": "%Y", "yyyyMM": "%Y%m", "yyyyMMdd": "%Y%m%d"}
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SIGNS = {"code": LETTERS + "0123456789._-", "digits": "0123456789", "serial": "0123456789"}


def _parts(segment: Segment) -> st.SearchStrategy[str]:
    if segment.kind == "const":
        return st.just(segment.text)
    if segment.kind == "date":
        return st.dates(date(1900, 1, 1)).map(lambda day: day.strftime(DATE_FORMATS[segment.text]))
    return st.text(SIGNS[segment.kind], min_size=segment.least, max_size=segment.most)


@st.composite
def _suffixes(draw: st.DrawFn) -> tuple[SuffixRule, str]:
    rule = draw(st.sampled_from(TEMPLATES)).suffix
    return rule, "".join(draw(_parts(segment)) for segment in rule.segments)


@given(_suffixes())
def test_a_suffix_made_of_the_segments_is_admitted(made: tuple[SuffixRule, str]):
    rule, suffix = made
    assert rule.admits(suffix)


@given(_suffixes(), st.data())
def test_a_spoilt_suffix_is_refused(made: tuple[SuffixRule, str], data: st.DataObject):
    rule, suffix = made
    place = data.draw(st.integers(0, len(suffix)))
    foreign = data.draw(st.sampled_from([" ", "/", "\n", "*", "号", "é", "\x00", "４"]))
    spoilt = (
        suffix[:place] + foreign + suffix[place:],
        suffix.swapcase() if suffix[:1] != suffix[:1].swapcase() else "x",
        suffix[1:],
        suffix + "x",
        suffix + "0" * 99,
        rule.segments[0].text,
        "",
    )
    assert [each for each in spoilt if rule.admits(each)] == []


@pytest.mark.parametrize(
    ("version", "suffix", "admitted"),
    [
        ("leather-handbag", "BAG-2026-000017", True),
        ("leather-handbag", "BAG-48123-000001", True),
        ("leather-handbag", "BAG-YX-S603-000001", True),
        ("leather-handbag", "BAG-2026-00017", False),
        ("leather-handbag", "BAG--000017", False),
        ("leather-handbag", "BAG-2026-0000000017", False),
        ("leather-handbag", "PRD-2026-000017", False),
        ("leather-batch", "LB-20260112-01", True),
        ("leather-batch", "LB-20261312-01", False),
        ("leather-batch", "LB-20260100-01", False),
        ("leather-carton", "CTN-202600-00001", False),
        ("auto-vehicle", "CAR-13309-000001", True),
        ("cosmetics-product", "PRD-P473668-000001", True),
        ("cosmetics-product", "PRD-P473668", False),
    ],
)
def test_suffixes_of_the_field(version: str, suffix: str, admitted: bool):
    assert BY_VERSION[version].suffix.admits(suffix) is admitted


def test_a_template_is_told_by_the_beginning_of_the_suffix():
    beginnings = [template.suffix.segments[0].text for template in TEMPLATES]
    assert len(set(beginnings)) == len(TEMPLATES)


def test_a_rule_is_shown_in_both_languages():
    assert BY_VERSION["leather-handbag"].suffix.shape == (
        "BAG-{款号或年份}-{序列号}",
        "BAG-{style or year}-{serial}",
    )


def test_no_rule_admits_everything():
    assert SuffixRule().admits("随便什么")


# --- The page ----------------------------------------------------------------------------------------------

ACCESS = {"public": "公开 public", "partners": "伙伴 partners", "internal": "内部 internal"}
HEAD = """# 行业模板 · Templates of the industries

由 `tests/registry/test_industries.py` 根据 `registry/industries/*.toml` 写成，同一测试检查两者一致。
Written from `registry/industries/*.toml` by `tests/registry/test_industries.py`, which also checks that it is true.

- 必填 required：● 表示必填。长度 length：字符数；范围 range：数值的下限与上限。
- 公开属性任何人可见；伙伴属性对获授权者可见；内部属性只对企业自己可见。
  Public attributes are for everybody, those of partners for whom the enterprise grants it, internal ones for itself.
- 引用 reference：值是该模板的标识；多个标识以 `;` 分隔。
  The value is an identifier of that template, or several joined by `;`.
- 日期写作 `yyyy-MM-dd`。Dates are written `yyyy-MM-dd`.
"""
KIND = {"text": "", "number": "数值 number", "date": "日期 date", "reference": "引用 reference"}
COLUMNS = (
    "| 索引 index | 名称 name | 中文 | English | 必填 | 类型 type | 长度 | 范围 | 单位 | 可见 access | 引用 reference |"
)


def _row(item: Item) -> str:
    length = f"{item.least}–{item.most}" if item.least else f"≤{item.most}"
    ends = ["" if end is None else f"{end:g}" for end in (item.low, item.high)]
    cells = (
        item.index,
        f"`{item.name}`",
        item.zh,
        item.en,
        "●" if item.required else "",
        KIND[item.kind],
        "10" if item.kind == "date" else length if item.least != item.most else str(item.most),
        "–".join(ends) if any(ends) else "",
        item.unit,
        ACCESS[item.access],
        f"`{item.reference}`" if item.reference else "",
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _section(template: Template) -> list[str]:
    code, (zh, en) = template.category, template.suffix.shape
    return [
        f"### `{template.version}` {template.zh} · {template.en}",
        "",
        f"{template.description}",
        "",
        f"- GB/T 4754：{code.category} / {code.specific} / {code.trade} / {code.subclass}",
        f"- 后缀 suffix：`{zh}` · `{en}`",
        f"- 载体 carrier：{('主动标识载体 active', '其他 other')[template.carrier - 1]}",
        "",
        COLUMNS,
        "|---" * COLUMNS.count(" | ") + "|---|",
        *map(_row, template.items),
        "",
    ]


def page() -> str:
    """docs/industries.md as it must be."""
    lines = [HEAD]
    for each in load():
        lines += [f"## `{each.key}` {each.zh} · {each.en}", ""]
        for template in each.templates:
            lines += _section(template)
    return "\n".join(lines)


def test_the_page_is_true():
    assert PAGE.read_text("utf-8") == page(), "write it anew: python tests/registry/test_industries.py"


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")

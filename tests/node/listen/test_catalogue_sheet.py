"""Proves node/listen/catalogue_sheet.py: every column is there in both languages, and every cell is text."""

import io
from typing import Any

from python_calamine import CalamineWorkbook

from node.listen.catalogue_sheet import COLUMNS, Sheet

ROW: dict[str, Any] = dict.fromkeys(COLUMNS, "=1+1") | {
    "industry": "leather",
    "category": "C1922",
    "kind": "picture",
    "templateEn": "Bag",
    "en": "",
    "index": 2000,
    "access": "internal",
    "sharing": "none",
    "level": "core",
    "cycle": "yearly",
    "overdue": True,
}

SAID = ("number", "industry", "category", "templateZh", "zh", "kind", "access", "sharing", "level", "overdue")


def read(chinese: bool, *rows: dict[str, Any]) -> list[list[Any]]:
    file = io.BytesIO()
    sheet = Sheet(file, chinese=chinese)
    sheet.add(rows)
    sheet.close()
    assert sheet.rows == len(rows)
    return CalamineWorkbook.from_filelike(io.BytesIO(file.getvalue())).get_sheet_by_index(0).to_python()


def test_heads_and_words_are_in_the_language_asked_for():
    for chinese, words in (
        (True, ["1", "皮具", "C1922 皮箱、包（袋）制造", "=1+1", "=1+1", "图片", "内部", "不予共享", "核心", "是"]),
        (False, ["1", "Leather goods", "C1922", "Bag", "=1+1", "picture", "internal", "not shared", "core", "yes"]),
    ):
        head, row = read(chinese, ROW)
        assert head == [heads[not chinese] for heads in COLUMNS.values()]
        told = dict(zip(COLUMNS, row, strict=True))
        assert [told[name] for name in SAID] == words
    assert read(True, ROW | {"industry": "toys", "overdue": False})[1][2] == "toys"


def test_what_looks_like_a_formula_or_a_link_stays_text():
    for text in ("=1+1", "{=A1}", "http://x.cn", "+1", "", "x" * 32_767):
        assert read(True, ROW | {"zh": text})[1][list(COLUMNS).index("zh")] == text


def test_a_list_of_nothing_has_its_head():
    assert len(read(True)) == 1

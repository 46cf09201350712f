"""Proves node/listen/catalogue_sheet.py: every column is there in both languages, and every cell is text."""

import io
from typing import Any

from python_calamine import CalamineWorkbook

from node.listen.catalogue_sheet import COLUMNS, Sheet

ROW: dict[str, Any] = dict.fromkeys(COLUMNS, "=1+1") | {
    "index": 2000,
    "access": "internal",
    "sharing": "none",
    "level": "core",
    "cycle": "yearly",
    "overdue": True,
}


def read(chinese: bool, *rows: dict[str, Any]) -> list[list[Any]]:
    file = io.BytesIO()
    sheet = Sheet(file, chinese=chinese)
    sheet.add(rows)
    sheet.close()
    assert sheet.rows == len(rows)
    return CalamineWorkbook.from_filelike(io.BytesIO(file.getvalue())).get_sheet_by_index(0).to_python()


def test_heads_and_words_are_in_the_language_asked_for():
    for chinese, words in ((True, ["内部", "不予共享", "核心"]), (False, ["internal", "not shared", "core"])):
        head, row = read(chinese, ROW)
        assert head == [heads[not chinese] for heads in COLUMNS.values()]
        assert row[10:13] == words


def test_what_looks_like_a_formula_or_a_link_stays_text():
    for text in ("=1+1", "{=A1}", "http://x.cn", "+1", "", "x" * 32_767):
        assert read(True, ROW | {"zh": text})[1][6] == text


def test_a_list_of_nothing_has_its_head():
    assert len(read(True)) == 1

"""The list of data resources (数据资源清单) as an Excel file: its columns, and how a row is written.

What is listed is catalogue_api.py's.
"""

from collections.abc import Iterable
from typing import IO, Any, Final

import xlsxwriter

from registry.gbt4754 import name as industry_name
from registry.industries import load
from registry.kinds import KIND_WORDS
from registry.upkeep import ACCESS_WORDS, CYCLES, LEVELS, SHARINGS

TITLE: Final = ("数据资源清单", "Data resources")
COLUMNS: Final[dict[str, tuple[str, str, int]]] = {
    "number": ("序号", "No.", 6),
    "enterprise": ("数据提供单位", "Enterprise", 28),
    "industry": ("行业", "Industry", 12),
    "category": ("行业分类（GB/T 4754）", "Class (GB/T 4754)", 26),
    "prefix": ("前缀", "Prefix", 13),
    "templateZh": ("数据资源名称", "Name of the template", 18),
    "template": ("模板版本", "Template", 20),
    "zh": ("数据项", "Attribute", 20),
    "name": ("英文名", "Name", 20),
    "index": ("索引", "Index", 7),
    "kind": ("数据类型", "Type", 10),
    "unit": ("计量单位", "Unit", 10),
    "access": ("可见级别", "Class of access", 10),
    "sharing": ("共享类型", "Sharing", 14),
    "level": ("数据级别", "Level", 10),
    "responsible": ("责任单位", "Responsible", 24),
    "cycle": ("更新周期", "Update cycle", 10),
    "upkept": ("最近维护", "Last upkeep", 12),
    "overdue": ("是否逾期", "Overdue", 10),
}
"""By the name of the field: the head of its column in Chinese and English, and how wide it is in characters."""
_WORDS: Final[dict[str, dict[Any, tuple[str, str]]]] = {
    "industry": {each.key: (each.zh, each.en) for each in load()},
    "kind": {**KIND_WORDS},
    "access": {**ACCESS_WORDS},
    "sharing": {**SHARINGS},
    "level": {**LEVELS},
    "cycle": {**CYCLES},
    "overdue": {True: ("是", "yes"), False: ("否", "no")},
}
_ENGLISH: Final = {"enterprise": "enterpriseEn", "templateZh": "templateEn", "zh": "en"}
"""Fields that say in English what others say in Chinese; some say nothing."""


class Sheet:
    """A file being written, row by row, in little memory. Every cell is text: what it says never becomes a formula."""

    def __init__(self, file: IO[bytes], *, chinese: bool) -> None:
        self._lang = 0 if chinese else 1
        self._book = xlsxwriter.Workbook(file, {"constant_memory": True})
        self._sheet = self._book.add_worksheet(TITLE[self._lang])
        head = self._book.add_format({"bold": True, "bg_color": "#DDE6F0", "border": 1, "text_wrap": True})
        for column, heads in enumerate(COLUMNS.values()):
            self._sheet.set_column(column, column, heads[2])
            self._sheet.write_string(0, column, heads[self._lang], head)
        self._sheet.freeze_panes(1, 0)
        self._for_paper()
        self.rows = 0

    def _for_paper(self) -> None:
        """Lists are handed in on paper, too: A4, as wide as a page, its head and number on each."""
        self._sheet.set_paper(9)
        self._sheet.set_landscape()
        self._sheet.fit_to_pages(1, 0)
        self._sheet.repeat_rows(0)
        self._sheet.set_header(f"&C&14{TITLE[self._lang]}")
        self._sheet.set_footer("&L&D&R&P / &N")

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Writes rows of the catalogue."""
        for row in rows:
            self.rows += 1
            for column, name in enumerate(COLUMNS):
                self._sheet.write_string(self.rows, column, self._text(row, name))

    def _text(self, row: dict[str, Any], name: str) -> str:
        if name == "number":
            return str(self.rows)
        if name == "category":
            code = row[name]
            return f"{code} {industry_name(code[:1], code[1:]) if self._lang == 0 else ''}".strip()
        if words := _WORDS.get(name, {}).get(row[name]):
            return words[self._lang]
        return str((self._lang and row.get(_ENGLISH.get(name, ""))) or row[name])

    def close(self) -> None:
        """Ends the file."""
        self._sheet.autofilter(0, 0, self.rows, len(COLUMNS) - 1)
        self._book.close()

"""The list of data resources (数据资源清单) as an Excel file: its columns, and how a row is written.

What is listed is catalogue_api.py's.
"""

from collections.abc import Iterable
from typing import IO, Any, Final

import xlsxwriter

from registry.upkeep import ACCESS_WORDS, CYCLES, LEVELS, SHARINGS

COLUMNS: Final[dict[str, tuple[str, str, int]]] = {
    "enterprise": ("企业", "Enterprise", 30),
    "industry": ("行业", "Industry", 12),
    "prefix": ("前缀", "Prefix", 14),
    "template": ("模板", "Template", 20),
    "templateZh": ("模板名称", "Name of the template", 18),
    "index": ("索引", "Index", 8),
    "zh": ("属性", "Attribute", 24),
    "name": ("英文名", "Name", 22),
    "kind": ("类型", "Type", 10),
    "unit": ("计量单位", "Unit", 10),
    "access": ("可见级别", "Class of access", 12),
    "sharing": ("共享类型", "Sharing", 14),
    "level": ("数据级别", "Level", 10),
    "responsible": ("责任单位", "Responsible", 24),
    "cycle": ("更新周期", "Update cycle", 12),
    "upkept": ("最近维护", "Last upkeep", 12),
    "overdue": ("是否逾期", "Overdue", 10),
}
"""By the name of the field: the head of its column in Chinese and English, and how wide it is in characters."""
_WORDS: Final[dict[str, dict[Any, tuple[str, str]]]] = {
    "access": {**ACCESS_WORDS},
    "sharing": {**SHARINGS},
    "level": {**LEVELS},
    "cycle": {**CYCLES},
    "overdue": {True: ("逾期", "overdue"), False: ("", "")},
}


class Sheet:
    """A file being written, row by row, in little memory. Every cell is text: what it says never becomes a formula."""

    def __init__(self, file: IO[bytes], *, chinese: bool) -> None:
        self._lang = 0 if chinese else 1
        self._book = xlsxwriter.Workbook(file, {"constant_memory": True})
        self._sheet = self._book.add_worksheet(("数据资源清单", "Data resources")[self._lang])
        bold = self._book.add_format({"bold": True})
        for column, heads in enumerate(COLUMNS.values()):
            self._sheet.set_column(column, column, heads[2])
            self._sheet.write_string(0, column, heads[self._lang], bold)
        self._sheet.freeze_panes(1, 0)
        self.rows = 0

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Writes rows of the catalogue."""
        for row in rows:
            self.rows += 1
            for column, name in enumerate(COLUMNS):
                words = _WORDS.get(name)
                text = words[row[name]][self._lang] if words else str(row[name])
                self._sheet.write_string(self.rows, column, text)

    def close(self) -> None:
        """Ends the file."""
        self._sheet.autofilter(0, 0, self.rows, len(COLUMNS) - 1)
        self._book.close()

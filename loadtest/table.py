"""A table that people read, on a terminal or on a page: columns in Chinese and English, cells as text. Pure."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of cells, as many in each as there are columns. The first `names` columns are words, the others figures."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[Sequence[str]]
    names: int = 1

    def __post_init__(self) -> None:
        assert all(len(row) == len(self.columns) for row in self.rows)

    def lines(self) -> list[str]:
        """For a terminal: two lines of heads, one for each row, all of one width; words left and figures right."""
        told = [[zh for zh, _ in self.columns], [en for _, en in self.columns], *self.rows]
        widths = [max(width(row[place]) for row in told) for place in range(len(self.columns))]
        return [GAP.join(_cells(row, widths, self.names)) for row in told]


def width(text: str) -> int:
    """How many places a text takes on a terminal: a Chinese character is as wide as two others."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def _cells(row: Sequence[str], widths: Sequence[int], names: int) -> list[str]:
    told = []
    for place, (cell, most) in enumerate(zip(row, widths, strict=True)):
        gap = " " * (most - width(cell))
        told.append(cell + gap if place < names else gap + cell)
    return told

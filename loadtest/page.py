"""A report as one page: a single file that runs nothing and asks no network, Chinese and English, light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from loadtest.plot import Bars, Plot
from loadtest.table import Table

STYLE: Final = Path(__file__).with_suffix(".css").read_text(encoding="utf-8")
"""Colours of lines are told apart and read on both grounds."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page under its heading: sentences, then tables and drawings in order."""

    zh: str
    en: str
    lines: Sequence[str] = ()
    parts: Sequence[Table | Plot | Bars] = ()


def page(zh: str, en: str, about: str, sections: Sequence[Section]) -> str:
    """The whole page; `about` says in one line what was measured, when and where."""
    return f"""<!doctype html>
<html lang="zh-CN">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>{escape(zh)} · {escape(en)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(zh)} <span lang="en">{escape(en)}</span></h1>
<p class="soft">{escape(about)}</p>
{"".join(map(_section, sections))}</body>
</html>
"""


def _section(section: Section) -> str:
    lines = "".join(f"<p>{escape(line)}</p>" for line in section.lines)
    heading = f'<h2>{escape(section.zh)} <span lang="en">{escape(section.en)}</span></h2>'
    return f"<section>{heading}{lines}{''.join(map(_part, section.parts))}</section>\n"


def _part(part: Table | Plot | Bars) -> str:
    return _table(part) if isinstance(part, Table) else _figure(part)


def _table(table: Table) -> str:
    kinds = [' class="word"' if place < table.names else "" for place in range(len(table.columns))]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(zh)}<small lang="en">{escape(en)}</small></th>'
        for kind, (zh, en) in zip(kinds, table.columns, strict=True)
    )
    rows = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True)) + "</tr>"
        for row in table.rows
    )
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'


def _figure(drawing: Plot | Bars) -> str:
    if not (svg := drawing.svg()):
        return ""
    names = "".join(
        f'<li><i style="background:var(--c{number % 6 + 1})"></i>{escape(name)}</li>'
        for number, name in enumerate(drawing.legend())
    )
    legend = f'<ul class="legend">{names}</ul>' if names else ""
    note = f'<p class="soft">{escape(drawing.marked)}</p>' if isinstance(drawing, Bars) else ""
    caption = f'<figcaption>{escape(drawing.zh)} <span lang="en">{escape(drawing.en)}</span></figcaption>'
    return f"<figure>{caption}{svg}{legend}{note}</figure>"

"""Proves loadtest/page.py: one file that asks no network, runs nothing, and holds what it was given."""

import re
from html.parser import HTMLParser

from loadtest.page import STYLE, Section, page
from loadtest.plot import COLOURS, Axis, Bar, Bars, Line, Plot
from loadtest.table import Table

PLOT = Plot("吞吐", "Throughput", Axis("秒", "s"), Axis("每秒", "/s"), [Line("a", [(1, 2)]), Line("b", [(1, 3)])])
BARS = Bars("比值", "Ratio", [Bar("hot", 0.5, 0.4, 0.6)], 1.0, "承诺 promised")
TABLE = Table([("类", "class"), ("每秒", "rate/s")], [["<hot> & cold", "1,000"]])
RESULT = Section("结果", "Result", ["<script>alert(1)</script>"], [TABLE, PLOT, BARS])
TOLD = page("负载<测试>", "Load & test", "2026", [RESULT])


class Reader(HTMLParser):
    """Gathers tags, their attributes and the words; tags must be closed in order."""

    EMPTY = frozenset({"meta", "link", "img", "br"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words += data


def read() -> Reader:
    reader = Reader()
    reader.feed(TOLD)
    assert reader.open == []
    return reader


def test_what_was_given_is_there_and_is_no_markup() -> None:
    reader = read()
    for words in ("负载<测试>", "Load & test", "<script>alert(1)</script>", "<hot> & cold", "1,000", "Throughput"):
        assert words in reader.words
    assert "script" not in {tag for tag, _ in reader.tags}


def test_nothing_is_fetched() -> None:
    for tag, attributes in read().tags:
        assert tag not in {"link", "img", "iframe", "object", "video"}
        assert not {"src", "href"} & attributes.keys()
    assert "url(" not in TOLD
    assert "@import" not in TOLD
    assert "default-src 'none'" in TOLD


def test_every_colour_is_there_for_light_and_dark() -> None:
    light, _, dark = STYLE.partition("prefers-color-scheme: dark")
    used = set(re.findall(r"var\(--(\w+)\)", TOLD)) | {f"c{number + 1}" for number in range(COLOURS)}
    assert used <= set(re.findall(r"--(\w+):", light))
    assert used <= set(re.findall(r"--(\w+):", dark))


def test_lines_are_named_when_there_are_some() -> None:
    legend = [attributes for tag, attributes in read().tags if tag == "i"]
    assert [each["style"] for each in legend] == ["background:var(--c1)", "background:var(--c2)"]

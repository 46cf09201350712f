"""Proves node/importer/progress.py: a bar where somebody looks, a line now and then where nobody does."""

import io
from collections.abc import Callable

import pytest

from node.importer.progress import Progress, bar, plain, table


class Terminal(io.StringIO):
    """A stream a person looks at."""

    def isatty(self) -> bool:
        return True


def clock(*times: float) -> Callable[[], float]:
    left = list(times)
    return lambda: left.pop(0)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ((0, 1000, 0.0), "[........................]   0%  0/1,000  0/s"),
        ((500, 1000, 2.0), "[############............]  50%  500/1,000  250/s  0:02"),
        ((130_000, 260_000, 10.0, 30_000), "[############............]  50%  130,000/260,000  10,000/s  0:13"),
        ((1000, 900, 1.0), "[########################] 100%  1,000/900  1,000/s  0:00"),
        ((0, 0, 1.0), "[########################] 100%  0/0  0/s"),
    ],
)
def test_a_bar(arguments: tuple[int, int, float], line: str) -> None:
    assert bar(*arguments) == line


def test_a_terminal_gets_a_bar_that_gives_way_to_sentences() -> None:
    stream = Terminal()
    shown = Progress(stream, False, clock(0, 1, 1.1, 1.3, 4))
    shown.say("你好", "hello")
    shown.begin(0)
    shown.show(10, 100)
    shown.show(20, 100)
    shown.say("等", "wait")
    shown.say("等", "wait")
    shown.end()
    assert stream.getvalue() == (
        "hello\n\r[####....................]  20%  20/100  67/s  0:01\x1b[K\r\x1b[Kwait\n\r\x1b[K"
    )
    assert shown.seconds == 3


def test_a_log_gets_a_line_every_some_seconds() -> None:
    stream = io.StringIO()
    shown = Progress(stream, True, clock(0, 0, 9, 10, 19, 20))
    shown.begin(0)
    for done in (10, 20, 30, 40):
        shown.show(done, 100)
    shown.say("等", "wait")
    shown.end()
    assert stream.getvalue() == (
        "[####....................]  20%  20/100  2/s  0:40\n[#########...............]  40%  40/100  2/s  0:30\n等\n"
    )


def test_a_table_is_straight_with_chinese_characters() -> None:
    assert table([("行数", "12"), ("rows", "3"), ("已存在", "1,234")]) == "行数       12\nrows        3\n已存在  1,234"


@pytest.mark.parametrize(
    ("text", "encoding", "shown"),
    [
        ("列“é”\n", "utf-8", "列“é”\n"),
        ("列“é✨”", "gbk", "列“é?”"),
        ("a\x1b[2J\r\udcff", None, "a?[2J??"),
    ],
)
def test_what_a_terminal_cannot_show_is_a_question_mark(text: str, encoding: str | None, shown: str) -> None:
    assert plain(text, encoding) == shown

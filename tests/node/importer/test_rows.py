"""Proves node/importer/rows.py: plain rows are what the csv module and msgspec make of the same octets."""

import csv
import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from node.importer.rows import Block, Plain, plain_cells

TEXT = st.one_of(
    st.sampled_from(["a", "深棕", "【新】", "“x”", "a,b", " ", "", "\\", "\u00a0", "\u3000", "\u2003b", "é"]),
    st.text(max_size=5),
)


def _written(rows: list[tuple[str, str]], end: str, quoting: int) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=quoting).writerows(rows)
    return text.getvalue()


PIECES = ["a", "深", ",", ",", "\n", "\n", "\r\n", '"', '"', '"a,b"', '""', "\\", "\u3000", "\x1f", "\x1e", "\t"]
WRITTEN = st.builds(
    _written,
    st.lists(st.tuples(TEXT, TEXT), max_size=4),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)


@given(st.one_of(WRITTEN, st.lists(st.sampled_from(PIECES), max_size=12).map("".join)))
@example('a,b\n"a,\\b",深\n')
@example('"a",""\r\n"","b"\r\n')
@example("a,\n,b\r\n")
@example("a,\r,b\n")
@example('a,b"\n"c,d\n')
@example('"a""b",c\n')
@example("\u3000,b\n")
@example("a,b\n\u00a0,c\n")
def test_plain_rows_are_what_the_csv_module_reads(text: str) -> None:
    # Always: rows that are cut out of octets, and their columns in JSON, are those of the csv module.
    cells = plain_cells(text.encode("utf-8", "replace"), b",", 2)
    if cells is not None:
        read = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        slow, plain = Block(2, read), Plain(2, 2, cells)
        assert list(plain.rows) == list(slow.rows)
        assert [plain.column(place) for place in (0, 1)] == [slow.column(place) for place in (0, 1)]
        assert {*map(len, read)} <= {2}


@pytest.mark.parametrize(
    "text",
    [
        "1,a\n2,b\n",
        "1,a\r\n2,b\r\n",
        '1,"a,b"\n"2",b\n',
        '"1",""\n"",b\n',
        "1, \n,\n",
        "1,“x”\n2,【a】\n",
        "1,a\\b\n",
    ],
)
def test_everyday_rows_are_plain(text: str) -> None:
    assert plain_cells(text.encode(), b",", 2)


@pytest.mark.parametrize(
    "text",
    [
        "1,a\n2,b",
        "1,a\n2,b\r\n",
        "1,a\r2,b\n",
        '1,"a""b"\n',
        '1,"a\nb"\n',
        '1,"a\n',
        '1,a"b"\n',
        '1,"a"b\n',
        "1,a,b\n2,c\n",
        "1,a\n\n",
        "1,\u3000\n",
        "\u00a0,a\n",
        "1,a\tb\n",
        "1,a\x1fb\n",
    ],
)
def test_what_needs_a_closer_look_is_not_plain(text: str) -> None:
    assert plain_cells(text.encode(), b",", 2) is None


def test_a_last_row_that_is_too_short_is_not_plain() -> None:
    assert plain_cells(b"1;2;3\n4\n", b";", 3) is None
    assert plain_cells(b"1;2;3\n4;5\n", b";", 3) is None

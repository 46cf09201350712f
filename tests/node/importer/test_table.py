"""Proves node/importer/table.py: the quirks of real exports, each as literal octets or a real workbook."""

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
import xlsxwriter
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from node.importer import table as module
from node.importer.problem import Problem
from node.importer.rows import Block, Plain, Row
from node.importer.table import CELL_CHARACTERS, Table, open_table

CHINESE = "编号,颜色\n1,深棕色\n2,红色\n"
READ = [Row(2, ("1", "深棕色")), Row(3, ("2", "红色"))]


@contextmanager
def opened(path: Path, octets: bytes, **options: str) -> Iterator[Table]:
    path.write_bytes(octets)
    with open_table(path, **options) as table:
        yield table


def rows_of(table: Table) -> list[Row]:
    """The rows one by one."""
    return [row for part in table.parts for row in ((part,) if isinstance(part, Row) else part.rows)]


def rows(folder: Path, octets: bytes, **options: str) -> list[Row]:
    with opened(folder / "list.csv", octets, **options) as table:
        return rows_of(table)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("utf-8", "按UTF-8读取"),
        ("utf-8-sig", "按UTF-8 (BOM)读取"),
        ("utf-16", "按UTF-16读取"),
        ("gb18030", "按GB18030读取"),
        ("gbk", "按GB18030读取"),
    ],
)
def test_the_encoding_is_found_and_told(tmp_path: Path, encoding: str, told: str) -> None:
    with opened(tmp_path / "list.csv", CHINESE.encode(encoding)) as table:
        assert table.header == ("编号", "颜色")
        assert rows_of(table) == READ
        assert table.zh.startswith(told)


def test_big_endian_utf16_is_read(tmp_path: Path) -> None:
    assert rows(tmp_path, b"\xfe\xff" + CHINESE.encode("utf-16-be")) == READ


def test_a_named_encoding_overrules_the_detection(tmp_path: Path) -> None:
    assert rows(tmp_path, "name\nRenée\n".encode("latin-1"), encoding="latin-1") == [Row(2, ("Renée",))]
    with pytest.raises(Problem, match="no encoding"):
        rows(tmp_path, b"a\n1\n", encoding="klingon")


@pytest.mark.parametrize(
    ("encoding", "name"), [("utf-8", "UTF-8"), ("gb18030", "GB18030"), ("utf-8-sig", "UTF-8 (BOM)")]
)
def test_octets_nobody_can_read_cost_one_row(tmp_path: Path, encoding: str, name: str) -> None:
    octets = "编号,颜色\n1,深棕色\n2,@\n3,红色\n".encode(encoding).replace(b"@", b"\xff")
    assert rows(tmp_path, octets) == [
        Row(2, ("1", "深棕色")),
        Row(3, (), f"含有按{name}读不出的字符"),
        Row(4, ("3", "红色")),
    ]


def test_a_cut_utf16_file_costs_one_row(tmp_path: Path) -> None:
    octets = "a,b\n1,深\n2,棕".encode("utf-16")[:-1]
    assert rows(tmp_path, octets) == [Row(2, ("1", "深")), Row(3, (), "含有按UTF-16读不出的字符")]


def test_encodings_are_looked_at_beyond_the_first_portion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SURVEY_OCTETS", 7)
    assert rows(tmp_path, CHINESE.encode("gb18030")) == READ
    assert rows(tmp_path, CHINESE.encode()) == READ


@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_every_line_ending_is_read(tmp_path: Path, ending: str) -> None:
    assert rows(tmp_path, CHINESE.replace("\n", ending).encode()) == READ


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_the_separator_is_taken_from_the_header(tmp_path: Path, separator: str) -> None:
    text = separator.join(["a", '"b,c;d"', "e"]) + "\n" + separator.join(["1", '"2,3"', "4"]) + "\n"
    with opened(tmp_path / "list.csv", text.encode()) as table:
        assert table.header == ("a", "b,c;d", "e")
        assert rows_of(table) == [Row(2, ("1", "2,3", "4"))]


def test_quoted_newlines_stay_and_rows_are_counted_as_excel_does(tmp_path: Path) -> None:
    text = 'id,note\n1,"two\nlines"\n2,"a ""quoted"" word"\n'
    assert rows(tmp_path, text.encode()) == [Row(2, ("1", "two\nlines")), Row(3, ("2", 'a "quoted" word'))]


def test_empty_lines_are_empty_rows_and_count(tmp_path: Path) -> None:
    text = "\n\nid,note\n\n1,a\n,\n  , \n2,b"
    with opened(tmp_path / "list.csv", text.encode()) as table:
        assert "表头在第3行" in table.zh
        assert rows_of(table) == [Row(4, ()), Row(5, ("1", "a")), Row(6, ()), Row(7, ()), Row(8, ("2", "b"))]


def test_a_wrong_number_of_columns_costs_one_row(tmp_path: Path) -> None:
    assert rows(tmp_path, b"a,b,c\n1,2\n1,2,3,4\n1,2,3\n") == [
        Row(2, (), "列数不符：应为3列，实为2列"),
        Row(3, (), "列数不符：应为3列，实为4列"),
        Row(4, ("1", "2", "3")),
    ]


def test_misused_quotes_cost_one_row(tmp_path: Path) -> None:
    assert rows(tmp_path, b'a,b\n"12" bag",1\n12" bag,2\n') == [
        Row(2, (), "引号用得不对：引号内的引号要写两次（文本第2行）"),
        Row(3, ('12" bag', "2")),
    ]


def test_an_open_quote_swallows_no_more_than_a_cell_may_hold(tmp_path: Path) -> None:
    line = "x" * 99 + ",y\n"
    found = rows(tmp_path, ('a,b\n1,"open\n' + line * 1000).encode())
    assert found[0] == Row(
        2, (), f"单元格超过{CELL_CHARACTERS}个字符，多半是引号没有关闭（文本第2至{2 + CELL_CHARACTERS // 102 + 1}行）"
    )
    assert found[1] == Row(3, ("x" * 99, "y"))


def test_others_keep_the_cells_they_may_read(tmp_path: Path) -> None:
    # The csv module has one limit for all of a process.
    before = csv.field_size_limit()
    assert rows(tmp_path, b"a,b\n1,2\n") == [Row(2, ("1", "2"))]
    assert csv.field_size_limit() == before != CELL_CHARACTERS


def test_a_quote_open_at_the_end_is_told(tmp_path: Path) -> None:
    assert rows(tmp_path, b'a,b\n1,2\n3,"x\ny\n') == [
        Row(2, ("1", "2")),
        Row(3, (), "引号没有关闭，直到文件末尾（文本第3至4行）"),
    ]


def slowly(path: Path, encoding: str) -> Iterator[Row]:
    """The rows under a header of two columns, taken from the csv module one by one."""
    with path.open(encoding=encoding, newline="") as text:
        reader = csv.reader(text, strict=True)
        number = 0
        while True:
            number += 1
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield Row(number, (), module._broken(str(error), line, reader.line_num))
                continue
            if number > 1:
                yield module._checked(number, tuple(cells), 2, encoding)


PIECES = ["a", "深", ",", ",", "\n", "\r\n", "\r", '"', '"', "a,b\n", '"x\r\ny",', "\0", "\ud800", "b" * 40]
PLAIN = ["a,b\n", "a,b\n", "深,\n", '"a,b",x\n', '"",b\n', "\\,c\n", "\u3000,\n", "a,b\r\n"]
BROKEN = ["a\n", ",", '"', "\r", "\n", "\t", "\x1f", '"x\ny",z\n', '"""",z\n', "b" * 40]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.sampled_from(PLAIN + BROKEN), max_size=20).map("".join),
    st.sampled_from(["utf-8", "utf-8-sig", "gb18030"]),
)
@example('a,b\na,b\n"x\ny",z\na,b\na,b\na,"\na,b\n', "utf-8")
@example("".join(f"{n},b\n" for n in range(9)) + 'a,"x\n', "utf-8")
@example("a,b\na,b\n" + "b" * 40 + ",b\na,b\n", "utf-8")
@example("1,b\r2,b\r3,b\r4,b\n5,b\n6,b\n7,b\n8,b\n9,b\n10,b\n11,b\n12,b\n", "utf-8-sig")
@example("a,b\n\ta,b\na,b\na,b\n\ra,b\n深,\n1,b\n2,b\n3,b\n", "utf-8")
@example('深,b\na,b\na,b\n"x",""\n\n', "gb18030")
def test_plain_rows_among_others_are_those_of_the_csv_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, encoding: str
) -> None:
    # Always: rows, numbers and refusals do not hang on which rows were cut out of octets.
    with monkeypatch.context() as patched:
        patched.setattr(module, "BLOCK_ROWS", 3)
        patched.setattr(module, "STEP_ROWS", 2)
        patched.setattr(module, "CELL_CHARACTERS", 30)
        path = tmp_path / "list.csv"
        path.write_bytes(f"x,y\n{text}".encode(encoding))
        with open_table(path) as table:
            assert rows_of(table) == list(slowly(path, "utf-8-sig" if encoding == "utf-8" else encoding))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.sampled_from(["utf-8", "utf-16"]))
@example('a,b\n"x\n\ny",b\na,"b"c\na,b\n', "utf-8")
@example('a,b\na,b\na,b\na,"b\n', "utf-16")
def test_rows_are_the_same_one_by_one_and_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, encoding: str
) -> None:
    # Always: rows, numbers and refusals do not hang on how many rows are read at a time.
    with monkeypatch.context() as patched:
        patched.setattr(module, "BLOCK_ROWS", 3)
        patched.setattr(module, "STEP_ROWS", 2)
        patched.setattr(module, "CELL_CHARACTERS", 30)
        path = tmp_path / "list.csv"
        path.write_bytes(f"x,y\n{text}".encode(encoding, "replace"))
        with open_table(path, encoding=encoding) as table:
            assert rows_of(table) == list(slowly(path, encoding))


def test_rows_before_a_broken_one_are_kept(tmp_path: Path) -> None:
    # Always: the rows of a step that were read before the csv module gave up are neither lost nor read twice.
    step = [b"%d,red\n" % n for n in range(module.STEP_ROWS)]
    step[2] = b'"2"x,red\n'
    with opened(tmp_path / "list.csv", b"id,colour\n" + b"".join(step)) as table:
        assert list(table.parts) == [
            Block(2, [["0", "red"], ["1", "red"]]),
            Row(4, (), "引号用得不对：引号内的引号要写两次（文本第4行）"),
            Block(5, [[str(n), "red"] for n in range(3, module.STEP_ROWS)]),
        ]


def test_plain_rows_are_looked_for_again_behind_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 2)
    monkeypatch.setattr(module, "STEP_ROWS", 1)
    octets = b'id,colour\n1,red\n2,red\n3,"12"""\n4,"a\nb"\n5,red\n6,red\n7,red'
    with opened(tmp_path / "list.csv", octets) as table:
        parts = list(table.parts)
    assert [(type(part), part.number) for part in parts] == [(Plain, 2), (Block, 4), (Plain, 6), (Block, 8)]


@pytest.mark.parametrize(("encoding", "kind"), [(None, Plain), ("utf-8", Block)])
def test_a_block_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str | None, kind: type[Block | Plain]
) -> None:
    monkeypatch.setattr(module, "BLOCK_ROWS", 300)
    path = tmp_path / "list.csv"
    path.write_bytes(b"id,colour\n" + b"1,red\n" * 700)
    with open_table(path, encoding=encoding) as table:
        assert [
            (type(part), part.number, len(list(part.rows))) for part in table.parts if not isinstance(part, Row)
        ] == [
            (kind, 2, 300),
            (kind, 302, 300),
            (kind, 602, 100),
        ]
    monkeypatch.setattr(module, "BLOCK_OCTETS", 100_000)
    path.write_bytes(b"id,colour\n" + b"1,%b\n" % (b"x" * 1000) * 700)
    with open_table(path, encoding=encoding) as table:
        sizes = [len(list(part.rows)) for part in table.parts if isinstance(part, kind)]
    assert sum(sizes) == 700
    assert max(sizes) <= 150


def test_the_mark_before_a_header_is_no_part_of_it(tmp_path: Path) -> None:
    assert rows(tmp_path, '"a\na",b\n1,深\n'.encode("utf-8-sig")) == [Row(2, ("1", "深"))]


@pytest.mark.parametrize(("octets", "returns"), [(b"a\rb\rc\r", True), (b"a\rb\nc\n", False), (b"a", False)])
def test_a_file_of_lines_nobody_writes_any_more_is_known(octets: bytes, returns: bool) -> None:
    # Always: no file is taken for a single line, which would be in memory as a whole.
    assert module.survey(io.BytesIO(octets)).returns is returns


def test_long_files_are_counted_by_their_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SURVEY_OCTETS", 10)
    monkeypatch.setattr(module, "COUNTED_OCTETS", 30)
    with opened(tmp_path / "list.csv", b"a,bb\n" * 100) as table:
        assert table.rows_about == 99


def test_nul_characters_cost_one_row(tmp_path: Path) -> None:
    assert rows(tmp_path, "a,b\n1,\0\n2,深\0\n3,x\n".encode()) == [
        Row(2, (), "含有NUL字符，文件可能损坏"),
        Row(3, (), "含有NUL字符，文件可能损坏"),
        Row(4, ("3", "x")),
    ]


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        (b"", "没有表头"),
        (b"\xef\xbb\xbf", "没有表头"),
        (b"\n\n \n", "没有表头"),
        (CHINESE.encode("utf-16-le"), "读不出；请另存为"),
        (b'"a,b\n1,2\n', "引号"),
        (",".join(f"c{n}" for n in range(2001)).encode(), "最多2000列"),
    ],
)
def test_a_file_that_is_no_table_gets_a_sentence(tmp_path: Path, octets: bytes, sentence: str) -> None:
    with pytest.raises(Problem) as caught:
        rows(tmp_path, octets)
    assert sentence in caught.value.zh


def test_a_file_that_is_not_there_gets_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(Problem, match="No such file"), open_table(tmp_path / "none.csv"):
        pass
    with pytest.raises(Problem, match="Is a directory"), open_table(tmp_path):
        pass


def test_the_digest_is_of_the_octets(tmp_path: Path) -> None:
    with opened(tmp_path / "a.csv", b"a\n1\n") as first, opened(tmp_path / "b.csv", b"a\r\n1\r\n") as second:
        assert rows_of(first) == rows_of(second)
        assert first.digest != second.digest
        assert (first.rows_about, second.rows_about) == (1, 1)


@pytest.fixture
def workbook(tmp_path: Path) -> Path:
    path = tmp_path / "list.xlsx"
    book = xlsxwriter.Workbook(path)
    sheet = book.add_worksheet("一月")
    day, moment = (book.add_format({"num_format": text}) for text in ("yyyy-mm-dd", "yyyy-mm-dd hh:mm:ss"))
    sheet.write_row(1, 1, ["编号", "货号", "价格", "日期"])
    sheet.write_row(2, 1, [48123.0, "007", 195.5])
    sheet.write_datetime(2, 4, datetime(2026, 1, 2), day)
    sheet.write_row(4, 1, [17, " 两\n行 ", 0.1 + 0.2, True])
    sheet.write_datetime(5, 1, datetime(2026, 1, 2, 3, 4, 5), moment)
    sheet.write_row(6, 1, ["a", "b", "c", "d", "e"])
    sheet.write_number(7, 1, 123456789012345678)
    sheet.write_number(8, 1, 0.0000001)
    book.add_worksheet("二月").write_row(0, 0, ["x"])
    book.close()
    return path


def test_excel_cells_are_read_as_excel_shows_them(workbook: Path) -> None:
    with open_table(workbook) as table:
        assert table.header == ("编号", "货号", "价格", "日期")
        assert "工作表“一月”（共2张）" in table.zh
        assert "表头在第2行" in table.zh
        assert rows_of(table) == [
            Row(3, ("48123", "007", "195.5", "2026-01-02")),
            Row(4, ()),
            Row(5, ("17", " 两\n行 ", "0.3", "TRUE")),
            Row(6, ("2026-01-02 03:04:05", "", "", "")),
            Row(7, (), "列数不符：应为4列，实为5列"),
            Row(8, (), "有超过15位的数字单元格，Excel已丢失其末尾数字；请把该列设为文本并重新填写"),
            Row(9, ("0.0000001", "", "", "")),
        ]


def test_a_sheet_can_be_named(workbook: Path) -> None:
    with open_table(workbook, sheet="二月") as table:
        assert table.header == ("x",)
    with pytest.raises(Problem, match="一月、二月"), open_table(workbook, sheet="三月"):
        pass


def test_an_excel_file_is_known_by_its_octets(workbook: Path, tmp_path: Path) -> None:
    with opened(tmp_path / "misnamed.csv", workbook.read_bytes()) as table:
        assert table.header[0] == "编号"


@pytest.mark.parametrize("octets", [b"PK\x03\x04 broken", b"\xd0\xcf\x11\xe0" + bytes(600)])
def test_a_broken_excel_file_gets_a_sentence(tmp_path: Path, octets: bytes) -> None:
    with pytest.raises(Problem, match="cannot be read"), opened(tmp_path / "broken.xlsx", octets):
        pass


def test_an_excel_file_too_big_unpacked_is_refused(workbook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "EXCEL_OCTETS", 100)
    with pytest.raises(Problem, match="too big"), open_table(workbook):
        pass


def test_an_empty_sheet_has_no_header(tmp_path: Path) -> None:
    book = xlsxwriter.Workbook(tmp_path / "empty.xlsx")
    book.add_worksheet()
    book.close()
    with pytest.raises(Problem, match="no header"), open_table(tmp_path / "empty.xlsx"):
        pass


def test_spaces_around_column_names_are_dropped_and_those_of_cells_kept(tmp_path: Path) -> None:
    with opened(tmp_path / "list.csv", b" a , b\n 1 , 2\n") as table:
        assert table.header == ("a", "b")
        assert rows_of(table) == [Row(2, (" 1 ", " 2"))]

"""Reads a factory's file, CSV or Excel, as a header and a stream of rows; knows the quirks of real exports.

What the columns mean is said in mapping.py. The file is never in memory as a whole (Excel sheets are, bounded).
"""

import codecs
import csv
import hashlib
import io
import re
import zipfile
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import chain, islice
from pathlib import Path
from typing import IO, Final, NamedTuple

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from node.importer.problem import Problem
from node.importer.rows import Block, Plain, Row, plain_cells

CELL_CHARACTERS: Final = 32_767
"""Longest cell: what an Excel cell can hold. It also bounds what an unclosed quote can swallow."""
COLUMNS_MOST: Final = 2_000
"""Most columns: four times the items a template may have; a header longer than that is no header."""
EXCEL_OCTETS: Final = 1 << 30
"""Most octets of an Excel file unpacked: a sheet is read as a whole, a million rows of text come to about this."""
SURVEY_OCTETS: Final = 1 << 18
"""Octets read at a time while looking over a file: memory stays flat whatever its size, and what is read stays near the
processor: four times as many take twice as long to be decoded."""
COUNTED_OCTETS: Final = 1 << 22
"""Octets whose lines are counted: those behind them are taken to be as long."""
EXCEL_DIGITS: Final = 10**15
"""From here on Excel has lost digits of a number cell (it keeps 15 of them)."""
BLOCK_ROWS: Final = 1000
"""Most rows of a block: as many as a request has identifiers."""
BLOCK_OCTETS: Final = 1 << 20
"""A block ends once it took so much of the file: memory stays flat, and such rows are no fewer than fit a request."""
STEP_ROWS: Final = 50
"""Rows read between two looks at how much a block took."""
SEPARATORS: Final = ",;\t"
"""What a CSV header line may be separated by; the one that gives most columns is taken, the first of equals."""

_UNREADABLE: Final = "\udcff"
_BOMS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_EXCEL_MAGIC: Final = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_LINE_END: Final = re.compile("\r\n?|\n")
_NAMES: Final = {"utf-8-sig": "UTF-8 (BOM)", "utf-8": "UTF-8", "utf-16": "UTF-16", "gb18030": "GB18030"}


def _mark_unreadable(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return _UNREADABLE, error.end


# Octets no encoding can read become a lone surrogate, which no text holds: so the row can be found and refused.
codecs.register_error("idnode-unreadable", _mark_unreadable)


@dataclass(frozen=True, slots=True)
class Table:
    """A file opened for reading once.

    `parts` are its rows, single ones and blocks. `digest` is the sha256 of its octets in hex, `rows_about` how many
    rows it seems to have, for showing progress, `zh` and `en` how it was read.
    """

    header: tuple[str, ...]
    parts: Iterator[Block | Plain | Row]
    digest: str
    rows_about: int
    zh: str
    en: str


@contextmanager
def open_table(path: Path, sheet: str | None = None, encoding: str | None = None) -> Iterator[Table]:
    """The table in the file at `path`: Excel by its first octets, CSV otherwise.

    `sheet` names a sheet of a workbook (the first one by default); `encoding` overrules the detection for CSV.
    Raises Problem when there is no table to be read.
    """
    with ExitStack() as opened:
        try:
            table = _open(path, sheet, encoding, opened)
        except OSError as error:
            raise Problem(f"读不了文件{path}：{error.strerror}", f"cannot read {path}: {error.strerror}") from None
        yield table


def _open(path: Path, sheet: str | None, encoding: str | None, opened: ExitStack) -> Table:
    with path.open("rb") as file:
        start = file.read(4)
        found = survey(file)
    if start.startswith(_EXCEL_MAGIC):
        return _open_excel(path, sheet, found.digest)
    chosen, readable = (_known(encoding), False) if encoding else _detect(path, start)
    # The csv module keeps one limit for the whole process: others get theirs back.
    opened.callback(csv.field_size_limit, csv.field_size_limit(CELL_CHARACTERS))
    octets = opened.enter_context(path.open("rb", SURVEY_OCTETS))
    text = opened.enter_context(io.TextIOWrapper(octets, chosen, "idnode-unreadable", newline=""))
    return _open_csv(octets, text, chosen, found, readable and not found.nul)


class Survey(NamedTuple):
    """What can be said of a file without understanding it: its sha256 in hex, about how many lines it has, and whether
    there is a NUL, or many lines that end in nothing but a carriage return."""

    digest: str
    lines: int
    nul: bool
    returns: bool


def survey(file: IO[bytes]) -> Survey:
    """Looks a file over."""
    file.seek(0)
    digest, nul, returns = hashlib.sha256(), False, False
    size = counted = lines = 0
    while octets := file.read(SURVEY_OCTETS):
        digest.update(octets)
        size += len(octets)
        if size <= COUNTED_OCTETS:
            lines, counted = lines + (octets.count(b"\n") or octets.count(b"\r")), size
        nul = nul or b"\0" in octets
        returns = returns or (b"\n" not in octets and b"\r" in octets)
    return Survey(digest.hexdigest(), lines * size // max(counted, 1), nul, returns)


def _known(encoding: str) -> str:
    try:
        "".encode(encoding)
    except LookupError:
        raise Problem(f"不认识编码{encoding}", f"{encoding} is no encoding I know") from None
    return encoding


def _detect(path: Path, start: bytes) -> tuple[str, bool]:
    """The encoding of a file, and whether all of it is known to be readable so."""
    size = path.stat().st_size
    for bom, encoding in _BOMS.items():
        if start.startswith(bom):
            return encoding, encoding == "utf-8-sig" and _readable_octets(path, "utf-8") == size
    utf8 = _readable_octets(path, "utf-8")
    if utf8 == size:
        return "utf-8", True
    # Where neither reads the whole file, the one that reads further is meant: its broken rows will be refused.
    gb18030 = _readable_octets(path, "gb18030")
    return ("gb18030", gb18030 == size) if gb18030 > utf8 else ("utf-8", False)


def _readable_octets(path: Path, encoding: str) -> int:
    """How many octets of the file can be read as `encoding` before the first that cannot."""
    decoder = codecs.getincrementaldecoder(encoding)()
    done = 0
    with path.open("rb") as file:
        while True:
            octets = file.read(SURVEY_OCTETS)
            try:
                decoder.decode(octets, final=not octets)
            except UnicodeDecodeError as error:
                return done + error.start
            if not octets:
                return done
            done += len(octets)


def _open_csv(octets: IO[bytes], text: io.TextIOWrapper, encoding: str, found: Survey, readable: bool) -> Table:
    name = _NAMES.get(encoding, encoding)
    headers = {separator: _header(text, separator) for separator in SEPARATORS}
    separator = max(headers, key=lambda s: len(headers[s].cells))
    header = _checked_header(headers[separator], name)
    rows = _Rows(octets, text, separator, encoding if readable and not found.returns else "")
    shown = {"\t": "Tab"}.get(separator, separator)
    return Table(
        header.cells,
        _csv_parts(rows, header, "" if readable else name),
        found.digest,
        max(found.lines - header.number, 1),
        f"按{name}读取，分隔符“{shown}”，{len(header.cells)}列，表头在第{header.number}行",
        f"read as {name}, separated by “{shown}”, {len(header.cells)} columns, header in row {header.number}",
    )


def _header(text: io.TextIOWrapper, separator: str) -> Row:
    text.seek(0)
    try:
        for number, cells in enumerate(csv.reader(text, delimiter=separator, strict=True), 1):
            if any(cell.strip() for cell in cells):
                return Row(number, tuple(cell.strip() for cell in cells))
    except csv.Error as error:
        # Another separator may read it; if none does, the header is told to be unreadable.
        return Row(1, (), str(error))
    return Row(0, ())


def _checked_header(header: Row, encoding: str) -> Row:
    if header.refusal:
        raise Problem(
            "表头读不出：引号用得不对或没有关闭", "the header cannot be read: a quote is misused or not closed"
        )
    if not header.cells:
        raise Problem("文件里没有表头：第一行应为列名", "the file has no header: its first row must name the columns")
    if len(header.cells) > COLUMNS_MOST:
        raise Problem(
            f"表头有{len(header.cells)}列，最多{COLUMNS_MOST}列",
            f"the header has {len(header.cells)} columns, at most {COLUMNS_MOST} are read",
        )
    if _unreadable("".join(header.cells), encoding):
        raise Problem(
            f"表头按{encoding}读不出；请另存为“CSV UTF-8”再导入，或用--encoding指明编码",
            f"the header cannot be read as {encoding}; save the file as “CSV UTF-8”, or name its --encoding",
        )
    return header


def _csv_parts(rows: "_Rows", header: Row, encoding: str) -> Iterator[Block | Plain | Row]:
    rows.skip(header.number)
    number, width = header.number + 1, len(header.cells)
    ended = False
    while not ended:
        if plain := rows.plain(width):
            yield Plain(number, width, plain)
            number += len(plain) // (width + 1)
            continue
        cells: list[list[str]] = []
        line, refusal = rows.line + 1, ""
        try:
            ended = rows.fill(cells)
        except csv.Error as error:  # the rows before it are in `cells`
            line += len(cells) + len(_LINE_END.findall("\0".join(chain(*cells))))
            refusal = _broken(str(error), line, rows.line)
        if {*map(len, cells)} == {width} and not (encoding and _unreadable("".join(chain(*cells)), encoding)):
            yield Block(number, cells)
        else:
            for place, row in enumerate(cells, number):
                yield _checked(place, tuple(row), width, encoding)
        number += len(cells)
        if refusal:
            yield Row(number, (), refusal)
            number += 1


class _Rows:
    """The rows of a CSV, in blocks; where `encoding` is given, plain ones are cut out of its `octets`, and all else is
    read by the csv module: the lines that stand before it are lent to it, and then one line at a time, so that it never
    has more than the rows that were asked for.
    """

    def __init__(self, octets: IO[bytes], text: io.TextIOWrapper, separator: str, encoding: str) -> None:
        self._octets = octets
        self._encoding = encoding.removesuffix("-sig")
        self._separator = separator.encode()
        text.seek(0)
        if encoding:
            octets.seek(len(codecs.BOM_UTF8) if encoding == "utf-8-sig" else 0)
        lines = chain.from_iterable(self._lines()) if encoding else text
        self._reader = csv.reader(lines, delimiter=separator, strict=True)
        self._lent = b""
        self._due = 0
        """The line the csv module has to come to before octets are looked at again."""
        self._passed = 0
        """Lines it was spared."""
        self._until = 0
        """Where in the file a block ends."""

    @property
    def line(self) -> int:
        """The line read last, counted from 1."""
        return self._passed + self._reader.line_num

    def _lines(self) -> Iterator[io.StringIO]:
        while octets := self._lent or self._octets.readline():
            self._lent = b""
            self._due = self._reader.line_num + len(octets.splitlines())
            yield io.StringIO(octets.decode(self._encoding), newline="")

    @property
    def _is_due(self) -> bool:
        """Whether the csv module has not read all it was lent."""
        return bool(self._lent) or self._reader.line_num < self._due

    def skip(self, rows: int) -> None:
        """Passes over so many rows."""
        deque(islice(self._reader, rows), maxlen=0)

    def plain(self, width: int) -> list[bytes] | None:
        """The cells of the next block, as `plain_cells` has them; None where it must be read by `fill`."""
        if self._is_due:
            return None
        self._until = self._octets.tell() + BLOCK_OCTETS
        if not self._encoding:
            return None
        lines: list[bytes] = []
        while len(lines) < BLOCK_ROWS and self._octets.tell() < self._until:
            due = len(lines) + STEP_ROWS
            lines.extend(islice(self._octets, STEP_ROWS))
            if len(lines) < due:
                break
        octets = b"".join(lines)
        found = None
        if lines and max(map(len, lines)) <= CELL_CHARACTERS:
            plain = octets if self._encoding != "gb18030" else octets.decode(self._encoding).encode()
            found = plain_cells(plain, self._separator, width)
        if found:
            self._passed += len(lines)
        else:
            self._lent = octets
        return found

    def fill(self, cells: list[list[str]]) -> bool:
        """Reads the rows of a block into `cells`; says whether the file has ended. Raises csv.Error."""
        while len(cells) < BLOCK_ROWS and (self._is_due or self._octets.tell() < self._until):
            due = min(len(cells) + STEP_ROWS, BLOCK_ROWS)
            cells.extend(islice(self._reader, due - len(cells)))  # keeps what was read before an error
            if len(cells) < due:
                return True
        return False


def _broken(error: str, first: int, last: int) -> str:
    where = f"文本第{first}行" if first == last else f"文本第{first}至{last}行"
    if "field larger" in error:
        return f"单元格超过{CELL_CHARACTERS}个字符，多半是引号没有关闭（{where}）"
    if "unexpected end" in error:
        return f"引号没有关闭，直到文件末尾（{where}）"
    return f"引号用得不对：引号内的引号要写两次（{where}）"


def _checked(number: int, cells: tuple[str, ...], width: int, encoding: str) -> Row:
    """A row as it is, empty, or refused. `encoding` is how it was read, empty where all is known to be readable."""
    if not any(map(str.strip, cells)):
        return Row(number, ())
    if encoding and (reason := _unreadable("".join(cells), encoding)):
        return Row(number, (), reason)
    if len(cells) != width:
        return Row(number, (), f"列数不符：应为{width}列，实为{len(cells)}列")
    return Row(number, cells)


def _unreadable(text: str, encoding: str) -> str:
    if text.isprintable():
        return ""  # neither NUL nor a lone surrogate can be printed
    if "\0" in text:
        return "含有NUL字符，文件可能损坏"
    return f"含有按{encoding}读不出的字符" if _SURROGATE.search(text) else ""


def _open_excel(path: Path, sheet: str | None, digest: str) -> Table:
    chosen, sheets = _sheet(path, sheet)
    rows = _excel_rows(chosen)
    first = next((row for row in rows if row.cells), Row(0, ()))
    header = _checked_header(Row(first.number, tuple(cell.strip() for cell in first.cells)), "Excel")
    more = f"（共{len(sheets)}张）" if len(sheets) > 1 else ""
    more_en = f" (of {len(sheets)})" if len(sheets) > 1 else ""
    return Table(
        header.cells,
        (_fitted(row, len(header.cells)) for row in rows),
        digest,
        max(chosen.total_height - header.number, 0),
        f"Excel工作表“{chosen.name}”{more}，{len(header.cells)}列，表头在第{header.number}行",
        f"Excel sheet “{chosen.name}”{more_en}, {len(header.cells)} columns, header in row {header.number}",
    )


def _sheet(path: Path, name: str | None) -> tuple[CalamineSheet, list[str]]:
    try:
        if zipfile.is_zipfile(path) and _unpacked(path) > EXCEL_OCTETS:
            raise Problem("Excel文件太大，请另存为CSV再导入", "the Excel file is too big; save it as CSV")
        with path.open("rb") as file:
            workbook = CalamineWorkbook.from_filelike(file)
        names = workbook.sheet_names
        if not names or (name is not None and name not in names):
            listed = "、".join(names)
            raise Problem(f"没有工作表{name or ''}；文件里有：{listed}", f"no sheet {name or ''}; there is: {listed}")
        return workbook.get_sheet_by_name(name or names[0]), names
    except PasswordError:
        raise Problem("Excel文件有密码，请取消密码后再导入", "the Excel file has a password; remove it first") from None
    except (CalamineError, zipfile.BadZipFile) as error:
        raise Problem(
            f"Excel文件读不出（{error}）；请重新导出或另存为CSV",
            f"the Excel file cannot be read ({error}); export it again, or save it as CSV",
        ) from None


def _unpacked(path: Path) -> int:
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _excel_rows(sheet: CalamineSheet) -> Iterator[Row]:
    """Rows as Excel numbers them, without the empty cells at their end."""
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = [_cell_text(cell) for cell in row]
        while cells and cells[-1] is not None and not cells[-1].strip():
            cells.pop()
        if None in cells:
            yield Row(number, (), "有超过15位的数字单元格，Excel已丢失其末尾数字；请把该列设为文本并重新填写")
        else:
            yield Row(number, tuple(cell for cell in cells if cell is not None))


def _fitted(row: Row, width: int) -> Row:
    if not row.cells:
        return row
    padded = row.cells + ("",) * (width - len(row.cells))
    return _checked(row.number, padded, width, "Excel")


def _cell_text(cell: float | str | bool | time | date | datetime | timedelta) -> str | None:
    """A cell as Excel shows it; None for a number Excel has already cut."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, int | float):
        return None if abs(cell) >= EXCEL_DIGITS else format(Decimal(f"{cell:.15g}"), "f")
    if isinstance(cell, datetime):
        return cell.strftime("%Y-%m-%d %H:%M:%S" if cell.time() != time() else "%Y-%m-%d")
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)

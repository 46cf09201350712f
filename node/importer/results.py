"""What came of each unit, in a clerk's words; the results file, and the journal that lets an import go on.

The results file is CSV that Excel opens, in Chinese; what is in it is true even after kill -9 in the middle.
"""

import csv
import fcntl
import hashlib
import io
import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec

from node.importer.problem import Problem
from node.importer.units import Tally, Together, Unit

HEADINGS: Final = ("行号", "标识", "结果", "原因")
JOURNAL_FORMAT: Final = 1
FORMULA_STARTS: Final = tuple("=+-@\t\r")
"""A cell that begins so would be run as a formula by Excel; it gets a leading apostrophe (OWASP, CSV injection)."""

EXISTS: Final = "标识已存在"
"""The message of batchCreate for an identifier that is registered (SNMS OpenAPI, handle-operate)."""


class Result(StrEnum):
    """What came of a unit, as the results file says it."""

    REGISTERED = "已登记"
    SAME = "已存在且一致"
    DIFFERENT = "已存在但不同"
    REFUSED = "已拒绝"
    WOULD_REGISTER = "将登记"
    WOULD_REFUSE = "将被拒绝"
    MISSING = "缺失"
    ALIKE = "一致"
    UNLIKE = "不同"
    INVALID = "无法对账"


FINE: Final = frozenset({Result.REGISTERED, Result.SAME, Result.WOULD_REGISTER, Result.ALIKE})
"""The results after which nobody has to do anything."""

REHEARSED: Final = {
    "missing": Result.WOULD_REGISTER,
    "same": Result.SAME,
    "different": Result.DIFFERENT,
    "invalid": Result.WOULD_REFUSE,
}
RECONCILED: Final = {
    "same": Result.ALIKE,
    "different": Result.UNLIKE,
    "missing": Result.MISSING,
    "invalid": Result.INVALID,
}


_REGISTERED: Final = Result.REGISTERED


class Line(NamedTuple):
    """One line of the results file."""

    unit: Unit
    result: Result
    reason: str = ""


def of_batch(unit: Unit, answer: Mapping[str, Any], names: Mapping[str, str], sent_before: bool) -> Line:
    """What batchCreate's `answer` for one identifier means. `names` gives the Chinese name of a type.

    After a lost answer the unit is sent again (`sent_before`): existing alike then is what this import wanted and
    perhaps did, so it counts as registered, and the reason says how that is known.
    """
    message = answer["msg"]
    if message == "success":
        return Line(unit, _REGISTERED)
    if message != EXISTS:
        return Line(unit, Result.REFUSED, message)
    if answer.get("differs"):
        return Line(unit, Result.DIFFERENT, _differing(answer["differs"], names))
    if "differs" not in answer:
        return Line(unit, Result.SAME, "节点没有说明内容是否一致，请对账")
    if sent_before:
        return Line(unit, Result.REGISTERED, CONFIRMED)
    return Line(unit, Result.SAME)


CONFIRMED: Final = "重发后确认：已在节点登记且内容一致"
"""The reason of a registration whose own answer was lost."""


def well(identifiers: Iterable[str]) -> bytes:
    """What batchCreate answers, as our nodes write it, when all of these were registered; none needs care in JSON."""
    rows = b'","msg":"success"},{"handle":"'.join([identifier.encode() for identifier in identifiers])
    return b'{"status":1,"message":"success","data":[{"handle":"' + rows + b'","msg":"success"}]}'


def of_reconcile(
    unit: Unit, answer: Mapping[str, Any], names: Mapping[str, str], results: Mapping[str, Result]
) -> Line:
    """What the `answer` of POST /api/v1/reconcile for one identifier means, by the table `results`."""
    reason = answer.get("message") or ""
    if answer.get("differs"):
        reason = _differing(answer["differs"], names)
    return Line(unit, results[answer["result"]], reason)


Reader = Callable[[Unit, Mapping[str, Any], Mapping[str, str], bool], Line]


def reader(table: Mapping[str, Result]) -> Reader:
    """What reads answers: by `table` those of reconcile, without one those of batchCreate."""
    if not table:
        return of_batch
    return lambda unit, answer, names, _: of_reconcile(unit, answer, names, table)


def _differing(types: Iterable[str], names: Mapping[str, str]) -> str:
    return "不同的属性：" + "、".join(names.get(type_, type_) for type_ in types)


class Journal(msgspec.Struct):
    """How far an import has come. `units`, `octets` and `digest` (sha256 so far) are of the results file's lines.

    `row` and `serial` are the last unit's, for people; `counts` is by result; `confirmed` counts CONFIRMED.
    """

    format: int
    input: str
    options: dict[str, str]
    units: int = 0
    row: int = 0
    serial: int = 0
    octets: int = 0
    digest: str = ""
    counts: dict[str, int] = {}
    confirmed: int = 0
    rows: int = 0
    empty: int = 0
    finished: bool = False


class Results:
    """The results file at `path` and its journal `path`.resume; one program at a time may have them open.

    `resumed` says whether the same import was begun before: then some units past the journal may have been sent.
    """

    def __init__(self, path: Path, file: BinaryIO, journal: Journal) -> None:
        self.path = path
        self.journal = journal
        self.resumed = False
        self._file = file
        self._digest = hashlib.sha256()
        self._saved = True
        self._saving = Lock()
        """Who is interrupted while a thread saves must not save beside it."""

    def resume(self, restart: bool) -> None:
        """Goes on where the same import stopped, or begins anew; `restart` forgets what was there."""
        kept = None if restart else _read_journal(journal_path(self.path))
        different = _differences(kept, self.journal) if kept else ""
        if kept is None or (different and not kept.units):
            self._begin(covering=restart or kept is not None)
        elif different:
            raise Problem(
                f"结果文件{self.path}属于另一次导入（不同的是：{different}）；"
                "请用--result另给文件名，或加--restart重新开始",
                f"{self.path} is of another import (different: {different}); name another --result, or add --restart",
            )
        else:
            self.resumed = True
            self._go_on(kept)

    def _begin(self, covering: bool) -> None:
        if not covering and self._file.seek(0, os.SEEK_END):
            raise Problem(
                f"结果文件{self.path}已经存在，不属于未完成的导入；请用--result另给文件名，或加--restart覆盖它",
                f"{self.path} exists and is of no unfinished import; name another --result, or add --restart",
            )
        # The journal first: a results file without one is nobody's, and would be refused.
        self._save()
        self._file.truncate(0)
        self._file.seek(0)
        self._write("\ufeff" + _csv([HEADINGS]))
        self.save()

    def _go_on(self, kept: Journal) -> None:
        if kept.finished:
            self.journal = kept
        elif not kept.octets:
            self._begin(covering=True)
        else:
            self._read_back(kept)

    def _read_back(self, kept: Journal) -> None:
        self._file.seek(0)
        for size in _portions(kept.octets):
            self._digest.update(self._file.read(size))
        if self._digest.hexdigest() != kept.digest:
            raise Problem(
                f"结果文件{self.path}在中断后被改动过，无法接着写；请加--restart重新开始（已登记的不会重复登记）",
                f"{self.path} was changed since the interruption; add --restart (nothing is registered twice)",
            )
        self.journal = kept
        self._file.truncate(kept.octets)
        self._file.seek(kept.octets)

    def append(self, lines: Sequence[Line] | Together, tally: Tally, finished: bool = False) -> None:
        """Adds `lines`, or those of units that were all registered; `save` brings them to the disk. Raises Problem."""
        journal = self.journal
        if isinstance(lines, Together):
            counts, last = Counter({_REGISTERED: len(lines)}), (lines.row + len(lines) - 1, 1)
            confirmed = 0
            text = _registered(lines)
        else:
            counts = Counter([line.result for line in lines])
            confirmed = [line.reason for line in lines].count(CONFIRMED)
            last = (lines[-1].unit.row, lines[-1].unit.serial) if lines else (journal.row, journal.serial)
            text = "".join([_shown(*line) for line in lines])
        with _telling(self.path):
            self._write(text)
        for result, count in counts.items():
            journal.counts[result] = journal.counts.get(result, 0) + count
        journal.units += counts.total()
        journal.confirmed += confirmed
        journal.row, journal.serial = last
        journal.rows, journal.empty, journal.finished = tally.rows, tally.empty, finished

    def _write(self, text: str) -> None:
        octets = text.encode(errors="backslashreplace")
        self._file.write(octets)
        self._digest.update(octets)
        self.journal.octets += len(octets)
        self.journal.digest = self._digest.hexdigest()
        self._saved = False

    def save(self) -> None:
        """Moves the journal on, unless nothing was added: first the lines reach the disk, then it says so. Raises
        Problem.
        """
        with self._saving, _telling(self.path):
            if not self._saved:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._save()
                self._saved = True

    def _save(self) -> None:
        path = journal_path(self.path)
        temporary = path.with_name(path.name + ".new")
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(self.journal)))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)


def finished(path: Path) -> bool:
    """Whether the work whose results file is `path` came to its end."""
    kept = _read_journal(journal_path(path))
    return kept is not None and kept.finished


@contextmanager
def open_results(path: Path, input_: str, options: dict[str, str], restart: bool = False) -> Iterator[Results]:
    """The results file at `path` for the import of the file with digest `input_` and these `options`; what was added is
    saved at the end.

    Raises Problem when it is of another import, was changed by hand, is in use or cannot be written; a full disk
    later too.
    """
    with ExitStack() as opened:
        with _telling(path):
            file = opened.enter_context(os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            results = Results(path, file, Journal(JOURNAL_FORMAT, input_, options))
            results.resume(restart)
        try:
            yield results
        finally:
            results.save()


@contextmanager
def _telling(path: Path) -> Iterator[None]:
    try:
        yield
    except BlockingIOError:
        raise Problem(f"另一个程序正在写结果文件{path}", f"another program is writing {path}") from None
    except OSError as error:
        raise Problem(f"写不了结果文件{path}：{error.strerror}", f"cannot write {path}: {error.strerror}") from None


def journal_path(results: Path) -> Path:
    """Where the journal of a results file is kept."""
    return results.with_name(results.name + ".resume")


def _read_journal(path: Path) -> Journal | None:
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Problem(
            f"进度文件{path}读不出（{error}）；请加--restart重新开始", f"cannot read {path} ({error}); add --restart"
        ) from None
    if journal.format != JOURNAL_FORMAT:
        raise Problem(
            f"进度文件{path}是另一版本写的；请加--restart重新开始", f"{path} is of another version; add --restart"
        )
    return journal


OPTIONS: Final = {
    "work": "工作 · work",
    "node": "节点地址 · node",
    "prefix": "企业前缀 · prefix",
    "template": "模板 · template",
    "map": "映射文件 · map",
    "suffix": "后缀规则 · suffix",
    "serials": "序号个数 · serials",
    "sheet": "工作表 · sheet",
    "encoding": "编码 · encoding",
}
"""The options that must be the same for an import to go on."""


def _differences(kept: Journal, wanted: Journal) -> str:
    different = [OPTIONS[name] for name in OPTIONS if kept.options.get(name) != wanted.options.get(name)]
    return "、".join(["输入文件 · file"] * (kept.input != wanted.input) + different)


def _portions(octets: int, most: int = 1 << 20) -> Iterable[int]:
    """`octets` cut into portions of at most `most`, so that reading back a long file keeps memory flat."""
    return (min(most, octets - start) for start in range(0, octets, most))


_EVERYDAY: Final = re.compile(r"[0-9][A-Za-z0-9._/-]*", re.ASCII)
"""Identifiers that need neither quotes nor an apostrophe in CSV."""


def _shown(unit: Unit, result: Result, reason: str) -> str:
    """A line as `_csv` writes it: what hardly ever needs quotes is put together here."""
    if not reason and _EVERYDAY.fullmatch(unit.identifier):
        return f"{unit.row},{unit.identifier},{result},\r\n"
    return _csv([(str(unit.row), unit.identifier, result, reason)])


def _registered(units: Together) -> str:
    """The lines of units that were all registered, as `_shown` gives them one by one."""
    end = f",{_REGISTERED},\r\n"
    return "".join([f"{row},{identifier}{end}" for row, identifier in enumerate(units.identifiers, units.row)])


def _csv(rows: Iterable[Iterable[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([_harmless(cell) for cell in row] for row in rows)
    return text.getvalue()


def _harmless(cell: str) -> str:
    return "'" + cell if cell.startswith(FORMULA_STARTS) else cell

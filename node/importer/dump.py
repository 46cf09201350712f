"""Reads what another server gave away: lines of the JSON of the Handle HTTP API, or a batch file of Handle.Net.

Either becomes units like the rows of a table, with the body POST /api/v1/handles takes; values keep all their fields.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from node.importer.problem import Problem
from node.importer.table import survey
from node.importer.units import Repeats, Tally, Unit
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.limits import RECORD_OCTETS, VALUES_PER_RECORD
from proto.web_json import value_from_json

LINE_OCTETS: Final = 4 * RECORD_OCTETS
"""Longest line: the largest record with every octet escaped."""
_SUCCESS: Final = 1


@dataclass(frozen=True, slots=True)
class Dump:
    """A file opened for reading once. `digest` is the sha256 of its octets in hex, `records_about` how many records it
    seems to have, `zh` and `en` how it was read.
    """

    digest: str
    records_about: int
    zh: str
    en: str
    _records: Callable[[], "Iterator[_Record]"]

    def units(self, prefix: str, repeats: Repeats, tally: Tally) -> Iterator[Unit]:
        """The units of the file, in order; those of other prefixes are refused. Raises Problem when there are too many
        to remember."""
        for record in self._records():
            tally.rows += 1
            yield _unit(record, prefix, repeats)


@dataclass(slots=True)
class _Record:
    """What stands in the file from line `row` on: a handle and its values as JSON, or why not."""

    row: int
    handle: Any = None
    values: Any = None
    refusal: str = ""


@contextmanager
def open_dump(path: Path) -> Iterator[Dump]:
    """The dump in the file at `path`: JSON if it begins with an object, a batch file otherwise. Raises Problem."""
    try:
        with path.open("rb") as file:
            digest, lines, *_ = survey(file)
            file.seek(0)
            json = file.read(1024).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"{"
            if json:
                yield Dump(digest, max(lines, 1), "按每行一个JSON读取", "read as JSON, one a line", lambda: _json(file))
            else:
                zh, en = "按Handle.Net批处理文件读取", "read as a batch file of Handle.Net"
                yield Dump(digest, max(lines // 4, 1), zh, en, lambda: _batch(file))
    except OSError as error:
        raise Problem(f"读不了文件{path}：{error.strerror}", f"cannot read {path}: {error.strerror}") from None


def _unit(record: _Record, prefix: str, repeats: Repeats) -> Unit:
    if record.refusal:
        return Unit(record.row, 1, "", b"", record.refusal)
    try:
        identifier = Identifier.parse(record.handle if isinstance(record.handle, str) else "")
        if identifier.prefix_key != prefix:
            return _refused(record, f"标识的前缀是{identifier.prefix}，不是所导入企业的前缀{prefix}")
        if not isinstance(record.values, list) or not 1 <= len(record.values) <= VALUES_PER_RECORD:
            return _refused(record, f"values应为1到{VALUES_PER_RECORD}个值的数组")
        for value in record.values:
            value_from_json(value)
    except ProtoError as error:
        return _refused(record, error.zh)
    if first := repeats.first(identifier.key, record.row):
        return _refused(record, f"与第{first}行的标识重复")
    handle = str(identifier)
    return Unit(record.row, 1, handle, msgspec.json.encode({"handle": handle, "values": record.values}))


def _refused(record: _Record, reason: str) -> Unit:
    return Unit(record.row, 1, record.handle if isinstance(record.handle, str) else "", b"", reason)


def _lines(file: IO[bytes]) -> Iterator[tuple[int, str | None]]:
    """The lines with their numbers, without what ends them; None for one that is too long or no UTF-8."""
    file.seek(0)
    number = 0
    while line := file.readline(LINE_OCTETS + 1):
        number += 1
        whole = len(line) <= LINE_OCTETS
        while not line.endswith(b"\n") and (rest := file.readline(LINE_OCTETS)):
            line = rest  # the end of one that is too long
        try:
            text = line.decode().rstrip("\r\n") if whole else None
        except UnicodeDecodeError:
            text = None
        yield number, text.removeprefix("\ufeff") if text and number == 1 else text


_UNREADABLE: Final = f"这一行不是UTF-8，或超过{LINE_OCTETS}字节"


def _json(file: IO[bytes]) -> Iterator[_Record]:
    for number, line in _lines(file):
        if line is None:
            yield _Record(number, refusal=_UNREADABLE)
        elif line.strip():
            yield _of_json(number, line)


def _of_json(number: int, line: str) -> _Record:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return _Record(number, refusal="这一行不是JSON")
    if not isinstance(found, dict) or "handle" not in found:
        return _Record(number, refusal="这一行应为含handle和values的对象")
    if found.get("responseCode", _SUCCESS) != _SUCCESS:
        return _Record(number, refusal=f"这一行的responseCode是{found['responseCode']}，不是一条记录")
    return _Record(number, found["handle"], found.get("values"))


# -- batch files of Handle.Net

_PASSED_OVER: Final = frozenset({"AUTHENTICATE", "SESSIONSETUP"})
"""What a batch file says to the server it was made for, with what follows up to an empty line."""
_FIELDS: Final = 6
"""index type ttl permissions kind data"""
_DIGITS_MOST: Final = 10
"""No index or TTL has more."""


def _batch(file: IO[bytes]) -> Iterator[_Record]:
    """The CREATE statements: a line that names the handle, then a line a value, up to an empty one."""
    record: _Record | None = None
    passing = False
    for number, line in _lines(file):
        word, _, rest = (line or "").strip().partition(" ")
        if (line is not None and not word) or (word == "CREATE" and "/" in rest):
            passing = False  # no line of what is passed over reads so: people leave the empty one out
        elif passing:
            continue
        elif word in _PASSED_OVER:
            passing = True
        elif record is not None and _number(word) is not None:
            _add_value(record, number, line or "")
            continue
        elif record is not None and line is None:
            record.refusal = record.refusal or f"第{number}行：{_UNREADABLE}"
            continue
        if record is not None:
            yield record
            record = None
        if word == "CREATE":
            record = _Record(number, rest.strip(), [])
        elif not passing and (word or line is None):
            yield _Record(number, refusal=_UNREADABLE if line is None else f"只读取CREATE语句，不是{word[:40]}")
    if record is not None:
        yield record


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS_MOST else None


def _add_value(record: _Record, number: int, line: str) -> None:
    """Adds the value of a line; of one that cannot be read the record says so."""
    fields = line.strip().split(" ", _FIELDS - 1)
    ttl = _number(fields[2]) if len(fields) >= _FIELDS - 1 else None
    if ttl is None:
        record.refusal = record.refusal or f"第{number}行应为：索引 类型 TTL 权限 格式 数据"
        return
    index, type_, _, permissions, kind, data = (*fields, "")[:_FIELDS]
    read = _KINDS.get(kind)
    shown = read(data) if read else None
    if shown is None:
        record.refusal = record.refusal or f"第{number}行的{kind[:40]}数据读不懂"
    elif len(record.values) <= VALUES_PER_RECORD:  # one too many is enough to be refused
        record.values.append(
            {"index": _number(index), "type": type_, "data": shown, "ttl": ttl, "permissions": permissions}
        )


def _string(data: str) -> dict[str, Any]:
    return {"format": "string", "value": data}


def _admin(data: str) -> dict[str, Any] | None:
    """`index:permissions:handle`"""
    index, _, rest = data.partition(":")
    permissions, _, handle = rest.partition(":")
    if _number(index) is None or not handle:
        return None
    return {"format": "admin", "value": {"handle": handle, "index": _number(index), "permissions": permissions}}


def _list(data: str) -> dict[str, Any] | None:
    """`index:handle;index:handle`"""
    entries = [entry.strip().partition(":") for entry in data.split(";") if entry.strip()]
    if not all(_number(index) is not None and handle for index, _, handle in entries):
        return None
    return {"format": "vlist", "value": [{"index": _number(index), "handle": handle} for index, _, handle in entries]}


_KINDS: Final[dict[str, Callable[[str], dict[str, Any] | None]]] = {"UTF8": _string, "ADMIN": _admin, "LIST": _list}
"""What a value of a batch file may be given as. FILE names one on the machine it was made on: it is refused."""

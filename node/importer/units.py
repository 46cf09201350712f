"""Rows times serials: the units of work of an import, each of which gets one line of result.

The same file and options always give the same units in the same order: that is what resuming rests on.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple

import msgspec

from node.importer.mapping import Binding, Reading
from node.importer.problem import Problem
from node.importer.table import Row
from proto.identifier import Identifier
from registry.rules import unfit
from registry.suffix import SuffixRule
from registry.template import Item

IDENTIFIERS_MOST: Final = 20_000_000
"""Most identifiers of one import: what `Repeats` can remember in half a gigabyte, and the biggest order of
serials the field knows. A bigger file is cut in two."""

_FIRST_SLOTS: Final = 1 << 12


class Unit(NamedTuple):
    """One identifier to be asked about, or one row that cannot be: then `refusal` says why and `body` is empty.

    `row` is the row in the file, `serial` counts from 1, `body` is the JSON batchCreate takes.
    """

    row: int
    serial: int
    identifier: str
    body: bytes
    refusal: str = ""


@dataclass(slots=True)
class Tally:
    """How many rows were read, and how many were empty and skipped."""

    rows: int = 0
    empty: int = 0


class Repeats:
    """Which row had an identifier first: a table of 8-octet hashes, 12 octets a slot, at most two thirds full.

    Two identifiers taken for one: odds below 1 in 90,000 for a whole file of 20 million (n²/2^65).
    """

    def __init__(self) -> None:
        self._count = 0
        self._empty(_FIRST_SLOTS)

    def _empty(self, slots: int) -> None:
        self._hashes = array("Q", bytes(8)) * slots
        self._rows = array("I", (0,)) * slots

    def first(self, key: str, row: int) -> int:
        """The row that had `key` before; 0 when none had, and then `row` is remembered."""
        mark = int.from_bytes(blake2b(key.encode(), digest_size=8).digest()) or 1
        place = self._place(mark)
        if self._hashes[place]:
            return self._rows[place]
        if self._count >= IDENTIFIERS_MOST:
            raise Problem(
                f"一次导入最多{IDENTIFIERS_MOST}个标识，到第{row}行已满；请把文件分开，从这一行起另行导入",
                f"one import has at most {IDENTIFIERS_MOST} identifiers, reached in row {row}; cut the file there",
            )
        self._hashes[place], self._rows[place] = mark, row
        self._count += 1
        if self._count * 3 > len(self._hashes) * 2:
            self._grow()
        return 0

    def _place(self, mark: int) -> int:
        hashes, last = self._hashes, len(self._hashes) - 1
        place = mark & last
        while hashes[place] not in (0, mark):
            place = place + 1 & last
        return place

    def _grow(self) -> None:
        hashes, rows = self._hashes, self._rows
        self._empty(len(hashes) * 2)
        for mark, row in zip(hashes, rows, strict=True):
            if mark:
                place = self._place(mark)
                self._hashes[place], self._rows[place] = mark, row


@dataclass(frozen=True, slots=True)
class Target:
    """Where identifiers go: under which `prefix`, by which `template`, 1 … `serials` of each row.

    `rehearsed` and `suffix` are the attributes and the rule to check by before asking the node, in a rehearsal; an
    import leaves that to the node, which judges anyway.
    """

    prefix: str
    template: str
    serials: int = 1
    rehearsed: tuple[Item, ...] = ()
    suffix: SuffixRule = field(default_factory=SuffixRule)


def expand(rows: Iterable[Row], binding: Binding, target: Target, repeats: Repeats, tally: Tally) -> Iterator[Unit]:
    """The units of `rows`, in order. Raises Problem beyond IDENTIFIERS_MOST."""
    for row in rows:
        if not row.cells and not row.refusal:
            tally.empty += 1
            continue
        tally.rows += 1
        reading = binding.read(row.cells) if row.cells else Reading((), (), row.refusal)
        if reading.refusal:
            yield Unit(row.number, 1, "", b"", reading.refusal)
            continue
        tail = _tail(reading, target.template)
        refusal = _rehearse(reading, target.rehearsed)
        for serial in range(1, target.serials + 1):
            identifier = reading.identifier(target.prefix, serial)
            if isinstance(identifier, str):
                yield Unit(row.number, serial, "", b"", identifier)
                continue
            handle = str(identifier)
            first = repeats.first(identifier.key, row.number)
            reason = f"与第{first}行的标识重复" if first else _misshapen(identifier, target) or refusal
            body = b"" if reason else b'{"handle":' + msgspec.json.encode(handle) + tail
            yield Unit(row.number, serial, handle, body, reason)


def _misshapen(identifier: Identifier, target: Target) -> str:
    if target.suffix.admits(identifier.suffix):
        return ""
    return f"后缀{identifier.suffix}不符合模板{target.template}的编码规则{target.suffix.shape[0]}"


def _tail(reading: Reading, template: str) -> bytes:
    """The body of a row's identifiers after the handle: the same for all its serials."""
    value = [
        {"index": attribute.index, "type": attribute.name, "data": {"format": "string", "value": text}}
        for attribute, text in reading.values
    ]
    return b"," + msgspec.json.encode({"templateVersion": template, "value": value})[1:]


def _rehearse(reading: Reading, attributes: tuple[Item, ...]) -> str:
    if not attributes:
        return ""
    texts = dict(reading.values)
    for attribute in attributes:
        text = texts.get(attribute, "")
        if attribute.required and not text:
            return f"缺少必填属性{attribute.zh}（{attribute.name}）"
        if text and (refused := unfit(text, attribute)):
            return refused.zh
    return ""

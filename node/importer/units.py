"""Rows times serials: the units of work of an import, each of which gets one line of result.

The same file and options always give the same units in the same order: that is what resuming rests on.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from node.importer.mapping import Binding, Reading
from node.importer.problem import Problem
from node.importer.table import Row
from proto.errors import ProtoError
from proto.identifier import Identifier, is_key
from registry.rules import unfit
from registry.suffix import SuffixRule
from registry.template import Item

IDENTIFIERS_MOST: Final = 20_000_000
"""Most identifiers of one import: what `Repeats` can remember in half a gigabyte, and the biggest order of
serials the field knows. A bigger file is cut in two."""

_FIRST_SLOTS: Final = 1 << 12
_MARK: Final = (1 << 64) - 1


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

    `about` so many identifiers find room without the table having to grow. The hash is Python's own of texts, whose
    seed is drawn by each process: no file can be made to fit it. Two identifiers taken for one: odds below 1 in 90,000
    for a whole file of 20 million (n²/2^65).
    """

    def __init__(self, about: int = 0) -> None:
        self._count = 0
        wanted = max(min(about, IDENTIFIERS_MOST) * 3 // 2, _FIRST_SLOTS)
        self._empty(1 << (wanted - 1).bit_length())

    def _empty(self, slots: int) -> None:
        self._hashes = array("Q", bytes(8)) * slots
        self._rows = array("I", (0,)) * slots

    def first(self, key: str, row: int) -> int:
        """The row that had `key` before; 0 when none had, and then `row` is remembered."""
        hashes = self._hashes
        mark = hash(key) & _MARK or 1
        last = len(hashes) - 1
        place = mark & last
        while there := hashes[place]:
            if there == mark:
                return self._rows[place]
            place = place + 1 & last
        if self._count >= IDENTIFIERS_MOST:
            raise Problem(
                f"一次导入最多{IDENTIFIERS_MOST}个标识，到第{row}行已满；请把文件分开，从这一行起另行导入",
                f"one import has at most {IDENTIFIERS_MOST} identifiers, reached in row {row}; cut the file there",
            )
        hashes[place], self._rows[place] = mark, row
        self._count += 1
        if self._count * 3 > last * 2:
            self._grow()
        return 0

    def _grow(self) -> None:
        hashes, rows = self._hashes, self._rows
        self._empty(len(hashes) * 2)
        last = len(self._hashes) - 1
        for mark, row in zip(hashes, rows, strict=True):
            if mark:
                place = mark & last
                while self._hashes[place]:
                    place = place + 1 & last
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
    shape = Shape(binding.attributes, target.template)
    prefix, ruled = target.prefix, bool(target.suffix.segments)
    for row in rows:
        if not row.cells and not row.refusal:
            tally.empty += 1
            continue
        tally.rows += 1
        reading = binding.read(row.cells) if row.cells else Reading((), (), row.refusal)
        if reading.refusal:
            yield Unit(row.number, 1, "", b"", reading.refusal)
            continue
        pieces = shape.pieces(reading.texts)
        refusal = _rehearse(binding.attributes, reading.texts, target.rehearsed) if target.rehearsed else ""
        for serial in range(1, target.serials + 1):
            try:
                handle = binding.handle(reading.cells, prefix, serial)
                key = handle if is_key(handle) else Identifier.parse(handle).key
            except ProtoError as error:
                yield Unit(row.number, serial, "", b"", error.zh)
                continue
            reason = (ruled and _misshapen(handle, target)) or refusal
            if first := repeats.first(key, row.number):
                reason = f"与第{first}行的标识重复"
            pieces[HANDLE_PLACE] = _encode(handle)
            yield Unit(row.number, serial, handle, b"" if reason else b"".join(pieces), reason)


def _misshapen(handle: str, target: Target) -> str:
    suffix = handle.partition("/")[2]
    if target.suffix.admits(suffix):
        return ""
    return f"后缀{suffix}不符合模板{target.template}的编码规则{target.suffix.shape[0]}"


class Shape:
    """The body of an identifier: what is the same for all rows is made once.

    A row's texts are put into JSON all at once: what becomes of a character there does not depend on its neighbours.
    """

    def __init__(self, attributes: Sequence[Item], template: str) -> None:
        self._start = b',"templateVersion":' + _encode(template) + b',"value":['
        self._heads = tuple(
            b'{"index":%d,"type":%b,"data":{"format":"string","value":"' % (each.index, _encode(each.name))
            for each in attributes
        )
        self._whole = self._around(self._heads)

    def _around(self, heads: Sequence[bytes]) -> list[bytes]:
        """All that stands around the handle and so many texts, with room for them at every second place."""
        if not heads:
            return [b'{"handle":', b"", self._start + b"]}"]
        around = [b'{"handle":', self._start + heads[0], *(b'"}},' + head for head in heads[1:]), b'"}}]}']
        pieces = [b""] * (2 * len(around) - 1)
        pieces[0::2] = around
        return pieces

    def pieces(self, texts: tuple[str, ...]) -> list[bytes]:
        """The body in pieces, the handle's (HANDLE_PLACE) still empty; `texts` are those of the attributes, empty ones
        are left out.
        """
        if all(texts):
            pieces = self._whole.copy()
        else:
            pieces = self._around([head for head, text in zip(self._heads, texts, strict=True) if text])
            texts = tuple(filter(None, texts))
        if texts:
            pieces[3::2] = _escaped(texts)
        return pieces


HANDLE_PLACE: Final = 1
_encode: Final = msgspec.json.Encoder().encode
_BETWEEN: Final = "\x7f"
"""Stands between texts that are put into JSON at once: it takes one octet there, and hardly ever stands in one."""


def _escaped(texts: tuple[str, ...]) -> list[bytes]:
    """The `texts` as they stand in JSON, without their quotes."""
    parts = _encode(_BETWEEN.join(texts))[1:-1].split(_BETWEEN.encode())
    if len(parts) != len(texts):
        return [_encode(text)[1:-1] for text in texts]
    return parts


def _rehearse(attributes: tuple[Item, ...], texts: tuple[str, ...], rehearsed: tuple[Item, ...]) -> str:
    said = dict(zip(attributes, texts, strict=True))
    for attribute in rehearsed:
        text = said.get(attribute, "")
        if attribute.required and not text:
            return f"缺少必填属性{attribute.zh}（{attribute.name}）"
        if text and (refused := unfit(text, attribute)):
            return refused.zh
    return ""

"""Rows times serials: the units of work of an import, each of which gets one line of result.

The same file and options always give the same units in the same order: that is what resuming rests on.
"""

import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import msgspec

from node.importer.mapping import Binding, Reading
from node.importer.problem import Problem
from node.importer.rows import Block, Plain, Row, in_json
from proto.errors import ProtoError
from proto.identifier import Identifier, is_everyday, is_key
from proto.limits import IDENTIFIER_CHARACTERS
from registry.template import Item

IDENTIFIERS_MOST: Final = 20_000_000
"""Most identifiers of one import: what `Repeats` can remember in half a gigabyte, and the biggest order of
serials the field knows. A bigger file is cut in two."""

_FIRST_SLOTS: Final = 1 << 12
_HANDLE: Final = b'{"handle":"'


class Unit(NamedTuple):
    """One identifier to be asked about, or one row that cannot be: then `refusal` says why and `body` is empty.

    `row` is the row in the file, `serial` counts from 1, `body` is the JSON batchCreate takes.
    """

    row: int
    serial: int
    identifier: str
    body: bytes
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Together:
    """Units that are asked about with one `body`, a JSON array: of rows that follow each other, one each, none refused.

    `row` is the first one's; neither quotes nor anything else in `identifiers` needs care, in JSON or CSV.
    """

    row: int
    identifiers: list[str]
    body: bytes

    def __len__(self) -> int:
        return len(self.identifiers)

    @property
    def units(self) -> list[Unit]:
        """The same one by one."""
        # No text of a value has the mark in it: quotes stand behind a backslash there.
        bodies = self.body.split(_HANDLE)[1:]
        return [
            Unit(row, 1, identifier, _HANDLE + body[:-1])
            for row, (identifier, body) in enumerate(zip(self.identifiers, bodies, strict=True), self.row)
        ]


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
        self._hashes = array("q", bytes(8)) * slots
        self._rows = array("I", (0,)) * slots

    def first(self, key: str, row: int) -> int:
        """The row that had `key` before; 0 when none had, and then `row` is remembered."""
        hashes = self._hashes
        mark = hash(key) or 1
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

    def all_new(self, keys: Sequence[str], row: int) -> bool:
        """Whether there is room for these, the first in `row` and each of the others in the next, and none of them was
        had before; all up to one that was are remembered."""
        if self._count + len(keys) > IDENTIFIERS_MOST:
            return False
        while (self._count + len(keys)) * 3 > len(self._hashes) * 2:
            self._grow()
        hashes, rows, last = self._hashes, self._rows, len(self._hashes) - 1
        for number, key in enumerate(keys, row):
            mark = hash(key) or 1
            place = mark & last
            while there := hashes[place]:
                if there == mark:
                    return False
                place = place + 1 & last
            hashes[place], rows[place] = mark, number
            self._count += 1
        return True

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


class Checks(Protocol):
    """What a rehearsal says of a row (rehearsal.py): why it would be refused, empty where it would not."""

    def unfit(self, said: Mapping[Item, str]) -> str:
        """For what it says."""

    def misshapen(self, handle: str) -> str:
        """For how its identifier is spelt."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where identifiers go: under which `prefix`, by which `template`, 1 … `serials` of each row.

    `rehearsal` checks them before the node is asked; an import leaves that to the node, which judges anyway.
    """

    prefix: str
    template: str
    serials: int = 1
    rehearsal: Checks | None = None


class Expansion:
    """What becomes of the rows of a file: `target` says what is wanted of them, `repeats` what was had before."""

    def __init__(self, binding: Binding, target: Target, repeats: Repeats) -> None:
        self._binding = binding
        self._target = target
        self._repeats = repeats
        self._shape = Shape(binding.attributes, target.template)
        self._constant = in_json([text for _, text in binding.constants])
        self._plain = not (binding.replace or binding.whole or target.rehearsal or target.serials > 1)

    def units(self, parts: Iterable[Block | Plain | Row], tally: Tally) -> Iterator[Unit | Together]:
        """The units of `parts`, in order; what is read is counted. Raises Problem beyond IDENTIFIERS_MOST."""
        for part in parts:
            if not isinstance(part, Row) and (together := self._together(part)):
                tally.rows += len(together)
                yield together
                continue
            for row in (part,) if isinstance(part, Row) else part.rows:
                if row.cells or row.refusal:
                    tally.rows += 1
                    yield from self._of(row)
                else:
                    tally.empty += 1

    def _of(self, row: Row) -> Iterator[Unit]:
        binding, target = self._binding, self._target
        reading = binding.read(row.cells) if row.cells else Reading((), (), row.refusal)
        if reading.refusal:
            yield Unit(row.number, 1, "", b"", reading.refusal)
            return
        pieces = self._shape.pieces(reading.texts)
        checks = target.rehearsal
        refusal = checks.unfit(dict(zip(binding.attributes, reading.texts, strict=True))) if checks else ""
        for serial in range(1, target.serials + 1):
            try:
                handle = binding.handle(reading.cells, target.prefix, serial)
                key = handle if is_key(handle) else Identifier.parse(handle).key
            except ProtoError as error:
                yield Unit(row.number, serial, "", b"", error.zh)
                continue
            reason = (checks.misshapen(handle) if checks else "") or refusal
            # Rows that were not to be had together were perhaps remembered already.
            if (first := self._repeats.first(key, row.number)) not in (0, row.number):
                reason = f"与第{first}行的标识重复"
            pieces[HANDLE_PLACE] = in_json([handle])[0]
            yield Unit(row.number, serial, handle, b"" if reason else b"".join(pieces), reason)

    def _together(self, block: Block | Plain) -> Together | None:
        """The units of rows of which nothing needs a closer look, as `_of` makes them; None for others."""
        if not self._plain:
            return None
        binding = self._binding
        named = {place: [*map(bytes.decode, block.column(place))] for place in binding.pattern.columns}
        if not named or not all(map(all, named.values())):
            return None
        try:
            identifiers = binding.handles(named, self._target.prefix)
        except ProtoError:
            return None
        if not _are_plain(identifiers):  # also where JSON writes something otherwise
            return None
        columns = [block.column(place) for _, place in binding.columns]
        columns += [[text] * len(identifiers) for text in self._constant]
        body = self._shape.array(identifiers, columns)
        if not body or not self._repeats.all_new(identifiers, block.number):
            return None
        return Together(block.number, identifiers, body)


_PLAIN: Final = re.compile("[A-Za-z0-9._/-]+")
"""What identifiers are made of that need no care in JSON or CSV."""


def _are_plain(identifiers: list[str]) -> bool:
    """Whether these, all under the same prefix, are spelt as they are kept and need no care anywhere."""
    return (
        max(map(len, identifiers)) <= IDENTIFIER_CHARACTERS
        and _PLAIN.fullmatch("".join(identifiers)) is not None
        and is_everyday(identifiers[0].encode())
        and min(map(len, identifiers)) > identifiers[0].index("/") + 1  # none ends with the prefix
    )


class Shape:
    """The body of an identifier: what is the same for all rows is made once.

    A row's texts are put into JSON all at once: what becomes of a character there does not depend on its neighbours.
    """

    def __init__(self, attributes: Sequence[Item], template: str) -> None:
        self._start = b'","templateVersion":' + msgspec.json.encode(template) + b',"value":['
        self._heads = tuple(
            b'{"index":%d,"type":%b,"data":{"format":"string","value":"' % (each.index, msgspec.json.encode(each.name))
            for each in attributes
        )
        self._whole = self._around(self._heads)

    def _around(self, heads: Sequence[bytes]) -> list[bytes]:
        """All that stands around the handle and so many texts, with room for them at every second place."""
        if not heads:
            return [_HANDLE, b"", self._start + b"]}"]
        around = [_HANDLE, self._start + heads[0], *(b'"}},' + head for head in heads[1:]), b'"}}]}']
        pieces = [b""] * (2 * len(around) - 1)
        pieces[0::2] = around
        return pieces

    def array(self, handles: Sequence[str], columns: Sequence[Sequence[bytes]]) -> bytes:
        """The JSON array of the bodies of many rows, their texts attribute by attribute as they stand in JSON; nothing
        where the first attribute has an empty one. The handles need no care in JSON."""
        width, rows = len(self._whole), len(handles)
        pieces = self._whole * rows
        pieces[0::width] = [b"," + _HANDLE] * rows
        pieces[0] = b"[" + _HANDLE
        pieces[HANDLE_PLACE::width] = [handle.encode() for handle in handles]
        for place, texts in zip(range(3, width, 2), columns, strict=True):
            if not all(texts):
                if place == 3:
                    return b""
                head = self._whole[place - 1]
                pieces[place - 1 :: width] = [head if text else b"" for text in texts]
            pieces[place::width] = texts
        return b"".join(pieces) + b"]"

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
            pieces[3::2] = in_json(texts)
        return pieces


HANDLE_PLACE: Final = 1

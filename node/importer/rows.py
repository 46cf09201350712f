"""Rows of a file: one by one, in blocks as the csv module read them, or many at once where nothing in them needs a
closer look, cut apart as octets.

How they are come by is said in table.py, what the cells mean in mapping.py.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec


class Row(NamedTuple):
    """One row. `number` is the row Excel shows (the header's is usually 1); `refusal` says why it cannot be read.

    A row with neither cells nor refusal is empty.
    """

    number: int
    cells: tuple[str, ...]
    refusal: str = ""


_encode: Final = msgspec.json.Encoder().encode
_BESIDE: Final = "\x7f"
"""Stands between texts that are put into JSON at once: it takes one octet there, and hardly ever stands in one."""


def in_json(texts: Sequence[str]) -> list[bytes]:
    """The `texts` as they stand in JSON, without their quotes."""
    parts = _encode(_BESIDE.join(texts))[1:-1].split(_BESIDE.encode())
    if len(parts) != len(texts):
        return [_encode(text)[1:-1] for text in texts]
    return parts


class Block(NamedTuple):
    """Rows that follow each other, readable and as wide as the header, perhaps empty. `number` is the first one's."""

    number: int
    cells: list[list[str]]

    @property
    def rows(self) -> Iterator[Row]:
        """The same one by one."""
        for number, cells in enumerate(self.cells, self.number):
            yield Row(number, tuple(cells) if any(map(str.strip, cells)) else ())

    def column(self, place: int) -> list[bytes]:
        """The cells of a column as they stand in JSON, without quotes; blank ones are empty."""
        cells = [row[place] for row in self.cells]
        return in_json(cells if all(map(str.strip, cells)) else [cell if cell.strip() else "" for cell in cells])


_BETWEEN: Final = b"\x1f"
"""Stands around every cell while they are cut apart; no plain octet."""
_END: Final = b"\x1e"
"""Takes the place of a cell behind the last one of each row; no plain octet either."""
_CONTROLS: Final = bytes(0 if octet < ord(" ") and octet not in b"\t\r\n" else octet for octet in range(256))
_BLANKS: Final = (b"\xc2", b"\xe1", b"\xe2", b"\xe3")
"""What characters begin with, in UTF-8, that are blank and not ASCII."""
_BLANK: Final = re.compile(
    _BETWEEN + rb"(?:\xc2[\x85\xa0]|\xe1\x9a\x80|\xe2(?:\x80[\x80-\x8a\xa8\xa9\xaf]|\x81\x9f)|\xe3\x80\x80)"
)


@dataclass(frozen=True, slots=True)
class Plain:
    """Rows that follow each other, as wide as the header, perhaps empty. `number` is the first one's.

    `cells` are theirs as JSON has them, without quotes, row by row; each row is followed by something that is no cell,
    and something stands before and behind all.
    """

    number: int
    width: int
    cells: list[bytes]

    def column(self, place: int) -> list[bytes]:
        """The cells of a column as they stand in JSON, without quotes; blank ones are empty."""
        cells = self.cells[place + 1 : -1 : self.width + 1]
        return cells if all(map(bytes.strip, cells)) else [cell if cell.strip() else b"" for cell in cells]

    @property
    def rows(self) -> Iterator[Row]:
        """The same one by one."""
        for number, start in enumerate(range(1, len(self.cells) - 1, self.width + 1), self.number):
            octets = b'["' + b'","'.join(self.cells[start : start + self.width]) + b'"]'
            cells = msgspec.json.decode(octets, type=tuple[str, ...])
            yield Row(number, cells if any(map(str.strip, cells)) else ())


def plain_cells(octets: bytes, separator: bytes, width: int) -> list[bytes] | None:
    """The `cells` of a Plain, of whole lines of UTF-8, `width` cells in each; None where they are not plain.

    Quotes stand around whole cells only and in none; lines end alike, and only rows end where they do.
    """
    if not octets.endswith(b"\n") or b"\0" in octets.translate(_CONTROLS):
        return None
    pieces = octets.split(b'"')  # every second one is what stands between quotes
    outside = b'"'.join(pieces[0::2])
    end = b"\r\n" if b"\r" in outside else b"\n"
    outside = _BETWEEN + outside.replace(end, _BETWEEN + _END + _BETWEEN).replace(separator, _BETWEEN)
    quoted, odd = divmod(len(pieces), 2)
    if not odd or not outside.count(_BETWEEN + b'"') == quoted == outside.count(b'"' + _BETWEEN):
        return None
    pieces[0::2] = outside.split(b'"')
    octets = b"".join(pieces)
    if b"\n" in octets or b"\r" in octets or b"\t" in octets:
        return None
    if any(map(octets.__contains__, _BLANKS)) and _BLANK.search(octets):
        return None
    cells = octets.replace(b"\\", b"\\\\").split(_BETWEEN)
    ends = cells[width + 1 :: width + 1]
    return cells if len(cells) == len(ends) * (width + 1) + 2 and ends.count(_END) == len(ends) else None

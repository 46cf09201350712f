"""`Block`: new identifiers that are alike, column by column, as one program registers a night's serials. Pure.

What is done with a column takes a fraction of what it takes row by row. Only what is everyday in every row is a block;
what cannot be judged as one becomes rows again: tests/registry/test_block.py compares the two.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple, Self

from proto.identifier import Identifier
from registry.record import Shape, Texts, lines
from registry.rules import Request
from registry.template import RESERVED_SUFFIX, Template

AT_ONCE: Final = 50
"""Rows of a block that are looked at together, at most: calls cost little beside so many, and everyday ones take some
0.3 ms."""
OCTETS_AT_ONCE: Final = 128 * 1024
"""No more are, where they are long, than fit into so many octets as they came and one row."""


class Rows(NamedTuple):
    """Some rows of a block: their suffixes, and the texts of each value, as `record.are_lines` wants them."""

    suffixes: Sequence[str]
    columns: Sequence[Sequence[bytes]]


class Block(NamedTuple):
    """`prefix` (its key), `template` (a version name) and the `shape` of their values are the same of all rows.

    Each of `parts` has AT_ONCE of them at most. Suffixes are distinct and of visible ASCII.
    """

    prefix: str
    template: str
    shape: Shape
    parts: Sequence[Rows]

    @property
    def size(self) -> int:
        """How many rows there are."""
        return sum([len(part.suffixes) for part in self.parts])

    @property
    def suffixes(self) -> list[str]:
        """The suffixes of all."""
        return list(chain.from_iterable([part.suffixes for part in self.parts]))

    @property
    def keys(self) -> list[str]:
        """The identifiers, which are spelt as they are kept."""
        return self.keys_of(self.suffixes)

    def keys_of(self, suffixes: Iterable[str]) -> list[str]:
        """The identifiers with these suffixes."""
        before = f"{self.prefix}/"
        return [before + suffix for suffix in suffixes]

    def cut(self, most: int) -> Iterator[Self]:
        """Blocks of at most so many rows, which are AT_ONCE at least, in order."""
        parts, size = list[Rows](), 0
        for part in self.parts:
            if size + len(part.suffixes) > most:
                yield self._replace(parts=parts)
                parts, size = [], 0
            parts.append(part)
            size += len(part.suffixes)
        yield self._replace(parts=parts)

    def alike(self, other: Self) -> bool:
        """Whether both together could be one block, if they have no suffix in common."""
        return self[:3] == other[:3]

    def bodies(self, rows: Rows, template: Template) -> list[bytes] | None:
        """What `rules.new_body` makes of each of these rows; None if one wants a closer look."""
        suffixes, columns = rows
        if any([suffix.startswith(RESERVED_SUFFIX) for suffix in suffixes]):
            return None
        if not all(map(template.suffix.admits, suffixes)) or not template.form.takes_all(self.shape, columns):
            return None
        return lines(self.shape, columns)

    def requests(self, parts: Iterable[Rows]) -> list[Request]:
        """The rows of these parts, one by one."""
        return [
            Request(
                "create", Identifier.parse(key), self.template, Texts(self.shape, [text.decode() for text in texts])
            )
            for suffixes, columns in parts
            for key, texts in zip(self.keys_of(suffixes), zip(*columns, strict=True), strict=True)
        ]

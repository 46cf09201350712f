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
"""Rows of a block that are looked at together: calls cost little beside so many, and the longest take some 1 ms."""


class Rows(NamedTuple):
    """Some rows of a block: their suffixes, and the texts of each value, as `record.are_lines` wants them."""

    suffixes: Sequence[str]
    columns: Sequence[Sequence[bytes]]


class Block(NamedTuple):
    """`prefix` (its key), `template` (a version name) and the `shape` of their values are the same of all rows.

    Each of `parts` has AT_ONCE of them, but for the last one, which may have fewer. Suffixes are distinct and of
    visible ASCII.
    """

    prefix: str
    template: str
    shape: Shape
    parts: Sequence[Rows]

    @property
    def size(self) -> int:
        """How many rows there are."""
        return AT_ONCE * (len(self.parts) - 1) + len(self.parts[-1].suffixes)

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
        """Blocks of at most so many rows, a multiple of AT_ONCE, in order."""
        for at in range(0, len(self.parts), most // AT_ONCE):
            yield self._replace(parts=self.parts[at : at + most // AT_ONCE])

    def bodies(self, rows: Rows, template: Template) -> list[bytes] | None:
        """What `rules.new_body` makes of each of these rows; None if one wants a closer look."""
        suffixes, columns = rows
        if any([suffix.startswith(RESERVED_SUFFIX) for suffix in suffixes]):
            return None
        if not all(map(template.suffix.admits, suffixes)) or not template.form.takes_all(self.shape, columns):
            return None
        return lines(self.shape, columns)

    def requests(self) -> Iterator[Request]:
        """The rows, one by one."""
        for suffixes, columns in self.parts:
            for key, octets in zip(self.keys_of(suffixes), zip(*columns, strict=True), strict=True):
                texts = Texts(self.shape, [text.decode() for text in octets])
                yield Request("create", Identifier.parse(key), self.template, texts)

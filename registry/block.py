"""`Block`: new identifiers that are alike, column by column, as one program registers a night's serials. Pure.

What is done with a column takes a fraction of what it takes row by row. Only what is everyday in every row is a block;
what cannot be judged as one becomes rows again: tests/registry/test_block.py compares the two.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Self

from proto.identifier import Identifier
from registry.record import Shape, Texts, lines
from registry.rules import Request
from registry.template import RESERVED_SUFFIX, Template

AT_ONCE: Final = 64
"""Rows of a block that are looked at together: calls cost little beside so many, and the longest take some 1 ms."""


class Block(NamedTuple):
    """`prefix` (its key), `template` (a version name) and the `shape` of their values are the same of all rows.

    Suffixes are distinct and of visible ASCII; `columns` has the texts of each value, as `record.are_lines` wants them.
    """

    prefix: str
    template: str
    shape: Shape
    suffixes: Sequence[str]
    columns: Sequence[Sequence[bytes]]

    @property
    def size(self) -> int:
        """How many rows there are."""
        return len(self.suffixes)

    @property
    def first(self) -> Request:
        """The first row."""
        return next(self.cut(1)).requests()[0]

    @property
    def keys(self) -> list[str]:
        """The identifiers, which are spelt as they are kept."""
        before = f"{self.prefix}/"
        return [before + suffix for suffix in self.suffixes]

    def cut(self, most: int) -> Iterator[Self]:
        """Blocks of at most so many rows, in order."""
        for at in range(0, self.size, most):
            rows = slice(at, at + most)
            yield self._replace(suffixes=self.suffixes[rows], columns=[column[rows] for column in self.columns])

    def bodies(self, template: Template) -> list[bytes] | None:
        """What `rules.new_body` makes of each row; None if one wants a closer look."""
        if any([suffix.startswith(RESERVED_SUFFIX) for suffix in self.suffixes]):
            return None
        if not all(map(template.suffix.admits, self.suffixes)) or not template.form.takes_all(self.shape, self.columns):
            return None
        return lines(self.shape, self.columns)

    def requests(self) -> list[Request]:
        """The rows, one by one."""
        return [
            Request(
                "create", Identifier.parse(key), self.template, Texts(self.shape, [text.decode() for text in texts])
            )
            for key, texts in zip(self.keys, zip(*self.columns, strict=True), strict=True)
        ]

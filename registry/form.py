"""The everyday row: values given as text, and a template compiled to one pass over them. Pure.

What a form does not take is no refusal: `rules.judge` judges it with all its sentences. What it takes, `judge` would
accept, with the same body: tests/registry/test_form.py compares the two. Rules are said in rules.py.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, overload

from proto.value import Value

if TYPE_CHECKING:
    from registry.template import Item

Text = tuple[int, str, str]
"""Index, type and text of a value, within the bounds a `Value` has."""


class Texts(Sequence[Value]):
    """Values of which only index, type and text are said; a `Value` is made of one when somebody looks at it."""

    __slots__ = ("given",)

    def __init__(self, given: Sequence[Text]) -> None:
        self.given: Final = given

    def __len__(self) -> int:
        return len(self.given)

    @overload
    def __getitem__(self, at: int) -> Value: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Value, ...]: ...
    def __getitem__(self, at: int | slice) -> Value | tuple[Value, ...]:
        return tuple(self)[at]

    def __iter__(self) -> Iterator[Value]:
        return (Value(index, type_, text.encode()) for index, type_, text in self.given)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Texts({self.given!r})"


class Form:
    """A template's items, compiled: what each index takes."""

    __slots__ = ("_items", "_required")

    def __init__(self, items: "Iterable[Item]") -> None:
        enabled = [item for item in items if item.enabled]
        self._items = {
            item.index: (item.name, item.least, item.most, item.required, item if item.numeric else None)
            for item in enabled
        }
        self._required = sum(item.required for item in enabled)

    def read(self, texts: Texts) -> list[tuple[int, bytes]] | None:
        """Index and data of each value of a new record; None unless all are as the template says, indexes ascending."""
        items, before, required = self._items, 0, 0
        read = []
        for index, type_, text in texts.given:
            item = items.get(index)
            if item is None or index <= before:
                return None
            name, least, most, needed, number = item
            if type_ != name or not least <= len(text) <= most:
                return None
            if number is not None and text and not number.takes_number(text):
                return None
            if needed and text:
                required += 1
            before = index
            read.append((index, text.encode()))
        return read if required == self._required else None

"""The everyday row: values given as text, and a template compiled to one pass over them. Pure.

What a form does not take is no refusal: `rules.judge` judges it with all its sentences. What it takes, `judge` would
accept, with the same body: tests/registry/test_form.py compares the two. Rules are said in rules.py.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Final, NamedTuple, overload

from proto.value import Value
from registry import kinds

if TYPE_CHECKING:
    from registry.template import Item

Shape = tuple[tuple[int, ...], tuple[str, ...]]
"""Indexes and types of values, in order: nearly all rows of a batch share one."""
SHAPES_MOST: Final = 256
"""Shapes a form, or whoever reads rows, remembers before it begins anew: a busy enterprise's templates have dozens."""


class Texts(Sequence[Value]):
    """Values of which only index, type and text are said, each within the bounds a `Value` has.

    A `Value` is made of one when somebody looks at it.
    """

    __slots__ = ("shape", "texts")

    def __init__(self, shape: Shape, texts: Sequence[str]) -> None:
        self.shape: Final = shape
        self.texts: Final = texts

    def __len__(self) -> int:
        return len(self.texts)

    @overload
    def __getitem__(self, at: int) -> Value: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[Value, ...]: ...
    def __getitem__(self, at: int | slice) -> Value | tuple[Value, ...]:
        return tuple(self)[at]

    def __iter__(self) -> Iterator[Value]:
        return (Value(index, type_, text.encode()) for index, type_, text in zip(*self.shape, self.texts, strict=True))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return f"Texts({self.shape!r}, {self.texts!r})"


class Plan(NamedTuple):
    """What a form says of a shape: for each text its bounds and, where not every text will do, what tells whether one
    does; and which texts must not be empty.
    """

    checks: tuple[tuple[int, int, Callable[[str], bool] | None], ...]
    required: tuple[int, ...]


class Form:
    """A template's items, compiled: what each shape takes."""

    __slots__ = ("_items", "_plans", "_required")

    def __init__(self, items: "Iterable[Item]") -> None:
        self._items = {item.index: item for item in items if item.enabled}
        self._required = {item.index for item in self._items.values() if item.required}
        self._plans: dict[Shape, Plan | None] = {}

    def takes(self, given: Texts) -> bool:
        """Whether all values of a new record are as the template says, indexes ascending."""
        shape, texts = given.shape, given.texts
        plan = self._plans[shape] if shape in self._plans else self._planned(shape)
        if plan is None:
            return False
        for (least, most, takes), text in zip(plan.checks, texts, strict=True):
            if not least <= len(text) <= most or (takes is not None and text and not takes(text)):
                return False
        return all([texts[at] for at in plan.required])

    def _planned(self, shape: Shape) -> Plan | None:
        if len(self._plans) >= SHAPES_MOST:
            self._plans.clear()
        plan = self._plans[shape] = self._compiled(*shape)
        return plan

    def _compiled(self, indexes: tuple[int, ...], types: tuple[str, ...]) -> Plan | None:
        ascending = all(before < after for before, after in pairwise(indexes))
        if not ascending or not self._required <= set(indexes) or not set(indexes) <= self._items.keys():
            return None
        items = [self._items[index] for index in indexes]
        if any(item.name != type_ for item, type_ in zip(items, types, strict=True)):
            return None
        return Plan(
            tuple((item.least, item.most, kinds.taker(item)) for item in items),
            tuple(at for at, item in enumerate(items) if item.required),
        )

"""The everyday row: values given as text, and a template compiled to one pass over them. Pure.

What a form does not take is no refusal: `rules.judge` judges it with all its sentences. What it takes, `judge` would
accept, with the same body: tests/registry/test_form.py compares the two. Rules are said in rules.py.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from operator import ge, le
from typing import TYPE_CHECKING, Final, NamedTuple

from registry import kinds

if TYPE_CHECKING:
    from registry.record import Shape, Texts
    from registry.template import Item

SHAPES_MOST: Final = 256
"""Shapes a form, or whoever reads rows, remembers before it begins anew: a busy enterprise's templates have dozens."""


class Plan(NamedTuple):
    """What a form says of a shape: the bounds of each text, at least 1 where it must not be empty, and what tells
    whether one does, of those of which not every text will do.
    """

    least: tuple[int, ...]
    bounded: bool  # some must have more than one character
    most: tuple[int, ...]
    checks: tuple[tuple[int, Callable[[str], bool]], ...]


def _within(least: int, most: int, texts: "Sequence[bytes]") -> bool:
    """Whether each has so many characters: it has no more of them than octets, and at least one."""
    return (least <= 1 and max(map(len, texts)) <= most) or all([least <= len(text.decode()) <= most for text in texts])


class Form:
    """A template's items, compiled: what each shape takes."""

    __slots__ = ("_items", "_plan", "_plans", "_required", "_shape")

    def __init__(self, items: "Iterable[Item]") -> None:
        self._items = {item.index: item for item in items if item.enabled}
        self._required = {item.index for item in self._items.values() if item.required}
        self._plans: dict[Shape, Plan | None] = {}
        self._shape: Shape | None = None  # of the row before, whose plan is at hand: a batch has one shape
        self._plan: Plan | None = None

    def takes(self, given: "Texts") -> bool:
        """Whether all values of a new record are as the template says, indexes ascending."""
        lengths, plan = given.lengths, self._plan_of(given.shape)
        if plan is None:
            return False
        if (plan.bounded or 0 in lengths) and not all(map(le, plan.least, lengths)):
            return False
        if not all(map(ge, plan.most, lengths)):
            return False
        if not plan.checks:
            return True
        texts = given.texts
        return all([not texts[at] or takes(texts[at]) for at, takes in plan.checks])

    def takes_all(self, shape: "Shape", columns: "Sequence[Sequence[bytes]]") -> bool:
        """The same of many records of one shape: the texts of each value, in UTF-8 and not empty."""
        plan = self._plan_of(shape)
        return (
            plan is not None
            and all(
                [
                    _within(least, most, column)
                    for least, most, column in zip(plan.least, plan.most, columns, strict=True)
                ]
            )
            and all([all(map(takes, map(bytes.decode, set(columns[at])))) for at, takes in plan.checks])
        )

    def _plan_of(self, shape: "Shape") -> Plan | None:
        if shape is not self._shape:
            self._plan = self._plans[shape] if shape in self._plans else self._planned(shape)
            self._shape = shape
        return self._plan

    def _planned(self, shape: "Shape") -> Plan | None:
        if len(self._plans) >= SHAPES_MOST:
            self._plans.clear()
        plan = self._plans[shape] = self._compiled(shape.indexes, shape.types)
        return plan

    def _compiled(self, indexes: tuple[int, ...], types: tuple[str, ...]) -> Plan | None:
        ascending = all(before < after for before, after in pairwise(indexes))
        if not ascending or not self._required <= set(indexes) or not set(indexes) <= self._items.keys():
            return None
        items = [self._items[index] for index in indexes]
        if any(item.name != type_ for item, type_ in zip(items, types, strict=True)):
            return None
        takers = [kinds.taker(item) for item in items]
        least = tuple(max(item.least, int(item.required)) for item in items)
        return Plan(
            least,
            any(bound > 1 for bound in least),
            tuple(item.most for item in items),
            tuple((at, takes) for at, takes in enumerate(takers) if takes is not None),
        )

"""Who sees which values of a record, and may edit them: today's classes of access, and what was granted. Pure.

Whoever shows values, on whatever face, asks here. It is judged today for every version.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple

from proto.value import TEMPLATE_ID_INDEX, TEMPLATE_INDEX, Value
from registry.record import Record
from registry.template import Item, Template

GROUP_PREFIX: Final = "Group_"
"""What the suffix of an identity group begins with (IDHub, data permission)."""
NO_NAMES: Final[frozenset[str]] = frozenset()


class Grant(NamedTuple):
    """What was granted to who asks, and holds: on one identifier (`single`) or on all of its template (class).

    `attributes` are names, None for all; `edit` includes seeing. One of no attributes shows no value: it is of the
    template itself, or keeps the grants of its template from an identifier.
    """

    single: bool
    attributes: frozenset[str] | None
    edit: bool


class Reach(NamedTuple):
    """How far who asks sees into one record: into all of it (`whole`, its owner), or as far as `grants` go."""

    whole: bool
    grants: tuple[Grant, ...] = ()

    @property
    def beyond(self) -> bool:
        """Whether it may go further than everybody sees."""
        return self.whole or bool(self.grants)

    def sees(self, item: Item) -> bool:
        """Whether it sees values of this attribute. What is internal, no grant gives away."""
        return self.whole or item.access == "public" or (item.access == "partners" and self._granted(item.name, False))

    def edits(self, item: Item) -> bool:
        """Whether it may change values of this attribute."""
        return self.whole or (item.access != "internal" and self._granted(item.name, True))

    def _granted(self, name: str, edit: bool) -> bool:
        return any(
            (each.edit or not edit) and (each.attributes is None or name in each.attributes) for each in self.grants
        )


NOTHING: Final = Reach(False)
"""That of somebody to whom nothing was granted: what is public."""


def reach(*, whole: bool, single: bool, grants: Iterable[Grant]) -> Reach:
    """What comes of all grants to who asks. `single`: this identifier has grants of its own, to whomever; then those of
    its template do not hold for it (IDHub: grantType 2).
    """
    return Reach(whole, tuple(each for each in grants if each.attributes != NO_NAMES and (each.single or not single)))


def visible_values(record: Record, template: Template | None, far: Reach = NOTHING) -> tuple[Value, ...]:
    """What who reaches so `far` sees of a record; with NOTHING what everybody sees.

    The reserved indexes 1000 and 1001 show which template it is.
    """
    shown = seen(record, template, far)
    if template is None:
        return shown
    return (
        Value(TEMPLATE_ID_INDEX, "TEMPLATE_ID", template.handle.encode(), timestamp=record.updated),
        Value(TEMPLATE_INDEX, "TEMPLATE", template.version.encode(), timestamp=record.updated),
        *shown,
    )


def seen(record: Record, template: Template | None, far: Reach) -> tuple[Value, ...]:
    """Those of a record's own values that are visible. What is public needs the value's own PUBLIC_READ bit besides; a
    record without template has only its bits.
    """
    if template is None:
        return tuple(v for v in record.values if far.whole or v.public)
    items = template.by_index
    return tuple([v for v in record.values if _visible(v, items.get(v.index), far)])


def _visible(value: Value, item: Item | None, far: Reach) -> bool:
    if far.whole:
        return True
    return item is not None and far.sees(item) and (value.public or item.access != "public")

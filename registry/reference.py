"""References between identifiers: what a record points to, as its template says. Pure.

Where they are kept so that they can be followed backwards is registry/postgres/holdings.py.
"""

from collections.abc import Container, Iterable, Sequence
from typing import Final, NamedTuple

from proto.value import Value
from registry import kinds
from registry.record import Texts
from registry.template import Item, Template


class Link(NamedTuple):
    """That an attribute (`item`, its index) holds the identifier of that key."""

    item: int
    target: str


Links = frozenset[Link]
NONE: Final[Links] = frozenset()


def links(template: Template | None, values: Sequence[Value]) -> Links:
    """What `values` under `template` point to."""
    if template is None or not template.references:
        return NONE
    items = template.references
    if isinstance(values, Texts) and items.keys().isdisjoint(values.shape[0]):  # nearly every row of some batches
        return NONE
    return frozenset(_linked(items, values))


def _linked(items: dict[int, Item], values: Sequence[Value]) -> Iterable[Link]:
    for index, text in texts(values):
        item = items.get(index)
        if item is not None and text:
            for identifier in map(kinds.identified, kinds.parts(item, text)):
                if identifier is not None:
                    yield Link(index, identifier.key)


def texts(values: Sequence[Value]) -> Iterable[tuple[int, str]]:
    """Index and text of each of `values`."""
    if isinstance(values, Texts):
        return zip(values.shape[0], values.texts, strict=True)
    return ((value.index, value.data.decode(errors="replace")) for value in values)


def wanted(template: Template | None, values: Sequence[Value]) -> Links:
    """Those of them that must be there already, if they are to live here at all."""
    if template is None or not template.strict:
        return NONE
    return frozenset(link for link in links(template, values) if template.references[link.item].existing)


def missing(template: Template, values: Sequence[Value], absent: Container[str]) -> tuple[Item, str] | None:
    """The first attribute that points to what is `absent` although that must be there, and what it points to."""
    gone = [link for link in wanted(template, values) if link.target in absent]
    return (template.references[min(gone).item], min(gone).target) if gone else None

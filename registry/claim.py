"""Claims: which values of unique attributes a record has, so that no other live one of its template has them. Pure."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final, NamedTuple

from proto.value import Value
from registry.reference import texts
from registry.template import Item, Template


class Claim(NamedTuple):
    """That an attribute (`item`, its index) of a record of a template holds the value with that digest (sha256)."""

    template: int
    item: int
    digest: bytes


Claims = frozenset[Claim]
NONE: Final[Claims] = frozenset()


def claims(template: Template | None, values: Sequence[Value]) -> Claims:
    """What `values` under `template` claim."""
    if template is None or not template.unique:
        return NONE
    return frozenset(
        Claim(template.number, index, sha256(text.encode()).digest())
        for index, text in texts(values)
        if text and index in template.unique
    )


def taken(template: Template, values: Sequence[Value], suffix: str, holders: Mapping[Claim, str]) -> Item | None:
    """The first attribute whose value one of `holders` (their suffixes) has, and not that of `suffix` itself."""
    found = [claim.item for claim in claims(template, values) if holders.get(claim, suffix) != suffix]
    return template.unique[min(found)] if found else None

"""What a record holds beyond itself: references to others, and claims to values that are unique. Pure.

Both are kept in tables of their own, in the statement that commits the record (registry/postgres/holdings.py).
"""

from collections.abc import Sequence
from typing import Final

from proto.value import Value
from registry.claim import Claim, claims
from registry.reference import Link, links
from registry.template import Template

Holds = frozenset[Link | Claim]
NONE: Final[Holds] = frozenset()


def holds(template: Template | None, values: Sequence[Value]) -> Holds:
    """What `values` under `template` hold."""
    if template is None or not template.holds:
        return NONE
    return links(template, values) | claims(template, values)

"""What it takes until what is granted on a template or an identifier is as its owner wishes. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from registry.prefix import RegisteredPrefix
from registry.sight import NO_NAMES

Names = frozenset[str] | None
"""Attributes by name; None: all that may be granted."""
Kind = Literal["view", "edit", "itself"]
"""What is granted of an object: values to see, values to edit, or the template itself with all its rules. Of an
identifier "itself" is that the grants of its template do not hold for it.
"""


class Grantee(NamedTuple):
    """Whom something is granted to, by number: an identity, or a group."""

    account: int | None
    group: int | None


TAKEN_BACK: Final = 3
NOBODY: Final = Grantee(None, None)


class Kept(NamedTuple):
    """A grant that is there. `until` None: for good."""

    number: int
    to: Grantee
    kind: Kind
    attributes: Names
    until: datetime | None


class Object(NamedTuple):
    """What grants are on: a template by its number, or one identifier by its suffix key. `names` are the attributes
    that may be granted.
    """

    prefix: RegisteredPrefix
    template: int | None
    suffix: str | None
    names: frozenset[str]


class Wish(NamedTuple):
    """What shall be granted, and what no longer; what is named in both shall be."""

    add: Names = NO_NAMES
    remove: Names = NO_NAMES


Wishes = dict[tuple[Grantee, Kind], Wish]


def together(wishes: Iterable[tuple[Grantee, Kind, Wish]]) -> Wishes:
    """One wish for each to whom something of a kind shall be granted, or no longer."""
    found: Wishes = {}
    for to, kind, wish in wishes:
        before = found.get((to, kind), Wish())
        found[to, kind] = Wish(_with(before.add, wish.add), _with(before.remove, wish.remove))
    return found


class Plan(NamedTuple):
    """Grants for good that are to be made; by number those to be changed, each with its attributes before and after,
    and those that are to go.
    """

    made: list[tuple[Grantee, Kind, Names]]
    changed: dict[int, tuple[Names, Names]]
    gone: list[int]

    @property
    def more(self) -> int:
        """How many more there are then."""
        return len(self.made) - len(self.gone)


def plan(kept: Sequence[Kept], wishes: Wishes, names: frozenset[str]) -> Plan:
    """What it takes until the grants `kept` are as wished, with few of them; `names` are all that may be granted.

    One with a term keeps it, and is not what anything is added to.
    """
    whole = Plan([], {}, [])
    for (to, kind), wish in wishes.items():
        made = _planned([each for each in kept if (each.to, each.kind) == (to, kind)], wish, names, whole)
        whole.made.extend((to, kind, attributes) for attributes in made)
    return whole


def _planned(kept: Sequence[Kept], wish: Wish, names: frozenset[str], whole: Plan) -> list[Names]:
    """The same for grants of one kind to one grantee: returns what is to be made, puts the rest into `whole`."""
    removed = _without(wish.remove, wish.add, names)
    after = {each.number: _without(each.attributes, removed, names) for each in kept}
    lasting = [each.number for each in kept if each.until is None and after[each.number] != NO_NAMES]
    missing = all(gains(after[number], wish.add) for number in lasting) and wish.add != NO_NAMES
    if missing and lasting:
        after[lasting[0]] = _with(after[lasting[0]], wish.add)
    for each in kept:
        if after[each.number] == NO_NAMES:
            whole.gone.append(each.number)
        elif after[each.number] != each.attributes:
            whole.changed[each.number] = each.attributes, after[each.number]
    return [wish.add] if missing and not lasting else []


class Notice(NamedTuple):
    """What an account was told of a grant to it. `title` is IDHub's messageTitleType: 1 a template, 2 an identifier, 3
    the class of a template was granted, or TAKEN_BACK more; `handle` is its, `enterprise` the name of whose it is.
    """

    number: int
    title: int
    edit: bool
    made: datetime
    handle: str
    enterprise: str


def gains(before: Names, after: Names) -> bool:
    """Whether `after` has what `before` has not."""
    return _with(before, after) != before


def _with(names: Names, more: Names) -> Names:
    return None if names is None or more is None else names | more


def _without(names: Names, less: Names, every: frozenset[str]) -> Names:
    if less is None:
        return NO_NAMES
    return names if not less else (every if names is None else names) - less

"""Who may administer a record by the Handle system's own rules: HS_ADMIN, groups, permissions of values. Pure.

Order of checks and codes are those of deployed servers (handle reference §2.6). Whether somebody holds a key, whether
the prefix lives here, and what templates want, is judged elsewhere; records and groups are given.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce
from operator import or_
from typing import Final, NamedTuple

from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import PREFIX_HANDLES, Identifier, fold, is_prefix_handle
from proto.value import ADMIN_READ, ADMIN_WRITE, PUBLIC_WRITE, Reference, Value
from proto.values import value_list
from proto.values.admin import ADMIN_ALL, Admin, Permission

GROUPS_DEEP: Final = 5
"""Groups within groups that are followed: a person, a team, a company and its parent are three."""
MEMBERS_MOST: Final = 1024
"""References looked at in one judgement: groups in use have up to some tens of members."""

Values = tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who proved a key: the value `index` of `handle`, as kept; `everywhere`: a server administrator, by setting."""

    handle: str
    index: int
    everywhere: bool = False


class Create(NamedTuple):
    """A record shall have these values, and be new unless `overwrite`."""

    values: Values
    overwrite: bool = False


class Delete(NamedTuple):
    """A record shall be gone."""


class Add(NamedTuple):
    """Values shall be added."""

    values: Values


class Modify(NamedTuple):
    """Values shall take the place of those with their indexes."""

    values: Values


class Remove(NamedTuple):
    """The values with these indexes shall be gone."""

    indexes: tuple[int, ...]


class Read(NamedTuple):
    """These values, those that match a question for more than what is public, shall be told."""

    values: Values


class List(NamedTuple):
    """The identifiers under the prefix that the place is shall be told."""


Request = Create | Delete | Add | Modify | Remove | Read | List


class Place(NamedTuple):
    """What stands there: the values of the record (None: there is none), and `above` those of its `authority`."""

    identifier: Identifier
    record: Values | None
    above: Values = ()


class Permitted(NamedTuple):
    """It may be carried out."""


class Refused(NamedTuple):
    """It may not, for `code`; AUTHENTICATION_NEEDED asks who wants it. `indexes` are those at fault."""

    code: ResponseCode
    indexes: tuple[int, ...] = ()


class Wanted(NamedTuple):
    """It cannot be told without the groups these values may be: judge again with `members` of each."""

    references: frozenset[Reference]


Outcome = Permitted | Refused | Wanted
Groups = Mapping[Reference, tuple[Reference, ...]]

_PERMITTED: Final = Permitted()
_NONE: Final = Permission(0)


def authority(identifier: Identifier) -> Identifier:
    """Whose HS_ADMIN says who may create under it: of `88.1/x` it is `0.NA/88.1`, of that one `0.NA/88`, and of the
    highest ones `0.NA/0.NA`.
    """
    if not is_prefix_handle(identifier.key):
        return Identifier.parse(f"{PREFIX_HANDLES}/{identifier.prefix_key}")
    return Identifier.parse(f"{PREFIX_HANDLES}/{identifier.suffix_key.rpartition('.')[0] or PREFIX_HANDLES}")


def settled(reference: Reference) -> Reference | None:
    """A reference as groups and administrators are compared: by the key of its identifier; None if it names none."""
    try:
        return Reference(Identifier.parse(reference.handle).key, reference.index)
    except ProtoError:
        return None


def members(value: Value | None) -> tuple[Reference, ...]:
    """The members of the group a value is, settled; none of a value that is no group, or that there is not."""
    if value is None or fold(value.type) != "HS_VLIST":
        return ()
    try:
        return tuple(filter(None, map(settled, value_list.from_octets(value.data))))
    except ProtoError:
        return ()


def judge(
    request: Request,
    place: Place,
    who: Administrator | None,
    groups: Groups,
    *,
    prefix_administrators: bool = True,
) -> Outcome:
    """Whether `who` (None: nobody proved anything yet) may do it.

    `groups` has the members of each reference that was Wanted before, and may be empty at first; after GROUPS_DEEP + 1
    rounds nothing more is wanted. `prefix_administrators`: whoever administers a prefix administers what lies under it.
    """
    check = _CHECKS[type(request)]
    refused = check.before(request, place)
    if refused is not None:
        return refused
    if check.free(request, place):
        return _PERMITTED
    if who is None:
        return Refused(ResponseCode.AUTHENTICATION_NEEDED)
    refused = check.after(request, place)
    if refused is not None:
        return refused
    own = (place.record or ()) + (place.above if prefix_administrators else ())
    return check.allowed(request, place, _Rights(who, groups, own, place.above))


@dataclass(slots=True)
class _Rights:
    """What `who` may do, as far as `groups` tell: in the record itself, and above it."""

    who: Administrator
    groups: Groups
    own: Values
    above: Values
    looked_at: int = 0
    wanted: set[Reference] = field(default_factory=set)
    found: dict[Reference, bool] = field(default_factory=dict)

    def outcome(self, here: Permission = _NONE, above: Permission = _NONE) -> Outcome:
        """Permitted to who has all these permissions."""
        lacking = [self._lacks(self.own, here), self._lacks(self.above, above)]
        if not any(lacking):
            return _PERMITTED
        return Wanted(frozenset(self.wanted)) if self.wanted else Refused(ResponseCode.INVALID_ADMIN)

    def _lacks(self, values: Values, needed: Permission) -> bool:
        """Whether some of `needed` is not given by the HS_ADMIN among `values`: first to him by name, then by group."""
        if self.who.everywhere or not needed:
            return False
        named = [
            (Permission(a.permissions & ADMIN_ALL), settled(Reference(a.handle, a.index))) for a in _admins(values)
        ]
        for holds in (self._is, self._belongs):
            for given, reference in named:
                if reference is not None and given & needed and holds(reference):
                    needed &= ~given
            if not needed:
                return False
        return True

    def _is(self, reference: Reference) -> bool:
        return reference.handle == self.who.handle and reference.index in {0, self.who.index}

    def _belongs(self, group: Reference) -> bool:
        if group not in self.found:
            self.found[group] = self._found_in(group)
        return self.found[group]

    def _found_in(self, group: Reference) -> bool:
        """Whether `who` is in this group, or in one that is in it; what is not known yet is noted as wanted."""
        level, seen = {group}, {group}
        for _ in range(GROUPS_DEEP):
            self.looked_at += len(level)
            if self.looked_at > MEMBERS_MOST:
                return False
            self.wanted |= {each for each in level if each.index and each not in self.groups}
            level = {member for each in level for member in self.groups.get(each, ())} - seen
            if any(map(self._is, level)):
                return True
            seen |= level
        return False


def _admins(values: Values) -> Iterable[Admin]:
    for value in values:
        if is_admin(value):
            with suppress(ProtoError):  # data that is none makes nobody an administrator
                yield Admin.from_octets(value.data)


def is_admin(value: Value) -> bool:
    """Whether it says who administers the record."""
    return fold(value.type) == "HS_ADMIN"


# --- The checks of each request, in their order ----------------------------------------------------------------------

_VALUES_NEED: Final = {
    Add: (Permission.ADD_VALUE, Permission.ADD_ADMIN),
    Modify: (Permission.MODIFY_VALUE, Permission.MODIFY_ADMIN),
    Remove: (Permission.REMOVE_VALUE, Permission.REMOVE_ADMIN),
}
"""What changing a value takes, and changing an HS_ADMIN."""


def _need(kind: type[Add] | type[Modify] | type[Remove], *values: Value) -> Permission:
    return _VALUES_NEED[kind][any(map(is_admin, values))]


def _together(permissions: Iterable[Permission]) -> Permission:
    return reduce(or_, permissions, _NONE)


def _by_index(values: Values | None) -> dict[int, Value]:
    return {value.index: value for value in values or ()}


def _refused(code: ResponseCode, indexes: Iterable[int]) -> Refused | None:
    at_fault = tuple(indexes)
    return Refused(code, at_fault) if at_fault else None


def _twice(values: Values) -> Refused | None:
    counted = Counter(value.index for value in values)
    return _refused(ResponseCode.VALUE_ALREADY_EXISTS, (index for index, count in counted.items() if count > 1))


def _locked(values: Iterable[Value]) -> Refused | None:
    """Values no administrator may write."""
    locked = (value.index for value in values if not value.permissions & ADMIN_WRITE)
    return _refused(ResponseCode.INSUFFICIENT_PERMISSIONS, locked)


def _nothing(_: object, __: Place) -> None:
    return None


def _never(_: object, __: Place) -> bool:
    return False


def _missing(_: object, place: Place) -> Refused | None:
    return Refused(ResponseCode.HANDLE_NOT_FOUND) if place.record is None else None


def _unknown(request: Add | Modify | Remove, place: Place) -> Refused | None:
    """The handle of a prefix is there, without values, before anything is kept at it; what changes nothing needs no
    proof, and keeps nothing there.
    """
    changes = request.indexes if isinstance(request, Remove) else request.values
    return None if changes and is_prefix_handle(place.identifier.key) else _missing(request, place)


def _create_before(request: Create, place: Place) -> Refused | None:
    if place.record is not None and not request.overwrite:
        return _twice(request.values) or Refused(ResponseCode.HANDLE_ALREADY_EXISTS)
    return _twice(request.values)


def _create_allowed(request: Create, place: Place, rights: _Rights) -> Outcome:
    prefix = is_prefix_handle(place.identifier.key)
    above = Permission.ADD_DERIVED_PREFIX if prefix else Permission.ADD_HANDLE
    if place.record is None:
        return rights.outcome(above=above)
    whole = rights.outcome(Permission.DELETE_HANDLE, above)
    return _overwrite_allowed(request, place.record, rights, above) if isinstance(whole, Refused) else whole


def _overwrite_allowed(request: Create, record: Values, rights: _Rights, above: Permission) -> Outcome:
    """Value by value, as whoever may not replace the whole record would have to."""
    old, new = _by_index(record), _by_index(request.values)
    changed = [index for index in old.keys() & new.keys() if not same(old[index], new[index])]
    removed, added = old.keys() - new.keys(), new.keys() - old.keys()
    needed = _together(
        (
            *(_need(Modify, old[index], new[index]) for index in changed),
            *(_need(Remove, old[index]) for index in removed),
            *(_need(Add, new[index]) for index in added),
        )
    )
    outcome = rights.outcome(needed, above)
    locked = _locked(old[index] for index in sorted({*changed, *removed}))
    return locked if locked and isinstance(outcome, Permitted) else outcome


def same(one: Value, other: Value) -> bool:
    """Whether two values say the same: all but their time."""
    return replace(one, timestamp=0) == replace(other, timestamp=0)


def _delete_allowed(_: Delete, place: Place, rights: _Rights) -> Outcome:
    outcome = rights.outcome(Permission.DELETE_HANDLE)
    if is_prefix_handle(place.identifier.key) and isinstance(outcome, Refused):
        return rights.outcome(above=Permission.DELETE_DERIVED_PREFIX)
    return outcome


def _add_before(request: Add, _: Place) -> Refused | None:
    return _twice(request.values)


def _add_after(request: Add, place: Place) -> Refused | None:
    there = _by_index(place.record)
    conflicts = (value.index for value in request.values if value.index in there)
    return _unknown(request, place) or _refused(ResponseCode.VALUE_ALREADY_EXISTS, conflicts)


def _add_allowed(request: Add, _: Place, rights: _Rights) -> Outcome:
    return rights.outcome(_together(_need(Add, value) for value in request.values))


def _modify_before(request: Modify, place: Place) -> Refused | None:
    there = _by_index(place.record)
    absent = (value.index for value in request.values if value.index not in there)
    return (
        _unknown(request, place)
        or _twice(request.values)
        or _refused(ResponseCode.VALUES_NOT_FOUND, absent)
        or _locked(there[value.index] for value in request.values)
    )


def _restricted(request: Modify, place: Place) -> list[tuple[Value, Value]]:
    """What is not everybody's to change: old and new."""
    there = _by_index(place.record)
    return [(there[new.index], new) for new in request.values if not _everybodys(there[new.index], new)]


def _everybodys(old: Value, new: Value) -> bool:
    """Whether anybody may make this of a value: its text alone, and never what the Handle system itself goes by – a
    value that became a key would open the record.
    """
    rest_is_the_same = (old.type, old.permissions) == (new.type, new.permissions)
    return bool(old.permissions & PUBLIC_WRITE) and rest_is_the_same and not fold(old.type).startswith("HS_")


def _modify_free(request: Modify, place: Place) -> bool:
    return not _restricted(request, place)


def _modify_allowed(request: Modify, place: Place, rights: _Rights) -> Outcome:
    return rights.outcome(_together(_need(Modify, old, new) for old, new in _restricted(request, place)))


def _remove_after(request: Remove, place: Place) -> Refused | None:
    there = _by_index(place.record)
    absent = (index for index in request.indexes if index not in there)
    return (
        _unknown(request, place)
        or _refused(ResponseCode.VALUES_NOT_FOUND, absent)
        or _locked(there[index] for index in dict.fromkeys(request.indexes))
    )


def _remove_allowed(request: Remove, place: Place, rights: _Rights) -> Outcome:
    there = _by_index(place.record)
    return rights.outcome(_together(_need(Remove, there[index]) for index in request.indexes))


def _read_before(request: Read, _: Place) -> Refused | None:
    nobodys = (v.index for v in request.values if not v.public and not v.permissions & ADMIN_READ)
    return _refused(ResponseCode.INSUFFICIENT_PERMISSIONS, nobodys)


def _read_free(request: Read, _: Place) -> bool:
    return all(value.public for value in request.values)


def _read_allowed(_: Read, __: Place, rights: _Rights) -> Outcome:
    return rights.outcome(Permission.READ_VALUE)


def _list_allowed(_: List, __: Place, rights: _Rights) -> Outcome:
    return rights.outcome(Permission.LIST_HANDLES)


class _Check(NamedTuple):
    """In this order: what is refused to whomever, what is free to everybody, what is told to who proved a key."""

    before: Callable[..., Refused | None]
    free: Callable[..., bool]
    after: Callable[..., Refused | None]
    allowed: Callable[..., Outcome]


_CHECKS: Final[dict[type[Request], _Check]] = {
    Create: _Check(_create_before, _never, _nothing, _create_allowed),
    Delete: _Check(_nothing, _never, _missing, _delete_allowed),
    Add: _Check(_add_before, _never, _add_after, _add_allowed),
    Modify: _Check(_modify_before, _modify_free, _nothing, _modify_allowed),
    Remove: _Check(_nothing, _never, _remove_after, _remove_allowed),
    Read: _Check(_read_before, _read_free, _nothing, _read_allowed),
    List: _Check(_nothing, _never, _nothing, _list_allowed),
}


def carried_out(request: Create | Add | Modify | Remove, record: Values | None, now: int) -> Values:
    """The values of the record after what was permitted, by index: what is new or changed bears the time `now` (seconds
    since 1970 UTC), the rest its own.
    """
    old = _by_index(record)
    if isinstance(request, Remove):
        new = {index: value for index, value in old.items() if index not in request.indexes}
    else:
        new = _by_index(request.values) if isinstance(request, Create) else old | _by_index(request.values)
    return tuple(
        old[index] if index in old and same(old[index], new[index]) else replace(new[index], timestamp=now)
        for index in sorted(new)
    )

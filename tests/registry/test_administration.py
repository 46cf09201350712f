"""Proves registry/administration.py: a table of who may do what, and a plain model that is told the same worlds."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proto.codes import ResponseCode as Code
from proto.identifier import Identifier
from proto.value import Reference, Value
from proto.values import value_list
from proto.values.admin import ADMIN_ALL, Admin, Permission
from registry.administration import (
    GROUPS_DEEP,
    MEMBERS_MOST,
    Add,
    Administrator,
    Create,
    Delete,
    Groups,
    List,
    Modify,
    Outcome,
    Permitted,
    Place,
    Read,
    Refused,
    Remove,
    Wanted,
    authority,
    carried_out,
    judge,
    members,
    settled,
)

P = Permission
NAME, PREFIX = Identifier.parse("88.1/a"), Identifier.parse("0.NA/88.1")
ME, OTHER, SERVER = Administrator("88.1/ADMIN", 300), Administrator("88.1/x", 300), Administrator("88/s", 1, True)
URL, DESC, SECRET = Value(1, "URL", b"u"), Value(2, "DESC", b"d"), Value(3, "NOTE", b"n", permissions=0b1100)
LOCKED, OPEN, HIDDEN = (Value(4, "X", b"", permissions=bits) for bits in (0b1010, 0b1111, 0b0100))
GROUP = Reference("88.1/G", 200)


def admin(permissions: int, handle: str = ME.handle, index: int = ME.index, at: int = 100) -> Value:
    return Value(at, "HS_ADMIN", Admin(permissions, handle, index).to_octets())


def place(*values: Value, above: Iterable[Value] = (), identifier: Identifier = NAME) -> Place:
    return Place(identifier, values, tuple(above))


def absent(*above: Value, identifier: Identifier = NAME) -> Place:
    return Place(identifier, None, above)


CHALLENGE, DENIED = Refused(Code.AUTHENTICATION_NEEDED), Refused(Code.INVALID_ADMIN)
NONE = Refused(Code.HANDLE_NOT_FOUND)
OK = Permitted()
BOSS = admin(ADMIN_ALL)

TABLE: list[tuple[str, Any, Place, Administrator | None, Outcome]] = [
    # --- create ---
    ("create", Create((URL,)), absent(admin(P.ADD_HANDLE)), ME, OK),
    ("create, nobody proved anything", Create((URL,)), absent(admin(P.ADD_HANDLE)), None, CHALLENGE),
    ("create, another right", Create((URL,)), absent(admin(ADMIN_ALL & ~P.ADD_HANDLE)), ME, DENIED),
    ("create, another person", Create((URL,)), absent(admin(P.ADD_HANDLE)), OTHER, DENIED),
    ("create, another key", Create((URL,)), absent(admin(P.ADD_HANDLE)), replace(ME, index=301), DENIED),
    ("create, any key", Create((URL,)), absent(admin(P.ADD_HANDLE, index=0)), ME, OK),
    (
        "create, spelt otherwise",
        Create((URL,)),
        absent(admin(P.ADD_HANDLE, "0.na/88.1")),
        Administrator("0.NA/88.1", 300),
        OK,
    ),
    ("create, suffixes keep their case", Create((URL,)), absent(admin(P.ADD_HANDLE, "88.1/admin")), ME, DENIED),
    ("create, no administrators", Create((URL,)), absent(), ME, DENIED),
    ("create, by the server's", Create((URL,)), absent(), SERVER, OK),
    ("create, twice an index", Create((URL, URL)), absent(), None, Refused(Code.VALUE_ALREADY_EXISTS, (1,))),
    ("create, it exists", Create((URL,)), place(DESC), None, Refused(Code.HANDLE_ALREADY_EXISTS)),
    ("create, twice before it exists", Create((URL, URL)), place(), None, Refused(Code.VALUE_ALREADY_EXISTS, (1,))),
    ("create a prefix", Create(()), absent(admin(P.ADD_DERIVED_PREFIX), identifier=PREFIX), ME, OK),
    ("create a prefix, a right to others", Create(()), absent(admin(P.ADD_HANDLE), identifier=PREFIX), ME, DENIED),
    ("create, no data of an administrator", Create(()), absent(Value(1, "HS_ADMIN", b"?")), ME, DENIED),
    ("create, bits that mean nothing", Create(()), absent(admin(0xF000)), ME, DENIED),
    ("create, rights of two", Create((), True), place(admin(P.DELETE_HANDLE), above=[admin(P.ADD_HANDLE)]), ME, OK),
    # --- overwrite ---
    ("overwrite", Create((URL,), True), place(DESC, above=[BOSS]), None, CHALLENGE),
    ("overwrite whole", Create((URL,), True), place(DESC, above=[admin(P.ADD_HANDLE | P.DELETE_HANDLE)]), ME, OK),
    ("overwrite whole, locked", Create((), True), place(LOCKED, above=[admin(P.ADD_HANDLE | P.DELETE_HANDLE)]), ME, OK),
    (
        "overwrite value by value",
        Create((URL, replace(DESC, data=b"e")), True),
        place(DESC, SECRET, above=[admin(P.ADD_HANDLE | P.ADD_VALUE | P.MODIFY_VALUE | P.REMOVE_VALUE)]),
        ME,
        OK,
    ),
    ("overwrite, adds", Create((URL, DESC), True), place(DESC, above=[admin(P.ADD_HANDLE)]), ME, DENIED),
    (
        "overwrite with the same",
        Create((DESC,), True),
        place(replace(DESC, timestamp=9), above=[admin(P.ADD_HANDLE)]),
        ME,
        OK,
    ),
    ("overwrite, may not create", Create((DESC,), True), place(DESC, admin(P.DELETE_HANDLE)), ME, DENIED),
    (
        "overwrite, removes an administrator",
        Create((), True),
        place(BOSS, above=[admin(P.ADD_HANDLE | P.REMOVE_VALUE)]),
        OTHER,
        DENIED,
    ),
    (
        "overwrite, a locked one",
        Create((), True),
        place(LOCKED, above=[admin(P.ADD_HANDLE | P.REMOVE_VALUE)]),
        ME,
        Refused(Code.INSUFFICIENT_PERMISSIONS, (4,)),
    ),
    # --- delete ---
    ("delete", Delete(), place(URL, admin(P.DELETE_HANDLE)), ME, OK),
    ("delete, by the prefix's", Delete(), place(URL, above=[admin(P.DELETE_HANDLE)]), ME, OK),
    ("delete, nobody proved anything", Delete(), place(URL, BOSS), None, CHALLENGE),
    ("delete what is not, nobody", Delete(), absent(BOSS), None, CHALLENGE),
    ("delete what is not", Delete(), absent(BOSS), ME, NONE),
    ("delete what is not, whoever", Delete(), absent(BOSS), OTHER, NONE),
    ("delete, another right", Delete(), place(URL, admin(ADMIN_ALL & ~P.DELETE_HANDLE)), ME, DENIED),
    ("delete a prefix", Delete(), place(above=[admin(P.DELETE_DERIVED_PREFIX)], identifier=PREFIX), ME, OK),
    ("delete no prefix", Delete(), place(above=[admin(P.DELETE_DERIVED_PREFIX)]), ME, DENIED),
    # --- add ---
    ("add", Add((URL,)), place(DESC, admin(P.ADD_VALUE)), ME, OK),
    ("add, nobody proved anything", Add((URL,)), place(URL, BOSS), None, CHALLENGE),
    ("add, there is one", Add((URL, DESC)), place(URL, BOSS), ME, Refused(Code.VALUE_ALREADY_EXISTS, (1,))),
    ("add, twice an index", Add((URL, URL)), place(BOSS), None, Refused(Code.VALUE_ALREADY_EXISTS, (1,))),
    ("add to what is not", Add((URL,)), absent(BOSS), ME, NONE),
    ("add to what is not, nobody", Add((URL,)), absent(BOSS), None, CHALLENGE),
    ("add an administrator", Add((BOSS,)), place(admin(P.ADD_ADMIN, at=101)), ME, OK),
    ("add an administrator as a value", Add((BOSS,)), place(admin(P.ADD_VALUE, at=101)), ME, DENIED),
    ("add a value as an administrator", Add((URL,)), place(admin(P.ADD_ADMIN)), ME, DENIED),
    ("add both", Add((URL, BOSS)), place(admin(P.ADD_ADMIN | P.ADD_VALUE, at=101)), ME, OK),
    # --- modify ---
    ("modify", Modify((URL,)), place(URL, admin(P.MODIFY_VALUE)), ME, OK),
    ("modify, nobody proved anything", Modify((URL,)), place(URL, BOSS), None, CHALLENGE),
    ("modify what is not there", Modify((URL, DESC)), place(DESC, BOSS), None, Refused(Code.VALUES_NOT_FOUND, (1,))),
    ("modify in what is not", Modify((URL,)), absent(BOSS), None, NONE),
    ("modify nothing", Modify(()), place(URL), None, OK),
    ("modify twice", Modify((URL, URL)), place(URL, BOSS), ME, Refused(Code.VALUE_ALREADY_EXISTS, (1,))),
    ("modify a locked one", Modify((LOCKED,)), place(LOCKED, BOSS), None, Refused(Code.INSUFFICIENT_PERMISSIONS, (4,))),
    (
        "modify a locked one, the server's",
        Modify((LOCKED,)),
        place(LOCKED),
        SERVER,
        Refused(Code.INSUFFICIENT_PERMISSIONS, (4,)),
    ),
    ("modify an administrator", Modify((BOSS,)), place(admin(P.MODIFY_ADMIN)), ME, OK),
    ("modify an administrator as a value", Modify((BOSS,)), place(admin(P.MODIFY_VALUE)), ME, DENIED),
    ("make an administrator of a value", Modify((admin(1, at=1),)), place(URL, admin(P.MODIFY_VALUE)), ME, DENIED),
    ("make a value of an administrator", Modify((replace(URL, index=100),)), place(admin(P.MODIFY_VALUE)), ME, DENIED),
    ("modify what is everybody's", Modify((replace(OPEN, data=b"new"),)), place(OPEN), None, OK),
    ("lock what is everybody's", Modify((replace(OPEN, permissions=0b1110),)), place(OPEN), None, CHALLENGE),
    ("make a key of what is everybody's", Modify((replace(OPEN, type="HS_SECKEY"),)), place(OPEN), None, CHALLENGE),
    (
        "a key that is everybody's",
        Modify((replace(OPEN, type="hs_seckey"),)),
        place(replace(OPEN, type="hs_seckey")),
        None,
        CHALLENGE,
    ),
    ("everybody's and another", Modify((OPEN, URL)), place(OPEN, URL, BOSS), None, CHALLENGE),
    ("everybody's and one's own", Modify((OPEN, URL)), place(OPEN, URL, admin(P.MODIFY_VALUE)), ME, OK),
    # --- remove ---
    ("remove", Remove((1,)), place(URL, admin(P.REMOVE_VALUE)), ME, OK),
    ("remove, nobody proved anything", Remove((7,)), place(URL, BOSS), None, CHALLENGE),
    ("remove what is not there", Remove((7, 1)), place(URL, BOSS), ME, Refused(Code.VALUES_NOT_FOUND, (7,))),
    ("remove from what is not", Remove((1,)), absent(BOSS), ME, NONE),
    ("remove an administrator", Remove((100,)), place(admin(P.REMOVE_ADMIN)), ME, OK),
    ("remove an administrator as a value", Remove((100,)), place(admin(P.REMOVE_VALUE)), ME, DENIED),
    ("remove a locked one", Remove((4,)), place(LOCKED, BOSS), ME, Refused(Code.INSUFFICIENT_PERMISSIONS, (4,))),
    ("remove, everybody may write it", Remove((4,)), place(OPEN), None, CHALLENGE),
    # --- read and list ---
    ("read what is public", Read((URL,)), place(URL), None, OK),
    ("read what is not", Read((URL, SECRET)), place(URL, SECRET, BOSS), None, CHALLENGE),
    ("read what is not, with the right", Read((SECRET,)), place(SECRET, admin(P.READ_VALUE)), ME, OK),
    ("read what is not, without", Read((SECRET,)), place(SECRET, admin(ADMIN_ALL & ~P.READ_VALUE)), ME, DENIED),
    ("read what is nobody's", Read((HIDDEN,)), place(HIDDEN, BOSS), ME, Refused(Code.INSUFFICIENT_PERMISSIONS, (4,))),
    (
        "read what is nobody's, nobody",
        Read((HIDDEN,)),
        place(HIDDEN),
        None,
        Refused(Code.INSUFFICIENT_PERMISSIONS, (4,)),
    ),
    ("list", List(), place(admin(P.LIST_HANDLES), identifier=PREFIX), ME, OK),
    ("list, nobody proved anything", List(), place(BOSS, identifier=PREFIX), None, CHALLENGE),
    ("list, another right", List(), place(admin(ADMIN_ALL & ~P.LIST_HANDLES), identifier=PREFIX), ME, DENIED),
]


@pytest.mark.parametrize(("request_", "where", "who", "outcome"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE])
def test_who_may_do_what(request_: Any, where: Place, who: Administrator | None, outcome: Outcome):
    assert settle(request_, where, who, {}) == outcome


def settle(request: Any, where: Place, who: Administrator | None, world: Groups, **more: bool) -> Outcome:
    """The outcome when whatever is wanted is looked up in `world`; there is no group but in it."""
    known: dict[Reference, tuple[Reference, ...]] = {}
    for _ in range(GROUPS_DEEP + 2):
        outcome = judge(request, where, who, known, **more)
        if not isinstance(outcome, Wanted):
            return outcome
        assert not outcome.references & known.keys(), "nothing is wanted twice"
        known |= {each: world.get(each, ()) for each in outcome.references}
    raise AssertionError("something is always wanted")


def test_whoever_administers_a_prefix_administers_what_lies_under_it_unless_told_otherwise():
    under = place(URL, above=[BOSS])
    for request in (Delete(), Add((DESC,)), Modify((URL,)), Remove((1,))):
        assert settle(request, under, ME, {}) == OK
        assert settle(request, under, ME, {}, prefix_administrators=False) == DENIED
    assert settle(Create(()), absent(BOSS), ME, {}, prefix_administrators=False) == OK, (
        "that is the prefix's own matter"
    )


# --- Groups ------------------------------------------------------------------------------------------------


def chain(length: int, end: Reference) -> dict[Reference, tuple[Reference, ...]]:
    groups = [GROUP, *(Reference(f"88.1/G{n}", 1) for n in range(length - 1))]
    return {group: (after,) for group, after in zip(groups, [*groups[1:], end], strict=True)}


MANY = tuple(Reference(f"88.1/{n}", 1) for n in range(MEMBERS_MOST + 1))
IN_GROUP = place(URL, admin(P.DELETE_HANDLE, GROUP.handle, GROUP.index))
MYSELF = Reference(ME.handle, ME.index)


@pytest.mark.parametrize(
    ("world", "outcome"),
    [
        ({}, DENIED),
        ({GROUP: (MYSELF,)}, OK),
        ({GROUP: (Reference(ME.handle, 0),)}, OK),
        ({GROUP: (Reference(ME.handle, 301),)}, DENIED),
        ({GROUP: (GROUP,)}, DENIED),
        ({GROUP: (Reference("88.1/H", 1), MYSELF), Reference("88.1/H", 1): (GROUP,)}, OK),
        (chain(GROUPS_DEEP, MYSELF), OK),
        (chain(GROUPS_DEEP + 1, MYSELF), DENIED),
        ({GROUP: (*MANY, MYSELF)}, OK),
        ({GROUP: MANY[2:], MANY[-1]: (MYSELF,)}, OK),
        ({GROUP: MANY, MANY[-1]: (MYSELF,)}, DENIED),
    ],
)
def test_groups(world: Groups, outcome: Outcome):
    assert settle(Delete(), IN_GROUP, ME, world) == outcome


def test_who_is_named_needs_no_group_to_be_loaded():
    where = place(admin(P.DELETE_HANDLE, GROUP.handle, GROUP.index), admin(P.DELETE_HANDLE, at=101))
    assert judge(Delete(), where, ME, {}) == OK
    other_right = place(admin(P.READ_VALUE, GROUP.handle, GROUP.index), admin(P.DELETE_HANDLE, at=101))
    assert judge(Delete(), other_right, OTHER, {}) == Wanted(frozenset({MYSELF})), "no group without the right"


def test_the_work_is_bounded_however_many_administrators_a_record_has():
    many = [admin(P.DELETE_HANDLE, f"88.1/{n}", 1, at=n) for n in range(1, 2 * MEMBERS_MOST)]
    outcome = judge(Delete(), place(*many), ME, {})
    assert isinstance(outcome, Wanted)
    assert len(outcome.references) <= MEMBERS_MOST


def test_members():
    entries = (Reference("0.na/88.1", 300), Reference("no slash", 1), Reference("88.1/b", 0))
    group = Value(200, "hs_vlist", value_list.to_octets(entries))
    assert members(group) == (Reference("0.NA/88.1", 300), Reference("88.1/b", 0))
    assert [members(none) for none in (None, URL, Value(200, "HS_VLIST", b"?"))] == [(), (), ()]
    assert settled(Reference("", 1)) is None


# --- The authority, and what comes of it -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "above"),
    [
        ("88.1.2/x", "0.NA/88.1.2"),
        ("0.NA/88.1.2", "0.NA/88.1"),
        ("0.na/88.1", "0.NA/88"),
        ("0.NA/88", "0.NA/0.NA"),
        ("0.SERV/88", "0.NA/0.SERV"),
    ],
)
def test_whose_administrators_may_create(name: str, above: str):
    assert str(authority(Identifier.parse(name))) == above


def test_what_stands_there_afterwards():
    old = (replace(DESC, timestamp=5), replace(URL, timestamp=5))
    new = replace(URL, data=b"new", timestamp=99)
    assert carried_out(Create((URL,)), None, 7) == (replace(URL, timestamp=7),)
    assert carried_out(Create((DESC, new), True), old, 7) == (replace(new, timestamp=7), old[0])
    assert carried_out(Add((SECRET,)), old, 7) == (old[1], old[0], replace(SECRET, timestamp=7))
    assert carried_out(Modify((new, DESC)), old, 7) == (replace(new, timestamp=7), old[0])
    assert carried_out(Remove((1, 9)), old, 7) == (old[0],)


# --- A plain model -----------------------------------------------------------------------------------------

VALUES_BITS = P.ADD_HANDLE | P.ADD_VALUE | P.MODIFY_VALUE | P.REMOVE_VALUE


class Draw:
    """A small world out of a seed, in which things often fit: far quicker than to draw each piece."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)

    def reference(self) -> Reference:
        return Reference(self.chance.choice(["88.1/A", "88.1/B"]), self.chance.choice([0, 1, 1, 2]))

    def some(self, most: int, one: Callable[[], Any]) -> list[Any]:
        return [one() for _ in range(self.chance.randint(0, most))]

    def value(self, index: int) -> Value:
        type_ = self.chance.choice(["URL", "URL", "HS_ADMIN", "HS_SECKEY"])
        permissions = self.chance.choice([0b1110, 0b1111, 0b1010, 0b0101])
        return Value(index, type_, self.chance.choice([b"", b"x"]), permissions=permissions)

    def values(self) -> tuple[Value, ...]:
        return tuple(self.value(index) for index in (1, 2, 3) if self.chance.random() < 0.5)

    def admins(self) -> list[tuple[int, Reference]]:
        bits = [ADMIN_ALL, int(VALUES_BITS), self.chance.randint(0, ADMIN_ALL)]
        return self.some(2, lambda: (self.chance.choice(bits), self.reference()))

    def world(self) -> Groups:
        return {r: tuple(self.some(3, self.reference)) for r in self.some(5, self.reference) if r.index}

    def case(self) -> tuple[Any, tuple[Value, ...] | None]:
        """A request, and the record it is about: mostly for values that are there."""
        record = self.chance.choice([self.values(), self.values(), None])
        changed = tuple(self.value(value.index) for value in record or () if self.chance.random() < 0.5)
        values = self.chance.choice([changed, changed, self.values()])
        indexes = tuple(value.index for value in values)
        create = Create(values, True), Create(values)
        return self.chance.choice(
            [*create, Delete(), Add(values), Modify(values), Remove(indexes), Read(values)]
        ), record


def model_holds(admins: list[tuple[int, Reference]], who: Administrator, world: Groups) -> int:
    """All bits somebody has: by walking every group there is, however deep."""
    bits = 0
    for given_, reference in admins:
        reached, todo = set(), [reference]
        while todo:
            each = todo.pop()
            if each not in reached:
                reached.add(each)
                todo += world.get(each, ())
        if any(r.handle == who.handle and r.index in {0, who.index} for r in reached):
            bits |= given_
    return bits


def model(  # noqa: PLR0912
    request: Any, record: tuple[Value, ...] | None, who: Administrator | None, own: int, above: int
) -> Any:
    """The facts one after the other, as they stand."""
    there = {v.index: v for v in record or ()}
    kind = {"URL": "VALUE", "HS_SECKEY": "VALUE", "HS_ADMIN": "ADMIN"}
    plain = lambda v: (v.type, v.data, v.permissions)  # noqa: E731
    needs = P(0)
    match request:
        case Create(values, overwrite):
            if record is not None and not overwrite:
                return Code.HANDLE_ALREADY_EXISTS
            if who is None:
                return Code.AUTHENTICATION_NEEDED
            if not above & P.ADD_HANDLE:
                return Code.INVALID_ADMIN
            if record is None or own & P.DELETE_HANDLE:
                return "permitted"
            new, locked = {v.index: v for v in values}, False
            for index in there | new:
                before, after = there.get(index), new.get(index)
                if before is None or after is None:
                    needs |= P[f"{'ADD' if before is None else 'REMOVE'}_{kind[(before or after).type]}"]
                elif plain(before) != plain(after):
                    needs |= P["MODIFY_ADMIN" if "HS_ADMIN" in {before.type, after.type} else "MODIFY_VALUE"]
                else:
                    continue
                locked |= before is not None and not before.permissions & 4
            if needs & ~own:
                return Code.INVALID_ADMIN
            return Code.INSUFFICIENT_PERMISSIONS if locked else "permitted"
        case Delete():
            if who is None:
                return Code.AUTHENTICATION_NEEDED
            if record is None:
                return Code.HANDLE_NOT_FOUND
            needs = P.DELETE_HANDLE
        case Add(values):
            if who is None:
                return Code.AUTHENTICATION_NEEDED
            if record is None:
                return Code.HANDLE_NOT_FOUND
            if any(v.index in there for v in values):
                return Code.VALUE_ALREADY_EXISTS
            needs = P(sum({P[f"ADD_{kind[v.type]}"] for v in values}))
        case Modify(values):
            if record is None:
                return Code.HANDLE_NOT_FOUND
            if any(v.index not in there for v in values):
                return Code.VALUES_NOT_FOUND
            if any(not there[v.index].permissions & 4 for v in values):
                return Code.INSUFFICIENT_PERMISSIONS
            for v in values:
                before = there[v.index]
                if before.type == v.type == "URL" and before.permissions & 1 and before.permissions == v.permissions:
                    continue
                needs |= P["MODIFY_ADMIN" if "HS_ADMIN" in {before.type, v.type} else "MODIFY_VALUE"]
            if needs and who is None:
                return Code.AUTHENTICATION_NEEDED
        case Remove(indexes):
            if who is None:
                return Code.AUTHENTICATION_NEEDED
            if record is None:
                return Code.HANDLE_NOT_FOUND
            if any(index not in there for index in indexes):
                return Code.VALUES_NOT_FOUND
            if any(not there[index].permissions & 4 for index in indexes):
                return Code.INSUFFICIENT_PERMISSIONS
            needs = P(sum({P[f"REMOVE_{kind[there[index].type]}"] for index in indexes}))
        case Read(values):
            if any(not v.permissions & 2 and not v.permissions & 8 for v in values):
                return Code.INSUFFICIENT_PERMISSIONS
            if any(not v.permissions & 2 for v in values):
                if who is None:
                    return Code.AUTHENTICATION_NEEDED
                needs = P.READ_VALUE
    return Code.INVALID_ADMIN if needs & ~own else "permitted"


@settings(max_examples=1500)
@given(st.integers(0, 2**32))
def test_the_model_says_the_same(seed: int):
    draw = Draw(seed)
    (request_, record), admins, above, world = draw.case(), draw.admins(), draw.admins(), draw.world()
    who, both = draw.chance.choice([None, Administrator("88.1/A", 1)]), draw.chance.random() < 0.5
    values = None if record is None else record + _values(admins)
    where = Place(NAME, values, _values(above))
    outcome = settle(request_, where, who, world, prefix_administrators=both)
    over = model_holds(above, who, world) if who else 0
    own = (model_holds(admins, who, world) if who and values is not None else 0) | (over if both else 0)
    told = "permitted" if isinstance(outcome, Permitted) else outcome.code
    assert told == model(request_, values, who, own, over)


def _values(admins: list[tuple[int, Reference]]) -> tuple[Value, ...]:
    return tuple(admin(bits, r.handle, r.index, at=100 + n) for n, (bits, r) in enumerate(admins))

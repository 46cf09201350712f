"""What it takes until grants are as they are wished: few of them, and none that is not."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.granting import NOBODY, Grantee, Kept, Names, Plan, Wish, gains, plan, together
from registry.sight import NO_NAMES

ALL = frozenset("abc")
APP, FIRM = Grantee(1, None), Grantee(None, 7)
TERM = datetime(2027, 1, 1, tzinfo=UTC)


def kept(number: int, names: str | None, until: datetime | None = None, to: Grantee = APP) -> Kept:
    return Kept(number, to, "view", None if names is None else frozenset(names), until)


def a(names: str) -> frozenset[str]:
    return frozenset(names)


@pytest.mark.parametrize(
    ("before", "wish", "after"),
    [
        ([], Wish(add=a("a")), Plan([(APP, "view", a("a"))], {}, [])),
        ([], Wish(add=None), Plan([(APP, "view", None)], {}, [])),
        ([kept(1, "a")], Wish(add=a("a")), Plan([], {}, [])),
        ([kept(1, None)], Wish(add=a("a")), Plan([], {}, [])),
        ([kept(1, "a")], Wish(add=a("b")), Plan([], {1: (a("a"), a("ab"))}, [])),
        ([kept(1, "a")], Wish(add=None), Plan([], {1: (a("a"), None)}, [])),
        ([kept(1, "a", TERM)], Wish(add=a("a")), Plan([(APP, "view", a("a"))], {}, [])),
        ([kept(1, "a")], Wish(remove=a("a")), Plan([], {}, [1])),
        ([kept(1, "ab", TERM)], Wish(remove=a("a")), Plan([], {1: (a("ab"), a("b"))}, [])),
        ([kept(1, None)], Wish(remove=a("a")), Plan([], {1: (None, a("bc"))}, [])),
        ([kept(1, None), kept(2, "a")], Wish(remove=None), Plan([], {}, [1, 2])),
        ([kept(1, "a")], Wish(add=None, remove=None), Plan([], {1: (a("a"), None)}, [])),
        ([kept(1, "ab")], Wish(add=a("c"), remove=a("a")), Plan([], {1: (a("ab"), a("bc"))}, [])),
        ([kept(1, "a", to=FIRM)], Wish(remove=None), Plan([], {}, [])),
        ([kept(1, "a")], Wish(), Plan([], {}, [])),
    ],
)
def test_what_is_wished_is_made_with_few_grants(before: list[Kept], wish: Wish, after: Plan) -> None:
    assert plan(before, {(APP, "view"): wish}, ALL) == after
    assert after.more == len(after.made) - len(after.gone)


names = st.none() | st.frozensets(st.sampled_from("abc"))


def held(grants: list[Names]) -> frozenset[str]:
    return frozenset().union(*(ALL if each is None else each for each in grants))


@given(
    st.lists(st.tuples(names, st.none() | st.just(TERM)), max_size=4),
    st.lists(st.tuples(names, names), min_size=1, max_size=3),
)
def test_nobody_holds_more_or_less_than_is_wished(
    before: list[tuple[Names, datetime | None]], wishes: list[tuple[Names, Names]]
) -> None:
    there = [Kept(n, APP, "view", of, until) for n, (of, until) in enumerate(before)]
    found = plan(there, together((APP, "view", Wish(*each)) for each in wishes), ALL)
    after = {each.number: each.attributes for each in there if each.number not in found.gone}
    after |= {number: names[1] for number, names in found.changed.items()}
    add, remove = (held([each[n] for each in wishes]) for n in (0, 1))
    left = [*after.values(), *(names for *_, names in found.made)]
    assert held(left) == (held([of for of, _ in before]) - remove) | add
    for_good = [of for number, of in after.items() if there[number].until is None]
    assert held([*for_good, *(names for *_, names in found.made)]) >= add
    assert len(found.made) <= 1
    assert all(names[0] != names[1] != NO_NAMES for names in found.changed.values())


def test_wishes_for_the_same_are_one_wish() -> None:
    parts = [(APP, "view", Wish(add=a("a"))), (APP, "view", Wish(a("b"), None)), (NOBODY, "itself", Wish(None))]
    assert together(parts) == {(APP, "view"): Wish(a("ab"), None), (NOBODY, "itself"): Wish(None)}


def test_what_is_gained() -> None:
    assert [gains(a("a"), a("ab")), gains(a("a"), None)] == [True, True]
    assert [gains(a("ab"), a("a")), gains(None, a("a")), gains(None, None)] == [False, False, False]

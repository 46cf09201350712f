"""What stays on a shelf and what goes: never more than it holds, and what is asked for before what is not."""

from hypothesis import given
from hypothesis import strategies as st

from node.resolve.answer import Answer, Outcome, Where
from node.resolve.shelf import CHANCES, Kept, Shelf, Terms


def kept() -> Kept:
    return Kept(Outcome.FOUND, 4, Terms(3, 11, 5, 12), b"[1]", 99, b"", 1.0)


def test_what_is_kept_is_an_answer() -> None:
    said = Answer(Outcome.FOUND, 4, 3, 11, template=5, template_epoch=12, shown=b"[1]", until=99)
    assert kept().answer == said
    assert kept().answer.where is Where.HOT


def shelf_of(most: int, *keys: bytes) -> Shelf:
    shelf = Shelf(most)
    for key in keys:
        shelf.put(key, kept())
    return shelf


def test_what_came_first_goes_first() -> None:
    shelf = shelf_of(3, b"a", b"b", b"c")
    assert shelf.put(b"d", kept())
    assert list(shelf.entries) == [b"b", b"c", b"d"]


def test_what_was_asked_for_is_spared_once() -> None:
    shelf = shelf_of(3, b"a", b"b", b"c")
    a = shelf.entries[b"a"]
    assert a is not None
    a.asked = True
    shelf.put(b"d", kept())
    assert set(shelf.entries) == {b"a", b"c", b"d"}
    shelf.put(b"e", kept())
    shelf.put(b"f", kept())
    assert set(shelf.entries) == {b"d", b"e", b"f"}, "nobody asked for it again"


def test_nobody_waits_while_all_that_was_asked_for_is_spared() -> None:
    keys = [b"%d" % number for number in range(3 * CHANCES)]
    shelf = shelf_of(len(keys), *keys)
    for entry in shelf.entries.values():
        assert entry is not None
        entry.asked = True
    shelf.put(b"new", kept())
    assert set(keys) - set(shelf.entries) == {keys[CHANCES]}
    assert sum(entry is not None and entry.asked for entry in shelf.entries.values()) == len(keys) - CHANCES - 1


def test_another_answer_under_a_key_takes_the_place_of_the_first() -> None:
    shelf, new = shelf_of(2, b"a", b"b"), kept()
    assert not shelf.put(b"a", new)
    assert shelf.entries[b"a"] is new
    assert len(shelf) == len(shelf.entries) == 2


def test_what_is_dropped_is_gone_and_may_come_back() -> None:
    shelf = shelf_of(2, b"a", b"b")
    shelf.drop(b"a")
    shelf.drop(b"nothing")
    assert shelf.entries.get(b"a") is None
    assert len(shelf) == 1
    assert not shelf.put(b"a", kept())
    assert shelf.entries[b"a"] is not None
    assert len(shelf) == 2
    shelf.drop(b"b")
    assert shelf.put(b"c", kept()), "a went, whose turn it was"
    assert not shelf.put(b"d", kept()), "no answer had to go, b had gone before"
    assert set(shelf.entries) == {b"c", b"d"}


def test_a_cleared_shelf_is_a_new_one() -> None:
    shelf = shelf_of(2, b"a", b"b")
    entries = shelf.entries
    shelf.clear()
    assert shelf.entries == {}
    assert len(shelf) == 0
    assert not shelf.put(b"c", kept())
    assert shelf.entries is entries, "who looks things up keeps hold of it"


@given(
    st.integers(1, 6),
    st.lists(st.tuples(st.sampled_from(["put", "drop", "ask", "clear"]), st.integers(0, 12)), max_size=200),
)
def test_it_never_holds_more_and_forgets_nothing_but_for_want_of_room(most: int, steps: list[tuple[str, int]]) -> None:
    shelf, there = Shelf(most), dict[bytes, Kept]()
    for step, number in steps:
        key = b"%d" % number
        if step == "put":
            there[key] = kept()
            gone = shelf.put(key, there[key])
            evicted = {other for other in there if shelf.entries.get(other) is None}
            assert len(evicted) == gone
            for other in evicted:
                del there[other]
        elif step == "drop":
            shelf.drop(key)
            there.pop(key, None)
        elif step == "clear":
            shelf.clear()
            there.clear()
        elif (entry := shelf.entries.get(key)) is not None:
            entry.asked = True
        assert len(shelf.entries) <= most
        assert {key: entry for key, entry in shelf.entries.items() if entry is not None} == there
        assert len(shelf) == len(there)

"""Shared memory: what one process stores, another reads; no word comes twice; nothing pending is forgotten."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from node import stamps
from node.config import WORKERS_MOST
from node.stamps import PREFIXES_MOST, TEMPLATES_MOST, Layout, Shared

WORKERS = 2
FOLLOWER = WORKERS
ROOT = Path(__file__).parents[2]

View = Callable[..., Shared]


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = stamps.create(WORKERS)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def view(memory: int) -> Iterator[View]:
    """A view of the memory as the process in `column` has it; each with an incarnation of its own."""
    made: list[Shared] = []

    def look(column: int) -> Shared:
        made.append(Shared(memory, WORKERS, column, len(made) + 2))
        return made[-1]

    yield look
    for each in made:
        each.close()


def nothing() -> None:
    """For views whose caches are not asked about."""


# -- layout


@pytest.mark.parametrize("workers", [1, 2, WORKERS_MOST])
def test_no_two_kinds_of_words_overlap(workers: int) -> None:
    layout = Layout(workers)
    starts = [
        (layout.generation, 1),
        (layout.doubt, workers),
        (layout.news, workers + 1),
        (layout.followed, 1),
        (layout.distrust, workers + 1),
        (layout.absolved, workers + 1),
        (layout.beat, workers + 1),
        (layout.prefixes, PREFIXES_MOST),
        (layout.templates, TEMPLATES_MOST),
        (layout.stamps, stamps.SLOTS * (workers + 1)),
        (layout.known, stamps.MARKS // 64),
    ]
    at = 0
    for start, length in starts:
        assert start == at
        at += length
    assert layout.words == at


def test_a_pending_word_of_the_last_column_of_the_largest_table_is_seen() -> None:
    shared_stamp = bytearray(8 * (WORKERS_MOST + 1))
    descriptor = stamps.create(WORKERS_MOST)
    shared = Shared(descriptor, WORKERS_MOST, WORKERS_MOST, 2)
    assert not shared.is_pending(bytes(shared_stamp))
    shared.begin([3])
    assert shared.is_pending(shared.stamp(3))
    shared.close()
    os.close(descriptor)


# -- stamps


def test_a_commit_is_pending_for_everybody_until_it_ends(view: View) -> None:
    writer, reader = view(0), view(1)
    before = reader.stamp(7)
    assert not reader.is_pending(before)
    writer.begin([7])
    during = reader.stamp(7)
    assert reader.is_pending(during)
    assert reader.stamp(8) == bytes(8 * 3), "another slot is not touched"
    writer.end([7])
    after = reader.stamp(7)
    assert not reader.is_pending(after)
    assert len({before, during, after}) == 3


def test_mark_and_stamp_of_a_key_are_had_at_once(view: View) -> None:
    shared = view(0)
    slot = shared.slot("88.999.1001/皮")
    shared.begin([slot])
    mark, stamp = shared.stamped("88.999.1001/皮".encode())
    assert (mark % stamps.SLOTS, stamp) == (slot, shared.stamp(slot))
    assert stamp == shared.stamp(mark)
    assert shared.is_pending(shared.stamped("88.999.1001/皮".encode())[1])
    keys = [f"88.999.1001/{n}".encode() for n in range(20)] + ["88.999.1001/皮".encode()]
    assert shared.each_stamped(keys) == [shared.stamped(key) for key in keys]


def test_no_stamp_ever_comes_back(view: View) -> None:
    shared, follower = view(0), view(FOLLOWER)
    seen = {shared.stamp(1)}
    for _ in range(50):
        for change in (shared.begin, shared.end, follower.touch):
            change([1])
            stamp = shared.stamp(1)
            assert stamp not in seen
            seen.add(stamp)


def test_a_slot_stays_pending_until_the_last_of_several_commits_ends(view: View) -> None:
    shared = view(0)
    shared.begin([5, 6])
    shared.begin([5])
    stamps_seen = [shared.stamp(5)]
    shared.end([5, 6])
    stamps_seen.append(shared.stamp(5))
    assert shared.is_pending(shared.stamp(5))
    assert not shared.is_pending(shared.stamp(6))
    shared.end([5])
    stamps_seen.append(shared.stamp(5))
    assert not shared.is_pending(shared.stamp(5))
    assert len(set(stamps_seen)) == 3, "each of them changes the stamp"


def test_two_identifiers_of_one_commit_in_one_slot_are_counted_apart(view: View) -> None:
    shared = view(0)
    shared.begin([9, 9])
    shared.end([9])
    assert shared.is_pending(shared.stamp(9))
    shared.end([9])
    assert not shared.is_pending(shared.stamp(9))


def test_the_quiet_word_of_one_worker_does_not_hide_the_pending_one_of_another(view: View) -> None:
    one, other, follower = view(0), view(1), view(FOLLOWER)
    one.begin([2])
    other.begin([2])
    other.end([2])
    follower.touch([2])
    assert one.is_pending(other.stamp(2))
    one.end([2])
    assert not one.is_pending(other.stamp(2))


def test_a_touch_changes_the_stamp_and_leaves_it_quiet(view: View) -> None:
    follower, reader = view(FOLLOWER), view(0)
    before = reader.stamp(4)
    follower.touch([4])
    assert reader.stamp(4) != before
    assert not reader.is_pending(reader.stamp(4))


def test_identifiers_find_their_slots_by_their_key(view: View) -> None:
    one, other = view(0), view(1)
    key = "88.999.1001/皮料-1"
    assert one.slot(key) == other.slot(key)
    assert 0 <= one.slot(key) < stamps.SLOTS
    assert len({one.slot(f"88.999.1001/BAG-{n}") for n in range(1000)}) > 990


# -- inheritance


def test_a_successor_finds_what_its_predecessor_left_pending(view: View) -> None:
    dead = view(0)
    dead.begin([10, 11])
    dead.begin([12])
    dead.end([12])
    view(1).begin([13])
    heir = view(0)
    assert heir.inherit() == [10, 11]
    assert heir.is_pending(heir.stamp(10))
    heir.end([10])
    assert not heir.is_pending(heir.stamp(10))
    assert heir.is_pending(heir.stamp(11))


def test_the_last_slot_is_inherited_too(view: View) -> None:
    view(0).begin([0, stamps.SLOTS - 1])
    assert view(0).inherit() == [0, stamps.SLOTS - 1]


def test_an_heirs_own_commits_do_not_end_what_it_inherited(view: View) -> None:
    view(0).begin([10])
    heir = view(0)
    inherited = heir.inherit()
    heir.begin([10])
    heir.end([10])
    assert heir.is_pending(heir.stamp(10))
    heir.end(inherited)
    assert not heir.is_pending(heir.stamp(10))


def test_what_is_inherited_can_be_inherited_again(view: View) -> None:
    view(0).begin([10])
    view(0).inherit()
    last = view(0)
    assert last.inherit() == [10]
    last.end([10])
    assert not last.is_pending(last.stamp(10))


def test_a_successor_stores_no_word_its_predecessor_stored(view: View) -> None:
    def words(shared: Shared) -> set[bytes]:
        seen = set()
        for _ in range(20):
            shared.begin([1])
            seen.add(shared.stamp(1))
            shared.end([1])
            seen.add(shared.stamp(1))
        return seen

    first, second = words(view(0)), words(view(0))
    assert len(first) == len(second) == 40
    assert not first & second


# -- news


CHANGES: dict[str, Callable[[Shared], object]] = {
    "a commit begins": lambda shared: shared.begin([7]),
    "and ends": lambda shared: shared.end([7]),
    "touched": lambda shared: shared.touch([7]),
    "an epoch": lambda shared: shared.follow(5, [(3, 5)], []),
    "a doubt": Shared.begin_doubt,
    "no doubt any more": Shared.end_doubt,
    "a generation": Shared.set_generation,
    "no generation": Shared.clear_generation,
}


DOUBTS = {"a doubt", "no doubt any more"}
"""What only workers tell."""


def test_the_follower_has_no_doubt_for_its_word_would_be_another(view: View) -> None:
    follower = view(FOLLOWER)
    for change in DOUBTS:
        with pytest.raises(AssertionError):
            CHANGES[change](follower)


@pytest.mark.parametrize("column", [0, 1, FOLLOWER])
def test_every_change_by_anybody_is_news_and_nothing_else_is(view: View, column: int) -> None:
    reader, writer = view(0), view(column)
    for name, change in CHANGES.items():
        if column == FOLLOWER and name in DOUBTS:
            continue
        before = reader.news()
        change(writer)
        assert reader.news() != before
    before = reader.news()
    writer.beat(12.0)
    writer.distrust()
    writer.absolve(writer.distrusts())
    writer.inherit()
    assert reader.news() == before


@pytest.mark.parametrize("change", CHANGES)
def test_whoever_sees_a_change_sees_the_news_of_it(view: View, change: str) -> None:
    """News come after what they are of, and before the word others wait for."""
    writer = view(0 if change in DOUBTS else FOLLOWER)
    writer.begin([7])
    words = writer._words
    stored: list[int] = []

    class Told:
        def __setitem__(self, at: int, word: int) -> None:
            stored.append(at)
            words[at] = word

        def __getitem__(self, at: int) -> int:
            return words[at]

    writer._words = Told()  # type: ignore[assignment]
    CHANGES[change](writer)
    writer._words = words
    layout = writer.layout
    news = range(layout.generation, layout.news_end)
    if stored[-1] == layout.followed:
        stored.pop()
    assert stored[-1] in news
    assert not set(stored[:-1]) & set(news)


# -- state: generation and doubt


def test_caches_are_not_used_before_there_is_a_generation(view: View) -> None:
    worker, follower = view(0), view(FOLLOWER)
    assert worker.trusted(nothing) is None
    follower.set_generation()
    assert worker.trusted(nothing) == worker.state()
    follower.clear_generation()
    assert worker.trusted(nothing) is None


def test_a_new_generation_empties_the_caches_once(view: View) -> None:
    worker, follower = view(0), view(FOLLOWER)
    emptied: list[int] = []

    def empty() -> None:
        emptied.append(1)

    follower.set_generation()
    assert worker.trusted(empty)
    assert worker.trusted(empty)
    assert len(emptied) == 1
    follower.clear_generation()
    assert worker.trusted(empty) is None
    assert len(emptied) == 1
    follower.set_generation()
    assert worker.trusted(empty)
    assert len(emptied) == 2


def test_a_doubt_of_any_worker_stops_all_caches_and_does_not_empty_them(view: View) -> None:
    one, other, follower = view(0), view(1), view(FOLLOWER)
    follower.set_generation()
    before = one.trusted(nothing)

    def empty() -> None:
        pytest.fail("a doubt does not change the generation")

    other.begin_doubt()
    assert one.trusted(empty) is None
    assert other.in_doubt
    assert not one.in_doubt
    other.end_doubt()
    after = one.trusted(empty)
    assert after not in {None, before}, "what was asked before the doubt is not kept after it"


def test_one_doubt_does_not_end_another(view: View) -> None:
    one, other, follower = view(0), view(1), view(FOLLOWER)
    follower.set_generation()
    one.begin_doubt()
    other.begin_doubt()
    one.end_doubt()
    assert one.trusted(nothing) is None
    other.end_doubt()
    assert one.trusted(nothing) is not None


def test_a_successor_sees_the_doubt_its_predecessor_left(view: View) -> None:
    view(0).begin_doubt()
    assert view(0).in_doubt
    assert not view(1).in_doubt


# -- epochs


def test_an_answer_holds_under_the_epochs_it_was_made_under(view: View) -> None:
    follower, worker = view(FOLLOWER), view(0)
    follower.follow(20, [(3, 17)], [(8, 19)])
    assert worker.followed == 20
    assert worker.current(3, 17, 8, 19)
    assert worker.current(3, 17, 0, 0), "a record without template has no epoch of one"
    assert not worker.current(3, 16, 8, 19)
    assert not worker.current(3, 18, 8, 19)
    assert not worker.current(3, 17, 8, 18)
    assert not worker.current(4, 17, 8, 19)
    follower.follow(21, [(3, 21)], [])
    assert not worker.current(3, 17, 8, 19)
    assert worker.current(3, 21, 8, 19)


def test_what_is_not_ours_goes_by_the_number_of_the_catalogue(view: View) -> None:
    follower, worker = view(FOLLOWER), view(0)
    follower.follow(20, [], [])
    assert worker.current(0, 20, 0, 0)
    follower.follow(21, [(5, 21)], [])
    assert not worker.current(0, 20, 0, 0)


def test_what_has_no_room_for_an_epoch_is_never_held_for_current(view: View) -> None:
    follower, worker = view(FOLLOWER), view(0)
    follower.follow(9, [(PREFIXES_MOST, 9), (PREFIXES_MOST - 1, 8)], [(TEMPLATES_MOST, 9), (TEMPLATES_MOST - 1, 7)])
    assert worker.current(PREFIXES_MOST - 1, 8, TEMPLATES_MOST - 1, 7)
    assert not worker.current(PREFIXES_MOST, 9, 0, 0)
    assert not worker.current(PREFIXES_MOST - 1, 8, TEMPLATES_MOST, 9)


# -- trust


def test_redis_is_trusted_again_only_up_to_what_the_follower_saw(view: View) -> None:
    one, other, follower = view(0), view(1), view(FOLLOWER)
    assert one.redis_trusted
    one.distrust()
    assert not other.redis_trusted
    seen = follower.distrusts()
    other.distrust()
    follower.absolve(seen)
    assert not one.redis_trusted, "the second distrust came after the follower had looked"
    follower.absolve(follower.distrusts())
    assert one.redis_trusted
    assert other.redis_trusted


def test_a_distrust_renewed_while_it_is_absolved_stands(view: View) -> None:
    worker, follower = view(0), view(FOLLOWER)
    worker.distrust()
    seen = follower.distrusts()
    worker.distrust()
    follower.absolve(seen)
    assert not worker.redis_trusted


def test_the_followers_own_distrust_counts(view: View) -> None:
    worker, follower = view(0), view(FOLLOWER)
    follower.distrust()
    assert not worker.redis_trusted
    follower.absolve(follower.distrusts())
    assert worker.redis_trusted


def test_trust_before_and_after_differ_if_there_was_distrust_between(view: View) -> None:
    worker, follower = view(0), view(FOLLOWER)
    before = worker.trust()
    assert before is not None
    assert worker.trust() == before
    worker.distrust()
    assert worker.trust() is None
    follower.absolve(follower.distrusts())
    assert worker.trust() not in {None, before}


# -- life


def test_everybody_says_when_it_was_alive(view: View) -> None:
    view(1).beat(1234.5678)
    view(FOLLOWER).beat(9.0)
    assert view(0).beats() == [0.0, 1234.567, 9.0]


# -- two processes

CHILD = """
import sys
from node.stamps import Shared
shared = Shared(int(sys.argv[1]), 2, 1, 99)
shared.begin([shared.slot("88.999.1001/A")])
shared.distrust()
shared.begin_doubt()
print("done", flush=True)
sys.stdin.read()
shared.end([shared.slot("88.999.1001/A")])
shared.end_doubt()
"""


def test_two_processes_share_it(memory: int, view: View) -> None:
    mine, follower = view(0), view(FOLLOWER)
    follower.set_generation()
    slot = mine.slot("88.999.1001/A")
    child: subprocess.Popen[Any] = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(memory)],
        pass_fds=[memory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        assert mine.is_pending(mine.stamp(slot))
        assert mine.trusted(nothing) is None
        assert not mine.redis_trusted
        follower.absolve(follower.distrusts())
        child.stdin.close()
        assert child.wait() == 0
    assert not mine.is_pending(mine.stamp(slot))
    assert mine.trusted(nothing) is not None
    assert mine.redis_trusted


def test_what_a_killed_process_left_pending_is_inherited(memory: int, view: View) -> None:
    mine = view(1)
    slot = mine.slot("88.999.1001/A")
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, str(memory)],
        pass_fds=[memory],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=ROOT,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"done\n"
        child.kill()
    assert mine.is_pending(mine.stamp(slot))
    assert mine.in_doubt
    assert mine.inherit() == [slot]

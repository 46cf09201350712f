"""The stage in this process: what it keeps, under which stamp, for how long; and what it must never answer.

The next stage is a fake whose answers the test gives when it likes; the shared memory is real.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node import stamps
from node.metrics import HOT_ENTRIES, HOT_EVICTIONS
from node.resolve.answer import Answer, Outcome, Question, Tell, Where
from node.resolve.hot import SHOWN_MOST, Hot
from node.stamps import Shared
from proto.identifier import Identifier
from registry.errors import UnavailableError
from tests.fakes.counting import Counting

SECONDS = 60
PREFIX, EPOCH = 3, 11
BAG = Identifier.parse("88.999.1001/BAG-1")
OTHER = Identifier.parse("88.999.1001/BAG-2")


def found(version: int, shown: bytes = b"[1]", outcome: Outcome = Outcome.FOUND) -> Answer:
    return Answer(outcome, version, PREFIX, EPOCH, shown=shown)


class Next:
    """The next stage: keeps the questions; answers at once from `answers`, or each when the test lets it."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.answer: Answer | Exception = found(1)
        self.again: bool | None = None
        self._open: list[Callable[[list[Answer | Exception]], None]] | None = None

    def hold(self) -> None:
        self._open = []

    def let(self, question: int, answer: Answer | Exception) -> None:
        assert self._open is not None
        self._open[question]([answer])

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        for question in questions:
            self.questions.append(question)
            question.again = self.again
            if self._open is not None:
                self._open.append(partial(told, [question]))
            else:
                told([question], [self.answer])


class World:
    """One worker's hot stage (column 0), another worker (1) and the follower (2) on one shared memory."""

    def __init__(self, descriptor: int, entries: int = 100) -> None:
        self.mine, self.other, self.follower = (Shared(descriptor, 2, column, column + 2) for column in range(3))
        self.follower.follow(EPOCH, [(PREFIX, EPOCH)], [(5, EPOCH)])
        self.follower.set_generation()
        self.next = Next()
        self.now = 1000.0
        self.counting = Counting()
        clocks = (lambda: self.now, lambda: int(self.now))
        self.hot = Hot(self.mine, self.next, entries, SECONDS, *clocks, self.counting.meter)

    def write(self, identifier: Identifier) -> None:
        """Another worker's commit, answered."""
        slot = self.other.slot(identifier.key)
        self.other.begin([slot])
        self.other.end([slot])

    @property
    def asked(self) -> int:
        return len(self.next.questions)


@pytest.fixture
def descriptor() -> Iterator[int]:
    made = stamps.create(2)
    yield made
    os.close(made)


@pytest.fixture
def world(descriptor: int) -> World:
    return World(descriptor)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# -- keeping


async def test_what_was_answered_is_answered_again_without_asking(world: World) -> None:
    assert await world.hot.ask(BAG) == found(1)
    assert await world.hot.ask(BAG) == found(1)
    assert world.asked == 1
    question = world.next.questions[0]
    assert question.cacheable
    assert question.stamp == world.mine.stamp(world.mine.slot(BAG.key))


async def test_another_spelling_of_an_identifier_is_the_same(world: World) -> None:
    await world.hot.ask(Identifier.parse("0.na/88.999"))
    await world.hot.ask(Identifier.parse("0.NA/88.999"))
    assert world.asked == 1


@pytest.mark.parametrize("outcome", list(Outcome))
async def test_every_outcome_is_kept(world: World, outcome: Outcome) -> None:
    prefix, epoch = (0, EPOCH) if outcome is Outcome.FOREIGN else (PREFIX, EPOCH)
    world.next.answer = found(0, b"", outcome)._replace(prefix=prefix, epoch=epoch)
    for _ in range(3):
        assert await world.hot.ask(BAG) == world.next.answer
    assert world.asked == (2 if outcome is Outcome.ABSENT else 1), "what is absent is kept when it is asked for again"


async def test_an_answer_lives_so_long_and_no_longer(world: World) -> None:
    await world.hot.ask(BAG)
    world.now += SECONDS - 0.001
    await world.hot.ask(BAG)
    assert world.asked == 1
    world.now += 0.001
    world.next.answer = found(2)
    assert await world.hot.ask(BAG) == found(2)
    assert world.asked == 2
    world.now += SECONDS - 0.001
    assert await world.hot.ask(BAG) == found(2)
    assert world.asked == 2


async def test_the_longest_unasked_answer_goes_first(descriptor: int) -> None:
    world = World(descriptor, entries=2)
    bags = [Identifier.parse(f"88.999.1001/{n}") for n in range(3)]
    await world.hot.ask(bags[0])
    await world.hot.ask(bags[1])
    await world.hot.ask(bags[0])
    await world.hot.ask(bags[2])
    assert world.asked == 3
    await world.hot.ask(bags[0])
    await world.hot.ask(bags[2])
    assert world.asked == 3
    await world.hot.ask(bags[1])
    assert world.asked == 4


async def test_a_flood_of_unknown_identifiers_pushes_no_found_one_out(descriptor: int) -> None:
    world = World(descriptor, entries=16)
    bags = [Identifier.parse(f"88.999.1001/{n}") for n in range(16)]
    for bag in bags:
        await world.hot.ask(bag)
    world.next.answer = found(0, b"", Outcome.ABSENT)
    for n in range(100):
        await world.hot.ask(Identifier.parse(f"88.999.1001/nowhere-{n}"))
    world.hot.show()
    assert world.counting.told(HOT_ENTRIES) == {("found",): 16}, "nobody asked for one of them again"
    for n in range(100):
        await world.hot.ask(Identifier.parse(f"88.999.1001/nowhere-{n}"))
    asked = world.asked
    for bag in bags:
        assert await world.hot.ask(bag) == found(1)
    assert world.asked == asked
    for n in (98, 99):
        await world.hot.ask(Identifier.parse(f"88.999.1001/nowhere-{n}"))
    assert world.asked == asked, "the last two absent ones are kept on their shelf of 16/8"
    assert world.counting.told(HOT_EVICTIONS) == {("absent",): 98}
    world.hot.show()
    assert world.counting.told(HOT_ENTRIES) == {("found",): 16, ("absent",): 2}
    await world.hot.ask(Identifier.parse("88.999.1001/nowhere-97"))
    assert world.asked == asked + 1


async def test_whether_an_absent_one_was_asked_for_before_is_the_sharing_stage_s_to_say(world: World) -> None:
    world.next.answer = found(0, b"", Outcome.ABSENT)
    for again, asked in ((False, 2), (True, 1)):
        world.next.again = again
        world.next.questions.clear()
        for _ in range(2):
            await world.hot.ask(Identifier.parse(f"88.999.1001/{again}"))
        assert world.asked == asked


async def test_what_other_nodes_say_pushes_nothing_of_ours_out(descriptor: int) -> None:
    world = World(descriptor, entries=16)
    for number in range(10):
        await world.hot.ask(Identifier.parse(f"88.999.1001/BAG-{number}"))
    world.next.answer = Answer(Outcome.FOUND, 0, 0, EPOCH, shown=b"[2]")
    for number in range(100):
        await world.hot.ask(Identifier.parse(f"88.777.1/{number}"))
    asked = world.asked
    for number in range(10):
        assert await world.hot.ask(Identifier.parse(f"88.999.1001/BAG-{number}")) == found(1)
    assert await world.hot.ask(Identifier.parse("88.777.1/99")) == world.next.answer
    assert world.asked == asked
    world.hot.show()
    assert world.counting.told(HOT_ENTRIES) == {("found",): 10, ("elsewhere",): 2}
    assert world.counting.told(HOT_EVICTIONS) == {("elsewhere",): 98}


async def test_who_asks_after_a_prefix_came_here_is_not_given_what_another_node_is_about_to_say(world: World) -> None:
    world.next.hold()
    foreign = Answer(Outcome.FOUND, 0, 0, EPOCH, shown=b"[2]")
    first = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    world.follower.follow(EPOCH + 1, [(PREFIX, EPOCH)], [])
    later = [asyncio.create_task(world.hot.ask(BAG)) for _ in range(5)]
    await settle()
    world.next.let(0, foreign)
    await settle()
    assert await first == foreign, "asked before the change"
    assert world.asked == 2, "all of them wait for one more question"
    world.next.let(1, found(1))
    assert await asyncio.gather(*later) == [found(1)] * 5


async def test_what_changes_from_found_to_absent_and_back_stands_on_one_shelf_only(world: World) -> None:
    for answer in (found(1), found(2, b"", Outcome.GONE), found(3)):
        world.next.answer = answer
        world.write(BAG)
        assert await world.hot.ask(BAG) == answer
        assert await world.hot.ask(BAG) == answer
    assert world.asked == 3


async def test_too_large_an_answer_is_given_and_not_kept(world: World) -> None:
    world.next.answer = found(1, b"x" * SHOWN_MOST)
    await world.hot.ask(BAG)
    await world.hot.ask(BAG)
    assert world.asked == 1
    world.next.answer = found(1, b"x" * (SHOWN_MOST + 1))
    await world.hot.ask(OTHER)
    await world.hot.ask(OTHER)
    assert world.asked == 3


async def test_with_no_entries_nothing_is_kept(descriptor: int) -> None:
    world = World(descriptor, entries=0)
    for answer in (found(1), found(0, b"", Outcome.ABSENT)):
        world.next.answer = answer
        await world.hot.ask(BAG)
        await world.hot.ask(BAG)
    assert world.asked == 4


# -- never older than a write that was answered


@pytest.mark.parametrize("who", ["another worker", "this worker", "another machine"])
async def test_after_a_write_the_kept_answer_is_not_given(world: World, who: str) -> None:
    await world.hot.ask(BAG)
    slot = world.mine.slot(BAG.key)
    if who == "another worker":
        world.write(BAG)
    elif who == "this worker":
        world.mine.begin([slot])
        world.mine.end([slot])
    else:
        world.follower.touch([slot])
    world.next.answer = found(2)
    assert await world.hot.ask(BAG) == found(2)
    assert await world.hot.ask(BAG) == found(2)
    assert world.asked == 2


async def test_while_a_commit_is_pending_everybody_asks_and_nobody_keeps(world: World) -> None:
    await world.hot.ask(BAG)
    slot = world.other.slot(BAG.key)
    world.other.begin([slot])
    for version in (1, 2, 2):
        world.next.answer = found(version)
        assert await world.hot.ask(BAG) == found(version)
    assert world.asked == 4
    assert not any(question.cacheable for question in world.next.questions[1:])
    world.other.end([slot])
    world.next.answer = found(3)
    assert await world.hot.ask(BAG) == found(3)
    assert world.asked == 5


async def test_what_was_read_before_a_write_is_not_kept_for_after_it(world: World) -> None:
    world.next.hold()
    slow = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    world.write(BAG)
    world.next.let(0, found(1))
    assert await slow == found(1), "it was asked before the write was answered"
    late = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    assert world.asked == 2
    world.next.let(1, found(2))
    assert await late == found(2)


async def test_all_who_ask_the_same_are_told_together(world: World) -> None:
    told: list[tuple[Sequence[int], Sequence[Answer | Exception]]] = []

    def tell(asked: Sequence[int], answers: Sequence[Answer | Exception]) -> None:
        told.append((asked, answers))

    world.next.hold()
    for n in range(5):
        key = BAG.key.encode()
        world.hot.fetch_held(key, world.hot.holding(key), tell, n)
    await settle()
    assert world.asked == 1
    world.next.let(0, found(1))
    await settle()
    assert told == [([0], [found(1)]), ([1, 2, 3, 4], [found(1)] * 4)]


async def test_a_question_asked_after_a_write_does_not_join_one_begun_before_it(world: World) -> None:
    world.next.hold()
    before = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    world.write(BAG)
    after = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    assert world.asked == 2
    world.next.let(1, found(2))
    assert await after == found(2)
    world.next.let(0, found(1))
    assert await before == found(1)
    assert await world.hot.ask(BAG) == found(2), "the slow one has not taken the place of the newer answer"
    assert world.asked == 2


async def test_a_question_asked_while_a_commit_is_pending_joins_nobody(world: World) -> None:
    world.next.hold()
    before = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    world.other.begin([world.other.slot(BAG.key)])
    during = [asyncio.create_task(world.hot.ask(BAG)) for _ in range(2)]
    await settle()
    assert world.asked == 3
    for n, answer in enumerate((found(1), found(2), found(2))):
        world.next.let(n, answer)
    assert await before == found(1)
    assert await asyncio.gather(*during) == [found(2), found(2)]


async def test_one_question_in_flight_for_all_who_ask_the_same(world: World) -> None:
    world.next.hold()
    asking = [asyncio.create_task(world.hot.ask(BAG)) for _ in range(50)]
    other = asyncio.create_task(world.hot.ask(OTHER))
    await settle()
    assert world.asked == 2
    world.next.let(0, found(1))
    world.next.let(1, found(7))
    assert await asyncio.gather(*asking) == [found(1)] * 50
    assert await other == found(7)


async def test_who_waits_with_a_callback_is_told_once_as_all_others(world: World) -> None:
    world.next.hold()
    told: list[Answer | Exception] = []
    for onward in (True, True, False):
        world.hot.fetch(BAG, told.append, onward)
    assert told == []
    await settle()
    assert world.asked == 2
    elsewhere = Answer(Outcome.FOUND, 0, 0, EPOCH, shown=b"[1]")
    world.next.let(0, elsewhere)
    world.next.let(1, elsewhere)
    assert told == [elsewhere, elsewhere, elsewhere.at_home]
    world.hot.fetch(BAG, told.append)
    assert told[3:] == [elsewhere], "at once, out of what is kept"
    world.hot.fetch(OTHER, told.append)
    await settle()
    world.next.let(2, UnavailableError("away"))
    assert isinstance(told[-1], UnavailableError)
    assert len(told) == 5


async def test_one_that_raises_when_told_takes_the_answer_from_nobody(world: World) -> None:
    world.next.hold()
    told: list[Answer | Exception] = []

    def raises(_: object) -> None:
        raise ZeroDivisionError

    for then in (told.append, raises, told.append):
        world.hot.fetch(BAG, then)
    await settle()
    world.next.let(0, found(1))
    assert told == [found(1), found(1)]


async def test_what_one_turn_of_the_loop_brings_goes_on_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    ask = world.next.ask

    def counted(questions: Sequence[Question], told: Tell) -> None:
        asked.append(len(questions))
        ask(questions, told)

    monkeypatch.setattr(world.next, "ask", counted)
    bags = [Identifier.parse(f"88.999.1001/{n}") for n in range(30)]
    answers = await asyncio.gather(*(world.hot.ask(bag) for bag in [*bags, *bags]))
    assert answers == [found(1)] * 60
    assert asked == [30]


async def test_who_asks_is_told_even_if_the_answer_cannot_be_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def raises(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(world.hot, "_keep", raises)
    assert await world.hot.ask(BAG) == found(1)
    assert await world.hot.ask(BAG) == found(1)
    assert world.asked == 2


BAGS = [f"88.999.1001/BAG-{n}" for n in range(3)]
STEPS = st.one_of(
    st.tuples(st.just("ask"), st.lists(st.sampled_from(BAGS), min_size=1, max_size=5)),
    st.tuples(st.sampled_from(["write", "begin", "end"]), st.sampled_from(BAGS)),
    st.tuples(st.sampled_from(["stop", "doubt", "sure"]), st.none()),
    st.tuples(st.just("let"), st.integers(0, 5)),
)


def steps_taken(steps: Sequence[tuple[str, Any]], *, at_once: bool) -> list[Any]:
    """What the next stage was asked and who was told what, where each step is taken."""
    descriptor = stamps.create(2)
    world, seen, pending = World(descriptor, entries=0), list[Any](), list[int]()
    world.next.hold()
    epoch, answered = EPOCH, 0
    for number, (step, what) in enumerate(steps):
        asked = [(number, n) for n, _ in enumerate(what)] if step == "ask" else []
        keys = [key.encode() for key in what] if step == "ask" else []
        world.hot.heard()

        def told(asked: Sequence[Any], answers: Sequence[Answer | Exception]) -> None:
            seen.append(sorted(zip(asked, map(repr, answers), strict=True)))

        if step == "ask" and at_once:
            with world.hot.together():
                world.hot.fetch_new(keys, told, asked)
        elif step == "ask":
            with world.hot.together():
                for key, each in zip(keys, asked, strict=True):
                    world.hot.fetch_held(key, None, told, each)
        elif step == "write":
            world.write(Identifier.parse(what))
        elif step == "begin" or (step == "end" and (slot := world.other.slot(what)) in pending):
            slot = world.other.slot(what)
            getattr(world.other, step)([slot])
            (pending.append if step == "begin" else pending.remove)(slot)
        elif step == "stop":
            epoch += 1
            world.follower.follow(epoch, [(PREFIX, epoch)], [])
        elif step in {"doubt", "sure"}:
            world.other.begin_doubt() if step == "doubt" else world.other.end_doubt()
        elif step == "let" and answered < world.asked:
            with world.hot.together():
                world.next.let(answered, found(what)._replace(epoch=epoch))
            answered += 1
        seen.append([(each.key, each.mark, each.stamp, each.state, each.cacheable) for each in world.next.questions])
    os.close(descriptor)
    return seen


@given(st.lists(STEPS, max_size=12))
@settings(max_examples=200, deadline=None)
def test_many_are_fetched_at_once_as_one_by_one(steps: list[tuple[str, Any]]) -> None:
    assert steps_taken(steps, at_once=True) == steps_taken(steps, at_once=False)


async def test_who_goes_away_takes_the_answer_from_nobody(world: World) -> None:
    world.next.hold()
    gone, stays = (asyncio.create_task(world.hot.ask(BAG)) for _ in range(2))
    await settle()
    gone.cancel()
    await settle()
    world.next.let(0, found(1))
    assert await stays == found(1)
    assert world.asked == 1


async def test_an_error_goes_to_all_who_wait_and_to_none_who_come_later(world: World) -> None:
    world.next.hold()
    asking = [asyncio.create_task(world.hot.ask(BAG)) for _ in range(3)]
    await settle()
    world.next.let(0, UnavailableError("away"))
    assert [str(each) for each in await asyncio.gather(*asking, return_exceptions=True)] == ["away"] * 3
    again = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    world.next.let(1, found(1))
    assert await again == found(1)


async def test_an_error_nobody_waits_for_is_not_complained_of(world: World) -> None:
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    world.next.hold()
    gone = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    gone.cancel()
    await settle()
    world.next.let(0, UnavailableError("away"))
    await settle()
    assert not complaints


async def test_who_was_asked_is_told(world: World) -> None:
    world.next.answer = found(1)._replace(where=Where.FORWARDED)
    assert [(await world.hot.ask(BAG)).where for _ in range(3)] == [Where.FORWARDED, Where.HOT, Where.HOT]


async def test_an_answer_is_kept_no_longer_than_it_may_be_given(world: World) -> None:
    world.next.answer = found(1)._replace(until=int(world.now) + 5)
    for seconds, asked in ((0, 1), (4.9, 1), (0.2, 2), (0.0, 3)):
        world.now += seconds
        await world.hot.ask(BAG)
        assert world.asked == asked
    world.next.answer = found(1)._replace(until=int(world.now) + 10 * SECONDS)
    await world.hot.ask(OTHER)
    world.now += SECONDS + 1
    await world.hot.ask(OTHER)
    assert world.asked == 5


async def test_an_answer_that_may_not_be_given_is_no_help_when_nobody_else_answers(world: World) -> None:
    world.next.answer = found(1)._replace(until=int(world.now) + 5)
    await world.hot.ask(BAG)
    world.now += 6
    world.next.answer = UnavailableError("away")
    with pytest.raises(UnavailableError):
        await world.hot.ask(BAG)


async def test_another_node_is_told_only_what_lives_here(world: World) -> None:
    elsewhere = Answer(Outcome.FOUND, 0, 0, EPOCH, shown=b"[1]")
    world.next.answer = elsewhere
    assert await world.hot.ask(BAG) == elsewhere
    assert (await world.hot.ask(BAG, onward=False)).outcome is Outcome.FOREIGN
    assert world.asked == 1
    world.next.answer = elsewhere.at_home
    assert (await world.hot.ask(OTHER, onward=False)).outcome is Outcome.FOREIGN
    world.next.answer = elsewhere
    assert await world.hot.ask(OTHER) == elsewhere, "what the other node was told is not kept for people"
    assert [question.onward for question in world.next.questions] == [True, False, True]


async def test_what_lives_here_is_kept_whoever_asked_first(world: World) -> None:
    assert await world.hot.ask(BAG, onward=False) == found(1)
    assert await world.hot.ask(BAG) == found(1)
    assert world.asked == 1


async def test_another_node_s_question_does_not_wait_for_one_that_may_go_on_to_it(world: World) -> None:
    world.next.hold()
    person = asyncio.create_task(world.hot.ask(BAG))
    node = asyncio.create_task(world.hot.ask(BAG, onward=False))
    await settle()
    assert world.asked == 2
    world.next.let(1, Answer(Outcome.FOREIGN, 0, 0, EPOCH))
    assert (await node).outcome is Outcome.FOREIGN
    world.next.let(0, found(1))
    assert await person == found(1)


# -- epochs, doubt, generation


async def test_a_changed_epoch_of_the_prefix_ends_every_answer_under_it(world: World) -> None:
    await world.hot.ask(BAG)
    await world.hot.ask(OTHER)
    world.follower.follow(EPOCH + 1, [(PREFIX, EPOCH + 1)], [])
    world.next.answer = found(1, b"", Outcome.STOPPED)._replace(epoch=EPOCH + 1)
    assert (await world.hot.ask(BAG)).outcome is Outcome.STOPPED
    assert (await world.hot.ask(OTHER)).outcome is Outcome.STOPPED
    assert (await world.hot.ask(BAG)).outcome is Outcome.STOPPED
    assert world.asked == 4


async def test_a_changed_template_ends_the_answers_made_with_it(world: World) -> None:
    world.next.answer = found(1)._replace(template=5, template_epoch=EPOCH)
    await world.hot.ask(BAG)
    world.next.answer = found(1)
    await world.hot.ask(OTHER)
    world.follower.follow(EPOCH + 1, [], [(5, EPOCH + 1)])
    await world.hot.ask(OTHER)
    assert world.asked == 2, "it has no template"
    world.next.answer = found(1, b"[2]")._replace(template=5, template_epoch=EPOCH + 1)
    assert (await world.hot.ask(BAG)).shown == b"[2]"


async def test_an_answer_made_under_an_epoch_not_followed_yet_is_not_given_twice(world: World) -> None:
    world.next.answer = found(1)._replace(epoch=EPOCH + 1)
    await world.hot.ask(BAG)
    await world.hot.ask(BAG)
    assert world.asked == 2


async def test_while_a_change_of_prefixes_is_in_doubt_everybody_asks(world: World) -> None:
    await world.hot.ask(BAG)
    world.other.begin_doubt()
    world.next.answer = found(2)
    assert await world.hot.ask(BAG) == found(2)
    assert not world.next.questions[1].cacheable
    world.other.end_doubt()
    world.next.answer = found(3)
    assert await world.hot.ask(BAG) == found(1), "nothing of it was changed: the kept answer still holds"


async def test_a_question_asked_after_a_doubt_does_not_join_one_begun_before_it(world: World) -> None:
    world.next.hold()
    before = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    world.other.begin_doubt()
    world.other.end_doubt()
    after = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    assert world.asked == 2
    world.next.let(0, found(1))
    world.next.let(1, found(2))
    assert [await before, await after] == [found(1), found(2)]


async def test_without_a_follower_nothing_is_kept_and_the_next_one_empties_the_shelves(world: World) -> None:
    await world.hot.ask(BAG)
    world.follower.clear_generation()
    world.next.answer = found(2)
    assert await world.hot.ask(BAG) == found(2)
    assert await world.hot.ask(BAG) == found(2)
    assert world.asked == 3
    world.follower.set_generation()
    world.next.answer = found(3)
    assert await world.hot.ask(BAG) == found(3)
    assert await world.hot.ask(BAG) == found(3)
    assert world.asked == 4


async def test_a_generation_between_two_looks_is_not_taken_for_the_one_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """News and state are read one after the other, and `no generation` is the same word each time."""
    world.follower.clear_generation()
    news = world.mine.news

    def then_a_follower_comes() -> bytes:
        monkeypatch.undo()
        read = news()
        world.follower.set_generation()
        return read

    monkeypatch.setattr(world.mine, "news", then_a_follower_comes)
    await world.hot.ask(BAG)
    world.follower.clear_generation()
    world.next.answer = found(2)
    assert await world.hot.ask(BAG) == found(2)
    assert not world.next.questions[-1].cacheable


def doubt(world: World) -> None:
    world.other.begin_doubt()
    world.other.end_doubt()


def another_generation(world: World) -> None:
    world.follower.clear_generation()
    world.follower.set_generation()


@pytest.mark.parametrize("between", [doubt, another_generation])
async def test_what_was_asked_before_it_is_not_kept_after_it(world: World, between: Callable[[World], None]) -> None:
    world.next.hold()
    slow = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    between(world)
    world.next.let(0, found(1))
    await slow
    again = asyncio.create_task(world.hot.ask(BAG))
    await settle()
    assert world.asked == 2
    world.next.let(1, found(2))
    assert await again == found(2)


# -- PostgreSQL away


async def test_an_answer_past_its_time_is_better_than_none(world: World) -> None:
    await world.hot.ask(BAG)
    world.now += 10 * SECONDS
    world.next.answer = UnavailableError("away")
    for _ in range(2):
        assert await world.hot.ask(BAG) == found(1)
    with pytest.raises(UnavailableError):
        await world.hot.ask(OTHER)
    world.next.answer = found(2)
    assert await world.hot.ask(BAG) == found(2)


@pytest.mark.parametrize("change", ["write", "epoch", "generation", "doubt"])
async def test_but_none_that_may_have_changed(world: World, change: str) -> None:
    await world.hot.ask(BAG)
    if change == "write":
        world.write(BAG)
    elif change == "epoch":
        world.follower.follow(EPOCH + 1, [(PREFIX, EPOCH + 1)], [])
    elif change == "generation":
        world.follower.clear_generation()
    else:
        world.other.begin_doubt()
    world.next.answer = UnavailableError("away")
    with pytest.raises(UnavailableError):
        await world.hot.ask(BAG)

"""The stage that shares, on real Valkey and real shared memory: when it may be asked, and what it must never give."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import redis.asyncio

from node import clock
from node.embedded import Servers
from node.metrics import REDIS_FILLS
from node.redis_cache import Fill
from node.resolve.answer import Answer, Outcome, Question, Tell
from node.resolve.cached import FILLS_MOST, PIPELINE_MOST, REST_SECONDS, Cached
from node.stamps import Shared
from proto.identifier import Identifier
from tests.fakes.asking import asked_of
from tests.fakes.counting import Counting
from tests.fakes.valkey import met_cache
from tests.waiting import until

PREFIX, EPOCH = 3, 11
BAG = Identifier.parse("88.999.1001/BAG-1")
Looked = Callable[[list[Answer | None] | Exception], None]
KNOWN = 0
"""The mark of what was asked for before."""


def found(version: int, shown: bytes = b"[]") -> Answer:
    return Answer(Outcome.FOUND, version, PREFIX, EPOCH, shown=shown)


class Next:
    """PostgreSQL, as far as this stage knows: one answer for all, given when `gate` is open."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = found(1)
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        self.asked += [question.key for question in questions]
        self.reached.set()
        answer = self.answer  # as one snapshot saw it
        if self.gate.is_set():
            told(questions, [answer] * len(questions))
        else:
            self._waiting = asyncio.create_task(self._later(answer, questions, told))

    async def _later(self, answer: Answer, questions: Sequence[Question], told: Tell) -> None:
        await self.gate.wait()
        told(questions, [answer] * len(questions))


class World:
    """One worker's stage over a Redis, with its machine's shared memory."""

    def __init__(self, redis_cache: Any, descriptor: int) -> None:
        self.worker, self.follower = Shared(descriptor, 1, 0, 2), Shared(descriptor, 1, 1, 3)
        self.follower.follow(EPOCH, [(PREFIX, EPOCH)], [])
        self.redis = redis_cache
        self.next = Next()
        self.now = 1000.0
        self.counting = Counting()
        self.stage = Cached(redis_cache, self.worker, self.next, lambda: self.now, self.counting.meter)
        self.stage._known.seen(KNOWN)

    async def ask(self, identifier: Identifier = BAG, cacheable: bool = True, mark: int = KNOWN) -> Answer:
        answer = await asked_of(self.stage, Question(identifier.key, mark, b"", b"", cacheable, []))
        await self.filled()
        return answer

    async def filled(self) -> None:
        """Returns when nothing waits to be stored."""
        while self.stage._filling is not None:
            await asyncio.wait({self.stage._filling})


@pytest.fixture
async def world(servers: Servers, descriptor: int) -> AsyncIterator[World]:
    async with met_cache(servers.redis_url) as cache, redis.asyncio.from_url(servers.redis_url) as raw:
        await raw.flushall()
        yield World(cache, descriptor)


async def test_what_the_next_stage_said_is_shared(world: World, descriptor: int) -> None:
    assert await world.ask() == found(1)
    assert await world.ask() == found(1)
    other = World(world.redis, descriptor)
    assert await other.ask() == found(1)
    assert world.next.asked == [BAG.key]
    assert other.next.asked == []


async def test_what_is_asked_for_once_takes_no_place_in_redis(world: World, servers: Servers, descriptor: int) -> None:
    async with redis.asyncio.from_url(servers.redis_url) as raw:
        for mark in range(1, 31):
            await world.ask(Identifier.parse(f"88.999.1001/{mark}"), mark=mark)
        assert await raw.dbsize() == 0, "not even a lease"
        await world.ask(Identifier.parse("88.999.1001/7"), mark=7)
        assert await raw.dbsize() == 1
    assert world.next.asked[30:] == ["88.999.1001/7"]
    await world.ask(Identifier.parse("88.999.1001/7"), mark=7)
    other = World(world.redis, descriptor)
    await other.ask(Identifier.parse("88.999.1001/7"), mark=7)
    assert (world.next.asked[31:], other.next.asked) == ([], []), "it is shared from then on"


async def test_absent_answers_are_shared_too(world: World) -> None:
    world.next.answer = Answer(Outcome.ABSENT, 0, PREFIX, EPOCH)
    await world.ask()
    assert (await world.ask()).outcome is Outcome.ABSENT
    assert len(world.next.asked) == 1


async def test_what_another_node_was_told_is_not_shared(world: World) -> None:
    world.next.answer = Answer(Outcome.FOREIGN, 0, 0, EPOCH)
    await asked_of(world.stage, Question(BAG.key, 0, b"", b"", True, [], onward=False))
    await world.filled()
    world.next.answer = Answer(Outcome.FOUND, 0, 0, EPOCH, shown=b"[1]", until=clock.seconds() + 30)
    assert await world.ask() == world.next.answer
    assert len(world.next.asked) == 2


@pytest.mark.parametrize("why", ["pending or in doubt", "distrusted"])
async def test_redis_is_not_asked_when_it_may_not_be(world: World, why: str) -> None:
    await world.ask()
    if why == "distrusted":
        world.worker.distrust()
    world.next.answer = found(2)
    assert await world.ask(cacheable=why == "distrusted") == found(2)
    world.follower.absolve(world.follower.distrusts())
    assert await world.ask() == found(1), "and nothing was stored into it meanwhile"


async def test_an_answer_under_an_epoch_that_is_over_is_dropped_and_fetched_anew(world: World) -> None:
    await world.ask()
    world.follower.follow(EPOCH + 1, [(PREFIX, EPOCH + 1)], [])
    world.next.answer = found(1, b"[2]")._replace(epoch=EPOCH + 1)
    assert (await world.ask()).shown == b"[2]"
    assert (await world.ask()).shown == b"[2]"
    assert len(world.next.asked) == 2


async def test_an_answer_under_an_epoch_not_followed_yet_is_never_given(world: World) -> None:
    world.next.answer = found(1)._replace(epoch=EPOCH + 1)
    for _ in range(3):
        await world.ask()
    assert len(world.next.asked) == 3


async def test_what_was_read_before_a_change_is_not_stored_after_it(world: World) -> None:
    world.next.gate.clear()
    slow = asyncio.create_task(world.ask())
    await world.next.reached.wait()
    await world.redis.correct([BAG.key], [2])
    world.next.answer = found(2)
    world.next.gate.set()
    assert await slow == found(1), "it was asked before the change was answered"
    assert await world.ask() == found(2)
    assert await world.ask() == found(2)
    assert len(world.next.asked) == 2


async def test_who_comes_while_another_fetches_asks_for_himself_and_stores_nothing(
    world: World, descriptor: int
) -> None:
    other = World(world.redis, descriptor)
    world.next.gate.clear()
    first = asyncio.create_task(world.ask())
    await world.next.reached.wait()
    other.next.answer = found(1, b"[2]")
    assert (await other.ask()).shown == b"[2]"
    world.next.gate.set()
    await first
    assert (await other.ask()).shown == b"[]", "the one with the lease has stored"


async def test_many_questions_of_a_moment_go_together(world: World) -> None:
    bags = [Identifier.parse(f"88.999.1001/{n}") for n in range(450)]
    await asyncio.gather(*(world.ask(bag) for bag in bags))
    assert sorted(world.next.asked) == sorted(bag.key for bag in bags)
    await asyncio.gather(*(world.ask(bag) for bag in bags))
    assert len(world.next.asked) == 450


@pytest.mark.parametrize("absolved", [False, True])
async def test_what_redis_said_while_it_came_to_be_distrusted_is_not_given(descriptor: int, absolved: bool) -> None:
    # Found restarted on another connection: what this one read may come from an old dump, from before answered writes.
    class Restarted:
        def look(self, keys: Sequence[str], then: Looked) -> None:
            world.worker.distrust()
            if absolved:
                world.follower.absolve(world.follower.distrusts())
            then([found(1)] * len(keys))

    world = World(Restarted(), descriptor)
    world.next.answer = found(2)
    assert await world.ask() == found(2)


async def test_redis_is_not_believed_when_it_came_to_be_distrusted_before_it_answered(world: World) -> None:
    await world.ask()
    world.next.answer = found(2)
    asking = asyncio.create_task(world.ask())
    await asyncio.sleep(0)
    world.worker.distrust()
    assert await asking == found(2)


async def test_of_a_moment_s_answers_those_hold_whose_epochs_do(world: World) -> None:
    world.follower.follow(EPOCH, [(4, EPOCH)], [(5, EPOCH), (6, EPOCH)])
    asked = [Identifier.parse(f"88.999.1001/{n}") for n in range(6)]
    terms = [(3, EPOCH, 0, 0), (3, EPOCH, 5, EPOCH), (4, EPOCH, 5, EPOCH), (4, EPOCH, 6, EPOCH)] * 2
    before = [Answer(Outcome.FOUND, n, *terms[n], shown=b"[%d]" % n) for n in range(6)]
    for identifier, world.next.answer in zip(asked, before, strict=True):
        await world.ask(identifier)
    world.next.asked.clear()
    assert await asyncio.gather(*map(world.ask, asked)) == before
    assert world.next.asked == []
    world.follower.follow(EPOCH + 1, [(4, EPOCH + 1)], [(5, EPOCH + 1)])
    world.next.answer = Answer(Outcome.ABSENT, 0, 4, EPOCH + 1)
    questions = [Question(each.key, KNOWN, b"", b"", True, []) for each in asked]
    told = dict[str, Answer | Exception]()
    world.stage.ask(
        questions, lambda some, answers: told.update(zip([each.key for each in some], answers, strict=True))
    )
    await until(lambda: len(told) == len(asked))
    kept = {0, 4}
    assert [told[each.key] for each in asked] == [before[n] if n in kept else world.next.answer for n in range(6)]
    assert sorted(world.next.asked) == [each.key for n, each in enumerate(asked) if n not in kept]
    await world.filled()


class Haunted:
    """A Redis in which an answer under an epoch that is over comes back as often as it is dropped."""

    def __init__(self) -> None:
        self.held = (found(1, b"[1]")._replace(epoch=EPOCH - 1),)
        self.filled: list[Fill] = []

    def look(self, keys: Sequence[str], then: Looked) -> None:
        then(list(self.held) * len(keys))

    async def lease(self, keys: Sequence[str]) -> list[Answer]:
        return list(self.held) * len(keys)

    async def drop(self, _: Sequence[str]) -> None:
        pass

    async def fill(self, fills: Sequence[Fill]) -> None:
        self.filled += fills


async def test_an_answer_that_comes_back_under_an_epoch_that_is_over_is_not_given(descriptor: int) -> None:
    haunted = Haunted()
    world = World(haunted, descriptor)
    world.next.answer = found(1, b"[2]")
    assert (await world.ask()).shown == b"[2]"
    assert haunted.filled == [], "it holds no lease"


class Broken:
    """A Redis that does not answer, until it is mended; `looks` counts how often it was asked."""

    def __init__(self) -> None:
        self.looks = 0
        self.fills: list[int] = []
        self.mended = False
        self.gate = asyncio.Event()

    def look(self, keys: Sequence[str], then: Looked) -> None:
        self.looks += 1
        then([None] * len(keys) if self.mended else TimeoutError("frozen"))

    async def lease(self, keys: Sequence[str]) -> list[bytes]:
        return [b"Lease"] * len(keys)

    async def fill(self, fills: Sequence[Fill]) -> None:
        self.fills.append(len(fills))
        await self.gate.wait()
        if not self.mended:
            raise TimeoutError("frozen")


async def test_a_redis_that_does_not_answer_is_passed_over_and_left_alone_for_a_while(descriptor: int) -> None:
    broken = Broken()
    world = World(broken, descriptor)
    for n in range(50):
        assert await world.ask(Identifier.parse(f"88.999.1001/{n}")) == found(1)
    assert broken.looks == 1, "one question pays for finding out, not each"
    world.now += REST_SECONDS
    await world.ask()
    assert broken.looks == 2
    world.now += REST_SECONDS
    broken.mended = True
    broken.gate.set()
    await world.ask()
    await world.ask()
    assert broken.looks == 4


async def test_a_moment_of_many_questions_does_not_wait_for_each_of_them(descriptor: int) -> None:
    broken = Broken()
    world = World(broken, descriptor)
    bags = [Identifier.parse(f"88.999.1001/{n}") for n in range(3000)]
    answers = await asyncio.gather(*(world.ask(bag) for bag in bags))
    assert answers == [found(1)] * 3000
    assert broken.looks <= 2, "what waited behind the first two calls went past"


async def test_answers_that_cannot_be_stored_are_let_go(descriptor: int) -> None:
    broken = Broken()
    broken.mended = True
    world = World(broken, descriptor)

    async def ask(n: int) -> None:
        question = Question(f"88.999.1001/{n}", 0, b"", b"", True, [])
        await asked_of(world.stage, question)

    await asyncio.gather(*(ask(n) for n in range(FILLS_MOST + 1000)))
    assert len(world.stage._fills) <= FILLS_MOST
    assert world.counting.told(REDIS_FILLS)["dropped",] >= 1000 - 2 * PIPELINE_MOST
    broken.mended = False
    broken.gate.set()
    await world.filled()
    assert world.stage._fills == []
    broken.mended = True
    sent = world.counting.told(REDIS_FILLS).get(("sent",), 0)
    await world.ask()
    assert broken.fills[-1] == 1
    assert world.counting.told(REDIS_FILLS)["sent",] == sent + 1

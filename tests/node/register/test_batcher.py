"""Group commit: what waits goes together, an identifier's changes keep their order, neighbours share no fate.

The registrar here is a fake that writes down what it is given and answers when the test lets it.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from node.gather import BusyError
from node.register import batcher as module
from node.register.batcher import ALONE_MOST, CROWD, LANES, MANY, TOGETHER_MOST, Batcher
from node.worker import WRITERS
from proto.chain import Kind
from proto.identifier import Identifier
from registry.account import Account
from registry.block import Block
from registry.errors import AuditFullError, UnavailableError, UnknownOutcomeError
from registry.record import Shape
from registry.registrar import GROUP_MOST, Job, Outcome, Written
from registry.rights import Role
from registry.rules import Request
from tests.registry.world import alike
from tests.waiting import PATIENCE

WHO = Account(1, "leather", "person", Role.ENTERPRISE_ADMIN, 1)
NOW = 1_795_000_000
A, B = "88.999.1001", "88.999.2001"


def job(text: str, template: str = "") -> Job:
    return Job(Request("create", Identifier.parse(text), template), WHO)


class Registrar:
    """Keeps each group it is given; `verdict` may raise for one, and `hold` keeps it from answering."""

    def __init__(self, verdict: Callable[[list[str]], None] = lambda group: None) -> None:
        self.groups: list[list[str]] = []
        self._verdict = verdict
        self._gate = asyncio.Event()
        self._gate.set()
        self._bell = asyncio.Event()
        self.now: set[int] = set()

    async def write(self, jobs: Sequence[Job], now: int) -> list[Outcome]:
        group = [f"{j.request.identifier}{j.request.template}" for j in jobs]
        self.groups.append(group)
        self.now.add(now)
        self._bell.set()
        await self._gate.wait()
        self._verdict(group)
        return [Written(Kind.CREATED, len(text)) for text in group]

    async def write_together(self, jobs: Sequence[Job], now: int) -> list[Outcome | None]:
        outcomes = await self.write(jobs, now)
        return [None if j.request.template == "alone" else o for j, o in zip(jobs, outcomes, strict=True)]

    async def write_block(self, block: Block, who: Account, now: int) -> list[Outcome]:
        group = [f"block {block.size}", *block.keys]
        self.groups.append(group)
        self.now.add(now)
        self._bell.set()
        await self._gate.wait()
        self._verdict(group)
        return [Written(Kind.CREATED, int(suffix)) for suffix in block.suffixes]

    def hold(self) -> None:
        self._gate.clear()

    def let(self) -> None:
        self._gate.set()

    async def given(self, groups: int) -> None:
        while len(self.groups) < groups:
            self._bell.clear()
            await self._bell.wait()


def batcher(registrar: Registrar, most: int = 20_000) -> Batcher:
    return Batcher(registrar, most, lambda: NOW)  # type: ignore[arg-type]


async def settle() -> None:
    """Lets everything run that can run without anybody answering."""
    for _ in range(20):
        await asyncio.sleep(0)


def parted(group: list[str]) -> list[str]:
    return [text.partition("/")[2] for text in group]


async def test_what_waits_for_a_prefix_goes_into_one_group() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    calls = [asyncio.create_task(writing.write([job(f"{A}/{n}")])) for n in range(2)]
    await registrar.given(1)
    calls += [asyncio.create_task(writing.write([job(f"{A}/{n}"), job(f"{A}/{n}x")])) for n in range(2, 5)]
    await settle()
    registrar.let()
    outcomes = await asyncio.gather(*calls)
    assert [len(each) for each in outcomes] == [1, 1, 2, 2, 2]
    assert [text for group in registrar.groups for text in parted(group)] == ["0", "1", "2", "2x", "3", "3x", "4", "4x"]
    assert len(registrar.groups) <= 1 + LANES
    assert registrar.now == {NOW}


async def test_few_of_several_prefixes_go_together_and_outcomes_keep_the_order_sent() -> None:
    registrar = Registrar()
    outcomes = await batcher(registrar).write([job(f"{A}/1"), job(f"{B}/22"), job(f"{A}/333"), job(f"{B}/4444")])
    assert registrar.groups == [[f"{A}/1", f"{A}/333", f"{B}/22", f"{B}/4444"]]
    assert [each.version for each in outcomes if isinstance(each, Written)] == [len(A) + 1 + n for n in (1, 2, 3, 4)]


async def test_many_of_a_prefix_go_by_themselves_and_nobody_waits_for_them() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    many = asyncio.create_task(writing.write([job(f"{A}/{n}") for n in range(MANY)]))
    await registrar.given(1)
    few = asyncio.create_task(writing.write([job(f"{B}/1")]))
    await registrar.given(2)
    assert [len(group) for group in registrar.groups] == [MANY, 1]
    registrar.let()
    await asyncio.gather(many, few)


async def test_a_prefix_spelt_two_ways_is_one_prefix() -> None:
    registrar = Registrar()
    await batcher(registrar).write([job("0.na/a"), job("0.NA/b")])
    assert registrar.groups == [["0.na/a", "0.NA/b"]]


async def test_a_prefix_with_much_to_write_keeps_no_other_from_the_connections() -> None:
    """The registrar here has one connection, lent in the order asked for, as a pool lends its own."""
    connection = asyncio.Lock()

    class Pooled(Registrar):
        async def write(self, jobs: Sequence[Job], now: int) -> list[Outcome]:
            async with connection:
                await asyncio.sleep(0)
                return await super().write(jobs, now)

    registrar = Pooled()
    writing = batcher(registrar)
    much = asyncio.create_task(writing.write([job(f"{A}/{n}") for n in range(9 * GROUP_MOST)]))
    await settle()
    before = len(registrar.groups)
    await writing.write([job(f"{B}/1")])
    assert len(registrar.groups) <= before + LANES + 1
    assert registrar.groups[-1] == [f"{B}/1"]
    await much
    assert len(registrar.groups) == 10


async def test_a_group_is_no_larger_than_a_transaction_may_be() -> None:
    registrar = Registrar()
    jobs = [job(f"{A}/{n}") for n in range(GROUP_MOST + 3)]
    outcomes = await batcher(registrar).write(jobs)
    assert len(outcomes) == GROUP_MOST + 3
    assert [len(group) for group in registrar.groups] == [GROUP_MOST, 3]


async def test_no_identifier_comes_twice_in_a_group_and_the_later_change_comes_later() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    calls = [asyncio.create_task(writing.write([job(f"{A}/x", f"#{n}"), job(f"{A}/{n}")])) for n in range(4)]
    await settle()
    registrar.let()
    await asyncio.gather(*calls)
    for group in registrar.groups:
        assert len({text.partition("#")[0] for text in group}) == len(group)
    changes = [text for group in registrar.groups for text in group if "#" in text]
    assert changes == [f"{A}/x#{n}" for n in range(4)]
    assert {text for group in registrar.groups for text in group if "#" not in text} == {f"{A}/{n}" for n in range(4)}


async def test_whoever_comes_one_by_one_gathers_in_one_lane_and_many_open_the_second() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    first = asyncio.create_task(writing.write([job(f"{A}/first")]))
    await settle()
    few = [asyncio.create_task(writing.write([job(f"{A}/{n}")])) for n in range(MANY - 1)]
    await settle()
    assert [len(group) for group in registrar.groups] == [1]
    more = asyncio.create_task(writing.write([job(f"{A}/one-more")]))
    await settle()
    assert [len(group) for group in registrar.groups] == [1, MANY]
    late = asyncio.create_task(writing.write([job(f"{A}/late")]))
    await settle()
    assert len(registrar.groups) == 2
    registrar.let()
    await asyncio.gather(first, *few, more, late)
    assert parted(registrar.groups[2]) == ["late"]


async def test_a_later_change_of_an_identifier_is_not_begun_before_the_earlier_one_is_over(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MANY", 1)
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    first = asyncio.create_task(writing.write([job(f"{A}/x", "#1")]))
    await registrar.given(1)
    second = asyncio.create_task(writing.write([job(f"{A}/x", "#2"), job(f"{A}/y")]))
    await settle()
    assert registrar.groups == [[f"{A}/x#1"], [f"{A}/y"]], "the neighbour goes ahead in the second lane"
    registrar.let()
    await asyncio.gather(first, second)
    assert registrar.groups[2:] == [[f"{A}/x#2"]]


async def test_a_lane_with_nothing_it_may_take_ends_and_nothing_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MANY", 1)
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    calls = []
    for n in range(5):
        calls.append(asyncio.create_task(writing.write([job(f"{A}/x", f"#{n}")])))
        await settle()
    assert registrar.groups == [[f"{A}/x#0"]]
    registrar.let()
    await asyncio.gather(*calls)
    assert registrar.groups == [[f"{A}/x#{n}"] for n in range(5)]
    assert (await writing.write([job(f"{A}/x", "#5")]))[0] == Written(Kind.CREATED, len(f"{A}/x#5"))


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
async def test_a_poisoned_job_is_parted_from_its_neighbours(size: int, place: str) -> None:
    culprit = {"first": 0, "middle": size // 2, "last": size - 1}[place]

    def verdict(group: list[str]) -> None:
        if f"{A}/{culprit}" in group:
            raise ValueError("poison")

    registrar = Registrar(verdict)
    registrar.hold()
    writing = batcher(registrar)
    opener = asyncio.create_task(writing.write([job(f"{A}/opener")]))
    await registrar.given(1)
    calls = [asyncio.create_task(writing.write([job(f"{A}/{n}")])) for n in range(size)]
    registrar.let()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    await opener
    assert isinstance(outcomes.pop(culprit), ValueError)
    assert all(isinstance(outcome, list) and isinstance(outcome[0], Written) for outcome in outcomes)


@pytest.mark.parametrize("error", [UnavailableError("away"), UnknownOutcomeError("lost", 7)])
async def test_trouble_with_the_database_is_the_outcome_of_each_and_nobody_is_parted(error: Exception) -> None:
    def verdict(group: list[str]) -> None:
        raise error

    registrar = Registrar(verdict)
    outcomes = await batcher(registrar).write([job(f"{A}/1"), job(f"{A}/2")])
    assert outcomes == [error, error]
    assert len(registrar.groups) == 1


async def test_who_must_go_alone_does_and_keeps_nobody_else() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    calls = [asyncio.create_task(writing.write([each])) for each in (job(f"{A}/1", "alone"), job(f"{B}/1"))]
    await registrar.given(1)
    calls += [asyncio.create_task(writing.write([job(f"{A}/1", "later")]))]
    await settle()
    registrar.let()
    assert await asyncio.gather(*calls) == [
        [Written(Kind.CREATED, len(f"{A}/1alone"))],
        [Written(Kind.CREATED, len(f"{B}/1"))],
        [Written(Kind.CREATED, len(f"{A}/1later"))],
    ]
    assert registrar.groups == [[f"{A}/1alone", f"{B}/1"], [f"{A}/1alone"], [f"{A}/1later"]], "in the order sent"


async def test_trouble_of_one_prefix_is_not_that_of_another() -> None:
    def verdict(group: list[str]) -> None:
        if f"{A}/1" in group:
            raise ValueError("poison")

    registrar = Registrar(verdict)
    writing = batcher(registrar)
    calls = [writing.write([job(f"{A}/1"), job(f"{A}/2")]), writing.write([job(f"{B}/1")])]
    first, second = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(first, ValueError)
    assert second == [Written(Kind.CREATED, len(f"{B}/1"))]
    assert [f"{A}/2"] in registrar.groups, "the neighbour under the same prefix, too"


async def test_one_that_goes_alone_and_hangs_holds_up_nobody_else() -> None:
    """Whoever must go alone waits for what somebody else holds."""
    registrar = Registrar()
    writing = batcher(registrar)
    hanging = [asyncio.create_task(writing.write([each])) for each in (job(f"{A}/1", "alone"), job(f"{B}/1"))]
    await registrar.given(1)
    registrar.hold()
    await hanging[1]
    await registrar.given(2)
    assert registrar.groups[1] == [f"{A}/1alone"]
    few = [asyncio.create_task(writing.write([job(f"{each}/2")])) for each in (B, A)]
    await registrar.given(3)
    assert registrar.groups[2] == [f"{B}/2"], "what comes for A waits for A"
    registrar.let()
    await asyncio.gather(*hanging, *few)


async def test_no_more_prefixes_go_together_than_postgresql_keeps_at_hand() -> None:
    registrar = Registrar()
    await batcher(registrar).write([job(f"88.999.{1000 + n}/{m}") for n in range(TOGETHER_MOST + 3) for m in (1, 2)])
    assert [len(group) for group in registrar.groups] == [2 * TOGETHER_MOST, 6]


async def test_one_who_asks_is_told_as_one_who_writes() -> None:
    def verdict(group: list[str]) -> None:
        if f"{A}/bad" in group:
            raise ValueError("poison")

    registrar = Registrar(verdict)
    writing = batcher(registrar, most=2)
    told: list[object] = []

    def mistaken(outcome: object) -> None:
        told.append(outcome)
        raise ZeroDivisionError

    writing.ask(job(f"{A}/1"), mistaken)
    writing.ask(job(f"{A}/bad"), told.append)
    writing.ask(job(f"{A}/3"), told.append)
    assert [type(each) for each in told] == [BusyError]
    await settle()
    assert [type(each) for each in told[1:]] == [Written, ValueError], "a mistake of one is not the next one's"
    writing.ask(job(f"{A}/4"), told.append)
    await settle()
    assert told[3] == Written(Kind.CREATED, len(f"{A}/4"))


async def test_beyond_the_bound_nothing_is_done() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar, most=3)
    held = asyncio.create_task(writing.write([job(f"{A}/1"), job(f"{A}/2")]))
    await registrar.given(1)
    with pytest.raises(BusyError):
        await writing.write([job(f"{A}/3"), job(f"{A}/4")])
    third = asyncio.create_task(writing.write([job(f"{A}/5")]))
    await settle()
    with pytest.raises(BusyError):
        await writing.write([job(f"{A}/6")])
    registrar.let()
    await asyncio.gather(held, third)
    assert len(await writing.write([job(f"{A}/7"), job(f"{A}/8"), job(f"{A}/9")])) == 3
    assert sorted(text for group in registrar.groups for text in parted(group)) == ["1", "2", "5", "7", "8", "9"]


async def test_a_batch_larger_than_the_bound_is_taken_when_nothing_else_waits() -> None:
    assert len(await batcher(Registrar(), most=2).write([job(f"{A}/{n}") for n in range(5)])) == 5


async def test_nothing_asked_nothing_done() -> None:
    registrar = Registrar()
    assert await batcher(registrar).write([]) == []
    assert registrar.groups == []


async def test_who_goes_away_frees_his_place_and_his_neighbour_is_told() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar, most=2)
    gone = asyncio.create_task(writing.write([job(f"{A}/1")]))
    stays = asyncio.create_task(writing.write([job(f"{A}/2")]))
    await registrar.given(1)
    gone.cancel()
    await settle()
    third = asyncio.create_task(writing.write([job(f"{A}/3")]))
    await settle()
    registrar.let()
    assert isinstance((await stays)[0], Written)
    assert isinstance((await third)[0], Written)
    assert gone.cancelled()


async def test_shared_transactions_go_one_after_the_other_and_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", PATIENCE)
    registrar = Registrar()
    registrar.hold()
    writer = batcher(registrar)
    writing = [asyncio.create_task(writer.write([job(f"{A}/1")]))]
    await registrar.given(1)
    writing += [asyncio.create_task(writer.write([job(f"{B}/{n}")])) for n in range(3)]
    await settle()
    assert registrar.groups == [[f"{A}/1"]], "B waits for its turn"
    writing.append(asyncio.create_task(writer.write([job(f"{A}/2")])))
    await settle()
    registrar.let()
    await asyncio.gather(*writing)
    assert registrar.groups[1:] == [[f"{B}/0", f"{B}/1", f"{B}/2", f"{A}/2"]], "those who wait longest first"


@pytest.mark.parametrize(("singles", "after"), [(CROWD, 1), (CROWD - 1, 2)])
async def test_a_crowd_of_singles_is_waited_for(monkeypatch: pytest.MonkeyPatch, singles: int, after: int) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", PATIENCE)
    monkeypatch.setattr(module, "REJOIN", 100.0)
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    batch = asyncio.create_task(writing.write([job(f"{A}/batch{n}") for n in range(CROWD)]))
    crowd = [asyncio.create_task(writing.write([job(f"{A}/{n}")])) for n in range(singles)]
    await registrar.given(1)
    other = asyncio.create_task(writing.write([job(f"{A}/other")]))
    await settle()
    registrar.let()
    await asyncio.gather(batch, *crowd)
    await asyncio.gather(other, *(writing.write([job(f"{A}/again{n}")]) for n in range(singles)))
    assert len(registrar.groups) == 1 + after
    assert len(registrar.groups[0]) == CROWD + singles


async def test_a_crowd_that_has_come_again_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", PATIENCE)
    monkeypatch.setattr(module, "REJOIN", float("inf"))  # whoever waits for that waits for ever
    registrar = Registrar()
    writing = batcher(registrar)
    async with asyncio.timeout(PATIENCE):
        first = [asyncio.create_task(writing.write([job(f"{A}/{n}")])) for n in range(CROWD)]
        await asyncio.gather(*first)
        some = [asyncio.create_task(writing.write([job(f"{A}/again{n}")])) for n in range(CROWD - 1)]
        await settle()
        some.append(asyncio.create_task(writing.write([job(f"{A}/batch{n}") for n in range(2)])))
        await settle()
        assert len(registrar.groups) == 1, "one of them is away, and a batch is none of them"
        await asyncio.gather(writing.write([job(f"{A}/last")]), *some)
    assert len(registrar.groups[1]) == CROWD + 2


async def test_a_crowd_that_stays_away_is_waited_for_no_longer_than_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", 0.001)
    monkeypatch.setattr(module, "REJOIN", float("inf"))  # as after a transaction that hung
    registrar = Registrar()
    writing = batcher(registrar)
    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(writing.write([job(f"{A}/{n}")]) for n in range(CROWD)))
        await writing.write([job(f"{A}/late")])


async def test_a_shared_transaction_that_hangs_holds_up_no_other_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TURN_SECONDS", 0)
    registrar = Registrar()
    registrar.hold()
    writer = batcher(registrar)
    writing = [asyncio.create_task(writer.write([job(f"{A}/1")]))]
    await registrar.given(1)
    writing.append(asyncio.create_task(writer.write([job(f"{B}/1")])))
    await registrar.given(2)
    registrar.let()
    await asyncio.gather(*writing)
    await settle()
    assert (writer._turn, writer._queues, writer._written, writer._shared, +writer._lanes) == (
        None,
        {},
        set(),
        set(),
        {},
    )


class Held(Registrar):
    """Answers each group when the test lets just that one; `alone` says of which jobs it wants no company."""

    def __init__(self, alone: Callable[[str], bool] = lambda text: False) -> None:
        super().__init__()
        self._alone = alone
        self.gates: list[asyncio.Event] = []
        self.under_way = 0
        self.most = 0

    async def write(self, jobs: Sequence[Job], now: int) -> list[Outcome]:
        self.gates.append(asyncio.Event())
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        gate = self.gates[-1]
        outcomes = await super().write(jobs, now)
        await gate.wait()
        self.under_way -= 1
        return outcomes

    async def write_together(self, jobs: Sequence[Job], now: int) -> list[Outcome | None]:
        outcomes = await self.write(jobs, now)
        return [None if self._alone(f"{j.request.identifier}") else o for j, o in zip(jobs, outcomes, strict=True)]


async def let_all(registrar: Held, *calls: "asyncio.Task[object]") -> None:
    """Lets every group there is and will be."""
    while not all(call.done() for call in calls):
        for gate in registrar.gates:
            gate.set()
        await asyncio.sleep(0)


async def lasting(monkeypatch: pytest.MonkeyPatch) -> "tuple[Held, Batcher, list[asyncio.Task[Any]]]":
    """A shared transaction of A is under way, and its turn is over."""
    monkeypatch.setattr(module, "TURN_SECONDS", 0)
    registrar = Held()
    writing = batcher(registrar)
    calls = [asyncio.create_task(writing.write([job(f"{A}/1")]))]
    await registrar.given(1)
    await settle()
    return registrar, writing, calls


async def test_a_prefix_is_in_one_shared_transaction_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    registrar, writing, calls = await lasting(monkeypatch)
    calls.append(asyncio.create_task(writing.write([job(f"{A}/2")])))
    await asyncio.sleep(0)
    assert len(writing._tasks) == 1, "and nobody looks in vain"
    calls.append(asyncio.create_task(writing.write([job(f"{B}/1")])))
    await registrar.given(2)
    assert registrar.groups[1:] == [[f"{B}/1"]], "A would only wait for itself"
    registrar.gates[0].set()
    await registrar.given(3)
    assert registrar.groups[2:] == [[f"{A}/2"]]
    await let_all(registrar, *calls)


async def test_one_that_lasted_takes_no_turn_from_the_next_when_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    registrar, writing, calls = await lasting(monkeypatch)
    monkeypatch.setattr(module, "TURN_SECONDS", PATIENCE)
    calls.append(asyncio.create_task(writing.write([job(f"{B}/1")])))
    await registrar.given(2)
    registrar.gates[0].set()
    await calls[0]
    calls.append(asyncio.create_task(writing.write([job(f"{A}/2")])))
    await settle()
    assert len(registrar.groups) == 2, "it is B's turn"
    await let_all(registrar, *calls)


async def test_who_waits_has_his_turn_when_those_before_him_must_go_alone() -> None:
    registrar = Held(lambda text: text.startswith(A))
    writing = batcher(registrar)
    calls = [asyncio.create_task(writing.write([job(f"{A}/1")]))]
    await registrar.given(1)
    calls.append(asyncio.create_task(writing.write([job(f"{B}/1")])))
    await settle()
    registrar.gates[0].set()
    await registrar.given(3)
    assert sorted(registrar.groups[1:]) == [[f"{A}/1"], [f"{B}/1"]]
    await let_all(registrar, *calls)


async def test_a_shared_transaction_is_no_larger_than_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_MOST", 3)
    registrar = Registrar()
    await batcher(registrar).write([job(f"{prefix}/{n}") for prefix in (A, B) for n in range(2)])
    assert [len(group) for group in registrar.groups] == [3, 1]


async def test_a_prefix_that_must_go_alone_has_no_more_lanes_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GROUP_MOST", MANY)
    registrar = Held(lambda text: text == f"{A}/1")
    writing = batcher(registrar)
    calls = [asyncio.create_task(writing.write([job(f"{A}/1")]))]
    await registrar.given(1)
    calls += [asyncio.create_task(writing.write([job(f"{A}/{m}-{n}") for n in range(MANY)])) for m in "ab"]
    await registrar.given(3)
    registrar.gates[0].set()
    await settle()
    assert writing._lanes[A] == LANES
    await let_all(registrar, *calls)


async def test_however_many_go_alone_one_connection_is_left_to_the_others() -> None:
    held = [f"88.999.{1000 + n}" for n in range(9)]
    registrar = Held(lambda text: not text.startswith(B))
    writing = batcher(registrar)
    calls = [asyncio.create_task(writing.write([job(f"{prefix}/1") for prefix in held]))]
    await registrar.given(1)
    registrar.gates[0].set()
    await registrar.given(1 + ALONE_MOST)
    await settle()
    calls.append(asyncio.create_task(writing.write([job(f"{B}/1")])))
    await registrar.given(2 + ALONE_MOST)
    assert registrar.groups[-1] == [f"{B}/1"]
    assert registrar.under_way == ALONE_MOST + 1 == WRITERS
    await let_all(registrar, *calls)
    assert registrar.most <= WRITERS


async def test_while_the_audit_journal_is_full_nothing_is_taken() -> None:
    registrar = Registrar()
    writing = batcher(registrar)
    writing.halt(True)
    with pytest.raises(AuditFullError):
        await writing.write([job(f"{A}/1")])
    told: list[Outcome | Exception] = []
    writing.ask(job(f"{A}/2"), told.append)
    assert [type(each) for each in told] == [AuditFullError]
    writing.halt(False)
    assert len(await writing.write([job(f"{A}/3")])) == 1
    assert [text for group in registrar.groups for text in parted(group)] == ["3"]


# -- blocks


def block_of(numbers: range, prefix: str = A, template: str = "") -> Block:
    """New identifiers of these numbers."""
    suffixes = [str(n) for n in numbers]
    return alike(Shape.of([2000], ["a"]), suffixes, [[b"x"] * len(suffixes)], prefix=prefix, template=template)


def sizes(registrar: Registrar) -> list[str]:
    return [group[0] if group[0].startswith("block") else str(len(group)) for group in registrar.groups]


async def test_a_block_goes_alone_and_its_outcomes_are_in_order() -> None:
    registrar = Registrar()
    outcomes = await batcher(registrar).write_block(block_of(range(MANY)), WHO)
    assert sizes(registrar) == [f"block {MANY}"]
    assert outcomes == [Written(Kind.CREATED, n) for n in range(MANY)]
    assert registrar.now == {NOW}


async def test_a_block_is_cut_to_transactions_and_what_is_left_over_is_rows() -> None:
    registrar = Registrar()
    size = 2 * GROUP_MOST + MANY - 1
    outcomes = await batcher(registrar).write_block(block_of(range(size)), WHO)
    assert sorted(sizes(registrar)) == sorted([f"block {GROUP_MOST}"] * 2 + [str(MANY - 1)])
    assert [each.version for each in outcomes[: 2 * GROUP_MOST] if isinstance(each, Written)] == list(
        range(2 * GROUP_MOST)
    )
    assert all(isinstance(each, Written) for each in outcomes)


async def test_few_rows_of_a_block_go_with_others() -> None:
    registrar = Registrar()
    writing = batcher(registrar)
    await asyncio.gather(writing.write_block(block_of(range(2)), WHO), writing.write([job(f"{B}/1")]))
    assert registrar.groups == [[f"{A}/0", f"{A}/1", f"{B}/1"]]


async def test_blocks_that_are_alike_go_together_as_far_as_a_transaction_takes_them() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    other = replace(WHO, number=2)
    calls = [asyncio.create_task(writing.write_block(block_of(range(MANY)), WHO)) for _ in range(2)]
    await registrar.given(1)
    blocks = [(block_of(range(n * MANY, (n + 1) * MANY)), WHO) for n in range(1, 9)]
    blocks += [
        (block_of(range(10 * MANY, 11 * MANY)), other),
        (block_of(range(11 * MANY, 12 * MANY), template="b"), WHO),
    ]
    calls += [asyncio.create_task(writing.write_block(*each)) for each in blocks]
    await settle()
    assert sizes(registrar) == [f"block {MANY}"], "the second is the same, and waits for the first"
    registrar.let()
    outcomes = await asyncio.gather(*calls)
    assert GROUP_MOST == 5 * MANY
    assert [int(size.removeprefix("block ")) // MANY for size in sizes(registrar)] == [1, 5, 4, 1, 1]
    for (block, _), told in zip(blocks, outcomes[2:], strict=True):
        assert told == [Written(Kind.CREATED, int(suffix)) for suffix in block.suffixes]


async def test_no_more_blocks_of_a_prefix_at_once_than_lanes_and_singles_between_them_have_their_turn() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    calls = []
    for n in range(LANES):
        calls.append(asyncio.create_task(writing.write_block(block_of(range(n * MANY, (n + 1) * MANY)), WHO)))
        await registrar.given(n + 1)
    calls.append(asyncio.create_task(writing.write_block(block_of(range(8 * MANY, 9 * MANY)), WHO)))
    await settle()
    calls.append(asyncio.create_task(writing.write([job(f"{A}/single")])))
    await settle()
    calls.append(asyncio.create_task(writing.write_block(block_of(range(9 * MANY, 10 * MANY)), WHO)))
    await settle()
    assert sizes(registrar) == [f"block {MANY}"] * LANES
    registrar.let()
    await asyncio.gather(*calls)
    assert sizes(registrar) == [f"block {MANY}"] * 3 + ["1", f"block {MANY}"]
    assert not writing._queues
    assert not writing._lanes


async def test_of_an_identifier_that_is_being_written_no_block_is_begun() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    first = asyncio.create_task(writing.write([job(f"{A}/7")]))
    await registrar.given(1)
    block = asyncio.create_task(writing.write_block(block_of(range(MANY)), WHO))
    await settle()
    later = asyncio.create_task(writing.write([job(f"{A}/7", "later")]))
    await settle()
    assert len(registrar.groups) == 1
    registrar.let()
    await asyncio.gather(first, block, later)
    assert sizes(registrar)[1:] == [f"block {MANY}", "1"]
    assert registrar.groups[2] == [f"{A}/7later"], "its changes keep their order"


@pytest.mark.parametrize("behind", ["block", "rows"])
async def test_what_waits_for_what_is_being_written_keeps_nobody_busy(behind: str) -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    calls = [asyncio.create_task(writing.write([job(f"{A}/7")]))]
    await registrar.given(1)
    begun, spawn = [], writing._spawn

    def counted(coroutine: Any) -> None:
        begun.append(coroutine)
        spawn(coroutine)

    writing._spawn = counted  # type: ignore[method-assign]
    calls.append(asyncio.create_task(writing.write([job(f"{A}/7")])))
    await settle()
    if behind == "block":
        calls.append(asyncio.create_task(writing.write_block(block_of(range(MANY, 2 * MANY)), WHO)))
    else:
        calls += [asyncio.create_task(writing.write([job(f"{A}/7", str(n))])) for n in range(MANY)]
    await settle()
    assert len(begun) <= MANY + 2, "one for each that came at most"
    before = len(begun)
    await settle()
    assert len(begun) == before
    registrar.let()
    await asyncio.gather(*calls)
    assert not writing._queues


async def test_what_a_block_is_writing_waits_for_it() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar)
    block = asyncio.create_task(writing.write_block(block_of(range(MANY)), WHO))
    await registrar.given(1)
    later = asyncio.create_task(writing.write([job(f"{A}/7")]))
    await settle()
    assert len(registrar.groups) == 1
    registrar.let()
    await asyncio.gather(block, later)
    assert registrar.groups[1:] == [[f"{A}/7"]]


@pytest.mark.parametrize("error", [UnavailableError("x"), UnknownOutcomeError("x", 7)])
async def test_trouble_with_the_database_is_the_outcome_of_each_row_of_a_block(error: Exception) -> None:
    def verdict(group: list[str]) -> None:
        raise error

    registrar = Registrar(verdict)
    assert await batcher(registrar).write_block(block_of(range(MANY)), WHO) == [error] * MANY
    assert len(registrar.groups) == 1


async def test_a_mistake_of_ours_is_parted_from_the_other_rows_of_a_block() -> None:
    def verdict(group: list[str]) -> None:
        if f"{A}/7" in group:
            raise ZeroDivisionError

    registrar = Registrar(verdict)
    with pytest.raises(ZeroDivisionError):
        await batcher(registrar).write_block(block_of(range(MANY)), WHO)
    assert [f"{A}/7"] in registrar.groups


async def test_beyond_the_bound_and_while_the_audit_journal_is_full_no_block_is_taken() -> None:
    registrar = Registrar()
    registrar.hold()
    writing = batcher(registrar, most=MANY)
    first = asyncio.create_task(writing.write([job(f"{B}/1")]))
    await settle()
    with pytest.raises(BusyError):
        await writing.write_block(block_of(range(MANY)), WHO)
    writing.halt(True)
    with pytest.raises(AuditFullError):
        await writing.write_block(block_of(range(MANY)), WHO)
    registrar.let()
    await first
    assert registrar.groups == [[f"{B}/1"]]

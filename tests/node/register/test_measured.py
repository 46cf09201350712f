"""What is counted of registrations: each identifier once, by industry, operation and outcome; nothing is changed."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest

from node.gather import BusyError
from node.metrics import REFUSALS, REGISTRATION_IDENTIFIERS, REGISTRATION_SECONDS, REGISTRATIONS
from node.register import measured as module
from node.register.batcher import Told
from node.register.measured import COUNTING_MOST, MeasuredBatcher
from proto.chain import Kind
from proto.identifier import Identifier
from registry.account import Account
from registry.block import Block
from registry.errors import AuditFullError, RegistryError, UnavailableError, UnknownOutcomeError
from registry.record import Shape
from registry.registrar import CONTENDED, Job, Outcome, Written
from registry.rights import Role
from registry.rules import Operation, Refused, Request, Rule, Unchanged
from tests.fakes.counting import Counting
from tests.fakes.small_registry import PREFIX, TEMPLATE, small_registry
from tests.registry.world import alike

WHO = Account(1, "leather", "person", Role.ENTERPRISE_ADMIN, 1)


def job(operation: Operation = "create", text: str = f"{PREFIX}/A") -> Job:
    return Job(Request(operation, Identifier.parse(text), TEMPLATE), WHO)


def refused(rule: Rule) -> Refused:
    return Refused(rule, "handle", "不行", "no")


class Batcher:
    """Answers what it is told to, after a quarter of a second."""

    def __init__(self) -> None:
        self.now = 3.0
        self.end: list[Outcome | RegistryError] | Exception = []

    async def write(self, jobs: Sequence[Job]) -> list[Outcome | RegistryError]:
        self.now += 0.25
        if isinstance(self.end, Exception):
            raise self.end
        return self.end

    async def write_block(self, block: Block, who: Account) -> list[Outcome | RegistryError]:
        return await self.write([Job(request, who) for request in block.requests(block.parts)])

    def ask(self, job: Job, told: Told) -> None:
        self.now += 0.25
        told(self.end if isinstance(self.end, Exception) else self.end[0])


class Lookup:
    """Knows the industry of prefixes, and notes who is asked for."""

    def __init__(self) -> None:
        self.industries: dict[str, str | None] = {PREFIX: "leather"}
        self.asked: list[str] = []
        self.away = False

    async def industry(self, prefix: str) -> str | None:
        self.asked.append(prefix)
        if self.away:
            raise UnavailableError("away")
        return self.industries.get(prefix)


class World:
    def __init__(self) -> None:
        self.batcher, self.lookup, self.counting = Batcher(), Lookup(), Counting()
        self.noted: list[Sequence[Any]] = []
        self.measured = MeasuredBatcher(
            self.batcher,  # type: ignore[arg-type]
            self.lookup,  # type: ignore[arg-type]
            self.counting.meter,
            lambda: self.batcher.now,
            self.noted.append,
        )

    async def write(self, *pairs: tuple[Job, Outcome | RegistryError]) -> dict[tuple[str, ...], float]:
        """Each job ends with its outcome; the registrations counted since the beginning."""
        self.batcher.end = [outcome for _, outcome in pairs]
        assert await self.measured.write([job for job, _ in pairs]) is self.batcher.end
        return self.counting.told(REGISTRATIONS)


@pytest.fixture
def world() -> World:
    return World()


async def test_every_outcome_has_its_name(world: World) -> None:
    assert await world.write(
        (job(), Written(Kind.CREATED, 1)),
        (job(), Written(Kind.REVIVED, 3)),
        (job("update"), Written(Kind.UPDATED, 2)),
        (job("update"), Unchanged(2)),
        (job("delete"), Written(Kind.DELETED, 3)),
        (job(), refused(Rule.EXISTS)),
        (job(), CONTENDED),
        (job(), UnavailableError("away")),
        (job(), UnknownOutcomeError("lost", 7)),
    ) == {
        ("leather", "create", "written"): 1,
        ("leather", "revive", "written"): 1,
        ("leather", "update", "written"): 1,
        ("leather", "update", "unchanged"): 1,
        ("leather", "delete", "written"): 1,
        ("leather", "create", "refused"): 1,
        ("leather", "create", "contended"): 1,
        ("leather", "create", "unavailable"): 1,
        ("leather", "create", "unknown"): 1,
    }
    assert world.counting.told(REFUSALS) == {("exists",): 1, ("contended",): 1}
    assert world.counting.told(REGISTRATION_SECONDS) == {(): 0.25}
    assert world.counting.told(REGISTRATION_IDENTIFIERS) == {(): 9}
    assert world.lookup.asked == [PREFIX], "once, not for each"


@pytest.mark.parametrize(
    ("error", "name"),
    [(BusyError(), "busy"), (UnavailableError("away"), "unavailable"), (ZeroDivisionError(), "failed")],
)
async def test_a_batch_that_was_not_carried_out_is_counted_and_raised(
    world: World, error: Exception, name: str
) -> None:
    world.batcher.end = error
    with pytest.raises(type(error)):
        await world.measured.write([job(), job("delete")])
    assert world.counting.told(REGISTRATIONS) == {("other", "create", name): 1, ("other", "delete", name): 1}
    assert world.lookup.asked == [], "nothing was judged, nobody is asked"


async def test_who_may_not_write_makes_nobody_look_up_prefixes(world: World) -> None:
    for rule in (Rule.FOREIGN_PREFIX, Rule.PERMISSION):
        await world.write((job(text="88.999.7777/A"), refused(rule)))
    assert world.lookup.asked == []
    assert world.counting.told(REGISTRATIONS) == {("other", "create", "refused"): 2}


async def test_what_has_no_industry_of_ours_is_other(world: World) -> None:
    world.lookup.industries = {PREFIX: "fishing"}
    await world.write((job(), Unchanged(1)), (job(text="88.999.1002/A"), Unchanged(1)))
    assert world.counting.told(REGISTRATIONS) == {("other", "create", "unchanged"): 2}


async def test_an_industry_not_known_now_is_asked_for_again(world: World) -> None:
    world.lookup.away = True
    await world.write((job(), Unchanged(1)))
    world.lookup.away = False
    assert await world.write((job(), Unchanged(1))) == {
        ("other", "create", "unchanged"): 1,
        ("leather", "create", "unchanged"): 1,
    }


async def test_few_industries_are_remembered(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PREFIXES_MOST", 2)
    for number in (1, 2, 1, 3, 1, 2):
        await world.write((job(text=f"88.999.{number}/A"), Unchanged(1)))
    assert world.lookup.asked == [f"88.999.{number}" for number in (1, 2, 3, 2)]


async def test_the_registry_knows_the_industry_of_its_prefixes(database: str) -> None:
    async with small_registry(database) as registry:
        assert await registry.lookup.industry(PREFIX) == "leather"
        assert await registry.lookup.industry("88.999.7777") is None


@pytest.mark.parametrize(
    "end",
    [
        Written(Kind.REVIVED, 3),
        Unchanged(2),
        refused(Rule.EXISTS),
        refused(Rule.FOREIGN_PREFIX),
        CONTENDED,
        UnavailableError("away"),
        UnknownOutcomeError("lost", 7),
        BusyError(),
        ZeroDivisionError(),
    ],
)
@pytest.mark.parametrize("known", [True, False])
async def test_one_who_asks_is_counted_as_one_who_writes(end: Outcome | Exception, known: bool) -> None:
    asking, writing = World(), World()
    for world in (asking, writing):
        if known:
            await world.write((job(), Written(Kind.CREATED, 1)))
        world.batcher.end = end if isinstance(end, Exception) and not isinstance(end, RegistryError) else [end]
    told: list[Outcome | Exception] = []
    asking.measured.ask(job(), told.append)
    assert told == [end]
    await asyncio.gather(*asking.measured._counting)
    with suppress(BusyError, ZeroDivisionError):
        await writing.measured.write([job()])
    for metric in (REGISTRATIONS, REFUSALS):
        assert asking.counting.told(metric) == writing.counting.told(metric)
    for metric in (REGISTRATION_SECONDS, REGISTRATION_IDENTIFIERS):
        assert asking.counting.observed(metric) == writing.counting.observed(metric)


async def test_the_access_log_is_told_of_each(world: World) -> None:
    ends: list[Outcome | RegistryError] = [Written(Kind.REVIVED, 2), UnavailableError("x")]
    world.batcher.end, began = ends, world.batcher.now
    other = job(text="88.999.1/B")._replace(who=replace(WHO, number=9))
    await world.measured.write([job(), other], ("192.0.2.1", 7))
    world.batcher.end = AuditFullError()
    for jobs in ([job()], [job(), job(text="88.999.1/B")]):
        with pytest.raises(AuditFullError):
            await world.measured.write(jobs, ("192.0.2.1", 7))
    assert [entry[1:3] for entry in world.noted] == [("192.0.2.1", 7)] * 3
    assert world.noted[0][0] == began
    named = str(job().request.identifier)
    assert [entry[3:] for entry in world.noted] == [
        ((WHO.number, 9), (named, "88.999.1/B"), ("revive written", "create unavailable")),
        (WHO.number, named, "create unavailable"),
        (WHO.number, (named, "88.999.1/B"), "create unavailable"),
    ]


async def test_who_asks_is_told_whatever_becomes_of_the_count(world: World) -> None:
    world.batcher.end = [Written(Kind.CREATED, 1)]
    world.measured._meter.observe = None  # type: ignore[method-assign,assignment]
    told: list[Outcome | Exception] = []
    with pytest.raises(TypeError):
        world.measured.ask(job(), told.append)
    assert told == world.batcher.end


async def test_few_wait_to_be_counted_and_what_nobody_need_ask_for_does_not(world: World) -> None:
    world.batcher.end = [Written(Kind.CREATED, 1)]
    for n in range(COUNTING_MOST + 3):
        world.measured.ask(job(text=f"88.999.{n}/A"), lambda outcome: None)
    assert len(world.measured._counting) == COUNTING_MOST
    world.batcher.end = [refused(Rule.FOREIGN_PREFIX)]
    world.measured.ask(job(text="88.999.1/B"), lambda outcome: None)
    await asyncio.gather(*world.measured._counting)
    told = world.counting.told(REGISTRATIONS)
    assert sum(told.values()) == COUNTING_MOST + 4
    assert told["other", "create", "refused"] == 1


async def test_the_industry_of_who_asks_often_is_not_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PREFIXES_MOST", 2)
    world.batcher.end = [Written(Kind.CREATED, 1)]
    for n in range(5):
        for text in (f"{PREFIX}/A", f"88.999.{n}/A"):
            world.measured.ask(job(text=text), lambda outcome: None)
            await asyncio.gather(*world.measured._counting)
    assert world.lookup.asked.count(PREFIX) == 1


@pytest.mark.parametrize(
    "end",
    [
        [Written(Kind.CREATED, 1)] * 3,
        [Written(Kind.CREATED, 1), refused(Rule.EXISTS), UnavailableError("x")],
        BusyError(),
    ],
    ids=["written", "several", "busy"],
)
async def test_a_block_is_counted_and_noted_as_its_rows(end: list[Outcome | RegistryError] | Exception) -> None:
    shape = Shape.of([2000], ["a"])
    block = alike(shape, ["A", "B", "C"], [[b"1", b"2", b"3"]], prefix=PREFIX, template=TEMPLATE)
    as_block, as_rows = World(), World()
    for world in (as_block, as_rows):
        world.batcher.end = end
    with suppress(BusyError):
        assert await as_block.measured.write_block(block, WHO, ("192.0.2.1", 7)) is end
    with suppress(BusyError):
        await as_rows.measured.write([Job(request, WHO) for request in block.requests(block.parts)], ("192.0.2.1", 7))
    assert as_block.noted == as_rows.noted != []
    for metric in (REGISTRATIONS, REFUSALS):
        assert as_block.counting.told(metric) == as_rows.counting.told(metric)
    for metric in (REGISTRATION_SECONDS, REGISTRATION_IDENTIFIERS):
        assert as_block.counting.observed(metric) == as_rows.counting.observed(metric)

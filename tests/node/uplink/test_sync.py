"""Proves node/uplink/sync.py and __main__.py where no other side is needed, or one that lies.

Under an honest one they are proven by the whole (tests/whole/test_uplink.py).
"""

import asyncio
import os
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from structlog.testing import capture_logs

from node import clock, meter, stamps
from node.bell import Bell
from node.config import Config
from node.meter import Meter
from node.stamps import Shared
from node.uplink import client, outbox, sync
from node.uplink.__main__ import route_address
from node.uplink.client import AwayError, Name, TopLevelNode
from node.uplink.sync import Around, Sync
from proto import signed
from proto import uplink_pb2 as pb
from registry.clerk import Clerk
from registry.filing import Filing, Particulars
from registry.postgres.connection import open_pool
from registry.postgres.filing import EnterpriseToFile
from registry.prefix import PrefixState
from tests.fakes.top_level_node import SEED, Liar, lying
from tests.registry.world import PARTICULARS, PREFIX, World, founded, request


def test_pauses_double_and_are_bounded_and_spread():
    chance = random.Random(5)
    for failures in (1, 2, 3, 4, 10, 10_000):
        bound = min(sync.BACKOFF_LAST, sync.BACKOFF_FIRST * 2.0 ** min(failures - 1, 50))
        drawn = [sync.backoff(failures, chance) for _ in range(50)]
        assert all(bound / 2 <= pause <= bound for pause in drawn)
        assert len(set(drawn)) > 40


def test_every_particular_of_an_enterprise_is_told():
    filed = EnterpriseToFile(1, "某厂", "Some", PARTICULARS, "", 1)
    told = sync.enterprise(filed)
    assert (told.ent_name_cn, told.ent_name_en) == ("某厂", "Some")
    nested = {"contact": told.contact, "legal": told.legal_person}
    for name in Particulars.__dataclass_fields__:
        group, _, part = name.partition("_")
        where, field = (nested[group], part) if group in nested else (told, name)
        assert getattr(where, field) == getattr(PARTICULARS, name)


@pytest.mark.parametrize(
    ("host", "route", "address"),
    [
        ("127.0.0.1", "", "127.0.0.1"),
        ("0.0.0.0", "", ""),
        ("::", "", ""),
        ("localhost", "", ""),
        ("0.0.0.0", "203.0.113.7", "203.0.113.7"),
        ("127.0.0.1", "2001:db8::1", "2001:db8::1"),
    ],
)
def test_the_route_is_an_address_others_can_use(host: str, route: str, address: str):
    assert route_address(Config(host=host, route_address=route)) == address


# -- under one that lies

HUGE = "谎" * 100_000 + "\0\n"


@dataclass
class Side:
    """A voice in office over a world of its own, and the one it speaks to. Steps are done one by one."""

    world: World
    liar: Liar
    node: TopLevelNode
    around: Around

    async def take_office(self) -> None:
        """Begins a tenure with the newest fence."""
        self.clerk = Clerk(self.world.pool, await self.world.one("SELECT fence FROM voice"), 300)
        self.sync = Sync(self.clerk, self.node, self.around, random.Random(1))

    async def standing(self) -> tuple[int, int, bool, str]:
        (row,) = [row for row in await self.world.steward.filings() if row["prefix"] == PREFIX]
        return row["state"], row["filing"], row["suspended"], row["reason_en"]

    async def approve(self) -> None:
        """Has the prefix filed and approved, without the liar."""
        await self.clerk.to_file()
        await self.clerk.in_review(PREFIX)
        await self.clerk.take_in(sync.Told(PREFIX, "approved"))

    def queue(self, *messages: pb.Message) -> None:
        """Shows these one after the other, whatever is acknowledged."""
        left = list(messages)

        def poll(_: pb.PollRequest) -> tuple[int, pb.PollResponse]:
            return (1301, pb.PollResponse(count=1, message=left.pop(0))) if left else (1300, pb.PollResponse())

        self.liar.says |= {"Poll": poll, "Acknowledge": lambda _: (1000, pb.AcknowledgeResponse())}


@pytest.fixture
async def side(database: str) -> AsyncIterator[Side]:
    pool = await open_pool(database, size=3, name="idnode-test")
    descriptor, counting = stamps.create(1), meter.create(1)
    world = await founded(database, pool)
    await world.steward.enrol("天马皮具", "Tianma Leather", "leather", PREFIX, PARTICULARS)
    shared = Shared(descriptor, 1, 1, 2)
    shared.follow(2**40, (), ())
    around = Around(
        config=Config(),
        machine="one",
        shared=shared,
        meter=Meter(counting, 1, 2),
        ring=Bell(pool),
        changed=asyncio.Event(),
        address="127.0.0.1",
        started=clock.milliseconds(),
    )
    async with lying() as liar, client.session() as asking:
        node = TopLevelNode(asking, liar.url, Name("88.999", b"o" * 32, 1), clock.milliseconds)
        node.public_key = signed.public_key(SEED)
        made = Side(world, liar, node, around)
        await made.take_office()
        yield made
    pool.terminate()
    os.close(descriptor)
    os.close(counting)


def audit(number: int, prefix: str = PREFIX, reason: str = "why") -> pb.Message:
    given = pb.AuditResult(prefix=prefix, state=pb.PREFIX_STATE_REFUSED, reason_zh=reason, reason_en=reason)
    return pb.Message(id=number, audit=given)


def order(number: int, prefix: str = PREFIX, kind: pb.OrderKind = pb.ORDER_KIND_SUSPEND_PREFIX) -> pb.Message:
    return pb.Message(id=number, order=pb.Order(kind=kind, prefix=prefix, ent_id=HUGE, reason_zh=HUGE, reason_en=HUGE))


async def test_messages_without_sense_hold_up_no_others(side: Side):
    await side.approve()
    verify = order(4, kind=pb.ORDER_KIND_VERIFY_ENTERPRISE)
    side.queue(order(1, HUGE), audit(2, "88.999.7777"), pb.Message(id=3), verify, audit(5, reason=HUGE))
    for _ in range(5):
        assert await side.sync.poll() == 0.0
    assert await side.sync.poll() > 0
    state, filing, _, reason = await side.standing()
    assert (state, filing) == (PrefixState.REFUSED, Filing.REFUSED)
    assert len(reason) == signed.SENTENCE_MOST


async def test_who_repeats_one_message_for_ever_is_asked_slowly(side: Side):
    await side.approve()
    side.queue(order(1), order(1), order(1))
    assert await side.sync.poll() == 0.0
    assert [await side.sync.poll() for _ in range(2)] == [sync.EXPECT_SECONDS] * 2
    side.queue(order(2))
    side.liar.says["Acknowledge"] = lambda _: (2400 - 1, pb.AcknowledgeResponse())
    assert await side.sync.poll() == sync.POLL_SECONDS


async def test_messages_without_end_are_carried_out_slowly(side: Side, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sync, "MESSAGES_AT_ONCE", 3)
    side.queue(*(pb.Message(id=n) for n in range(1, 6)))
    pauses = [await side.sync.poll() for _ in range(5)]
    assert pauses == [0.0, 0.0, 0.0, sync.EXPECT_SECONDS, sync.EXPECT_SECONDS]


async def test_places_without_end_are_not_kept(side: Side):
    await side.approve()
    pages = iter(range(10**9))
    side.liar.says["Standing"] = lambda _: (
        1000,
        pb.StandingResponse(places=[pb.Place(prefix=f"99.{next(pages):09d}", number=1)]),
    )
    with pytest.raises(AwayError, match="pages"):
        await side.sync.changes()
    assert side.liar.asked["Standing"] == sync.STANDING_PAGES_MOST


async def test_gaps_that_lead_in_circles_are_left(side: Side):
    await side.approve()
    for suffix in ("A", "B"):
        await side.world.write(request("create", suffix))
    rows = await side.world.ask("SELECT number, head FROM change ORDER BY number")
    heads = dict(map(tuple, rows))
    turns = iter([1, 2] * 50)

    def gap(given: pb.PushChangesRequest) -> tuple[int, pb.PushChangesResponse]:
        number = next(turns)
        place = pb.Place(prefix=PREFIX, number=number, head=heads[number])
        return 1000, pb.PushChangesResponse(receipts=[pb.Receipt(place=place, verdict=pb.VERDICT_GAP)])

    side.liar.says |= {"Standing": lambda _: (1000, pb.StandingResponse()), "PushChanges": gap}
    for _ in range(20):
        if await side.sync.changes():
            break
    assert side.liar.asked["PushChanges"] <= outbox.GAPS_MOST + 1


async def test_a_filing_that_was_refused_while_its_answer_was_lost_is_filed_again_and_its_reason_kept(side: Side):
    await side.clerk.to_file()
    await side.clerk.keep_nonce(side.world.prefix_no, b"n" * 16)
    refused = pb.CheckPrefixResponse(yours=True, available=True, state=pb.PREFIX_STATE_REFUSED)
    nonces: list[bytes] = []
    side.liar.says |= {
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse(ent_id="7" + HUGE)),
        "UpdateEnterprise": lambda _: (1000, pb.UpdateEnterpriseResponse()),
        "CheckPrefix": lambda _: (1000, refused),
        "CreatePrefix": lambda _: (1001, pb.CreatePrefixResponse()),
    }
    await side.sync.filing()
    await side.sync.filing()
    assert side.liar.asked["CreatePrefix"] == 1
    nonces.append(await side.world.one("SELECT nonce FROM filing"))
    told = audit(1)
    told.audit.nonce = nonces[0]
    side.queue(told)
    await side.sync.poll()
    assert (await side.standing())[1:] == (Filing.REFUSED, False, "why")


async def test_a_prefix_found_suspended_is_filed_once(side: Side):
    suspended = pb.CheckPrefixResponse(yours=True, state=pb.PREFIX_STATE_SUSPENDED)
    side.liar.says |= {
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse(ent_id="7")),
        "UpdateEnterprise": lambda _: (1000, pb.UpdateEnterpriseResponse()),
        "CheckPrefix": lambda _: (1000, suspended),
        "CreatePrefix": lambda _: (sync.EXISTS, pb.CreatePrefixResponse()),
        "Poll": lambda _: (1300, pb.PollResponse()),
    }
    while not await side.sync.filing():
        assert side.liar.asked["CreatePrefix"] < 3
    assert (await side.standing())[:3] == (PrefixState.STOPPED, Filing.APPROVED, True)
    resume = order(1, kind=pb.ORDER_KIND_RESUME_PREFIX)
    side.queue(resume)
    await side.sync.poll()
    assert (await side.standing())[:3] == (PrefixState.ENABLED, Filing.APPROVED, False)


async def test_a_node_that_forgot_its_top_level_node_tells_it_all_at_once(side: Side):
    await side.approve()
    await side.world.write(request("create", "A"))
    pushed: list[int] = []

    def accepted(given: pb.PushChangesRequest) -> tuple[int, pb.PushChangesResponse]:
        last = given.streams[0].changes[-1]
        pushed.extend(change.number for change in given.streams[0].changes)
        place = pb.Place(prefix=PREFIX, number=last.number, head=last.head)
        return 1000, pb.PushChangesResponse(receipts=[pb.Receipt(place=place, verdict=pb.VERDICT_ACCEPTED)])

    side.liar.says |= {
        "Standing": lambda _: (1000, pb.StandingResponse()),
        "PushChanges": accepted,
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse()),
        "CreateEnterprise": lambda _: (1000, pb.CreateEnterpriseResponse(ent_id="7")),
        "CreatePrefix": lambda _: (1001, pb.CreatePrefixResponse()),
    }
    while not await side.sync.changes():
        continue
    told = list(pushed)
    pushed.clear()
    await side.world.steward.forget_toplevel()
    await side.take_office()
    assert await side.sync.changes() > 0
    while not await side.sync.filing():
        continue
    while not await side.sync.changes():
        continue
    assert pushed == told != []


async def test_that_nobody_answered_does_not_hide_that_a_stranger_does_now(side: Side):
    with capture_logs() as told:
        side.sync._missed("poll", AwayError("unreachable", "nobody"))
        side.sync._missed("poll", AwayError("unreachable", "nobody"))
        side.sync._missed("poll", AwayError("signature", "a stranger"))
    assert [(each["log_level"], each["reason"]) for each in told] == [
        ("warning", "unreachable"),
        ("debug", "unreachable"),
        ("warning", "signature"),
    ]

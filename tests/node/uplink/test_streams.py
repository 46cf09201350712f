"""Proves node/uplink/streams.py under a top-level node that lies; under an honest one tests/whole/ does."""

import pytest

from node.uplink import outbox, streams
from node.uplink.client import AwayError
from proto import uplink_pb2 as pb
from tests.node.uplink.side import Side
from tests.registry.world import PREFIX, request


def accepted(given: pb.PushChangesRequest) -> tuple[int, pb.PushChangesResponse]:
    """What a top-level node says that takes all of it."""
    last = given.streams[0].changes[-1]
    place = pb.Place(prefix=PREFIX, number=last.number, head=last.head)
    return 1000, pb.PushChangesResponse(receipts=[pb.Receipt(place=place, verdict=pb.VERDICT_ACCEPTED)])


async def test_places_without_end_are_not_kept(side: Side):
    await side.approve()
    pages = iter(range(10**9))
    side.liar.says["Standing"] = lambda _: (
        1000,
        pb.StandingResponse(places=[pb.Place(prefix=f"99.{next(pages):09d}", number=1)]),
    )
    with pytest.raises(AwayError, match="pages"):
        await side.streams.changes()
    assert side.liar.asked["Standing"] == streams.STANDING_PAGES_MOST


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
        if await side.streams.changes() == streams.LOOK_SECONDS:
            break
    assert side.liar.asked["PushChanges"] <= outbox.GAPS_MOST + 1


async def test_a_node_that_forgot_its_top_level_node_tells_it_all_at_once(side: Side):
    await side.approve()
    await side.world.write(request("create", "A"))
    pushed: list[int] = []

    def pushing(given: pb.PushChangesRequest) -> tuple[int, pb.PushChangesResponse]:
        pushed.extend(change.number for change in given.streams[0].changes)
        return accepted(given)

    side.liar.says |= {
        "Standing": lambda _: (1000, pb.StandingResponse()),
        "PushChanges": pushing,
        "CheckEnterprise": lambda _: (1000, pb.CheckEnterpriseResponse()),
        "CreateEnterprise": lambda _: (1000, pb.CreateEnterpriseResponse(ent_id="7")),
        "CreatePrefix": lambda _: (1001, pb.CreatePrefixResponse()),
    }
    while await side.streams.changes() != streams.LOOK_SECONDS:
        continue
    told = list(pushed)
    pushed.clear()
    await side.world.steward.forget_toplevel()
    await side.take_office()
    assert await side.streams.changes() == streams.LOOK_SECONDS
    while not await side.filings.file():
        continue
    while await side.streams.changes() != streams.LOOK_SECONDS:
        continue
    assert pushed == told != []


async def test_after_few_entries_some_are_gathered_after_many_it_goes_on_at_once(
    side: Side, monkeypatch: pytest.MonkeyPatch
):
    await side.approve()

    side.liar.says |= {"Standing": lambda _: (1000, pb.StandingResponse()), "PushChanges": accepted}
    while await side.streams.changes() != streams.LOOK_SECONDS:
        continue
    await side.world.write(request("create", "A"))
    assert await side.streams.changes() == streams.GATHER_SECONDS
    monkeypatch.setattr(streams, "FEW", 1)
    await side.world.write(request("create", "B"))
    assert await side.streams.changes() == 0
    assert await side.streams.changes() == streams.LOOK_SECONDS

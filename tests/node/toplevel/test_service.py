"""Proves node/toplevel/service.py through a real socket and real books: every method, and everybody who lies."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from node.toplevel import books, service
from node.toplevel.proof import prove
from node.toplevel.rules import ENTRIES_MOST, STREAMS_MOST, TEMPLATES_MOST, WINDOWS_MOST
from node.toplevel.service import METHODS
from proto import signed
from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST, Kind
from tests.fakes.secondary_node import Chain, SecondaryNode, batches, enterprise, entry, link
from tests.waiting import until

LEATHER = "88.999.1001"


@pytest.fixture
async def node(top: Any) -> SecondaryNode:
    """A node with one approved prefix."""
    made = await top.enrolled()
    await made.file(LEATHER)
    assert await top.audit() == 1
    return made


def test_every_method_of_the_agreement_is_there():
    described = pb.DESCRIPTOR.services_by_name["UplinkService"].methods
    assert {m.name: m.input_type.name for m in described} == {n: k.DESCRIPTOR.name for n, (k, _) in METHODS.items()}


# -- who speaks


async def test_enrolling_twice_with_one_key_is_one_thing_and_another_key_is_refused(top: Any):
    node = await top.enrolled()
    first = node.key
    await node.enrol()
    assert node.key == first == signed.public_key(top.office.seed)
    stranger = top.node(seed=bytes([8]) * 32)
    stranger.key = first
    request = pb.EnrolRequest(public_key=signed.public_key(stranger.seed), name_zh="别人")
    refused = await stranger.ask("Enrol", request)
    assert (refused.code, "another key" in refused.en) == (2201, True)
    assert (await node.ask("Poll", pb.PollRequest())).code == 1300


async def test_who_is_not_known_gets_a_sentence_nobody_signed(top: Any):
    octets, _ = top.node().request("Poll", pb.PollRequest())
    status, answer = await top.node().send("Poll", octets)
    assert status == 401
    assert b"no node 88.999 has enrolled" in answer


@pytest.mark.parametrize("octets", [b"", b"\xff\xff", b"\x0a\x05abc", secrets.token_bytes(4096)])
async def test_what_is_no_request_gets_a_sentence(top: Any, octets: bytes):
    status, answer = await top.node().send("Poll", octets)
    assert status == 400
    assert b'"message"' in answer


async def test_every_truncation_of_a_request_is_refused_and_none_is_carried_out(top: Any, node: SecondaryNode):
    chain = Chain(LEATHER)
    chain.add(entry("BAG-1"), entry("BAG-2"))
    octets, nonce = node.request("PushChanges", pb.PushChangesRequest(streams=[chain.stream()]))
    for length in range(0, len(octets), 7):
        status, answer = await node.send("PushChanges", octets[:length])
        assert status in {400, 401} or signed.answered(answer, node.key, nonce).code >= 2000
    assert (await node.places())[LEATHER].number == 0


async def test_an_unknown_method_and_a_body_too_large_get_a_sentence(top: Any):
    assert (await top.node().send("Steal", b""))[0] == 404
    status, answer = await top.node().send("Poll", bytes(signed.MESSAGE_OCTETS + 1))
    assert status == 413
    assert str(signed.MESSAGE_OCTETS).encode() in answer


async def test_a_wrong_signature_is_refused(node: SecondaryNode):
    node.seed = bytes([9]) * 32
    assert (await node.ask("Poll", pb.PollRequest())).code == 2200


async def test_a_request_is_carried_out_once_however_often_it_is_sent(node: SecondaryNode):
    octets, nonce = node.request("Acknowledge", pb.AcknowledgeRequest(id=(await node.poll()).message.id))
    codes = [signed.answered((await node.send("Acknowledge", octets))[1], node.key, nonce).code for _ in range(3)]
    assert codes == [1000, 2306, 2306]


async def test_twenty_at_once_with_one_nonce_are_one(node: SecondaryNode):
    octets, nonce = node.request("Heartbeat", pb.HeartbeatRequest(version="1", machine="m"))
    answers = await asyncio.gather(*(node.send("Heartbeat", octets) for _ in range(20)))
    codes = sorted(signed.answered(answer, node.key, nonce).code for _, answer in answers)
    assert codes == [1000] + [2306] * 19


async def test_an_old_date_is_refused_and_a_nonce_is_forgotten_only_when_its_date_is_old(top: Any, node: SecondaryNode):
    octets, nonce = node.request("Poll", pb.PollRequest())
    await node.send("Poll", octets)
    top.clock[0] += signed.SKEW_SECONDS * 1000 + 1
    refused = signed.answered((await node.send("Poll", octets))[1], node.key, nonce)
    assert (refused.code, "made more than" in refused.en) == (2306, True)
    top.clock[0] += 2 * signed.SKEW_SECONDS * 1000
    await node.poll()
    await node.poll()
    remembered = await top.office.pool.fetchval("SELECT count(*) FROM toplevel.nonce")
    assert remembered == 2


async def test_the_signature_of_one_method_is_no_good_for_another(node: SecondaryNode):
    octets, nonce = node.request("Heartbeat", pb.HeartbeatRequest())
    assert signed.answered((await node.send("Poll", octets))[1], node.key, nonce).code == 2306


async def test_a_voice_that_was_voted_out_is_refused(top: Any, node: SecondaryNode):
    old, young = top.node(fence=1), top.node(fence=2)
    old.key = young.key = node.key
    assert (await old.ask("Poll", pb.PollRequest())).code == 1301
    assert (await young.ask("Poll", pb.PollRequest())).code == 1301
    refused = await old.ask("Poll", pb.PollRequest())
    assert (refused.code, "at least 2, not 1" in refused.en) == (2201, True)
    assert (await young.ask("Poll", pb.PollRequest())).code == 1301


async def test_a_message_that_is_none_inside_a_good_signature_is_refused(node: SecondaryNode):
    for octets in (b"\xff", b"\x0a\x7f", secrets.token_bytes(64)):
        answer = await node.ask("PushChanges", pb.PushChangesRequest(), request=octets)
        assert answer.code in {1000, 2005}


async def test_beyond_the_bound_of_requests_there_is_a_503_and_those_below_it_are_carried_out(
    top: Any, node: SecondaryNode, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(service, "REQUESTS_MOST", 2)
    pool = top.office.pool

    def poll() -> asyncio.Task[tuple[int, bytes]]:
        return asyncio.ensure_future(node.send("Poll", node.request("Poll", pb.PollRequest())[0]))

    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SELECT FROM toplevel.node FOR UPDATE")
        held = [poll(), poll()]
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )

        async def both_wait() -> bool:
            return bool(await pool.fetchval(waiting) == 2)

        await until(both_wait, "two requests in hand")
        assert (await poll())[0] == 503
    assert [status for status, _ in await asyncio.gather(*held)] == [200, 200]


# -- filing


async def test_a_prefix_is_pending_then_audited_polled_and_acknowledged(top: Any):
    node = await top.enrolled()
    ent_id = await node.file(LEATHER)
    check = await node.ask("CheckPrefix", pb.CheckPrefixRequest(prefix=LEATHER))
    assert pb.CheckPrefixResponse.FromString(check.response) == pb.CheckPrefixResponse(
        yours=True, state=pb.PREFIX_STATE_PENDING
    )
    assert (await node.poll()).count == 0
    assert await top.audit() == 1
    told = await node.poll()
    assert told.count == 1
    assert (told.message.audit.ent_id, told.message.audit.prefix) == (ent_id, LEATHER)
    assert told.message.audit.state == pb.PREFIX_STATE_NORMAL
    assert len(told.message.audit.nonce) == 16
    assert await node.poll() == told, "shown until it is acknowledged"
    for _ in range(2):
        done = await node.ask("Acknowledge", pb.AcknowledgeRequest(id=told.message.id))
        assert (done.code, pb.AcknowledgeResponse.FromString(done.response).count) == (1000, 0)
    assert (await node.ask("Poll", pb.PollRequest())).code == 1300
    assert (await node.ask("Acknowledge", pb.AcknowledgeRequest(id=told.message.id + 1))).code == 2303


async def test_a_refused_prefix_says_why_and_may_be_filed_again(top: Any):
    node = await top.enrolled()
    top.fault(refused_prefixes={LEATHER: "材料不全"})
    await node.file(LEATHER)
    await top.audit()
    told = (await node.poll()).message.audit
    assert (told.state, told.reason_zh) == (pb.PREFIX_STATE_REFUSED, "材料不全")
    top.fault()
    await node.file(LEATHER)
    await top.audit()
    check = await node.ask("CheckPrefix", pb.CheckPrefixRequest(prefix=LEATHER))
    assert pb.CheckPrefixResponse.FromString(check.response).state == pb.PREFIX_STATE_NORMAL


async def test_filing_again_is_told_apart_from_filing(top: Any, node: SecondaryNode):
    again = await node.ask("CreateEnterprise", pb.CreateEnterpriseRequest(enterprise=enterprise()))
    assert again.code == 2302
    check = await node.ask("CheckEnterprise", pb.CheckEnterpriseRequest(ent_crt_code=enterprise().ent_crt_code))
    ent_id = pb.CheckEnterpriseResponse.FromString(check.response).ent_id
    assert len(ent_id) == 16
    same = await node.ask("CreatePrefix", pb.CreatePrefixRequest(ent_id=ent_id, prefix=LEATHER))
    assert same.code == 2302
    moved = enterprise(ent_addr_cn="广州市花都区狮岭镇2号")
    update = await node.ask("UpdateEnterprise", pb.UpdateEnterpriseRequest(ent_id=ent_id, enterprise=moved))
    assert update.code == 1000
    kept = await top.office.pool.fetchval("SELECT particulars FROM toplevel.enterprise")
    assert pb.Enterprise.FromString(kept) == moved


async def test_what_belongs_to_another_node_cannot_be_touched(top: Any, node: SecondaryNode):
    other = await top.enrolled("88.998", bytes([8]) * 32)
    check = await node.ask("CheckEnterprise", pb.CheckEnterpriseRequest(ent_crt_code=enterprise().ent_crt_code))
    ent_id = pb.CheckEnterpriseResponse.FromString(check.response).ent_id
    route = pb.Route(prefix=LEATHER, serial=1, address="192.0.2.1", http_port=80)
    chain = Chain(LEATHER)
    chain.add(entry("BAG-1"))
    message = (await node.poll()).message.id
    tries: dict[str, Any] = {
        "UpdateEnterprise": pb.UpdateEnterpriseRequest(ent_id=ent_id, enterprise=enterprise()),
        "CreatePrefix": pb.CreatePrefixRequest(ent_id=ent_id, prefix="88.998.1"),
        "PutRoute": pb.PutRouteRequest(route=route),
        "Acknowledge": pb.AcknowledgeRequest(id=message),
    }
    codes = {method: (await other.ask(method, given)).code for method, given in tries.items()}
    assert codes == {
        "UpdateEnterprise": 2201,
        "CreatePrefix": 2201,
        "PutRoute": 2201,
        "Acknowledge": 2303,
    }
    receipt = (await other.push(chain.stream()))[0]
    assert (receipt.verdict, receipt.place.number) == (pb.VERDICT_NOT_YOURS, 0)
    assert [refused.place for refused in await report(other, pb.Window(prefix=LEATHER, seconds=300))] == [0]
    assert await top.office.pool.fetchval("SELECT count(*) FROM toplevel.window") == 0
    assert (await other.ask("CreatePrefix", pb.CreatePrefixRequest(ent_id="x", prefix="88.999.7"))).code == 2201
    assert await other.places() == {}
    assert (await node.places())[LEATHER].number == 0


async def test_names_with_a_zero_octet_are_refused_not_stumbled_over(top: Any, node: SecondaryNode):
    asked: dict[str, Any] = {
        "CheckEnterprise": pb.CheckEnterpriseRequest(ent_crt_code="\0"),
        "CheckPrefix": pb.CheckPrefixRequest(prefix="88.999.\0"),
        "CreatePrefix": pb.CreatePrefixRequest(ent_id="\0", prefix="\0"),
        "CreateEnterprise": pb.CreateEnterpriseRequest(enterprise=enterprise(ent_name_cn="a\0")),
        "UpdateEnterprise": pb.UpdateEnterpriseRequest(ent_id="\0"),
        "PutRoute": pb.PutRouteRequest(route=pb.Route(prefix="\0", address="\0")),
        "Standing": pb.StandingRequest(after="\0"),
        "PushChanges": pb.PushChangesRequest(streams=[pb.Stream(prefix="\0")]),
        "ReportStatistics": pb.ReportStatisticsRequest(windows=[pb.Window(prefix="\0")]),
        "Heartbeat": pb.HeartbeatRequest(version="\0", machine="\0"),
    }
    for method, given in asked.items():
        assert (await node.ask(method, given)).code in {1000, 2003, 2005, 2303, 2201}, method
    status, _ = await node.send("Poll", node.request("Poll", pb.PollRequest(), shr_prefix="88.\0999")[0])
    assert status in {200, 401}


# -- streams


async def test_changes_are_kept_in_order_and_their_places_told(top: Any, node: SecondaryNode):
    chain = Chain(LEATHER)
    chain.add(entry("", 5, Kind.PREFIX_ENABLED, ""))
    chain.add(entry("BAG-1"), entry("BAG-2"))
    chain.add(entry("BAG-1", 2, Kind.UPDATED), entry("BAG-2", 2, Kind.DELETED))
    receipt = (await node.push(chain.stream(1, 2)))[0]
    assert (receipt.verdict, receipt.place.number, receipt.place.head) == (1, 2, chain.changes[1].head)
    assert (await node.push(chain.stream(2, 3)))[0].place.number == 3, "the second was there already, alike"
    assert (await node.places())[LEATHER] == pb.Place(prefix=LEATHER, number=3, head=chain.head)
    row = await top.office.pool.fetchrow(
        "SELECT created, updated, deleted, revived FROM toplevel.stream WHERE number = 3"
    )
    assert tuple(row) == (2, 1, 1, 0)


async def test_gaps_wrong_heads_and_another_past_are_refused_and_the_neighbours_go_on(top: Any, node: SecondaryNode):
    for number in range(2, 6):
        await node.file(f"88.999.100{number}")
    await top.audit()
    chains = [Chain(f"88.999.100{n}") for n in range(1, 6)]
    for chain in chains:
        for n in range(3):
            chain.add(entry(f"BAG-{n}"))
    assert [r.verdict for r in await node.push(*(chain.stream(1, 1) for chain in chains))] == [1] * 5
    gap, wrong, other_past, malformed, good = chains
    wrong.changes[1].entries[0].version = 9
    other_past.changes[0].entries[0].version = 9
    other_past.changes[0].head = link(other_past.prefix, HEAD_FIRST, other_past.changes[0].entries)
    malformed.changes[2].entries[0].digest = b"short"
    receipts = await node.push(gap.stream(3), wrong.stream(), other_past.stream(), malformed.stream(), good.stream(2))
    verdicts = [r.verdict for r in receipts]
    assert verdicts == [
        pb.VERDICT_GAP,
        pb.VERDICT_WRONG_HEAD,
        pb.VERDICT_DIVERGED,
        pb.VERDICT_MALFORMED,
        pb.VERDICT_ACCEPTED,
    ]
    assert [r.place.number for r in receipts] == [1, 1, 1, 2, 3]
    assert all(r.zh and r.en for r in receipts[:4])
    assert [p.number for p in (await node.places()).values()] == [1, 1, 1, 2, 3]


async def test_more_than_a_request_may_hold_is_refused_whole(node: SecondaryNode):
    many = pb.PushChangesRequest(streams=[pb.Stream(prefix=LEATHER)] * (STREAMS_MOST + 1))
    assert (await node.ask("PushChanges", many)).code == 2004
    change = pb.Change(number=1, head=bytes(32), entries=[entry("A")] * (ENTRIES_MOST + 1))
    large = pb.PushChangesRequest(streams=[pb.Stream(prefix=LEATHER, changes=[change])])
    refused = await node.ask("PushChanges", large)
    assert (refused.code, str(ENTRIES_MOST) in refused.en) == (2004, True)
    windows = pb.ReportStatisticsRequest(windows=[pb.Window(prefix=LEATHER)] * (WINDOWS_MOST + 1))
    assert (await node.ask("ReportStatistics", windows)).code == 2004
    assert (await node.places())[LEATHER].number == 0


async def test_one_stream_twice_in_a_request_goes_on_where_the_first_ended(node: SecondaryNode):
    chain = Chain(LEATHER)
    chain.add(entry("A"))
    chain.add(entry("B"))
    receipts = await node.push(chain.stream(1, 1), chain.stream(1, 2), pb.Stream(prefix=LEATHER, sub=-1))
    assert [(r.verdict, r.place.number) for r in receipts] == [(1, 1), (1, 2), (pb.VERDICT_NOT_YOURS, 0)]


async def test_the_same_changes_pushed_by_ten_at_once_are_there_once(top: Any, node: SecondaryNode):
    chain = Chain(LEATHER)
    chain.changes.extend(batches(LEATHER, 10, 20))
    receipts = await asyncio.gather(*(node.push(chain.stream()) for _ in range(10)))
    assert {(r[0].verdict, r[0].place.number) for r in receipts} == {(1, 10)}
    rows = await top.office.pool.fetchrow("SELECT count(*), sum(cardinality(suffixes)) FROM toplevel.change")
    assert tuple(rows) == (10, 200)


async def test_standings_come_page_by_page(top: Any, node: SecondaryNode, monkeypatch: pytest.MonkeyPatch):
    for number in range(2, 8):
        await node.file(f"88.999.100{number}")
    monkeypatch.setattr(service.rules, "STREAMS_MOST", 3)
    found: list[str] = []
    while page := pb.StandingResponse.FromString(
        (await node.ask("Standing", pb.StandingRequest(after=found[-1] if found else ""))).response
    ).places:
        assert len(page) <= 3
        assert all(place.head == HEAD_FIRST for place in page)
        found += [place.prefix for place in page]
    assert found == [f"88.999.100{n}" for n in range(1, 8)]


# -- the rest


async def test_routes_need_a_greater_number_to_change(node: SecondaryNode):
    async def put(**given: Any) -> int:
        route = pb.Route(**{"prefix": LEATHER, "serial": 2, "address": "192.0.2.1", "http_port": 80} | given)
        return (await node.ask("PutRoute", pb.PutRouteRequest(route=route))).code

    assert await put() == 1000
    assert await put() == 1000, "repeated after a lost answer"
    assert await put(address="192.0.2.2") == 2004
    assert await put(serial=1) == 2004
    assert await put(serial=3, address="2001:db8::1") == 1000
    assert await put(prefix="88.999", serial=1) == 1000, "of the node itself"
    assert await put(prefix="88.999.4444") == 2303
    await node.file("88.999.1002")
    assert await put(prefix="88.999.1002") == 2304, "not audited yet"


async def report(node: SecondaryNode, *windows: pb.Window) -> Sequence[pb.RefusedWindow]:
    """What was refused of these windows."""
    given = await node.ask("ReportStatistics", pb.ReportStatisticsRequest(windows=windows))
    assert given.code == 1000
    return pb.ReportStatisticsResponse.FromString(given.response).refused


async def test_a_window_that_cannot_be_kept_keeps_no_other_out(top: Any, node: SecondaryNode):
    good, later = (pb.Window(prefix=LEATHER, start=start, seconds=300, resolved=5) for start in (0, 300_000))
    foreign = pb.Window(prefix="88.998.1", seconds=300)
    negative = pb.Window(prefix=LEATHER, start=600_000, seconds=300, resolved=-1)
    refused = await report(node, foreign, good, negative, later)
    assert [each.place for each in refused] == [0, 2]
    assert "88.998.1" in refused[0].en
    assert "resolved" in refused[1].zh
    rows = await top.office.pool.fetch("SELECT start, resolved FROM toplevel.window ORDER BY start")
    assert [tuple(row) for row in rows] == [(0, 5), (300_000, 5)]


async def test_a_window_sent_again_replaces_what_was_known(top: Any, node: SecondaryNode):
    window = pb.Window(prefix=LEATHER, start=1_795_335_000_000, seconds=300, registered_total=10, resolved=5)
    for resolved in (5, 7):
        window.resolved = resolved
        assert not await report(node, window)
    rows = await top.office.pool.fetch("SELECT registered_total, resolved FROM toplevel.window")
    assert [tuple(row) for row in rows] == [(10, 7)]


async def test_a_heartbeat_says_how_many_messages_wait(top: Any, node: SecondaryNode):
    beat = pb.HeartbeatRequest(version="0.1.0", machine="ab12", started=1, oldest_unreceipted=2, unreceipted=3)
    answer = await node.ask("Heartbeat", beat)
    assert pb.HeartbeatResponse.FromString(answer.response).messages == 1
    row = await top.office.pool.fetchrow("SELECT heard, machine, unreceipted FROM toplevel.heartbeat")
    assert tuple(row) == (top.clock[0], "ab12", 3)


# -- bad days


async def test_a_lost_receipt_is_carried_out_and_a_repeat_finds_it_done(top: Any, node: SecondaryNode):
    chain = Chain(LEATHER)
    chain.add(entry("A"))
    top.fault(lost_receipt_rate=1.0)
    with pytest.raises(aiohttp.ClientError):
        await node.push(chain.stream())
    top.fault()
    assert (await node.places())[LEATHER].number == 1
    assert (await node.push(chain.stream()))[0].verdict == pb.VERDICT_ACCEPTED


async def test_a_delayed_answer_is_late_and_what_was_asked_is_done_at_once(top: Any, node: SecondaryNode):
    chain = Chain(LEATHER)
    chain.add(entry("A"))
    top.fault(delay_seconds=600)
    late = asyncio.create_task(node.push(chain.stream()))

    async def done() -> bool:
        return bool(await top.office.pool.fetchval("SELECT number FROM toplevel.stream") == 1)

    await until(done, "the change is in the books")
    assert not late.done()
    late.cancel()
    await asyncio.gather(late, return_exceptions=True)


async def test_in_an_outage_nothing_is_heard(top: Any, node: SecondaryNode):
    chain = Chain(LEATHER)
    chain.add(entry("A"))
    top.fault(outage=True)
    calls: list[Callable[[], Awaitable[Any]]] = [
        lambda: node.push(chain.stream()),
        lambda: top.session.get(f"{top.url}/api/handles/{LEATHER}/A"),
    ]
    for call in calls:
        with pytest.raises(aiohttp.ClientError):
            await call()
    top.fault()
    assert (await node.places())[LEATHER].number == 0


async def test_a_message_is_delivered_once_more_after_it_was_acknowledged_and_then_no_more(
    top: Any, node: SecondaryNode
):
    top.fault(duplicate_rate=1.0)
    message = (await node.poll()).message
    counts = []
    for _ in range(2):
        assert (await node.poll()).message == message
        done = await node.ask("Acknowledge", pb.AcknowledgeRequest(id=message.id))
        counts.append(pb.AcknowledgeResponse.FromString(done.response).count)
    assert counts == [1, 0]
    assert (await node.ask("Poll", pb.PollRequest())).code == 1300


async def test_books_that_are_away_are_a_503_and_not_a_refusal(top: Any, node: SecondaryNode):
    octets, _ = node.request("Poll", pb.PollRequest())
    top.office.pool.terminate()
    status, answer = await node.send("Poll", octets)
    assert status == 503
    assert b"books" in answer


async def test_templates_are_kept_as_they_were_last_told(top: Any):
    node = await top.enrolled()
    await node.file(LEATHER)
    given = pb.Template(
        prefix=LEATHER, version="bag", epoch=5, state=pb.TEMPLATE_STATE_PUBLISHED, revision=1, name_zh="手袋"
    )
    given.items.add(index=2000, name="a", zh="甲", kind="text")

    async def pushed(*templates: pb.Template) -> list[tuple[int, str]]:
        answer = await node.ask("PushTemplates", pb.PushTemplatesRequest(templates=templates))
        assert answer.code == 1000, answer
        return [(each.place, each.en) for each in pb.PushTemplatesResponse.FromString(answer.response).refused]

    async def kept() -> list[tuple[Any, ...]]:
        rows = await top.office.pool.fetch("SELECT version, epoch, state, name_zh, items FROM toplevel.template")
        return [tuple(row) for row in rows]

    assert await pushed(given) == []
    assert await kept() == [("bag", 5, 1, "手袋", 1)]

    def other(**changes: Any) -> pb.Template:
        made = pb.Template.FromString(given.SerializeToString())
        for name, value in changes.items():
            setattr(made, name, value)
        return made

    assert await pushed(other(epoch=4, name_zh="旧"), other(epoch=6, state=pb.TEMPLATE_STATE_WITHDRAWN)) == []
    assert await kept() == [("bag", 6, 2, "手袋", 1)]
    refused = await pushed(
        other(prefix="88.999.7777"),
        other(state=pb.TEMPLATE_STATE_UNSPECIFIED),
        other(version=""),
        other(version="a\0"),
        other(version="x" * 129),
        other(epoch=0),
        other(revision=0),
        other(version="good"),
    )
    assert [place for place, _ in refused] == list(range(7))
    assert len(await kept()) == 2
    many = [given] * (TEMPLATES_MOST + 1)
    assert (await node.ask("PushTemplates", pb.PushTemplatesRequest(templates=many))).code == 2004


# -- moving

HEIR = "88.777"


@dataclass
class Move:
    """A prefix with a chain, and the node it is to go to, which has filed its enterprise."""

    top: Any
    node: SecondaryNode
    heir: SecondaryNode
    chain: Chain
    ent_id: str

    def release(self, **changed: Any) -> pb.Release:
        """What its node has signed; `changed` afterwards, but for `to` and `made`."""
        at = self.chain.changes[-1]
        made = changed.pop("made", self.top.clock[0])
        given = pb.Release(node="88.999", number=at.number, head=at.head, made=made)
        given.signature = signed.let_go(LEATHER, changed.pop("to", HEIR), given, self.node.seed)
        for name, value in changed.items():
            setattr(given, name, value)
        return given

    async def file(self, release: pb.Release, **changed: Any) -> signed.Answered:
        given = {"ent_id": self.ent_id, "prefix": LEATHER} | changed
        return await self.heir.ask("CreatePrefix", pb.CreatePrefixRequest(release=release, **given))


@pytest.fixture
async def move(top: Any, node: SecondaryNode) -> Move:
    heir = await top.enrolled(HEIR, bytes([8]) * 32)
    made = await heir.ask("CreateEnterprise", pb.CreateEnterpriseRequest(enterprise=enterprise()))
    chain = Chain(LEATHER)
    chain.add(entry("BAG-1"))
    chain.add(entry("", 5, Kind.PREFIX_STOPPED, ""))
    await node.push(chain.stream())
    await node.ask("Acknowledge", pb.AcknowledgeRequest(id=(await node.poll()).message.id))
    return Move(top, node, heir, chain, pb.CreateEnterpriseResponse.FromString(made.response).ent_id)


async def put(node: SecondaryNode, prefix: str, serial: int, address: str) -> int:
    route = pb.Route(prefix=prefix, serial=serial, address=address, http_port=80)
    return (await node.ask("PutRoute", pb.PutRouteRequest(route=route))).code


async def test_a_prefix_goes_to_the_node_its_own_has_let_it_go_to_when_the_audit_has_passed(top: Any, move: Move):
    node, heir, chain = move.node, move.heir, move.chain
    assert [await put(node, LEATHER, 7, "192.0.2.1"), await put(heir, HEIR, 1, "192.0.2.2")] == [1000, 1000]
    told = pb.Template(prefix=LEATHER, version="bag", epoch=900, state=1, revision=1, name_zh="包")
    await node.ask("PushTemplates", pb.PushTemplatesRequest(templates=[told]))
    first = move.release()
    assert (await move.file(first)).code == 1001
    check = await heir.ask("CheckPrefix", pb.CheckPrefixRequest(prefix=LEATHER))
    state = pb.CheckPrefixResponse.FromString(check.response)
    assert (state.available, state.yours, state.state) == (False, True, pb.PREFIX_STATE_PENDING)
    assert (await move.file(move.release())).code == 2302
    assert list(await node.places()) == [LEATHER], "it is still where it was"
    assert await top.audit() == 1

    assert (await heir.poll()).message.audit.state == pb.PREFIX_STATE_NORMAL
    order = (await node.poll()).message.order
    assert (order.kind, order.prefix) == (pb.ORDER_KIND_RELEASE_PREFIX, LEATHER)
    assert (await node.places(), (await heir.places())[LEATHER].number) == ({}, 2)
    chain.add(entry("", 3, Kind.PREFIX_ENABLED, ""))
    assert [(await each.push(chain.stream(3)))[0].verdict for each in (node, heir)] == [5, 1]
    found = await books.referral(top.office.pool, LEATHER)
    assert found[1] is not None
    assert found[1].address == "192.0.2.2"
    assert [await put(node, LEATHER, 9, "192.0.2.1"), await put(heir, LEATHER, 1, "192.0.2.3")] == [2201, 1000]
    assert (await move.file(first)).code == 2302, "it has it already"
    told.epoch = 1
    await heir.ask("PushTemplates", pb.PushTemplatesRequest(templates=[told]))
    assert await top.office.pool.fetchval("SELECT epoch FROM toplevel.template") == 1
    assert [door[:2] for door in (await books.doors(top.office.pool))[0]] == [
        (HEIR, "192.0.2.2"),
        (LEATHER, "192.0.2.2"),
    ]
    (proof,) = await prove(top.office.pool, LEATHER, top.clock[0])
    assert (proof.flaw, proof.standing.number) == (None, 3)

    # It comes back; what let it go the first time is worth nothing then.
    back = pb.Release(node=HEIR, number=3, head=chain.head, made=top.clock[0])
    back.signature = signed.let_go(LEATHER, "88.999", back, heir.seed)
    given = pb.CreatePrefixRequest(ent_id=await ent_id_of(node), prefix=LEATHER, release=back)
    assert (await node.ask("CreatePrefix", given)).code == 1001
    await top.audit()
    assert (list(await node.places()), await heir.places()) == ([LEATHER], {})
    tries = (first, move.release(made=back.made), move.release())
    assert [(await move.file(each)).code for each in tries] == [2304, 2304, 1001]


async def ent_id_of(node: SecondaryNode) -> str:
    check = await node.ask("CheckEnterprise", pb.CheckEnterpriseRequest(ent_crt_code=enterprise().ent_crt_code))
    return pb.CheckEnterpriseResponse.FromString(check.response).ent_id


async def test_nobody_takes_a_prefix_that_was_not_let_go_to_it(top: Any, move: Move):
    other = await move.heir.ask("CreateEnterprise", pb.CreateEnterpriseRequest(enterprise=enterprise(2)))
    ent_id = pb.CreateEnterpriseResponse.FromString(other.response).ent_id
    assert [
        (await move.file(move.release(to="88.555"))).code,
        (await move.file(move.release(number=1))).code,
        (await move.file(move.release(node=HEIR))).code,
        (await move.file(move.release(node="\0"))).code,
        (await move.file(move.release(), ent_id=ent_id)).code,
        (await move.file(move.release(), ent_id=await ent_id_of(move.node))).code,
        (await move.file(move.release(), prefix="88.999.7")).code,
        (await move.file(move.release(), prefix="88.999")).code,
    ] == [2200, 2200, 2201, 2201, 2201, 2201, 2200, 2005]
    early = move.release()
    move.chain.add(entry("BAG-2"))
    await move.node.push(move.chain.stream(3))
    assert (await move.file(early)).code == 2304
    move.chain.changes[-1].head = bytes(32)
    assert (await move.file(move.release())).code == 2304


async def test_books_that_are_younger_than_a_move_take_its_prefix_as_a_new_one(top: Any, move: Move):
    fresh, other = f"{move.node.prefix}.1009", "88.998.1"
    for prefix, code in ((fresh, 1001), (other, 2201)):
        release = pb.Release(node="88.999", number=9, head=bytes(32), made=1)
        release.signature = signed.let_go(prefix, HEIR, release, move.node.seed)
        assert (await move.file(release, prefix=prefix)).code == code
    await top.audit()
    assert list(await move.heir.places()) == [fresh]


async def test_a_prefix_does_not_go_while_its_node_is_telling_of_it(top: Any, move: Move):
    assert (await move.file(move.release())).code == 1001
    async with top.office.pool.acquire() as telling, telling.transaction():
        assert list(await books.prefixes(telling, [LEATHER])) == [LEATHER]
        assert await top.audit() == 0
    assert await top.audit() == 1


async def test_a_prefix_that_is_suspended_on_its_way_stays_where_it_is(top: Any, move: Move):
    assert (await move.file(move.release())).code == 1001
    for kind, state in (("suspend", pb.PREFIX_STATE_REFUSED), ("resume", pb.PREFIX_STATE_NORMAL)):
        order = {"kind": kind, "prefix": LEATHER, "reason": "抽查"}
        async with top.session.post(f"{top.url}/control/orders", json=order) as response:
            assert response.status == 202
        if kind == "resume":
            assert (await move.file(move.release())).code == 1001
        await top.audit()
        message = (await move.heir.poll()).message
        assert message.audit.state == state
        await move.heir.ask("Acknowledge", pb.AcknowledgeRequest(id=message.id))


async def test_a_stream_that_goes_on_before_the_audit_keeps_the_prefix_where_it_is(top: Any, move: Move):
    assert await put(move.node, LEATHER, 7, "192.0.2.1") == 1000
    assert (await move.file(move.release())).code == 1001
    move.chain.add(entry("", 9, Kind.PREFIX_ENABLED, ""))
    await move.node.push(move.chain.stream(3))
    await top.audit()
    audit = (await move.heir.poll()).message.audit
    assert (audit.state, "packed anew" in audit.reason_en) == (pb.PREFIX_STATE_REFUSED, True)
    assert (list(await move.node.places()), (await move.node.poll()).count) == ([LEATHER], 0)
    assert (await move.file(move.release())).code == 1001
    await top.audit()
    assert list(await move.heir.places()) == [LEATHER]
    assert (await books.referral(top.office.pool, LEATHER))[1] is None, "its new node has not said where it is"
    assert await put(move.heir, LEATHER, 1, "192.0.2.3") == 1000

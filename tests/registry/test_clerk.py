"""Proves registry/clerk.py on a real PostgreSQL: only who is in office writes, and what is told twice counts once."""

import asyncio

import msgspec
import pytest

from proto.chain import HEAD_FIRST, Kind
from registry.account import Vault
from registry.clerk import Clerk, count_resolutions
from registry.errors import NotApprovedError, NotInOfficeError, TakenError, UnavailableError
from registry.filing import Filing, Told
from registry.postgres import uplink
from registry.postgres.connection import BROKEN, connect, open_pool
from registry.prefix import PrefixState
from tests.registry.world import (
    LOCKED,
    NO_VOICE,
    OTHER,
    PARTICULARS,
    PATIENCE,
    PREFIX,
    VAULT,
    World,
    eventually,
    request,
)

WINDOW = 300


async def elected(world: World, machine: str = "one", vault: Vault = VAULT) -> Clerk:
    """A clerk whose fence is the newest."""
    connection = await connect(world.url, "idnode-voice")
    fence = await uplink.claim(connection, machine)
    connection.terminate()
    await eventually(world.pool, NO_VOICE)  # the server hears of it a moment later
    assert fence is not None
    return Clerk(world.pool, fence, WINDOW, vault)


async def approved(world: World, clerk: Clerk, prefix: str = PREFIX) -> None:
    await clerk.to_file()
    await clerk.in_review(prefix)
    await clerk.take_in(Told(prefix, "approved"), None)


async def counts(world: World) -> tuple[int, ...]:
    found = await world.ask(
        "SELECT coalesce(sum(registered), 0), coalesce(sum(updated), 0), coalesce(sum(deleted), 0), "
        "coalesce(sum(resolved), 0), coalesce(sum(resolve_failed), 0) FROM statistics"
    )
    return tuple(map(int, found[0]))


async def standing(world: World, prefix: str = PREFIX) -> tuple[PrefixState, Filing, bool]:
    (row,) = [row for row in await world.steward.filings() if row["prefix"] == prefix]
    return PrefixState(row["state"]), Filing(row["filing"]), row["suspended"]


# -- the voice


async def test_one_session_is_the_voice_and_the_next_has_a_greater_fence(world: World):
    one, other = await connect(world.url, "idnode-a"), await connect(world.url, "idnode-b")
    first = await uplink.claim(one, "a")
    assert first is not None
    assert await uplink.claim(other, "b") is None
    assert await uplink.renew(one, first)
    one.terminate()
    async with asyncio.timeout(30):
        while (second := await uplink.claim(other, "b")) is None:
            continue
    assert second == first + 1
    assert not await uplink.renew(other, first)
    other.terminate()


async def test_a_silent_voice_is_put_out_of_office_and_one_that_speaks_is_not(world: World):
    one, other = await connect(world.url, "idnode-a"), await connect(world.url, "idnode-b")
    assert await uplink.claim(one, "a") is not None
    assert await uplink.oust(other, 60.0) == 0
    await world.pool.execute("UPDATE voice SET seen = now() - interval '10 s'")
    assert await uplink.oust(other, 8.0) == 1
    async with asyncio.timeout(30):
        while await uplink.claim(other, "b") is None:
            continue
    with pytest.raises(BROKEN):
        await uplink.renew(one, 1)
    one.terminate()
    other.terminate()


async def test_a_long_transaction_costs_nobody_the_office_and_nobody_is_elected_during_it(world: World):
    voice, other = await connect(world.url, "idnode-a"), await connect(world.url, "idnode-b")
    fence = await uplink.claim(voice, "a")
    assert fence is not None
    async with world.pool.acquire() as connection, connection.transaction():
        assert await uplink.hold_fence(connection, fence)
        async with asyncio.timeout(PATIENCE):
            assert await uplink.renew(voice, fence)
        voice.terminate()
        await eventually(world.pool, NO_VOICE)
        electing = asyncio.ensure_future(uplink.claim(other, "b"))
        await eventually(world.pool, LOCKED, 1)
        assert not electing.done()
    async with asyncio.timeout(PATIENCE):
        assert await electing == fence + 1
    other.terminate()


async def test_who_is_no_longer_in_office_changes_nothing(world: World):
    clerk = await elected(world)
    await elected(world, "two")
    for attempt in (
        clerk.to_file(),
        clerk.in_review(PREFIX),
        clerk.take_in(Told(PREFIX, "refused"), 1),
        clerk.receive({world.prefix_no: (1, b"h" * 32)}),
        clerk.pin(b"k" * 32),
        clerk.keep_nonce(world.prefix_no, b"n"),
        clerk.verify_again("", PREFIX, 2),
        clerk.routes("88.999", "10.0.0.1", 2641, 8000, []),
        clerk.windows_told([]),
        clerk.forget_old(90),
    ):
        with pytest.raises(NotInOfficeError):
            await attempt
    assert await world.one("SELECT count(*) FROM filing") == 0
    assert await world.one("SELECT count(*) FROM message") == 0


# -- the key


async def test_the_key_is_made_once_and_opens_with_the_nodes_key_alone(world: World):
    clerk = await elected(world)
    assert await clerk.key(b"1" * 32) == b"1" * 32
    assert await clerk.key(b"2" * 32) == b"1" * 32
    other = await elected(world, vault=Vault(b"x" * 32))
    assert await other.key(b"2" * 32) == b""
    assert b"1" * 32 not in await world.one("SELECT private_key FROM node_key")


async def test_the_first_key_of_the_top_level_node_is_believed_and_no_other(world: World):
    clerk = await elected(world)
    await clerk.key(bytes(32))
    assert await clerk.toplevel_key() is None
    await clerk.pin(b"a" * 32)
    await clerk.pin(b"b" * 32)
    assert await clerk.toplevel_key() == b"a" * 32


# -- filing


async def test_a_prefix_to_be_filed_is_pending_and_opens_with_approval(world: World):
    clerk = await elected(world)
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS, filed=True)
    assert await standing(world, OTHER) == (PrefixState.PENDING, Filing.WAITING, False)
    enterprises, prefixes = await clerk.to_file()
    assert [(each.name, each.particulars, each.ent_id) for each in enterprises] == [("新厂", PARTICULARS, "")]
    assert prefixes == []
    await clerk.enterprise_filed(enterprises[0], "E1")
    enterprises, prefixes = await clerk.to_file()
    assert enterprises == []
    assert [(row["prefix"], row["ent_id"], row["nonce"]) for row in prefixes] == [(OTHER, "E1", b"")]
    await clerk.keep_nonce(prefixes[0]["prefix_no"], b"n" * 16)
    await clerk.in_review(OTHER)
    assert await standing(world, OTHER) == (PrefixState.IN_REVIEW, Filing.IN_REVIEW, False)
    assert (await clerk.to_file())[1] == []
    assert await clerk.take_in(Told(OTHER, "approved", b"n" * 16), 7)
    assert await standing(world, OTHER) == (PrefixState.ENABLED, Filing.APPROVED, False)
    await clerk.in_review(OTHER)
    assert await standing(world, OTHER) == (PrefixState.ENABLED, Filing.APPROVED, False)


async def test_a_message_is_carried_out_once_however_often_it_is_delivered(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    assert await clerk.take_in(Told(PREFIX, "suspended", zh="违规", en="rules"), 1)
    assert await clerk.take_in(Told(PREFIX, "resumed"), 2)
    assert not await clerk.take_in(Told(PREFIX, "suspended"), 1)
    assert await standing(world) == (PrefixState.ENABLED, Filing.APPROVED, False)
    assert [kind for _, _, kind in await world.stream()] == [
        Kind.PREFIX_ENABLED,
        Kind.PREFIX_STOPPED,
        Kind.PREFIX_ENABLED,
    ]


async def test_an_answer_to_an_earlier_filing_changes_nothing(world: World):
    clerk = await elected(world)
    await clerk.to_file()
    await clerk.keep_nonce(world.prefix_no, b"new")
    assert not await clerk.take_in(Told(PREFIX, "refused", b"old"), 1)
    assert (await standing(world))[0] is PrefixState.ENABLED


async def test_an_enabled_prefix_stays_enabled_while_it_is_filed_and_closes_when_refused(world: World):
    clerk = await elected(world)
    await clerk.to_file()
    await clerk.in_review(PREFIX)
    assert await standing(world) == (PrefixState.ENABLED, Filing.IN_REVIEW, False)
    await clerk.take_in(Told(PREFIX, "refused", zh="资料不符", en="does not match"), 1)
    assert await standing(world) == (PrefixState.REFUSED, Filing.REFUSED, False)
    assert (await world.steward.filings())[0]["reason_zh"] == "资料不符"


async def test_what_is_refused_is_filed_again_when_it_is_registered_again(world: World):
    clerk = await elected(world)
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS, filed=True)
    await clerk.take_in(Told(OTHER, "refused"), 1)
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS, filed=True)
    assert await standing(world, OTHER) == (PrefixState.PENDING, Filing.WAITING, False)


async def test_what_waited_for_a_top_level_node_opens_when_it_is_registered_again_without_one(world: World):
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS, filed=True)
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    assert await standing(world, OTHER) == (PrefixState.ENABLED, Filing.WAITING, False)
    clerk = await elected(world)
    await clerk.to_file()
    await clerk.take_in(Told(OTHER, "refused"), 1)
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    assert (await standing(world, OTHER))[0] is PrefixState.REFUSED


async def test_an_administrator_cannot_open_what_is_suspended_or_refused(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    await clerk.take_in(Told(PREFIX, "suspended"), 1)
    with pytest.raises(NotApprovedError, match=r"未获国家顶级节点批准.* Prefix 88\.999\.1001 is not approved"):
        await world.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
    await clerk.take_in(Told(PREFIX, "resumed"), 2)
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    assert await world.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)


async def test_a_prefix_its_operator_stopped_before_its_suspension_is_opened_by_him_alone(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    await clerk.take_in(Told(PREFIX, "suspended"), 1)
    await clerk.take_in(Told(PREFIX, "resumed"), 2)
    assert await standing(world) == (PrefixState.STOPPED, Filing.APPROVED, False)
    assert await world.steward.set_prefix_state(PREFIX, PrefixState.ENABLED)
    await clerk.take_in(Told(PREFIX, "suspended"), 3)
    await clerk.take_in(Told(PREFIX, "resumed"), 4)
    assert await standing(world) == (PrefixState.ENABLED, Filing.APPROVED, False)


async def test_a_prefix_its_operator_stops_during_its_suspension_is_opened_by_him_alone(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    await clerk.take_in(Told(PREFIX, "suspended", zh="违规", en="rules"), 1)
    await world.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    assert (await world.steward.filings())[0]["reason_zh"] == "违规"
    await clerk.take_in(Told(PREFIX, "resumed"), 2)
    assert await standing(world) == (PrefixState.STOPPED, Filing.APPROVED, False)


async def test_particulars_are_filed_again_when_they_change_or_an_order_says_so(world: World):
    clerk = await elected(world)
    number = await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    (first,), _ = await clerk.to_file()
    await clerk.enterprise_filed(first, "E1")
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    assert (await clerk.to_file())[0] == []
    await clerk.verify_again("E1", "", 1)
    await clerk.verify_again("E1", "", 1)
    (again,), _ = await clerk.to_file()
    assert (again.number, again.revision, again.ent_id) == (number, 2, "E1")
    await clerk.enterprise_refused(again, "不符", "does not match")
    assert (await clerk.to_file())[0] == []
    await clerk.verify_again("", OTHER, 2)
    assert [each.revision for each in (await clerk.to_file())[0]] == [3]


async def test_the_number_of_a_persons_document_is_sealed(world: World):
    clerk = await elected(world)
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    kept = (await world.ask("SELECT given::text, sealed FROM particulars"))[0]
    assert PARTICULARS.legal_id_no not in kept[0]
    assert PARTICULARS.legal_id_no.encode() not in kept[1]
    assert [each.particulars for each in (await clerk.to_file())[0]] == [PARTICULARS]


async def test_particulars_kept_before_they_were_sealed_are_read_as_they_are(world: World):
    clerk = await elected(world)
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    given = msgspec.json.encode(PARTICULARS).decode()
    await world.pool.execute("UPDATE particulars SET given = $1::text::jsonb, sealed = NULL", given)
    assert [each.particulars for each in (await clerk.to_file())[0]] == [PARTICULARS]


async def test_two_enterprises_cannot_bear_one_credit_code(world: World):
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    with pytest.raises(TakenError, match="belongs to another"):
        await world.steward.enrol("天马皮具", "Tianma", "leather", PREFIX, PARTICULARS)


# -- streams, receipts, windows


async def test_changes_come_in_order_within_their_bounds(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    for n in range(6):
        await world.write(request("create", f"A{n}"), request("create", f"B{n}"))
    (stream,) = await clerk.standings(behind=True)
    assert (stream.prefix, stream.number, stream.receipted) == (PREFIX, 7, 0)
    rows = await clerk.changes([(world.prefix_no, 0)], 100, 2000, 20_000)
    assert [row["number"] for row in rows] == list(range(1, 8))
    assert [len(row["suffixes"]) for row in rows] == [1, 2, 2, 2, 2, 2, 2]
    assert [row["number"] for row in await clerk.changes([(world.prefix_no, 2)], 100, 4, 20_000)] == [3, 4]
    assert [row["number"] for row in await clerk.changes([(world.prefix_no, 2)], 100, 2000, 3)] == [3, 4]
    assert [row["number"] for row in await clerk.changes([(world.prefix_no, 2)], 1, 2000, 20_000)] == [3]
    assert await clerk.changes([(world.prefix_no, 7)], 100, 2000, 20_000) == []
    assert await clerk.heads({world.prefix_no: 0}) == {world.prefix_no: HEAD_FIRST}
    assert await clerk.heads({world.prefix_no: 7}) == {world.prefix_no: rows[-1]["head"]}
    assert await clerk.heads({world.prefix_no: 8}) == {}
    assert await clerk.template_versions([world.bag.number]) == {world.bag.number: "bag"}


async def test_each_change_is_counted_once_with_its_receipt(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    await world.write(request("create", "A"), request("create", "B"))
    await world.write(request("delete", "B"))
    await world.write(request("create", "B"))
    assert (await clerk.unreceipted())[0] == 4
    assert (await clerk.unreceipted())[1] > 0
    for number in (2, 2, 1, 4, 3, 4):
        (head,) = (await clerk.heads({world.prefix_no: number})).values()
        await clerk.receive({world.prefix_no: (number, head)})
    assert await counts(world) == (3, 0, 1, 0, 0)
    assert await world.one("SELECT live FROM receipt") == 2
    assert await clerk.unreceipted() == (0, 0)
    assert await clerk.standings(behind=True) == []
    assert len(await clerk.standings(behind=False)) == 1


async def test_a_window_is_told_until_it_is_known_as_it_is(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    await world.write(request("create", "A"), request("create", "B"))
    (head,) = (await clerk.heads({world.prefix_no: 2})).values()
    await clerk.receive({world.prefix_no: (2, head)})
    start = await world.one("SELECT start FROM statistics")
    assert await clerk.windows(start + WINDOW * 1000 - 1, 100) == []
    rows = await clerk.windows(start + WINDOW * 1000, 100)
    assert [(row["prefix"], row["total"], row["registered"]) for row in rows] == [(PREFIX, 2, 2)]
    await count_resolutions(world.pool, "one", {world.prefix_no: (5, 1)}, start, WINDOW)
    await clerk.windows_told(rows)
    rows = await clerk.windows(start + WINDOW * 1000, 100)
    assert [(row["total"], row["registered"], row["resolved"], row["resolve_failed"]) for row in rows] == [(2, 2, 5, 1)]
    await clerk.windows_told(rows)
    assert await clerk.windows(start + WINDOW * 1000, 100) == []


async def test_a_change_told_late_corrects_the_windows_after_it(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    await world.write(request("create", "A"))
    await world.write(request("create", "B"))
    await world.pool.execute("UPDATE change SET made = made - interval '2 hours' WHERE number = 2")
    for number in (1, 2, 3):
        (head,) = (await clerk.heads({world.prefix_no: number})).values()
        if number == 3:
            late = await clerk.windows(2**53, 100)
            await clerk.windows_told(late)
        await clerk.receive({world.prefix_no: (number, head)})
    rows = await clerk.windows(2**53, 100)
    assert [(row["total"], row["registered"]) for row in rows] == [(2, 1)]
    await clerk.windows_told(rows)
    await world.write(request("create", "C"))
    await world.pool.execute("UPDATE change SET made = made - interval '3 hours' WHERE number = 4")
    (head,) = (await clerk.heads({world.prefix_no: 4})).values()
    await clerk.receive({world.prefix_no: (4, head)})
    rows = await clerk.windows(2**53, 100)
    assert [(row["total"], row["registered"]) for row in rows] == [(1, 1), (2, 1), (3, 1)]


async def test_resolutions_told_twice_or_by_a_successor_count_once(world: World):
    for totals in ({world.prefix_no: (5, 1)}, {world.prefix_no: (5, 1)}, {world.prefix_no: (9, 1)}, {}):
        await count_resolutions(world.pool, "one", totals, 0, WINDOW)
    await count_resolutions(world.pool, "two", {world.prefix_no: (3, 0), 999_999: (1, 1)}, 0, WINDOW)
    assert await counts(world) == (0, 0, 0, 12, 1)


async def test_what_was_told_long_ago_is_forgotten(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    await count_resolutions(world.pool, "one", {world.prefix_no: (5, 1)}, 0, WINDOW)
    await clerk.forget_old(90)
    assert await world.one("SELECT count(*) FROM statistics") == 1
    await clerk.windows_told(await clerk.windows(2**53, 10))
    await world.pool.execute("UPDATE machine SET seen = now() - interval '91 days'")
    await clerk.forget_old(90)
    assert await world.one("SELECT count(*) FROM statistics") == 0
    assert await world.one("SELECT count(*) FROM tally") == 0


async def test_old_changes_are_bound_when_they_have_their_receipt(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(uplink, "VOLUME_ROWS", 3)
    clerk = await elected(world)
    await approved(world, clerk)
    for n in range(9):
        await world.write(request("create", f"A{n}"))
    told = [tuple(row) for row in await clerk.changes([(world.prefix_no, 0)], 100, 100, 100)]
    heads = await clerk.heads({world.prefix_no: 5})
    await world.pool.execute("UPDATE change SET made = made - interval '3 days' WHERE number < 9")
    assert await clerk.bind_old(2) == 0  # nothing of it is known to have arrived
    await clerk.receive({world.prefix_no: (8, (await clerk.heads({world.prefix_no: 8}))[world.prefix_no])})
    waiting = await clerk.unreceipted()
    assert [await clerk.bind_old(2) for _ in range(3)] == [1, 1, 0]
    assert await world.one("SELECT min(number) FROM change") == 7
    again = await clerk.changes([(world.prefix_no, 0)], 100, 100, 100)
    assert [(row["number"], row["head"], row["digests"]) for row in again] == [(n, h, d) for _, n, _, h, *_, d in told]
    assert await clerk.heads({world.prefix_no: 5}) == heads
    assert await clerk.unreceipted() == waiting


# -- routes


async def test_a_route_that_changes_gets_the_next_serial(world: World):
    clerk = await elected(world)
    await approved(world, clerk)
    routes = await clerk.routes("88.999", "10.0.0.1", 2641, 8000, [])
    assert [(r.prefix, r.serial, r.address, r.http_port) for r in routes] == [
        ("88.999", 1, "10.0.0.1", 8000),
        (PREFIX, 1, "10.0.0.1", 8000),
    ]
    for route in routes:
        await clerk.route_told(route)
    assert await clerk.routes("88.999", "10.0.0.1", 2641, 8000, []) == []
    assert await clerk.routes("88.999", "", 2641, 8000, []) == []
    assert [(r.prefix, r.serial) for r in await clerk.routes("88.999", "10.0.0.2", 2641, 8000, [])] == [
        ("88.999", 2),
        (PREFIX, 2),
    ]
    assert [r.prefix for r in await clerk.routes("88.999", "10.0.0.2", 2641, 8000, ["88.999"])] == [PREFIX]


# -- forgetting, and a database that is away


async def test_a_forgotten_top_level_node_is_told_everything_again(world: World):
    clerk = await elected(world)
    await clerk.key(bytes(32))
    await clerk.pin(b"a" * 32)
    await world.steward.enrol("新厂", "New", "leather", OTHER, PARTICULARS)
    await approved(world, clerk)
    await world.steward.forget_toplevel()
    with pytest.raises(NotInOfficeError):
        await clerk.to_file()
    clerk = await elected(world)
    assert await clerk.toplevel_key() is None
    enterprises, _ = await clerk.to_file()
    assert [each.name for each in enterprises] == ["新厂"]
    assert await clerk.standings(behind=False) == []
    assert await standing(world) == (PrefixState.ENABLED, Filing.WAITING, False)


async def test_a_database_that_is_away_is_unavailable():
    pool = await open_pool("postgresql://idnode@/idnode?host=/nowhere&port=5432", size=1, name="idnode-test")
    with pytest.raises(UnavailableError):
        await Clerk(pool, 1, WINDOW, VAULT).to_file()
    with pytest.raises(UnavailableError):
        await count_resolutions(pool, "one", {}, 0, WINDOW)
    await pool.close()

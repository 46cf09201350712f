"""A single registration in the lane is answered as by the door, octet for octet, carried out once, counted the same.

What is judged and written is a table here; who asks, what waits and what is counted are the real rooms.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime
from functools import partial
from itertools import pairwise
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from aiohttp import web, web_response
from hypothesis import given, settings
from hypothesis import strategies as st

from node import meter
from node.admission import Admission
from node.calls import Calls
from node.config import Config
from node.doorkeeper import Doorkeeper
from node.gather import BusyError
from node.house import House
from node.listen import http, snms_api
from node.listen.connection import PIECES_MOST
from node.listen.lane import Lane
from node.listen.plain import ASKED, HEADS_MOST, MORE
from node.listen.singles import OCTETS_MOST
from node.meter import Meter, Totals
from node.register.batcher import Batcher
from node.register.measured import MeasuredBatcher
from proto.chain import Kind
from registry.account import Account, token_digest
from registry.errors import UnavailableError, UnknownOutcomeError
from registry.registrar import CONTENDED, Job, Outcome, Written
from registry.rights import Role
from registry.rules import EXISTS_ZH, Refused, Rule, Unchanged
from tests.fakes import laned
from tests.fakes.laned import (
    DATE,
    Fin,
    Time,
    World,
    blurred,
    has_left,
    head,
    passed,
    said,
    sendings,
    settled,
    statuses_of,
)
from tests.waiting import PATIENCE

WHO = Account(1, "leather", "person", Role.ENTERPRISE_ADMIN, 1)
SPENT = Account(2, "busy", "person", Role.ENTERPRISE_ADMIN, 2)
PREFIX = "88.999.1001"
OUTCOMES: dict[str, Outcome | Exception] = {
    "SAME": Unchanged(3),
    "THERE": Refused(Rule.EXISTS, "handle", EXISTS_ZH, "exists", ("styleNo", "colour")),
    "CLOSED": Refused(Rule.PREFIX_CLOSED, "handle", "前缀已停用", "stopped"),
    "THEIRS": Refused(Rule.PERMISSION, "handle", "没有操作权限", "not yours"),
    "RACED": CONTENDED,
    "DOWN": UnavailableError("the database is away"),
    "LOST": UnknownOutcomeError("the connection broke", 7),
    "FULL": BusyError(),
    "BROKEN": ZeroDivisionError(),
}
"""What becomes of suffixes; all else is written."""


class Registrar:
    """Answers out of the table, some turns later; keeps what it was given."""

    def __init__(self) -> None:
        self.given: list[Job] = []
        self.gate: asyncio.Event | None = None

    async def write(self, jobs: Sequence[Job], now: int) -> list[Outcome]:
        await (self.gate.wait() if self.gate else asyncio.sleep(0))
        self.given += jobs
        outcomes = [OUTCOMES.get(job.request.identifier.suffix, Written(Kind.CREATED, 1)) for job in jobs]
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome
        return [outcome for outcome in outcomes if not isinstance(outcome, Exception)]


class Lookup:
    """Knows two tokens, and that the enterprise of one has no calls left."""

    async def count_calls(self, *_: object, **__: object) -> dict[int, int]:
        return {2: 0}

    async def holders(self, digests: list[bytes]) -> dict[bytes, Account]:
        await asyncio.sleep(0)
        if token_digest("down") in digests:
            raise UnavailableError("the database is away")
        known = {token_digest("good"): WHO, token_digest("spent"): SPENT}
        return {digest: known[digest] for digest in digests if digest in known}

    async def industry(self, prefix: str) -> str:
        return "leather"


NOTHING_KEPT = {
    "shelves": ({}, {}, {}),
    "heard": lambda: 0,
    "holding": lambda handle: None,
    "together": nullcontext,
    "fetch_held": None,
    "fetch_new": None,
}
"""What the lane asks of Hot."""


@asynccontextmanager
async def world(*, with_lane: bool, **given: Any) -> AsyncIterator[World]:
    """A door at which registrations come."""
    config = Config(trusted_proxies="198.51.100.0/24", **given)
    counts = meter.create(1)
    counting, time, lookup, registrar = Meter(counts, 1, 0), Time(), Lookup(), Registrar()
    batcher = Batcher(registrar, 100, lambda: time.now)  # type: ignore[arg-type]
    nobody: Any = None
    noted: list[Any] = []
    measured = MeasuredBatcher(batcher, lookup, counting, lambda: time.passed, noted.append)  # type: ignore[arg-type]
    calls = Calls(lookup, lambda: datetime(2026, 11, 22, 12, tzinfo=UTC))  # type: ignore[arg-type]
    await calls.tell()
    house: Any = SimpleNamespace(
        config=config,
        admission=Admission(config.requests, config.peer_rate, lambda: time.passed),
        meter=counting,
        hot=SimpleNamespace(**NOTHING_KEPT),
        road=nobody,
        doorkeeper=Doorkeeper(lookup, *[nobody] * 5, calls, second_factor=False),  # type: ignore[arg-type]
        batcher=measured,
        registrar=registrar,
        recording=laned.recording(noted),
    )
    app = http.application(house)
    snms_api.add_routes(app)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    lane = Lane(house, lambda: time.passed, lambda: time.now) if with_lane else None
    with (
        patch.object(web_response, "rfc822_formatted_time", lambda: DATE),
        patch.object(http.secrets, "token_hex", lambda octets: "ab" * octets),
    ):
        yield World(time, runner.server, house, lane, Totals(counts, 1), noted)
    await runner.cleanup()
    os.close(counts)


alike = partial(laned.alike, world)


def row(suffix: str) -> bytes:
    values = [{"index": 2000, "type": "styleNo", "data": {"format": "string", "value": "皮-1"}}]
    return msgspec.json.encode({"handle": f"{PREFIX}/{suffix}", "templateVersion": "bag", "value": values})


def post(body: bytes, *lines: str, method: str = "POST", path: str = snms_api.DATA, token: str = "good") -> bytes:
    return head(path, f"Authorization: Bearer {token}", f"Content-Length: {len(body)}", *lines, method=method) + body


PLAIN = post(row("BAG-1"))


async def test_the_plain_case_never_becomes_a_request() -> None:
    sent = [
        PLAIN,
        post(row("BAG-2"), "Content-Type: application/json", "User-Agent: MES/2", "Accept: */*"),
        post(row("BAG-1"), "connection: Keep-Alive", method="PUT"),
        post(msgspec.json.encode({"handle": f"{PREFIX}/BAG-1"}), method="DELETE"),
        post(row("BAG-3"), path="/snmsapi/identityv2/data"),
    ]
    pieces = [piece for each in sent for piece in (each, None)]
    assert statuses_of(await alike(pieces)) == [200] * 5
    async with world(with_lane=True) as fast:
        answered, closed = await said(fast, pieces)
        assert answered.count(b'{"status":1,"message":"success","data":true}') == 5
        assert (closed, fast.server.requests_count) == (False, 0)
        operations = [job.request.operation for job in fast.house.registrar.given]  # type: ignore[attr-defined]
        assert operations == ["create", "create", "update", "delete", "create"]


@pytest.mark.parametrize("suffix", [*OUTCOMES, "NEW", "B A D", ""])
@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_every_outcome_is_told_alike(suffix: str, method: str) -> None:
    sent = post(row(suffix), method=method)
    assert (await alike([sent, None, sent])).count(b"HTTP/1.1 ") == 2


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", b'"x"', b"\xff", b"[" * 5000, b'{"handle":"88.999.1001/A"}', row("A")[:-1]]
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_a_body_that_cannot_be_read_is_told_alike(body: bytes, method: str) -> None:
    assert statuses_of(await alike([post(body, method=method), None, PLAIN])) == [200, 200]


@pytest.mark.parametrize("token", ["bad", "down", "good ", "spent", ""])
async def test_who_is_not_signed_in_is_told_alike_and_writes_nothing(token: str) -> None:
    await alike([post(row("A"), token=token), None, PLAIN])
    async with world(with_lane=True) as fast:
        await said(fast, [post(row("A"), token=token)])
        assert len(fast.house.registrar.given) == (token.strip() == "good")  # type: ignore[attr-defined]
        assert fast.house.admission.in_hand == 0


async def test_other_schemes_and_none_at_all_are_told_alike() -> None:
    body = row("A")
    for lines in (["Authorization: Basic eA=="], ["Authorization: bearer good"], ["Authorization: good"], []):
        await alike([head(snms_api.DATA, f"Content-Length: {len(body)}", *lines, method="POST") + body])


LEAVING = [
    (PLAIN + b"x",),
    (PLAIN + PLAIN,),
    (PLAIN[:40], PLAIN[40:]),
    (post(row("A"), "Expect: 100-continue"),),
    (post(b"", "Transfer-Encoding: chunked") + b"0\r\n\r\n",),
    (post(row("A"), "Content-Encoding: gzip"),),
    (post(row("A"), "Connection: close"),),
    (post(row("A"), "Content-Length: 5"),),
    (post(row("A"), "X-Forwarded-For: a", "X-Forwarded-For: b"),),
    (post(row("A")).replace(b"Content-Length: ", b"Content-Length: 0"),),
    (post(row("A")).replace(b"Content-Length: ", b"Content-Length: +"),),
    (post(row("A")).replace(b"Host: x\r\n", b""),),
    (post(b" " * OCTETS_MOST),),
    (post(b" " * OCTETS_MOST)[:200], b" " * OCTETS_MOST),
    (head(snms_api.DATA, method="POST"),),
]


@pytest.mark.parametrize("leaving", LEAVING)
async def test_who_sends_anything_else_has_left_the_lane_for_good(leaving: tuple[bytes, ...]) -> None:
    await alike([PLAIN, None, *leaving, None, PLAIN])
    async with world(with_lane=True) as fast:
        assert await has_left(fast, leaving[0])


OTHERS = [
    post(msgspec.json.encode({"username": "leather"}), path="/identity/token"),
    post(b"{", path="/identityv2/data/batchCreate"),
    post(row("A"), path="/identityv2/data?x=1"),
    post(row("A"), method="PATCH"),
    post(b"", path="/nothing"),
]


@pytest.mark.parametrize("other", OTHERS)
async def test_who_asks_for_anything_else_in_a_whole_request_stays_in_the_lane(other: bytes) -> None:
    """Who signs in and registers on one connection, above all."""
    end = other.index(b"\r\n\r\n") + 4
    for pieces in ([other], [other[:end], 1, other[end:]] if other[end:] else [other]):
        sent = [PLAIN, None, *pieces, None, PLAIN]
        assert (await alike(sent)).count(b"HTTP/1.1 ") == 3
        async with world(with_lane=True) as fast:
            await said(fast, sent)
            assert fast.server.requests_count == 1


@pytest.mark.parametrize("turns", [0, 1, 7])
async def test_a_body_may_come_a_moment_after_its_head(turns: int) -> None:
    """So http.client sends it, and many others."""
    end = PLAIN.index(b"\r\n\r\n") + 4
    for cuts in ([end], [end, end + 9], [end + 9, len(PLAIN) - 1]):
        pieces = [piece for a, b in pairwise([0, *cuts, len(PLAIN)]) for piece in (PLAIN[a:b], turns)]
        sent = [*pieces, None, *pieces, None, PLAIN]
        assert statuses_of(await alike(sent)) == [200, 200, 200]
        async with world(with_lane=True) as fast:
            await said(fast, sent)
            assert (fast.server.requests_count, len(fast.house.registrar.given)) == (0, 3)  # type: ignore[attr-defined]


async def test_a_body_that_comes_in_crumbs_is_the_doors() -> None:
    end = PLAIN.index(b"\r\n\r\n") + 4
    crumbs = [PLAIN[:end], *(PLAIN[at : at + 1] for at in range(end, len(PLAIN)))]
    assert statuses_of(await alike([*crumbs, None, PLAIN])) == [200, 200]
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        for crumb in crumbs[: PIECES_MOST - 1]:
            connection.data_received(crumb)
            await asyncio.sleep(0)
        assert (len(connection._begun), connection._lane is None) == (PIECES_MOST - 1, False)
        connection.data_received(crumbs[PIECES_MOST - 1])
        await asyncio.sleep(0)
        assert (connection._begun, connection._lane) == ([], None)
        wire.close()
        await settled(wire)


async def test_a_body_that_does_not_come_is_waited_for_by_the_door() -> None:
    end = PLAIN.index(b"\r\n\r\n") + 4
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        connection.data_received(PLAIN[:end])
        await asyncio.sleep(0)
        assert connection._wanting is not None
        await passed(connection, wire)
        assert (connection._lane, connection._wanting, fast.server.requests_count) == (None, None, 1)
        connection.data_received(PLAIN[end:])
        await settled(wire)
        assert statuses_of(bytes(wire.out)) == [200]
        wire.close()
        await settled(wire)
        connection, wire = fast.open()
        await settled(wire)
        connection.data_received(PLAIN[:end])
        wire.close()
        await settled(wire)
        assert (connection._wanting, connection._begun) == (None, [])


async def test_a_request_hidden_in_a_body_is_never_carried_out() -> None:
    """Request smuggling: behind a proxy, its answer would go to whoever asks next."""
    hidden = head(snms_api.DATA, f"Content-Length: {len(PLAIN)}", "Authorization: Bearer good", method="POST")
    for sent in ([hidden, None, PLAIN], [hidden + PLAIN], [hidden + PLAIN[:9], None, PLAIN[9:]]):
        assert (await alike(sent)).count(b"HTTP/1.1 ") == 1
        async with world(with_lane=True) as fast:
            await said(fast, sent)
            assert fast.house.registrar.given == []  # type: ignore[attr-defined]


async def test_a_mistake_of_ours_is_told_and_nothing_is_carried_out_twice() -> None:
    async with world(with_lane=True) as fast:
        answered, _ = await said(fast, [post(row("BROKEN")), None, PLAIN])
        assert re.findall(rb'"status":(-?\d)', answered) == [b"-4", b"1"]
        assert len(fast.house.registrar.given) == 2  # type: ignore[attr-defined]
        assert (fast.server.requests_count, fast.house.admission.in_hand) == (0, 0)
        with patch.object(snms_api, "single", side_effect=ZeroDivisionError):
            assert b'"status":-4' in (await said(fast, [PLAIN]))[0]


async def test_who_leaves_before_the_answer_has_written_all_the_same() -> None:
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        connection.data_received(PLAIN)
        wire.close()
        await settled(wire)
        assert len(fast.house.registrar.given) == 1  # type: ignore[attr-defined]
        assert (fast.house.admission.in_hand, bytes(wire.out)) == (0, b"")


async def test_an_answer_under_way_goes_out_before_the_end() -> None:
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        connection.data_received(PLAIN)
        await asyncio.sleep(0)
        fast.server.pre_shutdown()
        await fast.server.shutdown(PATIENCE)
        await settled(wire)
        assert (statuses_of(bytes(wire.out)), wire.closed) == ([200], True)


async def test_the_rate_of_a_peer_counts_in_the_lane() -> None:
    assert statuses_of(await alike([PLAIN, None] * 6, peer_rate=2)) == [200] * 4 + [429] * 2


@pytest.mark.parametrize("with_lane", [False, True])
async def test_requests_in_hand_count_in_the_lane(with_lane: bool) -> None:
    async with world(with_lane=with_lane, requests=8) as one:
        gate = asyncio.Event()
        one.house.registrar.gate = gate  # type: ignore[attr-defined]
        opened = [one.open() for _ in range(10)]
        for connection, wire in opened:
            await settled(wire)
            connection.data_received(PLAIN)
        for _ in range(20):
            await asyncio.sleep(0)
        assert [statuses_of(bytes(wire.out)) for _, wire in opened] == [[]] * 8 + [[503]] * 2
        gate.set()
        for connection, wire in opened:
            await settled(wire)
            connection.data_received(PLAIN)
            await settled(wire)
            assert statuses_of(bytes(wire.out))[-1] == 200
            wire.close()
            await settled(wire)
        assert one.house.admission.in_hand == 0


async def test_peers_behind_a_proxy_are_told_apart() -> None:
    lines = [f"X-Forwarded-For: {who}" for who in ("203.0.113.1", "", "nobody", "203.0.113.2, 198.51.100.8")]
    sent = [piece for line in lines for piece in (post(row("A"), line), None)]
    assert set(statuses_of(await alike(sent * 3, "198.51.100.7", peer_rate=2))) == {200, 429}


def test_heads_are_bounded() -> None:
    async def asked() -> int:
        async with world(with_lane=True) as fast:
            assert fast.lane is not None
            for number in range(HEADS_MOST + 10):
                assert fast.lane.answer(post(b"x", f"X: {number}")[:-1], "192.0.2.1", lambda _: None) is MORE
            assert fast.lane.answer(PLAIN, "192.0.2.1", lambda _: None) is ASKED
            await asyncio.sleep(0)
            return len(fast.lane._singles._heads)

    assert asyncio.run(asked()) == HEADS_MOST


# -- whatever is sent

NAMES = [
    "Host",
    "Authorization",
    "Content-Length",
    "Content-Type",
    "Connection",
    "Transfer-Encoding",
    "Content-Encoding",
    "Expect",
    "X-Forwarded-For",
    "If-None-Match",
    "Cookie",
    "Sec-WebSocket-Key1",
    "Bad Name",
]
VALUES = ["x", "keep-alive", "close", "0", "5", "chunked", "gzip", "identity", "100-continue", "Bearer good", "", "ü"]
BODIES = [row("A"), row("THERE"), row("DOWN"), row("皮"), b'{"handle":"88.999.1001/A"}', b"{}", b"nothing", b""]
PATHS = [snms_api.DATA] * 4 + ["/snmsapi/identityv2/data", "/identityv2/data/", "/identityv2/data/detail", "/identity"]


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    body = draw(st.sampled_from(BODIES))
    length = len(body) + draw(st.sampled_from([0] * 8 + [1, -1]))
    lines = draw(st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=2))
    said = [("Host", "x"), ("Authorization", draw(st.sampled_from(["Bearer good"] * 6 + ["Bearer bad", "good"])))]
    said += [("Content-Length", str(length)), *lines]
    said = draw(st.permutations(said)) if draw(st.booleans()) else said
    method = draw(st.sampled_from(["POST"] * 4 + ["PUT", "DELETE", "PATCH", "post"]))
    version = draw(st.sampled_from(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/1.2"]))
    colon = draw(st.sampled_from([": "] * 8 + [":", " : "]))
    text = "\r\n".join([f"{method} {draw(st.sampled_from(PATHS))} {version}", *(f"{n}{colon}{v}" for n, v in said)])
    return blurred(draw, text.encode() + b"\r\n\r\n" + body)


@settings(max_examples=300, deadline=None)
@given(sendings(requests() | st.just(PLAIN)), st.sampled_from(["192.0.2.1", "198.51.100.7"]), st.sampled_from([0, 1]))
def test_whatever_is_sent_is_answered_and_counted_alike(
    sent: list[bytes | int | None], address: str, rate: int
) -> None:
    asyncio.run(alike(sent, address, peer_rate=rate))


@pytest.mark.parametrize("turns", range(4))
async def test_who_leaves_before_its_body_is_read_is_no_mistake_of_ours(
    turns: int, capfd: pytest.CaptureFixture[str]
) -> None:
    async with world(with_lane=False) as slow:
        assert await said(slow, [PLAIN[:-1], turns, Fin.FIN]) == (b"", True)
    assert "internal_error" not in "".join(capfd.readouterr())


def test_the_house_of_these_tests_is_spelt_as_the_real_one() -> None:
    assert {"config", "admission", "meter", "hot", "road", "doorkeeper", "batcher"} <= set(House.__dataclass_fields__)

"""The lane answers what the road would, octet for octet, and counts the same; what is not plain leaves it.

Two worlds are built alike, one with the lane and one without, and given the same octets in the same pieces. Their
transports are lists; the clocks stand still.
"""

import asyncio
import os
import re
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from email.utils import formatdate
from functools import partial
from math import ceil
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import pytest
from aiohttp import web, web_response
from hypothesis import given, settings
from hypothesis import strategies as st

from node import meter, stamps
from node.admission import Admission
from node.calls import CallsSpentError
from node.config import Config
from node.doorkeeper import PasswordDueError
from node.gather import BusyError, answered
from node.listen import handle_api, http, lane, plain
from node.listen.connection import KEEPALIVE_SECONDS
from node.listen.lane import Block, Lane
from node.listen.plain import HEADERS_MOST, HEADS_MOST
from node.meter import Meter, Totals
from node.metrics import RESOLUTIONS
from node.resolve.answer import Answer, Outcome, Question, Tell
from node.resolve.hot import Hot
from node.resolve.measured import Measured
from node.sight import Told
from node.stamps import Shared
from proto.identifier import Identifier, is_everyday
from registry.account import Account
from registry.errors import AuditFullError, UnavailableError
from registry.rights import Role
from tests.fakes import laned
from tests.fakes.laned import (
    DATE,
    NOW,
    Fin,
    Time,
    World,
    blurred,
    has_left,
    head,
    said,
    sendings,
    settled,
    statuses_of,
)
from tests.waiting import PATIENCE, until

PREFIX, EPOCH = 3, 11
SHOWN = b'[{"index":2000,"type":"styleNo","data":{"format":"string","value":"\xe7\x9a\xae"},"ttl":86400}]'
KEPT = {
    "88.999.1001/BAG-1": Answer(Outcome.FOUND, 7, PREFIX, EPOCH, 5, EPOCH, SHOWN),
    "88.999.1001/bag-1": Answer(Outcome.FOUND, 8, PREFIX, EPOCH, 0, 0, b"[1]"),
    "88.999.1001/A/../B;c=d,e@f:(g)'!*$~+_.": Answer(Outcome.FOUND, 1, PREFIX, EPOCH, 0, 0, b"[2]"),
    "88.999.1001/EMPTY": Answer(Outcome.FOUND, 1, PREFIX, EPOCH, 5, EPOCH, b"[]"),
    "88.999.1001/皮": Answer(Outcome.FOUND, 2, PREFIX, EPOCH, 0, 0, b"[3]"),
    '88.999.1001/A"B%41': Answer(Outcome.FOUND, 2, PREFIX, EPOCH, 0, 0, b"[4]"),
    "88.999.1001/NONE": Answer(Outcome.ABSENT, 0, PREFIX, EPOCH),
    "88.999.1001/GONE": Answer(Outcome.GONE, 3, PREFIX, EPOCH),
    "88.999.1001/STOP": Answer(Outcome.STOPPED, 3, PREFIX, EPOCH),
    "0.1/LOW": Answer(Outcome.FOUND, 4, PREFIX, EPOCH, 0, 0, b"[5]"),
    "77.1/FAR": Answer(Outcome.FOUND, 0, 0, EPOCH, 0, 0, b"[6]", until=NOW + 30),
    "77.1/FOREIGN": Answer(Outcome.FOREIGN, 0, 0, EPOCH),
}
PLAIN = b"GET /api/handles/88.999.1001/BAG-1 HTTP/1.1\r\nHost: x\r\n\r\n"


COLD = {
    "88.999.1001/COLD": Answer(Outcome.FOUND, 3, PREFIX, EPOCH, 5, EPOCH, SHOWN),
    "77.1/COLD": Answer(Outcome.FOUND, 0, 0, EPOCH, 0, 0, b"[8]", until=NOW + 5),
    "88.999.1001/DOWN": UnavailableError("the database is away"),
    "88.999.1001/BUSY": BusyError(),
}


class Next:
    """The stage behind the hot one: knows KEPT and COLD, and that all else is absent. Answers some turns later."""

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        loop = asyncio.get_running_loop()
        absent = Answer(Outcome.ABSENT, 0, PREFIX, EPOCH)
        answers = [(KEPT | COLD).get(question.key, absent) for question in questions]
        loop.call_soon(loop.call_soon, told, questions, answers)


LI = Account(7, "li", "person", Role.ENTERPRISE_USER, 1)
TOKENS: dict[str, Account | Exception] = {
    "mine": LI,
    "due": PasswordDueError(LI),
    "spent": CallsSpentError(3600),
    "down": UnavailableError("the database is away"),
    "broken": ValueError("a mistake of ours"),
}
PRIVATE = SHOWN.replace(b"styleNo", b"private")
ALONE: dict[str, Answer | Exception | None] = {
    "88.999.1001/BAG-1": Answer(Outcome.FOUND, 9, PREFIX, EPOCH, shown=PRIVATE),
    "88.999.1001/EMPTY": Answer(Outcome.FOUND, 9, PREFIX, EPOCH, shown=b"[]"),
    "88.999.1001/GONE": Answer(Outcome.GONE, 3, PREFIX, EPOCH),
    "88.999.1001/STOP": Answer(Outcome.STOPPED, 3, PREFIX, EPOCH),
    "88.999.1001/COLD": Answer(Outcome.ABSENT, 0, PREFIX, EPOCH),
    "88.999.1001/DOWN": UnavailableError("the database is away"),
    "88.999.1001/BUSY": ValueError("a mistake of ours"),
}
"""What is told to who is signed in; of all else, what everybody is."""


class Known:
    """Who is signed in, and what they alone see. Tells it some turns later."""

    def tell(self, token: str, then: Callable[[Any], None]) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, then, TOKENS.get(token))

    async def account(self, token: str) -> Account | None:
        return await answered(partial(self.tell, token))

    def ask(self, who: Account, identifier: Identifier, then: Callable[[Any], None]) -> None:
        assert who is LI
        loop = asyncio.get_running_loop()
        found = ALONE.get(identifier.key)
        told = Told(found, beyond=bool(found.shown)) if isinstance(found, Answer) else found
        loop.call_soon(loop.call_soon, then, told)

    async def answer(self, who: Account, identifier: Identifier) -> Told | None:
        return await answered(partial(self.ask, who, identifier))


def nobody(said: bytes | plain.Sign) -> None:
    """Waits for no answer."""


@asynccontextmanager
async def world(*, with_lane: bool, **given: Any) -> AsyncIterator[World]:
    """A world in which KEPT is kept."""
    config = Config(trusted_proxies="198.51.100.0/24", **given)
    words, counts = stamps.create(1), meter.create(1)
    shared, follower = Shared(words, 1, 0, 1), Shared(words, 1, 1, 2)
    follower.follow(EPOCH, [(PREFIX, EPOCH)], [(5, EPOCH)])
    follower.set_generation()
    counting = Meter(counts, 1, 0)
    time = Time()
    clock, now = (lambda: time.passed), (lambda: time.now)
    hot = Hot(shared, Next(), 100, 60, clock, now, counting)
    for text in KEPT:
        await hot.ask(Identifier.parse(text))
    admission = Admission(config.requests, config.peer_rate, clock)
    noted: list[Any] = []
    road = Measured(hot, counting, clock, noted.append)
    house: Any = SimpleNamespace(
        config=config, admission=admission, meter=counting, hot=hot, road=road, doorkeeper=Known(), sight=Known()
    )
    house.recording = laned.recording(noted)
    app = http.application(house)
    handle_api.add_routes(app)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    with patch.object(web_response, "rfc822_formatted_time", lambda: DATE):
        yield World(
            time, runner.server, house, Lane(house, clock, now) if with_lane else None, Totals(counts, 1), noted
        )
    await runner.cleanup()
    os.close(words)
    os.close(counts)


alike = partial(laned.alike, world)


# -- the plain case


@pytest.mark.parametrize("value", ["keep-alive", "Keep-Alive", "KEEP-ALIVE", "close", "Close", "keep-alive, close"])
async def test_what_becomes_of_the_connection_is_told_and_done_alike(value: str) -> None:
    sent = head("/api/handles/88.999.1001/BAG-1", f"Connection: {value}")
    answered = await alike([sent, None, sent])
    assert answered.count(b"HTTP/1.1 ") == (1 if "close" in value.lower() else 2)


@pytest.mark.parametrize("text", KEPT | COLD)
async def test_every_outcome_is_answered_alike(text: str) -> None:
    target = handle_api.PATH + (text if text.isascii() else quote(text))
    answered = await alike([head(target), None, head(target)])
    assert answered.count(b"HTTP/1.1 ") == 2


LANED = [text for text in (*KEPT, *COLD, "88.999.1001/unknown") if re.fullmatch(r"[1-9][0-9.]*/[!#-$&-~]+", text)]


@pytest.mark.parametrize("text", LANED)
async def test_the_plain_case_never_becomes_a_request(text: str) -> None:
    async with world(with_lane=True) as fast:
        for lines in (
            (),
            ("User-Agent: curl/8", "Accept: */*"),
            ("Accept-Encoding: gzip, br", "Cookie: a"),
            ("Connection: keep-alive",),
            ("connection:Keep-Alive", "Accept: */*"),
        ):
            answered, closed = await said(fast, [head(handle_api.PATH + text, *lines), None] * 3)
            assert (answered.count(b"HTTP/1.1 "), closed) == (3, False)
        assert fast.server.requests_count == 0


@pytest.mark.parametrize("behind", [[], [PLAIN]])
async def test_who_asks_for_the_last_time_is_answered_without_a_request_and_hung_up(behind: list[bytes]) -> None:
    last = head("/api/handles/88.999.1001/BAG-1", "connection: Close", "Accept: */*")
    sent = [PLAIN, None, last, *behind]
    assert statuses_of(await alike(sent)) == [200, 200]
    async with world(with_lane=True) as fast:
        for _ in range(3):
            answered, closed = await said(fast, sent)
            assert (answered.count(b"Connection: close\r\n"), closed) == (1, True)
        assert fast.server.requests_count == 1, "the door answers whoever comes with headers never seen before"


@pytest.mark.parametrize("text", [*KEPT, *COLD, "88.999.1001/unknown"])
async def test_who_says_no_more_is_answered_before_all_ends(text: str) -> None:
    sent = head(handle_api.PATH + (text if text.isascii() else quote(text)))
    answered = await alike([sent, Fin.FIN])
    assert answered.count(b"HTTP/1.1 ") == 1
    assert statuses_of(await alike([sent, PLAIN, sent, Fin.FIN])) == [
        *statuses_of(answered),
        200,
        *statuses_of(answered),
    ]
    async with world(with_lane=True) as fast:
        assert await said(fast, [sent, Fin.FIN]) == (answered, True)


OTHERS = [
    head("/api/handles/88.999.1001/BAG-1", method="HEAD"),
    head("/api/handles/88.999.1001/BAG-1", method="OPTIONS"),
    head("/api/handles/88.999.1001/BAG-1?pretty"),
    head("/api/handles/88.999.1001/BAG-1", 'If-None-Match: "7.11.11"'),
    head("/api/handles/88.999.1001/BAG-1", "If-None-Match: *"),
    head("/api/handles/88.999.1001/BAG-1", "CDN-Loop: 88.997"),
    head("/api/handles/88.999.1001/BAG-1", "Authorization: Basic YTpi"),
    head("/api/handles/88.999.1001/BAG-1", "Authorization: Bearer"),
    head("/api/handles/88.999.1001/BAG-1", "Authorization: Bearer mine", "Authorization: Bearer gone"),
    head("/api/handles/88.999.1001/BAG-1", "Authorization: Bearer mine", 'If-None-Match: "7.11.11"'),
    head("/api/handles/88.999.1001/BAG-1?index=2000", "Authorization: Bearer mine"),
    head("/api/handles/88.999.1001/BAG-1", "Connection: keep-alive, x"),
    head("/api/handles/88.999.1001/BAG-1", "Connection: keep-alive", "Connection: keep-alive"),
    head("/api/handles/88.999.1001/BAG-1", "Accept: a", "Accept: b"),
    head("/api/handles/88.999.1001/%42AG-1"),
    head("/api/handles/88.999.1001/" + "x" * 250),
    head("/api/nothing"),
]


SIGNED = [("Authorization: Bearer", token) for token in (*TOKENS, "gone")] + [("authorization:bearer ", "mine")]


@pytest.mark.parametrize(("line", "token"), SIGNED)
async def test_who_is_signed_in_is_answered_alike_and_without_a_request(
    line: str, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http.secrets, "token_hex", lambda octets: "0" * 2 * octets)
    asked = [head(handle_api.PATH + text, f"{line} {token}") for text in {*LANED, *ALONE}]
    sent = [piece for each in asked for piece in (each, None)]
    answered = await alike([*sent, PLAIN])
    assert answered.count(b"HTTP/1.1 ") == len(asked) + 1
    assert (b"private" in answered.replace(b"private, no-store", b"")) is (token == "mine")
    async with world(with_lane=True) as fast:
        await said(fast, sent)
        assert fast.server.requests_count == 0
        assert fast.house.admission.in_hand == 0


async def test_nothing_is_told_that_cannot_be_written_down() -> None:
    def full(*_: object) -> None:
        raise AuditFullError

    mine = head("/api/handles/88.999.1001/BAG-1", "Authorization: Bearer mine")
    async with world(with_lane=True) as fast:
        with patch.object(fast.house.recording.witness, "saw", full):
            answered, _ = await said(fast, [mine, None, mine.replace(b"BAG-1", b"COLD"), None, PLAIN])
    assert statuses_of(answered) == [503, 404, 200], "what all are told needs not be written down"
    assert b"private" not in answered.replace(b"private, no-store", b"")


async def test_who_is_signed_in_is_never_given_what_is_kept_for_all_nor_all_what_is_theirs() -> None:
    mine = head("/api/handles/88.999.1001/BAG-1", "Authorization: Bearer mine")
    both = await alike([mine, None, PLAIN, None, mine])
    assert [PRIVATE in each for each in both.split(b"HTTP/1.1 ")[1:]] == [True, False, True]
    assert both.count(b"Cache-Control: private, no-store") == 2


@pytest.mark.parametrize("other", OTHERS)
async def test_what_is_whole_but_not_plain_is_the_roads_and_the_connection_stays(other: bytes) -> None:
    sent = [PLAIN, None, other, None, PLAIN]
    assert (await alike(sent)).count(b"HTTP/1.1 ") == 3
    async with world(with_lane=True) as fast:
        await said(fast, sent)
        assert fast.server.requests_count == 1


LEAVING = [
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", PLAIN),
    (PLAIN + PLAIN,),
    (PLAIN[:-2], b"\r\n"),
    (b"\r\n" + PLAIN,),
    (head("/", "Content-Length: 0", "Connection: close", method="POST"),),
    (head("/", method="POST"),),
    (head("/api/handles/88.999.1001/BAG-1", "Content-Length: 0"),),
    (head("/api/handles/88.999.1001/BAG-1", f"Content-Length: {len(PLAIN)}"), PLAIN),
    (head("/api/handles/88.999.1001/BAG-1", "Transfer-Encoding: chunked"), b"0\r\n\r\n"),
    (head("/api/handles/88.999.1001/BAG-1", "Expect: 100-continue"),),
    (head("/api/handles/88.999.1001/" + "x" * 9000),),
]


@pytest.mark.parametrize("leaving", LEAVING)
async def test_who_sends_anything_else_has_left_the_lane_for_good(leaving: tuple[bytes, ...]) -> None:
    await alike([PLAIN, None, *leaving, None, PLAIN])
    async with world(with_lane=True) as fast:
        assert await has_left(fast, leaving[0])


async def test_a_request_hidden_in_a_header_is_never_answered() -> None:
    """Request smuggling: behind a proxy, the second answer would go to whoever asks next."""
    answered = await alike([b"GET /api/nothing HTTP/1.1\r\nX-Note: ", None, PLAIN])
    assert answered.count(b"HTTP/1.1 ") == 1
    assert b"BAG-1" not in answered
    hidden = head("/api/nothing", f"Content-Length: {len(PLAIN)}", method="POST")
    assert b"BAG-1" not in await alike([hidden, None, PLAIN])
    half = head("/api/nothing", "Transfer-Encoding: chunked", method="POST")
    assert b"BAG-1" not in await alike([half, None, b"%x\r\n" % len(PLAIN), None, PLAIN])


async def test_whole_requests_before_the_first_is_answered_are_answered_in_order() -> None:
    answered = await alike([head("/api/nothing"), PLAIN, head("/api/handles/88.999.1001/NONE")])
    assert statuses_of(answered) == [404, 200, 404]
    assert answered.index(b"nothing") < answered.index(b"BAG-1") < answered.index(b"NONE")


async def test_what_comes_while_an_answer_is_asked_for_waits_its_turn() -> None:
    cold = head("/api/handles/88.999.1001/COLD")
    absent = head("/api/handles/88.999.1001/NONE")
    for sent in ([cold, PLAIN], [cold, PLAIN, absent], [cold, PLAIN[:9], PLAIN[9:]], [cold, b"nonsense\r\n\r\n"]):
        answered = await alike(sent)
        assert answered.index(b"COLD") < max(answered.find(b"BAG-1"), answered.find(b"HTTP/1.0 400"))


async def test_who_asks_before_aiohttp_waits_for_him_is_in_the_lane_all_the_same() -> None:
    """Between two turns of the loop: on a new connection, and behind an answer of aiohttp's. Else few come back."""
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        connection.data_received(PLAIN)
        await settled(wire)
        assert (statuses_of(bytes(wire.out)), fast.server.requests_count) == ([200], 0)
        assert connection._deadline is None, "the head has come"
        before = len(wire.out)
        connection.data_received(head("/api/nothing"))
        while len(wire.out) == before:  # noqa: ASYNC110 - in the very turn
            await asyncio.sleep(0)
        connection.data_received(PLAIN)
        await settled(wire)
        assert (statuses_of(bytes(wire.out)), fast.server.requests_count) == ([200, 404, 200], 1)
        connection.data_received(PLAIN[:20])
        await settled(wire)
        connection.data_received(PLAIN[20:])
        await settled(wire)
        assert (statuses_of(bytes(wire.out)), fast.server.requests_count) == ([200, 404, 200, 200], 2)
        wire.close()
        await settled(wire)


async def test_a_mistake_of_the_lane_s_is_mended_by_the_door(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(with_lane=True) as fast:
        assert fast.lane is not None

        def raises(*_: object) -> bytes:
            monkeypatch.undo()
            raise ZeroDivisionError

        monkeypatch.setattr(fast.lane, "answer", raises)
        answered, _ = await said(fast, [PLAIN, None, PLAIN])
        assert (statuses_of(answered), fast.server.requests_count) == ([200, 200], 1)


async def test_who_leaves_in_between_is_not_answered() -> None:
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        connection.data_received(PLAIN)
        wire.close()
        await settled(wire)
        assert wire.out + wire.late == b""


async def test_who_leaves_before_the_answer_costs_nothing() -> None:
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        connection.data_received(head("/api/handles/88.999.1001/COLD"))
        await asyncio.sleep(0)
        assert fast.house.admission.in_hand == 1
        wire.close()
        await settled(wire)
        assert fast.house.admission.in_hand == 0
        assert not wire.out


async def test_an_answer_that_is_asked_for_goes_out_before_the_end() -> None:
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        connection.data_received(head("/api/handles/88.999.1001/COLD"))
        await asyncio.sleep(0)
        connection.data_received(PLAIN)
        fast.server.pre_shutdown()
        await fast.server.shutdown(PATIENCE)
        await settled(wire)
        assert (statuses_of(bytes(wire.out)), wire.closed) == ([200], True)


@pytest.mark.parametrize(
    ("target", "status"), [("BAG-1", 200), ("COLD", 200), ("COLD?pretty", 200), ("nothing-here", 404)]
)
async def test_what_came_in_the_turn_of_the_end_is_answered(target: str, status: int) -> None:
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        connection.data_received(head(f"/api/handles/88.999.1001/{target}"))
        fast.server.pre_shutdown()
        await fast.server.shutdown(PATIENCE)
        await settled(wire)
        assert (statuses_of(bytes(wire.out)), wire.closed) == ([status], True)


async def test_who_asks_again_while_their_connection_ends_takes_nobody_with_them() -> None:
    async with world(with_lane=True) as fast:
        (ending, its), (other, wire) = fast.open(), fast.open()
        await settled(its)
        ending.data_received(head("/api/handles/88.999.1001/COLD"))
        end = asyncio.create_task(ending.shutdown(PATIENCE))
        await until(lambda: ending._last is not None and ending._last.done())
        ending.data_received(PLAIN)
        other.data_received(PLAIN)
        await settled(wire)
        assert (statuses_of(bytes(its.out)), statuses_of(bytes(wire.out))) == ([200, 200], [200])
        end.cancel()  # aiohttp waits for its task, which nobody has told that all ends


@pytest.mark.parametrize("name", ["BAG-1", "COLD", "unknown", "DOWN", "GONE"])
async def test_who_cannot_be_told_takes_nobody_with_them(name: str) -> None:
    asked, others = (head(f"/api/handles/88.999.1001/{each}") for each in (name, "nothing"))

    class Deaf:
        ending, source, nearest = False, ("192.0.2.9", 1), "192.0.2.9"

        def told(self, said: object) -> None:
            raise ValueError("deaf")

    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        fast.lane.answer(asked, "192.0.2.9", nobody)  # who asks so is known from then on
        await settled(wire)
        fast.lane.take(asked, Deaf())
        connection.data_received(others)
        await settled(wire)
        assert statuses_of(bytes(wire.out)) == [404]
        assert fast.house.admission.in_hand == 0


async def test_a_failure_of_ours_is_told_by_the_door() -> None:
    async with world(with_lane=True) as fast:
        with patch.object(Next, "ask", lambda self, questions, told: told(questions, [ZeroDivisionError()])):
            answered, _ = await said(fast, [head("/api/handles/88.999.1001/COLD")])
        assert statuses_of(answered) == [500]


async def test_a_reader_that_is_slow_is_waited_for() -> None:
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        connection.pause_writing()
        for _ in range(3):
            connection.data_received(PLAIN)
        await settled(wire)
        assert wire.out.count(b"HTTP/1.1 ") <= 1, "the road waits until what is written is read"
        connection.resume_writing()
        await settled(wire)
        assert wire.out.count(b"HTTP/1.1 ") == 3
        wire.close()
        await settled(wire)


# -- limits and promises hold in the lane


@pytest.mark.parametrize("given", [{"peer_rate": 2}, {"requests": 8}])
async def test_admission_counts_in_the_lane(given: dict[str, int]) -> None:
    await alike([PLAIN, None] * 10, **given)


async def test_the_access_log_is_told_who_asked_for_what() -> None:
    async with world(with_lane=True) as fast:
        await said(fast, [PLAIN, None, head("/api/handles/88.999.1001/NONE"), None])
        proxied = head("/api/handles/88.999.1001/BAG-1", "X-Forwarded-For: 203.0.113.1")
        await said(fast, [proxied, None], "198.51.100.7")
        assert fast.told() == [
            ("192.0.2.1", 40_000, 0, "88.999.1001/BAG-1", "resolve found"),
            ("192.0.2.1", 40_000, 0, "88.999.1001/NONE", "resolve absent"),
            ("203.0.113.1", 0, 0, "88.999.1001/BAG-1", "resolve found"),
        ]


async def test_what_is_answered_in_one_turn_is_answered_counted_and_noted_as_one_by_one() -> None:
    asked = ["BAG-1", "COLD", "bag-1", "NONE", "BAG-1", "%42AG-1", "STOP"]
    told: list[list[Any]] = []
    for at_once in (False, True):
        async with world(with_lane=True) as fast:
            opened = [fast.open(f"192.0.2.{number}") for number, _ in enumerate(asked)]
            await settled(opened[0][1])
            for (connection, wire), name in zip(opened, asked, strict=True):
                connection.data_received(head(f"/api/handles/88.999.1001/{name}"))
                if not at_once:
                    await settled(wire)
            await settled(opened[-1][1])
            told.append([bytes(wire.out) for _, wire in opened])
            told[-1] += [fast.counted(), sorted(fast.told())]
            for _, wire in opened:
                wire.close()
            await settled(opened[0][1])
    assert told[0] == told[1]
    assert b"".join(told[1][: len(asked)]).count(b"HTTP/1.1 200") == 5


async def test_a_mistake_in_one_answer_takes_no_other_with_it() -> None:
    async with world(with_lane=True) as fast:
        opened = [fast.open() for _ in range(3)]
        await settled(opened[0][1])
        with patch.object(opened[1][1], "write", side_effect=[ZeroDivisionError, None]):
            for connection, _ in opened:
                connection.data_received(PLAIN)
            await settled(opened[0][1])
        assert [statuses_of(bytes(wire.out)) for _, wire in opened] == [[200], [], [200]]
        for _, wire in opened:
            wire.close()
        await settled(opened[0][1])


async def test_peers_behind_a_proxy_are_told_apart() -> None:
    async with world(with_lane=True, peer_rate=1) as fast:
        for client in ("203.0.113.1", "203.0.113.2"):
            asked = head("/api/handles/88.999.1001/BAG-1", f"X-Forwarded-For: {client}")
            answered, _ = await said(fast, [asked, None] * 4, "198.51.100.7")
            assert statuses_of(answered) == [200, 200, 429, 429]
    lines = [f"X-Forwarded-For: {who}" for who in ("203.0.113.1", "", "nobody", "203.0.113.2, 198.51.100.8")]
    sent = [piece for line in lines for piece in (head("/api/handles/88.999.1001/BAG-1", line), None)]
    await alike(sent * 3, "198.51.100.7", peer_rate=2)


SLOT = zlib.crc32(b"88.999.1001/BAG-1") & (stamps.SLOTS - 1)
CHANGES: dict[str, Callable[[Shared], object]] = {
    "a commit under way": lambda shared: shared.begin([SLOT]),
    "a commit elsewhere": lambda shared: shared.touch([SLOT]),
    "a stopped prefix": lambda shared: shared.follow(EPOCH + 1, [(PREFIX, EPOCH + 1)], []),
    "a changed template": lambda shared: shared.follow(EPOCH + 1, [], [(5, EPOCH + 1)]),
    "a change in doubt": lambda shared: shared.begin_doubt(),
    "a dead follower": lambda shared: shared.clear_generation(),
}


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_is_seen_at_once(change: str) -> None:
    async with world(with_lane=True) as fast:
        assert fast.lane is not None
        assert isinstance(fast.lane.answer(PLAIN, "192.0.2.1", nobody), bytes)
        CHANGES[change](fast.house.hot._shared)
        assert fast.lane.answer(PLAIN, "192.0.2.1", nobody) is plain.ASKED


async def test_a_change_that_is_told_before_all_is_read_is_seen_by_all_of_it() -> None:
    async with world(with_lane=True) as fast:
        connection, wire = fast.open()
        await settled(wire)
        for change in (lambda: None, lambda: fast.house.hot._shared.begin([SLOT])):
            connection.data_received(PLAIN)
            change()
            await settled(wire)
        counted = {labels: value for name, labels, value in fast.counted() if name == RESOLUTIONS.name and value}
        assert counted == {("hot", "found"): 1, ("own", "found"): 1}
        wire.close()
        await settled(wire)


# -- whatever is sent

NAMES = [
    "Authorization",
    "Host",
    "Accept",
    "accept-encoding",
    "If-None-Match",
    "Connection",
    "CDN-Loop",
    "X-Forwarded-For",
    "Range",
    "Content-Length",
    "Transfer-Encoding",
    "Expect",
    "Upgrade",
    "Cookie",
    "Origin",
    "Sec-WebSocket-Key1",
    "TE",
    "Bad Name",
    "",
    "ü",
]
VALUES = [
    "Bearer mine",
    "x",
    "*",
    '"7.11.11"',
    "keep-alive",
    "close",
    "88.997",
    "203.0.113.9",
    "0",
    "5",
    "chunked",
    "100-continue",
    "websocket",
    "",
    " padded ",
    "a\tb",
    "a\rb",
    "a\nb",
    "ü",
    "a\x00b",
    "x" * 300,
]
TARGETS = [handle_api.PATH + text for text in KEPT | COLD] + [
    "/api/handles/88.999.1001/%42AG-1",
    "/api/handles/88.999.1001/BAG-1?index=2000",
    "/api/handles/88.999.1001/BAG-1#f",
    "//api/handles/88.999.1001/BAG-1",
    "/api//handles/88.999.1001/BAG-1",
    "/api/handles/./88.999.1001/BAG-1",
    "http://x/api/handles/88.999.1001/BAG-1",
    "/api/handles/",
    "/api/handles/0.1/low",
    "*",
    "",
    "/api/x y",
]
headers = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(VALUES)), max_size=4)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    method = draw(st.sampled_from(["GET"] * 6 + ["HEAD", "OPTIONS", "POST", "get", "PRI", ""]))
    version = draw(st.sampled_from(["HTTP/1.1"] * 8 + ["HTTP/1.0", "HTTP/2.0", "HTTP/1.10", "http/1.1", ""]))
    colon = draw(st.sampled_from([": "] * 6 + [":", " : ", ":  "]))
    end = draw(st.sampled_from(["\r\n"] * 8 + ["\n", "\r"]))
    lines = [f"{method} {draw(st.sampled_from(TARGETS))} {version}"]
    lines += [f"{name}{colon}{value}" for name, value in draw(headers)]
    octets = blurred(draw, (end.join(lines) + end * 2).encode())
    return octets + draw(st.sampled_from([b""] * 6 + [b"hello", b"0\r\n\r\n", PLAIN, b"\r\n"]))


@settings(max_examples=300, deadline=None)
@given(sendings(requests() | st.just(PLAIN)), st.sampled_from(["192.0.2.1", "198.51.100.7"]), st.sampled_from([0, 1]))
def test_whatever_is_sent_is_answered_and_counted_alike(
    sent: list[bytes | int | None], address: str, rate: int
) -> None:
    asyncio.run(alike(sent, address, peer_rate=rate))


Turn = list[tuple[str, str]]
texts = st.sampled_from([*filter(lambda text: is_everyday(text.encode()), KEPT | COLD), "88.999.1001/never"])
turns = st.lists(st.tuples(texts, st.sampled_from(["192.0.2.1", "192.0.2.2"])), min_size=1, max_size=12)


async def turns_taken(given: dict[str, int], turns: list[Turn], *, with_lane: bool) -> list[Any]:
    """What each of many is answered who ask in one turn of the loop, turn by turn, and what was counted and noted."""
    told = list[Any]()
    async with world(with_lane=with_lane, **given) as made:
        for asked in turns:
            opened = [made.open(address) for _, address in asked]
            await settled(opened[-1][1])
            for (connection, _), (text, _) in zip(opened, asked, strict=True):
                connection.data_received(head(handle_api.PATH + text))
            for _, wire in opened:
                await settled(wire)
            told.append([(bytes(wire.out), wire.closed) for _, wire in opened])
            for _, wire in opened:
                wire.close()
            await settled(opened[-1][1])
        assert made.house.admission.in_hand == 0
        return [*told, made.counted(), sorted(made.told())]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([{}, {}, {"requests": 8}, {"peer_rate": 2}]), st.lists(turns, min_size=1, max_size=3))
def test_what_one_turn_brings_is_answered_and_counted_as_by_the_door(given: dict[str, int], turns: list[Turn]) -> None:
    by_the_door = asyncio.run(turns_taken(given, turns, with_lane=False))
    assert asyncio.run(turns_taken(given, turns, with_lane=True)) == by_the_door


# -- what is kept of connections and headers


async def test_an_answer_says_what_time_it_is_and_is_given_no_longer_than_it_may_be() -> None:
    async with world(with_lane=True) as fast:
        told = [await said(fast, [PLAIN])]
        for seconds in (plain.TICK_SECONDS / 2, plain.TICK_SECONDS, 58.0, 60.0):
            fast.time.passed, fast.time.now = 1000.0 + seconds, NOW + ceil(seconds)
            told.append(await said(fast, [PLAIN]))
        dates = [re.findall(rb"Date: (.*?)\r\n", answered)[0].decode() for answered, _ in told]
        assert dates == [formatdate(NOW + later, usegmt=True) for later in (0, 0, 1, 58, 60)]
        assert len({re.sub(rb"Date: .*?\r\n", b"", answered) for answered, _ in told}) == 1
        counted = {labels: value for name, labels, value in fast.counted() if name == RESOLUTIONS.name and value}
        assert counted == {("hot", "found"): 4, ("own", "found"): 1}, "past its time it was asked anew"


def test_blocks_are_bounded() -> None:
    async def asked() -> int:
        async with world(with_lane=True) as fast:
            assert fast.lane is not None
            for number in range(HEADS_MOST + 10):
                assert fast.lane.answer(head("/", f"X: {number}"), "192.0.2.1", nobody) == plain.OTHER
            return len(fast.lane._blocks)

    assert asyncio.run(asked()) == HEADS_MOST


async def test_lines_that_lie_ready_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "TAGS_MOST", 2)
    texts = ["88.999.1001/COLD", "88.999.1001/bag-1", "88.999.1001/BAG-1", "0.1/LOW", "88.999.1001/COLD"]
    async with world(with_lane=True) as fast:
        answered, _ = await said(fast, [piece for text in texts for piece in (head(handle_api.PATH + text), None)])
        assert len(fast.lane._tags) <= 2
    assert re.findall(rb'ETag: "([0-9.]+)"', answered) == [b"3.11.11", b"8.11.0", b"7.11.11", b"4.11.0", b"3.11.11"]


@pytest.mark.parametrize("lines", [HEADERS_MOST - 2, HEADERS_MOST - 1, HEADERS_MOST, HEADERS_MOST + 1])
async def test_as_many_headers_as_aiohttp_takes_and_no_more(lines: int) -> None:
    """Host is one of them."""
    answered = await alike([head("/api/handles/88.999.1001/BAG-1", *(f"X-{n}: 1" for n in range(lines))), None, PLAIN])
    if lines < HEADERS_MOST:
        assert statuses_of(answered) == [200, 200]
    else:
        assert answered.startswith(b"HTTP/1.0 400 ")


async def test_a_header_aiohttp_takes_no_request_with_is_none_for_the_lane() -> None:
    answered = await alike([head("/api/handles/88.999.1001/BAG-1", "sec-WebSocket-Key1: 1"), None, PLAIN])
    assert answered.startswith(b"HTTP/1.0 400 ")


def test_a_block_is_whole_when_it_is_headers_and_the_empty_line() -> None:
    assert Block.read(b"\r\n") == Block(whole=True)
    assert Block.read(b"Host: b\r\n\r\n") == Block(whole=True, plain=True, usual=True)
    assert Block.read(b"a: b\r\nA: c\r\n\r\n") == Block(whole=True)
    forwarded = b"Host: b\r\nX-forwarded-FOR: 192.0.2.1\r\n\r\n"
    assert Block.read(forwarded) == Block(whole=True, plain=True, forwarded=("192.0.2.1",))
    for broken in (
        b"",
        b"\r\n\r\n",
        b"A: b\r\n",
        b"A b\r\n\r\n",
        b"A: b\r\n c\r\n\r\n",
        b"A: b\n\r\n",
        b"A : b\r\n\r\n",
    ):
        assert not Block.read(broken).whole


async def test_an_idle_connection_is_closed_and_the_lane_keeps_it_alive() -> None:
    """Fails when aiohttp renames what the lane reads and sets of it."""
    loop = asyncio.get_running_loop()
    ahead, real = 0.0, loop.time
    with patch.object(loop, "time", lambda: real() + ahead):
        async with world(with_lane=True) as fast:
            connection, wire = fast.open()
            for _ in range(3):
                await settled(wire)
                connection.data_received(PLAIN)
                await settled(wire)
                ahead += KEEPALIVE_SECONDS - 1
            await settled(wire)
            assert (wire.out.count(b"HTTP/1.1 "), wire.closed) == (3, False)
            assert fast.server.requests_count == 0
            ahead += 2
            await settled(wire)
            assert wire.closed

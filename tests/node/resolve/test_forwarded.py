"""The last stage against nodes that listen on ports: whom it asks, what it believes, what it refuses, what it costs.

Clocks are the test's; only how long a neighbour is waited for is real, and made short.
"""

import asyncio
import gzip
import itertools
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack
from ipaddress import ip_address as at
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from node import meter, metrics, turns
from node.config import Config
from node.gather import BusyError
from node.link import BODY_MOST, Link
from node.meter import Meter, Totals
from node.resolve import forwarded
from node.resolve.answer import Answer, Outcome, Question, Tell, Where
from node.resolve.forwarded import (
    ABSENT_SECONDS,
    DEPTH_MOST,
    FAILED_SECONDS,
    READ_AT_ONCE,
    Forwarded,
    Terms,
)
from node.resolve.neighbours import FAILURES_MOST, REST_SECONDS
from node.resolve.referrals import ANEW_SECONDS, FRESH_SECONDS, KEPT_SECONDS
from proto import web_reply
from proto.identifier import Identifier
from proto.values.site import Protocol
from proto.web_json import site_from_json
from proto.web_reply import Reply
from tests.fakes.asking import asked_of
from tests.fakes.certificate import own_certificate
from tests.fakes.other_node import (
    OtherNode,
    Saying,
    by_name,
    hangs,
    knows,
    knows_nothing,
    octets,
    other_node,
    refers,
    says,
    site,
    value,
)
from tests.waiting import PATIENCE, until

EPOCH = 11
SECONDS = 60
NAME = "88.777.1/A/b 1"
LOOPBACK = (ip_network("127.0.0.0/8"),)
OURS = ("127.0.0.7", 8000)


def question(name: str = NAME, onward: bool = True) -> Question:
    return Question(name, 0, b"", b"", True, [], onward=onward)


class Next:
    """Own, as far as this stage knows."""

    def __init__(self) -> None:
        self.answer = Answer(Outcome.FOREIGN, 0, 0, EPOCH)

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        told(questions, [self.answer] * len(questions))


class World:
    """The stage of one worker whose top-level node is `top`; further nodes by `node`."""

    def __init__(self, stack: AsyncExitStack, top: OtherNode, descriptor: int) -> None:
        self._stack = stack
        self.top = top
        self.next = Next()
        self.clock, self.now, self.room = 1000.0, 1_795_000_000, True
        self._totals = Totals(descriptor, 1)
        self._meter = Meter(descriptor, 1, 0)
        self.link = Link("localhost")
        self.set_terms()

    def set_terms(self, networks: Any = LOOPBACK, toplevel: str = "") -> None:
        config = Config(
            toplevel_url=toplevel or self.top.url + "/", cache_seconds=SECONDS, host=OURS[0], http_port=OURS[1]
        )
        terms = Terms.of(config)
        self.terms = Terms(terms.toplevel, terms.prefix, terms.seconds, networks, terms.doors)
        self.stage = Forwarded(
            self.next, self.link, self.terms, self._meter, lambda _: self.room, lambda: self.clock, lambda: self.now
        )

    async def node(self, saying: Saying) -> OtherNode:
        return await self._stack.enter_async_context(other_node(saying))

    async def ask(self, name: str = NAME) -> Answer:
        return await self.answer(question(name))

    async def answer(self, asked: Question) -> Answer:
        return await asked_of(self.stage, asked)

    async def left(self) -> None:
        """Ends what is under way, waited for by nobody any more."""
        under_way = list(self.stage._under_way)
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    def counted(self) -> dict[str, int]:
        samples = self._totals.samples(metrics.FORWARDS, 0.0)
        return {each.labels[0]: int(each.value) for each in samples if each.value}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    descriptor = meter.create(1)
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    async with AsyncExitStack() as stack:
        made = World(stack, await stack.enter_async_context(other_node(knows_nothing())), descriptor)
        yield made
        await made.left()
        await made.link.close()
    os.close(descriptor)
    assert not complaints, "nothing anybody says leaves a trace in the journal"


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarded, "QUESTION_SECONDS", 0.15)


def texts(answer: Answer) -> list[str]:
    return [each["data"]["value"] for each in json.loads(answer.shown)]


# -- who is asked


async def test_what_lives_here_is_asked_of_nobody(world: World) -> None:
    world.next.answer = Answer(Outcome.ABSENT, 0, 3, EPOCH)
    assert await world.ask() is world.next.answer
    assert world.top.asked == []
    assert world.counted() == {}


async def test_what_another_node_asks_is_asked_of_nobody_else(world: World) -> None:
    assert await world.answer(question(onward=False)) is world.next.answer
    assert world.top.asked == []


@pytest.mark.parametrize(
    ("saying", "outcome", "seconds", "counted"),
    [
        (knows(value("x", ttl=30)), Outcome.FOUND, 30, "found"),
        (knows(value("x", ttl=86400)), Outcome.FOUND, SECONDS, "found"),
        (knows(value("x", ttl=40), value("y", 2, ttl=20)), Outcome.FOUND, 20, "found"),
        (knows(value("x", ttl=0)), Outcome.FOUND, 0, "found"),
        (knows(value("x", ttl="1970-01-01T00:00:00Z")), Outcome.FOUND, 0, "found"),
        (knows_nothing(), Outcome.ABSENT, ABSENT_SECONDS, "absent"),
        (says(400, {"responseCode": 301, "message": "no"}), Outcome.FOREIGN, ABSENT_SECONDS, "foreign"),
    ],
)
async def test_the_top_level_node_may_answer_itself(
    world: World, saying: Saying, outcome: Outcome, seconds: int, counted: str
) -> None:
    world.top.saying = saying
    answer = await world.ask()
    assert (answer.outcome, answer.until, answer.where) == (outcome, world.now + seconds, Where.FORWARDED)
    assert (answer.version, answer.prefix, answer.epoch, answer.elsewhere) == (0, 0, EPOCH, True)
    assert world.counted() == {counted: 1}
    assert world.top.asked == [NAME]


async def test_a_record_of_which_nothing_is_public_is_found_empty(world: World) -> None:
    world.top.saying = knows(value("secret", permissions="1100"))
    answer = await world.ask()
    assert (answer.outcome, answer.shown) == (Outcome.FOUND, b"[]")
    world.top.saying = by_name(lambda name: (200, {"responseCode": 200, "values": [], "handle": name}))
    assert (await world.ask()).shown == b"[]"


async def test_whom_the_top_level_node_names_is_asked_in_its_own_words(world: World) -> None:
    second = await world.node(knows())
    world.top.saying = refers(second.site)
    assert texts(await world.ask()) == [NAME]
    (head,) = second.heads
    assert head.startswith("GET /api/handles/88.777.1%2FA%2Fb%201 HTTP/1.1\r\n")
    assert "\r\nCDN-Loop: 88.999\r\n" in head
    assert "\r\nAccept-Encoding: identity\r\n" in head
    assert "\r\nHost: 127.0.0.1:" in head
    assert "Cookie" not in head


async def test_names_with_dots_and_signs_arrive_as_they_are(world: World) -> None:
    second = await world.node(knows())
    world.top.saying = refers(second.site)
    names = ["88.777.1/a/../b", "88.777.1/./%41", "88.777.1/标?x=1#y", "88.777.1/a//b+c&d;e", "0.NA/88.777"]
    for name in names:
        assert texts(await world.ask(name)) == [name]
    assert second.asked == names


async def test_a_prefix_is_asked_for_once_and_again_when_its_time_is_over(world: World) -> None:
    second = await world.node(knows())
    world.top.saying = refers(second.site, ttl=30)
    answers = await asyncio.gather(*(world.ask(f"88.777.1/{n}") for n in range(100)))
    assert [texts(answer) for answer in answers] == [[f"88.777.1/{n}"] for n in range(100)]
    assert len(world.top.asked) == 1
    world.clock += 29
    await world.ask()
    assert len(world.top.asked) == 1
    await world.ask("88.777.2/x")
    assert len(world.top.asked) == 2, "another prefix"
    world.clock += 2
    await world.ask()
    assert len(world.top.asked) == 3


async def test_a_prefix_suspended_at_the_top_is_no_longer_answered_for(world: World) -> None:
    second = await world.node(knows())
    world.top.saying = refers(second.site, ttl=KEPT_SECONDS)
    assert (await world.ask()).outcome is Outcome.FOUND
    world.clock += FRESH_SECONDS
    world.top.saying = says(400, {"responseCode": 301, "message": "not in force"})
    assert (await world.ask()).outcome is Outcome.FOREIGN
    world.top.saying = says(503, b"")
    assert (await world.ask()).outcome is Outcome.UNREACHABLE, "an old referral does not come back"


async def test_what_is_known_goes_on_while_the_top_level_node_is_away(world: World) -> None:
    second = await world.node(knows())
    world.top.saying = refers(second.site, ttl=KEPT_SECONDS)
    await world.ask()
    world.top.saying = says(503, b"")
    world.clock += KEPT_SECONDS - 1
    asked = len(world.top.asked)
    assert (await world.ask()).outcome is Outcome.FOUND
    assert len(world.top.asked) == asked + 1, "it was asked first"
    world.clock += 1
    assert (await world.ask()).outcome is Outcome.UNREACHABLE


async def test_a_referral_for_a_prefix_above_holds_for_all_below_and_never_too_long(world: World) -> None:
    second = await world.node(knows())
    world.top.saying = refers(second.site, handle="0.NA/88.777", ttl=2**31)
    for n in range(5):
        await world.ask(f"88.777.{n}/x")
    assert len(world.top.asked) == 1
    world.clock += FRESH_SECONDS
    await world.ask("88.777.1/x")
    assert len(world.top.asked) == 2


async def test_a_referral_for_one_identifier_is_for_it_alone(world: World) -> None:
    second = await world.node(knows())
    world.top.saying = refers(second.site, code=302)
    await asyncio.gather(*(world.ask(f"88.777.1/{n}") for n in range(3)))
    assert sorted(world.top.asked) == [f"88.777.1/{n}" for n in range(3)]
    world.top.asked.clear()
    world.top.saying = refers(second.site)
    await asyncio.gather(*(world.ask(f"0.NA/88.777.{n}") for n in range(3)))
    await world.ask("0.NA/88.777.0")
    assert len(world.top.asked) == 4, "handles about prefixes have no prefix in common"


async def test_a_mirror_is_asked_when_the_first_is_gone(world: World) -> None:
    second, gone = await world.node(knows()), site(1)
    world.top.saying = refers(gone, second.site)
    assert (await world.ask()).outcome is Outcome.FOUND


# -- how far


@pytest.mark.parametrize("deep", range(1, DEPTH_MOST + 2))
async def test_referrals_are_followed_so_deep_and_no_deeper(world: World, deep: int) -> None:
    saying = knows()
    for _ in range(deep - 1):
        saying = refers((await world.node(saying)).site, code=302)
    world.top.saying = refers((await world.node(saying)).site)
    answer = await world.ask()
    assert answer.outcome is (Outcome.FOUND if deep <= DEPTH_MOST else Outcome.UNREACHABLE)
    assert world.counted() == {"found" if deep <= DEPTH_MOST else "too_deep": 1}


async def test_nodes_that_name_each_other_are_left_after_a_few_rounds(world: World) -> None:
    one, other = await world.node(hangs), await world.node(hangs)
    one.saying, other.saying = refers(other.site), refers(one.site)
    world.top.saying = refers(one.site)
    assert (await world.ask()).outcome is Outcome.UNREACHABLE
    assert len(one.asked) + len(other.asked) == DEPTH_MOST


async def test_whoever_is_sent_back_to_us_hears_that_nobody_has_it(world: World) -> None:
    world.top.saying = refers(site(OURS[1], address=OURS[0]))
    answer = await world.ask()
    assert (answer.outcome, answer.until) == (Outcome.FOREIGN, world.now + FAILED_SECONDS)
    assert world.counted() == {"loop": 1}


def test_which_doors_are_ours() -> None:
    terms = Terms.of(Config(host="0.0.0.0", http_port=8000, public_url="http://192.0.2.1"))
    assert terms.is_ours(at("127.0.0.1"), 8000)
    assert terms.is_ours(at("192.0.2.1"), 80)
    assert not terms.is_ours(at("127.0.0.1"), 8001)
    assert not terms.is_ours(at("192.0.2.2"), 8000)
    filed = Terms.of(Config(host="0.0.0.0", http_port=8000, route_address="2400:3200::1"))
    assert filed.is_ours(at("2400:3200::1"), 8000), "what the top-level node is told"
    secure = {"host": "0.0.0.0", "route_address": "192.0.2.1", "https_port": 8443, "client_cert_port": 8444}
    for port in (8443, 8444):
        assert Terms.of(Config(certificate="x", **secure)).is_ours(at("192.0.2.1"), port)
        assert not Terms.of(Config(**secure)).is_ours(at("192.0.2.1"), port), "nobody listens there"
    named = Terms.of(Config(host="127.0.0.1", http_port=8000, public_url="https://id.example.com"))
    assert named.is_ours(at("127.0.0.1"), 8000)
    assert not named.is_ours(at("127.0.0.2"), 8000)
    for odd in ("", "nonsense", "http://192.0.2.1:port"):
        doors = {(at("127.0.0.1"), port) for port in (8000, 2641)}
        assert Terms.of(Config(host="127.0.0.1", public_url=odd)).doors == doors


async def test_where_the_top_level_node_points_is_told_without_going_there(world: World) -> None:
    second = await world.node(knows())
    world.top.saying = refers(second.site)
    asked = Identifier.parse(NAME)
    for _ in range(2):
        assert await world.stage.pointed(asked) == (site_from_json(second.site),)
    assert (len(world.top.asked), second.asked) == (1, []), "and kept"
    world.clock += FRESH_SECONDS
    world.top.saying = says(400, {"responseCode": 301})
    assert await world.stage.pointed(asked) == ()
    world.top.saying = says(500, {})
    assert await world.stage.pointed(Identifier.parse("88.778.1/A")) == ()


async def test_nobody_is_pointed_back_to_this_node(world: World) -> None:
    for port, protocol in ((OURS[1], Protocol.HTTP), (2641, Protocol.TCP)):
        world.top.saying = refers(site(port, address=OURS[0], protocol=protocol))
        assert await world.stage.pointed(Identifier.parse(NAME)) == ()
        world.clock += FRESH_SECONDS


async def test_a_referral_inwards_is_not_followed_unless_allowed(world: World) -> None:
    second = await world.node(knows())
    world.set_terms(networks=())
    world.top.saying = refers(second.site)
    assert (await world.ask()).outcome is Outcome.UNREACHABLE
    assert second.asked == []
    assert world.counted() == {"address": 1}


async def test_a_site_without_a_way_in_is_none(world: World) -> None:
    second = await world.node(knows())
    for n, each in enumerate(
        (site(second.port, protocol=Protocol.TCP), site(second.port, query=False), site(), site() | {"servers": []})
    ):
        world.top.saying = refers(each)
        assert (await world.ask(f"88.777.{n}/x")).outcome is Outcome.UNREACHABLE
    assert world.counted() == {"no_server": 4}
    assert second.asked == []


async def test_a_certificate_nobody_vouches_for_is_refused(world: World, tmp_path: Path) -> None:
    async with other_node(knows(), own_certificate(tmp_path / "both.pem")) as second:
        world.top.saying = refers(site(second.port, protocol=Protocol.HTTPS))
        assert (await world.ask()).outcome is Outcome.UNREACHABLE
        assert world.counted() == {"unreachable": 1}
        assert second.asked == []


def test_plain_http_goes_before_https_and_addresses_are_written_as_urls_have_them(world: World) -> None:
    def bases(*given: Any) -> list[str]:
        return world.stage._bases(Identifier.parse(NAME), [site_from_json(each) for each in given])

    both = site(443, protocol=Protocol.HTTPS, address="2400:3200::1")
    both["servers"][0]["interfaces"] += site(8000)["servers"][0]["interfaces"]
    assert bases(both) == ["http://[2400:3200::1]:8000"]
    only = site(443, protocol=Protocol.HTTPS, address="1.1.1.1")
    assert bases(site(address="1.1.1.2"), only, both, both) == ["https://1.1.1.1:443", "http://[2400:3200::1]:8000"]


# -- lies and noise


async def endless(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"10000\r\n" + b"[" * 65536 + b"\r\n")
        await writer.drain()


async def drips(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.01)


async def drips_headers(writer: asyncio.StreamWriter, _: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await writer.drain()
        await asyncio.sleep(0.01)


def raw(response: bytes) -> Saying:
    async def saying(writer: asyncio.StreamWriter, _: str) -> None:
        writer.write(response)
        writer.close()

    return saying


GOOD = {"responseCode": 1, "handle": NAME, "values": [value("x")]}
TRAP = "Location: http://127.0.0.1:1/"
HOSTILE: dict[str, tuple[Saying, str]] = {
    "another handle": (says(200, GOOD | {"handle": "88.777.1/other"}), "unreadable"),
    "a status at odds": (says(404, GOOD), "unreadable"),
    "a code at odds": (says(200, GOOD | {"responseCode": 100}), "unreadable"),
    "a value of wrong shape": (says(200, GOOD | {"values": [{"index": "1"}]}), "unreadable"),
    "html": (says(200, b"<html>It works!</html>"), "unreadable"),
    "noise": (says(200, bytes(range(256))), "unreadable"),
    "nothing": (says(200, b""), "unreadable"),
    "NaN": (says(200, b'{"responseCode":NaN}'), "unreadable"),
    "a name twice": (says(200, b'{"responseCode":1,' + json.dumps(GOOD).encode()[1:]), "unreadable"),
    "a redirection": (says(302, GOOD, TRAP), "unreadable"),
    "a compressed body": (says(200, gzip.compress(json.dumps(GOOD).encode()), "Content-Encoding: gzip"), "unreadable"),
    "an error": (says(500, {"responseCode": 2}), "error"),
    "busy": (says(503, {"responseCode": 3}), "error"),
    "too often": (says(429, b""), "error"),
    "another prefix's referral": (says(300, {"responseCode": 303, "handle": "0.NA/1", "values": []}), "unreadable"),
    "a large body": (says(200, b" " * (BODY_MOST + 1)), "too_large"),
    "an endless body": (endless, "too_large"),
    "a body in drops": (drips, "timeout"),
    "headers in drops": (drips_headers, "timeout"),
    "silence": (hangs, "timeout"),
    "a body cut short": (raw(octets(200, b"x" * 100)[:-50]), "unreachable"),
    "an end": (raw(b""), "unreachable"),
    "no http": (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "unreachable"),
    "a long header": (says(200, GOOD, "X: " + "y" * 9000), "unreachable"),
    "many headers": (says(200, GOOD, *(f"X{n}: y" for n in range(100))), "unreachable"),
    "binary headers": (raw(b"HTTP/1.1 200 OK\r\n\x00\xff: \x01\r\n\r\n"), "unreachable"),
    "a wrong length": (raw(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"), "unreachable"),
}


@pytest.mark.parametrize("place", ["top-level node", "neighbour"])
@pytest.mark.parametrize(("saying", "reason"), HOSTILE.values(), ids=HOSTILE)
async def test_whatever_they_say_it_is_an_answer_and_never_kept_long(
    world: World, saying: Saying, reason: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # However slow this machine is, only who means to keep us waiting does.
    monkeypatch.setattr(forwarded, "QUESTION_SECONDS", 0.15 if reason == "timeout" else PATIENCE)
    monkeypatch.setattr(forwarded, "FORWARD_SECONDS", PATIENCE)
    if place == "neighbour":
        world.top.saying = refers((await world.node(saying)).site)
    else:
        world.top.saying = saying
    answer = await world.ask()
    assert (answer.outcome, answer.shown) == (Outcome.UNREACHABLE, b"")
    assert answer.until == world.now + FAILED_SECONDS
    assert world.counted() == {reason: 1}


async def test_whom_the_referral_names_may_not_know_of_it(world: World) -> None:
    second = await world.node(says(400, {"responseCode": 301}))
    world.top.saying = refers(second.site)
    answer = await world.ask()
    assert (answer.outcome, answer.until) == (Outcome.FOREIGN, world.now + FAILED_SECONDS)
    assert world.counted() == {"not_responsible": 1}


async def test_nobody_at_the_top_is_an_answer_too(world: World) -> None:
    world.set_terms(toplevel="http://127.0.0.1:1")
    assert (await world.ask()).outcome is Outcome.UNREACHABLE
    world.set_terms(toplevel="http://elsewhere.example:8100")
    assert (await world.ask()).outcome is Outcome.UNREACHABLE, "only one name is ever resolved"
    world.set_terms(toplevel=f"http://localhost:{world.top.port}")
    assert (await world.ask()).outcome is Outcome.ABSENT
    assert world.counted() == {"unreachable": 2, "absent": 1}


# -- what it costs


async def test_a_referral_that_leads_nowhere_is_asked_for_anew_but_not_all_the_time(world: World) -> None:
    old, new = await world.node(knows(value("old"))), await world.node(knows(value("new")))
    world.top.saying = refers(old.site)
    assert texts(await world.ask()) == ["old"]
    old.saying, world.top.saying = says(400, {"responseCode": 301}), refers(new.site)
    assert (await world.ask()).outcome is Outcome.FOREIGN
    assert len(world.top.asked) == 1, "heard a moment ago"
    world.clock += ANEW_SECONDS
    assert texts(await world.ask()) == ["new"], "in the same breath"
    assert len(world.top.asked) == 2


async def test_who_fails_again_and_again_rests_and_one_question_decides_whether_it_goes_on(world: World) -> None:
    second = await world.node(says(200, b"noise"))
    world.top.saying = refers(second.site)
    for _ in range(FAILURES_MOST + 5):
        assert (await world.ask()).outcome is Outcome.UNREACHABLE
    assert len(second.asked) == FAILURES_MOST
    assert world.counted() == {"unreadable": FAILURES_MOST, "resting": 5}
    second.saying = hangs
    world.clock += REST_SECONDS
    asking = [asyncio.create_task(world.ask(f"88.777.1/{n}")) for n in range(20)]
    await until(lambda: len(second.asked) > FAILURES_MOST)
    done, rest = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    await until(lambda: sum(task.done() for task in asking) == 19)
    assert len(second.asked) == FAILURES_MOST + 1
    assert {task.result().outcome for task in done} == {Outcome.UNREACHABLE}
    for task in rest:
        task.cancel()
    await asyncio.gather(*asking, return_exceptions=True)


async def test_after_a_rest_a_mended_neighbour_is_asked_as_before(world: World) -> None:
    second = await world.node(says(200, b"noise"))
    world.top.saying = refers(second.site, ttl=1000)
    for _ in range(FAILURES_MOST + 1):
        await world.ask()
    second.saying = knows()
    world.clock += REST_SECONDS
    assert (await world.ask()).outcome is Outcome.FOUND
    answers = await asyncio.gather(*(world.ask(f"88.777.1/{n}") for n in range(50)))
    assert {answer.outcome for answer in answers} == {Outcome.FOUND}


@pytest.fixture
def without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who never answers is waited for until the test is over, however slow the machine: others get theirs beside it."""
    monkeypatch.setattr(forwarded, "QUESTION_SECONDS", PATIENCE)
    monkeypatch.setattr(forwarded, "FORWARD_SECONDS", PATIENCE)


@pytest.mark.usefixtures("without_end")
async def test_one_who_hangs_keeps_nobody_from_others(world: World) -> None:
    slow, quick = await world.node(hangs), await world.node(knows())
    sites = {"88.1": slow.site, "88.2": quick.site}
    world.top.saying = by_name(
        lambda name: (
            300,
            {
                "responseCode": 303,
                "handle": name,
                "values": [
                    {
                        "index": 500,
                        "type": "HS_SITE",
                        "data": {"format": "site", "value": sites[name.partition("/")[0]]},
                        "ttl": 300,
                    }
                ],
            },
        )
    )
    waiting = [asyncio.create_task(world.ask(f"88.1/{n}")) for n in range(300)]
    await until(lambda: slow.asked)
    answers = await asyncio.gather(*(world.ask(f"88.2/{n}") for n in range(300)))
    assert {answer.outcome for answer in answers} == {Outcome.FOUND}
    assert not any(task.done() for task in waiting)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_large_answers_of_one_neighbour_leave_time_for_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, large, loop = web_reply.read, [], asyncio.get_running_loop()

    def slowly(status: int, octets: bytes, identifier: Identifier) -> Reply:
        if len(octets) > READ_AT_ONCE:
            large.append(loop.time())
            world.clock += 0.03
        return read(status, octets, identifier)

    monkeypatch.setattr(web_reply, "read", slowly)
    heavy, light = await world.node(knows(value("x" * READ_AT_ONCE))), await world.node(knows())
    ways = {"88.1": refers(heavy.site), "88.2": refers(light.site)}

    async def points(writer: asyncio.StreamWriter, name: str) -> None:
        await ways[name.partition("/")[0]](writer, name)

    world.top.saying = points
    asked = [f"88.1/{n}" for n in range(4)] + [f"88.2/{n}" for n in range(4)]
    answers = await asyncio.gather(*map(world.ask, asked))
    assert {answer.outcome for answer in answers} == {Outcome.FOUND}
    pauses = [later - sooner for sooner, later in itertools.pairwise(large)]
    assert len(pauses) == 3
    assert min(pauses) >= 0.99 * turns.REST * 0.03


@pytest.fixture
def dead_ends() -> Iterator[list[int]]:
    """Ports that take connections and never say anything."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(80)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
            each.listen(64)
        yield [each.getsockname()[1] for each in sockets]


@pytest.mark.usefixtures("without_end")
async def test_who_names_dead_ends_without_end_takes_no_place_from_others(world: World, dead_ends: list[int]) -> None:
    numbers = itertools.count()

    async def misleads(writer: asyncio.StreamWriter, name: str) -> None:
        await refers(site(dead_ends[next(numbers) % len(dead_ends)]), code=302)(writer, name)

    liar, honest = await world.node(misleads), await world.node(knows())
    ways = {"88.1": refers(liar.site), "88.2": refers(honest.site)}

    async def points(writer: asyncio.StreamWriter, name: str) -> None:
        await ways[name.partition("/")[0]](writer, name)

    world.top.saying = points
    misled = [asyncio.create_task(world.ask(f"88.1/{n}")) for n in range(900)]
    await until(lambda: next(numbers) > 20)
    for _ in range(5):
        answers = await asyncio.gather(*(world.ask(f"88.2/{n}") for n in range(100)))
        assert {answer.outcome for answer in answers} == {Outcome.FOUND}
    for task in misled:
        task.cancel()
    await asyncio.gather(*misled, return_exceptions=True)


@pytest.mark.usefixtures("without_end")
async def test_those_who_wait_for_the_same_referral_share_its_failure(world: World) -> None:
    waited = asyncio.Event()

    async def fails(writer: asyncio.StreamWriter, name: str) -> None:
        await waited.wait()
        await says(503, b"")(writer, name)

    world.top.saying = fails
    asking = [asyncio.create_task(world.ask(f"88.777.1/{n}")) for n in range(50)]
    await until(lambda: world.top.asked)  # all of them wait by then: they began in one turn of the loop
    waited.set()
    assert {answer.outcome for answer in await asyncio.gather(*asking)} == {Outcome.UNREACHABLE}
    assert len(world.top.asked) == 1
    assert world.counted() == {"error": 50}


@pytest.mark.usefixtures("impatient")
async def test_all_of_it_has_one_deadline(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarded, "FORWARD_SECONDS", 0.05)
    world.top.saying = hangs
    assert (await world.ask()).outcome is Outcome.UNREACHABLE
    assert world.counted() == {"timeout": 1}
    world.top.saying = knows()
    monkeypatch.setattr(forwarded, "FORWARD_SECONDS", 30)
    assert (await world.ask()).outcome is Outcome.FOUND


@pytest.mark.usefixtures("impatient")
async def test_without_room_nothing_waits(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.room = False
    with pytest.raises(BusyError):
        await world.ask()
    world.room = True
    monkeypatch.setattr(forwarded, "FORWARDS_MOST", 10)
    world.top.saying = hangs
    waiting = [asyncio.create_task(world.ask(f"88.{n}/x")) for n in range(10)]
    await asyncio.sleep(0)  # each has its place in this turn; what it waits for after that is real time
    with pytest.raises(BusyError):
        await world.ask()
    for task in waiting[:5]:
        task.cancel()
    answers = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(each) for each in answers] == [asyncio.CancelledError] * 5 + [Answer] * 5
    assert world.counted() == {"busy": 2, "timeout": 10}
    world.clock += REST_SECONDS
    world.top.saying = knows()
    assert (await world.ask()).outcome is Outcome.FOUND, "whose time is over has left its place, waited for or not"

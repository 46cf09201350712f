"""Proves node/uplink/client.py against a server on a real socket that answers as it is told, lies included."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from node.uplink import client
from node.uplink.client import AwayError, FencedError, Name, TopLevelNode
from proto import signed
from proto import uplink_pb2 as pb

OURS, THEIRS, STRANGER = b"o" * 32, b"t" * 32, b"s" * 32
NOW = 1_795_330_554_000

Answer = Callable[[signed.Asked], Awaitable[web.StreamResponse]]


@dataclass
class Scripted:
    """A top-level node that verifies what it is asked and answers by `answer`."""

    answer: Answer | None = None
    asked: list[signed.Asked] = field(default_factory=list)
    url: str = ""

    async def post(self, request: web.Request) -> web.StreamResponse:
        octets = await request.read()
        asked = signed.asked(octets, signed.public_key(OURS), request.match_info["method"], NOW)
        self.asked.append(asked)
        assert self.answer is not None
        return await self.answer(asked)


def says(code: int, message: bytes = b"", key: bytes = THEIRS, nonce: bytes = b"") -> Answer:
    async def answer(asked: signed.Asked) -> web.Response:
        given = signed.Answered(code, "一句话", "a sentence", message)
        return web.Response(body=signed.answer(nonce or asked.nonce, given, key))

    return answer


@pytest.fixture
async def server() -> AsyncIterator[Scripted]:
    scripted = Scripted()
    app = web.Application(client_max_size=signed.MESSAGE_OCTETS)
    app.router.add_post("/uplink/v1/{method}", scripted.post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    scripted.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield scripted
    await runner.cleanup()


@pytest.fixture
async def node(server: Scripted) -> AsyncIterator[TopLevelNode]:
    async with client.session() as session:
        made = TopLevelNode(session, server.url, Name("88.999", OURS, 7), lambda: NOW)
        made.public_key = signed.public_key(THEIRS)
        yield made


async def test_a_request_is_signed_named_dated_and_fenced(server: Scripted, node: TopLevelNode):
    server.answer = says(1000, pb.HeartbeatResponse(messages=3).SerializeToString())
    reply = await node.ask("Heartbeat", pb.HeartbeatRequest(version="1"), pb.HeartbeatResponse)
    assert (reply.ok, reply.code, reply.message.messages) == (True, 1000, 3)
    await node.ask("Heartbeat", pb.HeartbeatRequest(), pb.HeartbeatResponse, b"n" * 16)
    first, second = server.asked
    assert (first.method, first.shr_prefix, first.made, first.fence) == ("Heartbeat", "88.999", NOW, 7)
    assert pb.HeartbeatRequest.FromString(first.request).version == "1"
    assert first.nonce != second.nonce == b"n" * 16


async def test_the_first_answer_names_the_key_that_is_believed(server: Scripted, node: TopLevelNode):
    key = signed.public_key(THEIRS)
    server.answer = says(1000, pb.EnrolResponse(public_key=key).SerializeToString())
    node.public_key = None
    assert await node.enrol("节点", "node") == key
    told = pb.EnrolRequest.FromString(server.asked[0].request)
    assert (told.public_key, told.name_zh, told.name_en) == (signed.public_key(OURS), "节点", "node")
    server.answer = says(1000, pb.EnrolResponse(public_key=key).SerializeToString(), key=STRANGER)
    with pytest.raises(AwayError) as lied:
        await node.enrol("节点", "node")
    assert lied.value.reason == "signature"


async def test_a_refusal_is_an_answer_with_its_sentence(server: Scripted, node: TopLevelNode):
    server.answer = says(2303, b"not to be read")
    reply = await node.ask("PutRoute", pb.PutRouteRequest(), pb.PutRouteResponse)
    assert (reply.ok, reply.code, reply.zh, reply.en) == (False, 2303, "一句话", "a sentence")


async def test_not_authorised_ends_the_tenure_unless_it_is_about_something_else(server: Scripted, node: TopLevelNode):
    answers = {"CheckPrefix": 2201, "PutRoute": 2304, "Poll": 2201}

    async def answer(asked: signed.Asked) -> web.StreamResponse:
        return await says(answers[asked.method])(asked)

    server.answer = answer
    check = ("CheckPrefix", pb.CheckPrefixRequest(), pb.CheckPrefixResponse)
    with pytest.raises(FencedError):
        await node.ask("Poll", pb.PollRequest(), pb.PollResponse)
    with pytest.raises(FencedError):
        await node.ask_about(*check)
    answers["Poll"] = 1300
    assert (await node.ask_about(*check)).code == 2201
    assert (await node.ask_about("PutRoute", pb.PutRouteRequest(), pb.PutRouteResponse)).code == 2304
    assert [asked.method for asked in server.asked] == ["Poll", *["CheckPrefix", "Poll"] * 2, "PutRoute"]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (says(1000, key=STRANGER), "signature"),
        (says(1000, nonce=b"x" * 16), "unreadable"),
        (says(1000, b"\xff\xff"), "unreadable"),
        (says(2400), "status"),
    ],
)
async def test_an_answer_that_cannot_be_believed_is_none(
    server: Scripted, node: TopLevelNode, answer: Answer, reason: str
):
    server.answer = answer
    with pytest.raises(AwayError) as lied:
        await node.ask("Heartbeat", pb.HeartbeatRequest(), pb.HeartbeatResponse)
    assert lied.value.reason == reason


async def test_octets_without_sense_errors_and_endless_answers_are_none(
    server: Scripted, node: TopLevelNode, monkeypatch: pytest.MonkeyPatch
):
    async def nonsense(_: signed.Asked) -> web.Response:
        return web.Response(body=b"\x08nonsense")

    async def trouble(_: signed.Asked) -> web.Response:
        return web.Response(status=503, text="later")

    async def endless(_: signed.Asked) -> web.Response:
        return web.Response(body=bytes(signed.MESSAGE_OCTETS + 1))

    async def elsewhere(_: signed.Asked) -> web.Response:
        return web.Response(status=302, headers={"Location": "http://127.0.0.1:9/"})

    for answer, reason in (
        (nonsense, "unreadable"),
        (trouble, "status"),
        (endless, "unreadable"),
        (elsewhere, "status"),
    ):
        server.answer = answer
        with pytest.raises(AwayError) as lied:
            await node.ask("Heartbeat", pb.HeartbeatRequest(), pb.HeartbeatResponse)
        assert lied.value.reason == reason


async def test_silence_and_nobody_there_are_told_apart(
    server: Scripted, node: TopLevelNode, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
):
    release = asyncio.Event()

    async def silence(_: signed.Asked) -> web.Response:
        await release.wait()
        return web.Response()

    server.answer = silence
    monkeypatch.setattr(client, "ANSWER_SECONDS", 0.05)
    async with client.session() as hasty:
        waiting = TopLevelNode(hasty, server.url, Name("88.999", OURS, 7), lambda: NOW)
        waiting.public_key = signed.public_key(THEIRS)
        with pytest.raises(AwayError) as silent:
            await waiting.ask("Heartbeat", pb.HeartbeatRequest(), pb.HeartbeatResponse)
        assert silent.value.reason == "timeout"
        release.set()
        gone = TopLevelNode(hasty, f"http://127.0.0.1:{unused_tcp_port}", Name("88.999", OURS, 7), lambda: NOW)
        with pytest.raises(AwayError) as away:
            await gone.enrol("节点", "node")
        assert away.value.reason == "unreachable"


async def test_whether_anybody_answered_is_told_of_each_request(server: Scripted, node: TopLevelNode):
    told: list[bool] = []
    node.on_reach = told.append
    server.answer = says(2303)
    await node.ask("Heartbeat", pb.HeartbeatRequest(), pb.HeartbeatResponse)

    async def out_of_order(asked: signed.Asked) -> web.Response:
        return web.Response(status=503)

    server.answer = out_of_order
    with pytest.raises(AwayError):
        await node.ask("Heartbeat", pb.HeartbeatRequest(), pb.HeartbeatResponse)
    server.answer = says(1000, key=STRANGER)
    with pytest.raises(AwayError):
        await node.ask("Heartbeat", pb.HeartbeatRequest(), pb.HeartbeatResponse)
    node._url = "http://127.0.0.1:1"
    with pytest.raises(AwayError):
        await node.ask("Heartbeat", pb.HeartbeatRequest(), pb.HeartbeatResponse)
    assert told == [True, False, False, False], "a refusal is an answer; an outage is none, nor is a stranger's"

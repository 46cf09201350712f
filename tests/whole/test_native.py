"""The Handle protocol of a whole node, over TCP and UDP: what every other face says, as new, and nothing more."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from loadtest.native import Connection, Datagrams
from loadtest.native_session import Session, certified
from proto.native.bodies import Named, Opaque, Question, Valued
from proto.native.message import CERTIFY, PUBLIC_ONLY, Message
from proto.values.site import Protocol, Site
from proto.web_json import value_to_json
from tests.whole.calls import Caller

PREFIX = "88.999.1001"
SAMPLES = [f"{PREFIX}/BAG-2026-{number:06}" for number in (17, 18)]
EVERYWHERE = 4
"""Connections and sockets each: enough that both workers answer."""
_numbers = itertools.count(1)


def asks(handle: str, *indexes: int, flags: int = PUBLIC_ONLY) -> Message:
    return Message(1, flags=flags, body=Question(handle, indexes).to_octets())


@asynccontextmanager
async def speaking(world: Any) -> AsyncIterator[list[Connection | Datagrams]]:
    """Clients of both transports, some of each."""
    port = world.ready["native"]["port"]
    clients = [await Connection.open(port) for _ in range(EVERYWHERE)]
    sockets = [await Datagrams.open(port) for _ in range(EVERYWHERE)]
    try:
        yield [*clients, *sockets]
    finally:
        for client in clients:
            await client.close()
        for each in sockets:
            each.close()


async def heard(world: Any, message: Message) -> list[tuple[int, Any]]:
    """What all of them are told, twice: code and body."""
    async with speaking(world) as clients:
        answers = [await client.ask(message) for client in clients for _ in range(2)]
    return [(answer.message.code, answer.body) for answer in answers]


def shown(caller: Caller, handle: str) -> list[dict[str, Any]]:
    return list(caller.call("GET", f"/api/handles/{handle}").json["values"])


@pytest.fixture(scope="module")
def mine(world: Any) -> Caller:
    known = world.ready["enterprises"][0]
    return Caller(world.http).signed(known["access_key"], known["secret_key"])


@pytest.mark.parametrize("flags", [PUBLIC_ONLY, 0])
async def test_everybody_is_told_what_the_web_says_and_nothing_more(world: Any, mine: Caller, flags: int) -> None:
    public = shown(Caller(world.http), SAMPLES[0])
    assert len(public) < len(shown(mine, SAMPLES[0])), "its owner sees more"
    for code, body in await heard(world, asks(SAMPLES[0], flags=flags)):
        assert (code, body.handle) == (1, SAMPLES[0])
        assert [json.loads(json.dumps(value_to_json(value))) for value in body.values] == public


async def test_what_one_face_writes_is_read_at_once(world: Any, mine: Caller) -> None:
    handle = f"{PREFIX}/BAG-NATIVE-{next(_numbers):06}"
    names = ("styleNo", "articleType", "colour")
    value = [{"index": 2000 + n, "type": name, "data": {"value": "v0"}} for n, name in enumerate(names)]
    row = {"handle": handle, "templateVersion": "leather-handbag", "value": value}
    async with speaking(world) as clients:

        async def seen() -> set[Any]:
            answers = [await client.ask(asks(handle, 2000)) for client in clients]
            return {a.body.values[0].data if isinstance(a.body, Valued) else a.message.code for a in answers}

        async def written(method: str, body: Any) -> None:
            reply = await asyncio.to_thread(mine.call, method, "/identityv2/data", body)
            assert reply.json["message"] == "success"

        assert await seen() == {100}
        await written("POST", row)
        assert await seen() == {b"v0"}
        for text in ("v1", "v2"):
            value[0]["data"] = {"value": text}
            await written("PUT", row)
            assert await seen() == {text.encode()}
        await written("DELETE", {"handle": handle})
        assert await seen() == {100}


async def test_the_site_says_where_it_is(world: Any) -> None:
    site = Site.from_octets(world_site(await heard(world, Message(2, body=Named("/").to_octets()))))
    native = world.ready["native"]
    ways = [(each.protocol, each.port) for each in site.servers[0].interfaces]
    assert ways[:2] == [(Protocol.TCP, native["port"]), (Protocol.UDP, native["port"])]
    assert str(site.servers[0].address) == native["host"]


def world_site(told: list[tuple[int, Any]]) -> bytes:
    assert {code for code, _ in told} == {1}
    (octets,) = {body.octets for _, body in told if isinstance(body, Opaque)}
    return octets


async def test_all_workers_certify_by_one_key_and_know_one_session(world: Any) -> None:
    told = await heard(world, Message(2, body=Named("/").to_octets()))
    key = Site.from_octets(world_site(told)).servers[0].public_key
    assert (world.data / "site.key").stat().st_mode & 0o777 == 0o600
    async with speaking(world) as clients:
        for client in clients:
            assert certified(await client.ask(asks(SAMPLES[0], flags=PUBLIC_ONLY | CERTIFY)), key)
        connections = [client for client in clients if isinstance(client, Connection)]
        session = await Session.begin(connections[0])
        for connection in connections:
            answer = await session.ask(connection, asks(SAMPLES[0], flags=CERTIFY), encrypted=True)
            assert isinstance(answer.body, Valued)


async def test_one_connection_is_good_for_thousands_of_requests(world: Any) -> None:
    connection = await Connection.open(world.ready["native"]["port"])
    asked = [asks(SAMPLES[0]), asks(SAMPLES[1], 2000), asks(f"{PREFIX}/BAG-NONE"), asks("0"), Message(100), Message(2)]
    for _ in range(10):
        codes = [answer.message.code for answer in await connection.ask_many(asked * 30)]
        assert codes[:3] == [1, 1, 100]
        assert codes == codes[:6] * 30
    await connection.close()

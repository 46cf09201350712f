"""Proves node/resolve/signposts.py on a node in this process: by the Handle protocol on a real socket, and by the JSON
API. What handles of prefixes here say is proven in tests/node/listen/test_handle_writes.py.
"""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

import pytest
import pytest_asyncio

from loadtest.native import Connection, Heard
from node import clock
from node.native import tcp
from node.native.desk import Desk
from node.native.lane import Lane
from node.resolve.signposts import STRANGERS_MOST
from node.site import site_of_route
from proto.codes import OpCode, ResponseCode
from proto.identifier import Identifier
from proto.native import bodies
from proto.native.bodies import Body, Failure, Named, Valued
from proto.native.message import CACHE_AUTHENTICATION, DO_NOT_REFER, PUBLIC_ONLY, RECURSIVE, Message
from proto.value import Value
from proto.values.site import Protocol, Site
from registry.postgres import catalogue, hosting
from registry.postgres.filing import Route
from registry.prefix import PrefixState
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import PREFIX

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = Value(1, "URL", b"http://x/")
THEIRS = site_of_route(Route(STRANGER_PREFIX, 1, "192.0.2.7", 2641, 2641, 0))
ELSEWHERE = site_of_route(Route("88.999.3001", 1, "192.0.2.8", 2641, 0, 8000))


@dataclass
class World:
    node: Node
    client: Connection

    async def ask(self, op: OpCode, body: Body, flags: int = 0) -> Heard:
        return await self.client.ask(Message(op, flags=flags, body=body.to_octets()))

    async def resolve(self, handle: str, flags: int = PUBLIC_ONLY) -> Heard:
        return await self.ask(OpCode.RESOLUTION, bodies.Question(handle), flags)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(module_database: str) -> AsyncIterator[World]:
    """STRANGER_PREFIX lives at its enterprise's own node, and PREFIX here. Whatever else there is, the national node
    says is at ELSEWHERE.
    """
    async with node(module_database) as made:
        house, times = made.house, (clock.monotonic, clock.seconds)
        await own_node(made)

        async def pointed(asked: Identifier) -> tuple[Site, ...]:
            return (ELSEWHERE,) if asked.prefix_key == "88.999.3001" else ()

        house.signposts.pointed = pointed
        with socket.create_server(("127.0.0.1", 0)) as sock:
            desk, lane = Desk(house, *times), Lane(house, *times)
            crowd = tcp.Crowd(desk, lane, house.meter, 100, house.config.proxies, *times)
            serving = asyncio.create_task(crowd.serve(sock.dup()))
            await asyncio.sleep(0)
            client = Connection(*await asyncio.open_connection(*sock.getsockname()))
            yield World(made, client)
            await client.close()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)


async def own_node(made: Node) -> None:
    """The enterprise's own node answers for STRANGER_PREFIX, and the national node refers there."""
    async with made.registry.pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO hosting (prefix_no, state, applicant_no, address, tcp_port, udp_port) SELECT number, 1, "
            "(SELECT min(number) FROM account), '192.0.2.7', 2641, 2641 FROM prefix WHERE name = $1",
            STRANGER_PREFIX,
        )
        await connection.execute(
            "INSERT INTO route (prefix, told, address, tcp_port, udp_port, http_port) "
            "VALUES ($1, 1, '192.0.2.7', 2641, 2641, 0)",
            STRANGER_PREFIX,
        )
        assert await hosting.settle(connection) == [STRANGER_PREFIX]
    await made.follower.look()


def sites(heard: Heard) -> list[Site]:
    assert heard.message.code == ResponseCode.PREFIX_REFERRAL, heard
    assert isinstance(heard.body, bodies.Referral)
    assert heard.body.handle == ""
    return [Site.from_octets(value.data) for value in heard.body.values]


async def test_who_asks_for_what_lives_at_its_own_node_is_told_whom_to_ask(world: World) -> None:
    handle = f"{STRANGER_PREFIX}/A"
    for flags in (PUBLIC_ONLY, 0, CACHE_AUTHENTICATION, RECURSIVE):
        assert sites(await world.resolve(handle, flags)) == [THEIRS], "nobody here can ask on"
    for flags in (DO_NOT_REFER, DO_NOT_REFER | RECURSIVE):
        heard = await world.resolve(handle, PUBLIC_ONLY | flags)
        assert heard.message.code == ResponseCode.SERVER_NOT_RESPONSIBLE
    ways = {way.protocol for server in THEIRS.servers for way in server.interfaces if way.admin}
    assert ways == {Protocol.TCP}, "whoever administers may go there"
    heard = await world.resolve(f"0.NA/{STRANGER_PREFIX}")
    assert isinstance(heard.body, Valued), "its handle lives here, above it"
    assert Site.from_octets(heard.body.values[0].data) == THEIRS


@pytest.mark.parametrize(
    ("op", "body"),
    [
        (OpCode.CREATE_HANDLE, Valued(f"{STRANGER_PREFIX}/A", (URL,))),
        (OpCode.DELETE_HANDLE, Named(f"{STRANGER_PREFIX}/A")),
        (OpCode.ADD_VALUE, Valued(f"{STRANGER_PREFIX}/A", (URL,))),
        (OpCode.MODIFY_VALUE, Valued(f"{STRANGER_PREFIX}/A", (URL,))),
        (OpCode.REMOVE_VALUE, bodies.Removal(f"{STRANGER_PREFIX}/A", (1,))),
        (OpCode.LIST_HANDLES, Named(f"0.NA/{STRANGER_PREFIX}")),
    ],
    ids=["create", "delete", "add", "modify", "remove", "list"],
)
async def test_what_nobody_here_can_do_is_referred_without_a_challenge(world: World, op: OpCode, body: Body) -> None:
    for flags in (0, CACHE_AUTHENTICATION | RECURSIVE):
        assert sites(await world.ask(op, body, flags)) == [THEIRS]
    heard = await world.ask(op, body, DO_NOT_REFER)
    assert heard.message.code == ResponseCode.SERVER_NOT_RESPONSIBLE


async def test_where_a_prefix_has_moved_says_the_national_node(world: World) -> None:
    for handle in ("88.999.3001/A", "0.NA/88.999.3001"):
        assert sites(await world.resolve(handle)) == [ELSEWHERE]
    assert sites(await world.ask(OpCode.CREATE_HANDLE, Valued("88.999.3001/A", (URL,)))) == [ELSEWHERE]
    for handle in ("88.999.3002/A", "77.1/A", "0.NA/77.1", "0.NA/0.NA", "88.999.x/A"):
        for _ in range(2):
            heard = await world.resolve(handle)
            assert heard.message.code == ResponseCode.SERVER_NOT_RESPONSIBLE, handle
            assert isinstance(heard.body, Failure)


async def test_a_record_at_the_handle_of_a_prefix_says_whom_to_ask_instead(world: World) -> None:
    handle, path = f"{STRANGER_PREFIX}/A", f"/api/handles/0.NA/{STRANGER_PREFIX}"
    own = {"index": 3, "type": "HS_SITE", "data": {"format": "hex", "value": ELSEWHERE.to_octets().hex()}}
    assert (await world.node.call("PUT", f"{path}?index=3", own, who="stranger"))[0] == 201
    assert sites(await world.resolve(handle)) == [ELSEWHERE]
    service = {"index": 4, "type": "HS_SERV", "data": "0.SERV/88"}
    assert (await world.node.call("PUT", f"{path}?index=4", service, who="stranger"))[0] == 201
    heard = await world.resolve(handle)
    assert heard.message.code == ResponseCode.SERVICE_REFERRAL
    assert isinstance(heard.body, bodies.Referral)
    assert [(value.type, value.data) for value in heard.body.values] == [("HS_SERV", b"0.SERV/88")]
    assert (await world.node.call("DELETE", path, who="stranger"))[0] == 200
    assert sites(await world.resolve(handle)) == [THEIRS]


async def test_the_json_api_refers_who_would_write(world: World) -> None:
    body: list[Any] = [{"index": 1, "type": "URL", "data": "u"}]
    calls = (("PUT", f"/api/handles/{STRANGER_PREFIX}/A"), ("DELETE", f"/api/handles/{STRANGER_PREFIX}/A"))
    for method, path in (*calls, ("GET", f"/api/handles?prefix={STRANGER_PREFIX}")):
        for who in ("stranger", None):
            status, answer = await world.node.call(method, path, body, who=who)
            assert (status, answer["responseCode"]) == (300, 303), (method, who)
            assert answer["values"][0]["data"]["value"]["servers"][0]["address"] == "192.0.2.7"
    status, answer = await world.node.call("PUT", f"{calls[0][1]}?doNotRefer", body)
    assert (status, answer["responseCode"]) == (400, 301)
    status, answer = await world.node.call("PUT", f"/api/handles/{PREFIX}/A", body, who=None)
    assert (status, answer["responseCode"]) == (403, 402), "what lives here is proven here"
    assert (await world.node.call("GET", f"/api/handles/{STRANGER_PREFIX}/A"))[0] == 400, "reading goes on by asking on"


async def test_strangers_are_looked_up_once_while_the_catalogue_stands_still(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    signposts, asked = world.node.house.signposts, list[str]()
    prefix = world.node.house.lookup.prefix

    async def counted(name: str, *, anywhere: bool = False) -> Any:
        asked.append(name)
        return await prefix(name, anywhere=anywhere)

    monkeypatch.setattr(world.node.house.lookup, "prefix", counted)
    for at in (7, 7, 8, 0, 0):
        assert await signposts.referral("66.1", at) is None
    assert asked == ["66.1"] * 4
    monkeypatch.setattr("node.resolve.signposts.STRANGERS_MOST", 2)
    for name in ("66.2", "66.3", "66.1"):
        await signposts.referral(name, 9)
    assert list(signposts._strangers) == ["66.3", "66.1"]
    assert STRANGERS_MOST == 4096


async def test_a_prefix_that_comes_home_is_answered_here_at_once(world: World) -> None:
    """And one that stops refers nobody."""
    handle = f"{STRANGER_PREFIX}/A"
    assert sites(await world.resolve(handle)) == [THEIRS]
    async with world.node.registry.pool.acquire() as connection, connection.transaction():
        known = await catalogue.prefix(connection, STRANGER_PREFIX, held=True)
        assert known
        await catalogue.set_elsewhere(connection, known, False)
    await world.node.follower.look()
    assert (await world.resolve(handle)).message.code == ResponseCode.HANDLE_NOT_FOUND
    heard = await world.resolve(f"0.NA/{STRANGER_PREFIX}")
    assert isinstance(heard.body, Valued)
    here = Site.from_octets(heard.body.values[0].data)
    assert here.servers[0].address == ip_address("127.0.0.1")
    await world.node.house.steward.set_prefix_state(STRANGER_PREFIX, PrefixState.STOPPED)
    await world.node.follower.look()
    for name in (handle, f"0.NA/{STRANGER_PREFIX}"):
        assert (await world.resolve(name)).message.code == ResponseCode.SERVER_NOT_RESPONSIBLE
    await world.node.house.steward.set_prefix_state(STRANGER_PREFIX, PrefixState.ENABLED)
    await world.node.follower.look()
    assert sites(await world.resolve(handle)) == [THEIRS], "for the national node goes on referring there"

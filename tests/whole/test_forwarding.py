"""Two nodes, each with a database and processes of its own, under one top-level node: each answers for the other.

The top-level node is a fake that only refers and can be made to hang, and in the last test the simulated one.
"""

import asyncio
import base64
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import quote, urlsplit

import asyncpg
import pytest

from node.embedded import Servers
from tests.conftest import TEMPLATE
from tests.databases import Databases
from tests.fakes.other_node import OtherNode, hangs, knows_nothing, other_node, refers, site
from tests.waiting import wait_until
from tests.whole.calls import Caller
from tests.whole.serving import command, readiness, serving
from tests.whole.uplink_world import CODES, OTHER, PARTICULARS, PREFIX, Land, Machine, TopLevel, ended, rows

CACHE_SECONDS = 2
FIELDS = ("styleNo", "articleType", "colour")


@dataclass
class Place:
    """One of the two nodes: an enterprise of it that may write, and who asks."""

    prefix: str
    anyone: Caller
    operator: Caller
    writer: Caller

    @property
    def port(self) -> int:
        return urlsplit(self.anyone.base).port or 0

    def register(self, name: str, colour: str, method: str = "POST") -> str:
        """An identifier of this node."""
        texts = ("S1", "手袋", colour)
        value = [{"index": 2000 + n, "type": FIELDS[n], "data": {"value": text}} for n, text in enumerate(texts)]
        handle = f"{self.prefix}.1001/{name}"
        row = {"handle": handle, "templateVersion": "leather-handbag", "value": value}
        assert self.writer.call(method, "/identityv2/data", row).json["message"] == "success"
        return handle

    def resolved(self, handle: str) -> tuple[int, int, str | None]:
        """Status, response code and colour."""
        reply = self.anyone.call("GET", f"/api/handles/{quote(handle)}")
        values = {v["type"]: v["data"]["value"] for v in reply.json.get("values", ())}
        return reply.status, reply.json["responseCode"], values.get("colour")

    def is_answered(self) -> bool:
        """Whether every worker hears the top-level node, of prefixes it does not know."""
        return all(self.resolved(f"88.600.{secrets.randbelow(10**9)}/x")[0] == 404 for _ in range(10))

    def counted(self, outcome: str) -> float:
        """What /metrics says of forwards with that outcome."""
        wanted = f'idnode_forwards_total{{outcome="{outcome}"}} '
        lines = self.operator.call("GET", "/metrics").body.decode().splitlines()
        return float(next(line for line in lines if line.startswith(wanted)).removeprefix(wanted))


@dataclass
class Nation:
    """The top-level node and the two under it."""

    top: OtherNode
    first: Place
    second: Place


@pytest.fixture(scope="session")
def top() -> Iterator[OtherNode]:
    """A top-level node in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    context = other_node(knows_nothing())
    yield asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result(10)
    asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def _place(
    stack: ExitStack, databases: Databases, servers: Servers, folder: Path, prefix: str, top: OtherNode
) -> Place:
    name = asyncio.run(databases.take(TEMPLATE))
    stack.callback(lambda: asyncio.run(databases.give_back(TEMPLATE, name)))
    database = databases.named(name)
    settings = {
        "IDNODE_PREFIX": prefix,
        # Of its own: it names the node's keys in Redis, too.
        "IDNODE_SECRET_KEY": base64.b64encode(prefix.encode().ljust(32)).decode(),
        "IDNODE_REDIS_URL": servers.redis_url,
        "IDNODE_TOPLEVEL_URL": top.url,
        "IDNODE_FORWARD_NETWORKS": "127.0.0.0/8",
        "IDNODE_CACHE_SECONDS": str(CACHE_SECONDS),
        "IDNODE_WORKERS": "2",
    }
    log = folder / f"{name}.log"
    words = ("enterprise", "add", "甲皮具", "--prefix", f"{prefix}.1001", "--industry", "leather")
    command(database, *words, **settings | {"IDNODE_TOPLEVEL_URL": ""})  # nothing of it is filed anywhere
    secret = command(database, "user", "add", "AK-a", "--program", **settings).split()[-1]
    _, anyone, operator = stack.enter_context(serving(log, database, **settings))
    wait_until(lambda: readiness(operator)["ready"], f"{prefix} is ready")
    return Place(prefix, anyone, operator, anyone.signed("AK-a", secret))


@pytest.fixture(scope="session")
def running(databases: Databases, servers: Servers, folder: Path, top: OtherNode) -> Iterator[Nation]:
    with ExitStack() as stack:
        made = Nation(top, *(_place(stack, databases, servers, folder, prefix, top) for prefix in ("88.999", "88.777")))
        yield made
    for log in folder.glob("forwarding_*.log"):
        assert "Traceback" not in log.read_text()


@pytest.fixture
def nation(running: Nation) -> Nation:
    """Both nodes, under a top-level node that knows where their prefixes live and was asked nothing yet."""
    ways = {place.prefix: _referral(place) for place in (running.first, running.second)}

    async def saying(writer: asyncio.StreamWriter, name: str) -> None:
        secondary = name.partition("/")[0].rpartition(".")[0]
        await ways.get(secondary, knows_nothing())(writer, name)

    running.top.saying = saying
    for place in (running.first, running.second):
        wait_until(place.is_answered, "the top-level node, which may have hung, is asked again")
    running.top.asked.clear()
    return running


def _referral(place: Place) -> Any:
    return refers(site(place.port))


def _lines(body: bytes) -> list[Any]:
    return [json.loads(line) for line in body.splitlines()]


def test_two_nodes_resolve_each_other_s_identifiers_on_every_face(nation: Nation) -> None:
    first, second, top = nation.first, nation.second, nation.top
    theirs, ours = second.register("BAG-A-000001", "曜石黑"), first.register("BAG-A-000001", "米白")
    gone = f"{second.prefix}.1001/NEVER"

    # The Handle HTTP API, both ways.
    assert first.resolved(theirs) == (200, 1, "曜石黑")
    assert second.resolved(ours) == (200, 1, "米白")
    assert first.resolved(gone) == (404, 100, None)
    there, here = (place.anyone.call("GET", f"/api/handles/{theirs}") for place in (second, first))
    assert here.json == there.json
    chosen = first.anyone.call("GET", f"/api/handles/{theirs}?index=2002").json["values"]
    assert [value["data"]["value"] for value in chosen] == ["曜石黑"]

    # The page.
    page = first.anyone.call("GET", f"/{theirs}", Accept="text/html")
    assert page.status == 200
    assert "曜石黑" in page.body.decode()
    assert "另一个节点" in page.body.decode()
    assert first.anyone.call("GET", f"/{gone}", Accept="text/html").status == 404

    # Many at once.
    asked = [theirs, ours, gone, "88.555.1/x"]
    batch = first.anyone.call("POST", "/api/v1/resolve", {"identifiers": asked}).json["results"]
    assert [each["responseCode"] for each in batch] == [1, 1, 100, 100]
    lines = "\n".join(json.dumps(each) for each in asked).encode()
    stream = first.anyone.call("POST", "/api/v1/resolve", lines, Content_Type="application/x-ndjson")
    assert [each["responseCode"] for each in _lines(stream.body)] == [1, 1, 100, 100]

    # A prefix is asked for once by each worker; the second node's questions were never sent on.
    assert sum(name.startswith("88.777.1001/") for name in top.asked) <= 2
    assert first.counted("found") >= 1
    assert first.counted("absent") >= 1
    assert second.counted("loop") == 0

    # A change there is seen here when the answer's time is over.
    second.register("BAG-A-000001", "酒红", "PUT")
    began = time.monotonic()
    wait_until(lambda: {first.resolved(theirs)[2] for _ in range(10)} == {"酒红"}, "every worker has seen the change")
    assert time.monotonic() - began < CACHE_SECONDS + 3


def test_a_question_that_came_back_ends_here(nation: Nation) -> None:
    first, second = nation.first, nation.second
    before = {name: first.counted(name) for name in ("loop", "not_responsible")}
    nation.top.saying = _referral(second)
    assert first.resolved("88.222.1/x") == (400, 301, None), "sent to a node that does not have it"
    assert second.counted("loop") == 0
    assert first.counted("not_responsible") == before["not_responsible"] + 1
    nation.top.saying = _referral(first)
    assert first.resolved("88.444.1/x") == (400, 301, None), "the referral names ourselves"
    looped = first.anyone.call("GET", "/api/handles/88.333.1/x", CDN_Loop="88.999")
    assert (looped.status, looped.json["responseCode"]) == (400, 301)
    wait_until(lambda: first.counted("loop") == before["loop"] + 2)


def test_when_the_top_level_node_hangs_what_lives_here_and_what_is_known_goes_on(nation: Nation) -> None:
    first, second = nation.first, nation.second
    theirs, ours = second.register("BAG-B-000001", "曜石黑"), first.register("BAG-B-000001", "米白")
    assert {first.resolved(theirs)[0] for _ in range(20)} == {200}, "both workers know where it lives"
    nation.top.saying = hangs
    hanging = [Thread(target=first.resolved, args=(f"88.{n}.1/x",)) for n in range(40)]
    for thread in hanging:
        thread.start()
    wait_until(lambda: len([n for n in nation.top.asked if n.endswith(".1/x")]) > 10)
    began = time.monotonic()
    for _ in range(50):
        assert first.resolved(ours) == (200, 1, "米白")
    assert time.monotonic() - began < 5
    assert first.resolved(theirs) == (200, 1, "曜石黑")
    for thread in hanging:
        thread.join()
    wait_until(lambda: first.counted("timeout") >= 1)


@dataclass
class Neighbour(Land):
    """What another operator runs under the same top-level node: a prefix, a key and a database of its own."""

    @property
    def settings(self) -> dict[str, str]:
        key = base64.b64encode(bytes(range(1, 33))).decode()
        return super().settings | {"IDNODE_PREFIX": "88.777", "IDNODE_SECRET_KEY": key}


async def _lived(land: Land, prefix: str, code: str) -> Machine:
    """A machine whose one enterprise is filed, audited and routed, and its first product."""
    words = ("enterprise", "add", f"企业{prefix}", "--prefix", prefix, "--industry", "leather")
    land.idnode(*words, "--credit-code", code, *PARTICULARS)
    machine = land.machine(IDNODE_FORWARD_NETWORKS="127.0.0.0/8")
    await land.until_state(1, prefix)
    reply = land.writer(machine, prefix).call("POST", "/identityv2/data", rows("A", 1, prefix)[0])
    assert reply.json["message"] == "success"
    return machine


async def test_two_nodes_that_file_themselves_under_the_simulated_top_level_node_find_each_other(
    database: str, empty_database: str, tmp_path: Path
) -> None:
    top = TopLevel(database, tmp_path / "toplevel.log")
    connections = [await asyncpg.connect(url) for url in (database, empty_database)]
    (tmp_path / "other").mkdir()
    land = Land(database, tmp_path, connections[0], top)
    other = Neighbour(empty_database, tmp_path / "other", connections[1], top)
    with ended(land), ended(other):
        top.start()
        other.idnode("migrate")
        here = await _lived(land, PREFIX, CODES[PREFIX])
        there = await _lived(other, "88.777.1001", CODES[OTHER])

        def code(machine: Machine, handle: str) -> int:
            return int(machine.door.call("GET", f"/api/handles/{handle}").json["responseCode"])

        wait_until(lambda: code(here, "88.777.1001/BAG-A-000000") == 1, "the first finds the second")
        wait_until(lambda: code(there, f"{PREFIX}/BAG-A-000000") == 1, "the second finds the first")
        assert code(here, "88.777.1001/NEVER") == 100
        assert code(here, "88.777.9999/x") == 301, "nobody has filed it"
    for connection in connections:
        await connection.close()

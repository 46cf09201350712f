"""A prefix moves between two running nodes under one national top-level node, by the verbs and doors an operator uses.

Each has a database, a Redis and ports of its own; what the three say of the prefix is asked at their doors.
"""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import asyncpg
import pytest

from node.embedded import Servers
from proto.identifier import Identifier
from proto.values.site import Protocol
from proto.web_reply import Referral, read
from registry.account import Account, hash_password
from registry.postgres.connection import open_pool
from registry.prefix import PrefixState
from registry.rights import Role
from registry.steward import Steward
from tests.waiting import until
from tests.whole.calls import Caller, Reply
from tests.whole.uplink_world import PREFIX, Land, Machine, TopLevel, ended, rows

HEIR, PASSWORD = "88.777", "Tan-brown-7-bags"
BATCH, BAG, GONE = (f"{PREFIX}/{suffix}" for suffix in ("LB-20261123-01", "BAG-A-000000", "BAG-A-000001"))
BATCH_FIELDS = ("batchNo", "leatherType", "colour")


class Side(NamedTuple):
    """One of the two nodes: its land, its machine, and its administrator."""

    land: Land
    machine: Machine
    admin: Caller

    def asked(self, path: str, handle: str, query: str = "", **headers: str) -> Reply:
        return self.machine.door.call("GET", f"{path}{handle}{query}", **headers)

    def history(self, handle: str) -> list[dict[str, Any]]:
        """Every version of it, but for who wrote it: accounts stay where they are."""
        reply = self.admin.call("GET", f"/api/v1/history/{handle}")
        return [version | {"by": None} for version in reply.json["versions"]]


@pytest.fixture
async def lands(
    tmp_path: Path, database: str, other_database: str, servers: Servers
) -> AsyncIterator[tuple[Land, Land]]:
    """The land a prefix leaves and the one it goes to; both have the same top-level node."""
    connection = await asyncpg.connect(database)
    toplevel = TopLevel(database, tmp_path / "toplevel.log")
    shared = {
        "IDNODE_SECOND_FACTOR": "enrolled",
        "IDNODE_FORWARD_NETWORKS": "127.0.0.0/8",
        "IDNODE_REDIS_URL": servers.redis_url,
    }
    key = base64.b64encode(HEIR.encode().ljust(32)).decode()
    there = await asyncpg.connect(other_database)
    with ExitStack() as stack:
        made = (
            Land(database, tmp_path, connection, toplevel, own=shared),
            Land(
                other_database,
                tmp_path,
                there,
                toplevel,
                own=shared | {"IDNODE_PREFIX": HEIR, "IDNODE_SECRET_KEY": key},
            ),
        )
        for land in made:
            stack.enter_context(ended(land))
        toplevel.start()
        yield made
    await there.close()
    await connection.close()


async def opened(land: Land) -> Side:
    """A node at work, and its administrator."""
    pool = await open_pool(land.url, size=1, name="idnode-test")
    admin = Account(0, "admin", "person", Role.SYSTEM_ADMIN, None)
    await Steward(pool).put_account(admin, password=hash_password(PASSWORD))
    await pool.close()
    machine = await asyncio.to_thread(land.machine)
    return Side(land, machine, machine.door.signed("admin", PASSWORD))


def row(handle: str, template: str, fields: tuple[str, ...], *texts: str, **more: str) -> dict[str, Any]:
    value = [{"index": 2000 + n, "type": fields[n], "data": {"value": text}} for n, text in enumerate(texts)]
    value += [
        {"index": int(index[1:]), "type": "leatherBatch", "data": {"value": text}} for index, text in more.items()
    ]
    return {"handle": handle, "templateVersion": template, "value": value}


def bag(colour: str) -> dict[str, Any]:
    return row(BAG, "leather-handbag", ("styleNo", "articleType", "colour"), "S1", "手袋", colour, _2016=BATCH)


def written(side: Side, method: str, body: dict[str, Any]) -> str:
    return str(side.admin.call(method, "/identityv2/data", body).json["message"])


def live(side: Side) -> None:
    """References, several versions, a deleted identifier; then all of it is in the caches."""
    assert written(side, "POST", row(BATCH, "leather-batch", BATCH_FIELDS, "B1", "牛皮", "酒红")) == "success"
    assert written(side, "POST", bag("酒红")) == written(side, "PUT", bag("墨绿")) == "success"
    assert written(side, "POST", rows("A", 2)[1]) == written(side, "DELETE", {"handle": GONE}) == "success"
    for _ in range(3):
        assert side.asked("/api/handles/", BAG).status == 200
        assert side.asked("/api/handles/", GONE).status == 404


def referred(toplevel: TopLevel) -> int:
    """The HTTP port a stranger is sent to who asks the top-level node."""
    reply = Caller(toplevel.url).call("GET", f"/api/handles/{BAG}")
    said = read(reply.status, reply.body, Identifier.parse(BAG))
    assert isinstance(said, Referral)
    (server,) = said.sites[0].servers
    return next(each.port for each in server.interfaces if each.protocol is Protocol.HTTP)


def colour(reply: Reply) -> tuple[int, str | None]:
    values = {value["type"]: value["data"]["value"] for value in reply.json.get("values", ())}
    return reply.status, values.get("colour")


async def test_a_prefix_moves_to_another_node_and_lives_on_there(lands: tuple[Land, Land], tmp_path: Path) -> None:
    land, heir = lands
    old, new, _ = await asyncio.gather(opened(land), opened(heir), asyncio.to_thread(land.enterprise))
    await land.until_state(PrefixState.ENABLED)
    await asyncio.to_thread(live, old)
    before = {handle: old.history(handle) for handle in (BATCH, BAG, GONE)}
    assert [len(versions) for versions in before.values()] == [1, 2, 2]
    template = old.asked("/api/handles/", f"{PREFIX}/META_leather-handbag").json["values"]
    book = await land.until_agreed()
    assert referred(land.toplevel) == old.machine.http

    # It is stopped, packed, carried over, taken in, and filed by whom it comes to.
    assert old.admin.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}).status == 200
    file = str(tmp_path / "tianma.parcel")
    key = (await asyncio.to_thread(land.idnode, "export", PREFIX, file, "--to", HEIR)).split()[-1]
    assert "to be filed" in await asyncio.to_thread(heir.idnode, "import", file, "--signed-by", key)
    await asyncio.to_thread(heir.enterprise)
    await heir.until_state(PrefixState.ENABLED)

    # The new one has all of it, as it was.
    assert {handle: new.history(handle) for handle in before} == before
    assert new.asked("/api/handles/", GONE).status == 404
    assert new.asked("/api/handles/", f"{PREFIX}/META_leather-handbag").json["values"] == template
    trace = new.asked("/api/v1/trace/", BATCH, "?direction=backwards").json
    assert [(edge["from"], edge["to"]) for edge in trace["edges"]] == [(BAG, BATCH)]

    # It goes on there, and upwards: the same chain, without a gap.
    assert written(new, "PUT", bag("雾蓝")) == "success"
    assert [version["version"] for version in new.history(BAG)] == [3, 2, 1]
    after = await heir.until_agreed()
    assert (after["live"], after["number"]) == (book["live"], book["number"] + 3)  # stopped, enabled, updated
    assert referred(land.toplevel) == new.machine.http

    async def given_up() -> bool:
        waiting = "SELECT count(*) FROM toplevel.message WHERE acknowledged IS NULL"
        return not await land.connection.fetchval(waiting)

    await until(given_up, "the former node has let go of it")

    # Whoever asks the former one is told what the new one says; nothing it kept is told any more.
    for _ in range(3):
        assert colour(old.asked("/api/handles/", BAG)) == (200, "雾蓝")
        assert old.asked("/api/handles/", GONE).status == 404
    assert colour(old.admin.call("GET", f"/api/handles/{BAG}")) == (200, "雾蓝")
    assert "雾蓝" in old.asked("/", BAG, Accept="text/html").body.decode()
    (answer,) = old.machine.door.call("POST", "/api/v1/resolve", {"identifiers": [BAG]}).json["results"]
    assert "雾蓝" in str(answer)
    moved = old.asked("/iiidap/identifier/", PREFIX)
    assert (moved.status, moved.headers["location"].split("/iiidap/")[0]) == (307, new.machine.door.base)
    assert new.asked("/iiidap/identifier/", PREFIX).status == 200
    # Of itself it has nothing to say of it, nor to write.
    for reply in (old.asked("/api/handles/", BAG, "?doNotRefer"), old.asked("/api/handles/", BAG, CDN_Loop="88.555")):
        assert (reply.status, reply.json["responseCode"]) == (400, 301)
    assert old.admin.call("GET", f"/api/v1/history/{BAG}").status == 404
    assert "没有找到标识" in old.admin.call("GET", f"/identityv2/data?handle={BAG}").json["message"]
    assert "不属于本节点" in written(old, "PUT", bag("橙"))
    refused = old.admin.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "enabled"})
    assert (refused.status, "已迁出" in refused.body.decode()) == (409, True)

"""Proves node/homing.py by the JSON API of a node in this process; natively in tests/node/native/."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from registry.audit import Action
from registry.auditor import Auditor, Wanted
from tests.fakes.in_process import Node, node
from tests.fakes.small_registry import PREFIX

pytestmark = pytest.mark.asyncio(loop_scope="module")
URL = [{"index": 1, "type": "URL", "data": "http://x/"}]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(module_database: str) -> AsyncIterator[Node]:
    async with node(module_database) as made:
        yield made


async def said(running: Node, method: str, prefix: str, who: str | None = "admin") -> tuple[int, int, Any]:
    status, answer = await running.call(method, f"/api/prefixes/{prefix}", who=who)
    return status, answer["responseCode"], answer.get("handle")


async def test_a_prefix_below_the_nodes_own_is_homed_unhomed_and_homed_again(running: Node) -> None:
    new = "88.999.7"
    assert (await running.call("GET", f"/api/handles/0.NA/{new}"))[1]["responseCode"] == 301
    assert await said(running, "DELETE", new) == (400, 301, f"0.NA/{new}"), "it was never here"
    for spelled in (new, f"0.NA/{new}", f"0.na/{new}"):
        assert await said(running, "POST", spelled) == (200, 1, f"0.NA/{new}"), "twice is once"
    assert (await running.call("GET", f"/api/handles/0.NA/{new}"))[0] == 200
    assert (await running.call("PUT", f"/api/handles/{new}/A", URL, who="admin"))[0] == 201
    assert f"0.NA/{new}" in (await running.call("GET", "/api/prefixes", who="admin"))[1]["prefixes"]
    for _ in range(2):
        assert await said(running, "DELETE", new) == (200, 1, f"0.NA/{new}")
    for path in (f"{new}/A", f"0.NA/{new}"):
        assert (await running.call("GET", f"/api/handles/{path}"))[1]["responseCode"] == 301
    assert await said(running, "POST", new) == (200, 1, f"0.NA/{new}")
    assert (await running.call("GET", f"/api/handles/{new}/A"))[0] == 200, "what it had it has again"
    rows = await Auditor(running.registry.pool).page(Wanted(), 2**62, 20)
    told = [(row.action, row.actor) for row in rows if row.objects == [new]]
    made = [Action.PREFIX_ADDED, Action.ENTERPRISE_ENROLLED]
    assert told == [(action, "admin") for action in [Action.PREFIX_CHANGED] * 2 + made]


async def test_who_may_not_and_what_cannot_be(running: Node) -> None:
    for who, status, code in ((None, 403, 402), ("leather", 403, 401), ("visitor", 403, 401)):
        for method in ("POST", "DELETE"):
            assert (await said(running, method, PREFIX, who))[:2] == (status, code)
    assert (await said(running, "POST", "77.1.5"))[:2] == (400, 301), "another node's"
    for name in ("nonsense", "0.NA", "88.999.7/x", "88.999.ab"):
        assert (await said(running, "POST", name))[:2] == (400, 102), name
    await running.call("PUT", "/api/v1/prefixes/88.999.2001", {"state": "to_be_deleted"}, who="admin")
    status, answer = await running.call("POST", "/api/prefixes/88.999.2001", who="admin")
    assert (status, answer["responseCode"]) == (403, 401)
    assert "待删除" in answer["message"]


async def test_new_prefixes_are_filed_with_their_enterprise_where_any_are(database: str) -> None:
    async with node(database, toplevel_url="http://127.0.0.1:9") as made:
        status, answer = await made.call("POST", "/api/prefixes/88.999.8", who="admin")
        assert (status, answer["responseCode"]) == (403, 401)
        assert "enrol that first" in answer["message"]
        assert await made.house.lookup.prefix("88.999.8") is None
        assert (await made.call("DELETE", f"/api/prefixes/{PREFIX}", who="admin"))[0] == 200
        assert (await made.call("POST", f"/api/prefixes/{PREFIX}", who="admin"))[0] == 200

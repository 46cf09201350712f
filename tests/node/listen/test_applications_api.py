"""The node's own API for who decides, on a node in this process."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from registry.account import Vault
from registry.clerk import Clerk
from registry.rights import Role
from tests.fakes import applicant
from tests.fakes.in_process import KEY, Node, node
from tests.fakes.other_node import knows, other_node, refers, value
from tests.fakes.small_registry import PREFIX

BASE = "/api/v1/applications"


@pytest.fixture
async def running(database: str) -> AsyncIterator[Node]:
    """A node to which one enterprise has applied, whose prefix is in no table of ours."""
    async with node(database) as made:
        await made.join("he", Role.VERIFIER)
        await made.join("shen", Role.REVIEWER)
        await made.registry.pool.executemany(
            "INSERT INTO file (number, account_no, kind, octets, sha256, created) "
            "SELECT $1, number, 'png', 1, $2, now() FROM account WHERE username = 'admin'",
            [(number, bytes(32)) for number in (11, 12, 13)],
        )
        given = applicant.applicant(orgAddrCounty="440199")
        assert (await made.call("POST", "/snms/api/v3/ent/apply", given, "admin"))[1]["status"] == 1
        yield made


async def number(running: Node) -> int:
    return int(await running.registry.pool.fetchval("SELECT max(number) FROM application"))


async def test_two_people_who_see_all_that_was_given_decide(running: Node) -> None:
    path = f"{BASE}/{await number(running)}"
    for who in ("he", "shen", "admin"):
        status, answer = await running.call("GET", path, None, who)
        assert status == 200
        assert answer["form"]["entBasicInfo"]["legalCrtNo"] == "E00000001"
        assert list(answer["form"]["entBasicInfo"])[:3] == ["orgName", "orgNature", "orgAddr"]
        assert (answer["state"], answer["waits_for"], answer["kind"]) == ("待核验", "verification", "注册")
        assert "440199" in answer["remarks"][0]["zh"]
    for who in ("leather", "program"):
        assert (await running.call("GET", path, None, who))[0] == 404, "it is another's"
        assert await running.call("GET", BASE, None, who) == (200, {"applications": []})
    for path_ in (path, BASE, "/api/v1/hostings"):
        assert (await running.call("GET", path_, None, "visitor"))[0] == 403
    assert (await running.call("GET", f"{BASE}/999999999999999999", None, "he"))[0] == 404

    async def waiting(state: str) -> list[str]:
        _, answer = await running.call("GET", f"{BASE}?state={state}", None, "he")
        return [each["orgName"] for each in answer["applications"]]

    assert (await waiting("unverified"), await waiting("unreviewed")) == (["花都测试皮具1厂"], [])
    for who in ("shen", "admin", "leather"):
        assert (await running.call("PUT", f"{path}/verification", {"passed": True}, who))[0] == 403
    status, answer = await running.call("PUT", f"{path}/review", {"passed": True}, "shen")
    assert (status, answer["error"]["field"]) == (409, "step")
    status, answer = await running.call("PUT", f"{path}/verification", {"passed": False}, "he")
    assert (status, answer["error"]["field"]) == (400, "reason")
    assert (await running.call("PUT", f"{path}/verification", {"passed": True}, "he")) == (
        200,
        {"number": await number(running), "state": "待审核"},
    )
    assert (await waiting("unverified"), await waiting("unreviewed")) == ([], ["花都测试皮具1厂"])
    given = {"passed": False, "reason": "证照不清"}
    assert (await running.call("PUT", f"{path}/review", given, "shen"))[1]["state"] == "被驳回"
    _, answer = await running.call("GET", path, None, "shen")
    told = [(each["step"], each["by"], each["passed"], each["reason"]) for each in answer["decisions"]]
    assert told == [("verification", "he", True, ""), ("review", "shen", False, "证照不清")]
    assert (await waiting("refused"), await waiting("")) == (["花都测试皮具1厂"], ["花都测试皮具1厂"])


async def test_an_enterprise_sees_how_its_application_stands_and_why(running: Node) -> None:
    body = {"username": "firm1", "password": applicant.PASSWORD}
    running.tokens["firm"] = (await running.call("POST", "/identity/token", body, who=None))[1]["data"]["token"]
    path = f"{BASE}/{await number(running)}"
    (mine,) = (await running.call("GET", BASE, None, "firm"))[1]["applications"]
    assert (mine["state"], mine["reason"]) == ("待核验", None)
    await running.call("PUT", f"{path}/verification", {"passed": False, "reason": "证照不清"}, "he")
    (mine,) = (await running.call("GET", f"{BASE}?state=refused", None, "firm"))[1]["applications"]
    assert (mine["state"], mine["reason"]) == ("被驳回", {"zh": "证照不清", "en": "证照不清"})
    status, answer = await running.call("GET", path, None, "firm")
    assert (status, answer["form"]["entBasicInfo"]["legalCrtNo"]) == (200, "E00000001")
    assert [(each["by"], each["reason"]) for each in answer["decisions"]] == [(None, "证照不清")]


BAD: list[tuple[str, str, Any, int]] = [
    ("GET", f"{BASE}?state=lost", None, 400),
    ("GET", f"{BASE}?below=0", None, 400),
    ("PUT", f"{BASE}/1/verification", {"passed": "yes"}, 400),
    ("PUT", f"{BASE}/1/verification", {}, 400),
    ("PUT", f"{BASE}/1/verification", {"passed": True, "else": 1}, 400),
    ("PUT", f"{BASE}/999999/verification", {"passed": True}, 404),
    ("PUT", f"{BASE}/1/approval", {"passed": True}, 404),
    ("PUT", f"/api/v1/hostings/{PREFIX}", {"passed": True}, 403),
]


async def test_hosting_is_decided_by_a_reviewer_and_nonsense_by_nobody(running: Node) -> None:
    for method, path, body, status in BAD:
        assert (await running.call(method, path, body, "he"))[0] == status, path
    assert (await running.call("GET", BASE, who=None))[0] == 401
    path = f"/api/v1/hostings/{PREFIX}"
    assert (await running.call("PUT", path, {"passed": True}, "shen"))[0] == 404
    wish = {"proxyServerId": 1, "entPrefixConfig": {"entPrefix": PREFIX}}
    assert (await running.call("POST", "/snms/api/ent/config", wish, "leather"))[1]["status"] == 1
    _, answer = await running.call("GET", "/api/v1/hostings", None, "shen")
    assert [(each["prefix"], each["applicant"]) for each in answer["hostings"]] == [(PREFIX, "leather")]
    for passed, state, proxy in ((False, "托管被驳回", 3), (True, "已托管", 4)):
        await running.call("POST", "/snms/api/ent/config", wish, "leather")
        given = {"passed": passed, "reason": "资料不全"}
        assert (await running.call("GET", "/api/v1/hostings", None, "stranger"))[1] == {"hostings": []}
        assert (await running.call("PUT", path, given, "shen"))[1] == {"prefix": PREFIX, "state": state}
        _, answer = await running.call("GET", "/snms/api/prefix/page", None, "leather")
        assert answer["data"]["content"][0]["proxyState"] == proxy
        (mine,) = (await running.call("GET", "/api/v1/hostings", None, "leather"))[1]["hostings"]
        assert (mine["prefix"], mine["state"], mine["reason"]) == (PREFIX, state, "资料不全")
    assert (await running.call("GET", "/api/v1/hostings", None, "shen"))[1] == {"hostings": []}


async def test_a_prefix_with_a_node_of_its_own_is_answered_by_that_one(database: str) -> None:
    networks = "127.0.0.0/8"
    async with (
        other_node(knows(value("own"))) as own,
        other_node(refers(own.site)) as top,
        node(database, toplevel_url=top.url, forward_networks=networks) as made,
    ):
        await made.join("shen", Role.REVIEWER)
        await made.create("A")
        clerk = Clerk(made.registry.pool, 0, 300, Vault(base64.b64decode(KEY)))
        await made.registry.pool.execute("INSERT INTO filing SELECT number, 2 FROM prefix WHERE name = $1", PREFIX)

        async def answered(query: str = "") -> tuple[int, bool]:
            status, body = await made.call("GET", f"/api/handles/{PREFIX}/A{query}", who=None)
            return status, "own" in str(body)

        site = {"entPrefix": PREFIX, "hdlType": "HS_SITE", "ipType": 4, "ip": "127.0.0.1", "httpPort": own.port}
        assert (await made.call("POST", "/snms/api/ent/config", {"entPrefixConfig": site}))[1]["status"] == 1
        assert await clerk.settle_hosting() == []
        assert [await answered() for _ in range(3)] == [(200, False)] * 3, "until the national node refers there"
        for route in await clerk.routes("88.999", "192.0.2.1", 2641, 80, ()):
            await clerk.route_told(route)
        assert await clerk.settle_hosting() == [PREFIX]
        await made.follower.look()
        assert [await answered() for _ in range(3)] == [(200, True)] * 3
        assert (await answered("?doNotRefer"))[0] == 400
        told = (await made.call("DELETE", "/identityv2/data", {"handle": f"{PREFIX}/A"}))[1]
        assert (told["status"], "不属于本节点" in told["message"]) == (-2, True)
        assert (await made.call("GET", f"/api/v1/history/{PREFIX}/A"))[0] == 404

        wish = {"proxyServerId": 1, "entPrefixConfig": {"entPrefix": PREFIX}}
        assert (await made.call("POST", "/snms/api/ent/config", wish))[1]["status"] == 1
        assert await answered() == (200, True)
        assert (await made.call("PUT", f"/api/v1/hostings/{PREFIX}", {"passed": True}, "shen"))[0] == 200
        assert await answered() == (200, False), "at once, whatever was kept"

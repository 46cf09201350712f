"""Groups and grants on the node's own API: who may, what is refused and with which field, what is told of them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from node.listen import grants_api
from registry import steward
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import PREFIX, TEMPLATE

GROUP = f"{STRANGER_PREFIX}/Group_buyers"
CLASS = {"prefix": PREFIX, "template": TEMPLATE, "to": GROUP}


@pytest.fixture
async def running(database: str) -> AsyncIterator[Node]:
    """A node with two identifiers, at which `stranger` has a group that `leather` has imported."""
    async with node(database) as one:
        await one.create("A", colour="red", styleNo="S1")
        await one.house.steward.replace_template(await _partners(one))
        await one.call("POST", "/api/v1/groups", {"prefix": STRANGER_PREFIX, "name": "buyers"}, "stranger")
        await one.call("PUT", f"/api/v1/groups/{GROUP}/members", {"members": ["stranger", "visitor"]}, "stranger")
        assert (await one.call("PUT", f"/api/v1/group-imports/{GROUP}"))[0] == 200
        yield one


async def _partners(one: Node) -> Any:
    template = await one.house.lookup.named_template(PREFIX, TEMPLATE)
    assert template is not None
    items = (replace(i, access="partners") if i.name == "colour" else i for i in template.items)
    return replace(template, items=tuple(items))


async def shown(one: Node, who: str | None) -> list[str]:
    _, told = await one.call("GET", f"/api/handles/{PREFIX}/A", who=who)
    return [value["type"] for value in told["values"] if value["index"] >= 2000]


async def test_a_partner_sees_what_was_granted_until_it_is_taken_back(running: Node) -> None:
    assert await shown(running, "visitor") == ["styleNo"]
    status, told = await running.call("POST", "/api/v1/grants", CLASS | {"attributes": ["colour"]})
    assert status == 201
    assert [await shown(running, who) for who in ("visitor", None)] == [["styleNo", "colour"], ["styleNo"]]
    assert (await running.call("DELETE", f"/api/v1/grants/{told['number']}"))[0] == 204
    assert await shown(running, "visitor") == ["styleNo"]
    assert (await running.call("DELETE", f"/api/v1/grants/{told['number']}"))[0] == 404


async def test_who_gave_what_to_whom_is_listed_for_who_gave_it(running: Node) -> None:
    single = {"identifier": f"{PREFIX}/A", "to": "visitor", "edit": True, "until": "2099-01-01T08:00:00+08:00"}
    numbers = [(await running.call("POST", "/api/v1/grants", each))[1]["number"] for each in (CLASS, single)]
    _, told = await running.call("GET", "/api/v1/grants")
    made = [each.pop("made") for each in told["grants"]]
    assert all(moment.endswith("Z") for moment in made)
    both: dict[str, Any] = {"attributes": None, "by": "leather"}
    assert told["grants"] == [
        both
        | {"identifier": f"{PREFIX}/A", "number": numbers[1], "to": "visitor", "edit": True}
        | {"until": "2099-01-01T00:00:00Z"},
        both
        | {"prefix": PREFIX, "template": TEMPLATE, "number": numbers[0], "to": GROUP, "edit": False, "until": None},
    ]
    _, told = await running.call("GET", f"/api/v1/grants?size=1&below={numbers[1]}")
    assert [each["number"] for each in told["grants"]] == [numbers[0]]
    assert (await running.call("GET", "/api/v1/grants", who="stranger"))[1] == {"grants": []}


async def test_members_are_for_their_own_enterprise_to_know(running: Node) -> None:
    assert (await running.call("GET", "/api/v1/groups", who="stranger"))[1] == {
        "groups": [{"group": GROUP, "imported": False, "members": ["stranger", "visitor"]}]
    }
    assert (await running.call("GET", "/api/v1/groups"))[1] == {"groups": [{"group": GROUP, "imported": True}]}


@pytest.mark.parametrize(
    ("method", "path", "body", "who", "status", "field"),
    [
        ("POST", "grants", CLASS, None, 401, "Authorization"),
        ("POST", "grants", CLASS, "visitor", 403, "prefix"),
        ("POST", "grants", CLASS, "stranger", 403, "prefix"),
        ("POST", "grants", CLASS, "admin", 403, "prefix"),
        ("POST", "grants", CLASS | {"template": "none"}, "leather", 404, "template"),
        ("POST", "grants", CLASS | {"template": "a\0b"}, "leather", 404, "template"),
        ("POST", "grants", CLASS | {"template": ""}, "leather", 400, "template"),
        ("POST", "grants", CLASS | {"identifier": f"{PREFIX}/A"}, "leather", 400, "template"),
        ("POST", "grants", {"identifier": f"{PREFIX}/none", "to": GROUP}, "leather", 404, "identifier"),
        ("POST", "grants", {"identifier": "nonsense", "to": GROUP}, "leather", 400, "handle"),
        ("POST", "grants", CLASS | {"to": f"{STRANGER_PREFIX}/Group_none"}, "leather", 404, "group"),
        ("POST", "grants", CLASS | {"to": f"{STRANGER_PREFIX}/buyers"}, "leather", 404, "group"),
        ("POST", "grants", CLASS | {"to": "admin"}, "leather", 400, "to"),
        ("POST", "grants", CLASS | {"to": "a\0b"}, "leather", 400, "to"),
        ("POST", "grants", CLASS | {"attributes": []}, "leather", 400, "attributes"),
        ("POST", "grants", CLASS | {"attributes": ["nothing"]}, "leather", 400, "attributes"),
        ("POST", "grants", CLASS | {"attributes": ["costPrice"]}, "leather", 400, "attributes"),
        ("POST", "grants", CLASS | {"until": "2001-01-01T00:00:00Z"}, "leather", 400, "until"),
        ("POST", "grants", CLASS | {"until": "soon"}, "leather", 400, "until"),
        ("POST", "grants", CLASS | {"unknown": 1}, "leather", 400, "unknown"),
        ("DELETE", "grants/1", None, "admin", 403, None),
        ("GET", "grants", None, "visitor", 403, None),
        ("POST", "groups", {"prefix": PREFIX, "name": "x"}, "stranger", 403, "prefix"),
        ("POST", "groups", {"prefix": "88.1", "name": "x"}, "stranger", 404, "prefix"),
        ("POST", "groups", {"prefix": PREFIX, "name": "a/b"}, "leather", 400, "name"),
        ("POST", "groups", {"prefix": PREFIX, "name": ""}, "leather", 400, "name"),
        ("POST", "groups", {"prefix": STRANGER_PREFIX, "name": "buyers"}, "stranger", 409, "name"),
        ("PUT", f"groups/{GROUP}/members", {"members": ["leather"]}, "stranger", 400, "members"),
        ("PUT", f"groups/{GROUP}/members", {"members": ["a\0"]}, "stranger", 400, "members"),
        ("PUT", f"groups/{GROUP}/members", {"members": ["x"] * 1001}, "stranger", 400, "members"),
        ("PUT", f"groups/{GROUP}/members", {"members": []}, "leather", 403, "group"),
        ("DELETE", f"groups/{GROUP}", None, "leather", 403, "group"),
        ("DELETE", f"groups/{PREFIX}/Group_none", None, "leather", 404, "group"),
        ("PUT", f"group-imports/{GROUP}", None, "stranger", 400, "group"),
        ("PUT", f"group-imports/{PREFIX}/Group_none", None, "stranger", 404, "group"),
    ],
)
async def test_what_is_refused_names_its_field(
    running: Node, method: str, path: str, body: Any, who: str | None, status: int, field: str | None
) -> None:
    told = await running.call(method, f"/api/v1/{path}", body, who)
    assert (told[0], told[1]["error"]["field"]) == (status, field)
    assert told[1]["error"]["message"]


async def test_there_are_bounds(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steward, "GRANTS_MOST", 1)
    monkeypatch.setattr(steward, "GROUPS_MOST", 1)
    assert (await running.call("POST", "/api/v1/grants", CLASS))[0] == 201
    assert (await running.call("POST", "/api/v1/grants", CLASS))[0] == 409
    assert (await running.call("POST", "/api/v1/grants", {"identifier": f"{PREFIX}/A", "to": GROUP}))[0] == 201
    assert (await running.call("POST", "/api/v1/groups", {"prefix": STRANGER_PREFIX, "name": "x"}, "stranger"))[
        0
    ] == 409
    assert grants_api.PAGE_MOST >= steward.GRANTS_MOST


async def test_a_group_that_is_removed_takes_its_grants_with_it(running: Node) -> None:
    await running.call("POST", "/api/v1/grants", CLASS)
    assert await shown(running, "visitor") == ["styleNo", "colour"]
    assert (await running.call("DELETE", f"/api/v1/groups/{GROUP}", who="stranger"))[0] == 204
    assert await shown(running, "visitor") == ["styleNo"]
    assert (await running.call("GET", "/api/v1/grants"))[1] == {"grants": []}


async def test_a_token_that_is_worthless_is_said_so_on_every_face(running: Node) -> None:
    running.tokens["gone"] = "gone"
    status, told = await running.call("GET", f"/api/handles/{PREFIX}/A", who="gone")
    assert (status, told["responseCode"]) == (401, 402)
    assert (await running.call("POST", "/api/v1/resolve", {"identifiers": []}, "gone"))[0] == 401
    async with running.client.get(f"/{PREFIX}/A", headers={"Authorization": "Bearer x", "Accept": "text/html"}) as page:
        assert page.status == 401
        assert page.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    async with running.client.get(f"/api/handles/{PREFIX}/A", headers={"Authorization": "Basic YTpi"}) as answer:
        assert answer.status == 200

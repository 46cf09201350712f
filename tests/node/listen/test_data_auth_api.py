"""The calls of IDHub on who else sees what: a partner sees what was granted, on every face, and nothing else; and is
told so.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from node.listen import data_auth_api
from registry import steward
from registry.account import Account
from registry.rights import Role
from tests.fakes.in_process import KEPT, PASSWORD, PREFIX, STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import TEMPLATE

OPEN = "/api/v1/open"
META = f"{PREFIX}/META_{TEMPLATE}"
GROUP = f"{STRANGER_PREFIX}/Group_buyers"
APP = f"{STRANGER_PREFIX}/App_erp"
CLASS, PUBLIC = f"{OPEN}/classes-grant/authorization", f"{OPEN}/classes-grant/item/batch-public"
SINGLE = "/api/v1/single-handle/authorization"


@pytest.fixture
async def running(database: str) -> AsyncIterator[Node]:
    """Two identifiers with an attribute for partners; `stranger` has a group with an application, imported here."""
    async with node(database) as one:
        await one.create("A", "B", colour="red", styleNo="S1")
        theirs = await one.registry.lookup.prefix(STRANGER_PREFIX)
        kept = await one.house.lookup.named_template(PREFIX, TEMPLATE)
        assert theirs is not None
        assert kept is not None
        items = (replace(each, access="partners") if each.name == "colour" else each for each in kept.items)
        await one.house.steward.replace_template(replace(kept, items=tuple(items)))
        account = Account(0, APP, "person", Role.ENTERPRISE_USER, theirs.enterprise)
        await one.house.steward.put_account(account, password=KEPT)
        one.tokens["app"] = await one.house.doorkeeper.sign_in(APP, PASSWORD, "192.0.2.1") or ""
        await one.call("POST", "/api/v1/groups", {"prefix": STRANGER_PREFIX, "name": "buyers"}, "stranger")
        await one.call("PUT", f"/api/v1/groups/{GROUP}/members", {"members": [APP, "visitor"]}, "stranger")
        await one.call("PUT", f"/api/v1/group-imports/{GROUP}")
        yield one


async def said(running: Node, path: str, body: Any, code: int = 1, who: str = "leather") -> None:
    status, told = await running.call("POST", path, body, who)
    assert (status, told["code"]) == (200, code), told


async def seen(running: Node, who: str | None = "app", suffix: str = "A") -> list[str]:
    """The attributes somebody sees of an identifier, by two faces."""
    _, handle = await running.call("GET", f"/api/handles/{PREFIX}/{suffix}", who=who)
    found = [value["type"] for value in handle["values"] if value["index"] >= 2000]
    if who is not None:
        query = f"/api/v1/doip?targetId={PREFIX}/{suffix}&operationId=0.DOIP/Op.Retrieve"
        _, told = await running.call("GET", query, who=who)
        assert [each["type"] for each in told["data"]["attributes"]["elements"]] == found
    return found


async def messages(running: Node, who: str, query: str = "?size=2") -> Any:
    _, told = await running.call("GET", f"{OPEN}/message/appMessage{query}", who=who)
    assert told["code"] == 1
    return told["data"]


def access(item: Any = "colour", kind: Any = 1, scope: int = 2, **users: list[str]) -> dict[str, Any]:
    return {"metaHandle": META, "accessList": [{"item": item, "authType": kind, "scope": scope} | users]}


async def grants(running: Node, *fields: str) -> list[Any]:
    told = (await running.call("GET", "/api/v1/grants"))[1]["grants"]
    return [[each[name] for name in fields] for each in told]


BOTH, PLAIN = ["styleNo", "colour"], ["styleNo"]


async def test_a_partner_sees_what_its_class_was_granted(running: Node) -> None:
    assert await seen(running) == PLAIN
    for _ in "said twice it is granted once":
        await said(running, CLASS, access(handleUsers=[APP]))
    assert [await seen(running, who) for who in ("app", "visitor", None)] == [BOTH, PLAIN, PLAIN]
    await said(running, CLASS, access(["colour", "styleNo"], "2", handleList=[GROUP]))
    assert await grants(running, "to", "edit", "attributes") == [[GROUP, True, BOTH[::-1]], [APP, False, ["colour"]]]
    assert await seen(running, "visitor") == BOTH
    change = {"type": META, "attributes": {"content": {"colour": "blue"}}}
    query = f"/api/v1/doip?targetId={PREFIX}/A&operationId=0.DOIP.EXTEND/Op.Update.Non.Overlay"
    await said(running, query, change, who="app")
    await said(running, CLASS, access(kind=2, removeHandleUsers=[GROUP]))
    assert await grants(running, "to", "attributes") == [[GROUP, ["styleNo"]], [APP, ["colour"]]]
    await said(running, query, change, 406, "app")
    await said(running, CLASS, access(removeHandleUsers=[APP, f"{STRANGER_PREFIX}/User_visitor"]))
    assert await seen(running) == PLAIN
    page = await messages(running, "app")
    assert (page["totalCount"], page["totalPage"], page["pageNumber"], page["pageSize"]) == (4, 2, 1, 2)
    older = (await messages(running, "app", "?page=1&size=2"))["content"]
    assert [(each["messageTitleType"], each["messageType"]) for each in page["content"] + older] == [
        *((6, 2), (6, 2), (3, 1), (3, 1))
    ]
    assert older[1].keys() == {"id", "messageTitleType", "messageType", "messageDetail", "createdTime"}
    assert older[0]["messageDetail"].endswith(f"已向您授权同类数据：{META}的编辑权限。")
    assert page["content"][0]["messageDetail"].endswith(f"移除了向您授权的同类数据：{META}的查看权限。")
    assert [(await messages(running, who))["totalCount"] for who in ("visitor", "leather")] == [2, 0]


async def test_attributes_become_public_and_no_longer(running: Node) -> None:
    public = {"metaHandle": META, "items": ["colour"]}
    for path, body, shown in (
        (PUBLIC, public | {"scope": "1"}, BOTH),
        (PUBLIC, public | {"scope": 2}, PLAIN),
        (CLASS, access(scope=1, handleUsers=[f"{PREFIX}/App_ignored"]), BOTH),
    ):
        await said(running, path, body)
        assert await seen(running, None) == shown
    assert await grants(running, "to") == []
    await said(running, SINGLE, {"handle": f"{PREFIX}/A", "grantType": 2, "readerScope": 1})
    await said(running, CLASS, access(handleUsers=[APP]))
    assert [await seen(running, *who) for who in (("app", "A"), ("app", "B"), (None, "B"))] == [PLAIN, BOTH, PLAIN]


async def test_the_single_grant_beats_the_class_to_its_end(running: Node) -> None:
    await said(running, CLASS, access(handleUsers=[GROUP]))
    single = {"handle": f"{PREFIX}/A", "grantType": 2, "readerScope": 2}
    await said(running, SINGLE, single | {"handleUserReaders": [APP], "delHandleUserReaders": [APP]})
    assert [await seen(running, who) for who in ("app", "visitor")] == [BOTH, PLAIN]
    assert await seen(running, "visitor", "B") == BOTH
    await said(running, OPEN + "/single-handle/authorization", single | {"delHandleUserReaders": [APP]})
    assert await seen(running) == PLAIN, "nobody is left, and the class still does not hold"
    assert await grants(running, "to", "attributes") == [[None, []], [GROUP, ["colour"]]]
    assert (await running.call("GET", f"/api/v1/history/{PREFIX}/A", who="app"))[0] == 403
    follow = {"handle": f"{PREFIX}/A", "grantType": 1, "readerScope": 1, "handleUserWriters": [APP]}
    await said(running, SINGLE, follow)
    assert await seen(running) == BOTH
    await said(running, SINGLE, follow, 902)
    for change, code in (
        ({"readerScope": None}, 903),
        ({"readerScope": 1}, 200),
        ({"grantType": 3}, 30000),
        ({"handle": f"{PREFIX}/none"}, 104),
        ({"handle": f"{STRANGER_PREFIX}/A"}, 701),
        ({"handleUserReaders": [f"{PREFIX}/App_none"]}, 901),
    ):
        await said(running, SINGLE, single | change, code)
    titles = [each["messageTitleType"] for each in (await messages(running, "app", ""))["content"]]
    assert titles == [5, 2, 3]


async def test_a_template_is_granted_whole(running: Node) -> None:
    async def lengths() -> list[int]:
        _, told = await running.call("GET", f"{OPEN}/meta/info?metaHandle={META}", who="app")
        return [each["itemSchemaVO"]["minLength"] for each in told["data"]["itemVOS"]]

    kept = await running.house.lookup.named_template(PREFIX, TEMPLATE)
    assert kept is not None
    items = tuple(replace(each, least=int(each.name == "costPrice")) for each in kept.items)
    await running.house.steward.replace_template(replace(kept, items=items))
    assert await lengths() == [0, 0, 0], "the rule of what is internal"
    for path, body in (
        ("/meta/grant/info", {"scope": 2, "handleUsers": [APP]}),
        ("/meta/grant-info", {"scope": 2, "handleList": [GROUP], "removeHandleUsers": [APP]}),
    ):
        await said(running, OPEN + path, body | {"metaHandle": META})
        assert await lengths() == [0, 0, 1]
        assert await seen(running) == PLAIN, "a template is not its data"
    assert await grants(running, "to", "attributes") == [[GROUP, []]]
    await running.call("DELETE", f"/api/v1/group-imports/{GROUP}")
    assert await lengths() == [0, 0, 0]
    titles = [each["messageTitleType"] for each in (await messages(running, "app", ""))["content"]]
    assert titles == [4, 1, 4, 1]


async def test_a_copy_is_granted_within_its_enterprise_only(running: Node) -> None:
    base = f"/api/v1/templates/{PREFIX}"
    await running.call("POST", f"{base}/{TEMPLATE}/copies", {"version": "copy"})
    copy = {"metaHandle": f"{PREFIX}/META_copy", "scope": 2}
    await said(running, f"{OPEN}/meta/grant/info", copy, 600)
    await running.call("POST", f"{base}/copy/publish")
    own = [f"{PREFIX}/User_leather"]
    for users, code in (([*own, APP], 900), ([GROUP], 900), (["88.1/App_x"], 900), (own, 1)):
        await said(running, f"{OPEN}/meta/grant/info", copy | {"handleUsers": users}, code)
    assert await grants(running, "to") == [["leather"]]


async def test_whom_one_may_grant_to_is_listed(running: Node) -> None:
    _, told = await running.call("GET", f"{OPEN}/handle-user-group/list")
    assert told["data"] == [{"name": "buyers", "userHandle": GROUP, "belongCompany": "星禾"}]
    _, told = await running.call("GET", f"{OPEN}/handle-user-group/list", who="stranger")
    assert [each["userHandle"] for each in told["data"]] == [APP, GROUP]


async def test_what_is_refused_has_its_code_and_changes_nothing(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    two = access(handleUsers=[APP])["accessList"] + access(handleUsers=[f"{PREFIX}/App_none"])["accessList"]
    for body, code in (
        (access() | {"accessList": two}, 901),
        (access(handleUsers=[f"{PREFIX}/User_visitor"]), 901),
        (access(handleUsers=[APP, f"{STRANGER_PREFIX}/User_stranger"]), 901),
        (access(handleUsers=[f"{STRANGER_PREFIX}/Group_none"]), 901),
        (access(handleUsers=["x"]), 106),
        (access(handleUsers=[f"{PREFIX}/User_\0"]), 106),
        (access("none", handleUsers=[APP]), 603),
        (access("costPrice", handleUsers=[APP]), 900),
        (access([]), 30000),
        (access(kind=2, scope=1), 900),
        (access(kind=3), 30000),
        (access() | {"accessList": []}, 30000),
        (access() | {"accessList": None}, 30000),
        (access() | {"metaHandle": f"{META}x"}, 604),
        (access() | {"metaHandle": f"{STRANGER_PREFIX}/META_x"}, 605),
    ):
        await said(running, CLASS, body, code)
    public = {"metaHandle": META, "scope": 1, "items": ["costPrice"]}
    await said(running, PUBLIC, public, 900)
    for items in ([], ["colour"] * 501):
        await said(running, PUBLIC, public | {"items": items}, 30000)
    await said(running, CLASS, access() | {"accessList": access()["accessList"] * 1001}, 30000)
    assert await grants(running, "to") == []
    monkeypatch.setattr(steward, "GRANTS_MOST", 1)
    await said(running, CLASS, access(handleUsers=[APP, GROUP]), 200)
    for bound in ("USERS_MOST", "ASKED_MOST"):
        with monkeypatch.context() as patched:
            patched.setattr(data_auth_api, bound, 1)
            await said(running, CLASS, access(handleUsers=[APP, GROUP]), 30000)
    await running.call("POST", f"/api/v1/templates/{PREFIX}/{TEMPLATE}/withdraw")
    await said(running, CLASS, access(handleUsers=[APP]), 600)
    assert await grants(running, "to") == []

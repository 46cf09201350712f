"""The calls of IDHub on templates, in this process: their life as IDHub tells it, and the defects of its documents."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from registry.account import Account
from registry.rights import Role
from tests.fakes.in_process import KEPT, PASSWORD, PREFIX, STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import TEMPLATE

META = "/api/v1/open/meta"
APP = f"{PREFIX}/App_mes"
BELT = f"{PREFIX}/META_belt"
INDUSTRY = {"industryCategory": "C", "industrySpecific": "19", "industryTrade": "192", "industrySubclass": "1922"}
BASIC = {
    "classifyCode": "sp",
    "metaName": "腰带",
    "metaCode": "belt",
    "standard": "GB/T 1",
    "metaDesc": "好",
} | INDUSTRY


def item(code: str, name: str, data_type: Any, **schema: Any) -> dict[str, Any]:
    """An attribute as the samples have it; numbers may come as strings."""
    return {
        "itemCode": code,
        "englishName": name,
        "chineseName": f"属性{name}",
        "required": 0,
        "uniqueField": 0,
        "itemSchemaCreateDTO": {"dataType": data_type} | schema,
        "itemReferenceDTO": {},
    }


ITEMS = [
    item("c1", "en1", "1") | {"required": 1, "definition": "定义", "comment": "备注", "listItemNecessary": 1},
    item("c2", "en2", 2, numberRange="[1,10]", accuracy=1),
    item("c3", "en3", "3", dateFormat="YYYY-MM-DD"),
    item("c4", "en4", 4, fileType="2,3", maxFileCount=99),
    item("c5", "en5", 5, referenceType=2) | {"itemReferenceDTO": {"referenceMetaHandle": f"{PREFIX}/META_{TEMPLATE}"}},
    item("c6", "en6", 6, maxFileCount=2),
]


@pytest.fixture
async def running(database: str) -> AsyncIterator[Node]:
    """A node at which a program of `leather` has the name of an application identity."""
    async with node(database) as made:
        mine = await made.registry.lookup.prefix(PREFIX)
        assert mine is not None
        account = Account(0, APP, "person", Role.ENTERPRISE_ADMIN, mine.enterprise)
        await made.house.steward.put_account(account, password=KEPT)
        made.tokens["app"] = await made.house.doorkeeper.sign_in(APP, PASSWORD, "192.0.2.1") or ""
        yield made


async def called(
    running: Node, method: str, path: str, body: Any = None, who: str | None = "app", code: int = 1
) -> Any:
    """The data of an answer with that code, or what is said in place of it."""
    status, told = await running.call(method, META + path, body, who)
    assert (status, told["code"]) == (200, code), told
    return told["data"] if told["data"] is not None else told["message"]


async def info(running: Node, handle: str = BELT, who: str = "app") -> dict[str, Any]:
    return dict(await called(running, "GET", f"/info?metaHandle={handle}", who=who))


async def belt(running: Node) -> None:
    made = await called(running, "POST", "/create", BASIC | {"metaItemCreateDTOS": ITEMS})
    assert made == {"metaHandle": BELT}
    moved = await called(
        running, "PUT", "/publish-or-withdraw", {"metaHandleList": [BELT, f"{BELT}x"], "opType": "publish"}
    )
    assert [each["state"] for each in moved] == ["success", "failed"]
    assert moved[1]["reason"] == f"元数据标识{BELT}x不存在"


async def test_what_was_made_is_told_with_nothing_lost(running: Node) -> None:
    await called(running, "POST", "/create", BASIC | {"metaItemCreateDTOS": ITEMS})
    told = await info(running)
    assert {name: told[name] for name in BASIC} == BASIC
    assert (told["metaState"], told["metaContributor"], told["isQuote"]) == (0, PREFIX, 0)
    assert told["createdTime"] == told["updatedTime"]
    shown = told["itemVOS"]
    assert [each["itemIndex"] for each in shown] == list(range(2000, 2006))
    assert {name: shown[0][name] for name in ("itemCode", "definition", "comment", "required", "itemState")} == {
        "itemCode": "c1",
        "definition": "定义",
        "comment": "备注",
        "required": 1,
        "itemState": 0,
    }
    assert [each["itemSchemaVO"] for each in shown] == [
        {"dataType": 1, "minLength": 0, "maxLength": 4000},
        {"dataType": 2, "minLength": 0, "maxLength": 38, "accuracy": 1, "numberRange": "[1,10]"},
        {"dataType": 3, "dateFormat": "YYYY-MM-DD"},
        {"dataType": 4, "maxFileCount": 50, "fileRange": 2, "fileType": "2,3"},
        {"dataType": 5, "referenceType": 2},
        {"dataType": 6, "maxFileCount": 2, "fileRange": 1},
    ]
    assert shown[4]["itemReferenceVO"] == {"referenceMetaHandle": f"{PREFIX}/META_{TEMPLATE}"}
    await called(running, "GET", f"/info?metaHandle={BELT}", who="stranger", code=604)
    kept = await running.house.lookup.named_template(PREFIX, "belt")
    assert kept is not None
    assert {each.access for each in kept.items} == {"partners"}, "nothing is public before it is made so"


async def test_a_template_is_edited_published_and_removed(running: Node) -> None:
    await belt(running)
    state = {"itemState": 1, "itemIndex": "2001"}  # 1 disables here, and enables with SNMS
    changed = [ITEMS[0] | {"chineseName": "新"}, ITEMS[1] | state, item("c7", "en7", 8)]
    await called(running, "PUT", "/update-item", {"metaHanlde": BELT, "metaItemDTOS": changed})
    shown = (await info(running))["itemVOS"]
    assert [(each["englishName"], each["itemState"]) for each in shown][1] == ("en2", 1)
    assert (shown[0]["chineseName"], shown[6]["itemIndex"], len(shown)) == ("新", 2006, 7)
    other = {"metaHandle": BELT, "metaItemDTOS": [item("c1", "en1", 3)]}
    assert "类型不能改" in await called(running, "PUT", "/update-item", other, code=606)
    await called(running, "PUT", "/update-basic-info", BASIC | {"metaHandle": BELT, "metaCode": "b2", "metaName": "带"})
    told = await info(running)
    assert (told["metaCode"], told["metaName"], told["metaState"]) == ("b2", "带", 1)
    delete = f"/delete?metaHandleList={BELT}"
    assert "请先撤回" in await called(running, "DELETE", delete, code=606)
    withdraw = {"metaHandleList": [BELT], "opType": "withdraw"}
    assert (await called(running, "PUT", "/publish-or-withdraw", withdraw))[0]["state"] == "success"
    assert (await called(running, "PUT", "/publish-or-withdraw", withdraw))[0]["state"] == "failed"
    await called(running, "DELETE", "/delete", {"metaHandleList": [BELT]})
    await called(running, "GET", f"/info?metaHandle={BELT}", code=604)


async def test_the_items_of_a_copy_are_frozen(running: Node) -> None:
    await belt(running)
    base = {"metaCode": "copy", "classifyCode": "other", "metaHandle": f"{STRANGER_PREFIX}/META_copy"}
    copy = {"baseonHandle": BELT, "baseInfo": base}
    await called(running, "POST", "/baseon-create", copy, code=605)
    assert await called(running, "POST", "/baseon-create", copy, "stranger") == {"metaHandle": base["metaHandle"]}
    assert "definition" in (await info(running))["itemVOS"][0]
    assert (await info(running, who="stranger"))["itemVOS"][0]["definition"] == "", "what is not public says no more"
    again = {"prefix": STRANGER_PREFIX, "version": "again"}
    async with running.client.post(
        f"/api/v1/templates/{PREFIX}/belt/copies",
        json=again,
        headers={"Authorization": f"Bearer {running.tokens['stranger']}"},
    ) as response:
        assert response.status == 201
    for version in ("copy", "again"):
        told = await info(running, f"{STRANGER_PREFIX}/META_{version}", "stranger")
        assert [each["definition"] for each in told["itemVOS"]] == [""] * len(ITEMS), "nor does a copy"
    told = await info(running, base["metaHandle"], "stranger")
    assert (told["isQuote"], told["classifyCode"], told["metaCode"]) == (1, "other", "copy")
    change = {"metaHandle": base["metaHandle"], "metaItemDTOS": ITEMS[:1]}
    assert "副本" in await called(running, "PUT", "/update-item", change, "stranger", code=606)
    mine = {"baseonHandle": BELT, "baseInfo": {"metaCode": "belt3", "classifyCode": "sp"}}
    assert await called(running, "POST", "/baseon-create", mine) == {"metaHandle": f"{PREFIX}/META_belt3"}
    await called(running, "POST", "/baseon-create", mine, code=808)


async def test_lists_are_told_page_by_page(running: Node) -> None:
    await belt(running)
    told = await called(running, "GET", "/page?classifyCode=sp&page=0&size=10")
    assert {name: told[name] for name in ("pageSize", "pageNumber", "totalCount", "totalPage")} == {
        "pageSize": 10,
        "pageNumber": 1,
        "totalCount": 1,
        "totalPage": 1,
    }
    assert (told["content"][0]["metaHandle"], told["content"][0]["classifyName"]) == (BELT, "sp")
    first, second = [await called(running, "GET", f"/page?page={n}&size=1") for n in (0, 1)]
    assert [first["content"][0]["metaCode"], second["content"][0]["metaCode"]] == ["belt", TEMPLATE]
    for query, count in (
        ("classifyCode=UN_CLASSIFIED", 1),
        ("metaState=0", 0),
        ("metaHandle=META_be", 1),
        ("startTime=2099-01-01 00:00:00", 0),
        ("endTime=2099-01-01", 2),
    ):
        assert (await called(running, "GET", f"/page?{query}"))["totalCount"] == count, query
    assert (await called(running, "GET", "/page", who="stranger"))["totalCount"] == 0
    classes = await called(running, "GET", "/classify-query")
    assert [(each["classifyCode"], each["level"]) for each in classes] == [("UN_CLASSIFIED", 1), ("sp", 1)]
    await running.create("A1", "A2", "B1")
    bag = f"?metaHandle={PREFIX}/META_{TEMPLATE}"
    path = f"/../handle/page{bag}"
    told = await called(running, "GET", f"{path}&handleName={PREFIX}/A&size=1&page=1")
    assert (told["totalCount"], told["totalPage"]) == (2, 2)
    assert [each["handleName"] for each in told["content"]] == [f"{PREFIX}/A2"]
    assert told["content"][0]["createTime"] == told["content"][0]["updateTime"]
    assert (await called(running, "GET", f"{path}&startTime=2099-01-01"))["totalCount"] == 0
    await called(running, "GET", path, who="stranger", code=605)
    for query in ("&page=x", "&page=9999&size=100", "&startTime=soon", "&handleName=%00"):
        assert "请求入参错误" in await called(running, "GET", path + query, code=106)


SCHEMA = "metaItemCreateDTOS[0].itemSchemaCreateDTO"


async def test_what_is_refused_names_its_field(running: Node) -> None:
    def one(*of: Any, **schema: Any) -> dict[str, Any]:
        return {"metaItemCreateDTOS": [item(*of, **schema)]}

    for change, name in (
        ({"metaName": ""}, "metaName"),
        ({"metaName": "x" * 101}, "metaName"),
        ({"industrySubclass": "9"}, "industrySubclass"),
        ({"metaCode": "a/b"}, "metaCode"),
        ({"metaItemCreateDTOS": []}, "metaItemCreateDTOS"),
        ({"metaItemCreateDTOS": "x"}, "body"),
        (one("c", "1", 1), "metaItemCreateDTOS[0].englishName"),
        (one("c", "a", 9), f"{SCHEMA}.dataType"),
        (one("c", "a", 3, dateFormat="YY"), f"{SCHEMA}.dateFormat"),
        (one("c", "a", 2, numberRange="1-2"), f"{SCHEMA}.numberRange"),
        (one("c", "a", 4, fileType="9"), f"{SCHEMA}.fileType"),
    ):
        told = await called(running, "POST", "/create", BASIC | {"metaItemCreateDTOS": ITEMS} | change, code=30000)
        assert [each["name"] for each in told["errors"]] == [name]
        assert told["errors"][0]["errorMsg"]
    publish = {"metaHandleList": [], "opType": "publish"}
    for body, name in ((publish, "metaHandleList"), ({"metaHandleList": [BELT], "opType": "x"}, "opType")):
        told = await called(running, "PUT", "/publish-or-withdraw", body, code=30000)
        assert [each["name"] for each in told["errors"]] == [name]

"""Templates on the node's own API, in this process: their life, versions, copies, and what they resolve to."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from registry.kinds import KIND_WORDS
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import PREFIX

BASE = "/api/v1/templates"
DRAFT: dict[str, Any] = {
    "prefix": PREFIX,
    "version": "belt",
    "zh": "腰带",
    "category": {"category": "C", "specific": "19", "trade": "192", "subclass": "1922"},
    "items": [
        {"index": 2000, "name": "styleNo", "zh": "款号", "required": True},
        {"index": 2001, "name": "made", "zh": "生产日期", "kind": "date", "since": "2020-01-01"},
        {"index": 2002, "name": "width", "zh": "宽", "kind": "number", "accuracy": 1, "access": "internal"},
    ],
}
ONE = f"{BASE}/{PREFIX}/belt"


@pytest.fixture
async def running(database: str) -> AsyncIterator[Node]:
    async with node(database) as made:
        yield made


async def resolved(running: Node, version: str = "belt") -> tuple[int, dict[str, str]]:
    status, answer = await running.call("GET", f"/api/handles/{PREFIX}/META_{version}", who=None)
    return status, {each["type"]: each["data"]["value"] for each in answer.get("values", ())}


def row(suffix: str, template: str = "belt", **texts: str) -> dict[str, Any]:
    index = {item["name"]: item["index"] for item in DRAFT["items"]}
    value = [{"index": index[name], "type": name, "data": {"value": text}} for name, text in texts.items()]
    return {"handle": f"{PREFIX}/{suffix}", "templateVersion": template, "value": value}


async def written(running: Node, method: str, given: dict[str, Any]) -> str:
    return str((await running.call(method, "/identityv2/data", given))[1]["message"])


async def test_the_life_of_a_template(running: Node) -> None:
    assert await resolved(running) == (404, {})
    status, made = await running.call("POST", BASE, DRAFT)
    assert (status, made["state"], made["handle"]) == (201, "draft", f"{PREFIX}/META_belt")
    assert (await running.call("POST", BASE, DRAFT))[0] == 409
    # A draft is nobody's but its owner's, and takes no records.
    assert await resolved(running) == (404, {})
    assert (await running.call("GET", ONE, who="stranger"))[0] == 404
    assert await written(running, "POST", row("A", styleNo="S1")) == "模板belt尚未发布"
    items = [*DRAFT["items"], {"index": 2003, "name": "colour", "zh": "颜色", "choices": ["红", "黑"]}]
    assert (await running.call("PUT", ONE, {"items": items, "en": "Belt"}))[1]["en"] == "Belt"
    status, made = await running.call("POST", f"{ONE}/publish")
    assert (status, made["state"]) == (200, "published")
    status, values = await resolved(running)
    assert (status, values["TEMPLATE_NAME"], values["STATE"]) == (200, "腰带", "published")
    assert json.loads(values["ITEM"])["choices"] == ["红", "黑"]
    told = [(await running.call("GET", f"/api/handles/{PREFIX}/META_belt", who=who))[1] for who in ("stranger", None)]
    assert told[0] == told[1]
    seen = (await running.call("GET", ONE, who="stranger"))[1]
    assert [item.get("accuracy") for item in made["items"]] == [None, None, 1, None]
    assert [item.get("accuracy") for item in seen["items"]] == [None] * 4  # a rule of what is internal
    assert seen["items"][1] == made["items"][1]
    assert await written(running, "POST", row("A", styleNo="S1", made="2026-02-28", width="3.5")) == "success"
    assert (
        await written(running, "POST", row("B", styleNo="S1", made="2026-02-30"))
        == "生产日期（made）应为不早于2020-01-01、写作yyyy-MM-dd的日期，实为2026-02-30"
    )
    # Published, it only grows.
    status, refused = await running.call("PUT", ONE, {"items": items[1:]})
    assert (status, refused["error"]["field"]) == (400, "items")
    assert (await running.call("DELETE", ONE))[0] == 409
    # Withdrawn, it takes no new record; those it has stay and change.
    assert (await running.call("POST", f"{ONE}/withdraw"))[1]["state"] == "withdrawn"
    assert (await resolved(running))[1]["STATE"] == "withdrawn"
    assert await written(running, "POST", row("B", styleNo="S2")) == "模板belt已撤回，不能再注册新标识"
    assert await written(running, "PUT", row("A", styleNo="S2")) == "success"
    assert (await running.call("POST", f"{ONE}/withdraw"))[0] == 409
    status, refused = await running.call("DELETE", ONE)
    assert (status, refused["error"]["message"]) == (409, "模板belt已被标识使用，不能删除")


async def test_the_example_of_the_documents_is_taken(running: Node) -> None:
    example = json.loads((Path(__file__).parents[3] / "docs" / "examples" / "template.json").read_text("utf-8"))
    status, made = await running.call("POST", BASE, example | {"prefix": PREFIX})
    assert (status, {item["kind"] for item in made["items"]}) == (201, set(KIND_WORDS))


async def test_versions_and_copies(running: Node) -> None:
    await running.call("POST", BASE, DRAFT)
    await running.call("POST", f"{ONE}/publish")
    assert await written(running, "POST", row("A", styleNo="S1")) == "success"
    status, second = await running.call("POST", f"{ONE}/versions", {"version": "belt-2"})
    assert (status, second["revision"], second["state"], second["items"]) == (201, 2, "draft", DRAFT_SHOWN)
    two = f"{BASE}/{PREFIX}/belt-2"
    assert (await running.call("PUT", two, {"items": DRAFT["items"][:1]}))[0] == 400
    items = [item | {"required": True} for item in DRAFT["items"]]
    assert (await running.call("PUT", two, {"items": items}))[0] == 200
    mine = (await running.call("GET", f"{ONE}/versions"))[1]["versions"]
    assert [(each["version"], each["revision"]) for each in mine] == [("belt", 1), ("belt-2", 2)]
    seen = (await running.call("GET", f"{ONE}/versions", who="stranger"))[1]["versions"]
    assert [each["version"] for each in seen] == ["belt"]
    await running.call("POST", f"{two}/publish")
    # What was made with the first version stays valid under it, and goes over when its owner says so.
    assert await written(running, "PUT", row("A", styleNo="S2")) == "success"
    assert await written(running, "PUT", row("A", "belt-2", styleNo="S3")) == "缺少必填属性生产日期（made）"
    full = row("A", "belt-2", styleNo="S3", made="2026-01-01", width="1")
    assert await written(running, "PUT", full) == "success"
    # A stranger copies what is published, under its own prefix.
    copy = {"prefix": STRANGER_PREFIX, "version": "belt"}
    status, made = await running.call("POST", f"{ONE}/copies", copy, who="stranger")
    assert (status, made["origin"], made["revision"]) == (201, f"{PREFIX}/META_belt", 1)
    assert (await running.call("POST", f"{ONE}/copies", copy, who="leather"))[0] == 403
    assert (await running.call("DELETE", f"{BASE}/{STRANGER_PREFIX}/belt", who="stranger"))[0] == 204
    assert (await running.call("GET", f"{BASE}/{STRANGER_PREFIX}/belt", who="stranger"))[0] == 404


DRAFT_SHOWN = [{"kind": "text", "access": "public"} | item for item in DRAFT["items"]]


async def test_templates_are_listed_by_pages_and_drafts_for_their_owner(running: Node) -> None:
    for version in ("c", "d", "b"):
        await running.call("POST", BASE, DRAFT | {"version": version})
    await running.call("POST", f"{BASE}/{PREFIX}/d/publish")

    async def listed(query: str, who: str) -> tuple[list[str], str | None]:
        _, answer = await running.call("GET", f"{BASE}?prefix={PREFIX}{query}", who=who)
        return [each["version"] for each in answer["templates"] if each["version"] in "bcd"], answer["next"]

    assert (await listed("", "leather"))[0] == ["b", "c", "d"]
    assert (await listed("", "admin"))[0] == ["b", "c", "d"]
    assert (await listed("", "stranger"))[0] == ["d"]
    assert await listed(f"&after={PREFIX}/bag&size=1", "leather") == (["c"], f"{PREFIX}/c")
    assert (await running.call("GET", BASE, who=None))[0] == 401


async def test_what_is_wrong_is_one_sentence(running: Node) -> None:
    cases: list[tuple[dict[str, Any], int, str | None]] = [
        ({"prefix": "77.1"}, 404, "prefix"),
        ({"prefix": STRANGER_PREFIX}, 403, "prefix"),
        ({"version": "a/b"}, 400, "version"),
        ({"category": DRAFT["category"] | {"category": "A"}}, 400, "category.specific"),
        ({"items": [{"index": 2000, "name": "a", "zh": "甲", "kind": "date", "low": 1}]}, 400, "items[0].low"),
        ({"items": [{"index": 2000, "name": "a", "zh": "甲", "requird": True}]}, 400, "items[0].requird"),
        ({"items": [{"index": 2000, "name": "a", "zh": "甲", "kind": "colour"}]}, 400, "items[0].kind"),
        ({"colour": "red"}, 400, "colour"),
        ({"zh": "a\x00"}, 400, "zh"),
    ]
    for changes, status, field in cases:
        got, answer = await running.call("POST", BASE, DRAFT | changes, **{"Accept-Language": "en"})
        assert (got, answer["error"]["field"]) == (status, field), changes
        assert answer["error"]["message"]


async def test_the_faces_of_the_snms_openapi_know_what_they_can_show(running: Node) -> None:
    await running.call("POST", BASE, DRAFT)
    query = f"?prefix={PREFIX}&version=belt"
    _, answer = await running.call("GET", f"/snms/api/v5/template{query}")
    assert answer["message"] == (
        f"模板belt的属性made不是字符串（date），本接口不能显示；请用GET /api/v1/templates/{PREFIX}/belt"
    )
    _, answer = await running.call("GET", f"/snms/api/v3/template{query}")
    assert [item["idType"] for item in answer["data"]["items"]] == ["styleNo", "made", "width"]
    body = {"prefix": PREFIX, "version": "belt", "items": [{"idType": "made", "idIndex": 2001, "name": "日期"}]}
    assert (await running.call("PUT", "/snms/api/v5/template", body))[1]["data"] is True
    _, kept = await running.call("GET", ONE)
    assert kept["items"][1] == DRAFT_SHOWN[1] | {"zh": "日期"}
    await running.call("POST", f"{ONE}/publish")
    _, answer = await running.call("GET", f"/identityv2/data/detail?handle={PREFIX}/META_belt")
    assert {"TEMPLATE_NAME", "ITEM", "TEMPLATE"} <= {value["type"] for value in answer["data"]["value"]}
    assert await written(running, "POST", row("META_x", styleNo="S")) == "后缀以META_开头的标识保留给模板"


async def test_a_path_no_template_can_have_is_not_there(running: Node) -> None:
    for path in (f"{BASE}/{PREFIX}/%00", f"{BASE}/%00/belt", f"{BASE}/77.1/belt"):
        assert (await running.call("GET", path))[0] == 404

"""The catalogue of data resources in this process: what is found, what is overdue, and the Excel file."""

import io
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from python_calamine import CalamineWorkbook

from node.listen import catalogue_api
from node.listen.catalogue_sheet import COLUMNS
from registry.template import Category, Item, State
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import ITEMS, PREFIX, template

RESOURCES = (
    Item(2000, "plate", "车牌", sharing="conditional"),
    Item(2001, "price", "价格", access="internal", level="core", responsible="财务部", cycle="monthly"),
    Item(2002, "=cmd()", "公式", access="partners", cycle="daily", upkept="2020-01-01"),
    Item(2003, "old", "旧", enabled=False),
)
CATALOGUE = "/api/v1/catalogue"


@pytest.fixture
async def running(database: str) -> AsyncIterator[Node]:
    async with node(database) as made:
        car = replace(
            template(STRANGER_PREFIX, "car", RESOURCES), category=Category("C", "36", "361", "3612"), zh="整车"
        )
        await made.house.steward.add_template(car)
        await made.house.steward.add_template(replace(car, version="draft", state=State.DRAFT))
        yield made


async def found(running: Node, query: str = "", who: str = "leather") -> list[str]:
    status, answer = await running.call("GET", CATALOGUE + query, who=who)
    assert status == 200, answer
    return [each["name"] for each in answer["resources"]]


async def test_what_is_looked_for_is_found(running: Node) -> None:
    leather, car = [item.name for item in ITEMS], ["plate", "price", "=cmd()"]
    assert await found(running) == leather + car
    for query, names in {
        "industry=leather": leather,
        "category=C36": car,
        "category=C3612": car,
        "category=C37": [],
        "enterprise=星": car,
        "enterprise=XING": car,
        "enterprise=%25": [],
        "class=internal": ["costPrice", "price"],
        "class=internal&industry=automotive": ["price"],
        "level=core": ["price"],
        "sharing=conditional": ["plate", "=cmd()"],
        "sharing=none": ["costPrice", "price"],
        "overdue=true": ["=cmd()"],
        "overdue=false&category=C36": ["plate", "price"],
    }.items():
        assert await found(running, f"?{query}") == names, query
    _, answer = await running.call("GET", f"{CATALOGUE}?level=core")
    (price,) = answer["resources"]
    assert {name: price[name] for name in ("enterprise", "template", "sharing", "responsible", "cycle", "kind")} == {
        "enterprise": "星禾",
        "template": "car",
        "sharing": "none",
        "responsible": "财务部",
        "cycle": "monthly",
        "kind": "text",
    }
    assert price["overdue"] is False
    assert answer["next"] is None


async def test_it_is_read_by_pages(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue_api, "TEMPLATES_MOST", 1)
    _, first = await running.call("GET", CATALOGUE)
    assert (len(first["resources"]), first["next"]) == (len(ITEMS), f"{PREFIX}/bag")
    _, second = await running.call("GET", f"{CATALOGUE}?after={first['next']}")
    assert len(second["resources"]) == 3
    _, end = await running.call("GET", f"{CATALOGUE}?after={second['next']}")
    assert end == {"resources": [], "next": None}


async def exported(running: Node, query: str = "", **headers: str) -> tuple[int, Any]:
    headers["Authorization"] = f"Bearer {running.tokens['leather']}"
    async with running.client.get(f"{CATALOGUE}.xlsx{query}", headers=headers) as response:
        if response.status != 200:
            return response.status, await response.json()
        assert "attachment" in response.headers["Content-Disposition"]
        book = CalamineWorkbook.from_filelike(io.BytesIO(await response.read()))
        return 200, book.get_sheet_by_index(0).to_python()


async def test_the_list_is_an_excel_file_of_plain_text(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    status, rows = await exported(running)
    assert status == 200
    assert rows[0] == [zh for zh, _, _ in COLUMNS.values()]
    told = [dict(zip(COLUMNS, row, strict=True)) for row in rows[1:]]
    assert [row["name"] for row in told] == [*(item.name for item in ITEMS), "plate", "price", "=cmd()"]
    last = told[-1]
    assert (last["access"], last["sharing"], last["cycle"], last["upkept"], last["overdue"]) == (
        "伙伴",
        "有条件共享",
        "每日",
        "2020-01-01",
        "是",
    )
    status, rows = await exported(running, "?level=core", **{"Accept-Language": "en"})
    assert (len(rows), rows[0][1], rows[1][14]) == (2, "Enterprise", "core")
    monkeypatch.setattr(catalogue_api, "EXPORT_ROWS_MOST", 4)
    status, told = await exported(running)
    assert (status, told["error"]["message"]) == (400, "超过4行，请缩小范围")
    assert (await exported(running, "?level=core"))[0] == 200


async def test_one_export_at_a_time(running: Node) -> None:
    app: Any = running.client.server.app  # type: ignore[attr-defined]
    async with app[catalogue_api.EXPORTING]:
        assert (await exported(running))[0] == 503


async def test_upkeep_is_noted(running: Node) -> None:
    path = f"/api/v1/templates/{STRANGER_PREFIX}/car/upkeep"
    assert await found(running, "?overdue=true") == ["=cmd()"]
    status, _ = await running.call("POST", path, {"indexes": [2002]}, who="stranger")
    assert status == 200
    assert await found(running, "?overdue=true") == []
    status, kept = await running.call("POST", path, {"date": "2021-01-01"}, who="stranger")
    assert {item["upkept"] for item in kept["items"]} == {"2021-01-01"}
    assert await found(running, "?overdue=true") == ["price", "=cmd()"]
    for body, field in (({"date": "2999-01-01"}, "date"), ({"date": "soon"}, "date"), ({"indexes": [7]}, "indexes")):
        status, told = await running.call("POST", path, body, who="stranger")
        assert (status, told["error"]["field"]) == (400, field)
    assert (await running.call("POST", path, {}, who="leather"))[0] == 403


async def test_bad_questions_are_explained(running: Node) -> None:
    for query in ("class=secret", "level=x", "sharing=x", "overdue=maybe", "industry=%00", f"after={'x' * 201}"):
        status, answer = await running.call("GET", f"{CATALOGUE}?{query}")
        assert (status, answer["error"]["field"]) == (400, query.partition("=")[0]), query
    assert (await running.call("GET", CATALOGUE, who=None))[0] == 401

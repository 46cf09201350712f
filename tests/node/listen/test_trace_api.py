"""Tracing in this process: both ways, within bounds, and never through what its asker may not see."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from node.listen import trace_api
from registry.prefix import PrefixState
from registry.template import Item
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.small_registry import PREFIX, template

POINTERS = (
    Item(2000, "name", "名称"),
    Item(2001, "leather", "皮料", kind="reference", count=500, most=4096),
    Item(2002, "supplier", "供应商", kind="reference", access="internal"),
)
Pairs = set[tuple[str, str]]


@pytest.fixture
async def running(database: str) -> AsyncIterator[Node]:
    async with node(database) as made:
        await made.house.steward.add_template(replace(template(), version="p", items=POINTERS))
        yield made


async def write(running: Node, suffix: str, *leather: str, supplier: str = "", method: str = "POST") -> None:
    texts = {"name": "x", "leather": ";".join(map(at, leather)), "supplier": supplier and at(supplier)}
    value = [
        {"index": 2000 + n, "type": name, "data": {"value": text}}
        for n, (name, text) in enumerate(texts.items())
        if text or method == "PUT"
    ]
    body = {"handle": at(suffix), "templateVersion": "p", "value": value}
    assert (await running.call(method, "/identityv2/data", body))[1]["message"] == "success"


def at(suffix: str) -> str:
    return suffix if "/" in suffix else f"{PREFIX}/{suffix}"


async def traced(running: Node, suffix: str, query: str = "", who: str | None = None) -> Any:
    status, answer = await running.call("GET", f"/api/v1/trace/{at(suffix)}{query}", who=who)
    assert status == 200, answer
    return answer


def nodes(answer: Any) -> dict[str, str]:
    return {each["handle"].removeprefix(f"{PREFIX}/"): each["state"] for each in answer["nodes"]}


def edges(answer: Any) -> Pairs:
    short = [
        (each["from"].removeprefix(f"{PREFIX}/"), each["to"].removeprefix(f"{PREFIX}/")) for each in answer["edges"]
    ]
    assert len(short) == len(set(short))
    return set(short)


async def test_a_chain_is_walked_both_ways_as_deep_as_asked(running: Node) -> None:
    await write(running, "hide")
    await write(running, "batch", "hide", "77.1/tannery")
    await write(running, "bag", "batch", "gone", "never")
    await write(running, "bag2", "batch")
    await write(running, "gone")
    assert (await running.call("DELETE", "/identityv2/data", {"handle": at("gone")}))[1]["data"] is True
    whole = await traced(running, "batch")
    assert nodes(whole) == {"batch": "live", "hide": "live", "77.1/tannery": "elsewhere", "bag": "live", "bag2": "live"}
    assert edges(whole) == {("batch", "hide"), ("batch", "77.1/tannery"), ("bag", "batch"), ("bag2", "batch")}
    assert whole["complete"]
    assert {each["type"] for each in whole["edges"]} == {"leather"}
    named = {value["type"]: value["data"]["value"] for value in whole["nodes"][0]["values"]}
    assert named["name"] == "x"
    down = await traced(running, "bag", "?direction=forwards")
    assert nodes(down) == {
        "bag": "live",
        "batch": "live",
        "gone": "deleted",
        "never": "absent",
        "hide": "live",
        "77.1/tannery": "elsewhere",
    }
    assert edges(await traced(running, "bag", "?direction=forwards&depth=1")) == {
        ("bag", "batch"),
        ("bag", "gone"),
        ("bag", "never"),
    }
    assert nodes(await traced(running, "77.1/tannery", "?direction=backwards&depth=2")).keys() == {
        "77.1/tannery",
        "batch",
        "bag",
        "bag2",
    }
    assert nodes(await traced(running, "nothing")) == {"nothing": "absent"}


async def test_a_circle_ends(running: Node) -> None:
    await write(running, "A", "B")
    await write(running, "B", "C")
    await write(running, "C", "A", "C")
    for direction in ("forwards", "backwards", "both"):
        answer = await traced(running, "A", f"?depth=10&direction={direction}")
        assert edges(answer) == {("A", "B"), ("B", "C"), ("C", "A"), ("C", "C")}
        assert len(answer["nodes"]) == 3


async def test_nothing_leads_through_what_is_hidden(running: Node) -> None:
    await write(running, "bag", "batch", supplier="firm")
    await write(running, "batch")
    await write(running, "firm")
    for who in (None, "stranger"):
        assert nodes(await traced(running, "bag", who=who)).keys() == {"bag", "batch"}
        assert nodes(await traced(running, "firm", who=who)).keys() == {"firm"}
    for who in ("leather", "admin"):
        assert nodes(await traced(running, "bag", who=who)).keys() == {"bag", "batch", "firm"}
        assert edges(await traced(running, "firm", who=who)) == {("bag", "firm")}
    # Closed today: what led there leads there no more.
    kept = await running.house.lookup.named_template(PREFIX, "p")
    assert kept is not None
    closed = tuple(replace(item, access="internal") for item in kept.items)
    assert await running.house.steward.replace_template(replace(kept, items=closed))
    assert nodes(await traced(running, "bag")).keys() == {"bag"}
    assert nodes(await traced(running, "batch")).keys() == {"batch"}
    await running.house.steward.set_prefix_state(PREFIX, PrefixState.STOPPED)
    stopped = await traced(running, "bag", who="leather")
    assert nodes(stopped) == {"bag": "stopped"}
    assert "values" not in stopped["nodes"][0]


async def test_a_grant_opens_the_way_to_whom_it_was_given(running: Node) -> None:
    kept = await running.house.lookup.named_template(PREFIX, "p")
    assert kept is not None
    shared = tuple(replace(item, access="partners") for item in kept.items)
    assert await running.house.steward.replace_template(replace(kept, items=shared))
    await write(running, "bag", "batch", supplier="firm")
    group = f"{STRANGER_PREFIX}/Group_buyers"
    await running.call("POST", "/api/v1/groups", {"prefix": STRANGER_PREFIX, "name": "buyers"}, "stranger")
    await running.call("PUT", f"/api/v1/groups/{group}/members", {"members": ["stranger"]}, "stranger")
    assert (await running.call("PUT", f"/api/v1/group-imports/{group}"))[0] == 200
    assert edges(await traced(running, "batch", who="stranger")) == set()
    grant = {"prefix": PREFIX, "template": "p", "to": group, "attributes": ["leather"]}
    assert (await running.call("POST", "/api/v1/grants", grant))[0] == 201
    assert edges(await traced(running, "batch", who="stranger")) == {("bag", "batch")}
    assert edges(await traced(running, "bag", who="stranger")) == {("bag", "batch")}
    assert edges(await traced(running, "bag")) == set()


async def test_breadth_and_size_are_bounded_and_that_is_said(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_api, "BREADTH_MOST", 3)
    await write(running, "carton", *(f"bag{n}" for n in range(5)))
    answer = await traced(running, "carton")
    assert (len(answer["nodes"]), answer["complete"]) == (4, False)
    for n in range(5):
        await write(running, f"user{n}", "bag0")
    answer = await traced(running, "bag0", "?direction=backwards&depth=1")
    assert (len(edges(answer)), answer["complete"]) == (3, False)
    for n in range(3):
        await write(running, f"hidden{n}", supplier="firm")
    answer = await traced(running, "firm")
    assert (nodes(answer).keys(), answer["complete"]) == ({"firm"}, False)
    monkeypatch.setattr(trace_api, "LOOK_MOST", 1)
    answer = await traced(running, "carton")
    assert (len(answer["nodes"]), answer["complete"]) == (4, False)
    monkeypatch.setattr(trace_api, "NODES_MOST", 2)
    for most in (1, 50):
        monkeypatch.setattr(trace_api, "LOOK_MOST", most)
        answer = await traced(running, "carton")
        assert (len(answer["nodes"]), len(answer["edges"]), answer["complete"]) == (2, 1, False)
    await write(running, "box", "bag0")
    answer = await traced(running, "box", "?direction=forwards")
    assert (len(answer["nodes"]), answer["complete"]) == (2, True)
    monkeypatch.setattr(trace_api, "OCTETS_MOST", 1)
    answer = await traced(running, "box", "?direction=forwards")
    assert (len(answer["nodes"]), answer["complete"]) == (1, False)


async def test_an_update_moves_the_way_back(running: Node) -> None:
    await write(running, "bag", "old")
    await write(running, "bag", "new", method="PUT")
    assert edges(await traced(running, "old")) == set()
    assert edges(await traced(running, "new")) == {("bag", "new")}


async def test_bad_questions_are_explained(running: Node) -> None:
    path = f"/api/v1/trace/{PREFIX}/A"
    for query, field in (("?depth=11", "depth"), ("?depth=0", "depth"), ("?direction=up", "direction")):
        status, answer = await running.call("GET", path + query, who=None)
        assert (status, answer["error"]["field"]) == (400, field)
    assert (await running.call("GET", path, who=None, Authorization="Bearer x"))[0] == 401

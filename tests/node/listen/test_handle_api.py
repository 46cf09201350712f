"""The reading half of the Handle HTTP API on a node in this process; how paths are routed is proven in tests/whole/."""

import asyncio
import json
from typing import Any

import pytest

from node import metrics
from node.listen import handle_api
from proto.errors import ProtoError
from registry.errors import UnavailableError
from tests.fakes.in_process import node
from tests.fakes.other_node import hangs, knows, knows_nothing, other_node, refers, says
from tests.fakes.small_registry import PREFIX
from tests.waiting import until

PATH = f"/api/handles/{PREFIX}"


@pytest.mark.parametrize(
    ("raw", "identifier"),
    [
        ("88.999.1001/A", "88.999.1001/A"),
        ("88.999.1001%2FA%2fb", "88.999.1001/A/b"),
        ("88.999.1001/%E7%9A%AE%E6%96%99", "88.999.1001/皮料"),
        ("88.999.1001/a+b%20c%25", "88.999.1001/a+b c%"),
        ("88.999.1001/%2541", "88.999.1001/%41"),
        ("88.999.1001/%zz", "88.999.1001/%zz"),
    ],
)
def test_a_path_is_percent_decoded_once(raw: str, identifier: str) -> None:
    assert handle_api.asked_for(raw) == identifier


@pytest.mark.parametrize("raw", ["%ff", "88.999.1001/%E7%9A", "%C0%AF"])
def test_what_is_not_utf8_is_said(raw: str) -> None:
    with pytest.raises(ProtoError, match="UTF-8"):
        handle_api.asked_for(raw)


async def test_an_entity_tag_saves_the_answer_however_it_comes_back(database: str) -> None:
    async with node(database) as running:
        await running.create("A")
        async with running.client.get(f"{PATH}/A") as response:
            tag = response.headers["ETag"]
            assert response.headers["Cache-Control"] == "public, max-age=60"
        for sent in (tag, f"W/{tag}", f'"other", {tag}', f'W/"x", W/{tag}', "*"):
            async with running.client.get(f"{PATH}/A", headers={"If-None-Match": sent}) as response:
                assert response.status == 304, sent
                assert response.headers["ETag"] == tag
                assert await response.read() == b""
        for sent in ('"other"', "garbage", ""):
            async with running.client.get(f"{PATH}/A", headers={"If-None-Match": sent}) as response:
                assert response.status == 200, sent
        for path in (f"{PATH}/nothing", "/api/handles/77.1/A"):
            async with running.client.get(path, headers={"If-None-Match": "*"}) as response:
                assert response.status in {404, 400}
                assert "ETag" not in response.headers
        await running.registry.write("update", "A", styleNo="S2")
        await running.follower.look()
        async with running.client.get(f"{PATH}/A", headers={"If-None-Match": tag}) as response:
            assert response.status == 200
            assert response.headers["ETag"] != tag


def given(answer: dict[str, Any]) -> list[int]:
    """The indexes of the attributes an answer shows."""
    return [value["index"] for value in answer.get("values", []) if value["index"] >= 2000]


FORM, JSON = "application/x-www-form-urlencoded", "application/json"


async def test_a_question_may_be_a_post(database: str) -> None:
    async with node(database) as running:
        await running.create("A", styleNo="S1", colour="red", costPrice="9")

        async def told(body: bytes, kind: str, query: str = "", **headers: str) -> tuple[int, list[int]]:
            sent = {"Content-Type": kind} | headers
            async with running.client.post(f"{PATH}/A{query}", data=body, headers=sent) as response:
                assert "ETag" not in response.headers
                assert response.headers["Cache-Control"] == "private, no-store"
                answer = await response.json(content_type=None)
                return response.status, given(answer)

        both = (200, [2000, 2001])
        for body, kind in (
            (b"index=2000&type=colour", FORM),
            (b"index=2000&index=2001", FORM),
            (b'{"index": [2000], "type": "colour"}', JSON),
            (b'{"index": ["2000", 2001], "pretty": true}', JSON),
            (b"", "text/plain"),
            (b"", JSON),
        ):
            assert await told(body, kind) == both, body
            assert await told(body, kind, **{"If-None-Match": "*"}) == both, "it is no GET"
        assert await told(b"index=2000", FORM, "?index=2001") == both
        for body, kind in (
            (b"index=2000", "text/plain"),
            (b"[2000]", JSON),
            (b'{"index": null}', JSON),
            (b'{"index": [[2000]]}', JSON),
            (b'{"index": 2000', JSON),
            (b"index=%ff&\xff", FORM),
            (b"&".join([b"index=2000"] * 2000), FORM),
        ):
            assert await told(body, kind) == (400, []), body
        assert await told(b"index=2000&x=" + b"x" * handle_api.PARAMETER_OCTETS, FORM) == (413, [])


@pytest.mark.parametrize(
    ("asked", "name"), [("cb", "cb"), ("a.b[0];alert(1)", "a_b_0__alert_1_"), ("函数" * 90, "_" * 128)]
)
async def test_a_script_of_a_page_is_called_by_one_name(database: str, asked: str, name: str) -> None:
    async with node(database) as running:
        await running.create("A", styleNo="a\u2028b\u2029")
        for path in (f"{PATH}/A", f"{PATH}/nothing", "/api/handles/", "/api/site", "/api/foo"):
            plain = (await running.client.get(path)).read()
            async with running.client.get(path, params={"callback": asked}) as response:
                assert response.headers["Content-Type"] == "application/javascript;charset=utf-8"
                body = (await response.read()).decode()
            assert not {"\u2028", "\u2029"} & set(body)
            assert body.startswith(f"{name}(")
            assert body.endswith(");")
            assert json.loads(body[len(name) + 1 : -2]) == json.loads(await plain)
        async with running.client.head(f"{PATH}/A", params={"callback": asked}) as response:
            assert await response.read() == b""


async def test_who_is_signed_in_may_ask_what_everybody_is_told(database: str) -> None:
    async with node(database) as running:
        await running.create("A", styleNo="S1", costPrice="9")
        for query, indexes in (("", [2000, 2002]), ("?publicOnly", [2000]), ("?publicOnly=false", [2000, 2002])):
            _, answer = await running.call("GET", f"{PATH}/A{query}")
            assert given(answer) == indexes, query


async def test_what_nobody_does_is_said_so(database: str) -> None:
    async with node(database) as running:
        status, answer = await running.call("PATCH", f"{PATH}/A", {})
        assert (status, answer["responseCode"]) == (501, 4)
        unknown = {"responseCode": 4, "message": "Unknown HTTP API endpoint GET /api/foo"}
        assert await running.call("GET", "/api/foo") == (404, unknown)
        status, answer = await running.call("GET", "/api/site")
        assert (status, answer["servers"][0]["address"], answer["protocolVersion"]) == (200, "127.0.0.1", "2.11")


async def test_a_page_may_ask_before_whatever_it_asks_the_handle_api(database: str) -> None:
    asks = {"Origin": "https://shop.example", "Access-Control-Request-Method": "PUT"}
    async with node(database) as running:
        for path in (f"{PATH}/A", "/api/handles", "/api/sessions", "/api/sessions/this", "/api/site", "/api/prefixes"):
            async with running.client.options(path, headers=asks) as response:
                assert (response.status, await response.read()) == (200, b""), path
                assert response.headers["Access-Control-Allow-Methods"] == "GET,POST,HEAD,PUT,DELETE"
                assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
                assert response.headers["Access-Control-Allow-Origin"] == "*"
                assert "Access-Control-Allow-Credentials" not in response.headers, "nor a certificate is lent to a page"
        async with running.client.options("/api/v1/foo", headers=asks) as response:
            assert response.status == 404


async def test_when_postgresql_is_away_what_is_kept_is_answered_and_the_rest_is_503(database: str) -> None:
    async with node(database) as running:
        await running.create("A")
        assert (await running.call("GET", f"{PATH}/A", who=None))[0] == 200

        async def away(*_: object) -> Any:
            raise UnavailableError("the name of a host")

        running.registry.lookup.look_keys = away  # type: ignore[method-assign]
        assert (await running.call("GET", f"{PATH}/A", who=None))[0] == 200
        status, answer = await running.call("GET", f"{PATH}/B", who=None)
        assert (status, answer["responseCode"]) == (503, 3)
        assert "host" not in str(answer)
        status, answer = await running.call(
            "POST", "/api/v1/resolve", {"identifiers": [f"{PREFIX}/A", f"{PREFIX}/B"]}, who=None
        )
        assert (status, [each["responseCode"] for each in answer["results"]]) == (200, [1, 3])


async def test_a_registered_change_is_seen_at_once_and_stopping_a_prefix_too(database: str) -> None:
    async with node(database) as running:
        await running.create("A")

        async def code(suffix: str) -> tuple[int, int]:
            status, answer = await running.call("GET", f"{PATH}/{suffix}", who=None)
            return status, answer["responseCode"]

        row: dict[str, Any] = {
            "handle": f"{PREFIX}/B",
            "templateVersion": "bag",
            "value": [{"index": 2000, "type": "styleNo", "data": {"format": "string", "value": "S1"}}],
        }
        assert await code("B") == (404, 100)
        assert (await running.call("POST", "/identityv2/data", row))[1]["status"] == 1
        assert await code("B") == (200, 1)
        row["value"][0]["data"]["value"] = "S2"
        assert (await running.call("PUT", "/identityv2/data", row))[1]["status"] == 1
        _, answer = await running.call("GET", f"{PATH}/B?index=2000", who=None)
        assert answer["values"][0]["data"]["value"] == "S2"
        for state, expected in (("stopped", (400, 301)), ("enabled", (200, 1))):
            status, _ = await running.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": state}, who="admin")
            assert status == 200
            assert [await code("A"), await code("B")] == [expected, expected]
        assert (await running.call("DELETE", "/identityv2/data", {"handle": f"{PREFIX}/B"}))[1]["status"] == 1
        assert await code("B") == (404, 100)


# -- what lives on another node

LOOPBACK = {"forward_networks": "127.0.0.0/8"}


async def test_what_lives_on_another_node_is_answered_as_if_it_lived_here(database: str) -> None:
    async with (
        other_node(knows()) as second,
        other_node(refers(second.site)) as top,
        node(database, toplevel_url=top.url, **LOOPBACK) as running,
    ):
        async with running.client.get("/api/handles/88.777.1/a%20b?index=1&pretty") as response:
            assert response.status == 200
            assert (await response.json(content_type=None))["handle"] == "88.777.1/a b"
            assert 0 < int(response.headers["Cache-Control"].removeprefix("public, max-age=")) <= 60
            tag = response.headers["ETag"]
        again = {"If-None-Match": tag}
        async with running.client.get("/api/handles/88.777.1/a%20b", headers=again) as response:
            assert response.status == 304
        assert second.asked == ["88.777.1/a b"], "kept as any other answer"
        second.saying = knows_nothing()
        assert await running.call("GET", "/api/handles/88.777.1/b", who=None) == (
            404,
            {"responseCode": 100, "handle": "88.777.1/b"},
        )
        second.saying = says(200, b"<html>")
        status, body = await running.call("GET", "/api/handles/88.777.1/c", who=None)
        assert (status, body["responseCode"], body["handle"]) == (502, 2, "88.777.1/c")
        outcomes = {s.labels: s.value for s in running.totals.samples(metrics.RESOLUTIONS, 0.0) if s.value}
        assert outcomes == {
            ("forwarded", "found"): 1,
            ("hot", "found"): 1,
            ("forwarded", "absent"): 1,
            ("forwarded", "unreachable"): 1,
        }


async def test_another_node_is_never_sent_on(database: str) -> None:
    async with other_node(knows()) as top, node(database, toplevel_url=top.url, **LOOPBACK) as running:
        await running.create("A")
        for loop, count in (("88.777", 0), ("88.999", 1), ("cdn.example, 88.777, 88.999;x=1", 2)):
            here = await running.call("GET", f"{PATH}/A", who=None, **{"CDN-Loop": loop})
            assert here[0] == 200
            status, body = await running.call("GET", "/api/handles/88.777.1/x", who=None, **{"CDN-Loop": loop})
            assert (status, body["responseCode"]) == (400, 301)
            counted = {s.labels: s.value for s in running.totals.samples(metrics.FORWARDS, 0.0)}
            assert counted[("loop",)] == 2 * count
        assert top.asked == []
        assert (await running.call("GET", "/api/handles/88.777.1/x", who=None))[0] == 200
        status, body = await running.call("GET", "/api/handles/88.777.1/x", who=None, **{"CDN-Loop": "88.777"})
        assert (status, body["responseCode"]) == (400, 301), "nor told what was heard"


async def test_who_wants_no_other_node_asked_hears_what_lives_here_only(database: str) -> None:
    async with other_node(knows()) as top, node(database, toplevel_url=top.url, **LOOPBACK) as running:
        path = "/api/handles/88.777.1/x"
        for _ in range(2):
            status, body = await running.call("GET", f"{path}?doNotRefer", who=None)
            assert (status, body["responseCode"]) == (400, 301)
        assert top.asked == []
        assert (await running.call("GET", f"{path}?doNotRefer=false", who=None))[0] == 200
        assert (await running.call("GET", f"{path}?doNotRefer=true", who=None))[0] == 400, "nor what was heard before"


async def test_a_top_level_node_that_hangs_keeps_no_question_for_our_own_waiting(database: str) -> None:
    async with other_node(hangs) as top, node(database, toplevel_url=top.url, requests=64, **LOOPBACK) as running:
        await running.create(*(f"S{n}" for n in range(40)))
        foreign = [asyncio.create_task(running.call("GET", f"/api/handles/88.{n}/x", who=None)) for n in range(60)]
        await until(lambda: sum(task.done() for task in foreign) > 20)
        assert {task.result()[0] for task in foreign if task.done()} == {503}, "beyond half of what may be in hand"
        for n in range(40):
            assert (await running.call("GET", f"{PATH}/S{n}", who=None))[0] == 200
        assert sum(not task.done() for task in foreign) >= 10, "they still wait"
        assert {task[0] for task in await asyncio.gather(*foreign)} == {502, 503}

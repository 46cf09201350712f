"""The node's own API on a node in this process, and what its calls share (own_door.py): many at once, reconcile,
history, prefixes, batches, tokens.
"""

import asyncio
import gzip
import io
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from itertools import chain, pairwise
from typing import Any

import pytest
from aiohttp import ClientError
from hypothesis import given
from hypothesis import strategies as st

from node.embedded import Servers
from node.listen import bodies, own_api
from node.listen.own_api import LINE_OCTETS, RESOLVE_MOST
from registry.errors import UnavailableError
from tests.fakes.in_process import STRANGER_PREFIX, Node, node
from tests.fakes.other_node import knows, other_node, refers
from tests.fakes.small_registry import PREFIX

NDJSON = {"Content-Type": "application/x-ndjson"}


async def lines(pieces: Iterable[bytes]) -> list[Any]:
    async def coming() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return [line async for chunk in own_api._lines(coming()) for line in chunk]


LINES = st.lists(
    st.sampled_from([b'"88.999.1001/A"', '"88.999.1001/皮料"'.encode(), b"7", b"{}", b"\xff", b"", b"  ", b"[" * 9000])
    | st.integers(LINE_OCTETS - 2, LINE_OCTETS + 2).map(lambda n: b'"' + b"x" * (n - 2) + b'"'),
    max_size=8,
)


@given(LINES, st.lists(st.integers(0, 60_000), max_size=8), st.booleans())
async def test_how_a_stream_is_cut_up_on_the_way_makes_no_difference(
    given_lines: list[bytes], cuts: list[int], ended: bool
) -> None:
    whole = b"\n".join(given_lines) + (b"\n" if ended else b"")
    places = [0, *sorted({min(cut, len(whole)) for cut in cuts}), len(whole)]
    pieces = [whole[a:b] for a, b in pairwise(places)]
    expected = [own_api._line(line) for line in given_lines if line.strip()]
    assert await lines(pieces) == expected
    assert await lines([whole]) == expected


async def test_a_line_without_end_is_not_kept_whole() -> None:
    endless = (b"x" * 60_000 for _ in range(200))
    assert await lines(chain(endless, [b'\n"88.999.1001/A"'])) == [None, "88.999.1001/A"]


@pytest.mark.parametrize("octets", [b"\xff", b"nope", b'"open', b"[" * 3000, b"[" * 100_000, b'"\\ud800"'])
def test_a_line_that_cannot_be_read_is_nobody(octets: bytes) -> None:
    assert own_api._line(octets) is None


async def test_one_call_many_answers(database: str) -> None:
    async with node(database) as running:
        await running.create("A", "B")
        asked = [f"{PREFIX}/B", "nonsense", f"{PREFIX}/A", 7, None, "77.1/x", f"{PREFIX}/B", f"{PREFIX}/nothing"]
        status, answer = await running.call("POST", "/api/v1/resolve", {"identifiers": asked}, who=None)
        assert status == 200
        codes = [each["responseCode"] for each in answer["results"]]
        assert codes == [1, 102, 1, 102, 102, 301, 1, 100]
        assert [each.get("handle") for each in answer["results"]] == [
            each if isinstance(each, str) else None for each in asked
        ]
        _, single = await running.call("GET", f"/api/handles/{PREFIX}/A", who=None)
        assert answer["results"][2] == single
        status, answer = await running.call("POST", "/api/v1/resolve", {"identifiers": []}, who=None)
        assert (status, answer) == (200, {"results": []})


async def test_what_is_wrong_with_a_call_is_said_in_the_clients_language(database: str) -> None:
    async with node(database) as running:
        too_many = {"identifiers": ["88.1/a"] * (RESOLVE_MOST + 1)}
        for language, part in (("zh-CN,zh;q=0.9,en;q=0.8", "最多"), ("en-US,en", "at most"), ("fr", "最多")):
            status, answer = await running.call(
                "POST", "/api/v1/resolve", too_many, who=None, **{"Accept-Language": language}
            )
            assert (status, answer["error"]["field"]) == (400, "identifiers")
            assert part in answer["error"]["message"]
        deep = b'{"identifiers":' + b"[" * 99_999
        for body in (b"", b"[]", b"{}", b'{"identifiers":7}', b'{"identifiers":["\xff"]}', deep):
            status, answer = await running.call("POST", "/api/v1/resolve", body, who=None)
            assert (status, list(answer)) == (400, ["error"]), body[:40]


async def test_a_stream_goes_on_whatever_a_line_is(database: str) -> None:
    async with node(database) as running:
        await running.create("A")
        good = json.dumps(f"{PREFIX}/A").encode()
        sent = b"\n".join([good, b"\xff", b"", b"nope", b'{"a":1}', b"x" * 9000, good, b'"nonsense"', good])
        async with running.client.post("/api/v1/resolve", data=sent, headers=NDJSON) as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "application/x-ndjson"
            got = [json.loads(line)["responseCode"] for line in (await response.read()).splitlines()]
        assert got == [1, 102, 102, 102, 102, 1, 102, 1]


async def test_a_stream_may_be_compressed_in_a_way_that_is_known(database: str) -> None:
    async with node(database) as running:
        await running.create("A")
        sent = b"\n".join([json.dumps(f"{PREFIX}/A").encode()] * 3000)
        headers = NDJSON | {"Content-Encoding": "gzip"}
        async with running.client.post("/api/v1/resolve", data=gzip.compress(sent), headers=headers) as response:
            got = [json.loads(line)["responseCode"] for line in (await response.read()).splitlines()]
        assert got == [1] * 3000
        headers["Content-Encoding"] = "br"
        async with running.client.post("/api/v1/resolve", data=sent, headers=headers) as response:
            assert response.status == 415


async def test_a_stream_that_breaks_or_falls_silent_is_broken_off(
    database: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The client must not take what it got for all there is."""
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.2)
    head = b"POST /api/v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
    silent = head + b'Content-Length: 99\r\n\r\n"77.1/x"\n'
    broken = head + b"Content-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello"
    async with node(database) as running:
        for octets in (silent, broken):
            reader, writer = await asyncio.open_connection("127.0.0.1", running.client.port)
            writer.write(octets)
            got = b""
            with suppress(ConnectionError):
                while more := await reader.read(1000):
                    got += more
            assert got.startswith(b"HTTP/1.1 200 ")
            assert not got.endswith(b"0\r\n\r\n")
            writer.close()
    journal = "".join(capfd.readouterr())
    assert journal.count("stream_broken_off") == 2
    assert "Traceback" not in journal


async def test_a_stream_that_waits_for_its_client_takes_no_place(database: str) -> None:
    head = (
        b"POST /api/v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nContent-Length: 9\r\n\r\n"
    )
    async with node(database, requests=8) as running:
        waiting = [await asyncio.open_connection("127.0.0.1", running.client.port) for _ in range(20)]
        for reader, writer in waiting:
            writer.write(head)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        assert (await running.call("POST", "/api/v1/resolve", {"identifiers": ["77.1/x"]}, who=None))[0] == 200
        for reader, writer in waiting:
            writer.write(b'"77.1/x"\n')
            assert b'"responseCode":301' in await reader.read(1000) + await reader.read(1000)
            writer.close()


async def test_who_has_not_signed_in_may_not_send_everything(database: str) -> None:
    longest = json.dumps({"identifiers": [f"{PREFIX}/" + "\U0001f600" * 240] * RESOLVE_MOST}).encode()
    async with node(database) as running:
        for sent, status in ((longest, 200), (b" " * (own_api.RESOLVE_OCTETS + 1), 413)):
            async with running.client.post("/api/v1/resolve", data=io.BytesIO(sent)) as response:
                assert response.status == status
                answer = await response.text()
        assert "4194304" in answer


async def test_a_stream_ends_with_the_right_of_who_asks(database: str) -> None:
    revoked = asyncio.Event()

    async def sent() -> AsyncIterator[bytes]:
        yield json.dumps(f"{PREFIX}/A").encode() + b"\n"
        await revoked.wait()
        yield json.dumps(f"{PREFIX}/A").encode() + b"\n"

    async with node(database) as running:
        await running.create("A", styleNo="S1", costPrice="9")
        headers = NDJSON | {"Authorization": f"Bearer {running.tokens['leather']}"}
        async with running.client.post("/api/v1/resolve", data=sent(), headers=headers) as response:
            assert b"costPrice" in await response.content.readline()
            await running.house.steward.revoke_tokens("leather")
            revoked.set()
            with pytest.raises(ClientError):
                await response.content.readline()


async def test_many_large_answers_are_not_held_at_once(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_api, "ANSWER_OCTETS", 2000)
    monkeypatch.setattr(own_api, "PIECE_OCTETS", 1)
    async with node(database) as running:
        await running.create("A")
        body = {"identifiers": [f"{PREFIX}/A"] * 60}
        for who in (None, "leather"):
            status, answer = await running.call("POST", "/api/v1/resolve", body, who)
            assert (status, answer["error"]["field"]) == (400, "identifiers")
            assert own_api.NDJSON in answer["error"]["message"]
        headers = NDJSON | {"Authorization": f"Bearer {running.tokens['leather']}"}
        sent = b"\n".join([json.dumps(f"{PREFIX}/A").encode()] * 60)
        async with running.client.post("/api/v1/resolve", data=sent, headers=headers) as response:
            assert len((await response.read()).splitlines()) == 60


async def test_a_line_that_fails_in_an_unforeseen_way_is_one_line(database: str) -> None:
    async with node(database) as running:
        await running.create("A", "B")
        ask = running.house.hot.ask

        async def failing(identifier: Any, *, onward: bool) -> Any:
            if identifier.suffix == "B":
                raise ZeroDivisionError("secret")
            return await ask(identifier, onward=onward)

        running.house.hot.ask = failing  # type: ignore[method-assign]
        sent = b"\n".join(json.dumps(f"{PREFIX}/{suffix}").encode() for suffix in "ABA")
        async with running.client.post("/api/v1/resolve", data=sent, headers=NDJSON) as response:
            got = (await response.read()).splitlines()
        assert [json.loads(line)["responseCode"] for line in got] == [1, 2, 1]
        assert b"secret" not in b"".join(got)


def row(suffix: str, style: str = "S1", template: str = "bag") -> dict[str, Any]:
    value = [{"index": "2000", "type": "styleNo", "data": {"format": "string", "value": style}}]
    return {"handle": f"{PREFIX}/{suffix}", "templateVersion": template, "value": value}


async def test_reconciling_tells_missing_different_and_same(database: str) -> None:
    async with node(database) as running:
        await running.create("A", "B", "gone")
        await running.registry.write("delete", "gone")
        rows = [
            row("A"),
            row("B", "S2"),
            row("nothing"),
            row("gone"),
            row("A", template="other"),
            row("A") | {"value": []},
            {"handle": f"{STRANGER_PREFIX}/A", "templateVersion": "t", "value": []},
            {"handle": "77.1/A", "templateVersion": "t", "value": []},
            {"handle": f"{PREFIX}/A"},
        ]
        status, answer = await running.call("POST", "/api/v1/reconcile", rows)
        assert status == 200
        assert [(each["handle"], each["result"], each["differs"]) for each in answer["results"]] == [
            (f"{PREFIX}/A", "same", []),
            (f"{PREFIX}/B", "different", ["styleNo"]),
            (f"{PREFIX}/nothing", "missing", []),
            (f"{PREFIX}/gone", "missing", []),
            (f"{PREFIX}/A", "different", ["templateVersion"]),
            (f"{PREFIX}/A", "different", ["styleNo"]),
            (f"{STRANGER_PREFIX}/A", "invalid", []),
            ("77.1/A", "invalid", []),
            (f"{PREFIX}/A", "invalid", []),
        ]
        assert answer["results"][8]["message"] == "缺少必要的请求参数: templateVersion"
        bad = b'[{"handle":"\xff"},' + json.dumps(row("A")).encode() + b"]"
        _, answer = await running.call("POST", "/api/v1/reconcile", bad)
        assert [each["result"] for each in answer["results"]] == ["invalid", "same"]
        for body in (b"{}", b"", json.dumps([1] * 2001).encode()):
            status, answer = await running.call("POST", "/api/v1/reconcile", body)
            assert status == 400
        assert (await running.call("POST", "/api/v1/reconcile", rows, who=None))[0] == 401


async def test_nobody_makes_the_node_fetch_what_they_may_not_see_nor_much_at_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own_api, "COMPARED_AT_ONCE", 2)
    async with node(database) as running:
        await running.create("A", "B")
        look, fetched = running.registry.lookup.look, list[int]()

        async def counted(identifiers: Any) -> Any:
            fetched.append(len(identifiers))
            return await look(identifiers)

        running.registry.lookup.look = counted  # type: ignore[method-assign]
        rows = [row("A"), row("none"), row("B", "S2"), row("A")]
        _, answer = await running.call("POST", "/api/v1/reconcile", rows, "stranger")
        assert ({each["result"] for each in answer["results"]}, fetched) == ({"invalid"}, [])
        _, answer = await running.call("POST", "/api/v1/reconcile", rows)
        assert [each["result"] for each in answer["results"]] == ["same", "missing", "different", "same"]
        assert fetched == [2, 2]


async def test_history_is_the_owners_and_tells_every_version(database: str) -> None:
    async with node(database) as running:
        await running.call("POST", "/identityv2/data", row("A"))
        await running.call("PUT", "/identityv2/data", row("A", "S2"))
        await running.call("DELETE", "/identityv2/data", {"handle": f"{PREFIX}/A"})
        await running.call("POST", "/identityv2/data", row("A", "S3"), who="admin")
        path = f"/api/v1/history/{PREFIX}/A"
        for who in ("leather", "admin", "program"):
            status, answer = await running.call("GET", path, who=who)
            assert (status, answer["handle"]) == (200, f"{PREFIX}/A")
        told = [
            (each["version"], each["kind"], each["by"], [value["value"] for value in each["values"]])
            for each in answer["versions"]
        ]
        assert told == [
            (4, "revived", "admin", ["S3"]),
            (3, "deleted", "leather", []),
            (2, "updated", "leather", ["S2"]),
            (1, "created", "leather", ["S1"]),
        ]
        cases: list[tuple[str, str | None, int]] = [
            (path, "stranger", 403),
            (path, None, 401),
            (f"/api/v1/history/{PREFIX}/never", "leather", 404),
            ("/api/v1/history/77.1/A", "leather", 404),
            ("/api/v1/history/nonsense", "leather", 400),
            (f"/api/v1/history/{PREFIX}/%ff", "leather", 400),
        ]
        for wanted, who, expected in cases:
            assert (await running.call("GET", wanted, who=who))[0] == expected, (wanted, who)
        assert (await running.call("GET", path.replace("/A", "%2FA"), who="leather"))[0] == 200


async def test_only_administrators_stop_prefixes(database: str) -> None:
    async with node(database) as running:
        path, stop = f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}
        assert (await running.call("PUT", path, stop))[0] == 403
        assert (await running.call("PUT", path, stop, who=None))[0] == 401
        assert (await running.call("PUT", "/api/v1/prefixes/77.1", stop, who="admin"))[0] == 404
        assert (await running.call("PUT", "/api/v1/prefixes/88%00", stop, who="admin"))[0] in {400, 404}
        for body in ({"state": "maybe"}, {}, {"state": 1}, []):
            assert (await running.call("PUT", path, body, who="admin"))[0] == 400
        assert await running.call("PUT", path, stop, who="admin") == (200, {"prefix": PREFIX, "state": "stopped"})
        assert await running.call("PUT", path, stop, who="admin") == (200, {"prefix": PREFIX, "state": "stopped"})
        status, answer = await running.call("POST", "/identityv2/data", row("A"))
        assert (status, answer["status"], "停用" in answer["message"]) == (200, -2, True)


async def test_batches_are_told_to_those_who_sent_them(database: str) -> None:
    async with node(database) as running:
        await running.create("A", "B")
        rows = [row("A"), row("B", "S2"), row("C"), row("C"), {"handle": "x"}]
        await running.call("POST", "/identityv2/data/batchCreate", rows)
        await running.call("DELETE", "/identityv2/data/batchDelete", [f"{PREFIX}/C"], who="admin")
        status, answer = await running.call("GET", "/api/v1/batches")
        assert status == 200
        (mine,) = answer["batches"]
        counts = ("rows", "succeeded", "existed_alike", "existed_different", "refused")
        assert [mine[name] for name in counts] == [5, 1, 2, 1, 1]
        assert (mine["username"], mine["operation"]) == ("leather", "create")
        assert [(n, handle) for n, handle, _ in mine["reasons"]] == [(5, "x")]
        _, answer = await running.call("GET", "/api/v1/batches", who="admin")
        assert [each["operation"] for each in answer["batches"]] == ["delete", "create"], "newest first"
        page = f"/api/v1/batches?below={answer['batches'][0]['number']}&size=1"
        _, answer = await running.call("GET", page, who="admin")
        assert [each["operation"] for each in answer["batches"]] == ["create"]
        number = mine["number"]
        assert (await running.call("GET", f"/api/v1/batches/{number}"))[1] == mine
        assert (await running.call("GET", f"/api/v1/batches/{number}", who="stranger"))[0] == 404
        assert (await running.call("GET", "/api/v1/batches/999999"))[0] == 404
        assert (await running.call("GET", "/api/v1/batches", who=None))[0] == 401
        for query in ("size=0", "size=x", "below=-1", "size=1e3", "size=二", f"below={2**63}", "below=" + "9" * 5000):
            assert (await running.call("GET", f"/api/v1/batches?{query}"))[0] == 400, query
        assert (await running.call("GET", f"/api/v1/batches?below={2**63 - 1}&size={2**63 - 1}"))[0] == 200


async def test_a_token_can_be_made_worthless(database: str) -> None:
    async with node(database) as running:
        async with running.client.delete(
            "/api/v1/tokens/this", headers={"Authorization": f"bearer {running.tokens['leather']}"}
        ) as response:
            assert response.status == 204
        assert (await running.call("GET", "/api/v1/batches"))[0] == 401
        status, answer = await running.call("POST", "/identityv2/data", row("A"))
        assert (status, answer["status"]) == (200, -1)
        assert (await running.call("DELETE", "/api/v1/tokens/this", who=None))[0] == 401


async def test_a_database_that_is_away_is_503_on_every_call(database: str) -> None:
    async with node(database) as running:

        async def away(*_: object, **__: object) -> Any:
            raise UnavailableError("the name of a host")

        running.registry.lookup.holders = away  # type: ignore[method-assign]
        for method, path in (
            ("GET", "/api/v1/batches"),
            ("POST", "/api/v1/reconcile"),
            ("GET", f"/api/v1/history/{PREFIX}/A"),
            ("DELETE", "/api/v1/tokens/this"),
        ):
            status, answer = await running.call(method, path)
            assert (status, list(answer)) == (503, ["error"]), path
            assert "host" not in str(answer)


async def test_what_is_not_there_is_404(database: str) -> None:
    async with node(database) as running:
        await _nothing_there(running)


async def _nothing_there(running: Node) -> None:
    for method, path in (("GET", "/api/v1/nothing"), ("GET", "/api/v1/resolve"), ("PATCH", "/api/v1/batches")):
        status, answer = await running.call(method, path, who=None)
        assert status in {404, 405}
        assert answer


# -- what lives on another node


async def test_a_whole_batch_may_live_on_another_node(database: str) -> None:
    async with (
        other_node(knows()) as second,
        other_node(refers(second.site)) as top,
        node(database, toplevel_url=top.url, forward_networks="127.0.0.0/8") as running,
    ):
        names = [f"88.777.1/{n}" for n in range(RESOLVE_MOST)]
        status, body = await running.call("POST", "/api/v1/resolve", {"identifiers": names}, who=None)
        assert status == 200
        assert [(each["responseCode"], each["handle"]) for each in body["results"]] == [(1, n) for n in names]
        assert len(top.asked) == 1
        streamed = b"\n".join(json.dumps(f"88.777.1/s{n}").encode() for n in range(300))
        async with running.client.post("/api/v1/resolve", data=streamed, headers=NDJSON) as response:
            lines = [json.loads(line) for line in (await response.read()).splitlines()]
        assert [line["values"][0]["data"]["value"] for line in lines] == [f"88.777.1/s{n}" for n in range(300)]
        for headers in ({}, NDJSON):
            data = b'{"identifiers":["88.777.1/never"]}' if not headers else b'"88.777.1/never"'
            async with running.client.post(
                "/api/v1/resolve", data=data, headers=headers | {"CDN-Loop": "88.777"}
            ) as response:
                assert b'"responseCode":301' in await response.read()


# -- moving in


async def test_records_without_template_move_in_row_by_row(database: str) -> None:
    def row(name: str, **more: Any) -> dict[str, Any]:
        value = {"index": 1, "type": "URL", "data": {"format": "string", "value": "u"}}
        return {"handle": f"{PREFIX}/{name}", "values": [value | more]}

    rows = [
        row("A"),
        row("B", permissions="1100"),
        row("C", permissions="11"),
        row("A", ttl=7),
        {"handle": f"{PREFIX}/D"},
        {"handle": "88.999.7/A", "values": []},
        row("E"),
    ]
    async with node(database) as running:
        await running.call("PUT", f"/api/v1/quota/{PREFIX}", {"identifiers": 2}, who="admin")
        status, answer = await running.call("POST", "/api/v1/handles", rows, **{"Accept-Language": "en"})
        assert status == 200
        assert [each["responseCode"] for each in answer["results"]] == [1, 1, 202, 101, 202, 301, 604]
        assert answer["results"][3]["differs"] == ["URL"]
        assert "quota" in answer["results"][6]["msg"]
        assert (await running.call("GET", f"/api/handles/{PREFIX}/B", who=None))[1]["responseCode"] == 200
        status, answer = await running.call("POST", "/api/v1/handles/reconcile", rows[:3])
        assert [each["result"] for each in answer["results"]] == ["same", "same", "invalid"]
        _, answer = await running.call("GET", "/api/v1/batches")
        assert (answer["batches"][0]["succeeded"], answer["batches"][0]["refused"]) == (2, 4)
        assert (await running.call("POST", "/api/v1/handles", rows, who="program"))[0] == 403


# -- being forgotten


async def test_what_is_forgotten_is_on_no_face_at_once(
    database: str, servers: Servers, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = (f"/api/handles/{PREFIX}/A", f"/{PREFIX}/A", f"/identityv2/data/detail?handle={PREFIX}/A")
    async with node(database, servers.redis_url) as running:
        await running.create("A", styleNo="S1", colour="张三的红")

        async def seen() -> list[bool]:
            found = []
            for path in (*paths, *paths, f"/api/v1/history/{PREFIX}/A"):
                headers = {"Authorization": f"Bearer {running.tokens['leather']}"}
                async with running.client.get(path, headers=headers) as response:
                    assert response.status == 200
                    found.append("张三" in await response.text())
            return found

        assert await seen() == [True] * 7
        asked = {"identifiers": [f"{PREFIX}/A", "x", f"{PREFIX}/NONE"], "attributes": ["colour"], "reason": "本人请求"}
        status, answer = await running.call("POST", "/api/v1/forget", asked)
        assert (status, answer["results"][0]) == (
            200,
            {"handle": f"{PREFIX}/A", "result": "blanked", "version": 2, "versions": [1]},
        )
        assert [each["result"] for each in answer["results"][1:]] == ["invalid", "refused"]
        assert await seen() == [False] * 7
        _, told = await running.call("GET", f"/api/v1/history/{PREFIX}/A")
        (gone,) = told["versions"][1]["blanked"]
        assert (gone["index"], gone["type"], gone["reason"], "已删除" in gone["message"]) == (
            2001,
            "colour",
            "本人请求",
            True,
        )
        assert told["versions"][0]["blanked"] == []
        asked["identifiers"] = [f"{PREFIX}/A"]
        assert (await running.call("POST", "/api/v1/forget", asked))[1]["results"][0]["result"] == "nothing"
    assert "张三" not in "".join(capfd.readouterr())


async def test_who_may_not_blank_and_what_cannot_be_is_told(database: str) -> None:
    good = {"identifiers": [f"{PREFIX}/A"], "attributes": ["colour"], "reason": "本人请求"}
    async with node(database) as running:
        await running.create("A", styleNo="S1", colour="红")
        assert (await running.call("POST", "/api/v1/forget", good, who="program"))[0] == 403
        assert (await running.call("POST", "/api/v1/forget", good, who=None))[0] == 401
        _, answer = await running.call("POST", "/api/v1/forget", good, who="stranger")
        assert answer["results"][0]["result"] == "refused"
        for wrong in (
            {"attributes": []},
            {"attributes": ["HS_ADMIN"]},
            {"reason": ""},
            {"reason": "a\0b"},
            {"identifiers": []},
            {"identifiers": ["x"] * (own_api.FORGET_MOST + 1)},
            {"more": 1},
        ):
            status, answer = await running.call("POST", "/api/v1/forget", good | wrong)
            assert (status, list(answer)) == (400, ["error"]), wrong
        _, answer = await running.call("GET", f"/api/handles/{PREFIX}/A?type=colour")
        assert answer["values"][0]["data"]["value"] == "红"


# -- quotas


async def test_a_quota_is_set_by_the_operator_and_shown_to_the_enterprise(database: str) -> None:
    async with node(database) as running:
        path = f"/api/v1/quota/{PREFIX}"
        assert (await running.call("PUT", path, {"identifiers": 2, "calls": 9}, who="admin"))[0] == 200
        status, set_ = await running.call("PUT", path, {"room": 1000, "calls": None}, who="admin")
        await running.create("A")
        status, shown = await running.call("GET", "/api/v1/quota")
        assert (status, shown["enterprise"]) == (200, "云岫皮具")
        assert shown["identifiers"] == {"limit": 2, "used": 1, "remaining": 1}
        assert shown["room"]["remaining"] == 1000 - shown["room"]["used"] < 1000
        assert shown["calls"].pop("resets").endswith("T00:00:00+08:00")
        assert shown["calls"] == {"limit": None, "used": 0, "remaining": None}
        assert set_["identifiers"]["limit"] == 2
        assert (await running.call("GET", path, who="admin"))[1]["identifiers"] == shown["identifiers"]


async def test_what_is_no_quota_changes_nothing(database: str) -> None:
    wrong = [{"identifiers": -1}, {"room": 10**15 + 1}, {"calls": "9"}, {"cals": 9}, {"calls": 1.5}]
    async with node(database) as running:
        path = f"/api/v1/quota/{PREFIX}"
        for body in wrong:
            status, answer = await running.call("PUT", path, body, who="admin", **{"Accept-Language": "en"})
            assert (status, next(iter(body)) in answer["error"]["message"]) == (400, True), answer
        assert (await running.call("PUT", path, {"calls": 1}))[0] == 403
        assert (await running.call("GET", path))[0] == 403
        assert (await running.call("PUT", "/api/v1/quota/88.999.9", {"calls": 1}, who="admin"))[0] == 404
        assert (await running.call("GET", "/api/v1/quota", who="admin"))[0] == 400
        assert (await running.call("GET", path, who="admin"))[1]["calls"]["limit"] is None


async def test_beyond_its_calls_an_enterprise_is_told_so_and_may_still_ask_why(database: str) -> None:
    async with node(database) as running:
        await running.call("PUT", f"/api/v1/quota/{PREFIX}", {"calls": 2}, who="admin")
        calls = running.house.doorkeeper.calls
        await calls.tell()
        statuses = [(await running.call("GET", "/api/v1/batches"))[0] for _ in range(3)]
        assert statuses == [200, 200, 429]
        status, answer = await running.call("GET", f"/identityv2/data/detail?handle={PREFIX}/A", who="program")
        assert (status, answer["status"]) == (200, -2)
        assert "调用次数" in answer["message"]
        assert (await running.call("GET", "/api/v1/batches", who="stranger"))[0] == 200
        await calls.tell()
        status, shown = await running.call("GET", "/api/v1/quota")
        assert (status, shown["calls"] | {"resets": ""}) == (
            200,
            {"limit": 2, "used": 2, "remaining": 0, "resets": ""},
        )
        await running.call("PUT", f"/api/v1/quota/{PREFIX}", {"calls": 3}, who="admin")
        await calls.tell()
        assert (await running.call("GET", "/api/v1/batches"))[0] == 200


async def test_a_batch_beyond_the_quota_is_told_per_row(database: str) -> None:
    async with node(database) as running:
        await running.call("PUT", f"/api/v1/quota/{PREFIX}", {"identifiers": 1}, who="admin")
        value = [{"index": 2000, "type": "styleNo", "data": {"format": "string", "value": "S1"}}]
        rows = [{"handle": f"{PREFIX}/{n}", "templateVersion": "bag", "value": value} for n in range(2)]
        status, answer = await running.call("POST", "/identityv2/data/batchCreate", rows)
        assert [row["msg"] for row in answer["data"]] == ["success", "企业的标识数量已达配额1个"]
        status, answer = await running.call("POST", "/identityv2/data", rows[1])
        assert (status, answer["status"], answer["message"]) == (200, -2, "企业的标识数量已达配额1个")

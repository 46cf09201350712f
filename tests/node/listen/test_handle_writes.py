"""The writing half of the Handle HTTP API on a node in this process, by tokens and by secret keys of the Handle system.

The order of cases and what is said are those of a deployed server; that a proxy of ours says https stands for TLS. With
it go node/keyholders.py and node/listen/handle_auth.py.
"""

import base64
import io
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from node.brake import Brake
from node.listen import handle_writes
from registry.prefix import PrefixState
from tests.fakes.in_process import Node, node
from tests.fakes.small_registry import PREFIX

ADMIN, SECRET = f"300:{PREFIX}/ADMIN", "vector-secret-1"
PATH = f"/api/handles/{PREFIX}"
URL = [{"index": 1, "type": "URL", "data": "http://x/"}]
TLS = {"X-Forwarded-Proto": "https"}


def key(secret: str, index: int = 300) -> dict[str, Any]:
    return {"index": index, "type": "HS_SECKEY", "data": secret, "permissions": "1100"}


def admin(permissions: str, handle: str = f"{PREFIX}/ADMIN", index: int = 300) -> dict[str, Any]:
    value = {"handle": handle, "index": index, "permissions": permissions}
    return {"index": 100, "type": "HS_ADMIN", "data": {"format": "admin", "value": value}}


def basic(name: str = ADMIN, secret: str = SECRET) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(f'{quote(name)}:{secret}'.encode()).decode()}"} | TLS


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(module_database: str) -> AsyncIterator[Node]:
    """One for all tests: each writes identifiers of its own."""
    async with node(module_database, trusted_proxies="127.0.0.1", server_admins=ADMIN) as made:
        deposited = [key(SECRET), admin("111111111111")]
        assert (await made.call("PUT", f"{PATH}/ADMIN", deposited))[0] == 201
        yield made


async def call(
    running: Node, method: str, path: str, body: Any = None, who: dict[str, str] | None = None, **headers: str
) -> tuple[int, Any]:
    """Status and JSON of one call in that name."""
    sent = {"Content-Type": "application/json"} | (basic() if who is None else who) | headers
    data = body if isinstance(body, bytes | None) else io.BytesIO(json.dumps(body).encode())
    async with running.client.request(method, path, data=data, headers=sent) as response:
        read = await response.read()
        return response.status, json.loads(read) if read else None


async def test_records_are_written_and_read_as_deployed_servers_do(running: Node) -> None:
    handle = f"{PREFIX}/VEC-PUT"
    done = {"responseCode": 1, "handle": handle}
    one = f"{PATH}/VEC-PUT"
    other = [{"index": 2, "type": "EMAIL", "data": "a@example.com"}]
    full = {"index": 1, "type": "URL", "data": {"format": "string", "value": "http://y/"}, "ttl": 60}
    assert await call(running, "PUT", one, URL) == (201, done)
    assert await call(running, "PUT", one, URL) == (200, done), "it is so already"
    assert await call(running, "PUT", one, {"values": [full | {"permissions": "1110"}]}) == (200, done)
    assert await call(running, "PUT", f"{one}?overwrite=false", URL) == (409, {"responseCode": 101, "handle": handle})
    assert await call(running, "PUT", f"{one}?index=various", other) == (201, done)
    conflict = {"responseCode": 201, "message": "Index conflict for 2", "handle": handle}
    assert await call(running, "PUT", f"{one}?index=2&overwrite=false", other) == (409, conflict)
    assert await call(running, "PUT", f"{one}?index=2", {"index": 2, "type": "EMAIL", "data": "b@x"}) == (200, done)
    hexed = [{"index": 6, "type": "BIN", "data": {"format": "hex", "value": "000102ff"}, "ttl": "2030-01-01T00:00:00Z"}]
    assert await call(running, "PUT", f"{one}?index=6&index=2", hexed + other) == (200, done)
    assert (await call(running, "PUT", f"{one}?index=2", URL))[1]["responseCode"] == 4
    status, read = await call(running, "GET", one, who={})
    assert status == 200
    assert [(v["index"], v["data"]["value"], v["ttl"]) for v in read["values"]] == [
        (1, "http://y/", 60),
        (2, "a@example.com", 86400),
        (6, "AAEC/w==", "2030-01-01T00:00:00Z"),
    ]
    assert (await call(running, "DELETE", f"{one}?index=various"))[1]["responseCode"] == 4
    assert await call(running, "DELETE", f"{one}?index=77") == (400, {"responseCode": 200, "handle": handle})
    assert await call(running, "DELETE", f"{one}?index=1&index=6") == (200, done)
    assert [v["index"] for v in (await call(running, "GET", one, who={}))[1]["values"]] == [2]
    assert await call(running, "DELETE", f"{one}?index=2") == (200, done)
    empty = {"responseCode": 200, "values": [], "handle": handle}
    assert await call(running, "GET", one, who={}) == (200, empty), "a record may be left without values"
    assert await call(running, "DELETE", one) == (200, done)
    gone = {"responseCode": 100, "handle": handle}
    for method, body in (("DELETE", None), ("GET", None)):
        assert await call(running, method, one, body) == (404, gone)
    assert await call(running, "PUT", f"{one}?index=1", URL) == (404, gone)
    assert await call(running, "PUT", one, []) == (201, done), "revived, and empty"


async def test_a_body_that_is_wrong_is_said_so_and_writes_nothing(running: Node) -> None:
    handle = f"{PREFIX}/W"
    for body, code in (
        (b"[{", 4),
        (b"", 4),
        (b"7", 4),
        (b'{"values": 7}', 4),
        (b'{"handle": 7, "values": []}', 4),
        ([7], 4),
        ([{"index": 8, "data": "x"}], 4),
        ([{"index": "8", "type": "URL", "data": "x"}], 4),
        ([{"index": 8, "type": "URL", "data": {"format": "nope", "value": "x"}}], 4),
        ({"handle": f"{PREFIX}/OTHER", "values": []}, 4),
        ({"handle": "none", "values": []}, 102),
        ([{"index": 0, "type": "URL", "data": "x"}], 202),
        (URL + URL, 201),
    ):
        status, answer = await call(running, "PUT", f"{PATH}/W", body)
        assert (status, answer["responseCode"]) == (409 if code == 201 else 400, code), body
    zero = await call(running, "PUT", f"{PATH}/W", [{"index": 0, "type": "URL", "data": "x"}])
    assert zero[1] == {"responseCode": 202, "message": "Value indexes must be positive", "handle": handle}
    assert (await call(running, "PUT", f"{PATH}/W", URL, **{"Content-Type": "text/plain"}))[1]["responseCode"] == 4
    assert (await call(running, "PUT", f"{PATH}/W?index=x", URL))[1]["responseCode"] == 4
    for path in ("/api/handles/none", f"{PATH}/%ff"):
        assert (await call(running, "PUT", path, URL))[1]["responseCode"] == 102
    foreign = {"responseCode": 301, "message": "That prefix doesn't live here", "handle": "99.9/x"}
    assert await call(running, "PUT", "/api/handles/99.9/x", []) == (400, foreign)
    assert (await call(running, "GET", f"{PATH}/W", who={}))[0] == 404
    many = [{"index": n, "type": "URL", "data": "x" * 60_000} for n in range(1, 20)]
    assert (await call(running, "PUT", f"{PATH}/W", many))[1]["responseCode"] == 202


async def test_a_suffix_is_minted(running: Node) -> None:
    for start in ("", "zz"):
        status, answer = await call(running, "PUT", f"{PATH}/{start}?mintNewSuffix=true", URL)
        assert (status, answer["responseCode"]) == (201, 1)
        assert answer["handle"].startswith(f"{PREFIX}/{start}")
        assert len(answer["handle"]) == len(f"{PREFIX}/{start}") + 36
        assert (await call(running, "GET", f"/api/handles/{answer['handle']}", who={}))[0] == 200


# -- who


async def test_who_proves_nothing_is_told_how_and_over_plain_http_not_at_all(running: Node) -> None:
    needed = {"responseCode": 402, "handle": f"{PREFIX}/X"}
    plain = {"Authorization": basic()["Authorization"]}
    for who, status in (({}, 403), (plain, 403), (TLS, 401)):
        assert await call(running, "PUT", f"{PATH}/X", URL, who=who) == (status, needed)
        assert await call(running, "DELETE", f"{PATH}/X", who=who) == (status, needed)
    assert (await call(running, "GET", f"/api/handles?prefix={PREFIX}", who={})) == (
        403,
        {"responseCode": 402, "handle": PREFIX},
    )
    for wrong in (basic(secret="x"), basic(f"301:{PREFIX}/ADMIN"), basic(f"300:{PREFIX}/NO"), basic("300"), basic("")):
        assert await call(running, "PUT", f"{PATH}/X", URL, who=wrong) == (401, None)
    for coded in ("%%%", base64.b64encode(b"\xff:x").decode(), base64.b64encode(f"{ADMIN}:{SECRET}".encode()).decode()):
        assert await call(running, "PUT", f"{PATH}/X", URL, who=TLS | {"Authorization": f"Basic {coded}"}) == (
            401,
            None,
        )
    asked = {"data": b"[]", "headers": TLS | {"Content-Type": "application/json"}}
    async with running.client.put(f"{PATH}/X", **asked) as response:
        assert response.headers["WWW-Authenticate"] == 'Basic realm="handle"'
        assert response.headers.getall("WWW-Authenticate")[1].startswith("Handle sessionId=")
    asked["headers"]["X-Requested-With"] = "XMLHttpRequest"
    async with running.client.put(f"{PATH}/X", **asked) as response:
        assert response.headers["WWW-Authenticate"].startswith("Handle "), "a browser would ask its reader"
    async with running.client.put(f"{PATH}/X", data=b"[]", headers={"Authorization": "Bearer x"}) as response:
        assert response.status == 401
    assert (await call(running, "GET", f"{PATH}/X", who={}))[0] == 404


async def test_one_key_is_guessed_no_more_often_by_spelling_its_name_otherwise(
    running: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(running.house.keyholders, "_brake", Brake(lambda: 0.0))
    names = [f"{'0' * zeros}300:{PREFIX}/Spelt" for zeros in range(6) for _ in range(2)]
    statuses = [(await call(running, "DELETE", f"{PATH}/Spelt", who=basic(name, "guess")))[0] for name in names]
    assert statuses == [401] * 10 + [429] * 2


async def test_guesses_are_braked(running: Node) -> None:
    assert (await call(running, "PUT", f"{PATH}/GUESSED", [key("right")]))[0] == 201
    guesses = [basic(f"300:{PREFIX}/GUESSED", str(n)) for n in range(12)]
    said = [(await call(running, "PUT", f"{PATH}/X", URL, who=guess))[0] for guess in guesses]
    assert said == [401] * 10 + [429] * 2
    right = basic(f"300:{PREFIX}/GUESSED", "right")
    assert (await call(running, "PUT", f"{PATH}/X", URL, who=right))[0] == 429


async def test_what_everybody_may_read_is_no_secret(running: Node) -> None:
    exposed = [key("open") | {"permissions": "1110"}, key("text", 301) | {"type": "URL"}]
    assert (await call(running, "PUT", f"{PATH}/OPEN", exposed))[0] == 201
    for name, secret in ((f"300:{PREFIX}/OPEN", "open"), (f"301:{PREFIX}/OPEN", "text")):
        assert (await call(running, "DELETE", f"{PATH}/OPEN", who=basic(name, secret)))[0] == 401


async def test_an_administrator_of_a_record_may_what_it_says_of_them_and_of_their_groups(running: Node) -> None:
    """Somebody who is no server administrator, named by HS_ADMIN or a member of a group that is."""
    me = basic(f"300:{PREFIX}/ME", "mine")
    assert (await call(running, "PUT", f"{PATH}/ME", [key("mine")]))[0] in {200, 201}
    member = {"format": "vlist", "value": [{"handle": f"{PREFIX}/ME", "index": 300}]}
    group = {"format": "vlist", "value": [{"handle": f"{PREFIX}/GROUP", "index": 201}]}
    groups = [{"index": n, "type": "HS_VLIST", "data": data} for n, data in ((200, group), (201, member))]
    assert (await call(running, "PUT", f"{PATH}/GROUP", groups))[0] == 201
    assert (await call(running, "PUT", f"{PATH}/NEW", URL, who=me)) == (
        403,
        {"responseCode": 400, "handle": f"{PREFIX}/NEW"},
    )
    for n, named in enumerate((admin("000001110000", f"{PREFIX}/ME"), admin("000001110000", f"{PREFIX}/GROUP", 200))):
        one = f"{PATH}/R{n}"
        assert (await call(running, "PUT", one, [*URL, named]))[0] == 201
        assert (await call(running, "PUT", f"{one}?index=various", [{**URL[0], "data": "changed"}], who=me))[0] == 200
        assert (await call(running, "PUT", f"{one}?index=2", [{**URL[0], "index": 2}], who=me))[0] == 201
        assert (await call(running, "DELETE", f"{one}?index=2", who=me))[0] == 200
        assert (await call(running, "DELETE", one, who=me))[1]["responseCode"] == 400
        assert (await call(running, "DELETE", f"{one}?index=100", who=me))[1]["responseCode"] == 400
        assert (await call(running, "PUT", one, URL, who=me))[1]["responseCode"] == 400


async def test_what_is_not_public_is_told_to_whom_the_record_says(running: Node) -> None:
    hidden = {"index": 2, "type": "PIN", "data": "7", "permissions": "1100"}
    locked = {"index": 3, "type": "PIN", "data": "8", "permissions": "0100"}
    assert (await call(running, "PUT", f"{PATH}/H", [*URL, hidden, admin("010000000000", f"{PREFIX}/ME")]))[0] == 201
    assert (await call(running, "PUT", f"{PATH}/ME", [key("mine")]))[0] in {200, 201}
    assert (await call(running, "PUT", f"{PATH}/OTHER", [key("else")]))[0] == 201

    async def told(query: str, who: dict[str, str]) -> tuple[int, Any]:
        status, answer = await call(running, "GET", f"{PATH}/H{query}", who=who)
        values = answer.get("values") if answer else None
        return status, [v["index"] for v in values] if values else answer and answer["responseCode"]

    me, stranger = basic(f"300:{PREFIX}/ME", "mine"), basic(f"300:{PREFIX}/OTHER", "else")
    assert await told("", {}) == (200, [1, 100])
    assert await told("", me) == (200, [1, 2, 100])
    assert await told("?index=2&type=URL", me) == (200, [1, 2])
    assert await told("?type=NOPE", me) == (200, 200)
    assert await told("?publicOnly", me) == (200, [1, 100])
    assert await told("", stranger) == (403, 400)
    assert await told("?index=1", stranger) == (200, [1])
    assert (await told("", basic(secret="wrong")))[0] == 401
    assert (await call(running, "PUT", f"{PATH}/H?index=3", [locked]))[0] == 201
    assert await told("", me) == (403, 401), "nobody may read it"
    await running.create("BAG-1")
    assert (await call(running, "GET", f"{PATH}/BAG-1"))[1]["values"], "one with a template is told as to everybody"
    assert (await call(running, "GET", f"{PATH}/NOTHING"))[0] == 404


async def test_a_token_writes_where_its_account_may_move_records_in(running: Node) -> None:
    for who, status in (("leather", 201), ("stranger", 403), ("program", 403)):
        assert (await running.call("PUT", f"{PATH}/T", URL, who=who))[0] == status
    assert (await running.call("DELETE", f"{PATH}/T", who="stranger"))[1]["responseCode"] == 401
    assert (await running.call("DELETE", f"{PATH}/T", who="leather"))[0] == 200
    await running.create("BAG")
    status, answer = await running.call("PUT", f"{PATH}/BAG", URL, who="leather")
    assert (status, answer["responseCode"]) == (400, 202), "a record with a template stays one"
    assert (await running.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}, who="admin"))[0] == 200
    assert (await call(running, "PUT", f"{PATH}/T", URL))[0] == 401, "its keys prove nothing either"
    for method, path in (("PUT", f"{PATH}/T"), ("DELETE", f"{PATH}/BAG"), ("DELETE", f"{PATH}/NOTHING")):
        assert (await running.call(method, path, URL))[1]["responseCode"] == 301
    assert (await running.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "enabled"}, who="admin"))[0] == 200


# -- handles of prefixes


HANDLE, NODE_HANDLE = f"/api/handles/0.NA/{PREFIX}", "/api/handles/0.NA/88.999"


def types(answer: Any) -> list[tuple[int, str]]:
    return [(value["index"], value["type"]) for value in answer["values"]]


async def test_every_prefix_here_has_a_handle_that_says_where_to_ask(running: Node) -> None:
    for path in (HANDLE, HANDLE.replace("0.NA", "0.na"), NODE_HANDLE):
        status, answer = await call(running, "GET", path, who={})
        assert (status, types(answer)) == (200, [(500, "HS_SITE")])
        (server,) = answer["values"][0]["data"]["value"]["servers"]
        ways = [(way["protocol"], way["port"]) for way in server["interfaces"]]
        assert (server["address"], ways) == ("127.0.0.1", [("TCP", 2641), ("UDP", 2641), ("HTTP", 8000)])
    for nobody in ("0.NA/88.999.7", "0.NA/0.NA", "0.NA/88", "0.NA/0.na"):
        status, answer = await call(running, "GET", f"/api/handles/{nobody}", who={})
        assert (status, answer["responseCode"]) == (400, 301), nobody
    status, answer = await running.call("POST", "/api/v1/resolve", {"identifiers": [f"0.NA/{PREFIX}"]}, who="leather")
    assert [row["values"][0]["type"] for row in answer["results"]] == ["HS_SITE"]


async def test_whoever_administers_a_prefix_deposits_keys_that_may(running: Node) -> None:
    other = "300:0.NA/88.999.2001"
    theirs = "/api/handles/0.NA/88.999.2001"
    deposited = [key("of the prefix"), admin("011111111011", "0.NA/88.999.2001")]
    assert (await running.call("PUT", theirs, deposited))[1]["responseCode"] == 401, "another enterprise's"
    assert (await running.call("PUT", theirs, deposited, who="visitor"))[1]["responseCode"] == 401
    assert (await running.call("PUT", NODE_HANDLE, deposited, who="stranger"))[1]["responseCode"] == 401
    owner = basic(other, "of the prefix")
    assert (await call(running, "PUT", "/api/handles/88.999.2001/BY-KEY", URL, owner))[0] == 401, "there is no key yet"
    assert (await running.call("PUT", theirs, deposited, who="stranger"))[0] == 201
    _, answer = await call(running, "GET", theirs, who={})
    assert types(answer) == [(100, "HS_ADMIN"), (500, "HS_SITE")], "and not the key"
    _, answer = await call(running, "GET", theirs, None, owner)
    assert types(answer) == [(100, "HS_ADMIN"), (300, "HS_SECKEY"), (500, "HS_SITE")]

    assert (await call(running, "PUT", "/api/handles/88.999.2001/BY-KEY", URL, owner))[0] == 201
    assert (await call(running, "PUT", f"{PATH}/NOT-THEIRS", URL, owner))[1]["responseCode"] == 400
    _, answer = await call(running, "GET", "/api/handles?prefix=88.999.2001", None, owner)
    assert answer["responseCode"] == 400, "LIST_HANDLES was not given"
    more = [admin("111111111111", "0.NA/88.999.2001")]
    assert (await call(running, "PUT", f"{theirs}?index=100", more, owner))[0] == 200
    _, answer = await call(running, "GET", "/api/handles?prefix=88.999.2001", None, owner)
    assert answer["handles"] == ["88.999.2001/BY-KEY"]
    site = {"index": 7, "type": "HS_SITE", "data": {"format": "base64", "value": "AAE="}}
    assert (await call(running, "PUT", f"{theirs}?index=7", site, owner))[0] == 201
    _, answer = await call(running, "GET", theirs, who={})
    assert types(answer) == [(7, "HS_SITE"), (100, "HS_ADMIN")], "it says itself where to ask"
    assert (await call(running, "DELETE", theirs, None, owner))[0] == 200
    assert types((await call(running, "GET", theirs, who={}))[1]) == [(500, "HS_SITE")]
    assert (await call(running, "PUT", f"{theirs}?index=7", site, owner))[0] == 401, "its key is gone with it"


async def test_who_may_add_prefixes_says_the_handle_above(running: Node) -> None:
    """ADD_NA, and nothing else, at the node's own."""
    deposited = [key("of the node"), admin("000000000100", "0.NA/88.999")]
    assert (await running.call("PUT", NODE_HANDLE, deposited, who="leather"))[1]["responseCode"] == 401
    assert (await running.call("PUT", NODE_HANDLE, deposited, who="admin"))[0] == 201
    above = basic("300:0.NA/88.999", "of the node")
    assert (await call(running, "PUT", HANDLE, URL, above))[0] == 201
    assert (await call(running, "PUT", f"{HANDLE}?index=2", [URL[0] | {"index": 2}], above))[1]["responseCode"] == 400
    assert (await call(running, "PUT", f"{PATH}/NOT-SO", URL, above))[1]["responseCode"] == 400
    assert (await call(running, "DELETE", HANDLE))[0] == 200
    add = f"{HANDLE}?index=1&overwrite=false"
    assert (await call(running, "PUT", add, URL))[0] == 201, "a handle that says nothing of its own is there, too"
    for path in (HANDLE, NODE_HANDLE):
        assert (await call(running, "DELETE", path))[0] == 200
    assert (await call(running, "DELETE", HANDLE))[0] == 404


async def test_handles_of_prefixes_are_written_by_the_rules_of_the_handle_system_alone(running: Node) -> None:
    row = {"handle": f"0.NA/{PREFIX}", "templateVersion": "bag", "value": []}
    moved = {"handle": f"0.NA/{PREFIX}", "values": URL}
    for path, body in (("/identityv2/data", row), ("/api/v1/move", [moved])):
        status, answer = await running.call("POST", path, body, who="admin")
        assert status == 404 or "不属于本节点" in str(answer), answer
    status, _ = await running.call("PUT", "/api/v1/prefixes/0.NA", {"state": "stopped"}, who="admin")
    assert status == 404
    assert await running.house.steward.set_prefix_state("0.NA", PrefixState.STOPPED) is None
    assert (await call(running, "GET", "/api/handles?prefix=0.NA/0.NA"))[1]["responseCode"] == 301
    assert types((await call(running, "GET", HANDLE, who={}))[1]) == [(500, "HS_SITE")]


async def test_what_stops_is_told_by_its_handle_at_once(running: Node) -> None:
    assert (await running.call("PUT", HANDLE, [key("k", 301)]))[0] == 201
    for _ in range(2):
        assert (await call(running, "GET", HANDLE, who={}))[0] == 200
    assert (await running.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "stopped"}, who="admin"))[0] == 200
    status, answer = await call(running, "GET", HANDLE, who={})
    assert (status, answer["responseCode"]) == (400, 301)
    assert (await running.call("PUT", HANDLE, URL))[1]["responseCode"] == 301
    keeper = basic(f"301:0.NA/{PREFIX}", "k")
    assert (await call(running, "GET", NODE_HANDLE, None, keeper))[0] == 401, "the key is nothing meanwhile"
    assert (await running.call("PUT", f"/api/v1/prefixes/{PREFIX}", {"state": "enabled"}, who="admin"))[0] == 200
    assert types((await call(running, "GET", HANDLE, who={}))[1]) == [(500, "HS_SITE")]
    assert (await running.call("DELETE", HANDLE))[0] == 200


# -- lists


async def test_prefixes_are_listed_to_server_administrators(running: Node) -> None:
    names = ["0.NA/88.999.1001", "0.NA/88.999.2001"]
    told = {"responseCode": 1, "totalCount": "2", "prefixes": names}
    assert await call(running, "GET", "/api/prefixes") == (200, told)
    assert await running.call("GET", "/api/prefixes", who="admin") == (200, told)
    assert await call(running, "GET", "/api/prefixes", who={}) == (403, {"responseCode": 402})
    assert await running.call("GET", "/api/prefixes") == (403, {"responseCode": 401})
    await call(running, "PUT", f"{PATH}/ME", [key("mine")])
    me = basic(f"300:{PREFIX}/ME", "mine")
    assert await call(running, "GET", "/api/prefixes", who=me) == (403, {"responseCode": 400})


async def test_identifiers_are_listed_page_by_page(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    _, before = await call(running, "GET", f"/api/handles?prefix={PREFIX}")
    for n in range(3):
        await call(running, "PUT", f"{PATH}/!ITEM-{n}", URL)
    await call(running, "DELETE", f"{PATH}/!ITEM-1")
    names = [f"{PREFIX}/!ITEM-0", f"{PREFIX}/!ITEM-2", *before["handles"]]
    assert names == sorted(names)
    assert len(before["handles"]) == int(before["totalCount"])
    told = {"responseCode": 1, "prefix": PREFIX, "totalCount": str(len(names))}
    for query, more in (
        ("", {"handles": names}),
        ("&page=0&pageSize=2", {"page": 0, "pageSize": 2, "handles": names[:2]}),
        ("&page=1&pageSize=2", {"page": 1, "pageSize": 2, "handles": names[2:4]}),
        ("&page=99&pageSize=2", {"page": 99, "pageSize": 2, "handles": []}),
        ("&page=0&pageSize=0", {"page": 0, "pageSize": 0, "handles": []}),
    ):
        assert await call(running, "GET", f"/api/handles?prefix={PREFIX}{query}") == (200, told | more)
    assert (await call(running, "GET", f"/api/handles?prefix=0.NA/{PREFIX}"))[1]["prefix"] == f"0.NA/{PREFIX}"
    for query in ("", f"?prefix={PREFIX}&page=x", f"?prefix={PREFIX}&pageSize=-1", f"?prefix={PREFIX}&pageSize=99999"):
        assert (await call(running, "GET", f"/api/handles{query}"))[1]["responseCode"] == 4
    for prefix in ("77.1", "%00"):
        assert (await call(running, "GET", f"/api/handles?prefix={prefix}"))[1]["responseCode"] == 301
    await call(running, "PUT", f"{PATH}/ME", [key("mine")])
    me = basic(f"300:{PREFIX}/ME", "mine")
    assert (await call(running, "GET", f"/api/handles?prefix={PREFIX}", who=me))[1]["responseCode"] == 400
    monkeypatch.setattr(handle_writes, "LISTED_MOST", 2)
    assert (await call(running, "GET", f"/api/handles?prefix={PREFIX}"))[1]["responseCode"] == 4

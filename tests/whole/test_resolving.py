"""Resolving over real HTTP by every face: statuses, codes, spelling, choice of values, streams – and nothing private.

Requests are sent on connections of their own, so both workers answer.
"""

import http.client
import itertools
import json
import socket
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from registry.industries import templates_for
from tests.whole.calls import Caller

API = "/api/handles"
PREFIX = "88.999.1001"
SAMPLE = f"{PREFIX}/BAG-2026-000017"
NDJSON = "application/x-ndjson"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def anyone(world: Any) -> Caller:
    return Caller(world.http)


@pytest.fixture(scope="session")
def mine(world: Any) -> Caller:
    known = world.ready["enterprises"][0]
    return Caller(world.http).signed(known["access_key"], known["secret_key"])


@pytest.fixture(scope="session")
def free(mine: Caller) -> str:
    """A template that admits any suffix, with attributes of every class of sensitivity."""
    metadata = {"type": "string", "minLength": 0, "maxLength": 4096}
    items = [
        {"name": name, "idType": name, "idIndex": 2000 + n, "class": access, "metadata": metadata}
        for n, (name, access) in enumerate(
            (("open", "public"), ("URL.page", "public"), ("shared", "partners"), ("secret", "internal"))
        )
    ]
    body = {"prefix": PREFIX, "version": "any", "type": 2, "items": items} | dict(
        zip(
            ("industryCategory", "industrySpecific", "industryTrade", "industrySubclass"),
            ("C", "19", "192", "1922"),
            strict=True,
        )
    )
    answer = mine.call("POST", "/snms/api/v5/template", body).json
    assert answer["message"] == "success", answer
    return "any"


Register = Callable[..., str]


@pytest.fixture
def register(mine: Caller, free: str) -> Register:
    """Registers an identifier with these texts by attribute; its handle."""

    def made(suffix: str = "", **texts: str) -> str:
        handle = f"{PREFIX}/{suffix or f'R-{next(_numbers)}'}"
        order = ("open", "URL_page", "shared", "secret")
        value = [
            {"index": 2000 + order.index(name), "type": name.replace("_", "."), "data": {"value": text}}
            for name, text in (texts or {"open": "x"}).items()
        ]
        answer = mine.call("POST", "/identityv2/data", {"handle": handle, "templateVersion": free, "value": value}).json
        assert answer["message"] == "success", answer
        return handle

    return made


def types(answer: Any) -> list[str]:
    return [value["type"] for value in answer["values"]]


# -- GET /api/handles/…


def test_an_answer_is_laid_out_as_deployed_servers_do(anyone: Caller) -> None:
    reply = anyone.call("GET", f"{API}/{SAMPLE}")
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json;charset=utf-8")
    answer = reply.json
    assert list(answer) == ["responseCode", "handle", "values"]
    assert (answer["responseCode"], answer["handle"]) == (1, SAMPLE)
    assert types(answer)[:2] == ["TEMPLATE_ID", "TEMPLATE"]
    assert [value["index"] for value in answer["values"]] == sorted(value["index"] for value in answer["values"])
    first = answer["values"][2]
    assert list(first) == ["index", "type", "data", "ttl", "timestamp"]
    assert (first["index"], first["ttl"], first["data"]["format"]) == (2000, 86400, "string")
    assert reply.headers["cache-control"] == "public, max-age=60"
    assert reply.headers["server"] == "idnode"


def test_index_and_type_choose_and_are_ored(anyone: Caller, register: Register) -> None:
    handle = register(open="x", URL_page="https://example.com/1")
    for query, wanted in (
        ("index=2000", ["open"]),
        ("index=2000&index=2001", ["open", "URL.page"]),
        ("type=open", ["open"]),
        ("type=OPEN", ["open"]),
        ("type=URL", []),
        ("type=URL.", ["URL.page"]),
        ("type=url.PAGE", ["URL.page"]),
        ("index=2000&type=URL.", ["open", "URL.page"]),
        ("index=1000", ["TEMPLATE_ID"]),
        ("index=9", []),
        ("type=", []),
        ("index=-1", []),
    ):
        reply = anyone.call("GET", f"{API}/{handle}?{query}")
        assert (reply.status, types(reply.json)) == (200, wanted), query
        assert reply.json["responseCode"] == (1 if wanted else 200)
        if not wanted:
            assert list(reply.json) == ["responseCode", "values", "handle"]


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        (f"{PREFIX}/never", 404, 100),
        ("88.999.9999/x", 400, 301),
        ("77.1/x", 400, 301),
        ("0.NA/99.9", 400, 301),
        ("", 400, 102),
        ("nonsense", 400, 102),
        (f"{PREFIX}/", 400, 102),
        ("/x", 400, 102),
        (f"{PREFIX}/%ff", 400, 102),
        (f"{PREFIX}/a%00b", 400, 102),
        (f"{PREFIX}/%0a", 400, 102),
        (f"{PREFIX}/%20x", 400, 102),
        (f"{PREFIX}/" + "x" * 244, 400, 102),
        (f"{PREFIX}/" + "x" * 7000, 400, 102),
        (f"{SAMPLE}?index=x", 400, 4),
        (f"{SAMPLE}?index=", 400, 4),
        (f"{SAMPLE}?index=2147483648", 400, 4),
        (f"{SAMPLE}?index=" + "9" * 5000, 400, 4),
    ],
)
def test_statuses_and_codes(anyone: Caller, path: str, status: int, code: int) -> None:
    reply = anyone.call("GET", f"{API}/{path}")
    assert (reply.status, reply.json["responseCode"]) == (status, code)
    assert reply.headers["cache-control"] == "private, no-store"


def test_words_that_deployed_servers_say(anyone: Caller) -> None:
    assert anyone.call("GET", f"{API}/99.9/x").body == (
        b'{"responseCode":301,"message":"That prefix doesn\'t live here","handle":"99.9/x"}'
    )
    assert anyone.call("GET", f"{API}/").body == b'{"responseCode":102,"message":"Empty handle invalid"}'
    assert anyone.call("GET", "/api/foo").body == (
        b'{"responseCode":4,"message":"Unknown HTTP API endpoint GET /api/foo"}'
    )
    assert anyone.call("GET", "/api/foo").status == 404
    assert anyone.call("POST", f"{API}/{SAMPLE}").body == anyone.call("GET", f"{API}/{SAMPLE}").body
    assert anyone.call("PATCH", f"{API}/{SAMPLE}").status == 501
    for accept in ("*/*", "text/html"):
        assert anyone.call("GET", f"/{PREFIX}/%0a", Accept=accept).status == 400


@pytest.mark.parametrize(
    ("suffix", "spelt"),
    [
        ("皮料/第1批", "%E7%9A%AE%E6%96%99/%E7%AC%AC1%E6%89%B9"),
        ("a b+c%d&e?f#g", "a%20b+c%25d%26e%3Ff%23g"),
        ("..", "%2E%2E"),
        ("a/../b", "a/../b"),
        ("a//b", "a%2F%2Fb"),
        ("x:y;z=1,2'()*!", "x:y;z=1,2'()*!"),
        ("😀", "%F0%9F%98%80"),
        ("%41", "%2541"),
        ('"<>\\^`{|}', "%22%3C%3E%5C%5E%60%7B%7C%7D"),
    ],
)
def test_paths_are_percent_decoded_once_and_no_further(
    anyone: Caller, register: Register, suffix: str, spelt: str
) -> None:
    handle = register(suffix, open=suffix)
    for path in (f"{PREFIX}/{spelt}", f"{PREFIX}%2F{spelt}", quote(handle, safe="")):
        reply = anyone.call("GET", f"{API}/{path}")
        assert (reply.status, reply.json["handle"]) == (200, handle), path
        page = anyone.call("GET", f"/{path}", Accept="application/json")
        assert (page.status, page.json["handle"]) == (200, handle), path


def test_an_answer_echoes_the_spelling_asked_for(anyone: Caller) -> None:
    for path, handle in (("0.na/88.1", "0.na/88.1"), ("0.NA/88.1", "0.NA/88.1"), ("ab.c/x", "ab.c/x")):
        assert anyone.call("GET", f"{API}/{path}").json["handle"] == handle
    assert anyone.call("GET", f"{API}/{SAMPLE.lower()}").status == 404, "the suffix is case-sensitive"


def test_the_absolute_form_of_proxies_is_understood(world: Any) -> None:
    address = urlsplit(world.http)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    connection.putrequest("GET", f"{world.http}{API}/{PREFIX}%2FBAG-2026-000017")
    connection.endheaders()
    assert json.loads(connection.getresponse().read())["handle"] == SAMPLE
    connection.close()


def test_pretty_lays_out_the_same_answer(anyone: Caller) -> None:
    plain = anyone.call("GET", f"{API}/{SAMPLE}")
    for query in ("pretty", "pretty=", "pretty=true", "pretty=1"):
        reply = anyone.call("GET", f"{API}/{SAMPLE}?{query}")
        assert reply.body.startswith(b'{\n  "responseCode": 1,\n')
        assert reply.json == plain.json
    assert anyone.call("GET", f"{API}/{SAMPLE}?pretty=false").body == plain.body
    assert anyone.call("GET", f"{API}/{PREFIX}/never?pretty").body.startswith(b"{\n")


def test_head_is_get_without_the_body(anyone: Caller) -> None:
    for path in (f"{API}/{SAMPLE}", f"{API}/{PREFIX}/never", f"{API}/77.1/x"):
        head, get = anyone.call("HEAD", path), anyone.call("GET", path)
        assert (head.status, head.body) == (get.status, b"")
        assert head.headers["content-length"] == str(len(get.body))
        assert head.headers.get("etag") == get.headers.get("etag")


def test_a_page_of_another_origin_may_read_the_answer(anyone: Caller) -> None:
    """Whether it says where it stands or not, so that a cache may keep one answer for all."""
    for path in (f"{API}/{SAMPLE}", f"{API}/{PREFIX}/never", f"{API}/nonsense", "/api/nothing", f"/{SAMPLE}"):
        for origin in ({}, {"Origin": "https://shop.example"}):
            reply = anyone.call("GET", path, Accept="application/json", **origin)
            assert reply.headers["access-control-allow-origin"] == "*"
            assert {"Content-Length", "ETag", "Retry-After"} == set(
                reply.headers["access-control-expose-headers"].split(", ")
            )
            assert "access-control-allow-credentials" not in reply.headers
            assert "Origin" not in reply.headers.get("vary", "")
    assert "access-control-allow-origin" not in anyone.call("GET", "/identityv2/data").headers
    assert "access-control-allow-origin" not in anyone.call("GET", "/api/v1/batches").headers


@pytest.mark.parametrize("path", [f"{API}/{SAMPLE}", "/api/v1/resolve"])
def test_a_browser_may_ask_before_it_asks(anyone: Caller, path: str) -> None:
    asks = {"Access_Control_Request_Method": "POST", "Access_Control_Request_Headers": "content-type"}
    reply = anyone.call("OPTIONS", path, Origin="https://shop.example", **asks)
    assert (reply.status, reply.body) == (200, b"")
    assert reply.headers["access-control-allow-origin"] == "*"
    assert reply.headers["access-control-allow-methods"] == "GET,POST,HEAD,PUT,DELETE"
    assert reply.headers["access-control-allow-headers"] == (
        "X-Requested-With,Authorization,Origin,Accept,Content-Type"
    )
    assert reply.headers["access-control-max-age"] == "86400"


def test_an_entity_tag_saves_the_answer_until_it_changes(anyone: Caller, mine: Caller, register: Register) -> None:
    handle = register(open="x")
    reply = anyone.call("GET", f"{API}/{handle}")
    tag = reply.headers["etag"]
    again = anyone.call("GET", f"{API}/{handle}", If_None_Match=tag)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", tag)
    assert again.headers["access-control-allow-origin"] == "*"
    value = [{"index": 2000, "type": "open", "data": {"value": "y"}}]
    row = {"handle": handle, "templateVersion": "any", "value": value}
    assert mine.call("PUT", "/identityv2/data", row).json["message"] == "success"
    for _ in range(6):
        changed = anyone.call("GET", f"{API}/{handle}", If_None_Match=tag)
        assert (changed.status, changed.headers["etag"] == tag) == (200, False)


# -- GET /{identifier}


def test_whoever_asks_for_json_gets_the_same_as_from_the_api(anyone: Caller) -> None:
    api = anyone.call("GET", f"{API}/{SAMPLE}")
    for accept in ("application/json", "*/*", "application/json, text/html;q=0.5"):
        reply = anyone.call("GET", f"/{SAMPLE}", Accept=accept)
        assert (reply.status, reply.body) == (200, api.body)
    assert anyone.call("GET", f"/{SAMPLE}?index=2000", Accept="*/*").json["values"][0]["index"] == 2000
    page = anyone.call("GET", f"/{SAMPLE}", Accept="text/html")
    assert page.headers["content-type"].startswith("text/html")
    assert page.body.lstrip().lower().startswith(b"<!doctype html")


# -- POST /api/v1/resolve


def test_many_in_one_call_keep_their_order(anyone: Caller, register: Register) -> None:
    handles = [register(open=str(n)) for n in range(3)]
    asked = [handles[2], f"{PREFIX}/never", handles[0], "nonsense", handles[2], "77.1/x", handles[1], 7]
    reply = anyone.call("POST", "/api/v1/resolve", {"identifiers": asked})
    assert reply.status == 200
    results = reply.json["results"]
    assert [each["responseCode"] for each in results] == [1, 100, 1, 102, 1, 301, 1, 102]
    for each, handle in zip(results, asked, strict=True):
        if isinstance(handle, str):
            single = anyone.call("GET", f"{API}/{quote(handle)}")
            assert {k: v for k, v in single.json.items() if k != "handle"} == {
                k: v for k, v in each.items() if k != "handle"
            }
            assert each["handle"] == handle


def test_a_thousand_are_taken_and_one_more_is_not(anyone: Caller) -> None:
    asked = [f"{PREFIX}/never-{n}" for n in range(1000)]
    results = anyone.call("POST", "/api/v1/resolve", {"identifiers": asked}).json["results"]
    assert [each["handle"] for each in results] == asked
    reply = anyone.call("POST", "/api/v1/resolve", {"identifiers": [*asked, "x"]}, Accept_Language="en")
    assert reply.status == 400
    assert reply.json == {
        "error": {
            "field": "identifiers",
            "message": "at most 1000 identifiers a call; send more as application/x-ndjson",
        }
    }


def test_any_number_as_lines(anyone: Caller) -> None:
    asked = [SAMPLE if n % 10 == 0 else f"{PREFIX}/never-{n}" for n in range(5000)]
    body = "\n".join(map(json.dumps, asked)).encode()
    reply = anyone.call("POST", "/api/v1/resolve", body, Content_Type=NDJSON)
    assert (reply.status, reply.headers["content-type"]) == (200, NDJSON)
    answers = [json.loads(line) for line in reply.body.splitlines()]
    assert [each["handle"] for each in answers] == asked
    assert [each["responseCode"] for each in answers] == [1 if n % 10 == 0 else 100 for n in range(5000)]


def test_lines_are_answered_while_more_are_sent(world: Any) -> None:
    address = urlsplit(world.http)
    with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as sock:
        sock.sendall(
            f"POST /api/v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n".encode()
        )
        received = sock.makefile("rb")
        assert b" 200 " in received.readline()
        while received.readline().strip():
            continue
        for n in range(3):
            line = json.dumps(f"{PREFIX}/never-{n}").encode() + b"\n"
            half = len(line) // 2
            for piece in (line[:half], line[half:]):
                sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            size = int(received.readline(), 16)
            answer = json.loads(received.read(size))
            received.readline()
            assert answer == {"responseCode": 100, "handle": f"{PREFIX}/never-{n}"}
        sock.sendall(b"0\r\n\r\n")
        assert received.readline() == b"0\r\n"


def test_who_sends_without_reading_does_not_stop_the_others(world: Any, anyone: Caller) -> None:
    address = urlsplit(world.http)
    line = json.dumps(SAMPLE).encode() + b"\n"
    block = line * 2000
    ended = threading.Event()

    def flood() -> None:
        with socket.create_connection((address.hostname or "", address.port or 0), timeout=60) as sock:
            sock.sendall(
                f"POST /api/v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Type: {NDJSON}\r\n"
                "Transfer-Encoding: chunked\r\n\r\n".encode()
            )
            sock.settimeout(0.5)
            sent = 0
            try:
                while sent < 500 * len(block):
                    sock.sendall(b"%x\r\n%s\r\n" % (len(block), block))
                    sent += len(block)
            except TimeoutError:
                ended.set()

    thread = threading.Thread(target=flood)
    thread.start()
    while thread.is_alive():
        began = time.monotonic()
        assert anyone.call("GET", f"{API}/{SAMPLE}").status == 200
        assert time.monotonic() - began < 30
    thread.join()
    assert ended.is_set(), "the node stops reading from who does not read from it"


# -- nothing private, whoever asks anonymously


def faces(handle: str) -> list[tuple[str, str, Any, dict[str, str]]]:
    spelt = quote(handle)
    return [
        ("GET", f"{API}/{spelt}", None, {}),
        ("GET", f"{API}/{spelt}?pretty", None, {}),
        ("GET", f"{API}/{spelt}?index=2002&index=2003&index=2000", None, {}),
        ("GET", f"{API}/{spelt}?type=secret&type=shared&type=open&auth&publicOnly=false", None, {}),
        ("GET", f"/{spelt}", None, {"Accept": "application/json"}),
        ("GET", f"/{spelt}", None, {"Accept": "text/html"}),
        ("GET", f"/{spelt}?lang=en", None, {"Accept": "text/html"}),
        ("POST", "/api/v1/resolve", {"identifiers": [handle]}, {}),
        ("POST", "/api/v1/resolve", json.dumps(handle).encode(), {"Content_Type": NDJSON}),
    ]


def test_no_anonymous_face_shows_what_is_not_public(anyone: Caller, register: Register) -> None:
    handle = register(open="OPENMARK", shared="SHAREDMARK", secret="SECRETMARK")
    for method, path, body, headers in faces(handle):
        for _ in range(2):  # fetched, and kept
            reply = anyone.call(method, path, body, **headers)
            assert (reply.status, b"OPENMARK" in reply.body) == (200, True), path
            assert b"SHAREDMARK" not in reply.body, path
            assert b"SECRETMARK" not in reply.body, path


def test_nor_of_the_sample_world(anyone: Caller, mine: Caller) -> None:
    template = next(t for t in templates_for("leather", PREFIX) if t.version == "leather-handbag")
    private = {item.name for item in template.items if item.access != "public"}
    assert private
    owned = {v["type"] for v in mine.call("GET", f"/identityv2/data/detail?handle={SAMPLE}").json["data"]["value"]}
    assert private & owned, "the sample has something to hide"
    for method, path, body, headers in faces(SAMPLE):
        reply = anyone.call(method, path, body, **headers)
        for name in private & owned:
            assert f'"{name}"'.encode() not in reply.body, path


def test_without_a_token_nothing_of_the_owners_is_told(anyone: Caller) -> None:
    assert anyone.call("GET", f"/identityv2/data/detail?handle={SAMPLE}").json["status"] == -1
    for path in (f"/api/v1/history/{SAMPLE}", "/api/v1/batches"):
        assert anyone.call("GET", path).status == 401
    assert anyone.call("POST", "/api/v1/reconcile", []).status == 401

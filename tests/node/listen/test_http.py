"""The HTTP door: who is let in, and what trouble looks like on each face. Routes here only raise what is asked for."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientError, web
from aiohttp.test_utils import TestClient

from node.admission import Admission
from node.calls import CallsSpentError
from node.config import Config
from node.gather import BusyError
from node.listen import bodies, connection, http
from node.listen.bodies import body
from node.metrics import HTTP_INTERNAL_ERRORS, HTTP_REFUSED, HTTP_REQUESTS
from registry.errors import UnavailableError, UnknownOutcomeError
from tests.fakes.counting import Counting
from tests.fakes.door import Door

BUSY = {"status": -1, "message": "系统繁忙", "data": None}
SNMS = ("/identity/token", "/identityv2/data", "/snms/api/v5/template", "/snmsapi/identityv2/data")
OWN = "/api/v1/resolve"
HANDLE = "/api/handles/88.999.1001/A"
Client = TestClient[Any, Any]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def door(handler: Handler, counting: Counting | None = None, **settings: Any) -> AsyncIterator[Client]:
    """A door behind which every path leads to `handler`; what it counts is seen in `counting`."""
    config = Config(**settings)
    admission = Admission(config.requests, config.peer_rate, lambda: 0.0)
    meter = (counting or Counting()).meter
    app = http.application(SimpleNamespace(config=config, admission=admission, meter=meter))  # type: ignore[arg-type]
    app.router.add_route("*", "/{rest:.*}", handler)
    async with TestClient(Door(app)) as client:
        yield client


def raising(error: BaseException) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        raise error

    return handler


async def reading(request: web.Request) -> web.StreamResponse:
    return web.Response(body=str(len(await body(request))).encode())


async def told(client: Client, path: str, **more: Any) -> tuple[int, Any, Any]:
    async with client.post(path, **more) as response:
        return response.status, json.loads(await response.read()), response.headers


# -- what could not be carried out


@pytest.mark.parametrize("error", [BusyError(), UnavailableError("secret host name")])
async def test_busy_is_503_in_the_words_of_each_face(error: Exception) -> None:
    async with door(raising(error)) as client:
        for path in SNMS:
            status, answer, headers = await told(client, path, headers={"Accept-Language": "en"})
            assert (status, answer) == (503, BUSY)
            assert headers["Retry-After"] == "1"
        status, answer, headers = await told(client, OWN)
        assert (status, list(answer), headers["Retry-After"]) == (503, ["error"], "1")
        status, answer, headers = await told(client, HANDLE)
        assert (status, answer["responseCode"], headers["Retry-After"]) == (503, 3, "1")
        assert "secret" not in json.dumps(answer)


async def test_an_unknown_outcome_is_504_and_says_to_repeat() -> None:
    async with door(raising(UnknownOutcomeError("lost", 1))) as client:
        for path in SNMS:
            assert (await told(client, path))[:2] == (504, BUSY)
        status, answer, headers = await told(client, OWN)
        assert status == 504
        assert "repeat" in answer["error"]["message"]
        assert "Retry-After" not in headers


async def test_calls_that_are_used_up_are_told_in_the_words_of_each_face_until_when() -> None:
    async with door(raising(CallsSpentError(3600))) as client:
        for path in SNMS:
            status, answer, headers = await told(client, path, headers={"Accept-Language": "en"})
            assert (status, answer) == (200, {"status": -2, "message": "企业今日的调用次数已用完", "data": None})
            assert headers["Retry-After"] == "3600"
        status, answer, headers = await told(client, OWN)
        assert (status, list(answer), headers["Retry-After"]) == (429, ["error"], "3600")
        status, answer, headers = await told(client, HANDLE)
        assert (status, answer["responseCode"], headers["Retry-After"]) == (429, 603, "3600")


async def test_an_internal_error_tells_nothing_but_a_number_that_is_in_the_journal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with door(raising(ZeroDivisionError("secret detail"))) as client:
        answers = [await told(client, path) for path in (*SNMS, OWN, HANDLE)]
    journal = capsys.readouterr().err
    assert "secret detail" in journal
    for status, answer, _ in answers[: len(SNMS)]:
        assert (status, answer["status"], answer["data"]) == (200, -4, None)
        assert answer["message"].isascii() is False
        assert "Internal" not in answer["message"], "clients of this face are told in Chinese"
    assert answers[-2][0] == answers[-1][0] == 500
    assert answers[-1][1]["responseCode"] == 2
    for _, answer, _ in answers:
        text = json.dumps(answer, ensure_ascii=False)
        assert "secret" not in text
        assert "ZeroDivision" not in text
        marks = [word for word in journal.split() if word.startswith("request=")]
        assert any(mark.removeprefix("request=") in text for mark in marks)
    assert len({json.dumps(answer) for _, answer, _ in answers}) == len(answers), "each has a number of its own"


async def test_an_error_after_the_answer_has_begun_breaks_the_answer_off() -> None:
    async def halfway(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"half of ")
        raise ZeroDivisionError

    async with door(halfway) as client:
        response = await client.post(OWN)
        assert response.status == 200
        with pytest.raises(ClientError):
            await response.read()


# -- clients that leave


async def test_a_client_that_goes_away_in_the_middle_is_no_internal_error(capfd: pytest.CaptureFixture[str]) -> None:
    ended = asyncio.Event()

    async def noted(request: web.Request) -> web.StreamResponse:
        try:
            return await reading(request)
        finally:
            ended.set()

    async with door(noted) as client:
        _, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /identityv2/data HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        await writer.drain()
        writer.close()
        await ended.wait()
        assert (await told(client, OWN, data=b"x"))[0] == 200
    journal = "".join(capfd.readouterr())
    assert "client_left" in journal
    assert "internal_error" not in journal
    assert "Traceback" not in journal


# -- unknown paths and methods


async def test_what_is_not_there_is_an_envelope_for_clients_of_the_openapi() -> None:
    for error in (web.HTTPNotFound(), web.HTTPMethodNotAllowed("PATCH", ["GET"])):
        async with door(raising(error)) as client:
            for path in SNMS:
                status, answer, _ = await told(client, path)
                assert (status, answer["status"], answer["data"]) == (200, -2, None)
                assert f"POST {path}" in answer["message"]
            status, answer, _ = await told(client, OWN)
            assert (status, f"POST {OWN}" in answer["error"]["message"]) == (error.status, True)
            status, answer, _ = await told(client, HANDLE)
            assert (status, answer["responseCode"]) == (error.status, 4)
            status, answer, headers = await told(client, "/static/x")
            assert (status, answer["responseCode"]) == (error.status, 4)
            assert headers.get("Allow") == error.headers.get("Allow"), "RFC 9110 §15.5.6 wants it with 405"


# -- admission


async def test_more_than_may_be_in_hand_is_503_and_the_next_one_is_served() -> None:
    gate, inside = asyncio.Event(), asyncio.Event()
    count = 0

    async def waiting(request: web.Request) -> web.StreamResponse:
        nonlocal count
        count += 1
        if count == 8:
            inside.set()
        await gate.wait()
        return http.encoded({})

    async with door(waiting, requests=8) as client:
        held = [asyncio.create_task(told(client, OWN)) for _ in range(8)]
        await inside.wait()
        status, answer, headers = await told(client, SNMS[1])
        assert (status, answer, headers["Retry-After"]) == (503, BUSY, "1")
        gate.set()
        assert {status for status, _, _ in await asyncio.gather(*held)} == {200}
        assert (await told(client, SNMS[1]))[0] == 200


async def test_what_ends_badly_frees_its_place_too() -> None:
    async with door(raising(ZeroDivisionError()), requests=8) as client:
        assert {(await told(client, HANDLE))[0] for _ in range(20)} == {500}


async def test_who_asks_too_much_is_429_in_the_words_of_each_face() -> None:
    async def fine(request: web.Request) -> web.StreamResponse:
        return http.encoded({})

    async with door(fine, peer_rate=1) as client:
        assert [(await told(client, OWN))[0] for _ in range(3)] == [200, 200, 429]
        status, answer, headers = await told(client, SNMS[0])
        assert (status, answer, headers["Retry-After"]) == (429, BUSY, "1")
        status, answer, headers = await told(client, HANDLE)
        assert (status, answer["responseCode"], headers["Retry-After"]) == (429, 3, "1")


async def who(request: web.Request) -> web.StreamResponse:
    return web.json_response(http.peer(request))


async def test_the_peer_is_whom_the_socket_says() -> None:
    for proxies in ("", "127.0.0.2, 10.0.0.0/8"):
        async with door(who, trusted_proxies=proxies) as client:
            headers = {"X-Forwarded-For": "192.0.2.7", "Forwarded": "for=192.0.2.7"}
            assert (await told(client, OWN, headers=headers))[1] == "127.0.0.1"


async def test_the_peer_is_whom_a_trusted_proxy_speaks_for() -> None:
    async with door(who, trusted_proxies="127.0.0.1, 10.0.0.0/8") as client:
        headers = [("X-Forwarded-For", "198.51.100.66"), ("X-Forwarded-For", "[::ffff:192.0.2.7]:99, 10.0.0.1")]
        assert (await told(client, OWN, headers=headers))[1] == "192.0.2.7"
        assert (await told(client, OWN))[1] == "127.0.0.1"


async def test_each_peer_behind_a_trusted_proxy_has_a_bucket_of_its_own() -> None:
    async def fine(request: web.Request) -> web.StreamResponse:
        return http.encoded({})

    async with door(fine, peer_rate=1, trusted_proxies="127.0.0.1") as client:

        async def asked(peer: str) -> int:
            return (await told(client, OWN, headers={"X-Forwarded-For": f"198.51.100.66, {peer}"}))[0]

        assert [await asked("192.0.2.7") for _ in range(3)] == [200, 200, 429]
        assert [await asked("192.0.2.8") for _ in range(3)] == [200, 200, 429]


# -- what is counted


async def test_requests_are_counted_by_face_and_class_of_status() -> None:
    async def as_asked(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/raise"):
            raise web.HTTPSeeOther("/elsewhere")
        return web.Response(status=int(request.query.get("status", "200")))

    counting = Counting()
    async with door(as_asked, counting) as client:
        for path in (f"{OWN}?status=404", HANDLE, HANDLE, SNMS[0], f"{SNMS[3]}?status=503", "/88.999.1001/A", "/raise"):
            async with client.get(path, allow_redirects=False):
                continue
    assert counting.told(HTTP_REQUESTS) == {
        ("own", "4xx"): 1,
        ("handle", "2xx"): 2,
        ("snms", "2xx"): 1,
        ("snms", "5xx"): 1,
        ("page", "2xx"): 1,
        ("page", "3xx"): 1,
    }


async def test_what_is_turned_away_or_breaks_is_counted_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    counting = Counting()
    async with door(reading, counting, body_bytes=65_536) as client:
        await told(client, OWN, data=b"x" * 65_537)
        monkeypatch.setattr(bodies, "BODY_SECONDS", 0.01)
        monkeypatch.setattr(connection, "LINGER_SECONDS", 0.01)
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(b"POST /api/v1/resolve HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n")
        assert b" 408 " in await reader.readline()
        writer.close()
    async with door(raising(ZeroDivisionError()), counting) as client:
        await told(client, SNMS[0])
    async with door(reading, counting, peer_rate=1) as client:
        for _ in range(4):
            await told(client, OWN)
    assert counting.told(HTTP_REFUSED) == {("body_bytes",): 1, ("body_slow",): 1, ("rate",): 2}
    assert counting.told(HTTP_INTERNAL_ERRORS) == {("snms",): 1}
    assert counting.told(HTTP_REQUESTS)["own", "4xx"] == 4, "what is turned away is answered, and counted, too"


# -- every answer


async def test_a_page_of_any_origin_may_read_what_anybody_may_read_and_why_not() -> None:
    async with door(raising(BusyError())) as client:
        for path in (OWN, HANDLE, "/88.999.1001/A", "/"):
            assert (await told(client, path))[2]["Access-Control-Allow-Origin"] == "*", path
        for path in (*SNMS, "/api/v1/resolves", "/api/v1/batches"):
            assert "Access-Control-Allow-Origin" not in (await told(client, path))[2], path


async def test_no_answer_names_a_version_or_lets_itself_be_kept_unasked() -> None:
    async def plain(request: web.Request) -> web.StreamResponse:
        return http.encoded({}) if request.path == OWN else web.Response(headers={"Cache-Control": "public, max-age=9"})

    async with door(plain) as client:
        async with client.get(OWN) as response:
            assert response.headers["Server"] == "idnode"
            assert response.headers["Cache-Control"] == "private, no-store"
            assert response.headers["Content-Type"] == "application/json;charset=utf-8"
        async with client.get("/x") as response:
            assert response.headers["Cache-Control"] == "public, max-age=9"

"""Bodies at a real door: too large, too slow, compressed well or badly, and many at once. Each face has its words."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient

from node.admission import Admission
from node.config import Config
from node.listen import bodies, connection, http
from node.listen.bodies import BODIES, PIECE_OCTETS, RECEIVED_BODIES, STRANGERS_SHARE
from tests.fakes.counting import Counting
from tests.fakes.door import Door
from tests.waiting import PATIENCE, until

BUSY = {"status": -1, "message": "系统繁忙", "data": None}
SNMS = "/identityv2/data"
OWN = "/api/v1/reconcile"
HANDLE = "/api/handles/88.999.1001/A"
STRANGER = "/identity/token"
MOST, STRANGERS_MOST = 65_536, 8192
Client = TestClient[Any, Any]


@pytest.fixture(autouse=True)
def _short_linger(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LINGER_SECONDS", 0.05)


async def measure(request: web.Request) -> web.StreamResponse:
    """Says how many octets came."""
    if request.path == STRANGER:
        body = await request.app[BODIES].of_stranger(request, STRANGERS_MOST)
    elif request.path == "/pieces":
        sizes = [len(piece) async for piece in request.app[BODIES].pieces(request)]
        return http.encoded(sizes)
    else:
        body = await bodies.body(request)
    return http.encoded(len(body))


@asynccontextmanager
async def door(**settings: Any) -> AsyncIterator[tuple[Client, Admission]]:
    config = Config(**{"body_bytes": MOST} | settings)
    admission = Admission(config.requests, 0, lambda: 0.0)
    app = http.application(SimpleNamespace(config=config, admission=admission, meter=Counting().meter))  # type: ignore[arg-type]
    app.router.add_route("*", "/{rest:.*}", measure)
    async with TestClient(Door(app)) as client:
        yield client, admission


def begun(client: Client) -> int:
    """How many requests have come in."""
    assert isinstance(client.server, Door)
    return client.server.begun


async def told(client: Client, path: str, data: bytes, **headers: str) -> tuple[int, Any, Any]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with client.post(path, data=data, headers=named) as response:
        return response.status, json.loads(await response.read()), response.headers


async def sending(client: Client, path: str, length: int, octets: bytes) -> Any:
    """A connection whose request has begun to arrive."""
    ends = await asyncio.open_connection("127.0.0.1", client.port)
    ends[1].write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {length}\r\n\r\n".encode() + octets)
    return ends


# -- too large


async def test_too_large_a_body_is_a_sentence_that_says_the_bound_on_every_face() -> None:
    async with door() as (client, _):
        assert (await told(client, SNMS, b"x" * MOST))[:2] == (200, MOST)
        status, answer, _ = await told(client, SNMS, b"x" * (MOST + 1))
        assert (status, answer) == (200, {"status": -2, "message": "请求体不能超过65536字节", "data": None})
        status, answer, _ = await told(client, OWN, b"x" * (MOST + 1))
        assert (status, "65536" in answer["error"]["message"]) == (413, True)
        status, answer, _ = await told(client, HANDLE, b"x" * (MOST + 1))
        assert (status, answer["responseCode"], "65536" in answer["message"]) == (413, 4, True)


async def test_strangers_have_a_bound_of_their_own_and_never_more_than_the_setting() -> None:
    async with door() as (client, _):
        assert (await told(client, STRANGER, b"x" * STRANGERS_MOST))[1] == STRANGERS_MOST
        assert "8192" in (await told(client, STRANGER, b"x" * (STRANGERS_MOST + 1)))[1]["message"]


async def test_a_body_that_does_not_say_its_length_has_the_same_bound() -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 1000

    async with door() as (client, _), client.post(OWN, data=endless()) as response:
        assert response.status == 413


async def test_a_body_that_says_it_is_too_large_is_not_waited_for() -> None:
    async with door() as (client, _):
        reader, writer = await sending(client, OWN, 999_999_999, b"")
        assert b" 413 " in await reader.readline()
        writer.close()


# -- too slow


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.05)
    async with door() as (client, _):
        for path, status in ((SNMS, b" 200 "), (OWN, b" 408 "), (HANDLE, b" 408 ")):
            reader, writer = await sending(client, path, 9, b"half")
            assert status in await reader.readline()
            writer.close()


async def test_bodies_that_arrive_slowly_take_no_place_of_others() -> None:
    async with door(requests=8) as (client, admission):
        slow = [await sending(client, OWN, 9, b"half") for _ in range(20)]
        await until(lambda: begun(client) == 20 and admission.in_hand == 0)
        assert (await told(client, OWN, b"quick"))[:2] == (200, 5)
        for reader, writer in slow:
            writer.write(b"whole")
            assert b" 200 " in await reader.readline()
            writer.close()


async def test_who_comes_back_to_a_crowded_worker_is_told_so() -> None:
    async with door(requests=8) as (client, admission):
        reader, writer = await sending(client, SNMS, 9, b"half")
        await until(lambda: begun(client) == 1 and admission.in_hand == 0)
        admission.in_hand += 8
        writer.write(b"whole")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 503 " in head
        assert b"Retry-After: 1" in head
        writer.close()
        admission.in_hand -= 8
        await until(lambda: admission.in_hand == 0)
        assert (await told(client, OWN, b"quick"))[:2] == (200, 5)


async def test_more_octets_than_may_arrive_at_once_are_refused_and_strangers_first() -> None:
    room = RECEIVED_BODIES * MOST
    async with door() as (client, _):
        app = client.app
        assert app is not None
        share = room // STRANGERS_SHARE
        held = [await sending(client, OWN, MOST, b"x" * (MOST - 1)) for _ in range(share // MOST)]
        await until(lambda: app[BODIES].arriving == share // MOST * (MOST - 1))
        assert (await told(client, STRANGER, b"x" * STRANGERS_MOST))[:2] == (503, BUSY)
        assert (await told(client, OWN, b"x" * STRANGERS_MOST))[:2] == (200, STRANGERS_MOST)
        held += [await sending(client, OWN, MOST, b"x" * (MOST - 1)) for _ in range(RECEIVED_BODIES - len(held))]
        await until(lambda: app[BODIES].arriving == RECEIVED_BODIES * (MOST - 1))
        assert (await told(client, OWN, b"x" * STRANGERS_MOST))[0] == 503
        for reader, writer in held:
            writer.write(b"x")
            assert b" 200 " in await reader.readline()
            writer.close()
        assert app[BODIES].arriving == 0
        assert (await told(client, STRANGER, b"x" * STRANGERS_MOST))[:2] == (200, STRANGERS_MOST)


# -- how it is encoded


@pytest.mark.parametrize(
    ("coding", "compress"),
    [("gzip", gzip.compress), ("GZIP", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)],
)
async def test_a_compressed_body_is_read(coding: str, compress: Any) -> None:
    async with door() as (client, _):
        for size in (0, 1, MOST):
            assert (await told(client, OWN, compress(b"x" * size), Content_Encoding=coding))[:2] == (200, size)
        assert (await told(client, OWN, b"as it is", Content_Encoding="identity"))[:2] == (200, 8)


@pytest.mark.parametrize("coding", ["br", "zstd", "gzip, gzip", "compress", "x"])
async def test_an_unknown_coding_is_refused_with_what_is_known(coding: str) -> None:
    async with door() as (client, _):
        status, answer, headers = await told(client, OWN, b"whatever", Content_Encoding=coding)
        assert (status, headers["Accept-Encoding"]) == (415, "gzip, deflate")
        assert "gzip, x-gzip, deflate" in answer["error"]["message"]
        status, answer, _ = await told(client, SNMS, b"whatever", Content_Encoding=coding)
        assert (status, answer["status"], "Content-Encoding" in answer["message"]) == (200, -2, True)


WHOLE = gzip.compress(bytes(range(256)) * 40, mtime=0)


@pytest.mark.parametrize(
    "octets", [b"hello", WHOLE[:-1], WHOLE[:20], WHOLE[:100] + b"\0" + WHOLE[101:], WHOLE + b"more", WHOLE + WHOLE]
)
async def test_a_broken_body_is_a_sentence_and_no_error_of_ours(
    capfd: pytest.CaptureFixture[str], octets: bytes
) -> None:
    async with door() as (client, _):
        status, answer, _ = await told(client, OWN, octets, Content_Encoding="gzip")
        assert (status, "gzip" in answer["error"]["message"]) == (400, True)
        status, answer, _ = await told(client, SNMS, octets, Content_Encoding="gzip")
        assert (status, answer) == (200, {"status": -2, "message": "请求体不是完整的gzip", "data": None})
    assert "".join(capfd.readouterr()) == ""


async def test_a_bomb_stays_within_the_bound_of_the_body() -> None:
    bomb = gzip.compress(b"\0" * 100_000_000)
    async with door(body_bytes=1024 * 1024) as (client, _):
        assert len(bomb) < 1024 * 1024
        assert (await told(client, OWN, bomb, Content_Encoding="gzip"))[0] == 413
        assert "8192" in (await told(client, STRANGER, bomb, Content_Encoding="gzip"))[1]["message"]


async def test_pieces_of_a_compressed_body_are_small_and_complete() -> None:
    async with door(body_bytes=1024 * 1024) as (client, _):
        for size in (PIECE_OCTETS - 1, PIECE_OCTETS, PIECE_OCTETS + 1, 10_000_000):
            _, sizes, _ = await told(client, "/pieces", gzip.compress(b"\0" * size), Content_Encoding="gzip")
            assert sum(sizes) == size
            assert max(sizes) <= PIECE_OCTETS


async def test_a_broken_transfer_is_a_sentence() -> None:
    async with door() as (client, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        writer.write(f"POST {OWN} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nno length\r\n".encode())
        async with asyncio.timeout(PATIENCE):
            assert b" 400 " in await reader.readline()
        writer.close()

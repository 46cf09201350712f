"""Connections on real sockets: who is at their end, what stands before the first request, how long a head may take."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

import pytest
import uvloop
from aiohttp import web

from node.listen import connection
from node.listen.connection import PEER_SHARE, Connection, Crowd
from proto.forwarded_for import TrustedProxies
from tests.waiting import PATIENCE, until

BUSY = {"status": -1, "message": "系统繁忙", "data": None}
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LINE = b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n"
BLOCK = bytes.fromhex("0d0a0d0a000d0a515549540a 21 11 0010 c0000208 c6336401 dc04 01bb 04000100")
LOCAL = bytes.fromhex("0d0a0d0a000d0a515549540a 20 00 0000")

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def who(request: web.BaseRequest) -> web.Response:
    """Says who asks, and how many octets of body there were."""
    return web.Response(text=f"{request.remote} {len(await request.read())}")


class Door:
    """A listening server, and ways to stand before it from 127.0.0.0/8."""

    def __init__(self, server: web.Server, port: int, refused: list[str]) -> None:
        self.server = server
        self.port = port
        self.refused = refused

    async def connect(self, octets: bytes = b"", address: str = "127.0.0.1") -> Ends:
        """A connection from `address` on which `octets` are sent."""
        ends = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(address, 0))
        ends[1].write(octets)
        return ends


@asynccontextmanager
async def door(handler: Handler = who, most: int = 100, proxies: str = "127.0.0.1") -> AsyncIterator[Door]:
    """A door that serves at most so many connections and trusts these proxies."""
    runner = web.ServerRunner(web.Server(handler))
    await runner.setup()
    assert runner.server is not None
    refused: list[str] = []
    crowd = Crowd(runner.server, most, TrustedProxies.parse(proxies), None, refused.append)
    server = await asyncio.get_running_loop().create_server(crowd.threshold, "127.0.0.1", 0)
    try:
        yield Door(runner.server, server.sockets[0].getsockname()[1], refused)
    finally:
        server.close()
        await runner.cleanup()


async def answer(reader: asyncio.StreamReader) -> str:
    """Status and body of the next answer on a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    length = next(line.split()[1] for line in head.split("\r\n") if line.lower().startswith("content-length"))
    return head.split()[1] + " " + (await reader.readexactly(int(length))).decode()


# -- who is at the other end


@pytest.mark.parametrize(("header", "source"), [(LINE, "192.0.2.7"), (BLOCK, "192.0.2.8"), (LOCAL, "127.0.0.1")])
async def test_every_request_behind_a_header_is_asked_by_whom_it_names(header: bytes, source: str) -> None:
    async with door() as opened:
        reader, writer = await opened.connect(header + GET)
        assert await answer(reader) == f"200 {source} 0"
        for body in (b"", b"x" * 200_000):
            writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            assert await answer(reader) == f"200 {source} {len(body)}"
        writer.close()


@pytest.mark.parametrize("header", [LINE, BLOCK])
async def test_a_header_may_come_in_any_pieces(header: bytes) -> None:
    octets = header + GET
    async with door() as opened:
        for cut in range(1, len(octets)):
            reader, writer = await opened.connect(octets[:cut])
            await writer.drain()
            await until(lambda: len(opened.server.connections) == 1)
            writer.write(octets[cut:])
            assert (await answer(reader)).startswith("200 192.0.2.")
            writer.close()
            await until(lambda: not opened.server.connections)


async def test_a_proxy_may_speak_for_itself_without_a_header() -> None:
    async with door() as opened:
        reader, writer = await opened.connect(GET + GET)
        assert [await answer(reader), await answer(reader)] == ["200 127.0.0.1 0"] * 2
        writer.close()


@pytest.mark.parametrize("header", [LINE, BLOCK])
async def test_a_header_from_a_stranger_is_bad_http(header: bytes) -> None:
    async with door(proxies="127.0.0.1, ::1") as opened:
        reader, writer = await opened.connect(header + GET, "127.0.0.2")
        octets = await reader.read()
        assert octets.startswith(b"HTTP/1.1 400 ") or octets.startswith(b"HTTP/1.0 400 ")
        assert octets.count(b"HTTP/1.") == 1, "and nothing behind it is answered"
        writer.close()


async def test_a_second_header_is_bad_http() -> None:
    async with door() as opened:
        reader, writer = await opened.connect(LINE + LINE + GET)
        assert (await reader.readline()).split()[1] == b"400"
        writer.close()


async def test_a_wrong_header_from_a_proxy_ends_the_connection(capsys: pytest.CaptureFixture[str]) -> None:
    async with door() as opened:
        reader, writer = await opened.connect(b"PROXY TCP4 here there 1 2\r\n" + GET)
        assert await reader.read() == b""
        writer.close()
    assert "proxy_header_refused" in capsys.readouterr().err


# -- how long a head may take


async def ended(reader: asyncio.StreamReader) -> bytes:
    """What came until the other side closed or broke the connection off."""
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("beginning", [b"", LINE[:9], BLOCK[:20], LINE, GET[:-1], b"\r\n"])
async def test_a_head_that_does_not_come_ends_the_connection(monkeypatch: pytest.MonkeyPatch, beginning: bytes) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)
    async with door() as opened:
        reader, writer = await opened.connect(beginning)
        assert await ended(reader) == b""
        writer.close()
        await until(lambda: not opened.server.connections)
        assert opened.refused == ["head_slow"]


async def test_a_head_that_comes_octet_by_octet_gets_no_more_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.5)
    async with door() as opened:
        reader, writer = await opened.connect(GET)
        await answer(reader)
        writer.write(b"GET / HTTP/1.1\r\nX: ")

        async def dripping() -> bool:
            if not writer.is_closing():
                writer.write(b"x")
            return reader.at_eof() or reader.exception() is not None

        await until(dripping)
        writer.close()


async def test_what_has_its_head_has_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that waits for its answer, or idles after one, outlives one that owes a head."""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.05)
    gate = asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.Response:
        if request.path == "/slow":
            await gate.wait()
        return web.Response(text="fine")

    async with door(slow) as opened:
        waiting, waiting_writer = await opened.connect(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
        idle, idle_writer = await opened.connect(GET)
        assert await answer(idle) == "200 fine"
        late, late_writer = await opened.connect()
        assert await ended(late) == b""
        gate.set()
        assert await answer(waiting) == "200 fine"
        idle_writer.write(GET)
        assert await answer(idle) == "200 fine"
        for writer in (waiting_writer, idle_writer, late_writer):
            writer.close()


# -- how many there may be


async def test_these_tests_run_on_the_loop_of_workers() -> None:
    assert isinstance(asyncio.get_running_loop(), uvloop.Loop)


async def test_a_connection_too_many_is_told_so_and_closed() -> None:
    async with door(most=2) as opened:
        held = [await opened.connect(GET) for _ in range(2)]
        for reader, _ in held:
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        reader, writer = await opened.connect(GET)
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in head + b"\r\n"
        assert json.loads(content) == BUSY
        assert f"Content-Length: {len(content)}".encode() in head
        writer.close()
        held[0][1].close()
        await until(lambda: len(opened.server.connections) < 2)
        reader, writer = await opened.connect(GET)
        assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        writer.close()
        held[1][1].close()


async def test_one_address_may_hold_a_share_and_the_others_are_served() -> None:
    most = 2 * PEER_SHARE
    async with door(most=most, proxies="") as opened:
        held = [await opened.connect(GET, "127.0.0.2") for _ in range(2)]
        for reader, _ in held:
            await answer(reader)
        reader, writer = await opened.connect(GET, "127.0.0.2")
        head, _, content = (await reader.read()).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 503 ")
        assert json.loads(content) == BUSY
        writer.close()
        assert opened.refused == ["peer_connections"]
        reader, writer = await opened.connect(GET, "127.0.0.3")
        assert await answer(reader) == "200 127.0.0.3 0"
        writer.close()
        held[0][1].close()
        await until(lambda: len(opened.server.connections) == 1)
        reader, writer = await opened.connect(GET, "127.0.0.2")
        assert await answer(reader) == "200 127.0.0.2 0", "a place is free again"
        writer.close()
        held[1][1].close()


async def test_a_trusted_proxy_may_hold_them_all() -> None:
    async with door(most=PEER_SHARE) as opened:
        held = [await opened.connect(GET) for _ in range(PEER_SHARE)]
        for reader, _ in held:
            assert await answer(reader) == "200 127.0.0.1 0"
        reader, writer = await opened.connect(GET)
        assert (await reader.readline()).split()[1] == b"503"
        assert opened.refused == ["connections"]
        for _, each in [*held, (reader, writer)]:
            each.close()


async def test_who_has_left_is_not_remembered() -> None:
    crowd = connection.Crowd(web.Server(who), 8, TrustedProxies(), None, [].append)
    for n in range(1, 100):
        left = crowd.place(f"192.0.2.{n}")
        assert isinstance(left, connection.Connection)
        left.leave()
    assert not crowd._of_peer


async def test_who_is_refused_in_the_middle_of_sending_still_reads_why() -> None:
    """Unread octets would make the kernel send a reset, which throws away what the client has not read yet."""
    async with door(most=1) as opened:
        holder, holder_writer = await opened.connect(GET)
        await answer(holder)
        for _ in range(20):
            reader, writer = await opened.connect(GET)
            writer.write(b"x" * 30_000)
            await writer.drain()
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
            writer.write(b"more")
            writer.close()
        holder_writer.close()


async def test_a_refused_client_that_does_not_go_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REFUSAL_SECONDS", 0.05)
    async with door(most=0) as opened:
        reader, writer = await opened.connect()
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")

        async def cut() -> bool:
            writer.write(b"x")
            try:
                await writer.drain()
            except ConnectionError:
                return True
            return False

        await until(cut)


async def test_a_refused_client_that_sends_without_end_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REFUSAL_SECONDS", 3600)
    async with door(most=0) as opened:
        _, writer = await opened.connect()

        async def flooding() -> None:
            for _ in range(10_000):
                writer.write(b"x" * 65_536)
                await writer.drain()

        with pytest.raises(ConnectionError):
            await flooding()


async def test_more_refusals_than_may_be_are_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "REFUSALS_MOST", 2)
    async with door(most=0) as opened:
        told = [await opened.connect() for _ in range(2)]
        for reader, _ in told:
            assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
        reader, writer = await opened.connect()
        assert await ended(reader) == b""
        for _, each in told:
            each.close()

        async def free_again() -> bool:
            again, again_writer = await opened.connect()
            octets = await ended(again)
            again_writer.close()
            return octets.startswith(b"HTTP/1.1 503 ")

        await until(free_again)
        writer.close()


# -- what is no request


NO_REQUESTS = {
    b"G\xff\0T / HTTP/1.1\r\n\r\n": 400,
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03": 400,
    b"GET / HTTP/9.1\r\nHost: x\r\n\r\n": 400,
    b"GET / HTTP/1.1\r\n\r\n": 400,
    b"GET /secret/\xe6\xa0\x87 HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET /secret/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET /secret/\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET http://[::1/secret HTTP/1.1\r\nHost: x\r\n\r\n": 400,
    b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % (b"secret" * 2000): 431,
    b"GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n" % (b"secret" * 2000): 431,
    b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n" % (b"X: secret\r\n" * 300): 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: secret\r\n\r\n": 400,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: secret\r\n\r\n": 400,
}
"""Octets that are no request, and the status they are told."""


@pytest.mark.parametrize(("octets", "status"), NO_REQUESTS.items())
async def test_what_is_no_request_is_one_sentence_that_repeats_nothing(
    capfd: pytest.CaptureFixture[str], octets: bytes, status: int
) -> None:
    async with door() as opened:
        reader, writer = await opened.connect(octets)
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
    said = json.loads(body)
    assert head.split()[1] == str(status)
    assert said["responseCode"] == 4
    assert said["message"].endswith(".")
    assert "\nServer: idnode" in head
    assert "\nContent-Type: application/json" in head
    journal = "".join(capfd.readouterr())
    for text in (head, body, journal):
        assert not [word for word in ("secret", "Traceback", "aiohttp", "Python", "\x1b[31m /") if word in text]
    assert "bad_request" in journal
    assert "error" not in journal


async def test_an_expectation_nobody_can_meet_is_one_sentence_that_repeats_nothing() -> None:
    async def expecting(request: web.BaseRequest) -> web.StreamResponse:
        raise web.HTTPExpectationFailed(text=f"Unknown Expect: {request.headers['Expect']}")  # as aiohttp does

    async with door(expecting) as opened:
        reader, writer = await opened.connect(b"GET / HTTP/1.1\r\nHost: x\r\nExpect: secret\r\n\r\n")
        status, _, body = (await answer(reader)).partition(" ")
        writer.close()
    assert status == "417"
    said = json.loads(body)
    assert said["responseCode"] == 4
    assert said["message"].endswith("The header Expect can only be 100-continue.")
    assert "secret" not in body


async def test_an_error_of_ours_below_the_routes_is_a_number(capfd: pytest.CaptureFixture[str]) -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        raise ZeroDivisionError("secret")

    async with door(broken) as opened:
        reader, writer = await opened.connect(GET)
        octets = (await reader.read()).decode()
        writer.close()
    assert octets.startswith("HTTP/1.1 500 ")
    assert "secret" not in octets
    mark = octets.rpartition("request ")[2].partition(".")[0]
    journal = "".join(capfd.readouterr())
    assert mark in journal
    assert "ZeroDivisionError" in journal


async def test_what_escapes_is_in_our_journal(capfd: pytest.CaptureFixture[str]) -> None:
    async def wordless(request: web.BaseRequest) -> web.StreamResponse:
        return "no response"  # type: ignore[return-value]

    async with door(wordless) as opened:
        reader, writer = await opened.connect(GET)
        assert (await reader.readline()).split()[1] == b"500"
        writer.close()
    assert "internal_error" in "".join(capfd.readouterr())


@pytest.mark.parametrize("reset", [False, True])
async def test_a_client_that_leaves_in_mid_body_is_no_error_of_ours(
    capfd: pytest.CaptureFixture[str], reset: bool
) -> None:
    async with door() as opened:
        _, writer = await opened.connect(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf")
        await until(lambda: opened.server.requests_count == 1)
        if reset:
            writer.transport.abort()
        writer.close()
        await until(lambda: not opened.server.connections)
    journal = "".join(capfd.readouterr())
    assert "client_left" in journal
    assert "error" not in journal.replace("kind=ConnectionResetError", "")
    assert "Traceback" not in journal


POSTED = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"


@pytest.mark.parametrize(("sent", "answered"), [(GET, [0]), (GET + POSTED + GET, [0, 4, 0]), (POSTED, [4]), (b"", [])])
async def test_who_says_no_more_is_answered_what_it_asked(sent: bytes, answered: list[int]) -> None:
    async with door() as opened:
        reader, writer = await opened.connect(sent)
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            for octets in answered:
                assert await answer(reader) == f"200 127.0.0.1 {octets}"
            assert await reader.read() == b""
            await until(lambda: not opened.server.connections)
        writer.close()


async def test_who_says_no_more_while_it_is_served_is_answered() -> None:
    served, told = asyncio.Event(), asyncio.Event()

    async def slow(request: web.BaseRequest) -> web.Response:
        served.set()
        await told.wait()
        return await who(request)

    async with door(slow) as opened:
        reader, writer = await opened.connect(GET)
        await served.wait()
        writer.write_eof()
        await until(lambda: all(each._over for each in opened.server.connections))  # type: ignore[attr-defined]
        told.set()
        assert await answer(reader) == "200 127.0.0.1 0"
        assert await reader.read() == b""
        writer.close()


async def test_who_ends_in_mid_body_is_answered_nothing() -> None:
    async with door() as opened:
        reader, writer = await opened.connect(POSTED[:-1])
        writer.write_eof()
        async with asyncio.timeout(PATIENCE):
            assert await reader.read() == b""
            await until(lambda: not opened.server.connections)
        writer.close()


async def test_a_connection_nobody_serves_any_more_is_broken_off(monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(self: Connection) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(Connection, "start", fails)
    async with door() as client:
        reader, writer = await asyncio.open_connection("127.0.0.1", client.port)
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()

"""One connection for many questions: whose reply is whose, how long is waited, and what a URL may ask for.

Against a server that says what the test wants; node/redis_cache.py is proven against the real one.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import chain
from pathlib import Path

import hiredis
import pytest

from node import redis_wire
from node.redis_wire import BROKEN, RedisError, RedisWire
from tests.fakes.certificate import own_certificate
from tests.waiting import until

INFO = b"$10\r\nrun_id:abc\r\n"


class Server:
    """Keeps the commands of each connection and answers them as `says` does, INFO and greetings by itself."""

    def __init__(self) -> None:
        self.connections: list[list[list[bytes]]] = []
        self.says: Callable[[list[bytes]], bytes] = lambda command: b"+%b\r\n" % command[-1]
        self.writers: list[asyncio.StreamWriter] = []

    @property
    def commands(self) -> list[list[bytes]]:
        """Those of all connections."""
        return list(chain(*self.connections))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        commands: list[list[bytes]] = []
        self.connections.append(commands)
        parser = hiredis.Reader()
        while data := await reader.read(65_536):
            parser.feed(data)
            while command := parser.gets():
                commands.append(command)
                usual = {b"INFO": INFO, b"AUTH": b"+OK\r\n", b"SELECT": b"+OK\r\n"}.get(command[0])
                writer.write(usual or self.says(command))
        writer.close()


@asynccontextmanager
async def listening(server: Server, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of `server`."""
    door = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    try:
        yield door.sockets[0].getsockname()[1]
    finally:
        door.close()
        for writer in server.writers:
            writer.transport.abort()
        await asyncio.sleep(0)


@asynccontextmanager
async def wired(url: str, met: Callable[[bytes], None] = lambda _: None) -> AsyncIterator[RedisWire]:
    wire = RedisWire(url, met)
    try:
        yield wire
    finally:
        await wire.close()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def wire(server: Server) -> AsyncIterator[RedisWire]:
    async with listening(server) as port, wired(f"redis://127.0.0.1:{port}") as made:
        yield made


# -- whose reply is whose


async def test_replies_go_to_who_asked_in_order_over_one_connection(wire: RedisWire, server: Server) -> None:
    asked = [wire.ask([("ECHO", f"{n}.{part}") for part in range(n % 3 + 1)]) for n in range(100)]
    assert await asyncio.gather(*asked) == [[b"%d.%d" % (n, part) for part in range(n % 3 + 1)] for n in range(100)]
    assert len(server.connections) == 1


async def test_a_reply_in_pieces_is_one_reply(wire: RedisWire, server: Server) -> None:
    server.says = lambda _: b"*2\r\n$3\r\nab"
    asking = asyncio.create_task(wire.ask([("MGET", "a", "b")]))
    await until(lambda: server.commands[-1:] == [[b"MGET", b"a", b"b"]])
    server.writers[0].write(b"c\r\n$-1\r\n")
    assert await asking == [[b"abc", None]]


async def test_an_error_among_the_replies_is_raised_and_nobody_else_s(wire: RedisWire, server: Server) -> None:
    server.says = lambda command: b"-OOM no room\r\n" if command[0] == b"SET" else b"+OK\r\n"
    both = [wire.ask([("PING",), ("SET", "a", 1)]), wire.ask([("PING",), ("PING",)])]
    refused, told = await asyncio.gather(*both, return_exceptions=True)
    assert isinstance(refused, RedisError)
    assert "no room" in str(refused)
    assert told == [b"OK", b"OK"]


async def test_who_goes_away_takes_no_reply_from_others(wire: RedisWire) -> None:
    gone, stays = (asyncio.create_task(wire.ask([("ECHO", word)])) for word in ("gone", "stays"))
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == [b"stays"]
    asking = asyncio.create_task(wire.ask([("ECHO", "gone too")]))
    await asyncio.sleep(0)
    asking.cancel()
    assert await wire.ask([("ECHO", "next")]) == [b"next"], "its reply is for nobody, not for who comes after"


@pytest.mark.parametrize("noise", [b"+one\r\n+too many\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
async def test_what_makes_no_sense_ends_the_connection(wire: RedisWire, server: Server, noise: bytes) -> None:
    server.says = lambda _: noise
    try:
        assert await wire.ask([("PING",)]) == [b"one"]
    except RedisError:
        assert noise.startswith(b"HTTP")
    server.says = lambda _: b"+PONG\r\n"
    assert await wire.ask([("PING",)]) == [b"PONG"]
    assert len(server.connections) == 2


# -- how long is waited


async def test_who_is_not_answered_in_time_is_told_so_with_all_behind_him(
    wire: RedisWire, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await wire.ask([("PING",)]) == [b"PING"]
    monkeypatch.setattr(redis_wire, "TIMEOUT_SECONDS", 0.05)
    server.says = lambda command: b"" if command[0] == b"PING" else b"+OK\r\n"
    waiting = await asyncio.gather(*(wire.ask([("PING",)]) for _ in range(3)), return_exceptions=True)
    assert {type(each) for each in waiting} == {TimeoutError}
    assert await wire.ask([("SET", "a", 1)]) == [b"OK"]
    assert len(server.connections) == 2, "no late answer is taken for that of a later question"


async def test_more_than_may_wait_are_told_so(wire: RedisWire, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    await wire.ask([("PING",)])
    monkeypatch.setattr(redis_wire, "CALLS_MOST", 3)
    results = await asyncio.gather(*(wire.ask([("ECHO", n)]) for n in range(5)), return_exceptions=True)
    assert results[:3] == [[b"0"], [b"1"], [b"2"]]
    assert [type(each) for each in results[3:]] == [ConnectionError, ConnectionError]
    assert await wire.ask([("ECHO", "again")]) == [b"again"]


async def test_a_server_that_hangs_up_fails_who_waits_and_is_called_again(wire: RedisWire, server: Server) -> None:
    server.says = lambda _: b""
    asking = asyncio.create_task(wire.ask([("PING",)]))
    await until(lambda: server.commands[-1:] == [[b"PING"]])
    server.writers[0].transport.abort()
    with pytest.raises(ConnectionError):
        await asking
    server.says = lambda _: b"+PONG\r\n"
    assert await wire.ask([("PING",)]) == [b"PONG"]


async def test_nobody_there_is_said_to_all_who_ask(tmp_path: Path) -> None:
    async with wired(f"unix://{tmp_path}/nobody.sock") as wire:
        results = await asyncio.gather(*(wire.ask([("PING",)]) for _ in range(5)), return_exceptions=True)
        assert all(isinstance(each, BROKEN) for each in results)


# -- who is met


async def test_what_is_made_of_who_is_met_those_get_who_wanted_to_send(server: Server) -> None:
    met: list[bytes] = []

    def look(info: bytes) -> None:
        met.append(info)
        if len(met) == 1:
            raise RedisError("a stranger")

    async with listening(server) as port, wired(f"redis://127.0.0.1:{port}", look) as wire:
        results = await asyncio.gather(*(wire.ask([("PING",)]) for _ in range(3)), return_exceptions=True)
        assert [str(each) for each in results] == ["a stranger"] * 3
        assert await wire.ask([("PING",)]) == [b"PING"]
    assert met == [b"run_id:abc"] * 2
    assert [commands[0] for commands in server.connections] == [[b"INFO", b"server"]] * 2
    assert [b"PING"] not in server.connections[0], "nothing was sent to the stranger"


@pytest.mark.parametrize(
    ("user", "path", "greeting"),
    [
        (":s%40cret@", "", [[b"AUTH", b"s@cret"]]),
        ("node:secret@", "/3", [[b"AUTH", b"node", b"secret"], [b"SELECT", b"3"]]),
        ("", "?db=2", [[b"SELECT", b"2"]]),
    ],
)
async def test_a_url_says_who_we_are_and_which_database(
    server: Server, user: str, path: str, greeting: list[list[bytes]]
) -> None:
    async with listening(server) as port, wired(f"redis://{user}127.0.0.1:{port}{path}") as wire:
        await wire.ask([("PING",)])
    assert server.connections == [[*greeting, [b"INFO", b"server"], [b"PING"]]]


async def test_over_tls_whom_the_url_trusts_is_spoken_to_and_nobody_else(server: Server, tmp_path: Path) -> None:
    tls = own_certificate(tmp_path / "both.pem")
    async with listening(server, tls) as port:
        trusting = f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path}/both.pem"
        async with wired(trusting) as wire:
            assert await wire.ask([("PING",)]) == [b"PING"]
        async with wired(f"rediss://127.0.0.1:{port}") as wire:
            with pytest.raises(BROKEN):
                await wire.ask([("PING",)])
    assert [b"PING"] in server.connections[0]
    assert len(server.connections) == 1

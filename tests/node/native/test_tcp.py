"""Proves node/native/tcp.py on real sockets: many requests on one connection, and every bound it keeps to."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from loadtest.native import AskError, Connection, framed
from node.metrics import NATIVE_CONNECTIONS, NATIVE_REFUSED
from node.native import tcp
from node.native.tcp import (
    IDLE_SECONDS,
    IN_HAND_MOST,
    MESSAGE_OCTETS,
    MESSAGE_SECONDS,
    SPARED_SECONDS,
    WRITTEN_OCTETS,
)
from proto.codes import ResponseCode
from proto.native.bodies import Failure, Named, Valued
from proto.native.message import Message
from proto.values.site import Protocol, Site
from tests.node.native.world import BOOK, LONGER, VALUES, asks, tcp_door, world
from tests.waiting import until

PLAIN = "88.999.1001/BAG-1"
KEPT = [name for name, answer in BOOK.items() if not isinstance(answer, Exception)]


@asynccontextmanager
async def connected(port: int, host: str = "127.0.0.1", source: str = "127.0.0.1") -> AsyncIterator[Connection]:
    reader, writer = await asyncio.open_connection(host, port, local_addr=(source, 0))
    made = Connection(reader, writer)
    try:
        yield made
    finally:
        await made.close()


async def is_closed(connection: Connection) -> bool:
    try:
        await connection.hear()
    except AskError:
        return True
    return False


async def test_requests_one_after_the_other_on_one_connection():
    async with world() as made, tcp_door(made) as (_, port), connected(port) as connection:
        for _ in range(3):  # from behind the hot stage, and from the lane
            heard = await connection.ask(asks(PLAIN), (2, 3), (2, 10))
            assert heard.envelope.version == (2, 10)
            assert heard.body == Valued(PLAIN, VALUES)
        assert (await connection.ask(asks("88.999.1001/NONE"))).message.code == ResponseCode.HANDLE_NOT_FOUND
        assert (await connection.ask(Message(2, body=Named("/").to_octets()))).message.code == ResponseCode.SUCCESS
        assert (await connection.ask(Message(999))).message.code == ResponseCode.OPERATION_NOT_SUPPORTED


async def test_a_node_on_all_addresses_tells_the_one_it_was_reached_at():
    async with world(host="0.0.0.0") as made, tcp_door(made) as (_, port), connected(port) as connection:
        site = Site.from_octets((await connection.ask(Message(2))).body.octets)
    assert str(site.servers[0].address) == "127.0.0.1"
    assert [each.protocol for each in site.servers[0].interfaces] == [Protocol.TCP, Protocol.UDP, Protocol.HTTP]


async def test_envelope_and_message_come_in_one_piece():
    """Some clients read the envelope with one read, and the message with the next (handle reference §2.15)."""
    async with world() as made, tcp_door(made) as (_, port):
        loop = asyncio.get_running_loop()
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.setblocking(False)
            for request in range(2):
                await loop.sock_sendall(sock, framed(asks(PLAIN), request).to_octets())
                octets = await loop.sock_recv(sock, 65_536)
                assert len(octets) == 20 + int.from_bytes(octets[16:20])


@pytest.mark.parametrize("warm", [[], KEPT])
@pytest.mark.parametrize("size", [1, 13, 4096])
async def test_pipelined_requests_in_any_pieces_are_all_answered(warm: list[str], size: int):
    handles = [PLAIN, "88.999.1001/NONE", "88.999.1001/皮", "88.999.1001/LONGER", "77.1/FAR"] * 4
    codes = [1, 100, 1, 1, 1] * 4
    sent = b"".join(framed(asks(handle), request).to_octets() for request, handle in enumerate(handles))
    async with world(warm) as made, tcp_door(made) as (_, port), connected(port) as connection:
        for at in range(0, len(sent), size):
            await connection.send(sent[at : at + size])
            if size == 1 and not at % 7:
                await asyncio.sleep(0)
        heard = {answer.envelope.request: answer.message.code for answer in [await connection.hear() for _ in handles]}
    assert [heard[request] for request in range(len(handles))] == codes


async def test_a_connection_has_so_many_requests_in_hand_and_no_more():
    async with world() as made, tcp_door(made) as (crowd, port), connected(port) as connection:
        made.book.closed = True
        asking = asyncio.create_task(connection.ask_many(asks(f"88.999.1001/N{n}") for n in range(500)))
        await until(lambda: made.house.admission.in_hand == IN_HAND_MOST)
        for _ in range(20):
            await asyncio.sleep(0)
        assert made.house.admission.in_hand == IN_HAND_MOST
        made.book.closed = False
        made.book.open()
        answers = await asking
        assert {answer.message.code for answer in answers} == {ResponseCode.HANDLE_NOT_FOUND}
        assert len(answers) == 500
        assert made.house.admission.in_hand == 0
        assert crowd


@pytest.mark.parametrize(("handle", "rows"), [("88.999.1001/LONG", 4000), ("88.999.1001/LONGER", 400)])
async def test_who_does_not_read_is_not_read_from(handle: str, rows: int):
    """From the lane, and from the desk."""
    sent = b"".join(framed(asks(handle), request).to_octets() for request in range(rows))
    async with world(KEPT) as made, tcp_door(made) as (crowd, port), connected(port) as connection:
        sending = asyncio.create_task(connection.send(sent))
        await until(lambda: any(each._full for each in crowd._here))
        (here,) = crowd._here
        assert here._transport.get_write_buffer_size() < WRITTEN_OCTETS + IN_HAND_MOST * 45_000
        made.passed += MESSAGE_SECONDS
        crowd.sweep()
        for _ in range(rows):  # and goes on when it reads again
            assert (await connection.hear()).message.code == ResponseCode.SUCCESS
        await sending


async def test_who_reads_nothing_for_long_is_given_up():
    sent = b"".join(framed(asks("88.999.1001/LONG"), request).to_octets() for request in range(5000))
    async with world(KEPT) as made, tcp_door(made) as (crowd, port), connected(port) as connection:
        sending = asyncio.create_task(connection.send(sent))
        await until(lambda: any(each._full for each in crowd._here))
        made.passed += MESSAGE_SECONDS + 0.1
        crowd.sweep()
        await until(lambda: not crowd._here)
        assert made.counted(NATIVE_REFUSED) == {"slow": 1}
        sending.cancel()


async def test_what_cannot_be_a_message_ends_the_connection_behind_what_came_before():
    async with world() as made, tcp_door(made) as (_, port), connected(port) as connection:
        wrong = framed(asks(PLAIN), 2)
        wrong = wrong._replace(envelope=wrong.envelope._replace(length=MESSAGE_OCTETS + 1))
        await connection.send(framed(asks(PLAIN), 1).to_octets() + wrong.to_octets())
        heard = {answer.envelope.request: answer for answer in (await connection.hear(), await connection.hear())}
        assert heard[1].message.code == ResponseCode.SUCCESS
        assert heard[2].message.code == ResponseCode.PROTOCOL_ERROR
        assert isinstance(heard[2].body, Failure)
        assert "messageLength" in heard[2].body.text
        assert await is_closed(connection)
        assert made.counted(NATIVE_REFUSED) == {"malformed": 1}


async def test_a_broken_message_of_right_length_does_not_end_it():
    async with world() as made, tcp_door(made) as (_, port), connected(port) as connection:
        assert (await connection.ask(Message(1, body=b"\xff" * 30))).message.code == ResponseCode.PROTOCOL_ERROR
        assert (await connection.ask(asks(PLAIN))).message.code == ResponseCode.SUCCESS


async def test_a_message_that_comes_too_slowly_ends_the_connection():
    async with world() as made, tcp_door(made) as (crowd, port), connected(port) as silent, connected(port) as slow:
        await slow.ask(asks(PLAIN))
        await slow.send(framed(asks(PLAIN), 2).to_octets()[:50])
        await until(lambda: any(each._stream.kept for each in crowd._here))
        made.passed += MESSAGE_SECONDS
        await slow.send(b"\0")
        await until(lambda: any(each._stream.kept == 51 for each in crowd._here))
        crowd.sweep()
        assert made.counted(NATIVE_CONNECTIONS) == {"": 2}
        made.passed += 0.1
        crowd.sweep()
        assert made.counted(NATIVE_REFUSED) == {"slow": 2}
        assert await is_closed(slow)
        assert await is_closed(silent)


async def test_a_connection_may_be_idle_for_an_hour():
    async with world() as made, tcp_door(made) as (crowd, port), connected(port) as connection:
        await connection.ask(asks(PLAIN))
        made.passed += IDLE_SECONDS
        crowd.sweep()
        await connection.ask(asks(PLAIN))
        made.passed += IDLE_SECONDS + 0.1
        crowd.sweep()
        assert made.counted(NATIVE_REFUSED) == {"idle": 1}
        assert await is_closed(connection)


async def test_a_request_that_takes_long_is_neither_slow_nor_idle():
    async with world() as made, tcp_door(made) as (crowd, port), connected(port) as connection:
        made.book.closed = True
        asking = asyncio.create_task(connection.ask(asks(PLAIN)))
        await until(lambda: made.book.waiting)
        made.passed += IDLE_SECONDS + 1
        crowd.sweep()
        made.book.open()
        assert (await asking).message.code == ResponseCode.SUCCESS


async def test_one_address_has_a_share_of_the_connections():
    async with world() as made, tcp_door(made, most=8) as (crowd, port):
        async with connected(port) as one, connected(port) as two, connected(port) as three:
            await one.ask(asks(PLAIN))
            await two.ask(asks(PLAIN))
            assert await is_closed(three)
            assert made.counted(NATIVE_REFUSED) == {"peer_connections": 1}
            async with connected(port, source="127.0.0.2") as other:
                await other.ask(asks(PLAIN))
        await until(lambda: not crowd._here)
        assert not crowd._of_site


async def test_an_idle_connection_makes_room_for_a_new_one_and_a_busy_one_does_not():
    async with (
        world() as made,
        tcp_door(made, most=4) as (crowd, port),
        connected(port, source="127.0.0.1") as first,
        connected(port, source="127.0.0.2") as second,
        connected(port, source="127.0.0.3") as third,
        connected(port, source="127.0.0.4") as fourth,
    ):
        for each in (first, second, third, fourth):
            await each.ask(asks(PLAIN))
            made.passed += 1
        crowd.sweep()
        async with connected(port, source="127.0.0.5") as fifth:
            assert await is_closed(fifth)
        assert made.counted(NATIVE_REFUSED) == {"connections": 1}
        made.passed += SPARED_SECONDS - 1
        await first.ask(asks(PLAIN))
        crowd.sweep()
        async with connected(port, source="127.0.0.6") as sixth:
            assert (await sixth.ask(asks(PLAIN))).message.code == ResponseCode.SUCCESS
        assert await is_closed(second)
        assert (await first.ask(asks(PLAIN))).message.code == ResponseCode.SUCCESS


async def test_a_trusted_proxy_tells_who_asks_and_others_do_not():
    """The PROXY protocol's document, version 1 (§2.1)."""
    line = b"PROXY TCP4 203.0.113.7 192.0.2.1 5555 2641\r\n"
    async with world() as made, tcp_door(made) as (_, port):
        async with connected(port, source="127.0.0.9") as proxy:
            for piece in (line[:10], line[10:]):
                await proxy.send(piece)
                await asyncio.sleep(0.01)
            await proxy.ask(asks(PLAIN))
            await proxy.ask(asks(PLAIN))
        async with connected(port, source="127.0.0.9") as proxy:
            await proxy.ask(asks(PLAIN))
        assert [entry[1:3] for entry in made.noted[:2]] == [("203.0.113.7", 5555)] * 2
        assert made.noted[2][1] == "127.0.0.9"
        async with connected(port) as stranger:
            await stranger.send(line)
            assert (await stranger.hear()).message.code == ResponseCode.PROTOCOL_ERROR
        async with connected(port, source="127.0.0.9") as proxy:
            await proxy.send(b"PROXY nonsense\r\n")
            assert await is_closed(proxy)
        assert made.counted(NATIVE_REFUSED) == {"malformed": 1, "proxy_header": 1}


async def test_what_is_in_hand_at_a_stop_is_answered(monkeypatch: pytest.MonkeyPatch):
    async with world() as made:
        async with tcp_door(made) as (crowd, port):
            idle, busy = await Connection.open(port), await Connection.open(port)
            await idle.ask(asks(PLAIN))
            made.book.closed = True
            asking = asyncio.create_task(busy.ask(asks("88.999.1001/LONGER")))
            await until(lambda: made.book.waiting)
            for each in crowd._here:
                each.end()
            assert await is_closed(idle)
            made.book.open()
            assert (await asking).body == Valued("88.999.1001/LONGER", LONGER)
            assert await is_closed(busy)
            await until(lambda: not crowd._here)
            stuck = await Connection.open(port)
            await stuck.send(framed(asks("88.999.1001/NONE"), 1).to_octets())
            await until(lambda: made.book.waiting)
            monkeypatch.setattr(tcp, "DRAIN_SECONDS", 0.0)
        assert await is_closed(stuck)
        for connection in (idle, busy, stuck):
            await connection.close()


async def test_a_client_that_left_is_not_answered():
    async with world() as made, tcp_door(made) as (crowd, port):
        made.book.closed = True
        connection = await Connection.open(port)
        await connection.send(framed(asks(PLAIN), 1).to_octets())
        await until(lambda: made.book.waiting)
        await connection.close()
        await until(lambda: not crowd._here)
        made.book.open()
        assert made.house.admission.in_hand == 0

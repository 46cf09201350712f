"""Proves node/native/udp.py on real sockets: requests and answers in packets, and whom it does not answer."""

import asyncio

import pytest

from loadtest import native
from loadtest.native import AskError, Datagrams, framed
from node.metrics import NATIVE_REFUSED, NATIVE_REQUESTS
from node.native.udp import BOUNDS, MESSAGE_OCTETS
from proto.codes import ResponseCode
from proto.native.bodies import Failure, Valued
from proto.native.envelope import Envelope, Framed
from proto.native.message import Message
from proto.native.packets import PACKET_OCTETS, split
from tests.node.native.world import BOOK, LONG, VALUES, asks, udp_door, world
from tests.waiting import until

PLAIN = "88.999.1001/BAG-1"
KEPT = [name for name, answer in BOOK.items() if not isinstance(answer, Exception)]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for an answer that must not come."""
    monkeypatch.setattr(native, "PATIENCE", 0.05)


@pytest.mark.parametrize("warm", [[], KEPT])
async def test_an_answer_is_a_datagram_or_some(warm: list[str]):
    async with world(warm) as made, udp_door(made) as port:
        client = await Datagrams.open(port)
        for handle, code in ((PLAIN, 1), ("88.999.1001/NONE", 100), ("88.999", 1)):
            assert (await client.ask(asks(handle), (2, 3), (2, 10))).message.code == code
        assert (await client.ask(asks("88.999.1001/bag-1"))).body == Valued("88.999.1001/bag-1", VALUES[:1])
        assert client.longest < PACKET_OCTETS
        heard = await client.ask(asks("88.999.1001/LONG"))
        assert heard.body == Valued("88.999.1001/LONG", LONG)
        assert client.longest == PACKET_OCTETS
        client.close()


async def test_an_answer_too_long_for_datagrams_is_to_be_asked_for_over_tcp():
    async with world() as made, udp_door(made) as port:
        client = await Datagrams.open(port)
        for _ in range(2):
            heard = await client.ask(asks("88.999.1001/LONGER"), (2, 3), (2, 3))
            assert (heard.envelope.version, heard.message.op) == ((2, 3), 1)
            assert heard.message.code == ResponseCode.ERROR
            assert isinstance(heard.body, Failure)
            assert "TCP" in heard.body.text
        client.close()


async def test_a_request_may_come_in_packets_in_any_order_more_than_once():
    question = asks(PLAIN, [1], ["T" * 500, "U" * 500])
    packets = split(framed(question, 1))
    assert len(packets) == 3
    async with world() as made, udp_door(made) as port:
        for order in ([0, 1, 2], [2, 1, 0], [0, 0, 2, 2, 1], [1, 2, 0]):
            client = await Datagrams.open(port)
            waiting = asyncio.create_task(client.ask(asks("88.999.1001/NONE")))
            assert (await waiting).message.code == ResponseCode.HANDLE_NOT_FOUND
            heard = asyncio.get_running_loop().create_future()
            client._waiting[1] = heard
            client.send(packets[number] for number in order)
            assert (await heard).body == Valued(PLAIN, VALUES[:1])
            client.close()


@pytest.mark.usefixtures("impatient")
async def test_a_request_that_is_not_whole_is_not_answered_and_forgotten_in_time():
    packets = split(framed(asks(PLAIN, [1], ["T" * 500]), 1))
    async with world() as made, udp_door(made) as port:
        client = await Datagrams.open(port)
        heard = asyncio.get_running_loop().create_future()
        client._waiting[1] = heard
        client.send(packets[:1])
        await asyncio.sleep(0.02)
        made.passed += BOUNDS.seconds
        client.send(packets[1:])
        await asyncio.sleep(0.02)
        assert not heard.done()
        client.send(packets[:1])
        assert (await heard).body == Valued(PLAIN, VALUES[:1])
        client.close()


@pytest.mark.usefixtures("impatient")
async def test_what_is_no_request_is_not_answered():
    async with world() as made, udp_door(made) as port:
        client = await Datagrams.open(port)
        for message in (Message(1, code=1), Message(1, code=2, body=bytes(900)), Message(0, code=4)):
            with pytest.raises(AskError):
                await client.ask(message)
        client.send([b"", b"x", bytes(19), bytes(20), bytes(400)])
        await until(lambda: made.counted(NATIVE_REFUSED) == {"malformed": 4})  # nobody sends nothing
        assert made.counted(NATIVE_REQUESTS) == {}
        client.close()


@pytest.mark.parametrize(
    "datagram",
    [
        framed(asks(PLAIN), 1).to_octets()[:-5],
        Framed(Envelope((2, 11), (2, 11), 1, MESSAGE_OCTETS + 1), asks(PLAIN).to_octets()).to_octets(),
        framed(Message(1, body=b"\xff" * 20), 1).to_octets(),
    ],
)
async def test_what_is_malformed_is_told_so(datagram: bytes):
    async with world() as made, udp_door(made) as port:
        client = await Datagrams.open(port)
        client._waiting[1] = heard = asyncio.get_running_loop().create_future()
        client.send([datagram])
        assert (await heard).message.code == ResponseCode.PROTOCOL_ERROR
        client.close()


async def test_many_clients_at_once_each_get_their_own():
    async with world() as made, udp_door(made) as port:
        clients = [await Datagrams.open(port) for _ in range(20)]
        handles = [PLAIN, "88.999.1001/皮", "88.999.1001/LONG", "88.999.1001/bag-1"] * 5
        heard = await asyncio.gather(*(c.ask(asks(h)) for c, h in zip(clients, handles, strict=True)))
        assert [answer.body.handle for answer in heard] == handles
        for client in clients:
            client.close()

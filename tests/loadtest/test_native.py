"""Proves loadtest/native.py against servers that say whatever they were told to."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from loadtest import native
from loadtest.native import AskError, Connection, Datagrams, framed
from proto.native.bodies import Failure, Listed, Named
from proto.native.continued import Joined, parts
from proto.native.digest import RequestDigest
from proto.native.envelope import Envelope, Framed
from proto.native.message import CONTINUOUS, REQUEST_DIGEST, Message
from proto.native.packets import split
from proto.native.stream import Stream

ASKED = Message(105, body=Named("0.NA/88.999.1001").to_octets())
Say = Callable[[Framed], bytes | None]


@asynccontextmanager
async def server(say: Say) -> AsyncIterator[int]:
    """Answers each request with what `say` makes of it; closes where that is None."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        stream = Stream(65_536)
        while octets := await reader.read(65_536):
            stream.feed(octets)
            for asked in iter(stream.take, None):
                if (said := say(asked)) is None:
                    writer.close()
                    return
                writer.write(said)
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def answer(asked: Framed, message: Message) -> bytes:
    return framed(message, asked.envelope.request).to_octets()


async def test_an_answer_in_parts_is_heard_whole():
    names = tuple(f"88.999.1001/{n}" for n in range(120))

    def say(asked: Framed) -> bytes:
        told = (Message(105, 1, CONTINUOUS * follows, body.to_octets()) for body, follows in parts(names))
        return b"".join(answer(asked, each) for each in told)

    async with server(say) as port:
        connection = await Connection.open(port)
        heard, joined = await connection.ask_all(ASKED), Joined(1000)
        assert len(heard) == 3
        bodies = [each.body for each in heard]
        assert all(isinstance(body, Listed) for body in bodies)
        whole = [joined.take(body, each.message.has(CONTINUOUS)) for body, each in zip(bodies, heard, strict=True)]
        assert whole == [None, None, names]
        await connection.close()


async def test_a_digest_is_heard():
    digest = RequestDigest.of(b"asked", (2, 11))
    said = Message(1, 100, REQUEST_DIGEST, digest.to_octets() + Failure("no").to_octets())
    async with server(lambda asked: answer(asked, said)) as port:
        connection = await Connection.open(port)
        heard = await connection.ask(ASKED)
        assert (heard.body, heard.digest) == (Failure("no"), digest)
        await connection.close()


async def test_many_answers_are_told_apart_by_their_numbers():
    kept: list[Framed] = []

    def say(asked: Framed) -> bytes:
        """Nothing before the last has come, and then backwards."""
        kept.append(asked)
        told = [answer(each, Message(1, 100 + each.envelope.request)) for each in reversed(kept)]
        return b"".join(told) if len(kept) == 9 else b""

    async with server(say) as port:
        connection = await Connection.open(port)
        assert [each.message.code for each in await connection.ask_many([ASKED] * 9)] == list(range(101, 110))
        await connection.close()


@pytest.mark.parametrize(
    ("say", "why"),
    [
        (lambda asked: None, "closed"),
        (lambda asked: framed(Message(1, 1), asked.envelope.request + 1).to_octets(), "not 1"),
        (lambda asked: Envelope((2, 11), (2, 11), 1, 3).to_octets(), "messageLength"),
        (lambda asked: Framed(Envelope((2, 11), (2, 11), 1, 24), b"\xff" * 24).to_octets(), "bodyLength"),
    ],
)
async def test_what_is_no_answer_is_told(say: Say, why: str):
    async with server(say) as port:
        connection = await Connection.open(port)
        with pytest.raises(AskError, match=why):
            await connection.ask(ASKED)
        await connection.close()


async def test_nobody_there_and_nothing_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(native, "PATIENCE", 0.01)
    async with server(lambda asked: b"") as port:
        pass
    with pytest.raises(AskError):
        await Connection.open(port)
    client = await Datagrams.open(port)
    with pytest.raises(AskError, match="no answer in time"):
        await client.ask(ASKED)
    client.close()


class Lossy(asyncio.DatagramProtocol):
    """Loses every first datagram; answers in packets, after one that is none and one nobody waits for."""

    def __init__(self) -> None:
        self.came = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.came += 1
        if self.came % 2:
            return
        asked = Framed(Envelope.from_octets(data), data[20:])
        said = framed(Message(1, 1, body=bytes(900)), asked.envelope.request)
        for each in (b"nonsense", framed(Message(1, 1), 77).to_octets(), *split(said)):
            self._transport.sendto(each, addr)


async def test_a_lost_datagram_is_sent_again(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(native, "REPEAT_SECONDS", 0.02)
    loop = asyncio.get_running_loop()
    transport, lossy = await loop.create_datagram_endpoint(Lossy, ("127.0.0.1", 0))
    client = await Datagrams.open(transport.get_extra_info("sockname")[1])
    heard = await client.ask(ASKED)
    assert (heard.message.body, lossy.came) == (bytes(900), 2)
    client.close()
    transport.close()

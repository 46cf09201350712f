"""A client of the Handle protocol, over TCP and over UDP. It shares with the node what octets mean (proto/), no more.

What is asked is its user's business.
"""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Final, NamedTuple, Self, cast

from proto.errors import ProtoError
from proto.native.bodies import Body, answer_body
from proto.native.digest import RequestDigest
from proto.native.envelope import Envelope, Framed
from proto.native.message import CONTINUOUS, Message
from proto.native.packets import PACKET_OCTETS, Bounds, Reassembler, split
from proto.native.stream import Stream
from proto.native.versions import OWN, Version

MESSAGE_OCTETS: Final = 16_672_500
"""Longest answer: what the client library of CAICT takes."""
READ_OCTETS: Final = 65_536
PATIENCE: Final = 10.0
"""Seconds an answer is waited for."""
REPEAT_SECONDS: Final = 1.0
"""After so long a datagram that was not answered is sent again: the network may have lost it."""


class AskError(Exception):
    """There is no answer; the text says why, for people."""


class Heard(NamedTuple):
    """An answer."""

    envelope: Envelope
    message: Message

    @property
    def body(self) -> Body:
        """What it says. Raises ProtoError."""
        return answer_body(self.message, self.envelope.version)[0]

    @property
    def digest(self) -> RequestDigest | None:
        """That of the request, if it carries one. Raises ProtoError."""
        return answer_body(self.message, self.envelope.version)[1]


def framed(
    message: Message, request: int, version: Version = OWN, suggested: Version = OWN, session: int = 0
) -> Framed:
    """A message with its envelope."""
    octets = message.to_octets()
    return Framed(Envelope(version, suggested, request, len(octets), session), octets)


class Connection:
    """A TCP connection. Raises AskError when it ends, or says what is no answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._stream = Stream(MESSAGE_OCTETS)
        self._last = 0

    @classmethod
    async def open(cls, port: int, host: str = "127.0.0.1") -> Self:
        """A fresh connection."""
        try:
            return cls(*await asyncio.open_connection(host, port))
        except OSError as error:
            raise AskError(str(error)) from error

    async def ask(self, message: Message, version: Version = OWN, suggested: Version = OWN, session: int = 0) -> Heard:
        """The answer to one request."""
        request = self.number()
        await self.send(framed(message, request, version, suggested, session).to_octets())
        heard = await self.hear()
        if heard.envelope.request != request:
            raise AskError(f"an answer to {heard.envelope.request}, not {request}")
        return heard

    def number(self) -> int:
        """That of the next request."""
        self._last += 1
        return self._last

    async def ask_many(self, messages: Iterable[Message]) -> list[Heard]:
        """The answers to all of these, which are sent in one piece, in the order they were asked."""
        first = self._last + 1
        sent = [framed(message, request) for request, message in enumerate(messages, first)]
        self._last += len(sent)
        await self.send(b"".join(each.to_octets() for each in sent))
        heard: dict[int, Heard] = {}
        for _ in sent:
            answer = await self.hear()
            heard[answer.envelope.request] = answer
        return [heard[request] for request in range(first, first + len(sent))]

    async def ask_all(self, message: Message) -> list[Heard]:
        """The answer to one request in all its parts."""
        parts = [await self.ask(message)]
        while parts[-1].message.has(CONTINUOUS):
            parts.append(await self.hear())
        return parts

    async def send(self, octets: bytes) -> None:
        """Sends whatever this is."""
        self._writer.write(octets)
        with suppress(OSError):  # who reads next is told
            await self._writer.drain()

    async def hear(self) -> Heard:
        """The next answer, to whichever request."""
        answer = await self.take()
        try:
            return Heard(answer.envelope, Message.from_octets(answer.message))
        except ProtoError as error:
            raise AskError(str(error)) from error

    async def take(self) -> Framed:
        """The same as it came."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (answer := self._stream.take()) is None:
                    octets = await self._reader.read(READ_OCTETS)
                    if not octets:
                        raise AskError("the connection was closed")
                    self._stream.feed(octets)
            return answer
        except (OSError, ProtoError) as error:
            raise AskError(str(error) or "no answer in time") from error

    async def close(self) -> None:
        """Lets it go."""
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


class Datagrams(asyncio.DatagramProtocol):
    """A UDP socket that speaks to one server. Raises AskError when there is no answer."""

    def __init__(self) -> None:
        self._reassembler = Reassembler(Bounds(MESSAGE_OCTETS, 2 * MESSAGE_OCTETS, 1000, PATIENCE))
        self._waiting: dict[int, asyncio.Future[Heard]] = {}
        self._last = 0
        self._transport: asyncio.DatagramTransport | None = None
        self.longest = 0
        """Octets of the longest datagram that came."""

    @classmethod
    async def open(cls, port: int, host: str = "127.0.0.1") -> Self:
        """A fresh socket."""
        made = cls()
        await asyncio.get_running_loop().create_datagram_endpoint(lambda: made, remote_addr=(host, port))
        return made

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A fresh socket."""
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's is one in all but its ancestors

    async def ask(self, message: Message, version: Version = OWN, suggested: Version = OWN, session: int = 0) -> Heard:
        """The answer to one request, which is sent again while there is none."""
        self._last += 1
        return await self.told(framed(message, self._last, version, suggested, session))

    async def told(self, request: Framed) -> Heard:
        """The answer to a request as it travels."""
        number, sent = request.envelope.request, split(request)
        answer: asyncio.Future[Heard] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            async with asyncio.timeout(PATIENCE):
                while not answer.done():
                    self.send(sent)
                    await asyncio.wait([answer], timeout=REPEAT_SECONDS)
            return answer.result()
        except TimeoutError as error:
            raise AskError("no answer in time") from error
        finally:
            self._waiting = {number: each for number, each in self._waiting.items() if each is not answer}

    def send(self, datagrams: Iterable[bytes]) -> None:
        """Sends whatever these are."""
        assert self._transport is not None
        for each in datagrams:
            assert len(each) <= PACKET_OCTETS
            self._transport.sendto(each)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """A packet of an answer."""
        self.longest = max(self.longest, len(data))
        with suppress(ProtoError):  # what is none is none
            answer = self._reassembler.feed(addr, data, asyncio.get_running_loop().time())
            waiting = answer and self._waiting.get(answer.envelope.request)
            if answer is not None and waiting and not waiting.done():
                waiting.set_result(Heard(answer.envelope, Message.from_octets(answer.message)))

    def close(self) -> None:
        """Lets it go."""
        assert self._transport is not None
        self._transport.close()

"""The native face over UDP: a request is a datagram or some, and so is its answer. What is asked is not known here.

A source address proves nothing: nobody is sent much more than a record takes, no answer is answered, and keys log in
by it only where the settings let them.
"""

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

from node.meter import Meter
from node.metrics import NATIVE_REFUSED
from node.native import answers
from node.native.answers import Asked, Standing
from node.native.datagrams import Address, Slots
from node.native.desk import Desk
from node.native.lane import Lane
from proto.errors import ProtoError
from proto.native.envelope import ENVELOPE_OCTETS, Envelope, Framed
from proto.native.message import Message
from proto.native.packets import PACKET_OCTETS, Bounds, Reassembler, split

MESSAGE_OCTETS: Final = 65_536
"""Longest request in packets, of 134 of them: longer ones go by TCP, where one lost packet does not lose all."""
ANSWER_OCTETS: Final = 32_768
"""Longest answer, of 67 packets: who forges a source has no more than that sent to it; longer ones go by TCP."""
BOUNDS: Final = Bounds(message=MESSAGE_OCTETS, octets=8 * 1024 * 1024, of_peer=16, seconds=5.0)
"""Of requests that are not whole yet: 16 of one address and port, 8 MB in all, for as long as deployed servers wait."""
BUFFER_OCTETS: Final = 4 * 1024 * 1024
"""What the kernel may keep of datagrams that come in a burst, if it is allowed so much (net.core.rmem_max)."""


class Door:
    """Serves the datagrams of one worker. `logins`: whether keys may log in. `clock` gives monotonic seconds, `now`
    those since 1970 UTC.
    """

    def __init__(
        self, desk: Desk, lane: Lane, meter: Meter, clock: Callable[[], float], now: Callable[[], int], *, logins: bool
    ) -> None:
        self._desk = desk
        self._lane = lane
        self._refused = partial(meter.count, NATIVE_REFUSED)
        self._clock = clock
        self._now = now
        self._logins = logins
        self._reassembler = Reassembler(BOUNDS)

    async def serve(self, sock: socket.socket) -> None:
        """Serves until it is cancelled. What is in hand then gets no answer: UDP promises none, and clients repeat."""
        loop = asyncio.get_running_loop()
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_OCTETS)
        self._sock, self._slots = sock, Slots(sock)
        loop.add_reader(sock, self._readable)
        try:
            await loop.create_future()
        finally:
            loop.remove_reader(sock)
            sock.close()

    def _readable(self) -> None:
        """Takes what has come, COUNT datagrams at most; then others of this process have their turn."""
        lengths = self._slots.receive()
        said = self._lane.fill(self._slots, lengths)
        for _ in range(self._slots.send(said)):
            self._refused("unsent")
        if not all(said):
            for slot, (length, source) in enumerate(zip(lengths, self._slots.sources(len(lengths)), strict=True)):
                if not said[slot]:
                    self._came(self._slots.datagram(slot, length), self._slots.address(slot), *source)

    def _came(self, datagram: bytes, address: Address, peer: str, port: int) -> None:
        if said := self._lane.answer(datagram, peer, port):
            self._send(said, address)
            return
        try:
            framed = self._reassembler.feed((peer, port), datagram, self._clock())
        except ProtoError as error:
            self._broken(datagram, address, error)
            return
        # Of what is encrypted that cannot be told; what it is answered is an answer to anybody.
        if framed is not None and (framed.envelope.encrypted or not _is_answer(framed.message)):
            standing = Standing(by_udp=True) if self._logins else None
            self._desk.take(framed, (peer, port), partial(self._answer, address), standing=standing)

    def _broken(self, datagram: bytes, address: Address, error: ProtoError) -> None:
        """Says so to who sent at least an envelope, unless what follows it calls itself an answer."""
        self._refused("malformed")
        if len(datagram) >= ENVELOPE_OCTETS and not _is_answer(datagram[ENVELOPE_OCTETS:]):
            self._send(answers.broken(Envelope.from_octets(datagram), error, self._now()).to_octets(), address)

    def _answer(self, address: Address, framed: Framed) -> None:
        if len(framed.message) > ANSWER_OCTETS:
            spoken = framed.envelope._replace(suggested=framed.envelope.version)
            asked = Asked(spoken, Message(Message.from_octets(framed.message).op))
            framed = answers.framed(asked, answers.TOO_LONG, self._now())
        for datagram in split(framed):
            self._send_one(datagram, address)

    def _send(self, octets: bytes, address: Address) -> None:
        if len(octets) <= PACKET_OCTETS:
            self._send_one(octets, address)
        else:
            self._answer(address, Framed(Envelope.from_octets(octets), octets[ENVELOPE_OCTETS:]))

    def _send_one(self, datagram: bytes, address: Address) -> None:
        try:
            self._sock.sendto(datagram, address)
        except OSError:  # the kernel has no room for it now, or knows no way there: who asks, asks again
            self._refused("unsent")


def _is_answer(message: bytes) -> bool:
    """Whether it has a response code: two servers must not go on answering each other for ever."""
    return message[4:8] not in {b"\0\0\0\0", b""}

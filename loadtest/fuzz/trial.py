"""What must hold of every input: a message that is understood is written and read again as the same one, all else is
refused by a ProtoError, and what is kept meanwhile stays within its bounds.
"""

from collections import Counter
from typing import Final

from proto.errors import ProtoError
from proto.native.bodies import answer_body, answer_octets, request_body
from proto.native.credential import Credential
from proto.native.envelope import ENVELOPE_OCTETS, Framed
from proto.native.message import Message
from proto.native.packets import Bounds, Reassembler
from proto.native.stream import Stream

MESSAGE_OCTETS: Final = 65_536
BOUNDS: Final = Bounds(message=MESSAGE_OCTETS, octets=1_000_000, of_peer=4, seconds=100.0)
PEERS: Final = 50
"""Senders of packets: enough that the bounds of each and of all are reached."""


class Trial:
    """One stream and one reassembler to which all inputs go; `told` counts what became of them."""

    def __init__(self) -> None:
        self._stream = Stream(MESSAGE_OCTETS)
        self._reassembler = Reassembler(BOUNDS)
        self.told: Counter[str] = Counter()

    def run(self, number: int, octets: bytes) -> None:
        """Tries an input down the stream, in two pieces, and as a packet. Raises whatever should not have been."""
        cut = number % (len(octets) + 1)
        for piece in (octets[:cut], octets[cut:]):
            self._stream.feed(piece)
            self._taken()
        try:
            framed = self._reassembler.feed(number % PEERS, octets, number / 100)
        except ProtoError as refused:
            self._refused(refused)
        else:
            self.told["packet"] += framed is None
            if framed is not None:
                self._read(framed)
        assert self._reassembler.room <= BOUNDS.octets

    def _taken(self) -> None:
        """As a door does: a stream that is broken ends, and so does one whose next message will not be whole."""
        try:
            while (framed := self._stream.take()) is not None:
                self._read(framed)
        except ProtoError as refused:
            self._refused(refused)
            self._stream = Stream(MESSAGE_OCTETS)
        assert self._stream.kept < ENVELOPE_OCTETS + MESSAGE_OCTETS

    def _read(self, framed: Framed) -> None:
        try:
            message = Message.from_octets(framed.message)
        except ProtoError as refused:
            self._refused(refused)
            return
        again = message.to_octets()
        assert framed.message.startswith(again)
        assert Message.from_octets(again) == message
        for read in (_request, _answer, _credential):
            try:
                read(message, framed.envelope.version)
                self.told["understood"] += 1
            except ProtoError as refused:
                self._refused(refused)

    def _refused(self, refused: ProtoError) -> None:
        assert refused.field
        assert refused.zh
        self.told[f"refused: {refused.field}"] += 1


def _request(message: Message, _: tuple[int, int]) -> None:
    body = request_body(message)
    again = Message(message.op, body=body.to_octets())
    assert request_body(again) == body


def _answer(message: Message, version: tuple[int, int]) -> None:
    body, digest = answer_body(message, version)
    again = Message(message.op, message.code, message.flags, answer_octets(body, digest, version))
    assert answer_body(again, version) == (body, digest)


def _credential(message: Message, _: tuple[int, int]) -> None:
    if message.credential:
        credential = Credential.from_octets(message.credential)
        assert Credential.from_octets(credential.to_octets()) == credential

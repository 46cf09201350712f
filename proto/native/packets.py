"""UDP: a message in packets of 512 octets, and packets put together again (RFC 3652 §2.3 as deployed).

Time is given. Packets may come in any order and more than once; what is not whole in time is dropped without a word.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from proto.errors import ProtoError
from proto.native.envelope import ENVELOPE_OCTETS, Envelope, Framed, bounded

PACKET_OCTETS: Final = 512
"""Longest packet, envelope included."""
PIECE_OCTETS: Final = PACKET_OCTETS - ENVELOPE_OCTETS
"""What is in it of the message."""
OVERHEAD_OCTETS: Final = 512
"""What keeping a packet takes beside its octets; counted for each, so that many small ones do not evade a bound."""


def split(framed: Framed) -> list[bytes]:
    """The datagrams of a message, in order: one, or several with the flag that says so."""
    envelope, message = framed
    if len(message) <= PIECE_OCTETS:
        return [framed.to_octets()]
    pieces = (message[at : at + PIECE_OCTETS] for at in range(0, len(message), PIECE_OCTETS))
    return [
        envelope._replace(truncated=True, sequence=sequence).to_octets() + piece
        for sequence, piece in enumerate(pieces)
    ]


class Bounds(NamedTuple):
    """How much is kept of messages that are not whole yet: `of_peer` messages of one peer, `octets` in all, each of at
    most `message` octets and for `seconds` from its first packet on. The oldest goes for a new one.
    """

    message: int
    octets: int
    of_peer: int
    seconds: float


@dataclass(slots=True)
class _Partial:
    envelope: Envelope
    begun: float
    pieces: dict[int, bytes] = field(default_factory=dict)
    octets: int = 0

    @property
    def room(self) -> int:
        return self.octets + OVERHEAD_OCTETS * (len(self.pieces) + 1)

    def add(self, sequence: int, piece: bytes) -> None:
        if sequence not in self.pieces:
            self.pieces[sequence] = piece
            self.octets += len(piece)

    @property
    def whole(self) -> bool:
        """Whether all is here: where no packet is missing, no sequence number is as great as their count."""
        return self.octets >= self.envelope.length and max(self.pieces) < len(self.pieces)


Key = tuple[Hashable, int, int]
"""Peer, session and request: which message a packet is of."""


class Reassembler:
    """Gives whole messages for datagrams. `peer` is whoever sent one: packets of different peers never meet."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._partials: OrderedDict[Key, _Partial] = OrderedDict()  # the oldest first
        self._of_peer: dict[Hashable, dict[Key, None]] = {}
        self.room = 0
        """Octets that all of this takes, by and large."""

    def feed(self, peer: Hashable, datagram: bytes, now: float) -> Framed | None:
        """The message that is whole with this datagram, which came at `now` in seconds of any clock; None: not yet.

        Raises ProtoError for what is no packet of a message within the bounds.
        """
        envelope = bounded(Envelope.from_octets(datagram), self._bounds.message)
        piece = datagram[ENVELOPE_OCTETS:]
        if not envelope.truncated or (not envelope.sequence and len(piece) >= envelope.length):
            if len(piece) < envelope.length:
                raise ProtoError("message", "消息不完整", "the message is cut short")
            return Framed(envelope, piece[: envelope.length])
        if not piece or envelope.sequence * PIECE_OCTETS > self._bounds.message:
            raise ProtoError("sequenceNumber", "分组序号超出范围", "sequenceNumber is out of range")
        return self._joined((peer, envelope.session, envelope.request), envelope, piece, now)

    def _joined(self, key: Key, envelope: Envelope, piece: bytes, now: float) -> Framed | None:
        self._expire(now)
        partial = self._partials.get(key)
        if partial is not None and partial.envelope.length != envelope.length:  # another message: numbers come round
            self._drop(key)
            partial = None
        if partial is None:
            partial = self._begun(key, envelope, now)
        before = partial.room
        partial.add(envelope.sequence, piece)
        self.room += partial.room - before
        if partial.octets > envelope.length or not partial.whole:
            self._within(key, partial)
            return None
        self._drop(key)
        message = b"".join(partial.pieces[sequence] for sequence in range(len(partial.pieces)))
        return Framed(partial.envelope._replace(sequence=0, truncated=False), message)

    def _begun(self, key: Key, envelope: Envelope, now: float) -> _Partial:
        others = self._of_peer.get(key[0], {})
        if len(others) >= self._bounds.of_peer:
            self._drop(next(iter(others)))
        partial = self._partials[key] = _Partial(envelope, now)
        self._of_peer.setdefault(key[0], {})[key] = None
        self.room += partial.room
        return partial

    def _within(self, key: Key, partial: _Partial) -> None:
        """Keeps to the bounds, for which a message of more octets than it should have goes first."""
        if partial.octets > partial.envelope.length:
            self._drop(key)
        while self.room > self._bounds.octets:
            self._drop(next(iter(self._partials)))

    def _expire(self, now: float) -> None:
        while self._partials:
            key, partial = next(iter(self._partials.items()))
            if now - partial.begun < self._bounds.seconds:
                return
            self._drop(key)

    def _drop(self, key: Key) -> None:
        partial = self._partials.pop(key)
        self.room -= partial.room
        of_peer = self._of_peer[key[0]]
        del of_peer[key]
        if not of_peer:
            del self._of_peer[key[0]]

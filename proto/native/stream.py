"""`Stream`: whole messages out of the octets of a TCP connection, in whatever pieces these come (RFC 3652 §2.1).

A message follows its envelope and nothing stands between messages, so many may be under way at once.
"""

from proto.native.envelope import ENVELOPE_OCTETS, Envelope, Framed, bounded


class Stream:
    """Keeps what is not whole yet: less than the longest message, `most` octets of it, and what was fed since `take`
    last said None.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._octets = bytearray()
        self._at = 0
        self._envelope: Envelope | None = None

    def feed(self, octets: bytes) -> None:
        """What came."""
        self._octets += octets

    def take(self) -> Framed | None:
        """The next whole message; None until more has come. What does not follow its envelope begins the next one.

        Raises ProtoError for a length out of bounds; where the next message begins cannot be told then, so it does
        from now on.
        """
        if self._envelope is None:
            if self.kept < ENVELOPE_OCTETS:
                self._close_up()
                return None
            self._envelope = Envelope.from_octets(self._octets, self._at)
        bounded(self._envelope, self._most)
        begin = self._at + ENVELOPE_OCTETS
        end = begin + self._envelope.length
        if len(self._octets) < end:
            self._close_up()
            return None
        framed = Framed(self._envelope, bytes(memoryview(self._octets)[begin:end]))
        self._at, self._envelope = end, None
        return framed

    def _close_up(self) -> None:
        del self._octets[: self._at]
        self._at = 0

    @property
    def kept(self) -> int:
        """Octets that are here of a message that is not whole yet, or were not taken."""
        return len(self._octets) - self._at

    @property
    def broken(self) -> Envelope | None:
        """The envelope of the message that is not whole yet or cannot be taken, once that is known."""
        return self._envelope

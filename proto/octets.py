"""A reader of big-endian octets that never reads past its end (handle reference, conventions)."""

from proto.errors import NotUtf8Error, ProtoError


class Reader:
    """Takes fields off the front of `octets`; raises ProtoError(field) when there are too few."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._at = 0

    def take(self, count: int, field: str) -> bytes:
        """The next `count` octets."""
        if count > len(self._octets) - self._at:
            raise ProtoError(field, f"{field}不完整", f"{field} is cut short")
        self._at += count
        return self._octets[self._at - count : self._at]

    def unsigned(self, size: int, field: str) -> int:
        """The next `size` octets as an unsigned number."""
        return int.from_bytes(self.take(size, field))

    def string(self, field: str) -> str:
        """A u32 length and that many octets of UTF-8."""
        octets = self.take(self.unsigned(4, field), field)
        try:
            return octets.decode()
        except UnicodeDecodeError:
            raise NotUtf8Error(field) from None

    def data(self, field: str) -> bytes:
        """A u32 length and that many octets."""
        return self.take(self.unsigned(4, field), field)

    def count(self, least: int, field: str) -> int:
        """A u32 count of entries of at least so many octets each: more than there is room for are refused unread."""
        count = self.unsigned(4, field)
        if count > self.rest // least:
            raise ProtoError(field, f"{field}不完整", f"{field} is cut short")
        return count

    @property
    def rest(self) -> int:
        """How many octets are left."""
        return len(self._octets) - self._at


def string(text: str) -> bytes:
    """`text` as a u32 length and its UTF-8."""
    octets = text.encode()
    return len(octets).to_bytes(4) + octets


def data(octets: bytes) -> bytes:
    """`octets` behind their length, a u32."""
    return len(octets).to_bytes(4) + octets

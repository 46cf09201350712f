"""Long listings: as many messages of one request as they take, all but the last of which say that another follows.

They are told in order and on one connection (RFC 3652 §2.2.2.4, CONTINUOUS).
"""

from collections.abc import Iterator
from typing import Final

from proto.errors import ProtoError
from proto.native.bodies import Listed

NAMES_A_MESSAGE: Final = 50
"""What deployed servers put into one: of the longest identifiers 13 KB."""


def parts(names: tuple[str, ...]) -> Iterator[tuple[Listed, bool]]:
    """The bodies of the messages that tell `names`, at least one, each with whether another follows (CONTINUOUS)."""
    for at in range(0, max(1, len(names)), NAMES_A_MESSAGE):
        yield Listed(names[at : at + NAMES_A_MESSAGE]), at + NAMES_A_MESSAGE < len(names)


class Joined:
    """What was told so far, of at most `most` names."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._names: list[str] = []

    def take(self, body: Listed, follows: bool) -> tuple[str, ...] | None:
        """All names, with the last message; None while another `follows`. Raises ProtoError beyond the bound."""
        self._names += body.names
        if len(self._names) > self._most:
            raise ProtoError("handles", f"列表超过{self._most}个标识", f"the listing has more than {self._most} names")
        return None if follows else tuple(self._names)

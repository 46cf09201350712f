"""Whom of other nodes this one may ask: which addresses, how many questions at once, and who rests after failing.

Only counts, compares and lets wait: nothing is sent here.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_network
from typing import Final

from node.gather import BusyError
from node.link import CONNECTIONS_EACH, CONNECTIONS_MOST
from node.turns import Turns
from proto.values.site import Address

Network = IPv4Network | IPv6Network

QUESTIONS_EACH: Final = 1024
"""Questions because of one neighbour at once, those waiting for a place included: a batch of 1000 finds room."""
PLACES_MOST: Final = CONNECTIONS_MOST
"""Questions under way in all: each finds a connection, so that no wait for one is taken for a neighbour's silence."""
PLACES_EACH: Final = CONNECTIONS_EACH
"""Questions under way because of one neighbour, those to whom it refers included: it may name dead ends without end."""
FAILURES_MOST: Final = 5
"""Failures in a row after which a neighbour rests: fewer may be one odd record."""
REST_SECONDS: Final = 5.0
"""How long: long enough to cost nobody anything, short enough that a restarted neighbour is back at once."""
NEIGHBOURS_MOST: Final = 4096
"""Neighbours remembered, more than there are secondary nodes; the one longest not asked is forgotten."""

_NEVER: Final = [
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host (RFC 791)
        "255.255.255.255/32",  # broadcast
        "224.0.0.0/4",  # multicast
        "::/128",
        "ff00::/8",
    )
]
"""Addresses no single machine has: refused even in an allowed network."""
_HIDING: Final = [
    ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments, among them of translators (RFC 6890)
        "192.88.99.0/24",  # 6to4 relays (RFC 7526)
        "2002::/16",  # 6to4 (RFC 3056)
        "2001::/23",  # Teredo and other tunnels (RFC 4380, RFC 6890)
        "3fff::/20",  # documentation (RFC 9637)
    )
]
"""Addresses that lead to another one inside, or nowhere, though some editions of `ipaddress` call them global."""
_UNICAST: Final = ip_network("2000::/3")
"""All IPv6 there is for ordinary hosts (RFC 4291 §2.4); NAT64, mapped and compatible IPv4 lie outside of it."""


def acceptable(address: Address, allowed: Sequence[Network]) -> bool:
    """Whether a stranger's word is enough to connect to `address`: a public one, or one in an `allowed` network."""
    if any(address in network for network in _NEVER):
        return False
    if any(address in network for network in allowed):
        return True
    if not address.is_global or address.is_multicast or address.is_reserved:
        return False
    if any(address in network for network in _HIDING):
        return False
    return isinstance(address, IPv4Address) or address in _UNICAST


class RestingError(Exception):
    """The neighbour has failed again and again and is not asked now."""


@dataclass(slots=True)
class _Neighbour:
    reading: Turns
    waiting: int = 0
    asked: int = 0
    failures: int = 0
    rests_until: float = 0.0
    places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(PLACES_EACH))


class Neighbours:
    """Counts for each neighbour, named by what its URLs begin with. `clock` gives monotonic seconds.

    `room` tells, given how many questions wait, whether one more may without taking the places of what lives here.
    """

    def __init__(self, clock: Callable[[], float], room: Callable[[int], bool]) -> None:
        self._clock = clock
        self._room = room
        self._known: OrderedDict[str, _Neighbour] = OrderedDict()
        self._places = asyncio.Semaphore(PLACES_MOST)

    @asynccontextmanager
    async def place(self, because: str) -> AsyncIterator[None]:
        """Around a question asked because of the neighbour `because`: waits for a place, in turn.

        Raises BusyError when as many wait because of it as may, or when they take half of what room there is.
        """
        neighbour = self._neighbour(because)
        if neighbour.waiting >= QUESTIONS_EACH or not self._room(2 * neighbour.waiting):
            raise BusyError
        neighbour.waiting += 1
        try:
            async with neighbour.places, self._places:
                yield
        finally:
            neighbour.waiting -= 1

    def reading(self, because: str) -> AbstractAsyncContextManager[None]:
        """Around the reading of a large body that came because of `because`: waits for its turn."""
        return self._neighbour(because).reading.one()

    @contextmanager
    def asking(self, name: str) -> Iterator[None]:
        """Around a question: raises RestingError instead of beginning it.

        After a rest one question goes ahead of all others and decides.
        """
        neighbour = self._neighbour(name)
        if neighbour.failures >= FAILURES_MOST and (neighbour.asked or self._clock() < neighbour.rests_until):
            raise RestingError(name)
        neighbour.asked += 1
        try:
            yield
        finally:
            neighbour.asked -= 1

    def answered(self, name: str) -> None:
        """It gave an answer that can be used."""
        self._neighbour(name).failures = 0

    def failed(self, name: str) -> bool:
        """It gave none; whether it begins to rest with that."""
        neighbour = self._neighbour(name)
        rested = neighbour.failures == FAILURES_MOST and self._clock() < neighbour.rests_until
        neighbour.failures = min(neighbour.failures + 1, FAILURES_MOST)
        neighbour.rests_until = self._clock() + REST_SECONDS
        return neighbour.failures == FAILURES_MOST and not rested

    def _neighbour(self, name: str) -> _Neighbour:
        neighbour = self._known.get(name)
        if neighbour is None:
            neighbour = self._known[name] = _Neighbour(Turns(self._clock))
        self._known.move_to_end(name)
        if len(self._known) > NEIGHBOURS_MOST:
            idle = next((each for each, one in self._known.items() if not one.asked and not one.waiting), name)
            if idle != name:
                del self._known[idle]
        return neighbour

"""The brake on sign-ins: who guesses passwords is told to wait, in each worker for itself.

Only failures count. Who is right is kept waiting by others' guesses from their own address alone, never for long.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from math import ceil
from typing import Final

from node.buckets import Buckets
from node.gather import BusyError
from proto.forwarded_for import end_site
from registry.account import USERNAME_CHARACTERS

WINDOW_SECONDS: Final = 60.0
"""The failures below come back evenly within this."""
FAILURES_OF_PAIR: Final = 10
"""Failures of one account from one address: a person tries a few passwords, a program repeats a wrong secret."""
FAILURES_OF_PEER: Final = 60
"""Failures from one address, whatever the accounts: a firm's proxy stands for many programs."""
FAILURES_OF_ACCOUNT: Final = 100
"""Failures of one account, whatever the addresses: fewer than 150,000 guesses a day from any number of them. Addresses
the account has signed in from are excepted, so that these guesses do not keep its owner out."""
KNOWN_MOST: Final = 65_536
"""Pairs of account and address remembered as having signed in; the longest silent one is forgotten."""
WAITING_MOST = 256
"""Tries that wait for others to end, some 15 ms each: four seconds at most. More are told to come back."""


class BrakedError(Exception):
    """Too many sign-ins failed; the next may be tried in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many sign-ins failed; {seconds} s")
        self.seconds = seconds


class _Count:
    """Failures of one kind, and the tries under way that may become such: each holds a token of its bucket."""

    def __init__(self, most: int, clock: Callable[[], float]) -> None:
        self._buckets = Buckets(most, WINDOW_SECONDS, clock)
        self._under_way: Counter[Hashable] = Counter()

    def begin(self, key: Hashable) -> float:
        """0.0 when one more may be tried, else the seconds until there may be, should all under way fail."""
        wait = self._buckets.draw(key)
        if not wait:
            self._under_way[key] += 1
        return wait

    def is_open(self, key: Hashable) -> bool:
        """Whether tries are under way, so that it is not known yet what has failed."""
        return key in self._under_way

    def end(self, key: Hashable, failed: bool) -> None:
        """One that had begun is over."""
        self._under_way[key] -= 1
        if not self._under_way[key]:
            del self._under_way[key]
        if not failed:
            self._buckets.give_back(key)


class Brake:
    """Counts failed sign-ins. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._pairs = _Count(FAILURES_OF_PAIR, clock)
        self._peers = _Count(FAILURES_OF_PEER, clock)
        self._accounts = _Count(FAILURES_OF_ACCOUNT, clock)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._waiting = 0
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def trying(self, username: str, peer: str) -> AsyncIterator[Callable[[], None]]:
        """Around one try, which counts as failed unless what this gives is called, or the try comes to no end.

        More tries at once than may fail wait for those under way: they may all be right, as when the programs of a
        factory sign in together. Raises BrakedError when too many have failed, BusyError when too many wait.
        """
        pair = _pair(username, peer)
        begun = await self._begun(pair)
        failed = True

        def proven() -> None:
            nonlocal failed
            failed = False

        try:
            yield proven
        except BaseException:
            failed = False
            raise
        else:
            if not failed:
                self._remember(pair)
        finally:
            _end(begun, failed=failed)
            self._ended.set()
            self._ended = asyncio.Event()

    def keeps_out(self, username: str, peer: str) -> bool:
        """Whether others' failures keep the account out at an address this worker has not seen it sign in from."""
        pair = _pair(username, peer)
        if pair in self._known:
            return False
        wait = self._accounts.begin(pair[0])
        if not wait:
            self._accounts.end(pair[0], failed=False)
        return wait > 0

    def known(self, username: str, peer: str) -> None:
        """The account has signed in from that address: others' failures keep it out there no more."""
        self._remember(_pair(username, peer))

    async def _begun(self, pair: tuple[str, str]) -> list[tuple[_Count, Hashable]]:
        while not (begun := self._begin(pair)):
            if self._waiting >= WAITING_MOST:
                raise BusyError
            self._waiting += 1
            try:
                await self._ended.wait()
            finally:
                self._waiting -= 1
        return begun

    def _begin(self, pair: tuple[str, str]) -> list[tuple[_Count, Hashable]]:
        """What the try is counted under; empty when it must wait for others. Raises BrakedError."""
        wanted: list[tuple[_Count, Hashable]] = [(self._pairs, pair), (self._peers, pair[1])]
        if pair not in self._known:
            wanted.append((self._accounts, pair[0]))
        for n, (count, key) in enumerate(wanted):
            seconds = count.begin(key)
            if seconds:
                _end(wanted[:n], failed=False)
                if count.is_open(key):
                    return []
                raise BrakedError(ceil(seconds))
        return wanted

    def _remember(self, pair: tuple[str, str]) -> None:
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > KNOWN_MOST:
            self._known.popitem(last=False)


def _pair(username: str, peer: str) -> tuple[str, str]:
    return username[: USERNAME_CHARACTERS + 1], end_site(peer)


def _end(begun: list[tuple[_Count, Hashable]], *, failed: bool) -> None:
    for count, key in begun:
        count.end(key, failed)

"""The brake on sign-ins: who guesses passwords is told to wait, in each worker for itself.

Only failures count. Who is right is kept waiting by others' guesses from their own address alone, never for long.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from math import ceil
from typing import Final

from node.buckets import Buckets
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


class BrakedError(Exception):
    """Too many sign-ins failed; the next may be tried in `seconds`."""

    def __init__(self, seconds: int) -> None:
        super().__init__(f"too many sign-ins failed; {seconds} s")
        self.seconds = seconds


class Brake:
    """Counts failed sign-ins. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._pairs = Buckets(FAILURES_OF_PAIR, WINDOW_SECONDS, clock)
        self._peers = Buckets(FAILURES_OF_PEER, WINDOW_SECONDS, clock)
        self._accounts = Buckets(FAILURES_OF_ACCOUNT, WINDOW_SECONDS, clock)
        self._known: OrderedDict[tuple[str, str], None] = OrderedDict()

    @contextmanager
    def trying(self, username: str, peer: str) -> Iterator[Callable[[], None]]:
        """Around one try, which counts as failed unless what this gives is called, or the try comes to no end.

        Raises BrakedError when too many have failed. Tries of a pair that is not known count while they last, or many
        at once would all be free; a known one may sign in as often at once as it likes.
        """
        pair = (username[: USERNAME_CHARACTERS + 1], peer)
        drawn = self._draw(pair)
        known, right = pair in self._known, False
        if known:
            _give_back(drawn)

        def proven() -> None:
            nonlocal right
            right = True

        try:
            yield proven
        except BaseException:
            if not known:
                _give_back(drawn)
            raise
        if right:
            if not known:
                _give_back(drawn)
            self._remember(pair)
        elif known:
            for buckets, key in drawn:
                buckets.draw(key)

    def _draw(self, pair: tuple[str, str]) -> list[tuple[Buckets, Hashable]]:
        wanted: list[tuple[Buckets, Hashable]] = [(self._pairs, pair), (self._peers, pair[1])]
        if pair not in self._known:
            wanted.append((self._accounts, pair[0]))
        for n, (buckets, key) in enumerate(wanted):
            wait = buckets.draw(key)
            if wait:
                _give_back(wanted[:n])
                raise BrakedError(ceil(wait))
        return wanted

    def _remember(self, pair: tuple[str, str]) -> None:
        self._known[pair] = None
        self._known.move_to_end(pair)
        if len(self._known) > KNOWN_MOST:
            self._known.popitem(last=False)


def _give_back(drawn: list[tuple[Buckets, Hashable]]) -> None:
    for buckets, key in drawn:
        buckets.give_back(key)

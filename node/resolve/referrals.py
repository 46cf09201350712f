"""Where the top-level node has pointed for which prefix: asked again soon, and kept for when it cannot be asked.

Nothing is asked here; who follows a referral tells how it went.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proto.identifier import Identifier
from proto.values.site import Site
from proto.web_reply import Referral

FRESH_SECONDS: Final = 60
"""How long the top-level node is not asked again, whatever it said: so soon a prefix that it has suspended is no longer
answered for, and one that moved is found where it is. One question a prefix and minute is nothing to it."""
KEPT_SECONDS: Final = 86_400
"""Longest life of a referral while the top-level node cannot be asked again: what is known goes on without it."""
ANEW_SECONDS: Final = 3.0
"""After a referral led nowhere the top-level node is asked anew, but not more often than this for one prefix."""
REFERRALS_MOST: Final = 10_000
"""Prefixes kept, some 1 kB each: all secondary nodes there are, and their busiest enterprises."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A referral as it is kept: when it was heard and until when it may be used, in monotonic seconds."""

    prefix: str
    sites: tuple[Site, ...]
    heard: float
    until: float


class Referrals:
    """The referrals of this process. `clock` gives monotonic seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, Kept] = OrderedDict()

    def find(self, identifier: Identifier) -> Kept | None:
        """What is known for the prefix of `identifier`, or else for the next one above it."""
        prefix = identifier.prefix_key
        while prefix:
            kept = self._kept.get(prefix)
            if kept is not None and self._clock() < kept.until:
                self._kept.move_to_end(prefix)
                return kept
            prefix = prefix.rpartition(".")[0]
        return None

    def keep(self, prefix: str, referral: Referral) -> None:
        """Keeps what holds for all of `prefix`."""
        now = self._clock()
        life = max(ANEW_SECONDS, min(referral.ttl, KEPT_SECONDS))
        self._kept[prefix] = Kept(prefix, referral.sites, now, now + life)
        self._kept.move_to_end(prefix)
        if len(self._kept) > REFERRALS_MOST:
            self._kept.popitem(last=False)

    def is_fresh(self, kept: Kept) -> bool:
        """Whether it may be used without asking again."""
        return self._clock() < kept.heard + FRESH_SECONDS

    def forget(self, identifier: Identifier) -> None:
        """The top-level node points nowhere for the prefix of `identifier` any more."""
        kept = self.find(identifier)
        if kept is not None:
            del self._kept[kept.prefix]

    def led_nowhere(self, kept: Kept) -> bool:
        """Drops it, unless it was heard a moment ago; whether the top-level node may be asked anew."""
        if self._clock() - kept.heard < ANEW_SECONDS:
            return False
        if self._kept.get(kept.prefix) is kept:
            del self._kept[kept.prefix]
        return True

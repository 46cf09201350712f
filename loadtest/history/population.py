"""Which identifiers there are: a few at a time, so that everybody meets at them, and others after a while.

Pure arithmetic between an item's number and its name; no identifier is kept anywhere.
"""

from dataclasses import dataclass
from random import Random
from typing import Final

SECOND: Final = 1_000_000_000
WIDTH: Final = 40
"""Identifiers of a generation under one prefix: few enough that a dozen clients keep meeting."""
FOCUS: Final = SECOND // 4
"""How long (ns) one identifier is everybody's favourite: long enough to be read hot and changed under the readers."""
FAVOUR: Final = 0.4
"""The share of choices that fall on the favourite."""
OLD: Final = 0.06
"""The share of choices that fall on an earlier generation: what is quiet must stay true too."""


@dataclass(frozen=True, slots=True)
class Population:
    """`turn` is how long (ns) a generation lasts: it bounds the versions an identifier gets."""

    prefixes: tuple[str, ...]
    turn: int

    def generation(self, now: int) -> int:
        """The generation at `now`."""
        return now // self.turn

    def items(self, generations: int) -> range:
        """The items of the first `generations` generations."""
        return range(generations * len(self.prefixes) * WIDTH)

    def name(self, item: int) -> tuple[str, str]:
        """Prefix and suffix of an item."""
        among, place = divmod(item, WIDTH)
        generation, prefix = divmod(among, len(self.prefixes))
        return self.prefixes[prefix], f"H{generation:05d}-{place:02d}"

    def identifier(self, item: int) -> str:
        """The identifier of an item."""
        return "/".join(self.name(item))

    def _row(self, generation: int, prefix: int) -> int:
        return (generation * len(self.prefixes) + prefix) * WIDTH

    def favourite(self, now: int) -> int:
        """The item everybody likes at `now`."""
        step = now // FOCUS
        row = self._row(self.generation(now), step % len(self.prefixes))
        return row + step // len(self.prefixes) % WIDTH

    def choose(self, random: Random, now: int, count: int) -> tuple[int, ...]:
        """`count` different items (at most WIDTH) under one prefix."""
        if random.random() < FAVOUR:
            favourite = self.favourite(now)
            row = favourite - favourite % WIDTH
            others = [item for item in random.sample(range(row, row + WIDTH), count) if item != favourite]
            return (favourite, *others[: count - 1])
        generation = self.generation(now)
        if random.random() < OLD:
            generation = random.randint(0, generation)
        row = self._row(generation, random.randrange(len(self.prefixes)))
        return tuple(random.sample(range(row, row + WIDTH), count))

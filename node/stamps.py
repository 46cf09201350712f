"""What the processes of one machine share, so that no cache lies: stamps, epochs, trust. Every word has one writer, but
for those that only spare work.

The memory is a table of 8-byte words, each written by one process in one store and read by all. Nothing here
locks, increments a shared word, or asks a database. Others are to see stores in the order they were made:
x86-64 promises that, aarch64 would need a barrier between a stamp and its news.

* Stamps. Identifiers fall into SLOTS slots; a slot has a word (a column) for each worker and one for the follower.
  A writer stores an odd word before its COMMIT and an even one after any outcome, values never used before. What
  was read under a stamp (all columns) may be answered as long as the stamp is the same; while one is odd, nobody
  caches and everybody asks PostgreSQL.
* Epochs. The number under which a prefix or template last changed, as the follower knows it.
* News. Each process counts its changes of stamps and epochs: while neither this nor the state has changed, what held
  a moment ago still holds, and nothing else needs to be read.
* State. The follower's generation (0: caches may not be used), and for each worker a word that is odd while a
  change of prefixes or templates is in doubt.
* Known. A bit for each mark that was asked for (`node/resolve/known.py`): the one part all workers write, where a bit
  that is lost costs one question to PostgreSQL.
* Trust. A worker that could not correct Redis stores a new word of distrust; the follower copies it into the word
  beside it once everything up to then is corrected. Redis is asked only while all pairs agree.
"""

import mmap
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Final
from zlib import crc32

SLOTS: Final = 1 << 20
"""Slots of stamps: with 100,000 hot entries, a write to another identifier disturbs one entry in ten at worst."""
MARKS: Final = 1 << 24
"""Marks of identifiers, a bit of `known` each, 2 MiB; the end of a mark is the slot."""
PREFIXES_MOST: Final = 1 << 20
"""Prefixes with an epoch here; answers under a greater number are not cached."""
TEMPLATES_MOST: Final = 1 << 20
"""Templates with an epoch here; answers under a greater number are not cached."""

_WORD: Final = 8
_COUNT_BITS: Final = 40


class Layout:
    """Where each word lies, for `workers` workers: their columns are 0 … workers-1, the follower's is `workers`."""

    def __init__(self, workers: int) -> None:
        self.columns = workers + 1
        self.generation = 0
        self.doubt = 1
        self.state_end = self.doubt + workers
        self.news = self.state_end
        self.news_end = self.news + self.columns
        self.followed = self.news_end
        self.distrust = self.followed + 1
        self.absolved = self.distrust + self.columns
        self.beat = self.absolved + self.columns
        self.prefixes = self.beat + self.columns
        self.templates = self.prefixes + PREFIXES_MOST
        self.stamps = self.templates + TEMPLATES_MOST
        self.known = self.stamps + SLOTS * self.columns
        self.words = self.known + MARKS // (8 * _WORD)


def create(workers: int) -> int:
    """A descriptor of fresh shared memory, all zero, for `workers` workers."""
    descriptor = os.memfd_create("idnode-stamps")
    os.ftruncate(descriptor, Layout(workers).words * _WORD)
    return descriptor


class Shared:
    """One process's view of the shared memory.

    `column` is the one this process writes, `incarnation` a number no process of this memory had before
    (1 … 2^23): together with a count of its own it makes every word it stores a new one.
    """

    def __init__(self, descriptor: int, workers: int, column: int, incarnation: int) -> None:
        self.layout = Layout(workers)
        self.column = column
        self._memory = mmap.mmap(descriptor, self.layout.words * _WORD)
        self._words = memoryview(self._memory).cast("Q")
        self._base = incarnation << _COUNT_BITS
        self._count = 0
        self._pending: dict[int, int] = {}
        self._stamp_octets = self.layout.columns * _WORD
        # Little-endian machines only, as x86-64 and aarch64 are.
        self._odd = sum(1 << 8 * _WORD * column for column in range(self.layout.columns))
        self._stamps_at = self.layout.stamps * _WORD
        self._state = slice(0, self.layout.state_end * _WORD)
        self._news = slice(0, self.layout.news_end * _WORD)
        self._distrust = slice(self.layout.distrust * _WORD, self.layout.absolved * _WORD)
        self._absolved = slice(self.layout.absolved * _WORD, self.layout.beat * _WORD)
        self._good = b""
        known = self.layout.known * _WORD
        self.known = memoryview(self._memory)[known : known + MARKS // 8]

    def _new(self) -> int:
        self._count += 2
        return self._base | self._count

    # -- news

    def news(self) -> bytes:
        """Octets that are others whenever a stamp, an epoch or the state has changed in between."""
        return self._memory[self._news]

    def _tell(self) -> None:
        """Before anybody hears of a change by another way."""
        self._words[self.layout.news + self.column] = self._new()

    # -- stamps

    def slot(self, key: str) -> int:
        """The slot of an identifier's key."""
        return crc32(key.encode()) & (SLOTS - 1)

    def slots(self, keys: Iterable[str]) -> list[int]:
        """The slot of each of these keys."""
        return [crc32(key.encode()) & (SLOTS - 1) for key in keys]

    def stamp(self, mark: int) -> bytes:
        """The stamp as it is now of the slot this mark, or slot, ends with."""
        at = self._stamps_at + (mark & SLOTS - 1) * self._stamp_octets
        return self._memory[at : at + self._stamp_octets]

    def stamped(self, key: bytes) -> tuple[int, bytes]:
        """The mark of an identifier's key, in octets, and the stamp of its slot as it is now."""
        mark = crc32(key) & (MARKS - 1)
        at = self._stamps_at + (mark & SLOTS - 1) * self._stamp_octets
        return mark, self._memory[at : at + self._stamp_octets]

    def each_stamped(self, keys: Iterable[bytes]) -> list[tuple[int, bytes]]:
        """`stamped` of each of these keys."""
        begin, length, memory = self._stamps_at, self._stamp_octets, self._memory
        marks = [crc32(key) & (MARKS - 1) for key in keys]
        return [(mark, memory[(at := begin + (mark & SLOTS - 1) * length) : at + length]) for mark in marks]

    def is_pending(self, stamp: bytes) -> bool:
        """Whether a commit is under way in the slot the stamp was taken of."""
        return int.from_bytes(stamp, "little") & self._odd != 0

    def _renew(self, slots: Sequence[int]) -> None:
        """A new word in each of these slots, odd while a commit of this process is under way there."""
        words, pending, columns = self._words, self._pending, self.layout.columns
        at, word = self.layout.stamps + self.column, self._base | self._count
        self._count += 2 * len(slots)
        for slot in slots:
            word += 2
            words[at + slot * columns] = word | 1 if slot in pending else word
        self._tell()

    def begin(self, slots: Sequence[int]) -> None:
        """A commit into these slots is about to be sent: from now on they are pending."""
        pending = self._pending
        for slot in slots:
            pending[slot] = pending.get(slot, 0) + 1
        self._renew(slots)

    def end(self, slots: Sequence[int]) -> None:
        """That commit is over. A slot stays pending while another commit of this process is under way in it."""
        pending = self._pending
        for slot in slots:
            left = pending.pop(slot) - 1
            if left:
                pending[slot] = left
        self._renew(slots)

    def touch(self, slots: Sequence[int]) -> None:
        """Something in these slots changed elsewhere: what was read before is not to be answered any more."""
        self._renew(slots)

    def inherit(self) -> list[int]:
        """The slots a dead predecessor in this column left pending; they stay so until `end` is told of them."""
        layout = self.layout
        column = self._words[layout.stamps + self.column : layout.known : layout.columns]
        slots = [slot for slot, word in enumerate(column.tolist()) if word & 1]
        for slot in slots:
            self._pending[slot] = self._pending.get(slot, 0) + 1
        return slots

    # -- state

    def state(self) -> bytes:
        """Generation and doubts as they are now, to be compared with what `trusted` last accepted."""
        return self._memory[self._state]

    def trusted(self, on_generation: Callable[[], None]) -> bytes | None:
        """The present state if caches may be used, else None; `on_generation` is called when caches must be emptied."""
        state = self._memory[self._state]
        if state == self._good:
            return state
        if not any(state[:_WORD]) or any(state[at] & 1 for at in range(_WORD, len(state), _WORD)):
            return None
        if state[:_WORD] != self._good[:_WORD]:
            on_generation()
        self._good = state
        return state

    def begin_doubt(self) -> None:
        """A change of prefixes or templates is about to be sent: no cache is used until it is followed. For workers."""
        assert self.column < self.layout.columns - 1
        self._words[self.layout.doubt + self.column] = self._new() | 1

    def end_doubt(self) -> None:
        """It is followed, or did not happen."""
        assert self.column < self.layout.columns - 1
        self._words[self.layout.doubt + self.column] = self._new()

    @property
    def in_doubt(self) -> bool:
        """Whether this column (or a dead predecessor in it) has a change in doubt."""
        return bool(self._words[self.layout.doubt + self.column] & 1)

    # -- what only the follower (or the supervisor, once the follower is dead) writes

    def set_generation(self) -> None:
        """From now on caches may be used, empty ones."""
        self._words[self.layout.generation] = self._new()

    def clear_generation(self) -> None:
        """From now on no cache may be used."""
        self._words[self.layout.generation] = 0

    @property
    def generation(self) -> int:
        """0 while caches may not be used."""
        return self._words[self.layout.generation]

    def follow(self, catalogue: int, prefixes: Iterable[tuple[int, int]], templates: Iterable[tuple[int, int]]) -> None:
        """Epochs of prefixes and templates up to the catalogue's number."""
        for number, epoch in prefixes:
            if number < PREFIXES_MOST:
                self._words[self.layout.prefixes + number] = epoch
        for number, epoch in templates:
            if number < TEMPLATES_MOST:
                self._words[self.layout.templates + number] = epoch
        self._words[self.layout.prefixes] = catalogue
        self._tell()
        self._words[self.layout.followed] = catalogue

    @property
    def followed(self) -> int:
        """The catalogue's number up to which epochs are known."""
        return self._words[self.layout.followed]

    # -- epochs

    def current(self, prefix: int, epoch: int, template: int, template_epoch: int) -> bool:
        """Whether an answer made under these epochs still holds. Prefix 0 (not ours) goes by the catalogue's number."""
        return (
            prefix < PREFIXES_MOST
            and template < TEMPLATES_MOST
            and self._words[self.layout.prefixes + prefix] == epoch
            and (not template or self._words[self.layout.templates + template] == template_epoch)
        )

    # -- trust in Redis

    @property
    def redis_trusted(self) -> bool:
        """Whether everything committed on this machine is corrected in Redis."""
        return self.trust() is not None

    def trust(self) -> bytes | None:
        """None while Redis is distrusted; else octets that are others whenever it has been distrusted in between."""
        words = self._memory[self._distrust]
        return words if words == self._memory[self._absolved] else None

    def distrust(self) -> None:
        """Something committed by this process is not corrected in Redis."""
        self._words[self.layout.distrust + self.column] = self._new()

    def distrusts(self) -> list[int]:
        """The words of distrust as they are now."""
        return self._words[self.layout.distrust : self.layout.absolved].tolist()

    def absolve(self, seen: list[int]) -> None:
        """Everything committed before `seen` was read is corrected in Redis. Only the follower says so."""
        for column, word in enumerate(seen):
            self._words[self.layout.absolved + column] = word

    # -- life

    def beat(self, now: float) -> None:
        """This process is alive at `now` (monotonic seconds)."""
        self._words[self.layout.beat + self.column] = int(now * 1000)

    def beats(self) -> list[float]:
        """When each column last said so; 0 for never."""
        return [word / 1000 for word in self._words[self.layout.beat : self.layout.prefixes]]

    def close(self) -> None:
        """Lets the memory go."""
        self._words.release()
        self.known.release()
        self._memory.close()

"""Rows that are alike but for suffix and texts, as one program sends them: read by what they have in common. Pure.

What such a row means is found out once, by reading it exactly; a skeleton is the octets around its texts, and fits rows
in which nothing else differs. A batch of nothing but such rows is a block; what is in none is read row by row, and what
fits no skeleton exactly: tests/node/listen/test_skeleton.py compares them.
"""

import re
from array import array
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain, repeat
from typing import Any, Final, Self

from node.listen import snms_words
from node.listen.snms_words import SnmsError
from proto.identifier import Identifier, fold
from proto.limits import DATA_OCTETS, IDENTIFIER_CHARACTERS
from registry.block import AT_ONCE, OCTETS_AT_ONCE, Block, Rows
from registry.record import Shape, Texts, are_lines
from registry.rules import Operation, Request

LOOKED_AT_EACH: Final = 8
"""Behind a row of no known kind each eighth one is looked at, and counts for all: to tell its kind takes a fifth of
reading it, and the next ones are mostly of the same."""
LEARNED_AFTER: Final = 256
"""So many rows of a kind are read exactly before one is learned from, and twice as many each time before another is: it
takes as long as reading fifty, and nobody shall make it dear by sending ever other ones."""
MISFITS_MOST: Final = 64
"""A skeleton that did not fit so many rows more than it fitted is let go: to try it takes a quarter of reading one."""
KINDS_MOST: Final = 2048
"""Kinds of rows that are known, beyond which the one longest unused is forgotten: a node has some 1200 prefixes. Each
takes 3 kB, which is 6 MB in all, or 17 kB and 34 MB when all are as long as may be."""
COUNTS: Final = 1 << 16
"""Places of counts, of two octets each and so begun anew when they are as many as this. None is ever dropped: that two
of a few thousand kinds share one is rare, and only changes when they are learned from."""
OCTETS_MOST: Final = 8192
"""Longest row that is learned from."""
TEXTS_MOST: Final = 64
"""Most texts of one."""
PREFIX_WITHIN: Final = 128
"""The slash behind a prefix, of 64 characters at most, stands so early in a row, or else the row is of no kind."""

BETWEEN_MOST: Final = 16
"""Octets between two rows of a block, or before the first one: a comma and some spaces."""

_SPACE: Final = b" \t\n\r"
"""What JSON calls white space (RFC 8259 section 2)."""
_HANDLE: Final = re.compile(rb'"handle"\s*:\s*"')
_TEXT: Final = re.compile(rb'"value"\s*:\s*"')
_request: Final[Callable[[tuple[Any, ...]], Request]] = partial(tuple.__new__, Request)
"""`Request._make`, without a call in Python for each row."""


class Skeleton:
    """What the rows that fit it have in common: `pieces` of JSON around suffix and texts, and what all of them say."""

    __slots__ = ("_next", "_parts", "_row", "fits", "misfits", "prefix", "shape", "template")

    def __init__(self, pieces: list[bytes], prefix: str, template: str, shape: Shape) -> None:
        # Finds the quotes behind suffix and texts by the lengths of what is between; that is compared afterwards, at
        # once. Nothing is tried twice.
        first, *rest = map(len, pieces)
        suffix = rb".{%d}([!#-\[\]-~]{1,%d}+)" % (first, IDENTIFIER_CHARACTERS - len(prefix) - 1)
        texts = [rb'".{%d}([^"]{1,%d}+)' % (length - 1, DATA_OCTETS // 4) for length in rest[:-1]]
        behind = rb'".{%d}([%b,]{0,%d}+)' % (rest[-1] - 1, _SPACE, BETWEEN_MOST)
        row = re.compile(b"".join((suffix, *texts, behind)), re.DOTALL)
        self._row: Final = row.fullmatch
        self._next: Final = row.match
        self._parts: Final = list(chain.from_iterable(zip(pieces, repeat(b""))))
        self.prefix: Final = prefix
        self.template: Final = template
        self.shape: Final = shape
        self.fits = self.misfits = 0

    @classmethod
    def of(cls, row: bytes, read: Request) -> Self | None:
        """That of a row which was read so; None when it is no everyday one."""
        said, prefix = read.values, read.identifier.prefix
        if type(said) is not Texts or said.body is None or len(said) > TEXTS_MOST or len(row) > OCTETS_MOST:
            return None
        if prefix.startswith("0.") or fold(prefix) != prefix:
            return None
        texts = [read.identifier.suffix.encode(), *said.data]
        pieces = _pieces(row, f"{prefix}/".encode(), texts)
        # That these places are what they seem to be is seen from what others in their stead are read as.
        others = [b"~%d" % place for place in range(len(texts))]
        if pieces is None or not set(others).isdisjoint(texts):
            return None
        try:
            probe = b"".join(chain.from_iterable(zip(pieces, [*others, b""], strict=True)))
            told = snms_words.request(read.operation, probe)
        except SnmsError:
            return None
        suffix, *rest = [other.decode() for other in others]
        same = Request(read.operation, Identifier.parse(f"{prefix}/{suffix}"), read.template, Texts(said.shape, rest))
        return cls(pieces, prefix, read.template, said.shape) if told == same else None

    def read(self, operation: Operation, row: bytes) -> Request | None:
        """What a row asks for that it fits; None for any other."""
        found = self._row(row)
        if found is None:
            return None
        groups, parts = found.groups(), self._parts.copy()
        suffix_, *texts, behind = parts[1::2] = groups
        if b"".join(parts) != row or behind or (said := Texts.read(self.shape, texts)) is None:
            return None
        self.fits += 1
        prefix, suffix = self.prefix, suffix_.decode()
        text = f"{prefix}/{suffix}"
        identifier = Identifier(text, prefix, suffix, text, prefix, suffix)
        return _request((operation, identifier, self.template, said, False, None))

    def some(self, batch: bytes, at: int) -> tuple[list[tuple[bytes, ...]], int]:
        """Of some rows, the first of which begins there: suffix, texts and what is behind it, of each; and where they
        end. None of any where one is not what it seems.
        """
        rows, end = list[tuple[bytes, ...]](), at
        while len(rows) < AT_ONCE and end < at + OCTETS_AT_ONCE and (found := self._next(batch, end)) is not None:
            rows.append(found.groups())
            end = found.end()
        parts = self._parts * len(rows)
        parts[1::2] = chain.from_iterable(rows)
        joined = b"".join(parts)
        return (rows, end) if len(joined) == end - at and batch.startswith(joined, at) else ([], at)


def _pieces(row: bytes, prefix: bytes, texts: list[bytes]) -> list[bytes] | None:
    """The octets around the suffix, which is the first of `texts`, and the others; None where they are not found."""
    pieces, at = [], 0
    for head, before, text in zip(chain([_HANDLE], repeat(_TEXT)), chain([prefix], repeat(b"")), texts, strict=False):
        found = head.search(row, at)
        if found is None or not row.startswith(b'%b%b"' % (before, text), found.end()):
            return None
        begin = found.end() + len(before)
        pieces.append(row[at:begin])
        at = begin + len(text)
    return [*pieces, row[at:]]


def _kind(octets: bytes, begin: int, slash: int, end: int) -> int:
    """The hash of what a row between two places has in common with others of its kind: the octets up to the first
    slash, which name the prefix, those between the suffix and the values, which name the template, and how many quotes
    there are in all, as in each of one shape.
    """
    behind = octets.find(b'"', slash, end)
    return hash((octets[begin:slash], octets[behind : octets.find(b"[", behind, end)], octets.count(b'"', begin, end)))


class Reader:
    """Reads a batch, the first row of which begins `at`, as a block, for as long as it is one.

    All of `turns` are to be read before it is known.
    """

    def __init__(self, known: Skeleton, batch: bytes, at: int) -> None:
        self._known: Final = known
        self._batch: Final = batch
        self._at = at
        self._parts = list[Rows]()
        self._between = list[bytes]()  # what is behind each row
        self._goes_on = True
        # Each reads as many rows, or as many octets, as are read at once, or is the last one.
        self.turns: Final = range(snms_words.BATCH_MOST // AT_ONCE + len(batch) // OCTETS_AT_ONCE + 1)

    def read(self, turns: Sequence[int]) -> Sequence[int]:
        """Reads some rows more for each of these."""
        for _ in turns:
            if self._goes_on:
                self._goes_on = self._some()
        return turns

    def _some(self) -> bool:
        """Reads some rows; whether more may follow."""
        rows, end = self._known.some(self._batch, self._at)
        spelt, *columns, between = zip(*rows, strict=True) if rows else ((), ())
        if not rows or not are_lines(chain.from_iterable(columns)):
            return False
        self._parts.append(Rows(b"\n".join(spelt).decode().split("\n"), columns))
        self._between += between
        self._at = end
        return True

    def block(self) -> Block | None:
        """What was read; None if that is no block."""
        suffixes = list(chain.from_iterable([part.suffixes for part in self._parts]))
        if not 0 < len(suffixes) <= snms_words.BATCH_MOST or len(set(suffixes)) < len(suffixes):
            return None
        *between, last = self._between
        if (last + self._batch[self._at :]).strip(_SPACE) != b"]" or {e.strip(_SPACE) for e in set(between)} - {b","}:
            return None
        self._known.fits += len(suffixes)
        return Block(self._known.prefix, self._known.template, self._known.shape, self._parts)


class Skeletons:
    """Reads rows, and learns from them."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, Skeleton] = OrderedDict()  # by the hash of their kind; the last used one last
        self._counts = array("H", bytes(2 * COUNTS))  # of a kind, how many were read exactly
        self._unseen = LOOKED_AT_EACH - 1  # rows that are read before the next one is looked at
        self._last: Skeleton | None = None  # what fitted the row before nearly always fits the next one

    def request(self, operation: Operation, row: bytes) -> Request:
        """What `snms_words.request` says of the row. Raises SnmsError."""
        last = self._last
        if last is None:
            if self._unseen:
                self._unseen -= 1
                return snms_words.request(operation, row)
        elif (read := last.read(operation, row)) is not None:
            return read
        self._unseen = LOOKED_AT_EACH - 1
        slash = row.find(b"/", 0, PREFIX_WITHIN)
        if slash < 0:
            self._last = None
            return snms_words.request(operation, row)
        kind = _kind(row, 0, slash, len(row))
        self._last = known = self._known.get(kind)
        if known is not None:
            self._known.move_to_end(kind)
            if known is not last and (read := known.read(operation, row)) is not None:
                return read
        read = snms_words.request(operation, row)
        if known is not None:
            self._misfit(kind, known)
        if self._due(kind, LOOKED_AT_EACH if last is None else 1) and (learned := Skeleton.of(row, read)) is not None:
            self._learn(kind, learned)
        return read

    def reader(self, batch: bytes) -> Reader | None:
        """Who may read a whole batch as a block, if its first row is of a known kind."""
        begin = batch.find(b"{", 0, BETWEEN_MOST)
        slash = batch.find(b"/", 0, BETWEEN_MOST + PREFIX_WITHIN)
        if not 0 < begin < slash or batch[:begin].strip(_SPACE) != b"[":
            return None
        head = batch[begin:slash]
        second = batch.find(head, slash, slash + OCTETS_MOST + BETWEEN_MOST + len(head))
        if second < 0:
            return None
        kind = _kind(batch, begin, slash, second)
        known = self._known.get(kind)
        if known is None:
            return None
        self._known.move_to_end(kind)
        return Reader(known, batch, begin)

    def _misfit(self, kind: int, known: Skeleton) -> None:
        known.misfits += 1
        if known.misfits - known.fits > MISFITS_MOST:
            del self._known[kind]
            self._last = None

    def _due(self, kind: int, rows: int) -> bool:
        place = kind % COUNTS
        before = self._counts[place]
        self._counts[place] = times = (before + rows) % COUNTS
        return times >= LEARNED_AFTER and times.bit_length() > before.bit_length()

    def _learn(self, kind: int, learned: Skeleton) -> None:
        self._last = self._known[kind] = learned
        self._known.move_to_end(kind)
        if len(self._known) > KINDS_MOST:
            forgotten, _ = self._known.popitem(last=False)
            self._counts[forgotten % COUNTS] = 0

"""What of the streams is to be sent next, and what a receipt changes about that. Pure: rows and time are given.

A stream is sent in order, from where the top-level node stands. One it does not accept is set aside, and tried again
at growing intervals while the others go on.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any, Final

from proto import uplink_pb2 as pb
from proto.chain import HEAD_FIRST

ENTRIES_MOST: Final = 20_000
"""Entries of one request (uplink.proto): some 2 MB, half a second's work for the other side."""
OCTETS_MOST: Final = 6 * 1024 * 1024
"""Octets of one request: what a signature and its envelope add stays far below signed.MESSAGE_OCTETS."""
STREAMS_MOST: Final = 500
"""Streams of one request: an average node's 1200 prefixes are served in three."""
ASIDE_SECONDS: Final = (2.0, 10.0, 60.0, 300.0, 900.0)
"""Pauses before a stream that was not accepted is tried again; the last one repeats."""

GAPS_MOST: Final = 3
"""Gaps told of one stream with no receipt between them; the next one sets it aside, or we should run in circles."""

BROKEN: Final = "chain"
"""Why a stream is set aside when the books do not agree: people must look."""
REFUSED: Final = "refused"
"""Why it is set aside when the top-level node does not take it now."""


@dataclass(slots=True)
class Line:
    """One stream: how far it goes here (`ours`), and how far there (`theirs`, None: must be asked)."""

    prefix: str
    ours: int
    theirs: int | None = None
    aside: str = ""
    until: float = 0.0
    tries: int = 0
    gaps: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Whose turn it is: (prefix number, the change it is sent after), and within how many entries its changes begin."""

    wanted: tuple[tuple[int, int], ...]
    share: int


@dataclass(frozen=True, slots=True)
class Batch:
    """A request of so many entries, and what it tells of each of its streams: prefix numbers in order, and the heads it
    has told.
    """

    request: pb.PushChangesRequest
    prefixes: tuple[int, ...]
    heads: Mapping[tuple[int, int], bytes]
    entries: int


@dataclass(slots=True)
class Outbox:
    """All streams by prefix number, and the one whose turn was last."""

    lines: dict[int, Line] = field(default_factory=dict)
    _last: int = 0

    def saw(self, prefix_no: int, prefix: str, number: int) -> None:
        """The stream goes as far as `number` here."""
        line = self.lines.setdefault(prefix_no, Line(prefix, number))
        line.ours = max(line.ours, number)

    def only(self, prefix_nos: Set[int]) -> None:
        """There are no other streams to be told any more."""
        self.lines = {n: line for n, line in self.lines.items() if n in prefix_nos}

    @property
    def unknown(self) -> list[int]:
        """Streams of which it must be asked where the top-level node stands."""
        return [n for n, line in self.lines.items() if line.theirs is None and not line.aside]

    def stood(self, prefix_no: int, number: int, agrees: bool, now: float) -> None:
        """The top-level node stands at `number`; `agrees`: its head is ours there."""
        line = self.lines[prefix_no]
        line.theirs = number
        if agrees:
            line.aside = ""
        else:
            self.set_aside(prefix_no, BROKEN, now)

    def received(self, prefix_no: int, number: int) -> None:
        """The top-level node has taken what was sent, as far as `number`: whatever was wrong is over."""
        line = self.lines[prefix_no]
        line.theirs, line.aside, line.tries, line.gaps = number, "", 0, 0

    def follows(self, prefix_no: int, number: int) -> bool:
        """Whether a gap after `number` is to be followed: it says something new, and not the same story for ever."""
        line = self.lines[prefix_no]
        line.gaps += 1
        return number != line.theirs and line.gaps <= GAPS_MOST

    def set_aside(self, prefix_no: int, why: str, now: float) -> None:
        """The stream rests, longer each time until something is received; then it is asked again where it stands."""
        line = self.lines[prefix_no]
        line.until = now + ASIDE_SECONDS[min(line.tries, len(ASIDE_SECONDS) - 1)]
        line.aside, line.tries = why, line.tries + 1

    def wake(self, now: float) -> None:
        """Lets streams that have rested be asked about again."""
        for line in self.lines.values():
            if line.aside and line.until <= now:
                line.aside, line.theirs = "", None

    @property
    def broken(self) -> list[str]:
        """Prefixes whose books do not agree. One that is just being asked about again is not counted twice."""
        return [line.prefix for line in self.lines.values() if line.aside == BROKEN]

    def turn(self) -> Turn:
        """Whose turn it is: those that wait, beginning after the one that was served last."""
        waiting = sorted(
            n
            for n, line in self.lines.items()
            if not line.aside and line.theirs is not None and line.theirs < line.ours
        )
        turned = [n for n in waiting if n > self._last] + [n for n in waiting if n <= self._last]
        wanted = tuple((n, self.lines[n].theirs or 0) for n in turned[:STREAMS_MOST])
        return Turn(wanted, ENTRIES_MOST // max(1, len(wanted)))

    def pack(self, rows: Iterable[Any], versions: Mapping[int, str]) -> Batch:
        """A request that holds as many of `rows` (as registry/postgres/uplink.py tells) as it may.

        `versions` are the version names of templates by number.
        """
        request = pb.PushChangesRequest()
        prefixes: list[int] = []
        heads: dict[tuple[int, int], bytes] = {}
        entries = octets = 0
        for row in rows:
            if heads and entries + len(row["kinds"]) > ENTRIES_MOST:
                break
            number = row["prefix_no"]
            begins = not prefixes or prefixes[-1] != number
            stream = request.streams.add(prefix=self.lines[number].prefix) if begins else request.streams[-1]
            size = _add(stream.changes.add(), row, versions).ByteSize()
            if heads and octets + size > OCTETS_MOST:
                del (request.streams if begins else stream.changes)[-1]
                break
            if begins:
                prefixes.append(number)
            heads[number, row["number"]] = row["head"]
            entries, octets = entries + len(row["kinds"]), octets + size
        if prefixes:
            self._last = prefixes[-1]
        return Batch(request, tuple(prefixes), heads, entries)

    def lost(self, prefixes: Sequence[int]) -> None:
        """What was sent of these streams was not answered: it must be asked where they stand."""
        for number in prefixes:
            self.lines[number].theirs = None


def _add(change: pb.Change, row: Any, versions: Mapping[int, str]) -> pb.Change:
    """Fills in a new change where it is to stand: one made elsewhere would be copied with all its entries."""
    change.number, change.made, change.head = row["number"], row["made"], row["head"]
    add, digests = change.entries.add, row["digests"]
    for suffix, version, kind, template, at in zip(
        row["suffixes"], row["versions"], row["kinds"], row["templates"], range(0, len(digests), 32), strict=True
    ):
        entry = add()  # field by field: named arguments take a third longer
        entry.suffix, entry.version, entry.kind = suffix, version, kind
        entry.template, entry.digest = versions.get(template, ""), digests[at : at + 32]
    return change


def agrees(number: int, head: bytes, ours: bytes | None) -> bool:
    """Whether a place of the top-level node is one of ours, whose head there is `ours` (None: we have no such change).

    A stream nobody told of stands at number 0; its head may be left out.
    """
    if number == 0:
        return head in {b"", HEAD_FIRST}
    return ours == head

"""The stream of a prefix: no gap, a whole chain, nothing written while stopped, every version accounted for.

Pure; the digests are those of proto.chain, which whoever receives the stream computes too.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from loadtest.history.facts import Change, Entry, Stream
from loadtest.history.verdict import Rule, Violation
from proto.chain import HEAD_FIRST, Kind, entry_digest, next_head

GATE_KINDS: Final = frozenset({Kind.PREFIX_ENABLED, Kind.PREFIX_STOPPED})


@dataclass(slots=True)
class Account:
    """What a stream tells: kind and digest of each version of each suffix (place = version - 1), and how the
    state of the prefix went on from enabled, changes only.
    """

    kinds: defaultdict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    digests: defaultdict[str, bytearray] = field(default_factory=lambda: defaultdict(bytearray))
    gates: list[Kind] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)

    @property
    def stopped(self) -> bool:
        """Whether the prefix is stopped at this point."""
        return bool(self.gates) and self.gates[-1] is Kind.PREFIX_STOPPED


def account(stream: Stream) -> Account:
    """Reads a stream from its first change to its last."""
    told, number, head = Account(), 0, HEAD_FIRST
    for change in stream.changes:
        told.violations += _linked(stream.prefix, change, number, head)
        number, head = change.number, change.head
        for entry in change.entries:
            told.violations += _enter(told, stream.prefix, number, entry)
    if (number, head) != (stream.number, stream.head):
        detail = (
            f"it says it stands at {stream.number}, its last change is {number}, heads alike: {head == stream.head}"
        )
        told.violations.append(Violation(Rule.GAP, stream.prefix, detail))
    return told


def _key(prefix: str, suffix: str) -> str:
    return f"{prefix}/{suffix}" if suffix else prefix


def _linked(prefix: str, change: Change, number: int, head: bytes) -> Iterator[Violation]:
    """Whether `change` follows number and head."""
    if change.number != number + 1:
        yield Violation(Rule.GAP, prefix, f"change {change.number} follows {number}")
    digests = [entry_digest(_key(prefix, e.suffix), e.version, e.kind, e.template, e.digest) for e in change.entries]
    if next_head(head, digests) != change.head:
        yield Violation(Rule.CHAIN, prefix, f"the head of change {change.number} is not that of its entries")
    if len({entry.suffix for entry in change.entries}) != len(change.entries):
        yield Violation(Rule.ACCOUNT, prefix, f"change {change.number} tells of one identifier twice")


def _enter(told: Account, prefix: str, number: int, entry: Entry) -> Iterator[Violation]:
    """Adds one entry to the account."""
    kind = Kind(entry.kind)
    if kind in GATE_KINDS:
        if told.stopped != (kind is Kind.PREFIX_STOPPED):
            told.gates.append(kind)
        return
    if told.stopped:
        subject = _key(prefix, entry.suffix)
        yield Violation(Rule.STOPPED_WRITE, subject, f"change {number} writes its version {entry.version}")
    kinds = told.kinds[entry.suffix]
    if entry.version != len(kinds) + 1:
        detail = f"change {number} tells of version {entry.version} after {len(kinds)}"
        yield Violation(Rule.ACCOUNT, _key(prefix, entry.suffix), detail)
    kinds.append(kind)
    told.digests[entry.suffix] += entry.digest

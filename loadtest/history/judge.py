"""The judge: all operations and all facts in, one verdict out. Pure, one identifier at a time.

Time is n log n, memory that of the input and of the busiest identifier.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Final, NamedTuple

from loadtest.history.facts import Facts, Row, Version
from loadtest.history.gate import Gate, open_gate
from loadtest.history.line import Bounds, Lag, Sight, Stale, sweep
from loadtest.history.makers import Makers, find_makers
from loadtest.history.operation import WRITES, Act, Operation, Outcome, Recording
from loadtest.history.streams import Account, account
from loadtest.history.verdict import Rule, Verdict, Violation
from proto.chain import Kind

_READS: Final = frozenset({Act.RESOLVE, Act.DETAIL})
_NO_OPERATIONS: Final[Sequence[Operation]] = ()
_NO_ROW: Final = Row(0, 0, False, b"")


class _Line(NamedTuple):
    """One identifier with all that is known of it."""

    subject: str
    versions: Sequence[Version]
    operations: Sequence[Operation]
    makers: Makers


def judge(
    crowd: Recording,
    gates: Mapping[str, Sequence[Operation]],
    facts: Facts,
    machines: int,
    bounds: Bounds = Bounds(),  # noqa: B008 - frozen
) -> Verdict:
    """Whether what the crowd saw on `machines` machines, and what is left now, can all be true at once.

    `gates` holds the warden's calls of each prefix in the order they were made. Operations may come in any order.
    """
    verdict = Verdict()
    accounts = {stream.prefix: account(stream) for stream in facts.streams}
    opened = {
        prefix: open_gate(prefix, gates.get(prefix, _NO_OPERATIONS), told.gates, machines, bounds)
        for prefix, told in accounts.items()
    }
    for violation in chain(
        *(told.violations for told in accounts.values()),
        *(violations for _, violations in opened.values()),
        _tables(facts, accounts),
        _histories(facts, accounts),
    ):
        verdict.add(violation)
    verdict.tallies["changes"] += sum(len(stream.changes) for stream in facts.streams)
    verdict.tallies["gates worked"] += sum(len(told.gates) for told in accounts.values())
    verdict.tallies["gates not judged"] += sum(gate is None for gate, _ in opened.values())
    for item in sorted(set(crowd.items()) | set(facts.histories)):
        prefix, suffix = facts.names[item]
        line = _line(f"{prefix}/{suffix}", facts.histories.get(item, ()), list(crowd.of(item)))
        _judge_line(verdict, line, opened[prefix][0], machines, bounds)
    return verdict


def _line(subject: str, versions: Sequence[Version], operations: Sequence[Operation]) -> _Line:
    writes = [operation for operation in operations if operation.act in WRITES]
    return _Line(subject, versions, operations, find_makers(subject, versions, writes))


def _judge_line(verdict: Verdict, line: _Line, gate: Gate | None, machines: int, bounds: Bounds) -> None:
    """Adds to `verdict` what is wrong with one identifier, and what was looked at."""
    verdict.tallies["identifiers"] += 1
    verdict.tallies["versions"] += len(line.versions)
    verdict.tallies["operations"] += len(line.operations)
    contents = [violation for o in line.operations for violation in _content(line, o)]
    gated = [v for o in line.operations if gate for v in _gated(line.subject, o, gate)]
    for violation in chain(line.makers.violations, contents, gated):
        verdict.add(violation)
    sights = list(_sights(line))
    verdict.tallies["sights"] += len(sights)
    for found in sweep(line.makers.made, sights, machines, bounds):
        if isinstance(found, Stale):
            verdict.add(_stale(line, found))
        else:
            _count_lag(verdict, found, bounds)


def _count_lag(verdict: Verdict, lag: Lag, bounds: Bounds) -> None:
    verdict.tallies["lagging"] += 1
    verdict.tallies["late"] += lag.age > bounds.watched
    verdict.oldest_ns = max(verdict.oldest_ns, lag.age)


def _stale(line: _Line, stale: Stale) -> Violation:
    operations = (stale.sight.operation, stale.cause) if stale.cause else (stale.sight.operation,)
    detail = f"it saw version {stale.seen} where {stale.needed} was due"
    return Violation(stale.rule, line.subject, detail, operations)


def _found(operation: Operation) -> bool:
    return operation.act in _READS and operation.outcome is Outcome.DONE


def _content(line: _Line, operation: Operation) -> Iterator[Violation]:
    """What is wrong with what one operation saw, whenever it was."""
    if operation.act is Act.CREATE and operation.outcome is Outcome.EXISTS and not line.versions:
        yield Violation(Rule.UNWRITTEN, line.subject, "it is said to exist and never did", (operation,))
    if not _found(operation):
        return
    place = line.makers.by_token.get(operation.token)
    if operation.again != operation.token:
        detail = f"it saw the tokens {operation.token} and {operation.again} together"
        yield Violation(Rule.HALF, line.subject, detail, (operation,))
    elif place is None:
        yield Violation(Rule.UNWRITTEN, line.subject, "it saw a token that is in no version", (operation,))
    elif operation.note != line.makers.noted[place]:
        detail = f"it saw the note {operation.note}, version {place} has {line.makers.noted[place]}"
        yield Violation(Rule.HALF, line.subject, detail, (operation,))
    elif operation.told not in (0, line.versions[place - 1].number):
        detail = f"its ETag tells version {operation.told}, its token is of version {place}"
        yield Violation(Rule.HALF, line.subject, detail, (operation,))


def _sights(line: _Line) -> Iterator[Sight]:
    """What each operation tells about the version in force: reads, and refusals that give a reason."""
    places = enumerate(line.versions, 1)
    live = [place for place, version in places if version.kind != Kind.DELETED]
    absent = sorted(set(range(len(line.versions) + 1)).difference(live))
    for operation in line.operations:
        if operation.outcome is Outcome.ABSENT:
            yield Sight(operation, absent)
        elif operation.outcome is Outcome.EXISTS and live:
            yield Sight(operation, live)
        elif _found(operation) and operation.token in line.makers.by_token:
            yield Sight(operation, (line.makers.by_token[operation.token],))


def _gated(subject: str, operation: Operation, gate: Gate) -> Iterator[Violation]:
    """Whether an operation saw its prefix as it was. Owners may read under a stopped prefix: only the public
    road tells that it is enabled, and what a write shows is judged in the stream.
    """
    if operation.outcome is Outcome.STOPPED:
        yield from gate.judge(subject, operation, stopped=True)
    elif operation.act is Act.RESOLVE and operation.outcome in (Outcome.DONE, Outcome.ABSENT):
        yield from gate.judge(subject, operation, stopped=False)


def _tables(facts: Facts, accounts: Mapping[str, Account]) -> Iterator[Violation]:
    """Whether the tables hold exactly the versions the streams tell of, each with the body that was told."""
    told = {(prefix, suffix): _row(a, suffix) for prefix, a in accounts.items() for suffix in a.kinds}
    for key in sorted(told.keys() | facts.rows.keys()):
        due, row = told.get(key, _NO_ROW), facts.rows.get(key, _NO_ROW)
        if row[:3] != due[:3]:
            detail = f"the tables hold {_versions(row)}, the stream tells {_versions(due)}"
            yield Violation(Rule.ACCOUNT, "/".join(key), detail)
        elif row != due:
            yield Violation(Rule.ACCOUNT, "/".join(key), "a body is not the one its change was made with")


def _row(told: Account, suffix: str) -> Row:
    kinds = told.kinds[suffix]
    return Row(len(kinds), len(kinds), kinds[-1] != Kind.DELETED, bytes(told.digests[suffix]))


def _versions(row: Row) -> str:
    return f"{row.versions} versions up to {row.last} ({'live' if row.live else 'absent'})"


def _histories(facts: Facts, accounts: Mapping[str, Account]) -> Iterator[Violation]:
    """Whether the history of each identifier is of the kinds the streams tell of."""
    for item, versions in facts.histories.items():
        prefix, suffix = facts.names[item]
        due = bytes(accounts[prefix].kinds.get(suffix, b""))
        shown = bytes(version.kind for version in versions)
        if shown != due:
            detail = f"its history shows {_kinds(shown)}, the stream tells {_kinds(due)}"
            yield Violation(Rule.ACCOUNT, f"{prefix}/{suffix}", detail)


def _kinds(kinds: bytes) -> str:
    """How many of each kind, for a sentence."""
    return ", ".join(f"{kinds.count(kind)} {Kind(kind).name.lower()}" for kind in sorted(set(kinds))) or "nothing"

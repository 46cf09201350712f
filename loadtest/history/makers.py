"""Which write made which version: by the token it carries, or, for a deletion, by when it can have happened.

Pure. Whatever does not fit is a violation; whatever is uncertain is given the most charitable reading.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import accumulate
from typing import Final, NamedTuple

from loadtest.history.facts import Version
from loadtest.history.line import NOTHING, Made
from loadtest.history.operation import ABROAD, NEVER, NOT_DONE, Act, Operation, Outcome
from loadtest.history.verdict import Rule, Violation
from proto.chain import Kind

_ASKED: Final = {Kind.CREATED: Act.CREATE, Kind.REVIVED: Act.CREATE, Kind.UPDATED: Act.UPDATE}
"""The write a version of each kind with values must come from."""

_AFTER: Final[dict[Kind | None, set[Kind]]] = {
    None: {Kind.CREATED},
    Kind.CREATED: {Kind.UPDATED, Kind.DELETED},
    Kind.UPDATED: {Kind.UPDATED, Kind.DELETED},
    Kind.REVIVED: {Kind.UPDATED, Kind.DELETED},
    Kind.DELETED: {Kind.REVIVED},
}
"""Which kinds may follow which."""


class Makers(NamedTuple):
    """`made` by place in the line (0 = NOTHING), `noted` the note due at each place, `by_token` the place of each."""

    made: list[Made]
    noted: list[int]
    by_token: dict[int, int]
    violations: list[Violation]


def effect_end(operation: Operation) -> int:
    """When its effect is in force for certain: an unknown outcome may take effect at any later time."""
    return operation.end if operation.outcome is Outcome.DONE else NEVER


def find_makers(subject: str, versions: Sequence[Version], writes: Sequence[Operation]) -> Makers:
    """The maker of each version, from the history of one identifier and all writes that were asked of it."""
    violations = [*_numbers(subject, versions), *_kinds(subject, versions)]
    written = {write.token: write for write in writes if write.act is not Act.DELETE}
    made, noted, by_token = [NOTHING], [0], dict[int, int]()
    for version in versions:
        if version.kind == Kind.DELETED:
            made.append(NOTHING)
            noted.append(0)
            continue
        write = written.get(version.token)
        noted.append(_note(version, write, noted[-1]))
        violations += _content(subject, version, write, noted[-1], by_token)
        by_token[version.token] = len(made)
        made.append(Made(write.begin, effect_end(write), write.machine, write) if write else NOTHING)
    violations += [
        Violation(Rule.LOST, subject, "its token is in no version", (write,))
        for token, write in written.items()
        if write.outcome is Outcome.DONE and token not in by_token
    ]
    deletes = [w for w in writes if w.act is Act.DELETE and w.outcome not in NOT_DONE]
    violations += _deletions(subject, versions, deletes, made)
    violations += _order(subject, made)
    return Makers(made, noted, by_token, violations)


def _numbers(subject: str, versions: Sequence[Version]) -> Iterator[Violation]:
    for expected, version in enumerate(versions, 1):
        if version.number != expected:
            yield Violation(Rule.GROW, subject, f"version {version.number} stands where {expected} is due")
            return


def _kinds(subject: str, versions: Sequence[Version]) -> Iterator[Violation]:
    before: Kind | None = None
    for version in versions:
        kind = Kind(version.kind)
        if kind not in _AFTER[before]:
            after = before.name if before else "nothing"
            yield Violation(Rule.KIND, subject, f"version {version.number} is {kind.name} after {after}")
        before = kind


def _note(version: Version, write: Operation | None, before: int) -> int:
    """The note a version must carry: an update without one leaves the note that was there."""
    if write is None:
        return version.note
    return write.note or (before if version.kind == Kind.UPDATED else 0)


def _content(
    subject: str, version: Version, write: Operation | None, noted: int, by_token: dict[int, int]
) -> Iterator[Violation]:
    """What is wrong with the content of one version that has values."""
    where, by = f"version {version.number} (token {version.token})", (write,) if write else ()
    if write is None:
        yield Violation(Rule.UNWRITTEN, subject, f"{where} was never asked for")
    elif write.outcome in NOT_DONE:
        yield Violation(Rule.REFUSED_THERE, subject, f"{where} was refused", by)
    elif _ASKED[Kind(version.kind)] is not write.act:
        yield Violation(Rule.KIND, subject, f"{where} is {Kind(version.kind).name}", by)
    if version.token in by_token:
        yield Violation(Rule.TWICE, subject, f"{where} is version {by_token[version.token]} too", by)
    if (version.token, noted) != (version.again, version.note):
        told = f"{where} carries the second token {version.again} and the note {version.note}, due {noted}"
        yield Violation(Rule.HALF, subject, told, by)


def _order(subject: str, made: Sequence[Made]) -> Iterator[Violation]:
    """Versions whose write was acknowledged before the write of an earlier version was begun."""
    latest = NOTHING
    for number, version in enumerate(made):
        if version.acked < latest.begin:
            operations = tuple(m.operation for m in (version, latest) if m.operation)
            yield Violation(Rule.ORDER, subject, f"version {number} was written before an earlier one", operations)
        latest = max(latest, version, key=lambda m: m.begin)


class _Range(NamedTuple):
    """The deletions (by place among the deletions) one delete can have made: first … last."""

    first: int
    last: int
    operation: Operation


def _deletions(
    subject: str, versions: Sequence[Version], deletes: Sequence[Operation], made: list[Made]
) -> Iterator[Violation]:
    """Gives each deleted version its maker in `made`, and tells what cannot be matched.

    A deletion carries no token, but its neighbours do: it happened after every earlier write began and before
    every later one was acknowledged. Both ends only grow from deletion to deletion, so the deletions a delete
    can have made are a range.
    """
    places = [n for n, version in enumerate(versions, 1) if version.kind == Kind.DELETED]
    begun = list(accumulate((m.begin for m in made), max))
    acked = list(accumulate((m.acked for m in reversed(made)), min))[::-1]
    first_possible, last_possible = [begun[n] for n in places], [acked[n] for n in places]
    ranges = [
        _Range(
            bisect_left(last_possible, delete.begin),
            bisect_right(first_possible, effect_end(delete)) - 1,
            delete,
        )
        for delete in deletes
    ]
    sure = [r for r in ranges if r.operation.outcome is Outcome.DONE]
    for lost in _matched(sure, len(places))[1]:
        yield Violation(Rule.LOST, subject, "no deletion can be its doing", (lost,))
    for place in _matched(ranges, len(places))[0]:
        yield Violation(Rule.UNWRITTEN, subject, f"version {places[place]} was deleted by nobody")
    for place, number in enumerate(places):
        made[number] = _deleted_by([r for r in ranges if r.first <= place <= r.last])


def _matched(ranges: Sequence[_Range], places: int) -> tuple[list[int], list[Operation]]:
    """The places without a delete and the deletes without a place when as many as can be are matched.

    Always taking the range that ends first is best possible for ranges (Glover 1967). That every deletion finds
    some delete, and every acknowledged delete some deletion, are asked apart: when each can be had, both can be
    had at once (Mendelsohn and Dulmage 1958).
    """
    waiting: list[tuple[int, int]] = []
    coming = sorted(range(len(ranges)), key=lambda n: ranges[n].first, reverse=True)
    empty, left_over = list[int](), [r.operation for r in ranges if r.first > r.last]
    for place in range(places):
        while coming and ranges[coming[-1]].first <= place:
            n = coming.pop()
            if ranges[n].first <= ranges[n].last:
                heappush(waiting, (ranges[n].last, n))
        while waiting and waiting[0][0] < place:
            left_over.append(ranges[heappop(waiting)[1]].operation)
        if waiting:
            heappop(waiting)
        else:
            empty.append(place)
    return empty, left_over + [ranges[n].operation for _, n in waiting]


def _deleted_by(possible: Sequence[_Range]) -> Made:
    """The maker of one deletion: the acknowledged delete that can have made no other, or all that may be."""
    sure = [r for r in possible if r.first == r.last and r.operation.outcome is Outcome.DONE]
    if sure:
        delete = sure[0].operation
        return Made(delete.begin, delete.end, delete.machine, delete)
    if not possible:
        return NOTHING
    machines = {r.operation.machine for r in possible}
    return Made(
        min(r.operation.begin for r in possible),
        max(effect_end(r.operation) for r in possible),
        machines.pop() if len(machines) == 1 else ABROAD,
        possible[0].operation,
    )

"""The gate of a prefix: when it was stopped and enabled, and whether each sight of it fits time and machine.

Pure. One warden works each gate, one call after the other, repeating a call until it is acknowledged.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Final

from loadtest.history.line import NOTHING, Bounds, Made, begun, greatest
from loadtest.history.operation import NEVER, NOT_DONE, Act, Operation, Outcome
from loadtest.history.verdict import Rule, Violation
from proto.chain import Kind

_SHOWS: Final = {Act.STOP: Kind.PREFIX_STOPPED, Act.ENABLE: Kind.PREFIX_ENABLED}


def phases(operations: Iterable[Operation]) -> list[Made]:
    """The warden's calls, each with its repetitions as one: begun with the first, in force with the first
    acknowledged. `operations` is in the order of their beginning.
    """
    tried = [operation for operation in operations if operation.outcome not in NOT_DONE]
    return [_phase(list(calls)) for _, calls in groupby(tried, key=lambda operation: operation.act)]


def _phase(calls: Sequence[Operation]) -> Made:
    done = next((call for call in calls if call.outcome is Outcome.DONE), None)
    return Made(calls[0].begin, done.end if done else NEVER, calls[0].machine, done or calls[0])


def _doubts(operations: Iterable[Operation]) -> dict[bool, int]:
    """For stopped and not stopped: when the first call for it began of which it is unknown when it took effect."""
    unknown = [operation for operation in operations if operation.outcome is Outcome.UNKNOWN]
    return {
        stopped: min((operation.begin for operation in unknown if operation.act is act), default=NEVER)
        for stopped, act in ((True, Act.STOP), (False, Act.ENABLE))
    }


class Gate:
    """Versions of a gate: 0 enabled, 1 stopped, 2 enabled, and so on, as the stream confirms.

    An unknown call may still wait at a machine, in the queue of a worker that died, and take effect long after it was
    repeated: the warden's next call for the same then changes nothing and leaves no trace in the stream. So from its
    beginning on what it asked for may be seen at any time; `doubts` holds these beginnings.
    """

    def __init__(self, made: Sequence[Made], doubts: Mapping[bool, int], machines: int, bounds: Bounds) -> None:
        self._made, self._doubts, self._bounds = [NOTHING, *made], doubts, bounds
        self._since = begun(self._made)
        self._versions = {state: [n for n in range(len(self._made)) if n % 2 == state] for state in (False, True)}
        self._here = [[n for n, m in enumerate(self._made) if m.machine == machine] for machine in range(machines)]
        self._acked = [version.acked for version in self._made[1:]]

    def judge(self, subject: str, sight: Operation, stopped: bool) -> Iterator[Violation]:
        """Whether `sight` may have seen the prefix stopped, or not stopped."""
        if sight.end > self._doubts[stopped]:
            return
        seen = greatest(self._versions[stopped], bisect_right(self._since, sight.end) - 1)
        here = self._here[sight.machine]
        own = bisect_left(here, sight.begin, key=lambda n: self._made[n].acked)
        needed = max(
            here[own - 1] if own else 0,
            bisect_left(self._acked, sight.begin - self._bounds.other),
        )
        if seen is None or seen < needed:
            state = "stopped" if stopped else "enabled"
            cause = self._made[needed].operation
            operations = (sight, cause) if cause else (sight,)
            yield Violation(Rule.GATE, subject, f"it answers as if its prefix were {state}", operations)


def open_gate(
    prefix: str, operations: Sequence[Operation], shown: Sequence[Kind], machines: int, bounds: Bounds
) -> tuple[Gate | None, list[Violation]]:
    """The gate worked by `operations`, of which the stream shows `shown`.

    None when an unknown call took effect late, so that the phases no longer say what was in force when: its
    sights are then not judged.
    """
    made = phases(operations)
    while len(made) > len(shown) and made[-1].acked == NEVER:
        made.pop()
    asked = [_SHOWS[phase.operation.act] for phase in made if phase.operation]
    if asked == list(shown):
        return Gate(made, _doubts(operations), machines, bounds), []
    if len(shown) > len(asked) and any(o.outcome is Outcome.UNKNOWN for o in operations):
        return None, []
    rule = Rule.LOST if len(shown) < len(asked) else Rule.UNWRITTEN
    detail = f"the warden worked its gate {len(asked)} times, the stream shows {len(shown)}"
    return None, [Violation(rule, prefix, detail)]

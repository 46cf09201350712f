"""What is told of a run: a table and a verdict for people, JSON for machines. Pure.

What a verdict means is said in docs/history-checker.md.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtest.history.line import Bounds
from loadtest.history.operation import Act, Outcome
from loadtest.history.timetable import FaultKind, Suffered
from loadtest.history.verdict import Verdict

SENTENCES_MOST: Final = 20
"""Violations printed; the report file holds more."""
_DONE: Final = Outcome.DONE.name.lower()


@dataclass(frozen=True, slots=True)
class Run:
    """All there is to tell. `tallies` counts by what was called and what was told."""

    seed: int
    seconds: float
    storm: bool
    bounds: Bounds
    tallies: Counter[tuple[str, str]]
    surprises: Counter[str]
    suffered: Sequence[Suffered]
    verdict: Verdict

    @property
    def missing(self) -> list[str]:
        """What must have happened for a clean verdict to mean anything, and did not."""
        done = {what.split(" ")[0] for what, outcome in self.tallies if outcome == _DONE}
        suffered = {each.fault.kind for each in self.suffered if each.result == "done"}
        return [act.name.lower() for act in Act if act.name.lower() not in done] + [
            kind.value for kind in FaultKind if kind not in suffered
        ]

    @property
    def exit_code(self) -> int:
        """0 clean, 1 violated, 2 nothing proven."""
        if not self.verdict.clean:
            return 1
        return 2 if self.missing else 0


_SENTENCES: Final = {
    0: "结论：无违反。 Verdict: clean.",
    1: "结论：有违反！ Verdict: VIOLATED.",
    2: "结论：未能证明，缺少： Verdict: nothing proven, missing: ",
}


def table(run: Run) -> str:
    """The run for people."""
    lines = [
        *_outcomes(run.tallies),
        "",
        *_faults(run.suffered),
        "",
        *(f"{zh} {en:<44} {number:>12,}" for zh, en, number in _numbers(run.verdict)),
        f"最旧的时限内读取 oldest read within the bound {run.verdict.oldest_ns / 1e9:.3f} s "
        f"(时限 bound {run.bounds.other / 1e9:g} s, 种子 seed {run.seed})",
        *(f"意外的回答 unexpected answer ×{number}: {text}" for text, number in run.surprises.most_common(10)),
        "",
        *(f"{rule.zh} / {rule.en}: {number}" for rule, number in run.verdict.broken.most_common()),
        *(f"  {violation.sentence}" for violation in run.verdict.violations[:SENTENCES_MOST]),
        _SENTENCES[run.exit_code] + (", ".join(run.missing) if run.exit_code == 2 else ""),
    ]
    return "\n".join(lines)


def _outcomes(tallies: Mapping[tuple[str, str], int]) -> list[str]:
    columns = [outcome.name.lower() for outcome in Outcome]
    rows = sorted({what for what, _ in tallies})
    head = f"{'操作 operation':<18}" + "".join(f"{column:>11}" for column in columns)
    return [head] + [
        f"{what:<20}" + "".join(f"{tallies.get((what, column), 0):>11,}" for column in columns) for what in rows
    ]


def _faults(suffered: Sequence[Suffered]) -> list[str]:
    told = Counter((each.fault.kind, each.result) for each in suffered)
    return [
        f"{kind.value}: {told[kind, 'done']} 次 times"
        + "".join(f"; {number} × {result}" for (k, result), number in told.items() if k is kind and result != "done")
        for kind in FaultKind
    ]


def _numbers(verdict: Verdict) -> list[tuple[str, str, int]]:
    tallies = verdict.tallies
    return [
        ("操作", "operations judged", tallies["operations"]),
        ("标识", "identifiers", tallies["identifiers"]),
        ("版本", "versions", tallies["versions"]),
        ("变更", "changes in the streams", tallies["changes"]),
        ("所见", "sights of a version", tallies["sights"]),
        ("停启", "changes of a prefix's state", tallies["gates worked"]),
        ("未判", "prefixes whose state could not be judged", tallies["gates not judged"]),
        ("滞后", "sights behind another machine", tallies["lagging"]),
        ("迟缓", "of these, by more than the watched age", tallies["late"]),
    ]


def document(run: Run) -> dict[str, Any]:
    """The run for machines."""
    return {
        "clean": run.verdict.clean,
        "exit_code": run.exit_code,
        "missing": run.missing,
        "seed": run.seed,
        "seconds": run.seconds,
        "storm": run.storm,
        "bound_seconds": run.bounds.other / 1e9,
        "watched_seconds": run.bounds.watched / 1e9,
        "outcomes": {f"{what} {outcome}": number for (what, outcome), number in sorted(run.tallies.items())},
        "faults": [
            {"at": round(f.at, 3), "kind": f.kind.name, "machine": f.machine, "seconds": f.seconds, "result": result}
            for f, result in run.suffered
        ],
        "judged": dict(run.verdict.tallies),
        "oldest_seconds": run.verdict.oldest_ns / 1e9,
        "surprises": dict(run.surprises),
        "broken": {rule.name: number for rule, number in run.verdict.broken.items()},
        "violations": [violation.sentence for violation in run.verdict.violations],
    }

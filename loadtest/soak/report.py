"""What is told of a long run: tables and plots for people, JSON for machines. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from loadtest.page import Section, page
from loadtest.plot import Axis, Line, Plot
from loadtest.report import by_second, classes, latencies, latency_plot, rate_plot
from loadtest.soak.memory import Memory
from loadtest.table import Table
from loadtest.tally import Tally

SCHEMA: Final = 1
"""Number of the JSON's form; it grows when a reader would have to change."""
ZH: Final = "长跑：内存是否增长"
EN: Final = "Soak: does memory grow?"
MEBI: Final = 1024 * 1024
_COLUMNS: Final = (
    ("进程", "process"),
    ("开始", "start, MiB"),
    ("最高", "most, MiB"),
    ("结束", "end, MiB"),
    ("增长", "growth, MiB"),
    ("结论", "verdict"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """All there is to tell of one command; `started` is UTC, `settings` are the options by name. `restarted` workers
    died and were replaced, so what they held was never seen whole.
    """

    started: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str | None]
    tally: Tally
    memory: Sequence[Memory]
    restarted: int

    @property
    def exit_code(self) -> int:
        """0 all right and nothing grows, 1 not so, 2 nothing was answered."""
        total = self.tally.total
        if not total.answered:
            return 2
        return 1 if total.wrong or self.restarted or any(each.grows for each in self.memory) else 0


def table(told: Told) -> str:
    """What is told to people."""
    lines = [f"{ZH} · {EN}", "", *_memory(told).lines(), "", *classes(told.tally).lines(), "", *_notes(told)]
    return "\n".join(lines)


def html(told: Told) -> str:
    """The page."""
    lines = [
        Line(f"worker {each.pid}", [(round(at, 1), octets / MEBI) for at, octets in each.samples])
        for each in told.memory
    ]
    time = Axis("开始后的秒数", "seconds since the start", "s")
    drawn = Plot("各进程的常驻内存", "Resident memory of each worker", time, Axis("内存", "memory", "MiB"), lines)
    sections = [
        Section("内存", "Memory", _notes(told), [_memory(told), drawn]),
        Section("回答", "Answers", [], [classes(told.tally), rate_plot([("", told.tally)]), latency_plot(told.tally)]),
    ]
    return page(ZH, EN, told.started, sections)


def _memory(told: Told) -> Table:
    rows = [
        [f"worker {each.pid}", *map(_mebi, (each.first, each.most, each.last, each.growth)), _verdict(each)]
        for each in told.memory
    ]
    return Table(_COLUMNS, rows)


def _mebi(octets: int | None) -> str:
    return "–" if octets is None else f"{octets / MEBI:,.1f}"


def _verdict(memory: Memory) -> str:
    if memory.growth is None:
        return "太短 too short"
    return "增长 GROWS ✗" if memory.grows else "不增长 steady ✓"


def _notes(told: Told) -> list[str]:
    lines = [
        "增长：第二个四分之一到最后一个四分之一的中位数之差；开头缓存还在填。",
        "Growth: from the median of the second quarter of the run to that of the last; in the first one caches fill.",
    ]
    if told.restarted:
        lines.append(f"更替的工作进程 workers that were replaced: {told.restarted}")
    return lines + [f"答错 wrong: {text}" for text in told.tally.examples]


def document(told: Told) -> dict[str, Any]:
    """What is told to machines."""
    total = told.tally.total
    return {
        "schema": SCHEMA,
        "kind": "soak",
        "started": told.started,
        "versions": dict(told.versions),
        "settings": dict(told.settings),
        "exit_code": told.exit_code,
        "answered": total.answered,
        "wrong_examples": told.tally.examples,
        "latency_ms": latencies(total.latency),
        "by_second": by_second(told.tally),
        "restarted": told.restarted,
        "memory": [
            {
                "pid": each.pid,
                "growth": each.growth,
                "grows": each.grows,
                "samples": [[round(at, 1), octets] for at, octets in each.samples],
            }
            for each in told.memory
        ],
    }

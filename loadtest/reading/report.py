"""What is told of a comparison: a table for people, JSON for machines. Pure; the JSON is said in docs/loadtest.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from loadtest.page import Section, page
from loadtest.plot import Bar, Bars
from loadtest.reading.measure import Open, Result, Side
from loadtest.report import BUSY, by_second, latencies, latency_plot, rate_plot
from loadtest.table import Table
from loadtest.tally import Tally

SCHEMA: Final = 2
"""Number of the JSON's form; it grows when a reader would have to change."""
ZH: Final = "与nginx并排读取"
EN: Final = "Reading, side by side with nginx"
_COLUMNS: Final = (
    ("场景", "scenario"),
    ("问什么", "what is asked"),
    ("节点÷标尺", "node ÷ yardstick"),
    ("最小…最大", "least…most"),
    ("按CPU", "by CPU"),
    ("承诺", "promised"),
    ("力求", "aim"),
    ("节点每秒", "node /s"),
    ("标尺每秒", "yardstick /s"),
    ("节点µs", "node µs"),
    ("标尺µs", "yardstick µs"),
)
_ROLES: Final = {"postgres": "PostgreSQL", "redis": "Redis"}


@dataclass(frozen=True, slots=True)
class Told:
    """All there is to tell of one command; `started` is UTC, `settings` are the options by name, `failed` tells why
    scenarios could not be measured.
    """

    started: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str | None]
    results: Mapping[str, Result]
    failed: Mapping[str, str]

    @property
    def exit_code(self) -> int:
        """0 all was measured, 1 some answered wrongly."""
        opened = [result.open.tally.total for result in self.results.values() if result.open]
        return 1 if self.failed or any(total.wrong for total in opened) else 0


def comparison(told: Told) -> Table:
    """A line for each scenario."""
    return Table(_COLUMNS, [_row(name, result) for name, result in told.results.items()], names=2)


def explanation(told: Told) -> list[str]:
    """What a newcomer must know to read the table."""
    turns = f"{told.settings['pairs']} × {told.settings['seconds']} s"
    population = f"{told.settings['population']:,}"
    return [
        f"节点与nginx轮流受测，各{turns}，同样的请求、同样长的正文；标识{population}个，64个连接。",
        f"The node and nginx in turn, {turns} each: the same requests, bodies of the same length; {population} "
        "identifiers, 64 connections.",
        "比值1.000表示与nginx的“return 200”一样快；取各次的中位数。✓达到，✗未达到。"
        "access-log与counted的标尺是另一个节点。",
        "A ratio of 1.000 is as fast as nginx's “return 200”; it is the median of the turns. ✓ met, ✗ not met. The "
        "yardstick of access-log and counted is another node.",
        "“按CPU”是标尺与节点的µs之比：机器忙时，它更接近空闲时的比值。",
        "“By CPU” is the yardstick's µs by the node's: on a busy machine it is nearer to the ratio of a quiet one.",
        "µs是工作进程用于一个回答的CPU微秒，“+”后是PostgreSQL与Redis的；别的负载对它影响最小。",
        "µs are microseconds of CPU of the worker processes for an answer, after “+” those of PostgreSQL and Redis; "
        "other load on the machine shakes them least.",
    ]


def table(told: Told) -> str:
    """What is told to people."""
    title = f"{ZH} · {EN}"
    return "\n".join([title, "", *comparison(told).lines(), "", *_notes(told), *explanation(told)])


def html(told: Told) -> str:
    """The page."""
    bars = [
        Bar(name, median(result.ratios), min(result.ratios), max(result.ratios), result.scenario.bar)
        for name, result in told.results.items()
    ]
    marked = "竖线：承诺的比值；横线：各次的范围。 Upright: the promised ratio; thin line: the range of the turns."
    drawing = Bars("节点÷标尺", "Node by yardstick", bars, 1.0, marked)
    sections = [Section("每秒回答数之比", "Ratio of answers a second", explanation(told), [comparison(told), drawing])]
    sections += [_open_section(name, result.open) for name, result in told.results.items() if result.open]
    if notes := _troubles(told):
        sections.append(Section("要留意的", "Mind", notes))
    about = " · ".join([told.started, *(f"{name} {each}" for name, each in told.versions.items() if each)])
    return page(ZH, EN, about, sections)


def _open_section(name: str, open_: Open) -> Section:
    drawings = [latency_plot(open_.tally), rate_plot([(name, open_.tally)])]
    return Section(f"延迟：{name}", f"Latency: {name}", _open_lines(open_), drawings)


def _notes(told: Told) -> list[str]:
    opened = [f"{name}: {line}" for name, each in told.results.items() if each.open for line in _open_lines(each.open)]
    return opened + _troubles(told)


def _row(name: str, result: Result) -> list[str]:
    ratios, scenario = result.ratios, result.scenario
    middle = median(ratios)
    nodes, yardsticks = [pair.node for pair in result.pairs], [pair.yardstick for pair in result.pairs]
    return [
        name,
        f"{scenario.zh} {scenario.en}",
        f"{middle:.3f}",
        f"{min(ratios):.3f}…{max(ratios):.3f}",
        f"{_by_cpu(nodes, yardsticks):.3f}",
        _judged(middle, scenario.bar),
        _judged(middle, scenario.reach),
        f"{_rate(nodes):,.0f}",
        f"{_rate(yardsticks):,.0f}",
        _efforts(nodes),
        _efforts(yardsticks),
    ]


def _judged(ratio: float, bar: float | None) -> str:
    return "–" if bar is None else f"{bar:.2f} {'✓' if ratio >= bar else '✗'}"


def _rate(sides: Sequence[Side]) -> float:
    return median(side.counted.rate for side in sides)


def effort(sides: Sequence[Side]) -> dict[str, float]:
    """Microseconds of CPU for an answer, by role; the median of the runs."""
    return {role: median(side.effort[role] for side in sides) for role in sides[0].effort}


def _by_cpu(nodes: Sequence[Side], yardsticks: Sequence[Side]) -> float:
    """The ratio that the workers' CPU time alone would come to; 0 where none was seen."""
    worker = effort(nodes)["worker"]
    return effort(yardsticks)["worker"] / worker if worker else 0.0


def _efforts(sides: Sequence[Side]) -> str:
    told = effort(sides)
    # Half a microsecond is what hundredths of a second come to over the answers of a run.
    others = "".join(f"+{each:.1f}" for role, each in told.items() if role in _ROLES and each > 0.5)
    return f"{told['worker']:.1f}{others}"


def _open_lines(open_: Open) -> list[str]:
    late = latencies(open_.tally.late)
    lines = [
        f"半载时的延迟（开放到达，每秒{open_.rate:,.0f}个） latency at half of its rate, open arrivals: "
        f"{_times(open_.tally)}",
        f"同样的到达打在nginx上 the same arrivals on nginx: {_times(open_.yardstick)}",
        f"其中负载进程自己的延误 of which the crowd's own lateness: p50 {late['p50'] or 0:.2f} ms, "
        f"p99 {late['p99'] or 0:.2f} ms",
    ]
    if limited(open_):
        lines.append(
            "警告：负载进程自己到了极限，这个延迟说的是它。 "
            "WARNING: the crowd was at its own limit: this is its own latency."
        )
    return lines + [f"答错 wrong: {text}" for text in open_.tally.examples]


def _times(tally: Tally) -> str:
    times = latencies(tally.total.latency)
    return ", ".join(f"{name.replace('_', '.')} {times[name] or 0:.2f} ms" for name in ("p50", "p99", "p99_9", "max"))


def limited(open_: Open) -> bool:
    """Whether a process of the crowd was at its limit."""
    return any(sum(shares) >= BUSY for shares in zip(open_.tally.cpu, open_.tally.stalled, strict=True))


def _troubles(told: Told) -> list[str]:
    lost = {
        name: sum(
            side.counted.lost + side.counted.timeouts for pair in result.pairs for side in (pair.node, pair.yardstick)
        )
        for name, result in told.results.items()
    }
    lines = [
        f"{name}: 断开或超时的连接 connections lost or too late: {count:,}" for name, count in lost.items() if count
    ]
    return lines + [f"{name}: {said}" for name, said in told.failed.items()]


# --- For machines --------------------------------------------------------------------------------------------------


def document(told: Told) -> dict[str, Any]:
    """What is told to machines."""
    return {
        "schema": SCHEMA,
        "kind": "reading",
        "started": told.started,
        "versions": dict(told.versions),
        "settings": dict(told.settings),
        "scenarios": {name: _result(result) for name, result in told.results.items()},
        "failed": dict(told.failed),
    }


def _result(result: Result) -> dict[str, Any]:
    ratios = result.ratios
    nodes, yardsticks = [pair.node for pair in result.pairs], [pair.yardstick for pair in result.pairs]
    return {
        "promised": result.scenario.bar,
        "aim": result.scenario.reach,
        "octets": result.octets,
        "ratio": {"median": round(median(ratios), 4), "least": round(min(ratios), 4), "most": round(max(ratios), 4)},
        "ratio_by_cpu": round(_by_cpu(nodes, yardsticks), 4),
        "pairs": [{"node": _side(pair.node), "yardstick": _side(pair.yardstick)} for pair in result.pairs],
        "open": _opened(result.open),
    }


def _side(side: Side) -> dict[str, Any]:
    counted = side.counted
    return {
        "rate": round(counted.rate, 1),
        "requests": counted.requests,
        "from_400": counted.statuses,
        "lost": counted.lost + counted.timeouts,
        "latency_ms": {"p50": counted.p50, "p90": counted.p90, "p99": counted.p99},
        "cpu_us": {role: round(each, 2) for role, each in side.effort.items()},
    }


def _opened(open_: Open | None) -> dict[str, Any] | None:
    if open_ is None:
        return None
    return {
        "rate": round(open_.rate, 1),
        "limited": limited(open_),
        "latency_ms": latencies(open_.tally.total.latency),
        "late_ms": latencies(open_.tally.late),
        "yardstick_latency_ms": latencies(open_.yardstick.total.latency),
        "by_second": by_second(open_.tally),
        "wrong_examples": open_.tally.examples,
    }

"""What is told of a command: a table for people, JSON for machines. Pure; the JSON is described in docs/loadtest.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from loadtest.histogram import Histogram
from loadtest.mix import CLASSES
from loadtest.page import Section, page
from loadtest.plot import Axis, Plot
from loadtest.plot import Line as Drawn
from loadtest.settings import Settings
from loadtest.table import Table
from loadtest.tally import Line, Tally

SCHEMA: Final = 1
"""Number of the JSON's form; it grows when a reader would have to change."""
BUSY: Final = 0.85
"""Share of the time from which a process of the crowd, busy or stalled, is taken for the limit: it has no rest left."""
PERCENTILES: Final = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "p99_9": 0.999}
"""Percentiles by their names in the JSON."""
COMPARED: Final = ("rate", "p50", "p99")
"""What of a pair is compared with the yardstick."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One run on the node, and the run of the same arrivals on the yardstick, if there is one."""

    node: Tally
    yardstick: Tally | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """All there is to tell. `resolutions` is what the node counted, None when it does not say; `registered` members
    were missing; `started` is UTC.
    """

    settings: Settings
    started: str
    run: str
    registered: int
    turns: Sequence[Turn]
    resolutions: Mapping[tuple[str, str], int] | None
    versions: Mapping[str, str | None]

    @property
    def sum(self) -> Tally:
        """All runs on the node, one after the other."""
        tally = Tally()
        for turn in self.turns:
            tally.merge(turn.node)
        tally.seconds = sum(turn.node.seconds for turn in self.turns)
        return tally

    @property
    def wrapped(self) -> int:
        """How often the cold members began anew: from 1 on, some were not cold."""
        cold = self.settings.whole("population") - self.settings.whole("hot")
        return max(0, self.sum.cold_reached - 1) // cold if cold > 0 and "cold" in self.settings.mix.shares else 0

    @property
    def limited(self) -> bool:
        """Whether some process of the crowd was at its limit, before the node or before the yardstick."""
        tallies = [tally for turn in self.turns for tally in (turn.node, turn.yardstick) if tally]
        return any(sum(shares) >= BUSY for tally in tallies for shares in zip(tally.cpu, tally.stalled, strict=True))

    @property
    def exit_code(self) -> int:
        """0 all right, 1 wrong answers, 2 nothing was answered at all."""
        total = self.sum.total
        if total.wrong:
            return 1
        return 0 if total.answered else 2


def ratios(turns: Sequence[Turn]) -> dict[str, list[float]]:
    """Node by yardstick, turn by turn, of what is compared; empty without a yardstick."""
    pairs = [(_compared(turn.node), _compared(turn.yardstick)) for turn in turns if turn.yardstick]
    return {
        name: [node[name] / other[name] for node, other in pairs if node[name] and other[name]]
        for name in COMPARED
        if pairs
    }


def _compared(tally: Tally) -> dict[str, float]:
    latency = tally.total.latency
    return {
        "rate": _rate(tally.total.answered, tally.seconds),
        "p50": latency.percentile(0.5) or 0.0,
        "p99": latency.percentile(0.99) or 0.0,
    }


def _rate(count: int, seconds: float) -> float:
    return count / seconds if seconds else 0.0


# --- For people ----------------------------------------------------------------------------------------------------

_COLUMNS: Final = (
    ("类", "class"),
    ("发出", "sent"),
    ("答对", "answered"),
    ("答错", "wrong"),
    ("错误", "errors"),
    ("弃", "shed"),
    ("每秒", "rate/s"),
    ("p50", "ms"),
    ("p90", "ms"),
    ("p99", "ms"),
    ("p99.9", "ms"),
    ("最大", "max ms"),
)


def classes(tally: Tally) -> Table:
    """A line for each class that was asked, and their sum."""
    rows = [_cells(name, tally.lines[name], tally.seconds) for name in CLASSES if name in tally.lines]
    return Table(_COLUMNS, [*rows, _cells("Σ", tally.total, tally.seconds)])


def table(told: Told) -> str:
    """What is told to people."""
    return "\n".join([_head(told), "", *classes(told.sum).lines(), "", *_notes(told)])


def _notes(told: Told) -> list[str]:
    """What else there is to say."""
    tally = told.sum
    return [
        *(f"{kind.zh} {kind.en}: {count:,}" for kind, count in tally.total.errors.most_common()),
        *_counted(told.resolutions),
        *_compared_lines(told.turns),
        *_crowd_lines(told, tally),
        *(f"答错 wrong: {text}" for text in tally.examples),
        "p99：99%的回答不慢于此，从请求应当开始的时刻算起。",
        "p99: 99 % of the answers took no longer, counted from when their requests were due.",
    ]


def html(told: Told) -> str:
    """The page."""
    tally = told.sum
    numbered = list(enumerate(told.turns, 1))
    runs = [(f"节点 node {number}", turn.node) for number, turn in numbered]
    runs += [(f"标尺 yardstick {number}", turn.yardstick) for number, turn in numbered if turn.yardstick]
    classes_ = Section("结果", "Result", _notes(told), [classes(tally), latency_plot(tally), rate_plot(runs)])
    return page("负载测试", "Load test", f"{told.started} · {_head(told)}", [classes_])


def latency_plot(tally: Tally) -> Plot:
    """Latency by percentile, a line for each class."""
    lines = [
        Drawn(name, [(share, seconds * 1000) for share, seconds in tally.lines[name].latency.curve()])
        for name in CLASSES
        if name in tally.lines
    ]
    share = Axis("请求的份额", "share of requests", scale="percentile")
    return Plot("按百分位的延迟", "Latency by percentile", share, Axis("延迟", "latency", "ms", "log"), lines)


def by_second(tally: Tally) -> list[int]:
    """Right answers of each second of a run, but for the last one, which is none."""
    return [tally.by_second[second] for second in range(int(tally.seconds))]


def rate_plot(runs: Sequence[tuple[str, Tally]]) -> Plot:
    """Right answers a second over the time of each run."""
    lines = [
        Drawn(name, [(second + 1.0, float(count)) for second, count in enumerate(by_second(tally))])
        for name, tally in runs
    ]
    time = Axis("开始后的秒数", "seconds since the start", "s")
    return Plot("吞吐", "Throughput over time", time, Axis("每秒答对", "right answers a second"), lines)


def _head(told: Told) -> str:
    settings = told.settings
    way = "不停地问 closed" if settings.rate is None else f"到达 arrivals {settings.rate:g}/s"
    mix = ",".join(f"{name}={share:g}" for name, share in settings.mix.shares.items())
    times = f"{len(told.turns)} × " if len(told.turns) > 1 else ""
    return (
        f"http://{settings.target.node} · {way} · {times}{settings['seconds']:g} s · {mix} · "
        f"种子 seed {settings.whole('seed')} · 连接 connections {settings.whole('connections')} · "
        f"进程 processes {settings.whole('processes')}"
    )


def _cells(name: str, line: Line, seconds: float) -> list[str]:
    counts = [line.sent, line.answered, line.wrong, line.errors.total(), line.shed]
    times = [_milliseconds(each) for each in _times(line.latency).values()]
    shown = ["–" if each is None else f"{each:,.2f}" for each in times]
    return [name, *(f"{count:,}" for count in counts), f"{_rate(line.answered, seconds):,.1f}", *shown]


def _times(latency: Histogram) -> dict[str, float | None]:
    """Percentiles and the longest, seconds."""
    told = {name: latency.percentile(share) for name, share in PERCENTILES.items()}
    return told | {"max": latency.most if latency.count else None}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 4)


def _counted(resolutions: Mapping[tuple[str, str], int] | None) -> list[str]:
    if resolutions is None:
        return []
    told = ", ".join(f"{where} {outcome} {count:,}" for (where, outcome), count in resolutions.items())
    return [f"节点自己的计数 the node counted: {told or '0'}"]


def _compared_lines(turns: Sequence[Turn]) -> list[str]:
    names = {"rate": "每秒 rate", "p50": "p50", "p99": "p99"}
    return [
        f"节点÷标尺 node by yardstick, {names[name]}: {median(each):.3f} "
        f"({min(each):.3f} … {max(each):.3f}, {len(each)} 次 turns)"
        for name, each in ratios(turns).items()
        if each
    ]


def _crowd_lines(told: Told, tally: Tally) -> list[str]:
    lines = [f"负载进程：忙+等CPU the crowd's processes, busy + stalled: {_shares(tally)}"]
    lines += _late_lines(tally)
    lines += [f"对标尺时 against the yardstick: {_shares(turn.yardstick)}" for turn in told.turns if turn.yardstick]
    if told.limited:
        lines.append(
            "警告：负载进程自己到了极限，结果说的是它而不是服务器；请加--processes，或空出CPU。 "
            "WARNING: the crowd is at its own limit: this tells of it, not of the server; "
            "try more --processes or a quieter machine."
        )
    if tally.refused:
        lines.append(f"没有建成的连接 connections refused: {tally.refused:,}")
    if told.wrapped:
        lines.append(
            "警告：冷的不够，又从头问起；请加大--population。 "
            "WARNING: the cold ones ran out and began anew: a larger --population."
        )
    return lines


def _late_lines(tally: Tally) -> list[str]:
    """How late the crowd itself was, which every latency contains; nothing of a closed run."""
    times = _times(tally.late)
    told = " ".join(f"{name} {_milliseconds(times[name]):.2f}" for name in ("p50", "p99", "max") if tally.late.count)
    return [f"其中负载进程自己的延误 of which the crowd's own lateness, ms: {told}"] if told else []


def _shares(tally: Tally) -> str:
    return " ".join(f"{cpu:.0%}+{stalled:.0%}" for cpu, stalled in zip(tally.cpu, tally.stalled, strict=True))


# --- For machines --------------------------------------------------------------------------------------------------


def document(told: Told) -> dict[str, Any]:
    """What is told to machines."""
    settings, tally = told.settings, told.sum
    return {
        "schema": SCHEMA,
        "kind": "load",
        "started": told.started,
        "run": told.run,
        "exit_code": told.exit_code,
        "versions": dict(told.versions),
        "settings": _settings(settings),
        "registered": told.registered,
        **_measured(tally),
        "wrong_examples": tally.examples,
        "cold_wrapped": told.wrapped,
        "crowd": {
            "limited": told.limited,
            "connections_opened": tally.opened,
            "connections_refused": tally.refused,
        },
        "node_resolutions": _resolutions(told.resolutions),
        "turns": [
            {"node": _measured(turn.node), "yardstick": _measured(turn.yardstick) if turn.yardstick else None}
            for turn in told.turns
        ],
        "ratios": {
            name: {"median": round(median(each), 4), "least": round(min(each), 4), "most": round(max(each), 4)}
            for name, each in ratios(told.turns).items()
            if each
        },
    }


def _settings(settings: Settings) -> dict[str, Any]:
    return {
        "node": f"http://{settings.target.node}",
        "prefixes": list(settings.target.prefixes),
        "mix": dict(settings.mix.shares),
        "closed": settings.rate is None,
        "foreign_prefix": settings.foreign or None,
        "yardstick": str(settings.yardstick) if settings.yardstick else None,
        **{name.replace("-", "_"): number for name, number in settings.numbers.items()},
    }


def _measured(tally: Tally) -> dict[str, Any]:
    return {
        "seconds": round(tally.seconds, 3),
        "classes": {name: _line(line, tally.seconds) for name, line in tally.lines.items()},
        "total": _line(tally.total, tally.seconds),
        "cpu": [round(share, 3) for share in tally.cpu],
        "stalled": [round(share, 3) for share in tally.stalled],
        "late_ms": latencies(tally.late),
        "by_second": by_second(tally),
    }


def _line(line: Line, seconds: float) -> dict[str, Any]:
    return {
        "sent": line.sent,
        "answered": line.answered,
        "wrong": line.wrong,
        "errors": {kind.name.lower(): count for kind, count in line.errors.items()},
        "shed": line.shed,
        "rate": round(_rate(line.answered, seconds), 2),
        "octets": line.octets,
        "latency_ms": latencies(line.latency),
    }


def latencies(latency: Histogram) -> dict[str, float | None]:
    """Percentiles, longest and mean, milliseconds."""
    times = {name: _milliseconds(each) for name, each in _times(latency).items()}
    return times | {"mean": _milliseconds(latency.mean)}


def _resolutions(counted: Mapping[tuple[str, str], int] | None) -> list[dict[str, Any]] | None:
    if counted is None:
        return None
    return [{"where": where, "outcome": outcome, "count": count} for (where, outcome), count in counted.items()]

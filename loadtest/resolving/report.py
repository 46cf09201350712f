"""What is told of a comparison: a table for people, JSON for machines. Pure; the JSON is said in docs/loadtest.md."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

from loadtest.page import Section, page
from loadtest.plot import Bar, Bars
from loadtest.resolving.crowd import CONNECTIONS, WINDOW
from loadtest.resolving.measure import SCENARIOS, Pair, Side
from loadtest.table import Table

SCHEMA: Final = 1
"""Number of the JSON's form; it grows when a reader would have to change."""
ZH: Final = "Handle协议，与NSD并排"
EN: Final = "The Handle protocol, side by side with NSD"
_COLUMNS: Final = (
    ("场景", "scenario"),
    ("怎么问", "how it is asked"),
    ("节点÷NSD", "node ÷ NSD"),
    ("最小…最大", "least…most"),
    ("按CPU", "by CPU"),
    ("承诺", "promised"),
    ("节点每秒", "node /s"),
    ("NSD每秒", "NSD /s"),
    ("节点µs", "node µs"),
    ("NSD µs", "NSD µs"),
    ("负载µs", "crowd µs"),
)


@dataclass(frozen=True, slots=True)
class Told:
    """All there is to tell of one command; `started` is UTC, `settings` are the options by name, `octets` the mean
    lengths of answers, of the node and of NSD.
    """

    started: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str | None]
    pairs: Mapping[str, Sequence[Pair]]
    octets: tuple[float, float]


def comparison(told: Told) -> Table:
    """A line for each scenario."""
    return Table(_COLUMNS, [_row(name, pairs) for name, pairs in told.pairs.items()], names=2)


def explanation(told: Told) -> list[str]:
    """What a newcomer must know to read the table."""
    turns = f"{told.settings['pairs']} × {told.settings['seconds']:g} s"
    ours, theirs = told.octets
    return [
        f"节点（一个工作进程）与NSD轮流受测，各{turns}，由同一个程序去问：UDP上{WINDOW}个请求在途；回答{ours:.0f}与{theirs:.0f}字节。",
        f"The node, one worker, and NSD in turn, {turns} each, asked by one program: {WINDOW} requests under way by "
        f"UDP; answers of {ours:.0f} and {theirs:.0f} octets.",
        "比值的分母是NSD以UDP回答NAPTR的速率，new的是NSD在新的TCP连接上的速率；取各次的中位数。✓达到，✗未达到。",
        "Ratios are to NSD answering NAPTR by UDP, that of new to NSD on new TCP connections, too; medians of the "
        "turns. ✓ met, ✗ not met.",
        f"“按CPU”是NSD与节点的µs之比：机器忙时它更可靠。新连接同时开着{CONNECTIONS}个。",
        f"“By CPU” is NSD's µs by the node's: on a busy machine rely on it. Of new connections {CONNECTIONS} are open.",
    ]


def table(told: Told) -> str:
    """What is told to people."""
    return "\n".join([f"{ZH} · {EN}", "", *comparison(told).lines(), "", *explanation(told)])


def html(told: Told) -> str:
    """The page."""
    bars = [
        Bar(name, told_["median"], told_["least"], told_["most"], SCENARIOS[name].bar)
        for name, told_ in ((name, _spread([pair.ratio for pair in pairs])) for name, pairs in told.pairs.items())
    ]
    marked = "竖线：承诺的比值；横线：各次的范围。 Upright: the promised ratio; thin line: the range of the turns."
    drawing = Bars("节点÷NSD", "Node by NSD", bars, 1.0, marked)
    about = " · ".join([told.started, *(f"{name} {each}" for name, each in told.versions.items() if each)])
    return page(
        ZH,
        EN,
        about,
        [Section("每秒回答数之比", "Ratio of answers a second", explanation(told), [comparison(told), drawing])],
    )


def _row(name: str, pairs: Sequence[Pair]) -> list[str]:
    scenario, ratio = SCENARIOS[name], _spread([pair.ratio for pair in pairs])
    met = "–" if scenario.bar is None else f"{scenario.bar:.2f} {'✓' if ratio['median'] >= scenario.bar else '✗'}"
    return [
        name,
        f"{scenario.zh} {scenario.en}",
        f"{ratio['median']:.3f}",
        f"{ratio['least']:.3f}…{ratio['most']:.3f}",
        f"{_by_cpu(pairs):.3f}",
        met,
        f"{_middle(pairs, lambda pair: pair.node.counted.rate):,.0f}",
        f"{_middle(pairs, lambda pair: pair.nsd.counted.rate):,.0f}",
        f"{_middle(pairs, lambda pair: pair.node.effort):.1f}",
        f"{_middle(pairs, lambda pair: pair.nsd.effort):.1f}",
        f"{_middle(pairs, lambda pair: pair.node.crowd):.1f}",
    ]


def _middle(pairs: Sequence[Pair], of: Callable[[Pair], float]) -> float:
    return median(map(of, pairs))


def _by_cpu(pairs: Sequence[Pair]) -> float:
    """The ratio that CPU time alone would come to."""
    return _middle(pairs, lambda pair: pair.nsd.effort / pair.node.effort if pair.node.effort else 0.0)


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": median(values), "least": min(values), "most": max(values)}


# --- For machines --------------------------------------------------------------------------------------------------


def document(told: Told) -> dict[str, Any]:
    """What is told to machines."""
    return {
        "schema": SCHEMA,
        "kind": "native",
        "started": told.started,
        "versions": dict(told.versions),
        "settings": dict(told.settings),
        "octets": {"node": round(told.octets[0], 1), "nsd": round(told.octets[1], 1)},
        "scenarios": {name: _scenario(name, pairs) for name, pairs in told.pairs.items()},
    }


def _scenario(name: str, pairs: Sequence[Pair]) -> dict[str, Any]:
    return {
        "promised": SCENARIOS[name].bar,
        "ratio": {key: round(value, 4) for key, value in _spread([pair.ratio for pair in pairs]).items()},
        "ratio_by_cpu": round(_by_cpu(pairs), 4),
        "pairs": [{"node": _side(pair.node), "nsd": _side(pair.nsd)} for pair in pairs],
    }


def _side(side: Side) -> dict[str, float]:
    counted = side.counted
    return {
        "rate": round(counted.rate, 1),
        "answers": counted.answers,
        "cpu_us": round(side.effort, 2),
        "crowd_us": round(side.crowd, 2),
    }

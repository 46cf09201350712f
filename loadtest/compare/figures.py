"""The figures of a report that can be compared, by the kind of the report, and what two of them say. Pure."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final


class CompareError(Exception):
    """The reports cannot be compared; the text is for people."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure with the least and the most of its turns, if it had some; `more` is whether more is better."""

    value: float
    more: bool
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A figure before and after."""

    name: str
    before: Figure
    after: Figure

    @property
    def ratio(self) -> float | None:
        """After by before; None where that was nothing."""
        return self.after.value / self.before.value if self.before.value else None

    @property
    def better(self) -> bool | None:
        """Whether all turns after are better than all before, or worse; None when they overlap or there was but one."""
        ends = (self.before.least, self.before.most, self.after.least, self.after.most)
        if None in ends:
            return None
        least, most, new_least, new_most = (end for end in ends if end is not None)
        if new_least > most:
            return self.after.more
        return not self.after.more if new_most < least else None


Named = tuple[str, Figure]


def _of_turns(values: Sequence[float], more: bool) -> Figure:
    # Of one turn there is no spread to judge by.
    return Figure(median(values), more, *((min(values), max(values)) if len(values) > 1 else ()))


def _ratio(told: Mapping[str, float], turns: int) -> Figure:
    return Figure(told["median"], True, *((told["least"], told["most"]) if turns > 1 else ()))


def _latency(name: str, told: Mapping[str, float | None]) -> Iterator[Named]:
    for percentile in ("p50", "p99", "p99_9"):
        value = told[percentile]
        if value is not None:
            yield f"{name} {percentile.replace('_', '.')} ms", Figure(value, more=False)


def _load(document: Mapping[str, Any]) -> Iterator[Named]:
    turns = [turn["node"] for turn in document["turns"]]
    yield "每秒答对 rate/s", _of_turns([turn["total"]["rate"] for turn in turns], more=True)
    for name, line in document["classes"].items():
        yield from _latency(name, line["latency_ms"])
    for name, told in document["ratios"].items():
        figure = _ratio(told, len(turns))
        yield f"节点÷标尺 by yardstick {name}", figure if name == "rate" else _less(figure)


def _less(figure: Figure) -> Figure:
    return Figure(figure.value, False, figure.least, figure.most)


def _reading(document: Mapping[str, Any]) -> Iterator[Named]:
    for name, told in document["scenarios"].items():
        yield f"{name} 节点÷标尺 node by yardstick", _ratio(told["ratio"], len(told["pairs"]))
        efforts = [pair["node"]["cpu_us"]["worker"] for pair in told["pairs"]]
        yield f"{name} CPU µs", _of_turns(efforts, more=False)
        if told["open"]:
            yield from _latency(f"{name} 半载 at half load", told["open"]["latency_ms"])


def _soak(document: Mapping[str, Any]) -> Iterator[Named]:
    ends = [each["samples"][-1][1] / 2**20 for each in document["memory"]]
    yield "内存 memory MiB", _of_turns(ends, more=False)
    yield from _latency("", document["latency_ms"])


def _writing(document: Mapping[str, Any]) -> Iterator[Named]:
    for name, told in document["parts"].items():
        yield f"{name} 比值 ratio", _ratio(told["ratio"], len(told["pairs"]))


def _native(document: Mapping[str, Any]) -> Iterator[Named]:
    for name, told in document["scenarios"].items():
        yield f"{name} 节点÷NSD node by NSD", _ratio(told["ratio"], len(told["pairs"]))
        yield f"{name} CPU µs", _of_turns([pair["node"]["cpu_us"] for pair in told["pairs"]], more=False)


KINDS: Final[Mapping[str, Callable[[Mapping[str, Any]], Iterator[Named]]]] = {
    "load": _load,
    "native": _native,
    "reading": _reading,
    "soak": _soak,
    "writing": _writing,
}
"""How figures are found in a report, by its kind."""


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """The figures both reports have, in order. Raises CompareError when they are not of one kind and form."""
    kinds = [(document.get("kind"), document.get("schema")) for document in (before, after)]
    kind = str(kinds[0][0])
    if kinds[0] != kinds[1] or kind not in KINDS:
        raise CompareError(
            f"只能比较同一种报告：{', '.join(KINDS)}。 Only reports of one kind can be compared: {', '.join(KINDS)}."
        )
    try:
        old, new = dict(KINDS[kind](before)), dict(KINDS[kind](after))
    except (LookupError, TypeError, AttributeError, ValueError):
        raise CompareError("报告的内容读不懂。 A report cannot be understood.") from None
    return [Change(name.strip(), figure, new[name]) for name, figure in old.items() if name in new]


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Settings and versions that are not the same: what is compared may be unlike."""
    lines = []
    for part in ("settings", "versions"):
        old, new = before.get(part, {}), after.get(part, {})
        lines += [f"{name}: {old.get(name)} → {new.get(name)}" for name in old if old.get(name) != new.get(name)]
    return lines

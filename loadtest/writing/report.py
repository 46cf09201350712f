"""What is told of a comparison: a table for people, JSON for machines. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

from loadtest.page import Section, page
from loadtest.plot import Bar, Bars
from loadtest.table import Table

SCHEMA: Final = 1
"""Number of the JSON's form; it grows when a reader would have to change."""

PROMISED: Final = {"batches": 0.25, "singles": 0.5, "import": 0.2, "storm": 0.8}
"""The ratios that are promised, by the names of the parts."""
_COLUMNS: Final = (
    ("部分", "part"),
    ("比较什么", "what is compared"),
    ("比值", "ratio"),
    ("最小…最大", "least…most"),
    ("按CPU", "by CPU"),
    ("我们", "ours"),
    ("对方", "theirs"),
)
_NOTED: Final = (("部分", "part"), ("数字", "figure"), ("值", "value"))


@dataclass(frozen=True, slots=True)
class Pair:
    """One turn of both sides, each in `unit` a second or whatever the part says; `cost` are microseconds of processor
    time a row of the servers of each, clients left out, where both have been read.
    """

    ours: float
    theirs: float
    cost: tuple[float, float] | None = None

    @property
    def ratio(self) -> float:
        """Ours by theirs."""
        return self.ours / self.theirs if self.theirs else 0.0

    @property
    def by_cpu(self) -> float | None:
        """Theirs by ours of the processor time: what the ratio were if nothing else wanted the machine."""
        return self.cost[1] / self.cost[0] if self.cost and self.cost[0] else None


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison: its name, what both sides are, the turns; `notes` are figures without another side."""

    name: str
    zh: str
    en: str
    pairs: Sequence[Pair]
    notes: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratios(self) -> tuple[float, float, float]:
        """Median, least and most of the turns' ratios."""
        ratios = [pair.ratio for pair in self.pairs]
        return median(ratios), min(ratios), max(ratios)

    @property
    def by_cpu(self) -> float | None:
        """Median of the turns' ratios by processor time, if it was read."""
        ratios = [pair.by_cpu for pair in self.pairs if pair.by_cpu is not None]
        return median(ratios) if ratios else None


def table(parts: Sequence[Part]) -> str:
    """For people."""
    lines = []
    for part in parts:
        middle, least, most = part.ratios
        lines.append(f"{part.name:8} {middle:6.2f} ({least:.2f} … {most:.2f})  {part.zh} {part.en}")
        ours, theirs = (median(getattr(pair, side) for pair in part.pairs) for side in ("ours", "theirs"))
        lines.append(f"{'':8} {ours:,.0f} : {theirs:,.0f}")
        if part.by_cpu is not None:
            lines.append(f"{'':8} 按CPU by CPU: {part.by_cpu:.2f}")
        lines += [f"{'':8} {name}: {value:,.1f}" for name, value in part.notes.items()]
    return "\n".join(lines)


def html(parts: Sequence[Part], settings: Mapping[str, Any]) -> str:
    """The page."""
    bars = [Bar(part.name, *part.ratios, PROMISED.get(part.name)) for part in parts]
    about = " · ".join(f"{name} {value}" for name, value in settings.items())
    marked = "竖线：承诺的比值；横线：各次的范围。 Upright: the promised ratio; thin line: the range of the turns."
    rows = [[part.name, f"{part.zh} {part.en}", *_figures(part)] for part in parts]
    notes = [[part.name, name, f"{value:,.1f}"] for part in parts for name, value in part.notes.items()]
    sections = [
        Section("比值", "Ratios", [], [Table(_COLUMNS, rows, names=2), Bars("比值", "Ratios", bars, 1.0, marked)]),
        Section("另外", "Besides", [], [Table(_NOTED, notes, names=2)]),
    ]
    return page("与PostgreSQL自己的并排写入", "Writing, side by side with PostgreSQL's own", about, sections)


def _figures(part: Part) -> list[str]:
    ours, theirs = (median(getattr(pair, side) for pair in part.pairs) for side in ("ours", "theirs"))
    middle, least, most = part.ratios
    by_cpu = "–" if part.by_cpu is None else f"{part.by_cpu:.2f}"
    return [f"{middle:.2f}", f"{least:.2f}…{most:.2f}", by_cpu, f"{ours:,.0f}", f"{theirs:,.0f}"]


def document(parts: Sequence[Part], settings: Mapping[str, Any]) -> dict[str, Any]:
    """For machines."""
    told = {
        part.name: {
            "ratio": dict(zip(("median", "least", "most"), part.ratios, strict=True)),
            "ratio_by_cpu": part.by_cpu,
            "pairs": [asdict(pair) for pair in part.pairs],
            "notes": dict(part.notes),
        }
        for part in parts
    }
    return {"schema": SCHEMA, "kind": "writing", "settings": dict(settings), "parts": told}

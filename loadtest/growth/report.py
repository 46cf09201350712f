"""What is told of growth: a table for people, JSON for machines. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from loadtest.growth.cluster import Room
from loadtest.growth.measure import MANY, Reading, Turn, Writing
from loadtest.page import Section, page
from loadtest.plot import Axis, Line, Plot
from loadtest.table import Table

SCHEMA: Final = 1
"""Number of the JSON's form; it grows when a reader would have to change."""
ZH: Final = "增长：标识多了会怎样"
EN: Final = "Growth: what becomes of it with more identifiers?"
P50_MOST: Final = 1.5
"""The median of a cold read may grow so much from the smallest size to the largest."""
BATCHES_LEAST: Final = 0.7
"""Batch writing shall keep so much of its rate."""
TABLE_MOST: Final = 1.25
"""Octets of table for one of raw text."""
INDEX_MOST: Final = 60.0
CHANGES_MOST: Final = 120.0
"""Octets a record."""


@dataclass(frozen=True, slots=True)
class Filled:
    """How a database came to its size: rows that were missing, and the seconds they took."""

    rows: int
    seconds: float

    @property
    def rate(self) -> float | None:
        """Rows a second; None when nothing was missing."""
        return self.rows / self.seconds if self.rows else None


@dataclass(frozen=True, slots=True)
class Begun:
    """What was measured of one size alone. `text` is the octets of raw text a record, `vacuum` and `start` are seconds.

    `disk` is the reading after the system was made to forget the files; None where it cannot be.
    """

    text: float
    filled: Filled
    room: Room
    vacuum: float
    start: float
    disk: Reading | None


@dataclass(frozen=True, slots=True)
class Grown:
    """What was measured of one size: alone, in turn with the others, and beside PostgreSQL's housework."""

    begun: Begun
    turns: Sequence[Turn]
    beside_vacuum: Reading
    beside_checkpoints: Writing

    @property
    def room(self) -> Room:
        """What its tables take."""
        return self.begun.room

    def median(self, figure: Callable[[Turn], float]) -> float:
        """The median of a figure over the turns."""
        return median(map(figure, self.turns))


@dataclass(frozen=True, slots=True)
class Told:
    """One command: sizes ascending, with what was measured of each."""

    started: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str | None]
    sizes: Sequence[Grown]

    @property
    def ratios(self) -> dict[str, list[float]]:
        """The largest size by the smallest, turn by turn."""
        pairs = list(zip(self.sizes[-1].turns, self.sizes[0].turns, strict=True))
        return {
            "read_p50": [large.one.p50 / small.one.p50 for large, small in pairs],
            "read_rate": [large.many.rate / small.many.rate for large, small in pairs],
            "batch_rate": [large.batches.rate / small.batches.rate for large, small in pairs],
            "read_cpu": [_sum(large.many.cpu) / _sum(small.many.cpu) for large, small in pairs],
            "batch_cpu": [_sum(large.batches.cpu) / _sum(small.batches.cpu) for large, small in pairs],
        }


def _or_none(figure: float | None, form: str) -> str:
    return "–" if figure is None else format(figure, form)


def _sum(cpu: Mapping[str, float]) -> float:
    """Of all processes; never nothing, which a short run on a fast machine may come to by the clock's ticks."""
    return sum(cpu.values()) or 1.0


_FIGURES: Final[Sequence[tuple[str, str, Callable[[Grown], str]]]] = (
    ("表：字节/标识", "table, octets a record", lambda g: f"{g.room.each('table'):.0f}"),
    ("表÷原文（≤1.25）", "table by raw text (≤ 1.25)", lambda g: f"{g.room.each('table') / g.begun.text:.3f}"),
    ("索引：字节/标识（≤60）", "index, octets a record (≤ 60)", lambda g: f"{g.room.each('index'):.1f}"),
    ("变更：字节/标识（≤120）", "changes, octets a record (≤ 120)", lambda g: f"{g.room.each('changes'):.1f}"),
    ("填充：行/秒", "filling, rows/s", lambda g: _or_none(g.begun.filled.rate, ",.0f")),
    ("启动：秒", "start, s", lambda g: f"{g.begun.start:.1f}"),
    (
        "磁盘冷读 p50 ms",
        "read from disk, p50 ms",
        lambda g: _or_none(g.begun.disk.p50 if g.begun.disk else None, ".2f"),
    ),
    ("冷读 p50 ms", "cold read, p50 ms", lambda g: f"{g.median(lambda t: t.one.p50):.2f}"),
    ("冷读 p99 ms", "cold read, p99 ms", lambda g: f"{g.median(lambda t: t.one.p99):.2f}"),
    (
        f"冷读/秒，{MANY}个连接",
        f"cold reads/s, {MANY} connections",
        lambda g: f"{g.median(lambda t: t.many.rate):,.0f}",
    ),
    ("CPU µs/读", "CPU µs a read", lambda g: f"{g.median(lambda t: _sum(t.many.cpu)):.0f}"),
    ("批量写：行/秒", "batches, rows/s", lambda g: f"{g.median(lambda t: t.batches.rate):,.0f}"),
    ("CPU µs/行", "CPU µs a row", lambda g: f"{g.median(lambda t: _sum(t.batches.cpu)):.0f}"),
    ("VACUUM：秒", "vacuum, s", lambda g: f"{g.begun.vacuum:.1f}"),
    ("VACUUM时冷读 p99 ms", "cold read beside vacuum, p99 ms", lambda g: f"{g.beside_vacuum.p99:.2f}"),
    ("检查点时批量写：行/秒", "batches beside checkpoints, rows/s", lambda g: f"{g.beside_checkpoints.rate:,.0f}"),
)
"""The rows of the table."""


def table(told: Told) -> str:
    """For people."""
    return "\n".join([f"{ZH} · {EN}", "", *_figures(told).lines(), "", *_compared(told)])


def html(told: Told) -> str:
    """The page."""
    size = Axis("标识数（千）", "thousand records", scale="log")
    times = Axis("延迟", "latency", "ms")
    reads = [
        _line(told, "p50", lambda g: g.median(lambda t: t.one.p50)),
        _line(told, "p99", lambda g: g.median(lambda t: t.one.p99)),
        _line(told, "p99, VACUUM", lambda g: g.beside_vacuum.p99),
    ]
    rates = [
        _line(told, "批量写 batches", lambda g: g.median(lambda t: t.batches.rate)),
        _line(told, "检查点时 beside checkpoints", lambda g: g.beside_checkpoints.rate),
    ]
    room = [_line(told, name, _each(name)) for name in ("table", "index", "changes")]
    drawn = (
        Plot("冷读的延迟，一个连接", "Cold reads on one connection", size, times, reads),
        Plot("批量写", "Batch writing", size, Axis("每秒行数", "rows a second"), rates),
        Plot("每个标识的字节数", "Octets a record", size, Axis("字节", "octets"), room),
    )
    sections = [Section("对比", "Compared", _compared(told), [_figures(told)]), Section("走势", "Drawn", [], drawn)]
    return page(ZH, EN, told.started, sections)


def _each(name: str) -> Callable[[Grown], float]:
    return lambda grown: grown.room.each(name)


def _line(told: Told, name: str, figure: Callable[[Grown], float]) -> Line:
    return Line(name, [(each.room.records / 1000, figure(each)) for each in told.sizes])


def _figures(told: Told) -> Table:
    columns = [("", ""), *((f"{g.room.records:,}", "") for g in told.sizes)]
    return Table(columns, [[f"{zh} {en}", *map(figure, told.sizes)] for zh, en, figure in _FIGURES])


def _compared(told: Told) -> list[str]:
    lines = []
    bounds = {"read_p50": f"≤ {P50_MOST}", "batch_rate": f"≥ {BATCHES_LEAST}"}
    for name, ratios in told.ratios.items():
        told_so = f"{median(ratios):.2f} ({min(ratios):.2f} … {max(ratios):.2f}) {bounds.get(name, '')}"
        lines.append(f"最大÷最小 largest by smallest, {name}: {told_so}".rstrip())
    return lines


def document(told: Told) -> dict[str, Any]:
    """For machines."""
    return {
        "schema": SCHEMA,
        "kind": "growth",
        "started": told.started,
        "versions": dict(told.versions),
        "settings": dict(told.settings),
        "sizes": [_grown(each) for each in told.sizes],
        "ratios": {
            name: {"median": round(median(each), 4), "least": round(min(each), 4), "most": round(max(each), 4)}
            for name, each in told.ratios.items()
        },
    }


def _grown(grown: Grown) -> dict[str, Any]:
    begun, room = grown.begun, grown.room
    return {
        "records": room.records,
        "text_octets": round(begun.text, 1),
        "octets": {name: {"total": total, "each": round(room.each(name), 2)} for name, total in room.octets.items()},
        "fill": {"rows": begun.filled.rows, "seconds": round(begun.filled.seconds, 3)},
        "start_seconds": round(begun.start, 3),
        "vacuum_seconds": round(begun.vacuum, 3),
        "read_from_disk": begun.disk and asdict(begun.disk),
        "turns": [asdict(turn) for turn in grown.turns],
        "read_beside_vacuum": asdict(grown.beside_vacuum),
        "batches_beside_checkpoints": asdict(grown.beside_checkpoints),
    }

"""Plots as SVG, drawn by ourselves: lines, and bars with what was promised. Pure; colours are the page's."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import takewhile
from math import ceil, floor, log10
from typing import Final, NamedTuple

WIDTH: Final = 760
HEIGHT: Final = 300
LEFT: Final = 64
RIGHT: Final = 20
TOP: Final = 12
BOTTOM: Final = 46
"""The drawing and its margins, in units of the SVG, which grows and shrinks with the page."""
COLOURS: Final = 6
"""Colours the page knows, as --c1 … --c6; later lines begin anew."""
TICKS: Final = 5
"""About how many ticks an axis has."""
FLAT: Final = 1.05
"""How many times the least the most is at least; closer ones are one value, with room about it."""
DOTS_MOST: Final = 60
"""Points of a line up to which each is a dot one can point at."""
BAR: Final = 34
"""Height of one bar with its gap."""
BAR_LEFT: Final = 190
VALUE_WIDTH: Final = 50
"""Where bars begin; before them stand their names, then their values."""

Point = tuple[float, float]


class Scale(NamedTuple):
    """How values of an axis become places: the way there, and which ticks lie within least and most."""

    place: Callable[[float], float]
    ticks: Callable[[float, float], list[float]]


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis shows, in a unit (empty: none). `scale` is one of SCALES; linear ones begin at zero."""

    zh: str
    en: str
    unit: str = ""
    scale: str = "linear"

    @property
    def title(self) -> str:
        """For people."""
        return f"{self.zh} {self.en}" + (f" · {self.unit}" if self.unit else "")


@dataclass(frozen=True, slots=True)
class Line:
    """Points in order, under a name. On a `log` axis they are positive, on a `percentile` axis below 1."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True, slots=True)
class Plot:
    """Lines in one drawing; without any point there is none."""

    zh: str
    en: str
    x: Axis
    y: Axis
    lines: Sequence[Line]

    def svg(self) -> str:
        """The drawing."""
        points = [point for line in self.lines for point in line.points]
        if not points:
            return ""
        across = _Placed.of(self.x, [x for x, _ in points], LEFT, WIDTH - RIGHT)
        up = _Placed.of(self.y, [y for _, y in points], HEIGHT - BOTTOM, TOP)
        drawn = [_across(across), _up(up)]
        drawn += [_line(line, number % COLOURS + 1, across, up) for number, line in enumerate(self.lines)]
        return _svg(HEIGHT, f"{self.zh} {self.en}", drawn)

    def legend(self) -> Sequence[str]:
        """The names of the lines in the order of their colours; none when there is but one."""
        return [line.name for line in self.lines] if len(self.lines) > 1 else []


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure with its least and most, and what was promised, if anything was."""

    name: str
    value: float
    least: float
    most: float
    mark: float | None = None


@dataclass(frozen=True, slots=True)
class Bars:
    """Figures beside each other, from zero to at least `most`; `marked` says in words what a mark is."""

    zh: str
    en: str
    bars: Sequence[Bar]
    most: float
    marked: str

    def svg(self) -> str:
        """The drawing."""
        if not self.bars:
            return ""
        values = [each for bar in self.bars for each in (bar.most, bar.mark or 0.0)]
        height = TOP + BAR * len(self.bars) + BOTTOM
        across = _Placed.of(Axis("", "", ""), [*values, self.most], BAR_LEFT, WIDTH - RIGHT)
        drawn = [_across(across, height)]
        drawn += [_bar(bar, TOP + number * BAR, across) for number, bar in enumerate(self.bars)]
        return _svg(height, f"{self.zh} {self.en}", drawn)

    def legend(self) -> Sequence[str]:
        """Nothing: names stand beside the bars."""
        return []


# --- Axes ----------------------------------------------------------------------------------------------------------


def _nice(least: float, most: float) -> list[float]:
    """Round values from `least` to `most`, at 1, 2 or 5 times a power of ten."""
    raw = (most - least) / TICKS
    if raw <= 0:
        return [least]
    power = 10.0 ** floor(log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = ceil(least / step - 1e-9)
    return [number * step for number in range(first, floor(most / step + 1e-9) + 1)]


def _decades(least: float, most: float) -> list[float]:
    """Powers of ten from `least` to `most`, and twice and five times of each while these are few.

    Where not two of them lie so close together, round values as on a linear axis."""
    powers = range(floor(log10(least)), ceil(log10(most)) + 1)
    factors = (1, 2, 5) if len(powers) <= TICKS - 1 else (1,)
    ticks = [factor * 10.0**power for power in powers for factor in factors]
    within = [tick for tick in ticks if least <= tick <= most]
    return within if len(within) > 1 else _nice(least, most)


def _nines(least: float, most: float) -> list[float]:
    """A half, nine tenths, ninety-nine hundredths … below `most`."""
    shares = [0.0, 0.5, *(1 - 10.0**-nines for nines in range(1, 10))]
    return [share for share in takewhile(lambda share: share <= most, shares) if share >= least]


def _behind(share: float) -> float:
    """How rare what lies beyond a share is: 0.9 is one place, 0.99 are two."""
    return -log10(1 - share)


SCALES: Final[Mapping[str, Scale]] = {
    "linear": Scale(float, _nice),
    "log": Scale(log10, _decades),
    "percentile": Scale(_behind, _nines),
}
"""The scales by name."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """An axis between two places of the drawing, from the value `least` to `most`."""

    axis: Axis
    least: float
    most: float
    begin: float
    end: float

    @classmethod
    def of(cls, axis: Axis, values: Sequence[float], begin: float, end: float) -> "_Placed":
        least, most = (min(values), max(values)) if axis.scale == "log" else (0.0, max(values))
        if most <= least * FLAT:
            least, most = (least / 2, most * 2) if axis.scale == "log" else (least, least + 1.0)
        return cls(axis, least, most, begin, end)

    def __call__(self, value: float) -> float:
        place = SCALES[self.axis.scale].place
        share = (place(value) - place(self.least)) / (place(self.most) - place(self.least))
        return round(self.begin + share * (self.end - self.begin), 1)

    @property
    def ticks(self) -> list[float]:
        return SCALES[self.axis.scale].ticks(self.least, self.most)

    def told(self, value: float) -> str:
        return f"{value * 100:.7g} %" if self.axis.scale == "percentile" else shown(value)


def shown(value: float) -> str:
    """A figure with three digits or all of its whole ones, thousands apart."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


# --- Drawing -------------------------------------------------------------------------------------------------------


def _svg(height: int, label: str, drawn: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}" '
        f'xmlns="http://www.w3.org/2000/svg">{"".join(drawn)}</svg>'
    )


def _across(axis: _Placed, height: int = HEIGHT) -> str:
    floor_ = height - BOTTOM
    ticks = "".join(
        f'<line class="grid" x1="{axis(tick)}" x2="{axis(tick)}" y1="{TOP}" y2="{floor_}"/>'
        f'<text x="{axis(tick)}" y="{floor_ + 16}" text-anchor="middle">{escape(axis.told(tick))}</text>'
        for tick in axis.ticks
    )
    middle = (axis.begin + axis.end) / 2
    return f'{ticks}<text x="{middle}" y="{height - 8}" text-anchor="middle">{escape(axis.axis.title)}</text>'


def _up(axis: _Placed) -> str:
    ticks = "".join(
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{axis(tick)}" y2="{axis(tick)}"/>'
        f'<text x="{LEFT - 8}" y="{axis(tick) + 4}" text-anchor="end">{escape(axis.told(tick))}</text>'
        for tick in axis.ticks
    )
    middle = (axis.begin + axis.end) / 2
    turned = f'transform="rotate(-90 14 {middle})"'
    return f'{ticks}<text x="14" y="{middle}" text-anchor="middle" {turned}>{escape(axis.axis.title)}</text>'


def _line(line: Line, colour: int, across: _Placed, up: _Placed) -> str:
    places = [(across(x), up(y)) for x, y in line.points]
    path = " ".join(f"{x},{y}" for x, y in places)
    drawn = f'<polyline class="line" style="stroke:var(--c{colour})" points="{path}"/>'
    if len(places) > DOTS_MOST:
        return drawn
    dots = [
        f'<circle cx="{x}" cy="{y}" r="3.5" style="fill:var(--c{colour})"><title>'
        f"{escape(line.name)}: {across.told(point[0])}, {up.told(point[1])} {escape(up.axis.unit)}</title></circle>"
        for (x, y), point in zip(places, line.points, strict=True)
    ]
    return drawn + "".join(dots)


def _bar(bar: Bar, top: float, across: _Placed) -> str:
    zero, end, middle = across(0.0), across(bar.value), top + BAR / 2
    parts = [
        f'<text x="{BAR_LEFT - VALUE_WIDTH}" y="{middle + 4}" text-anchor="end">{escape(bar.name)}</text>',
        f'<text class="value" x="{BAR_LEFT - 8}" y="{middle + 4}" text-anchor="end">{bar.value:.2f}</text>',
        f'<rect x="{zero}" y="{top + 6}" width="{max(1.0, end - zero):.1f}" height="{BAR - 12}" rx="2" '
        f'style="fill:var(--c1)"><title>{escape(bar.name)}: {shown(bar.value)} '
        f"({shown(bar.least)}…{shown(bar.most)})</title></rect>",
        f'<line class="spread" x1="{across(bar.least)}" x2="{across(bar.most)}" y1="{middle}" y2="{middle}"/>',
    ]
    if bar.mark is not None:
        mark = across(bar.mark)
        parts.append(f'<line class="mark" x1="{mark}" x2="{mark}" y1="{top + 2}" y2="{top + BAR - 2}"/>')
    return "".join(parts)

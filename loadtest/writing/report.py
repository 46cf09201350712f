"""What is told of a comparison: a table for people, JSON for machines. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Final

SCHEMA: Final = 1
"""Number of the JSON's form; it grows when a reader would have to change."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One turn of both sides, each in `unit` a second or whatever the part says."""

    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """Ours by theirs."""
        return self.ours / self.theirs if self.theirs else 0.0


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


def table(parts: Sequence[Part]) -> str:
    """For people."""
    lines = []
    for part in parts:
        middle, least, most = part.ratios
        lines.append(f"{part.name:8} {middle:6.2f} ({least:.2f} … {most:.2f})  {part.zh} {part.en}")
        ours, theirs = (median(getattr(pair, side) for pair in part.pairs) for side in ("ours", "theirs"))
        lines.append(f"{'':8} {ours:,.0f} : {theirs:,.0f}")
        lines += [f"{'':8} {name}: {value:,.1f}" for name, value in part.notes.items()]
    return "\n".join(lines)


def document(parts: Sequence[Part], settings: Mapping[str, Any]) -> dict[str, Any]:
    """For machines."""
    told = {
        part.name: {
            "ratio": dict(zip(("median", "least", "most"), part.ratios, strict=True)),
            "pairs": [asdict(pair) for pair in part.pairs],
            "notes": dict(part.notes),
        }
        for part in parts
    }
    return {"schema": SCHEMA, "kind": "writing", "settings": dict(settings), "parts": told}

"""What is told of a comparison: a table for people. Pure."""

from collections.abc import Mapping
from statistics import median

from loadtest.reading.measure import Result, Side


def table(results: Mapping[str, Result]) -> str:
    """What is told to people."""
    return "\n".join(_lines(name, result) for name, result in results.items())


def _lines(name: str, result: Result) -> str:
    ratios = [pair.ratio for pair in result.pairs]
    nodes, yardsticks = [pair.node for pair in result.pairs], [pair.yardstick for pair in result.pairs]
    return (
        f"{name}: {median(ratios):.3f} ({min(ratios):.3f} … {max(ratios):.3f}), {result.octets} B; "
        f"node {_told(nodes)}; nginx {_told(yardsticks)}"
    )


def _told(sides: list[Side]) -> str:
    rate, effort = median(side.counted.rate for side in sides), median(side.effort for side in sides)
    return f"{rate:,.0f}/s, {effort:.1f} µs CPU"

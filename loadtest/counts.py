"""What the node itself counted: its resolutions by where they were answered and how, from its /metrics. Pure."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

Counts = Mapping[tuple[str, str], float]
"""Resolutions by `where` and `outcome`."""

_SAMPLE: Final = re.compile(r"^idnode_resolutions_total\{([^}]*)\} ([0-9.e+]+)", re.MULTILINE)
_LABEL: Final = re.compile(r'(\w+)="([^"]*)"')
_VERSION: Final = re.compile(r'^idnode_build_info\{[^}]*\bversion="([^"]*)"', re.MULTILINE)


def resolutions(text: str) -> Counts:
    """The counts in a text of the Prometheus format; empty when the node does not count resolutions."""
    counts: dict[tuple[str, str], float] = defaultdict(float)
    for labels, value in _SAMPLE.findall(text):
        told = dict(_LABEL.findall(labels))
        counts[told.get("where", ""), told.get("outcome", "")] += float(value)
    return dict(counts)


def grown(before: Counts, after: Counts) -> dict[tuple[str, str], int]:
    """What was counted between two readings; what did not grow is left out."""
    grown = {key: round(count - before.get(key, 0.0)) for key, count in after.items()}
    return {key: count for key, count in sorted(grown.items()) if count > 0}


def version(text: str) -> str | None:
    """The version the node says it has."""
    found = _VERSION.search(text)
    return found[1] if found else None

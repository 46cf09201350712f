"""Makes a node count nothing of what it is asked, to tell what counting costs (scenario `counted`).

Python reads a file of this name when it starts, where its folder is in PYTHONPATH: for the other node of that scenario
and nobody else. Calls stay, and do nothing. What the node tells of its own state is untouched: by that it is found
ready.
"""

from importlib import import_module
from typing import Any


def _nothing(*_: Any, **__: Any) -> None:
    """Counts nothing."""


def _nothing_of(*_: Any) -> Any:
    """What counts one series: nothing."""
    return _nothing


_meter: Any = import_module("node.meter").Meter
_meter.count = _meter.observe = _meter.resolved = _nothing
_meter.counter = _meter.road = _nothing_of

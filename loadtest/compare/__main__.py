"""`python -m loadtest compare BEFORE.json AFTER.json`: what has become better or worse between two reports.

The wiring and the command line; what is compared is said in figures.py.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from loadtest.compare.figures import Change, CompareError, changes, differing
from loadtest.plot import shown
from loadtest.table import Table
from loadtest.telling import say

_COLUMNS: Final = (
    ("数字", "figure"),
    ("之前", "before"),
    ("之后", "after"),
    ("之后÷之前", "after by before"),
    ("结论", "verdict"),
)
_VERDICTS: Final = {True: "更好 better ✓", False: "更差 worse ✗", None: "–"}
EXPLANATION: Final = (
    "更好、更差：之后的每一轮都好于或差于之前的每一轮；–：分不出，或没有多轮。\n"
    "Better, worse: every turn after is so beside every turn before; –: cannot be told, or there was but one turn."
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 nothing is worse, 1 something is, 2 the reports cannot be compared.

    `arguments` are those of the process unless given.
    """
    parser = argparse.ArgumentParser(prog="python -m loadtest compare", description="比较两份报告 two reports compared")
    parser.add_argument("before", type=Path, help="之前的报告 the report before (JSON)")
    parser.add_argument("after", type=Path, help="之后的报告 the report after (JSON)")
    options = parser.parse_args(arguments)
    try:
        before, after = _read(options.before), _read(options.after)
        found = changes(before, after)
    except CompareError as error:
        say(str(error))
        return 2
    lines = [f"不同 differs: {line}" for line in differing(before, after)]
    print("\n".join([*table(found).lines(), "", *lines, EXPLANATION]))
    return 1 if any(change.better is False for change in found) else 0


def table(found: Sequence[Change]) -> Table:
    """A line for each figure."""
    return Table(
        _COLUMNS,
        [
            [
                change.name,
                shown(change.before.value),
                shown(change.after.value),
                "–" if change.ratio is None else f"{change.ratio:.2f}",
                _VERDICTS[change.better],
            ]
            for change in found
        ],
    )


def _read(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CompareError(f"{file}读不了：{error}。 {file} cannot be read: {error}.") from None
    if not isinstance(document, dict):
        raise CompareError(f"{file}不是报告。 {file} is no report.")
    return document


if __name__ == "__main__":
    sys.exit(main())

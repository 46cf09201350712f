"""`python -m loadtest fuzz`: tries so many inputs in one process, and tells what became of them.

Input by input it ends at once when one breaks a promise, hangs, or memory grows; the exit code is 0 if none did.
"""

import argparse
import faulthandler
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from loadtest.effort import resident
from loadtest.fuzz.inputs import inputs
from loadtest.fuzz.trial import Trial
from loadtest.telling import say

BATCH: Final = 1000
HANG_SECONDS: Final = 20
"""A batch takes a fifth of a second on a quiet machine; when it takes so long, every stack is told and all ends."""
SETTLED: Final = 10
"""Growth is counted from one part in so many of the run on: until then tables fill up."""
_ERRORS: Final = 2
"""Standard error, whoever has taken its name."""
GROWTH_OCTETS: Final = 8 * 1024 * 1024
"""Growth beyond it is called so; a leak of one octet an input is that much of ten million."""


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m loadtest fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="多少 · how many")
    parser.add_argument("--seed", type=int, default=1, help="种子 · the same inputs for the same one")
    given = parser.parse_args(arguments)
    try:
        return _tried(given.inputs, given.seed)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _tried(count: int, seed: int) -> int:
    trial, settled = Trial(), 0
    for number, octets in enumerate(inputs(seed, count)):
        if number % BATCH == 0:
            faulthandler.dump_traceback_later(HANG_SECONDS, exit=True, file=_ERRORS)
        if number == count // SETTLED:
            settled = resident(os.getpid()) or 0
        try:
            trial.run(number, octets)
        except Exception:  # noqa: BLE001 - any but what it refuses with is what is looked for
            traceback.print_exc()
            say(f"输入{number}：{octets.hex()} · input {number} of seed {seed}")
            return 1
    return _told(trial, count, (resident(os.getpid()) or 0) - settled)


def _told(trial: Trial, count: int, grown: int) -> int:
    for name, times in trial.told.most_common():
        print(f"{times:12,}  {name}")
    print(f"{count:12,}  inputs; grown by {grown / 1024:,.0f} KiB")
    return int(grown > GROWTH_OCTETS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

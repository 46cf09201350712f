"""Proves node/heap.py: pages are not asked of the kernel again and again."""

import subprocess
import sys

PROGRAM = """
import resource, sys
from node.heap import keep_freed
if sys.argv[1:]:
    keep_freed()
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
def bodies():
    return [b"x" * 1_600_000 for _ in range(4)]
bodies()
before = faults()
for _ in range(20):
    bodies()
print(faults() - before)
"""


def faults(*arguments: str) -> int:
    """Pages a program of its own asks for while bodies of megabytes come and go."""
    return int(subprocess.check_output([sys.executable, "-c", PROGRAM, *arguments]))


def test_what_was_freed_is_used_again() -> None:
    assert faults("keep") < 100
    # The C library by itself: should it have learned better, `keep_freed` can go.
    assert faults() > 1000

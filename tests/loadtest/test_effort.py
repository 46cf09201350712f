"""Proves loadtest/effort.py: descendants are found with their command lines, and their work is counted."""

import os
import subprocess
import sys
import time

from loadtest.effort import below, cpu, ended, resident
from tests.waiting import wait_until

PARENT = (
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import sys; sys.stdin.read()', 'grandchild (1)'])"
)
"""Both live until they are killed, or until nobody is left who could write to them."""


def test_descendants_are_found_with_their_words() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, "child"], stdin=subprocess.PIPE) as child:
        try:
            wait_until(lambda: any("grandchild (1)" in command for _, command in below(child.pid)), "it is there")
            assert len(below(child.pid)) == 1
            assert {child.pid, *(pid for pid, _ in below(child.pid))} <= {pid for pid, _ in below(os.getpid())}
        finally:
            for pid, _ in below(child.pid):
                os.kill(pid, 9)
            child.kill()


def test_work_is_counted() -> None:
    before, begun = cpu([os.getpid()]), time.process_time()
    while time.process_time() - begun < 0.05:
        sum(range(1000))
    assert 0.05 <= cpu([os.getpid()]) - before <= time.process_time() - begun + 0.01


def test_work_of_another_process_is_counted_however_little() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, "child"], stdin=subprocess.PIPE) as child:
        try:
            wait_until(lambda: below(child.pid), "it is there")
            assert 0 < cpu([child.pid]) < cpu([child.pid, *(pid for pid, _ in below(child.pid))])
        finally:
            for pid, _ in below(child.pid):
                os.kill(pid, 9)
            child.kill()


def test_memory_is_told() -> None:
    mine = resident(os.getpid())
    assert mine is not None
    assert 5_000_000 < mine < 5_000_000_000
    held = bytearray(b"x" * 60_000_000)
    more = resident(os.getpid())
    assert more is not None
    assert 40_000_000 < more - mine < 200_000_000
    assert len(held) == 60_000_000


def test_who_is_gone_uses_nothing() -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    assert (cpu([gone.pid]), resident(gone.pid), below(gone.pid)) == (0.0, None, [])


def test_work_of_children_that_have_ended_is_counted() -> None:
    before = ended(os.getpid())
    subprocess.run([sys.executable, "-c", "import time\nwhile time.process_time() < 0.1: pass"], check=True)
    assert 0.08 <= ended(os.getpid()) - before < 2

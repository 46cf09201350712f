"""What a process uses, of one we know: this one, and one that is gone."""

import os
import resource
import subprocess
import sys

import pytest

from node.usage import usage


def test_it_is_what_the_kernel_says_of_this_process() -> None:
    mine = usage(os.getpid())
    assert mine is not None
    spent = resource.getrusage(resource.RUSAGE_SELF)
    assert mine.cpu == pytest.approx(spent.ru_utime + spent.ru_stime, abs=0.1)
    assert 10e6 < mine.resident <= spent.ru_maxrss * 1024 * 1.1


def test_memory_that_is_taken_is_seen() -> None:
    before = usage(os.getpid())
    held = b"x" * 64_000_000
    after = usage(os.getpid())
    assert before is not None
    assert after is not None
    assert after.resident - before.resident > len(held) // 2


def test_a_name_with_brackets_does_not_mislead() -> None:
    program = "import sys; open('/proc/self/comm', 'w').write(') 1 2 ('); print('named', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"named\n"
        seen = usage(process.pid)
        process.kill()
    assert seen is not None
    assert 1e6 < seen.resident < 1e9
    assert usage(process.pid) is None, "it is gone"

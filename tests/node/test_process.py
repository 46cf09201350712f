"""What every child has in common: it is told its place, ends with its parent, and drains when it is asked to stop."""

import base64
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

import node
from node import process
from node.config import Config
from node.process import Place
from tests.waiting import PATIENCE, wait_until
from tests.whole.calls import runs

ROOT = Path(__file__).parents[2]
PLACE = Place("0a1b2c3d", 3, 12, 5, 6)
ORDER = process.order(Config(http_port=8123), PLACE)

BEGUN = f"8123 idnode-0a1b2c3d-3-12 17 18 {' '.join(map(str, node.GARBAGE))} True"
"""What a child of CHILD says first: a setting, its place, when it looks for cycles, and if not in what is loaded."""

CHILD = """
import asyncio, gc, os, socket, sys
from node import process

async def run(config, place):
    print(config.http_port, place.name, *place.handed, *gc.get_threshold(), gc.get_freeze_count() > 1000, flush=True)
    try:
        await asyncio.Event().wait()
    finally:
        print("drained", flush=True)

process.enter(sys.argv[2], run, int(sys.argv[1]), socket.socket(fileno=os.dup(0)), [17, 18])
"""


@contextmanager
def child(parent: int, module: str = "node.some") -> Iterator["subprocess.Popen[bytes]"]:
    """A child told to end with process `parent`; killed in the end, whatever came of it."""
    ours, line = socket.socketpair()
    words = [sys.executable, "-c", CHILD, str(parent), module]
    with ours, line, subprocess.Popen(words, stdin=line, stdout=subprocess.PIPE, cwd=ROOT) as made:
        ours.sendall(ORDER)
        ours.shutdown(socket.SHUT_WR)
        try:
            yield made
        finally:
            made.kill()


def told(made: "subprocess.Popen[bytes]") -> str:
    assert made.stdout is not None
    return made.stdout.readline().decode().strip()


def test_a_place_tells_its_connections_from_those_of_all_others() -> None:
    assert PLACE.name == "idnode-0a1b2c3d-3-12"
    assert PLACE.name.startswith(PLACE.family)
    others = [Place("0a1b2c3e", 3, 12, 5), Place("0a1b2c3d", 30, 12, 5), Place("0a1b2c3d", 31, 2, 5)]
    assert not any(other.name.startswith(PLACE.family) for other in others)
    assert Place("0a1b2c3d", 3, 13, 5).name.startswith(PLACE.family), "its successor stands in the same place"
    assert len(Place("0a1b2c3d", 64, 2**23, 5).name) < 63, "PostgreSQL cuts longer names"


def test_an_order_says_everything_a_child_needs() -> None:
    config = Config(http_port=8001, secret_key=base64.b64encode(bytes(32)).decode(), public_url="https://标识.example")
    read = msgspec.json.decode(process.order(config, PLACE), type=process._Order)
    assert read.config == config
    assert read.place == PLACE


def test_descriptors_have_other_numbers_in_the_child() -> None:
    place = Place("0a1b2c3d", 3, 12, 5, -1, 7, native_udp=9)
    assert place.handed == [5, 7, 9]
    assert place.taken([20, 21, 22]) == Place("0a1b2c3d", 3, 12, 20, -1, 21, native_udp=22)


def test_operators_call_a_process_by_what_it_is() -> None:
    modules = ["node.worker", "node.follower", "node.uplink.process", "node.toplevel.server"]
    assert list(map(process.name_of, modules)) == ["worker", "follower", "uplink", "toplevel"]


@pytest.mark.parametrize(
    ("module", "steps"),
    [("node.worker", 0), ("node.follower", 0), ("node.uplink.process", 10), ("node.toplevel.server", 0)],
)
def test_who_tells_the_national_node_gives_way_to_who_is_asked(module: str, steps: int) -> None:
    with child(os.getpid(), module) as made:
        assert told(made) == BEGUN
        assert os.getpriority(os.PRIO_PROCESS, made.pid) - os.getpriority(os.PRIO_PROCESS, 0) == steps


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_child_that_is_told_to_stop_finishes_and_ends_well(number: int) -> None:
    with child(os.getpid()) as made:
        assert told(made) == BEGUN
        made.send_signal(number)
        assert told(made) == "drained"
        assert made.wait(PATIENCE) == 0


def test_a_child_whose_parent_is_gone_already_ends_at_once_without_a_word() -> None:
    with child(1 if os.getpid() != 1 else 2) as made:
        assert told(made) == ""
        assert made.wait(PATIENCE) == 0


PARENT = f"""
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}, str(os.getpid()), "node.some"], stdin=0)
print(child.pid, flush=True)
child.wait()
"""


def test_a_child_ends_with_its_parent_even_by_kill_9() -> None:
    ours, line = socket.socketpair()
    words = [sys.executable, "-c", PARENT]
    with ours, line, subprocess.Popen(words, stdin=line, stdout=subprocess.PIPE, cwd=ROOT) as parent:
        ours.sendall(ORDER)
        ours.shutdown(socket.SHUT_WR)
        lines = {told(parent), told(parent)}
        assert BEGUN in lines
        (pid,) = (int(line) for line in lines if line.isdigit())
        parent.kill()
        parent.wait(PATIENCE)
    wait_until(lambda: not runs(pid), "the child ends")


def test_a_parent_that_is_process_1_is_a_parent_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    # As in a container whose only command is `idnode`: then every child's parent has the number 1.
    class Libc:
        def prctl(self, *arguments: int) -> int:
            return 0

    monkeypatch.setattr(process.ctypes, "CDLL", lambda *_, **__: Libc())
    monkeypatch.setattr(process.os, "getppid", lambda: 1)
    process.die_with(1)
    with pytest.raises(SystemExit):
        process.die_with(2)

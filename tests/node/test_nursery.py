"""Proves node/nursery.py with real processes: who is born there is told apart, hears its order, and how it ended."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node import nursery as module
from node.config import Config
from node.nursery import Born, Nursery, NurseryError
from node.process import Place
from tests.fakes.nursery import own_nursery
from tests.waiting import until
from tests.whole.calls import runs

HERE = "tests.fakes.nursed"
CONFIG = Config(http_port=8123)


@asynccontextmanager
async def born(nursery: Nursery, word: str) -> AsyncIterator[tuple[Born, socket.socket]]:
    """A child that does what tests/fakes/nursed.py has for `word`, and our end of the socket it was handed."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    with ours, theirs:
        made = await nursery.fork(HERE, CONFIG, Place(word, 4, 1, -1, theirs.fileno()))
        theirs.close()
        yield made, ours


def title(made: Born) -> str:
    """What it is called where processes are listed."""
    return Path(f"/proc/{made.pid}/cmdline").read_bytes().rstrip(b"\0").decode()


async def said(ours: socket.socket) -> list[str]:
    """All it said until it closed its end or died."""
    reader, writer = await asyncio.open_connection(sock=ours.dup())
    text = (await reader.read()).decode()
    writer.close()
    return text.split()


async def test_a_child_has_its_order_its_descriptors_and_a_name_and_nothing_of_its_neighbours() -> None:
    async with (
        own_nursery(HERE) as nursery,
        born(nursery, "waits") as (neighbour, _),
        born(nursery, "tells") as (made, ours),
    ):
        port, parent, sockets, frozen = await said(ours)
        assert (port, parent, frozen) == ("8123", str(nursery.pid), "True")
        assert sockets == "3", "the one it was handed, and two by which its loop wakes itself: no control and no line"
        assert await made.wait() == made.returncode == 0
        assert title(neighbour) == "idnode: node.tests.fakes.nursed 4"
        assert neighbour.returncode is None


@pytest.mark.parametrize(("word", "code"), [("tells", 0), ("exits", 76), ("fails", 1)])
async def test_how_it_ended_is_told(word: str, code: int, capfd: pytest.CaptureFixture[str]) -> None:
    async with own_nursery(HERE) as nursery, born(nursery, word) as (made, _):
        assert await made.wait() == made.returncode == code
        made.send_signal(signal.SIGKILL)  # whoever has its number now is left alone
    assert ("ZeroDivisionError" in capfd.readouterr().err) == (word == "fails")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)])
async def test_a_signal_reaches_it(number: int, code: int) -> None:
    async with own_nursery(HERE) as nursery, born(nursery, "waits") as (made, ours):
        assert await asyncio.get_running_loop().sock_recv(ours, 1) == b"."
        made.send_signal(number)
        assert await made.wait() == code
        assert not runs(made.pid)


async def test_with_the_block_all_of_them_end() -> None:
    async with own_nursery(HERE) as nursery, born(nursery, "waits") as (made, _):
        pass
    assert await made.wait() == -signal.SIGKILL
    await until(lambda: not runs(made.pid), "the kernel ends it")


async def test_a_nursery_that_is_killed_is_told_and_bears_nobody() -> None:
    async with own_nursery(HERE) as nursery, born(nursery, "waits") as (made, _):
        os.kill(nursery.pid, signal.SIGKILL)
        with pytest.raises(NurseryError, match="start the node again"):
            await nursery.watch()
        assert await made.wait() == -signal.SIGKILL
        with pytest.raises(OSError, match=r"."):
            async with born(nursery, "waits"):
                pass


async def test_who_waits_no_longer_for_a_child_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = asyncio.Event()

    async def never(_: object) -> bytes:
        waiting.set()
        return await asyncio.Future()

    async with own_nursery(HERE) as nursery:
        before = os.listdir("/proc/self/fd")
        monkeypatch.setattr("node.nursery._line", never)
        forking = asyncio.create_task(nursery.fork(HERE, CONFIG, Place("waits", 4, 1, -1)))
        await waiting.wait()
        assert len(os.listdir("/proc/self/fd")) > len(before)
        forking.cancel()
        await asyncio.gather(forking, return_exceptions=True)
        await until(lambda: len(os.listdir("/proc/self/fd")) == len(before))


async def test_where_no_process_can_be_had_the_reason_is_told() -> None:
    async with own_nursery("tests.fakes.barren") as nursery:
        with pytest.raises(BlockingIOError):
            async with born(nursery, "waits"):
                pass


PARENT = """
import sys
from node.nursery import Nursery
with Nursery.opened("tests.fakes.nursed") as nursery:
    print(nursery.pid, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("how", ["kill -9", "the end of the block"])
async def test_the_nursery_ends_with_its_parent(how: str) -> None:
    pipe = asyncio.subprocess.PIPE
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PARENT, stdin=pipe, stdout=pipe, cwd=Path(__file__).parents[2]
    )
    assert parent.stdout is not None
    assert parent.stdin is not None
    pid = int(await parent.stdout.readline())
    assert runs(pid)
    if how == "kill -9":
        parent.kill()
    else:
        parent.stdin.write(b"last\n")
    assert await parent.wait() == (-signal.SIGKILL if how == "kill -9" else 0)
    await until(lambda: not runs(pid), "it ends")


def test_a_request_fits_its_bounds() -> None:
    place = Place("m", 0, 0, *range(1, 8))
    assert len(place.handed) < module.DESCRIPTORS_MOST

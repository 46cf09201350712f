"""The supervisor over real processes that only stand for workers and follower (tests/fakes/child.py)."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from typing import Any

import pytest

from node import supervisor as supervising
from node.config import Config
from node.metrics import PROCESS_RESTARTS, PROCESS_UP, READY, REDIS_TRUSTED, Metric
from node.supervisor import PortTakenError, Supervisor, listening_socket, listening_sockets
from tests.waiting import PATIENCE, until

NOWHERE = "postgresql://idnode@/idnode?host=/nowhere&port=5432"
START = asyncio.create_subprocess_exec


@pytest.fixture(autouse=True)
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children are those of tests/fakes/child.py, started without pauses."""

    async def start(python: str, dash: str, module: str, *rest: str, **more: Any) -> Any:
        return await START(python, dash, "tests.fakes.child", *rest, **more)

    monkeypatch.setattr(supervising.asyncio, "create_subprocess_exec", start)
    monkeypatch.setattr(supervising, "RESTART_SECONDS", (0.0,))


@pytest.fixture
def port() -> Iterator[int]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        number = sock.getsockname()[1]
    return number


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Supervisor]:
    made = Supervisor(config, listening_sockets(config))
    task = asyncio.create_task(made.run())
    try:
        yield made
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def alive(supervisor: Supervisor) -> bool:
    """Whether every child has said so since it was started last, and the follower lets caches be used."""
    beats = supervisor._shared.beats()
    said = all(child.process and child.born < beats[child.column] for child in supervisor.children)
    return said and supervisor._shared.generation != 0


def told(supervisor: Supervisor, wanted: Metric) -> dict[tuple[str, ...], float]:
    """What it tells of a metric: value by labels."""
    return {s.labels: s.value for metric, samples in supervisor.facts() if metric is wanted for s in samples}


def pids(supervisor: Supervisor) -> list[int]:
    return [child.process.pid for child in supervisor.children if child.process is not None]


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


# -- ports


def test_a_port_in_use_is_a_sentence_that_names_the_flag(port: int) -> None:
    with closing(socket.create_server(("127.0.0.1", port))), pytest.raises(PortTakenError) as caught:
        listening_socket("127.0.0.1", port, "--operator-port", shared=False)
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert str(caught.value).count("--operator-port") == 2, "in both languages"


@pytest.mark.parametrize("host", ["192.0.2.1", "no-such-host.invalid", "::g"])
def test_an_address_that_is_not_ours_is_a_sentence(host: str, port: int) -> None:
    with pytest.raises(PortTakenError, match="cannot be used"):
        listening_socket(host, port, "--http-port", shared=True)


def test_another_node_on_the_port_is_found_though_it_would_share_it(port: int) -> None:
    held = listening_sockets(Config(http_port=port, workers=2))
    assert {sock.getsockname()[1] for sock in held} == {port}
    with pytest.raises(PortTakenError, match="--http-port"):
        listening_sockets(Config(http_port=port, workers=1))
    for sock in held:
        sock.close()
    for sock in listening_sockets(Config(http_port=port, workers=1)):
        sock.close()


def test_all_workers_listen_on_the_one_port(port: int) -> None:
    held = listening_sockets(Config(http_port=port, workers=3))
    assert len(held) == 3
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)):
        assert all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for sock in held)
    for sock in held:
        sock.close()


# -- children


async def test_each_has_a_place_of_its_own_and_all_end_with_it(port: int) -> None:
    async with running(Config(http_port=port, workers=2, database_url=NOWHERE)) as supervisor:
        assert [(child.module, child.column) for child in supervisor.children] == [
            ("node.worker", 0),
            ("node.worker", 1),
            ("node.follower", 2),
        ]
        await until(lambda: alive(supervisor))
        started = pids(supervisor)
        assert len(set(started)) == 3
    assert all(gone(pid) for pid in started)
    for sock in listening_sockets(Config(http_port=port, workers=1)):
        sock.close()


@pytest.mark.parametrize("column", [0, 1])
async def test_whoever_is_killed_is_replaced_and_counted(port: int, column: int) -> None:
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        child, other = supervisor.children[column], supervisor.children[1 - column]
        assert child.process is not None
        assert other.process is not None
        was, neighbour = child.process.pid, other.process.pid
        os.kill(was, signal.SIGKILL)
        await until(lambda: child.process is not None and child.process.pid != was and alive(supervisor))
        assert other.process.pid == neighbour
        assert told(supervisor, PROCESS_RESTARTS) == {("worker",): 1 - column, ("follower",): column}


async def test_a_dead_follower_takes_the_generation_with_it(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        generation = supervisor._shared.generation
        process = supervisor.children[-1].process
        assert process is not None
        monkeypatch.setattr(supervising, "RESTART_SECONDS", (3600.0,))
        process.send_signal(signal.SIGKILL)
        await until(lambda: supervisor._shared.generation == 0)
        assert "follower_not_caught_up" in supervisor.reasons()
    assert generation != 0


async def test_a_follower_that_falls_silent_is_killed_and_replaced(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervising, "WATCH_SECONDS", 0.01)
    monkeypatch.setattr(supervising, "SILENT_SECONDS", 0.5)
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        generation, process = supervisor._shared.generation, supervisor.children[-1].process
        assert process is not None
        process.send_signal(signal.SIGSTOP)
        await until(lambda: process.returncode == -signal.SIGKILL)
        await until(lambda: alive(supervisor))
        assert supervisor._shared.generation != generation


async def test_who_dies_young_is_started_after_longer_and_longer_pauses(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CHILD", "short")
    pauses: list[float] = []
    monkeypatch.setattr(supervising, "RESTART_SECONDS", (0.0, 0.001, 0.002, 0.003))
    sleep, enough = asyncio.sleep, asyncio.Event()

    async def noted(seconds: float) -> None:
        if seconds < 0.004:
            pauses.append(seconds)
        if len(pauses) > 6:
            enough.set()
            await asyncio.Event().wait()
        await sleep(seconds)

    monkeypatch.setattr(supervising.asyncio, "sleep", noted)
    made = Supervisor(Config(http_port=port, workers=1, database_url=NOWHERE), [])
    made.children = [supervising.Child("node.follower", 1)]
    task = asyncio.create_task(made.run())
    async with asyncio.timeout(PATIENCE):
        await enough.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert pauses[:6] == [0.0, 0.001, 0.002, 0.003, 0.003, 0.003]


async def test_who_does_not_stop_when_told_is_killed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CHILD", "deaf")
    monkeypatch.setattr(supervising, "STOP_SECONDS", 0.2)
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        started = [child.process for child in supervisor.children]
    assert [process.returncode for process in started if process] == [-signal.SIGKILL] * 2


async def test_nobody_is_started_while_all_are_stopped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CHILD", "deaf")
    monkeypatch.setattr(supervising, "STOP_SECONDS", 1.0)
    monkeypatch.setattr(supervising, "RESTART_SECONDS", (0.3,))
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        worker = supervisor.children[0]
        was = worker.process
        assert was is not None
        was.kill()
        await until(lambda: worker.restarts == 1)
    assert worker.process is was, "the pause before its restart ended when the others were being stopped"


async def test_a_stop_lets_children_finish(port: int) -> None:
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        started = [child.process for child in supervisor.children]
    assert [process.returncode for process in started if process] == [0, 0]


# -- readiness


async def test_it_is_ready_when_all_are_alive_and_the_database_is_there(port: int, database: str) -> None:
    async with running(Config(http_port=port, workers=2, database_url=database)) as supervisor:
        assert set(supervisor.reasons()) == {
            "database_unreachable",
            "follower_not_caught_up",
            "worker_0_silent",
            "worker_1_silent",
        }
        await until(lambda: not supervisor.reasons())
        assert told(supervisor, PROCESS_UP) == {("worker", "0"): 1, ("worker", "1"): 1, ("follower", "2"): 1}
        assert told(supervisor, READY) == {(): 1}


async def test_a_database_that_is_away_is_a_reason(port: int) -> None:
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        await until(lambda: supervisor._database_error != "not asked yet")
        assert supervisor.reasons() == ["database_unreachable"]


async def test_a_silent_worker_is_a_reason(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CHILD", "silent")
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        assert "worker_0_silent" not in supervisor.reasons()
        monkeypatch.setattr(supervising, "SILENT_SECONDS", 0.0)
        assert "worker_0_silent" in supervisor.reasons()


def test_a_distrusted_redis_is_a_warning_where_there_is_one() -> None:
    supervisor = Supervisor(Config(redis_url="redis://localhost"), [])
    assert supervisor.warnings() == []
    supervisor._shared.distrust()
    assert supervisor.warnings() == ["redis_distrusted"]
    assert told(supervisor, REDIS_TRUSTED) == {(): 0}
    alone = Supervisor(Config(), [])
    alone._shared.distrust()
    assert alone.warnings() == []
    assert told(alone, REDIS_TRUSTED) == {(): 1}

"""The supervisor over real processes that only stand for workers and follower (tests/fakes/child.py)."""

import asyncio
import base64
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest

from loadtest.ports import free_ports
from node import clock, health
from node import supervisor as supervising
from node.config import Config
from node.meter import Meter
from node.metrics import (
    CERTIFICATE_ENDS,
    CONDITION,
    HOT_ENTRIES,
    HOT_EVICTIONS,
    PREFIX_RESOLUTIONS,
    PROCESS_CPU,
    PROCESS_RESIDENT,
    PROCESS_RESTARTS,
    PROCESS_SILENT,
    PROCESS_UP,
    READY,
    REDIS_TRUSTED,
    UPLINK_CHAIN_BROKEN,
    UPLINK_NOT_ENROLLED,
    UPLINK_UNREACHABLE,
    Metric,
)
from node.nursery import Born, Nursery, NurseryError
from node.process import Place
from node.resolve.answer import Answer, Outcome
from node.supervisor import (
    PortTakenError,
    Supervisor,
    client_cert_sockets,
    listening_socket,
    listening_sockets,
    native_sockets,
    secure_sockets,
)
from tests.fakes.certificate import own_certificate
from tests.fakes.nursery import own_nursery
from tests.fakes.small_registry import PREFIX, small_registry
from tests.fakes.valkey import own_valkey
from tests.waiting import PATIENCE, until

KEY = base64.b64encode(bytes(32)).decode()
NOWHERE = "postgresql://idnode@/idnode?host=/nowhere&port=5432"
STAND_IN = "tests.fakes.child"


class Standing(Nursery):
    """A nursery in which only stand-ins are born, those of tests/fakes/child.py."""

    async def fork(self, module: str, config: Config, place: Place) -> Born:
        return await super().fork(STAND_IN, config, place)


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children are started without pauses."""
    monkeypatch.setattr(supervising, "RESTART_SECONDS", (0.0,))


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@asynccontextmanager
async def running(config: Config, secure: Sequence[socket.socket] = ()) -> AsyncIterator[Supervisor]:
    made = Supervisor(config, listening_sockets(config), secure)
    async with own_nursery(STAND_IN, kind=Standing) as nursery:
        task = asyncio.create_task(made.run(nursery))
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


@pytest.mark.parametrize(
    ("setting", "made"),
    [
        ("http_port", listening_sockets),
        ("https_port", secure_sockets),
        ("client_cert_port", client_cert_sockets),
    ],
)
def test_all_workers_listen_on_the_one_port(
    port: int, setting: str, made: Callable[[Config], list[socket.socket]]
) -> None:
    config = Config(workers=3, certificate="x", **{setting: port})
    held = made(config)
    assert len(held) == 3
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)):
        assert all(sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) for sock in held)
    for sock in held:
        sock.close()


def test_without_a_certificate_there_is_no_port_for_those_of_clients_and_it_is_off_by_default(port: int) -> None:
    assert client_cert_sockets(Config(client_cert_port=port)) == []
    assert client_cert_sockets(Config(certificate="x")) == []
    assert secure_sockets(Config()) == []


def test_the_native_port_is_one_of_tcp_and_of_udp(port: int) -> None:
    held = [sock for pair in native_sockets(Config(native_port=port, workers=2)) for sock in pair]
    assert [sock.type for sock in held] == [socket.SOCK_STREAM, socket.SOCK_DGRAM] * 2
    assert {sock.getsockname()[1] for sock in held} == {port}
    with closing(socket.create_connection(("127.0.0.1", port), PATIENCE)):
        for taken in ((0, 2), (1, 3)):  # by the other protocol alone, too
            with pytest.raises(PortTakenError, match="--native-port"):
                native_sockets(Config(native_port=port, workers=1))
            for number in taken:
                held[number].close()
    for sock in native_sockets(Config(native_port=port, workers=1))[0]:
        sock.close()
    assert native_sockets(Config(native_port=0)) == []


# -- children


async def test_each_has_a_place_of_its_own_and_all_end_with_it(port: int) -> None:
    secure = secure_sockets(Config(https_port=free_ports(1)[0], certificate="x", workers=2))
    async with running(Config(http_port=port, workers=2, database_url=NOWHERE), secure) as supervisor:
        assert [(child.module, child.column) for child in supervisor.children] == [
            ("node.worker", 0),
            ("node.worker", 1),
            ("node.follower", 2),
        ]
        await until(lambda: alive(supervisor))
        started = pids(supervisor)
        assert len(set(started)) == 3
    assert all(gone(pid) for pid in started)
    assert {sock.fileno() for sock in secure} == {-1}
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
    async with own_nursery(STAND_IN, kind=Standing) as nursery:
        task = asyncio.create_task(made.run(nursery))
        async with asyncio.timeout(PATIENCE):
            await enough.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert pauses[:6] == [0.0, 0.001, 0.002, 0.003, 0.003, 0.003]


async def test_without_its_nursery_it_ends_and_says_so(port: int) -> None:
    config = Config(http_port=port, workers=1, database_url=NOWHERE)
    supervisor = Supervisor(config, listening_sockets(config))
    async with own_nursery(STAND_IN, kind=Standing) as nursery:
        running = asyncio.create_task(supervisor.run(nursery))
        await until(lambda: alive(supervisor))
        born = pids(supervisor)
        os.kill(nursery.pid, signal.SIGKILL)
        with pytest.raises(NurseryError, match="start the node again"):
            await running
    await until(lambda: all(gone(pid) for pid in born))


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
        was.send_signal(signal.SIGKILL)
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
            "worker_silent",
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
        assert "worker_silent" not in supervisor.reasons()
        monkeypatch.setattr(supervising, "SILENT_SECONDS", 0.0)
        assert "worker_silent" in supervisor.reasons()


def test_a_distrusted_redis_is_a_warning_where_there_is_one() -> None:
    supervisor = Supervisor(Config(redis_url="redis://localhost"), [])
    assert health.REDIS_DISTRUSTED not in supervisor.conditions()
    supervisor._shared.distrust()
    assert health.REDIS_DISTRUSTED in supervisor.conditions()
    assert told(supervisor, REDIS_TRUSTED) == {(): 0}
    assert told(supervisor, CONDITION)["redis_distrusted",] == 1
    alone = Supervisor(Config(), [])
    alone._shared.distrust()
    assert health.REDIS_DISTRUSTED not in alone.conditions()
    assert told(alone, REDIS_TRUSTED) == {(): 1}
    assert told(alone, CONDITION)["redis_distrusted",] == 0


async def test_a_redis_that_is_away_is_a_warning_until_it_is_back(port: int) -> None:
    with own_valkey() as valkey:
        config = Config(http_port=port, workers=1, database_url=NOWHERE, redis_url=valkey.url, secret_key=KEY)
        async with running(config) as supervisor:
            valkey.kill()
            await until(lambda: health.REDIS_UNREACHABLE in supervisor.conditions())
            assert "redis_unreachable" not in supervisor.reasons()
            valkey.start()
            await until(lambda: health.REDIS_UNREACHABLE not in supervisor.conditions())


async def test_a_database_that_takes_no_changes_is_a_warning(port: int, database: str) -> None:
    connection = await asyncpg.connect(database)
    name = await connection.fetchval("SELECT current_database()")
    async with running(Config(http_port=port, workers=1, database_url=database)) as supervisor:
        await until(lambda: not supervisor.reasons())
        assert health.DATABASE_READ_ONLY not in supervisor.conditions()
        await connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        await until(lambda: health.DATABASE_READ_ONLY in supervisor.conditions())
        assert supervisor.reasons() == []
        await connection.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
        await until(lambda: health.DATABASE_READ_ONLY not in supervisor.conditions())
    await connection.close()


async def test_a_certificate_that_ends_or_cannot_be_used_is_a_warning(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervising, "CERTIFICATE_SECONDS", 0.01)
    file = tmp_path / "https.pem"
    own_certificate(file, 15)
    config = Config(http_port=port, workers=1, database_url=NOWHERE, certificate=str(file))
    async with running(config) as supervisor:
        await until(lambda: told(supervisor, CERTIFICATE_ENDS)[()] > clock.seconds() + 14 * 86_400)
        assert not {health.CERTIFICATE_ENDS, health.CERTIFICATE_UNUSABLE} & set(supervisor.conditions())
        own_certificate(file, 13)
        await until(lambda: health.CERTIFICATE_ENDS in supervisor.conditions())
        file.write_bytes(b"")
        await until(lambda: health.CERTIFICATE_UNUSABLE in supervisor.conditions())
        assert told(supervisor, CERTIFICATE_ENDS) == {(): 0}
        assert not {"certificate_ends", "certificate_unusable"} & set(supervisor.reasons())


def test_what_the_uplink_says_is_a_warning() -> None:
    supervisor = Supervisor(Config(), [])
    uplink = Meter(supervisor._counting, 2, 3)
    for metric, condition in (
        (UPLINK_UNREACHABLE, health.UPLINK_UNREACHABLE),
        (UPLINK_NOT_ENROLLED, health.UPLINK_NOT_ENROLLED),
        (UPLINK_CHAIN_BROKEN, health.UPLINK_CHAIN_BROKEN),
    ):
        assert condition not in supervisor.conditions()
        uplink.set(metric, 1)
        assert condition in supervisor.conditions()
        assert condition.code not in supervisor.reasons()
        uplink.set(metric, 0)


# -- what it tells


async def test_it_tells_what_its_processes_use_and_how_long_they_are_silent(port: int) -> None:
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        resident, cpu = told(supervisor, PROCESS_RESIDENT), told(supervisor, PROCESS_CPU)
        assert (
            resident.keys() == cpu.keys() == {("supervisor", ""), ("nursery", ""), ("worker", "0"), ("follower", "1")}
        )
        assert all(value > 1e6 for value in resident.values())
        assert cpu["supervisor", ""] > 0
        silent = told(supervisor, PROCESS_SILENT)
        assert silent.keys() == {("worker", "0"), ("follower", "1")}
        assert all(0 <= value < 60 for value in silent.values())


async def test_it_learns_the_names_of_prefixes_that_are_asked_for(port: int, database: str) -> None:
    async with small_registry(database) as registry:
        mine = await registry.lookup.prefix(PREFIX)
        assert mine is not None
    async with running(Config(http_port=port, workers=1, database_url=database)) as supervisor:
        worker = Meter(supervisor._counting, 1, 0)
        worker.resolved(Answer(Outcome.FOUND, 1, mine.number, 1), 0.001)
        worker.resolved(Answer(Outcome.ABSENT, 0, 4000, 1), 0.001)
        await until(lambda: told(supervisor, PREFIX_RESOLUTIONS).get((PREFIX, "ok")))
        assert told(supervisor, PREFIX_RESOLUTIONS) == {
            (PREFIX, "ok"): 1,
            (PREFIX, "failed"): 0,
            ("other", "ok"): 0,
            ("other", "failed"): 1,
        }


async def test_a_dead_process_takes_its_gauges_with_it_and_leaves_what_it_counted(port: int) -> None:
    async with running(Config(http_port=port, workers=1, database_url=NOWHERE)) as supervisor:
        await until(lambda: alive(supervisor))
        worker = Meter(supervisor._counting, 1, 0)
        worker.set(HOT_ENTRIES, 5, "found")
        worker.count(HOT_EVICTIONS, "found")
        process = supervisor.children[0].process
        assert process is not None
        process.send_signal(signal.SIGKILL)
        await until(lambda: supervisor.children[0].restarts)
        totals = supervisor.totals
        assert {s.labels: s.value for s in totals.samples(HOT_ENTRIES, 0.0)}["found",] == 0
        assert {s.labels: s.value for s in totals.samples(HOT_EVICTIONS, 0.0)}["found",] == 1

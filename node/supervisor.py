"""The supervisor: holds the ports and the shared memory, keeps workers and follower alive, tells operators how it is.

It serves no client itself and asks the database nothing but whether it is there.
"""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Final

import structlog

from node import certificate, clock, health, meter, stamps
from node.certificate import Certificate, CertificateError
from node.config import Config
from node.health import Condition
from node.meter import Sample, Totals
from node.metrics import (
    AUDIT_BROKEN,
    AUDIT_FULL,
    CERTIFICATE_ENDS,
    CONDITION,
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
from node.nursery import Born, Nursery
from node.prefix_series import PrefixSeries
from node.process import Place, name_of
from node.redis_cache import RedisCache, RestartedError
from node.redis_wire import BROKEN
from node.stamps import Shared
from node.usage import usage
from registry.errors import UnavailableError
from registry.postgres import catalogue
from registry.postgres.connection import connected, is_read_only

RESTART_SECONDS: Final = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Pauses before a child that died young is started again; the last one repeats."""
YOUNG_SECONDS: Final = 10.0
"""A child that lived longer starts again without a pause."""
SILENT_SECONDS: Final = 5.0
"""A follower that said nothing for so long (it speaks every half second) is killed; no cache is used from then on
until the next one has caught up."""
HUNG_SECONDS: Final = 20.0
"""A worker that said nothing for so long (it speaks every second) is killed and replaced: its share of the connections
would hang with it."""
WATCH_SECONDS: Final = 0.25
ASK_SECONDS: Final = 1.0
"""Pause between two looks at whether PostgreSQL and Redis are there: readiness is no older than this."""
CERTIFICATE_SECONDS = 60.0
"""Pause between two looks at the certificate: it is about days."""
STOP_SECONDS: Final = 15.0
"""Children that have not drained by then are killed."""

WORKER: Final = "node.worker"
FOLLOWER: Final = "node.follower"
UPLINK: Final = "node.uplink.process"

log = structlog.get_logger("supervisor")


class PortTakenError(Exception):
    """A port is in use; the text is one sentence, Chinese and English."""


def listening_socket(host: str, port: int, setting: str, *, shared: bool) -> socket.socket:
    """A bound socket, `shared` by SO_REUSEPORT with others of ours. Raises PortTakenError."""
    return _bound(host, port, setting, shared=shared, kind=socket.SOCK_STREAM)


def _bound(host: str, port: int, setting: str, *, shared: bool, kind: socket.SocketKind) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    if kind is socket.SOCK_STREAM:  # for UDP it would let strangers share the port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((host, port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise PortTakenError(
            f"地址{host}:{port}不可用（{error}），请用{setting}换一个。 "
            f"{host}:{port} cannot be used ({error}); choose another with {setting}."
        ) from None
    return sock


def listening_sockets(config: Config) -> list[socket.socket]:
    """One socket a worker, all on the HTTP port; made here so that a dead worker's connections wait for the next."""
    return _one_a_worker(config, config.http_port, "--http-port")


def secure_sockets(config: Config) -> list[socket.socket]:
    """The same on the HTTPS port; none without a certificate."""
    return _one_a_worker(config, config.https_port, "--https-port") if config.certificate else []


def client_cert_sockets(config: Config) -> list[socket.socket]:
    """The same on the port of clients' certificates; none without a certificate of ours, or where that port is 0."""
    port = config.client_cert_port if config.certificate else 0
    return _one_a_worker(config, port, "--client-cert-port") if port else []


def _one_a_worker(config: Config, port: int, setting: str) -> list[socket.socket]:
    # Bound once without sharing first: another node of ours on this port would share it silently.
    probe = listening_socket(config.host, port, setting, shared=False)
    try:
        probe.listen(1)
    except OSError as error:
        raise PortTakenError(
            f"端口{port}已被占用（{error}），请用{setting}换一个。 "
            f"Port {port} is taken ({error}); choose another with {setting}."
        ) from None
    finally:
        probe.close()
    made = []
    for _ in range(config.workers):
        sock = listening_socket(config.host, port, setting, shared=True)
        sock.listen(1024)
        made.append(sock)
    return made


def native_sockets(config: Config) -> list[tuple[socket.socket, socket.socket]]:
    """A TCP and a UDP socket a worker, all on the native port; none where that is 0."""
    port, setting = config.native_port, "--native-port"
    if not port:
        return []
    datagrams = partial(_bound, config.host, port, setting, kind=socket.SOCK_DGRAM)
    datagrams(shared=False).close()
    return [(stream, datagrams(shared=True)) for stream in _one_a_worker(config, port, setting)]


@dataclass(slots=True)
class Child:
    """One place and who stands in it."""

    module: str
    column: int
    process: Born | None = None
    restarts: int = 0
    born: float = field(default=0.0)

    @property
    def name(self) -> str:
        """What operators call it."""
        return name_of(self.module)

    @property
    def labels(self) -> tuple[str, str]:
        """Its labels in metrics."""
        return self.name, str(self.column)

    @property
    def up(self) -> bool:
        """Whether it runs now."""
        return self.process is not None and self.process.returncode is None


class Supervisor:
    """Runs one node. `sockets` come from `listening_sockets`, those of HTTPS from `secure_sockets`, `native` from
    `native_sockets`, those of clients with certificates from `client_cert_sockets`."""

    def __init__(
        self,
        config: Config,
        sockets: list[socket.socket],
        secure: Sequence[socket.socket] = (),
        native: Sequence[tuple[socket.socket, socket.socket]] = (),
        client_cert: Sequence[socket.socket] = (),
    ) -> None:
        self.config = config
        self._nursery: Nursery | None = None
        self._sockets = sockets
        self._secure = secure
        self._native = native
        self._client_cert = client_cert
        self._descriptor = stamps.create(config.workers)
        # This view writes no column: it reads, and clears the generation of a follower that is dead.
        self._shared = Shared(self._descriptor, config.workers, 0, 1)
        self._counting = meter.create(config.workers)
        self.totals = Totals(self._counting, config.workers)
        self._machine = secrets.token_hex(4)
        self._incarnation = 1
        self._stopping = False
        self._database_error: str | None = "not asked yet"
        self._database_read_only = False
        self._redis_away = False
        self._certificate: Certificate | CertificateError | None = None
        self._prefixes = PrefixSeries()
        self.children = [Child(WORKER, n) for n in range(config.workers)]
        self.children.append(Child(FOLLOWER, config.workers))
        if config.toplevel_url:
            self.children.append(Child(UPLINK, config.workers + 1))

    async def run(self, nursery: Nursery) -> None:
        """Keeps everything, born in `nursery`, alive until cancelled, then lets it drain. Raises NurseryError."""
        self._nursery = nursery
        tasks = [asyncio.create_task(self._keep(child, nursery)) for child in self.children]
        tasks += [asyncio.create_task(self._watch()), asyncio.create_task(self._ask_database())]
        tasks += [asyncio.create_task(self._ask_redis()), asyncio.create_task(self._look_at_certificate())]
        tasks.append(asyncio.create_task(nursery.watch()))
        try:
            await asyncio.gather(*tasks)
        finally:
            self._stopping = True
            await self._stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _keep(self, child: Child, nursery: Nursery) -> None:
        young = 0
        while True:
            await asyncio.sleep(RESTART_SECONDS[min(young, len(RESTART_SECONDS) - 1)])
            try:
                await self._start(child, nursery)
            except OSError as error:  # no memory or no more processes just now: as if it had died young
                log.warning("child_not_started", module=child.name, error=str(error))
                young += 1
                continue
            assert child.process is not None
            code = await child.process.wait()
            if child.module == FOLLOWER:
                self._shared.clear_generation()
            self.totals.forget(child.column)
            if self._stopping:
                return
            child.restarts += 1
            young = young + 1 if clock.monotonic() - child.born < YOUNG_SECONDS else 0
            log.warning("child_died", module=child.name, column=child.column, pid=child.process.pid, code=code)

    async def _start(self, child: Child, nursery: Nursery) -> None:
        self._incarnation += 1
        worker = child.module == WORKER
        listening = self._sockets[child.column].fileno() if worker else -1
        https = self._secure[child.column].fileno() if worker and self._secure else -1
        native = [each.fileno() for each in self._native[child.column]] if worker and self._native else [-1, -1]
        client_cert = self._client_cert[child.column].fileno() if worker and self._client_cert else -1
        inherited = (self._descriptor, listening, self._counting, https, *native, client_cert)
        place = Place(self._machine, child.column, self._incarnation, *inherited)
        child.born = clock.monotonic()
        child.process = await nursery.fork(child.module, self.config, place)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now, beats = clock.monotonic(), self._shared.beats()
            # The uplink has no word there: its signs of life are the voice's, in the database.
            for child in self.children[: len(beats)]:
                silence = now - max(beats[child.column], child.born)
                if silence <= self._patience(child) or child.process is None or not child.up:
                    continue
                log.warning("child_silent", module=child.name, seconds=round(silence, 1), pid=child.process.pid)
                if child.module == FOLLOWER:
                    self._shared.clear_generation()
                child.process.send_signal(signal.SIGKILL)

    def _patience(self, child: Child) -> float:
        """Seconds this child may be silent; a follower that has not caught up yet is nobody's hindrance."""
        if child.module == FOLLOWER:
            return SILENT_SECONDS if self._shared.generation else float("inf")
        return HUNG_SECONDS

    async def _ask_database(self) -> None:
        while True:
            try:
                await self._asked_database()
                self._database_error = None
            except UnavailableError as error:
                self._database_error = str(error)
            await asyncio.sleep(ASK_SECONDS)

    async def _asked_database(self) -> None:
        """Whether it is there and takes writes; and the names of prefixes that were asked for since the last time."""
        async with connected(self.config.database_url, "idnode-health") as connection:
            self._database_read_only = await is_read_only(connection)
            wanted = self._prefixes.unknown(self.totals.prefix_counts())
            if wanted:
                self._prefixes.learn(wanted, await catalogue.names(connection, wanted))

    async def _ask_redis(self) -> None:
        if not self.config.redis_url:
            return
        redis = RedisCache.of(self.config)
        while True:
            try:
                await redis.ping()
                self._redis_away = False
            except RestartedError:
                self._redis_away = False  # another run than before is there all the same
            except BROKEN as error:
                log.debug("redis_unreachable", error=str(error))
                self._redis_away = True
            await asyncio.sleep(ASK_SECONDS)

    async def _look_at_certificate(self) -> None:
        while self.config.certificate:
            try:
                self._certificate = certificate.read(self.config)
            except CertificateError as error:
                self._certificate = error
            await asyncio.sleep(CERTIFICATE_SECONDS)

    async def _stop(self) -> None:
        for sock in (*self._sockets, *self._secure, *self._client_cert, *chain.from_iterable(self._native)):
            sock.close()  # first: who connects now is refused at once, not kept waiting for nobody
        # The uplink last: it tells what the workers have counted to their end.
        await _ended([child for child in self.children if child.module != UPLINK])
        await _ended([child for child in self.children if child.module == UPLINK])

    def conditions(self) -> list[Condition]:
        """What is amiss now, in the order of the table."""
        now, beats = clock.monotonic(), self._shared.beats()
        gauge, ends = self.totals.gauge, self._certificate_ends
        so = {
            health.DATABASE_UNREACHABLE: self._database_error is not None,
            health.FOLLOWER_NOT_CAUGHT_UP: not self._shared.generation,
            health.WORKER_SILENT: any(now - beats[n] > SILENT_SECONDS for n in range(self.config.workers)),
            health.DATABASE_READ_ONLY: self._database_error is None and self._database_read_only,
            health.REDIS_UNREACHABLE: self._redis_away,
            health.REDIS_DISTRUSTED: not self._redis_trusted,
            health.UPLINK_NOT_ENROLLED: gauge(UPLINK_NOT_ENROLLED) > 0,
            health.UPLINK_UNREACHABLE: gauge(UPLINK_UNREACHABLE) > 0,
            health.UPLINK_CHAIN_BROKEN: gauge(UPLINK_CHAIN_BROKEN) > 0,
            health.AUDIT_FULL: gauge(AUDIT_FULL) > 0,
            health.AUDIT_BROKEN: gauge(AUDIT_BROKEN) > 0,
            health.CERTIFICATE_ENDS: ends is not None and ends - certificate.WARNED_BEFORE < clock.utc(),
            health.CERTIFICATE_UNUSABLE: isinstance(self._certificate, CertificateError),
        }
        return [condition for condition in health.CONDITIONS if so[condition]]

    @property
    def _redis_trusted(self) -> bool:
        return not self.config.redis_url or self._shared.redis_trusted

    @property
    def _certificate_ends(self) -> datetime | None:
        return self._certificate.ends if isinstance(self._certificate, Certificate) else None

    def reasons(self) -> list[str]:
        """Codes of why the node is not ready; empty when it is."""
        return [condition.code for condition in self.conditions() if condition.reason]

    def facts(self) -> Iterator[tuple[Metric, list[Sample]]]:
        """What this process knows for /metrics, beside what the children count."""
        conditions = self.conditions()
        yield READY, [Sample((), not any(condition.reason for condition in conditions))]
        yield CONDITION, [Sample((each.code,), each in conditions) for each in health.CONDITIONS]
        yield REDIS_TRUSTED, [Sample((), self._redis_trusted)]
        ends = self._certificate_ends
        yield CERTIFICATE_ENDS, [Sample((), ends.timestamp() if ends else 0.0)]
        yield PREFIX_RESOLUTIONS, self._prefixes.samples(self.totals.prefix_counts())
        yield PROCESS_UP, [Sample(child.labels, child.up) for child in self.children]
        modules = dict.fromkeys(child.name for child in self.children)
        restarts = ((name, sum(c.restarts for c in self.children if c.name == name)) for name in modules)
        yield PROCESS_RESTARTS, [Sample((name,), count) for name, count in restarts]
        now, beats = clock.monotonic(), self._shared.beats()
        beating = [child for child in self.children if child.column < len(beats)]
        silences = [(c.labels, now - beats[c.column] if beats[c.column] else 0.0) for c in beating]
        yield PROCESS_SILENT, [Sample(labels, silence) for labels, silence in silences]
        yield from self._usages()

    def _usages(self) -> Iterator[tuple[Metric, list[Sample]]]:
        pids = {child.labels: child.process.pid for child in self.children if child.process is not None and child.up}
        own = {("supervisor", ""): os.getpid()} | ({("nursery", ""): self._nursery.pid} if self._nursery else {})
        found = [(labels, usage(pid)) for labels, pid in (own | pids).items()]
        yield PROCESS_RESIDENT, [Sample(labels, used.resident) for labels, used in found if used is not None]
        yield PROCESS_CPU, [Sample(labels, used.cpu) for labels, used in found if used is not None]


async def _ended(children: list[Child]) -> None:
    running = [c.process for c in children if c.process is not None and c.process.returncode is None]
    for process in running:
        process.send_signal(signal.SIGTERM)
    waiting = [asyncio.ensure_future(process.wait()) for process in running]
    if waiting:
        _, late = await asyncio.wait(waiting, timeout=STOP_SECONDS)
        if late:
            for process in running:
                process.send_signal(signal.SIGKILL)
            await asyncio.wait(late)

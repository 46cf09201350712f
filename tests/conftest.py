"""What all tests share: real servers out of the wheels, a fresh database for each test, what may be missing by name."""

import asyncio
import gc
import locale
import logging
import os
import resource
import secrets
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
import structlog

from node import journal
from node.embedded import Embedded, Servers
from registry.postgres.migrate import migrate

PROCESSES = 3
"""Processes that share the whole suite: much of it waits for servers to start and stop, and each has a world of its own
(PostgreSQL, Valkey, a node: 1 GB)."""
STRICT = os.environ.get("IDNODE_TEST_STRICT") == "1"
# Hundreds of processes are started: without what Python keeps of a module each compiles all of them anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
_missing: dict[str, int] = {}


@pytest.fixture(scope="session")
def need() -> Callable[[object, str], None]:
    """`need(found, what)`: unless found, the test is left out and `what` named at the end; with STRICT it fails."""

    def need(found: object, what: str) -> None:
        if found:
            return
        _missing[what] = _missing.get(what, 0) + 1
        (pytest.fail if STRICT else pytest.skip)(f"this needs {what}")

    return need


@pytest.fixture(scope="session")
def program(need: Callable[[object, str], None]) -> Callable[[str], str]:
    """`program(name)`: the path of an optional program, a need like any other."""

    def find(name: str) -> str:
        path = shutil.which(name)
        need(path, name)
        return str(path)

    return find


@pytest.fixture(autouse=True)
def left_as_found() -> Iterator[None]:
    """What is the whole process's is after a test as it was before: none hangs on which ones ran earlier. The journal
    is open as in the program; structlog by itself draws a mistake with all that was known around it, which takes long.
    """
    found = _of_the_process()
    journal.open_("debug")
    yield
    structlog.reset_defaults()
    left = _of_the_process()
    assert {name: value for name, value in left.items() if value != found[name]} == {}


def _of_the_process() -> dict[str, object]:
    return {
        "environment": {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"},
        "working folder": os.getcwd(),
        "import path": tuple(sys.path),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "locale": locale.setlocale(locale.LC_ALL),
        "log level": (logging.root.level, logging.root.manager.disable),
        "cycle collector": (gc.isenabled(), gc.get_threshold()),
        "limits": (sys.getrecursionlimit(), sys.get_int_max_str_digits(), resource.getrlimit(resource.RLIMIT_NOFILE)),
        "blocked signals": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    }


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """What `-n auto` means, our default: everything goes over PROCESSES; what was named begins at once in this one, and
    so does what shall be watched (-s)."""
    everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS
    return PROCESSES if everything and config.option.capture != "no" else 0


def pytest_sessionfinish(session: pytest.Session) -> None:
    """One of several processes tells the first one what it missed."""
    if (told := getattr(session.config, "workeroutput", None)) is not None:
        told["missing"] = _missing


def pytest_testnodedown(node: Any) -> None:
    """One of several processes has ended; one that died told nothing."""
    for what, count in getattr(node, "workeroutput", {}).get("missing", {}).items():
        _missing[what] = _missing.get(what, 0) + count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for name, count in sorted(_missing.items()):
        terminalreporter.write_line(f"未测试 left out: {count} test(s) that need {name}", yellow=True)


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    """A folder that other users may pass through, for data that servers of another account lie in."""
    path = Path(tempfile.mkdtemp(prefix="idnode-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="session")
def servers(folder: Path) -> Iterator[Servers]:
    """PostgreSQL and Valkey for the whole session."""
    data = folder / "servers"
    data.mkdir(mode=0o755)
    # One loop in the main thread for the whole session: the servers end with the thread that started them.
    with asyncio.Runner() as runner:
        embedded = Embedded(data, say=lambda _: None)
        started = runner.run(embedded.start())
        runner.run(_template(started.database_url))
        yield started
        runner.run(embedded.stop())


TEMPLATE = "migrated"
DROP_SECONDS = 60.0
"""Longest that autovacuum may be at work in the small database of a test."""


async def _template(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {TEMPLATE}")
    await connection.close()
    connection = await asyncpg.connect(url, database=TEMPLATE)
    await migrate(connection)
    await connection.close()


def named(url: str, database: str) -> str:
    """`url` with another database."""
    return url.replace("/idnode?", f"/{database}?", 1)


@asynccontextmanager
async def _made(servers: Servers, template: str) -> AsyncIterator[str]:
    name = f"test_{secrets.token_hex(6)}"
    connection = await asyncpg.connect(servers.database_url)
    try:
        await connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield named(servers.database_url, name)
        async with asyncio.timeout(DROP_SECONDS):
            while not await _dropped(connection, name):
                continue
    finally:
        await connection.close()


async def _dropped(connection: asyncpg.Connection, name: str) -> bool:
    """Whether the database is gone, with whoever was at it; not while autovacuum is, which we may not end."""
    try:
        await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    except asyncpg.InsufficientPrivilegeError:
        return False
    return True


@pytest.fixture
async def database(servers: Servers) -> AsyncIterator[str]:
    """The URL of a fresh database at the newest schema."""
    async with _made(servers, TEMPLATE) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_database(servers: Servers) -> AsyncIterator[str]:
    """The same for all tests of a module, which run in one loop then (`pytest.mark.asyncio(loop_scope="module")`)."""
    async with _made(servers, TEMPLATE) as url:
        yield url


@pytest.fixture
async def other_database(servers: Servers) -> AsyncIterator[str]:
    """A second one: of another node."""
    async with _made(servers, TEMPLATE) as url:
        yield url


@pytest.fixture
async def empty_database(servers: Servers) -> AsyncIterator[str]:
    """The URL of a fresh database without any schema."""
    async with _made(servers, "template1") as url:
        yield url

"""What all tests share: real servers out of the wheels, a fresh database for each test, what may be missing by name."""

import asyncio
import gc
import locale
import logging
import os
import resource
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import pytest_asyncio
import structlog

from node import journal
from node.embedded import POSTGRES_SETTINGS, Embedded, Servers
from registry.postgres.migrate import migrate
from tests.databases import Databases

PROCESSES = 3
"""Processes that share the whole suite: much of it waits for servers to start and stop, and each has a world of its own
(PostgreSQL, Valkey, a node: 1 GB)."""
STRICT = os.environ.get("IDNODE_TEST_STRICT") == "1"
# Hundreds of processes are started: without what Python keeps of a module each compiles all of them anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False
# And each that writes a journal would import rich with structlog, a tenth of a second of no node's: here it is only for
# import-linter.
ABSENT = Path(__file__).parent / "fakes/absent"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(ABSENT), os.environ.get("PYTHONPATH"))))
# No test is timed: the machine has other things to do.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")
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
        with pytest.MonkeyPatch.context() as patch:
            # No test pulls the plug of the machine: whom only a power cut would harm need not wait for the disk.
            patch.setitem(POSTGRES_SETTINGS, "fsync", "off")
            started = runner.run(embedded.start())
        yield started
        runner.run(embedded.stop())


TEMPLATE = "migrated"


@pytest.fixture(scope="session")
def databases(servers: Servers) -> Databases:
    """The databases of the session's PostgreSQL."""
    made = Databases(servers.database_url)
    asyncio.run(made.add(TEMPLATE, migrate))
    return made


@pytest.fixture
async def database(databases: Databases) -> AsyncIterator[str]:
    """The URL of a database at the newest schema, as good as fresh."""
    async with databases.lent(TEMPLATE) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_database(databases: Databases) -> AsyncIterator[str]:
    """The same for all tests of a module, which run in one loop then (`pytest.mark.asyncio(loop_scope="module")`)."""
    async with databases.lent(TEMPLATE) as url:
        yield url


@pytest.fixture
async def other_database(databases: Databases) -> AsyncIterator[str]:
    """A second one: of another node."""
    async with databases.lent(TEMPLATE) as url:
        yield url


@pytest.fixture
async def empty_database(databases: Databases) -> AsyncIterator[str]:
    """The URL of a fresh database without any schema."""
    async with databases.fresh("template1") as url:
        yield url

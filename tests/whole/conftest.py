"""A whole world for the tests of this folder: `idnode up` as a stranger starts it, sample products and all."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.waiting import PATIENCE, wait_until
from tests.whole.calls import CERTIFIED_ADMIN, SERVER_ADMIN, free_port


@dataclass
class World:
    """A running `up`."""

    data: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def ready(self) -> dict[str, Any]:
        """What ready.json says."""
        return dict(json.loads((self.data / "ready.json").read_text()))

    @property
    def http(self) -> str:
        """The public door."""
        return str(self.ready["http"])

    def stop(self) -> None:
        """Ctrl-C, then waits."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(PATIENCE)


def _is_ready(world: World) -> bool:
    """Whether ready.json is this start's own: one that was killed leaves its file behind."""
    try:
        return bool(world.ready["pid"] == world.process.pid)
    except FileNotFoundError:
        return False


def start(data: Path, *more: str) -> World:
    """Starts `idnode up` on free ports and returns when it is ready; fails with its log when it ends instead."""
    log = data.with_suffix(".log")
    command = [sys.executable, "-m", "node.cli", "up", "--data", str(data)]
    for name in ("http", "https", "client-cert", "native", "operator", "toplevel"):
        command += [f"--{name}-port", str(free_port())]
    command += more
    environment = {k: v for k, v in os.environ.items() if not k.startswith("IDNODE_")}
    environment["IDNODE_SERVER_ADMINS"] = f"{SERVER_ADMIN},{CERTIFIED_ADMIN}"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env=environment,
            start_new_session=True,
            cwd=Path(__file__).parents[2],
        )
    world = World(data, process, log)
    try:
        wait_until(lambda: _is_ready(world) or process.poll() is not None, "up is ready")
    finally:
        if not _is_ready(world):
            process.kill()
            process.wait()
            pytest.fail(f"up did not become ready:\n{log.read_text()[-4000:]}")
    return world


@pytest.fixture(scope="session")
def world(folder: Path) -> Iterator[World]:
    """One world for the session. Tests register under names of their own and stop nothing of it."""
    started = start(folder / "world")
    yield started
    started.stop()


@pytest.fixture(scope="session")
def start_world() -> Callable[..., World]:
    """Starts further worlds, for tests that kill; who starts one stops it."""
    return start

"""A node that `serve` runs alone, as the tests of this folder start one, against a database they were given."""

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.waiting import PATIENCE
from tests.whole.calls import ROOT, Caller, free_port

KEY = base64.b64encode(bytes(range(32))).decode()


def environment(database: str, **more: str) -> dict[str, str]:
    """This process's environment with these settings of a node, and no others."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith("IDNODE_")}
    return clean | {"IDNODE_DATABASE_URL": database, "IDNODE_SECRET_KEY": KEY, **more}


def command(database: str, *words: str, typed: str = "", **settings: str) -> str:
    """What the command line says of a node on `database`; fails when it says that it cannot."""
    done = subprocess.run(
        [sys.executable, "-m", "node.cli", *words],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment(database, **settings),
        input=typed,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@contextmanager
def serving(log: Path, database: str, **settings: str) -> Iterator[tuple["subprocess.Popen[bytes]", Caller, Caller]]:
    """A node, who calls at its door, and who at its operator port."""
    http, operator = free_port(), free_port()
    own = {"IDNODE_LOG_FOLDER": str(log.with_suffix(f".{http}")), "IDNODE_NATIVE_PORT": "0"}
    settings = own | settings
    words = [sys.executable, "-m", "node.cli", "serve", "--http-port", str(http), "--operator-port", str(operator)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            words, stdout=output, stderr=output, env=environment(database, **settings), cwd=ROOT, start_new_session=True
        )
    try:
        yield process, Caller(f"http://127.0.0.1:{http}"), Caller(f"http://127.0.0.1:{operator}")
    finally:
        process.terminate()
        process.wait(PATIENCE)


def readiness(operator: Caller) -> dict[str, Any]:
    """What /health/ready says; not ready while nobody listens."""
    try:
        return dict(operator.call("GET", "/health/ready").json)
    except OSError:
        return {"ready": False, "reasons": ["nobody there"]}

"""A Valkey of a test's own, out of the wheel: to be frozen, killed and started again without anybody else noticing."""

import os
import signal
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from node import clock
from node.gather import answered
from node.quarters import Account, valkey_program
from node.redis_cache import RedisCache
from node.redis_wire import BROKEN
from node.resolve.answer import Answer
from tests.waiting import PATIENCE, wait_until

SECONDS = 60
"""Longest life of an answer in a cache of the tests."""


@dataclass
class OwnValkey:
    """Started, frozen, thawed and killed by pid; its socket stays where it is."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def socket(self) -> Path:
        return self.folder / "v.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def start(self) -> None:
        """Returns when it answers."""
        program = valkey_program(Account(os.geteuid(), os.getegid(), "test"))
        command = [str(program), "--port", "0", "--unixsocket", str(self.socket)]
        command += ["--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen(
            command, env={"LC_ALL": "C", **self.environment}, stdout=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: self._answers() or self.ended, "valkey answers")
        assert not self.ended

    @property
    def ended(self) -> bool:
        """Whether its process is over."""
        return self.process is None or self.process.poll() is not None

    def _answers(self) -> bool:
        with suppress(OSError), socket.socket(socket.AF_UNIX) as to:
            to.settimeout(PATIENCE)
            to.connect(str(self.socket))
            to.sendall(b"PING\r\n")
            return to.recv(64) == b"+PONG\r\n"
        return False

    def signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9; returns when it is gone."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(PATIENCE)


@asynccontextmanager
async def met_cache(url: str) -> AsyncIterator[RedisCache]:
    """A cache there that has met its server: whoever is met for the first time is not trusted."""
    made = RedisCache(url, SECONDS, "idnode", clock.seconds)
    with suppress(*BROKEN):
        await made.ping()
    try:
        yield made
    finally:
        await made.close()


async def looked(cache: RedisCache, keys: Sequence[str]) -> list[Answer | None]:
    """What is held under `keys`. Raises what is told instead."""
    return await answered(partial(cache.look, keys))


@contextmanager
def own_valkey(environment: Mapping[str, str] | None = None) -> Iterator[OwnValkey]:
    """A running one, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="idnode-valkey-") as folder:
        valkey = OwnValkey(Path(folder), environment or {})
        valkey.start()
        try:
            yield valkey
        finally:
            valkey.kill()

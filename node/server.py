"""One server program that lives and dies with us: started as its account, restarted when it dies, stopped in order.
Here is what is the same for every such program; what PostgreSQL and Valkey are told is in `node/embedded.py`,
where their files may lie in `node/quarters.py`. No settings and no words of any one server here."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from node import deathwatch, quarters
from node.quarters import EmbeddedError, Quarters

Say = Callable[[str], None]

CLOSING_SECONDS = 120  # a last checkpoint of 256 MB on a slow disk; beyond it something is stuck and people must look
STARTING_SECONDS = 600  # recovery of 2 GB of WAL on a slow disk
POLL_SECONDS = 0.05
PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)  # seconds before restarts in a row; the last one for ever
STEADY_SECONDS = 10  # after so long a life a death is a new story, not the next one in a row

# What a server needs of an environment. Ours may hold secrets, and PG… variables that mean another server.
ENVIRONMENT = {"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath}


@dataclass
class Server:
    """What a server is; and, from its first start on, the process it is now."""

    name: str
    argv: list[str]  # absolute path of the program first
    folder: Path  # its working folder
    quarters: Quarters
    say: Say
    at_parents_death: signal.Signals
    farewell: tuple[tuple[signal.Signals, float], ...]  # signal and the seconds it has to obey; then SIGKILL
    answers: Callable[[int], Awaitable[bool]]  # given its pid: does it take requests?
    tidy: Callable[[], None] = lambda: None  # runs before a start, when no process of it is left
    process: asyncio.subprocess.Process | None = field(default=None, repr=False)

    @property
    def pid(self) -> int | None:
        """None while it is not running."""
        return self.process.pid if self.process and self.process.returncode is None else None

    async def start(self) -> None:
        """Returns when it answers; EmbeddedError with its last words if it does not, OSError if it cannot be run."""
        log = self.quarters.log(self.name)
        held = await vacant(self.quarters, self.name, self.say)
        try:
            self.tidy()
            since = quarters.bound_log(log)
            self.process = await run(
                self.quarters, self.name, self.argv, held, self.at_parents_death, folder=self.folder
            )
        finally:
            os.close(held)  # from here on only the server and its children hold it
        if not await self._comes_up(self.process):
            await self.stop()
            raise EmbeddedError(failed(self.name, log, since))

    async def _comes_up(self, process: asyncio.subprocess.Process) -> bool:
        try:
            async with asyncio.timeout(STARTING_SECONDS):
                while process.returncode is None:
                    if await self.answers(process.pid):
                        return True
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            pass
        return False

    async def stop(self) -> None:
        """Bids it farewell, returns when it is gone. Does nothing for one that does not run."""
        for signum, seconds in (*self.farewell, (signal.SIGKILL, CLOSING_SECONDS)):
            if self.process is None or self.process.returncode is not None:
                return
            self.process.send_signal(signum)
            await _gone(self.process, seconds)

    async def keep(self) -> None:
        """Restarts it whenever it dies, for ever."""
        now = asyncio.get_running_loop().time
        row = 0
        while self.process:
            began = now()
            how = _ending(await self.process.wait())
            row = 0 if now() - began > STEADY_SECONDS else row
            self.say(f"{self.name} 意外停止（{how}），正在重启 · {self.name} stopped ({how}), restarting it")
            row = await self._revive(row)
            self.say(f"{self.name} 已恢复，pid {self.pid} · {self.name} is back, pid {self.pid}")

    async def _revive(self, row: int) -> int:
        """Tries until it answers. `row` counts the tries in a row, those of the last death included."""
        while True:
            await asyncio.sleep(PAUSES[min(row, len(PAUSES) - 1)])
            row += 1
            try:
                await self.start()
            except (EmbeddedError, OSError) as error:
                self.say(f"{self.name}: {error}")
            else:
                return row


async def run(
    at: Quarters,
    name: str,
    argv: list[str],
    held: int,
    at_parents_death: signal.Signals,
    *,
    folder: Path,
    stdin: int = asyncio.subprocess.DEVNULL,
) -> asyncio.subprocess.Process:
    """Starts a program as the servers' account, tied to our life, holding the lock of `name`, writing to its log."""
    output = quarters.open_log(at.log(name))
    try:
        return await asyncio.create_subprocess_exec(
            *deathwatch.command(argv, at.account.uid, at.account.gid, at_parents_death),
            stdin=stdin,
            stdout=output,
            stderr=output,
            pass_fds=(held,),
            cwd=folder,
            env=ENVIRONMENT,
            start_new_session=True,  # Ctrl-C is for us; we stop the servers last
        )
    finally:
        os.close(output)


async def vacant(at: Quarters, name: str, say: Say) -> int:
    """The lock of a server, taken as soon as every process of its former life is gone."""
    path = at.home / f"{name}.lock"
    if (held := quarters.lock(path)) is not None:
        return held
    say(f"等待上一次的 {name} 关闭 · waiting for the {name} of the last run to close")
    if (held := await lock_within(CLOSING_SECONDS, path)) is not None:
        return held
    raise EmbeddedError(
        f"上一次的 {name} 在 {CLOSING_SECONDS} 秒内没有关闭；请结束占用 {path} 的进程后重试"
        f" · the {name} of the last run did not close within {CLOSING_SECONDS} s;"
        f" end the processes that hold {path} and try again"
    )


async def lock_within(seconds: float, path: Path) -> int | None:
    """`quarters.lock` as soon as it is free, or None after so many seconds."""
    now = asyncio.get_running_loop().time
    end = now() + seconds
    while (held := quarters.lock(path)) is None and now() < end:  # noqa: ASYNC110 - others let go of it
        await asyncio.sleep(POLL_SECONDS)
    return held


async def _gone(process: asyncio.subprocess.Process, seconds: float) -> bool:
    waiting = asyncio.ensure_future(process.wait())
    done, _ = await asyncio.wait([waiting], timeout=seconds)
    waiting.cancel()
    return bool(done)


def failed(name: str, log: Path, since: int) -> str:
    """The sentence for a program that ended too early, from what it wrote after byte `since` of its log."""
    why = quarters.last_words(log, since) or "?"
    return f"{name} 没有启动：{why}；详见 {log} · {name} did not start: {why}; see {log}"


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"status {code}"

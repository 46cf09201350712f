"""The access log: what the roads note is taken off them in blocks, sealed by a thread, and kept for so many days.

The roads only add to a list. Nobody ever waits for the disk: what it cannot take in time is lost, and counted.
"""

import asyncio
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import accumulate
from pathlib import Path
from typing import IO, Any, Final, NamedTuple

import structlog

from node.meter import Meter
from node.metrics import ACCESS_LOG_ENTRIES, ACCESS_LOG_LOST
from registry.access_log import FIELDS, HEAD_OCTETS, MAGIC, Access, Block, Note, Sealer, head, sizes, unnoted

TURN_SECONDS: Final = 0.25
"""The list is looked at so often: between two looks it holds what one worker can answer, some 30,000 entries."""
BLOCK_ENTRIES: Final = 8192
"""A block is written when it has so many: to seal it takes some 2 ms of the interpreter, in which no road moves."""
BLOCK_TURNS: Final = 8
"""And when its first entry is so many turns old: so much is missing after a `kill -9`."""
WAITING_MOST: Final = 262_144
"""Entries that may wait for the disk, some 60 MB; more are lost."""
FORGET_SECONDS: Final = 3600.0

_FILE: Final = re.compile(r"(\d{4}-\d\d-\d\d)-[\w-]+\.log", re.ASCII)

log = structlog.get_logger("access_log")


class AccessLog:
    """Of one worker, called `name`. `clock` gives monotonic seconds, `utc` the present moment.

    `note` is what the roads tell; without a folder it tells nobody.
    """

    def __init__(
        self,
        folder: Path | None,
        sealer: Sealer,
        name: str,
        meter: Meter,
        clock: Callable[[], float],
        utc: Callable[[], datetime],
    ) -> None:
        self._noted: list[Any] = []
        self._looked = 0  # at so much of it
        self._count = 0  # entries in that
        self.note: Note = self._noted.extend if folder is not None else unnoted
        self._files = _Files(folder, sealer, name) if folder is not None else None
        self._meter = meter
        self._clock = clock
        self._utc = utc
        self._age = 0
        self._writer = ThreadPoolExecutor(1, "access-log")
        self._writing: asyncio.Future[tuple[int, str]] | None = None
        self._failing = False

    async def run(self) -> None:
        """Writes for ever."""
        while True:
            await asyncio.sleep(TURN_SECONDS)
            self.turn()

    async def finish(self) -> None:
        """Writes what is noted, once `run` is over, and lets go of all."""
        await self._written_off()
        self.turn(last=True)
        await self._written_off()
        self.close()

    async def _written_off(self) -> None:
        if self._writing is not None:
            await asyncio.wait([self._writing])

    def close(self) -> None:
        """Lets thread and file go."""
        self._writer.shutdown()
        if self._files is not None:
            self._files.close()

    def turn(self, *, last: bool = False) -> None:
        """Hands what is noted to the writer, if that is free and it is worth it. Waits for nothing."""
        self._look()
        if self._files is None or not self._noted:
            return
        self._age += 1
        if self._writing is None and (last or self._count >= BLOCK_ENTRIES or self._age >= BLOCK_TURNS):
            taken, count = self._noted[:], self._count
            self._noted.clear()
            self._looked = self._count = self._age = 0
            now = self._utc()
            work = (taken, now.timestamp() - self._clock(), now.date())
            self._writing = asyncio.get_running_loop().run_in_executor(self._writer, self._files.write, *work)
            self._writing.add_done_callback(lambda writing: self._written(writing, count))

    def _look(self) -> None:
        """Counts what was noted since the last look, and lets go of what is too much of it while the writer is busy."""
        reach = list(accumulate(sizes(self._noted, self._looked), initial=self._count))
        all_, fit = len(reach) - 1, max(bisect_right(reach, WAITING_MOST), 1) - 1
        kept = all_ if self._writing is None else fit
        if kept < all_:
            del self._noted[self._looked + kept * FIELDS :]
            self._meter.count(ACCESS_LOG_LOST, "slow", by=reach[-1] - reach[kept])
        self._looked, self._count = len(self._noted), reach[kept]

    def _written(self, writing: "asyncio.Future[tuple[int, str]]", count: int) -> None:
        self._writing = None
        mistake = writing.exception()
        written, error = (0, repr(mistake)) if mistake is not None else writing.result()
        self._meter.count(ACCESS_LOG_ENTRIES, by=written)
        self._meter.count(ACCESS_LOG_LOST, "disk", by=count - written)
        failed, self._failing = self._failing, written < count
        if self._failing and not failed:
            log.error("access_log_not_written", error=error)
        elif failed and not self._failing:
            log.info("access_log_written_again")


class _Files:
    """The files one worker writes, one after the other: a new one each day (UTC), and after each failure."""

    def __init__(self, folder: Path, sealer: Sealer, name: str) -> None:
        self._folder = folder
        self._sealer = sealer
        self._name = name
        self._part = 0
        self._day: date | None = None
        self._file: IO[bytes] | None = None
        self._ordinal = 0

    def write(self, noted: list[Any], epoch: float, today: date) -> tuple[int, str]:
        """Writes what was noted in blocks; how many entries got there, and what kept the others from it."""
        done = 0
        try:
            for some, count in _blocks(noted):
                file = self._opened(today)
                file.write(self._sealer.seal(Path(file.name).name, self._ordinal, some, epoch).octets)
                file.flush()
                self._ordinal += 1
                done += count
        except OSError as error:
            self.close()
            return done, str(error)
        return done, ""

    def _opened(self, today: date) -> IO[bytes]:
        if self._file is None or self._day != today:
            self.close()
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._part += 1
            path = self._folder / f"{today}-{self._name}-{self._part}.log"
            self._file, self._day, self._ordinal = _private(path), today, 0
            self._file.write(MAGIC)
        return self._file

    def close(self) -> None:
        """Closes the file that is open."""
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:  # what did not fit is lost, and was counted
                log.debug("access_log_not_closed", error=str(error))
            self._file = None


def _blocks(noted: list[Any]) -> Iterator[tuple[list[Any], int]]:
    """What was noted in pieces of at most BLOCK_ENTRIES entries, and how many each has."""
    reach = list(accumulate(sizes(noted), initial=0))
    begin = 0
    while begin < len(reach) - 1:
        end = bisect_right(reach, reach[begin] + BLOCK_ENTRIES) - 1
        yield noted[begin * FIELDS : end * FIELDS], reach[end] - reach[begin]
        begin = end


def _private(path: Path) -> IO[bytes]:
    path.touch(mode=0o600, exist_ok=False)
    return path.open("ab")


async def forgetting(folder: Path, days: int, today: Callable[[], date]) -> None:
    """Lets go of what is older than `days`, for ever."""
    while True:
        try:
            gone = await asyncio.to_thread(forget, folder, today() - timedelta(days=days))
        except OSError as error:
            log.warning("access_log_not_forgotten", error=str(error))
        else:
            if gone:
                log.info("access_log_forgotten", files=gone)
        await asyncio.sleep(FORGET_SECONDS)


def forget(folder: Path, before: date) -> int:
    """Removes the files of days before that; how many there were. Raises OSError."""
    old = [path for day, path in _files(folder) if day < before]
    for path in old:
        path.unlink(missing_ok=True)
    return len(old)


def _files(folder: Path) -> list[tuple[date, Path]]:
    """Day and place of every file, in order."""
    if not folder.is_dir():
        return []
    found = [(_FILE.fullmatch(path.name), path) for path in folder.iterdir()]
    return sorted((date.fromisoformat(match[1]), path) for match, path in found if match)


class Unreadable(NamedTuple):
    """From there on a file cannot be read: its end was not written, or it is not as it was written."""

    file: str
    block: int
    why: str


def read(folder: Path, sealer: Sealer, since: int, until: int) -> Iterator[list[Access] | Unreadable]:
    """The entries at or after `since` and before `until` (milliseconds since 1970 UTC), block by block, by file.

    Those of one file are in order; every worker has files of its own. Raises OSError.
    """
    first, last = _day(since) - timedelta(days=1), _day(until)
    for day, path in _files(folder):
        if first <= day <= last:
            yield from _read_file(path, sealer, since, until)


def _day(moment: int) -> date:
    return datetime.fromtimestamp(min(max(moment, 0), 253_402_214_400_000) / 1000, UTC).date()


def _read_file(path: Path, sealer: Sealer, since: int, until: int) -> Iterator[list[Access] | Unreadable]:
    ordinal = 0
    with path.open("rb") as file:
        try:
            if file.read(len(MAGIC)) != MAGIC:
                raise ValueError("not a file of the access log")
            while octets := file.read(HEAD_OCTETS):
                length, first, last = head(octets)
                closed = file.read(length)
                if first < until and last >= since:
                    found = sealer.open(path.name, ordinal, Block(closed, first, last))
                    yield [each for each in found if since <= each.at < until]
                ordinal += 1
        except ValueError as error:
            yield Unreadable(path.name, ordinal, str(error))

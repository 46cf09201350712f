"""The access log: nothing noted is lost without being counted, nobody waits for the disk, and old files go."""

import asyncio
import re
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

import node
from node import access_log
from node.access_log import BLOCK_ENTRIES, BLOCK_TURNS, AccessLog, Unreadable, forget, forgetting, read
from node.metrics import ACCESS_LOG_ENTRIES, ACCESS_LOG_LOST
from registry.access_log import HEAD_OCTETS, MAGIC, Access, Sealer, head, unnoted
from tests.fakes.counting import Counting
from tests.waiting import until

SEALER = Sealer(bytes(32))
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
NOON_MS = int(NOON.timestamp() * 1000)
ALL = (0, 2**62)


class World:
    """An access log in a folder, whose clock showed 100.0 at noon."""

    def __init__(self, folder: Path | None) -> None:
        self.folder, self.counting, self.now = folder, Counting(), NOON
        self.log = AccessLog(folder, SEALER, "idnode-m-0-2", self.counting.meter, lambda: 100.0, lambda: self.now)

    def note(self, *names: str, at: float = 100.0) -> None:
        for name in names:
            self.log.note((at, "192.0.2.1", 40_000, 0, name.encode(), "resolve found"))

    async def written(self) -> None:
        """Returns when the writer has nothing in hand."""
        while self.log._writing is not None:
            await asyncio.wait([self.log._writing])
            await asyncio.sleep(0)

    async def turns(self, count: int) -> None:
        for _ in range(count):
            self.log.turn()
        await self.written()

    def names(self, *span: int) -> list[str]:
        assert self.folder is not None
        return [each.identifier for block in blocks(self.folder, *span) for each in block]


def blocks(folder: Path, *span: int) -> list[list[Access]]:
    found = list(read(folder, SEALER, *(span or ALL)))
    assert not any(isinstance(each, Unreadable) for each in found)
    return [each for each in found if isinstance(each, list)]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "log")
    yield made
    made.log.close()


async def test_what_is_noted_is_written_after_a_while_and_nobody_else_may_read_it(world: World) -> None:
    world.note("88.999.1001/a", at=99.5)
    await world.turns(BLOCK_TURNS - 1)
    assert world.folder is not None
    assert not world.folder.exists()
    await world.turns(1)
    (path,) = world.folder.iterdir()
    assert path.name == "2026-11-23-idnode-m-0-2-1.log"
    assert (path.stat().st_mode & 0o777, world.folder.stat().st_mode & 0o777) == (0o600, 0o700)
    at = NOON_MS - 500
    expected = Access(at, "192.0.2.1", 40_000, 0, "88.999.1001/a", "resolve", "found")
    assert blocks(world.folder) == [[expected]]
    assert world.counting.told(ACCESS_LOG_ENTRIES) == {(): 1}
    assert world.counting.told(ACCESS_LOG_LOST) == {}


async def test_a_full_block_does_not_wait(world: World) -> None:
    world.note(*map(str, range(BLOCK_ENTRIES + 1)))
    await world.turns(1)
    assert world.folder is not None
    assert [len(block) for block in blocks(world.folder)] == [BLOCK_ENTRIES, 1]
    assert world.names() == [str(n) for n in range(BLOCK_ENTRIES + 1)]


async def test_what_is_noted_together_is_counted_and_divided_entry_by_entry(world: World) -> None:
    world.note("first")
    names = [str(number) for number in range(BLOCK_ENTRIES)]
    for at in range(0, BLOCK_ENTRIES, 64):
        sources = ("192.0.2.7", *["::1"] * 63)
        world.log.note((101.0, sources, 9, 0, tuple(names[at : at + 64]), "resolve found"))
    await world.turns(1)
    assert world.folder is not None
    one, other = blocks(world.folder)
    assert [each.identifier for each in one] == ["first", *names[:-64]]
    assert one[1] == Access(NOON_MS + 1000, "192.0.2.7", 9, 0, "0", "resolve", "found")
    assert [each.identifier for each in other] == names[-64:]
    assert other[-1] == Access(NOON_MS + 1000, "::1", 9, 0, names[-1], "resolve", "found")
    assert world.counting.told(ACCESS_LOG_ENTRIES) == {(): BLOCK_ENTRIES + 1}


async def test_each_day_has_a_file_and_a_span_reads_what_it_holds(world: World) -> None:
    for n, day in enumerate((23, 24, 24, 26)):
        world.now = NOON.replace(day=day)
        world.note(str(n))
        await world.turns(BLOCK_TURNS)
    assert world.folder is not None
    assert [path.name[:10] for path in sorted(world.folder.iterdir())] == ["2026-11-23", "2026-11-24", "2026-11-26"]
    assert world.names() == ["0", "1", "2", "3"]
    day = 86_400_000
    assert world.names(NOON_MS, NOON_MS + 1) == ["0"]
    assert world.names(NOON_MS + 1, NOON_MS + day) == []
    assert world.names(NOON_MS + 1, NOON_MS + day + 1) == ["1", "2"]
    assert world.names(NOON_MS + 3 * day, 2**62) == ["3"]
    assert list(read(world.folder / "nowhere", SEALER, *ALL)) == []


async def test_what_is_noted_until_the_end_is_written(world: World) -> None:
    world.note("first")
    for _ in range(BLOCK_TURNS):
        world.log.turn()
    world.note("last")
    await world.log.finish()
    assert world.names() == ["first", "last"]


async def test_a_slow_disk_holds_nobody_up_and_what_it_cannot_take_is_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, opened = threading.Event(), access_log._private

    def slowly(path: Path) -> Any:
        assert go.wait(30)
        return opened(path)

    monkeypatch.setattr(access_log, "_private", slowly)
    monkeypatch.setattr(access_log, "WAITING_MOST", 3)
    world.note("first")
    for _ in range(BLOCK_TURNS):
        world.log.turn()
    world.note(*"abcde")
    world.log.turn()
    assert world.counting.told(ACCESS_LOG_LOST) == {("slow",): 2}
    world.log.note((100.0, "192.0.2.1", 40_000, 0, ("f", "g"), "resolve found"))
    world.log.turn()
    assert world.counting.told(ACCESS_LOG_LOST) == {("slow",): 4}
    go.set()
    await world.written()
    await world.turns(BLOCK_TURNS)
    assert world.names() == ["first", *"abc"]
    assert world.counting.told(ACCESS_LOG_ENTRIES) == {(): 4}


async def test_a_disk_that_takes_nothing_is_tried_again_and_what_is_lost_is_counted(world: World) -> None:
    assert world.folder is not None
    world.folder.write_text("a file where the folder should be")
    world.note("a", "b")
    with structlog.testing.capture_logs() as told:
        await world.turns(BLOCK_TURNS)
        world.note("c")
        await world.turns(BLOCK_TURNS)
        assert world.counting.told(ACCESS_LOG_LOST) == {("disk",): 3}
        world.folder.unlink()
        world.note("d")
        await world.turns(BLOCK_TURNS)
    assert world.names() == ["d"]
    assert [each["event"] for each in told] == ["access_log_not_written", "access_log_written_again"], "not every time"


@pytest.mark.parametrize("cut", [1, HEAD_OCTETS, HEAD_OCTETS + 5])
async def test_a_file_whose_end_was_not_written_is_read_up_to_there(world: World, cut: int) -> None:
    for name in "ab":
        world.note(name)
        await world.turns(BLOCK_TURNS)
    assert world.folder is not None
    (path,) = world.folder.iterdir()
    octets = path.read_bytes()
    first, *_ = head(octets[len(MAGIC) : len(MAGIC) + HEAD_OCTETS])
    path.write_bytes(octets[: len(MAGIC) + HEAD_OCTETS + first + cut])
    one, other = read(world.folder, SEALER, *ALL)
    assert isinstance(one, list)
    assert [each.identifier for each in one] == ["a"]
    assert isinstance(other, Unreadable)
    assert (other.file, other.block) == (path.name, 1)


async def test_blocks_that_changed_places_or_hands_are_not_believed(world: World) -> None:
    world.note("a")
    await world.turns(BLOCK_TURNS)
    assert world.folder is not None
    (path,) = world.folder.iterdir()
    assert [type(each) for each in read(world.folder, Sealer(b"\1" * 32), *ALL)] == [Unreadable]
    path.rename(path.with_name("2026-11-23-another-1.log"))
    (path.parent / "2026-11-23-strange-1.log").write_text("no such file")
    (path.parent / "audit-head").write_text("is none either")
    assert [type(each) for each in read(world.folder, SEALER, *ALL)] == [Unreadable] * 2


def test_old_files_go_and_nothing_else(tmp_path: Path) -> None:
    for name in ("2026-05-26-x-1.log", "2026-05-27-x-1.log", "2026-01-01-notes.txt", "audit-head"):
        (tmp_path / name).touch()
    assert forget(tmp_path, date(2026, 5, 27)) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "2026-01-01-notes.txt",
        "2026-05-27-x-1.log",
        "audit-head",
    ]


async def test_they_go_when_their_days_are_over(tmp_path: Path) -> None:
    (tmp_path / "2026-05-26-x-1.log").touch()
    with structlog.testing.capture_logs() as told:
        task = asyncio.create_task(forgetting(tmp_path, 180, lambda: date(2026, 11, 23)))
        await until(lambda: told)
        task.cancel()
    assert told == [{"event": "access_log_forgotten", "files": 1, "log_level": "info"}]


def test_every_door_says_where_a_question_comes_from() -> None:
    calls = re.compile(r"(?:road\.ask|batcher\.(?:write|ask))\((?:[^()]|\([^()]*\))*\)")
    doors = [file for room in ("listen", "console") for file in (Path(node.__file__).parent / room).rglob("*.py")]
    found = [call for file in doors for call in calls.findall(file.read_text("utf-8"))]
    assert len(found) >= 5
    assert [call for call in found if "source" not in call] == []


async def test_without_a_folder_nothing_is_noted() -> None:
    world = World(None)
    assert world.log.note is unnoted
    await world.turns(BLOCK_TURNS)
    world.log.close()

"""Proves node/files/intake.py: nothing is on record that was not scanned, drawn anew and kept; places are bounded."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image

from node.files.folder import Folder, FolderError
from node.files.intake import EACH_MOST, MOST, Intake
from node.files.scanner import ScannerAwayError
from node.gather import BusyError
from registry.file import UNLINKED_MOST, FileError, Kind, StoredFile
from tests.fakes.clamd import INFECTED, Clamd, clamd
from tests.fakes.in_process import Node, node
from tests.fakes.papers import PDF, picture

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
ACCOUNT = 1


@pytest.fixture
async def scanning(tmp_path: Path) -> AsyncIterator[Clamd]:
    async with clamd(tmp_path / "clamd") as fake:
        yield fake


@pytest.fixture
async def running(database: str, tmp_path: Path, scanning: Clamd) -> AsyncIterator[Node]:
    async with node(database, files=str(tmp_path / "files"), clamd=scanning.path) as made:
        yield made


def on_disk(folder: Folder) -> list[Path]:
    return [each for each in folder.path.rglob("*") if each.is_file()]


async def test_what_is_taken_is_scanned_as_sent_and_kept_as_drawn_anew(running: Node, scanning: Clamd) -> None:
    files = running.house.files
    assert files is not None
    sent = picture("BMP")
    number = await files.take(ACCOUNT, sent, NOW)
    assert scanning.scanned == [sent]
    stored = await running.house.lookup.file(number)
    assert stored is not None
    kept = await files.content(number)
    assert stored == StoredFile(number, ACCOUNT, Kind.PNG, len(kept), sha256(kept).digest())
    assert Image.open(io.BytesIO(kept)).format == "PNG"
    number = await files.take(ACCOUNT, PDF, NOW)
    stored = await running.house.lookup.file(number)
    assert stored is not None
    assert await files.content(number) == PDF
    assert await running.house.lookup.file(number + 1) is None


async def test_what_is_refused_leaves_nothing_behind(running: Node, scanning: Clamd) -> None:
    files = running.house.files
    assert files is not None
    for octets, en in (
        (b"MZ", "must be a JPEG"),
        (PDF + INFECTED, r"infected \(Test.Virus\)"),
        (b"%PDF-1.4 and no end", "no whole PDF"),
        (picture()[:99], "broken"),
    ):
        with pytest.raises(FileError, match=en):
            await files.take(ACCOUNT, octets, NOW)
    assert len(scanning.scanned) == 3, "what is no file of ours is not worth a scan"
    scanning.says = b"ERROR\0"
    with pytest.raises(ScannerAwayError):
        await files.take(ACCOUNT, PDF, NOW)
    assert on_disk(files.folder) == []
    assert await running.registry.pool.fetchval("SELECT count(*) FROM file") == 0


async def test_a_disk_that_fails_and_an_account_that_is_full(
    running: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = running.house.files
    assert files is not None
    (tmp_path / "files").touch()
    with pytest.raises(FolderError):
        await files.take(ACCOUNT, PDF, NOW)
    (tmp_path / "files").unlink()
    await running.registry.pool.execute(
        "INSERT INTO file (account_no, kind, octets, sha256, created) "
        "SELECT $1, 'pdf', 1, sha256(''), now() FROM generate_series(1, $2)",
        ACCOUNT,
        UNLINKED_MOST,
    )
    with pytest.raises(FileError, match=f"{UNLINKED_MOST} files are not used yet"):
        await files.take(ACCOUNT, PDF, NOW)
    assert on_disk(files.folder) == []


def test_places_are_bounded_for_each_and_for_all() -> None:
    made = Intake(*[None] * 4)  # type: ignore[arg-type]
    places = [made.place(account) for account in range(MOST // EACH_MOST) for _ in range(EACH_MOST)]
    for place in places[:EACH_MOST]:
        place.__enter__()
    with pytest.raises(BusyError), made.place(0):
        raise AssertionError("one too many of one account")
    for place in places[EACH_MOST:]:
        place.__enter__()
    with pytest.raises(BusyError), made.place(99):
        raise AssertionError("one too many")
    for place in places:
        place.__exit__(None, None, None)
    assert not made._coming
    with made.place(99):
        assert made._coming == {99: 1}

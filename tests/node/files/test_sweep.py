"""Proves node/files/sweep.py: what was not linked in time goes, and so does what is on disk without record."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from node.files import sweep
from node.files.folder import Folder
from registry.file import UNLINKED_LIFE, UNRECORDED_LIFE
from registry.postgres import files
from tests.fakes.in_process import node
from tests.fakes.papers import PDF

NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
BEFORE = NOW - UNLINKED_LIFE - timedelta(minutes=1)
LONG_BEFORE = NOW - UNRECORDED_LIFE - timedelta(minutes=1)
ACCOUNT = 1


def aged(folder: Folder, when: datetime) -> None:
    """Every file looks as if it had been written then."""
    for path in folder.path.rglob("*"):
        os.utime(path, (when.timestamp(), when.timestamp()))


async def test_only_what_nobody_needs_is_swept(database: str, tmp_path: Path) -> None:
    async with node(database, files=str(tmp_path / "files")) as running:
        intake, registry = running.house.files, running.registry
        assert intake is not None
        folder = intake.folder

        async def swept() -> int:
            return await sweep.sweep(folder, registry.steward, registry.lookup, NOW)

        assert await swept() == 0, "there is no folder yet"
        linked, left = [await intake.take(ACCOUNT, PDF, BEFORE) for _ in range(2)]
        folder.keep(4711, b"without record")
        async with registry.pool.acquire() as connection:
            assert await files.link(connection, linked, ACCOUNT, "orgCrtImgRid")
        aged(folder, LONG_BEFORE)
        young = await intake.take(ACCOUNT, PDF, NOW)
        folder.keep(4712, b"on its way to the record")
        assert await swept() == 2
        kept = sorted(int(path.name) for path in folder.path.rglob("*") if path.is_file())
        assert kept == [linked, young, 4712]
        assert await registry.lookup.files_known([linked, left, young]) == {linked, young}
        await intake.take(ACCOUNT, PDF, BEFORE)
        assert len(await registry.steward.remove_unlinked_files(NOW)) == 1, "and there the process dies"
        aged(folder, BEFORE)
        assert await swept() == 0, "an older database may have been restored"
        aged(folder, LONG_BEFORE)
        assert await swept() == 2, "nothing came of 4712 either"

"""What a worker writes down is kept at work, and what is left at its end is written."""

import base64
import os
import socket
from pathlib import Path

import pytest
import structlog

from node import clock
from node.access_log import read
from node.config import Config
from node.kept_head import KeptHead
from node.recording import Recording
from registry.access_log import Sealer, unnoted
from registry.audit import Actor
from registry.auditor import PAGE
from registry.postgres.audit import Wanted
from registry.postgres.connection import open_pool
from tests.fakes.counting import Counting
from tests.waiting import until

KEY = bytes(range(32))


async def _told(recording: Recording) -> bool:
    return (await recording.auditor.head())[0].number > 0


@pytest.mark.parametrize("first", [True, False])
async def test_all_is_written_in_the_end(database: str, tmp_path: Path, first: bool) -> None:
    config = Config(database_url=database, secret_key=base64.b64encode(KEY).decode(), log_folder=str(tmp_path))
    (tmp_path / "2026-01-01-old-1.log").touch()
    pool = await open_pool(database, size=2, name="idnode-test")
    recording = Recording(config, "idnode-test", pool, Counting().meter, lambda halted: None, first=first)
    kept = KeptHead(tmp_path, KEY)
    async with recording.at_work():
        if first:
            await until(lambda: not (tmp_path / "2026-01-01-old-1.log").exists())
            await until(lambda: _told(recording))
        recording.witness.saw(Actor(7, "li", "enterprise_user"), "detail", ["88.999.1001/a"])
        recording.access_log.note((clock.monotonic(), "192.0.2.1", 1, 0, "88.999.1001/a", "resolve found"))
    (row,) = await recording.auditor.page(Wanted(action="data_read"), 2**62, PAGE)
    told = await recording.auditor.page(Wanted(action="settings_changed"), 2**62, PAGE)
    assert [entry.objects for entry in told] == [[f"{socket.gethostname()}:{config.http_port}"]] * first
    assert not any(config.secret_key in entry.after for entry in told)
    assert all('"workers":2' in entry.after for entry in told)
    assert (row.actor, row.objects) == ("li", ["88.999.1001/a"])
    blocks = [each for each in read(tmp_path, Sealer(KEY), 0, 2**62) if isinstance(each, list)]
    assert [each.identifier for block in blocks for each in block] == ["88.999.1001/a"]
    assert (tmp_path / "2026-01-01-old-1.log").exists() is not first, "one worker sees to old files"
    assert kept.read() is not None
    await pool.close()


async def test_without_the_access_log_nothing_is_noted_and_what_fails_is_told(tmp_path: Path) -> None:
    key = base64.b64encode(KEY).decode()
    config = Config(secret_key=key, log_folder=str(tmp_path), access_log="off")
    pool = await open_pool("postgresql://idnode@/idnode?host=/nowhere", size=1, name="idnode-test")
    recording = Recording(config, "idnode-test", pool, Counting().meter, lambda halted: None, first=False)

    async def mistaken() -> None:
        raise ZeroDivisionError

    recording.witness.run = mistaken  # type: ignore[method-assign]
    with structlog.testing.capture_logs() as told:
        async with recording.at_work():
            assert recording.access_log.note is unnoted
            await until(lambda: told)
    assert [each["event"] for each in told] == ["internal_error"]
    assert os.listdir(tmp_path) == []
    await pool.close()

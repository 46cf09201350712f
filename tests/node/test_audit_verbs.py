"""`idnode audit` and `idnode access-log`: the journal is proven and exported, and whoever reads it stands in it."""

import csv
import io
import json
import socket
from argparse import ArgumentParser
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node import audit_verbs, doctor
from node.access_log import BLOCK_TURNS, AccessLog
from node.audit_verbs import Sought, line, matching, moment
from node.config import Config, ConfigError
from node.kept_head import KeptHead
from registry.access_log import Access, Sealer
from registry.account import Account
from registry.audit import RESERVE_OCTETS, Head, Kept, Row
from registry.auditor import Auditor
from registry.errors import AuditFullError
from registry.postgres.audit import Wanted
from registry.postgres.connection import open_pool
from registry.rights import Role
from registry.steward import Steward
from tests.fakes.counting import Counting
from tests.waiting import until

KEY = bytes(32)
ROW = Row(1, 2, 3, "=cmd", "shell", "a", "data_read", ["x", "+y"], "{}", '{"as":"detail"}', bytes(32))


async def said(config: Config, verb: str, *words: str) -> tuple[int, list[str]]:
    """Exit code and lines of one call."""
    parser, lines = ArgumentParser(), list[str]()
    add = audit_verbs.add_audit_arguments if verb == "audit" else audit_verbs.add_access_arguments
    add(parser)
    code = await audit_verbs.run(config, parser.parse_args(words), lines.append)
    return code, [each for text in lines for each in text.split("\n")]


@pytest.fixture
def config(database: str, tmp_path: Path) -> Config:
    return Config(database_url=database, secret_key=b64encode(KEY).decode(), log_folder=str(tmp_path))


async def test_the_journal_is_proven_and_exported(config: Config) -> None:
    pool = await open_pool(config.database_url, size=1, name="idnode-test")
    steward = Steward(pool, None, audit_verbs.shell())
    await steward.put_account(Account(0, "li", "program", Role.VERIFIER, None), secret=b"sealed")
    await steward.disable_account("li")
    assert await said(config, "audit", "verify") == (0, [f"✔ 2  {(await Auditor(pool).head())[0].digest.hex()}"])
    code, lines = await said(config, "audit", "export", "--object", "li")
    assert code == 0
    told = [json.loads(each) for each in lines]
    assert [(each["action"], each["role"], each["peer"]) for each in told] == [
        ("account_put", "shell", socket.gethostname()),
        ("account_disabled", "shell", socket.gethostname()),
    ]
    code, lines = await said(config, "audit", "export", "--format", "csv", "--since", "2026-01-01")
    rows = list(csv.DictReader(io.StringIO("\n".join(lines))))
    assert [row["action"] for row in rows] == ["account_put", "account_disabled", "audit_read", "audit_read"]
    assert json.loads(rows[2]["after"]) == {"format": "ndjson", "object": "li"}
    finding = await doctor._audit(config)
    assert (finding.mend, finding.state[:3]) == ("", "4, ")
    await pool.execute("ALTER TABLE audit DISABLE TRIGGER USER; DELETE FROM audit WHERE number = 2")
    code, lines = await said(config, "audit", "verify")
    assert (code, lines) == (1, ["✘ 第2条：缺少该条 · entry 2: the entry is missing"])
    assert "entry 2" in (await doctor._audit(config)).state
    await pool.close()


async def test_the_head_kept_here_speaks_too(config: Config, tmp_path: Path) -> None:
    kept = KeptHead(tmp_path, KEY)
    kept.write(Kept(Head(9, bytes(32))))
    code, lines = await said(config, "audit", "verify")
    assert (code, lines) == (1, ["✘ 第1条：末尾被截去 · entry 1: the end is cut off"])
    for stranger in (KeptHead(tmp_path, b"\1" * 32), kept):
        stranger.write(Kept(Head(1, b"\1" * 32), b"\1" * 32))
        code, (line,) = await said(config, "audit", "verify")
        found = await doctor._audit(config)
        assert (code, line) == (1, f"✘ {found.state}")
        assert all(each in line for each in ("另一数据库", "another database", f"IDNODE_LOG_FOLDER ({tmp_path})"))
    kept.path.unlink()
    kept.path.mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        await said(config, "audit", "verify")
    assert "IDNODE_LOG_FOLDER" in (await doctor._audit(config)).mend


async def test_the_access_log_is_read_and_that_is_written_down(config: Config, tmp_path: Path) -> None:
    pool = await open_pool(config.database_url, size=1, name="idnode-test")
    await Steward(pool).put_account(Account(0, "li", "program", Role.VERIFIER, None), secret=b"sealed")
    known = await Auditor(pool).account("li")
    assert known
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    access_log = AccessLog(tmp_path, Sealer(KEY), "idnode-m-0-2", Counting().meter, lambda: 0.0, lambda: noon)
    for account, name in ((0, b"88.999.1001/A"), (known, b"88.999.1001/B")):
        access_log.note((0.0, "192.0.2.1", 1, account, name, "resolve found"))
    for _ in range(BLOCK_TURNS):
        access_log.turn()
    await until(lambda: access_log._writing is None)
    await access_log.finish()
    expected = Access(int(noon.timestamp() * 1000), "192.0.2.1", 1, 0, "88.999.1001/A", "resolve", "found")

    async def read(*words: str) -> list[str]:
        code, lines = await said(config, "access-log", "read", *words)
        assert code == 0
        return [json.loads(each)["identifier"][-1] for each in lines]

    code, lines = await said(config, "access-log", "read", "--identifier", "88.999.1001/A")
    assert (code, [json.loads(each) for each in lines]) == (0, [expected._asdict()])
    assert await read() == ["A", "B"]
    assert await read("--account", "li") == ["B"]
    assert await read("--from", "2026-11-23T13:00Z") == await read("--to", "2026-11-23") == []
    with pytest.raises(ConfigError, match="no account wang"):
        await said(config, "access-log", "read", "--account", "wang")
    (tmp_path / "2026-11-23-strange-1.log").touch()
    assert (await said(config, "access-log", "read"))[0] == 1, "not all of it could be read"
    rows = [row async for rows in Auditor(pool).all(Wanted(action="access_log_read")) for row in rows]
    assert [json.loads(row.after) for row in rows][:3] == [{"identifier": "88.999.1001/A"}, {}, {"account": "li"}]
    await pool.close()


async def test_what_cannot_be_written_down_is_not_read(config: Config) -> None:
    pool = await open_pool(config.database_url, size=1, name="idnode-test")
    auditor = Auditor(pool, -RESERVE_OCTETS)
    parser, told = ArgumentParser(), list[str]()
    audit_verbs.add_access_arguments(parser)
    arguments = parser.parse_args(["read"])
    with pytest.raises(AuditFullError):
        await arguments.task(config, auditor, arguments, told.append)
    assert told == []
    await pool.close()


def test_a_line_of_each_format() -> None:
    assert json.loads(line(ROW, "ndjson"))["after"] == {"as": "detail"}
    (cells,) = csv.reader([line(ROW, "csv")])
    assert cells[3:10] == ["'=cmd", "shell", "a", "data_read", "x +y", "{}", '{"as":"detail"}'], "no cell is a formula"


def test_moments() -> None:
    assert moment("2026-11-23T12:00:00Z") == moment("2026-11-23T20:00+08:00") == 1_795_435_200_000
    assert moment("2026-11-24") - moment("2026-11-23") == 86_400_000


def test_what_is_sought_matches() -> None:
    access = Access(0, "", 0, 7, "88.999.1001/A", "resolve", "found")
    for sought, found in (
        (Sought(None, None), True),
        (Sought("88.999.1001/A", 7), True),
        (Sought("88.999.1001/B", 7), False),
        (Sought(None, 8), False),
    ):
        assert matching(access, sought) is found
    sign_in = access._replace(identifier="li", operation="sign_in")
    assert matching(sign_in, Sought(None, None))
    assert not matching(sign_in, Sought("88.999.1001/A", None))


def test_who_is_at_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    assert audit_verbs.shell().role == "shell"
    monkeypatch.setattr(audit_verbs.os, "getuid", lambda: 4_000_000_001)
    assert audit_verbs.shell().name == "4000000001"

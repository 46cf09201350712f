"""Proves registry/postgres/migrate.py on a real PostgreSQL: from nothing, from every earlier step, two at once."""

import asyncio
import subprocess
import sys
from hashlib import sha256
from importlib import resources

import asyncpg
import pytest

from proto.chain import HEAD_FIRST, entry_digest, next_head
from registry.errors import SchemaError
from registry.postgres import migrate as module
from registry.postgres import records
from registry.postgres.migrate import Migration, Schema, current, migrate, migrations

NEWEST = migrations()[-1].number
SCHEMA = """
    SELECT 'column', table_name || '.' || column_name, data_type || ' ' || is_nullable || coalesce(column_default, '')
    FROM information_schema.columns WHERE table_schema = 'public'
    UNION ALL SELECT 'index', indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
    UNION ALL SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace = 'public'::regnamespace
    UNION ALL SELECT 'function', proname, md5(prosrc) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
    ORDER BY 1, 2, 3
"""


async def schema(url: str) -> list[tuple[str, str, str]]:
    connection = await asyncpg.connect(url)
    rows = [tuple(row) for row in await connection.fetch(SCHEMA)]
    await connection.close()
    return rows


@pytest.fixture
async def connection(empty_database: str):
    opened = await asyncpg.connect(empty_database)
    yield opened
    await opened.close()


@pytest.fixture
async def migrated(database: str):
    """A connection to a database at which `migrate` has been already."""
    opened = await asyncpg.connect(database)
    yield opened
    await opened.close()


def test_steps_are_numbered_from_one_without_a_gap_and_named():
    assert [step.number for step in migrations()] == list(range(1, NEWEST + 1))
    assert all(step.name and step.sql for step in migrations())
    files = [f.name for f in resources.files("registry.postgres").joinpath("migrations").iterdir()]
    assert sorted(f for f in files if f.endswith(".sql")) == [f"{s.number:04d}_{s.name}.sql" for s in migrations()]


def test_steps_are_read_as_utf8_wherever_they_are_read():
    """A step has Chinese in it, and a factory's server may well speak GB18030."""
    program = "from registry.postgres.migrate import migrations; assert '停用' in migrations()[0].sql"
    options = ["-X", "warn_default_encoding", "-W", "error::EncodingWarning"]
    done = subprocess.run([sys.executable, *options, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


async def test_from_nothing(connection: asyncpg.Connection):
    assert await current(connection) == 0
    assert await migrate(connection) == list(migrations())
    assert await current(connection) == NEWEST
    rows = await connection.fetch("SELECT number, name, taken <= now() AS past FROM schema_step ORDER BY 1")
    assert [tuple(row) for row in rows] == [(step.number, step.name, True) for step in migrations()]
    tables = {row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert tables >= {"enterprise", "account", "token", "prefix", "template", "record", "history", "stream", "change"}


async def test_a_second_time_there_is_nothing_to_do(migrated: asyncpg.Connection, database: str):
    before = await schema(database)
    assert await migrate(migrated) == []
    assert await schema(database) == before


async def test_from_every_earlier_step(database: str, empty_database: str):
    """Each step is taken alone by a node of its own, that finds what the ones before left: whoever stopped anywhere
    comes to the schema that a database has which took all of them in one go."""
    for step in range(1, NEWEST + 1):
        connection = await asyncpg.connect(empty_database)
        assert await current(connection) == step - 1
        assert [taken.number for taken in await migrate(connection, upto=step)] == [step]
        assert await current(connection) == step
        await connection.close()
    assert await schema(empty_database) == await schema(database)


async def test_all_that_is_missing_is_taken_at_once(connection: asyncpg.Connection, database: str, empty_database: str):
    step = NEWEST // 2
    assert [taken.number for taken in await migrate(connection, upto=step)] == list(range(1, step + 1))
    assert [taken.number for taken in await migrate(connection)] == list(range(step + 1, NEWEST + 1))
    assert await schema(empty_database) == await schema(database)


async def test_two_at_once_take_each_step_once(empty_database: str):
    connections = [await asyncpg.connect(empty_database) for _ in range(4)]
    taken = await asyncio.gather(*(migrate(each) for each in connections))
    assert sorted(map(len, taken)) == [0, 0, 0, len(migrations())]
    assert await current(connections[0]) == NEWEST
    for each in connections:
        await each.close()


async def test_a_database_ahead_of_this_program_is_told_in_a_sentence_and_left_alone(
    migrated: asyncpg.Connection, database: str
):
    await migrated.execute("INSERT INTO schema_step (number, name) VALUES ($1, 'later')", NEWEST + 1)
    before = await schema(database)
    with pytest.raises(SchemaError) as ahead:
        await migrate(migrated)
    assert f"数据库结构为第{NEWEST + 1}版，本程序只认识到第{NEWEST}版" in str(ahead.value)
    assert f"The database is at schema step {NEWEST + 1}, this program knows {NEWEST}" in str(ahead.value)
    assert await schema(database) == before
    assert await _locks(migrated) == 0


async def test_a_step_that_fails_leaves_nothing_of_itself_and_the_ones_before_stay(
    connection: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
):
    steps = (
        Migration(1, "good", "CREATE TABLE one (a integer)"),
        Migration(2, "bad", "CREATE TABLE two (a integer); SELECT 1/0"),
        Migration(3, "never", "CREATE TABLE three (a integer)"),
    )
    monkeypatch.setattr(module, "migrations", lambda schema: steps)
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(connection)
    assert await current(connection) == 1
    tables = {row[0] for row in await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")}
    assert tables == {"schema_step", "one"}
    assert await _locks(connection) == 0
    steps = (steps[0], Migration(2, "mended", "CREATE TABLE two (a integer)"), steps[2])
    assert [taken.name for taken in await migrate(connection)] == ["mended", "never"]


async def test_two_schemas_in_one_database_count_their_steps_apart(
    migrated: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
):
    own = Schema("registry.postgres", "own")
    steps = (Migration(1, "thing", "CREATE TABLE own.thing (a integer)"),)
    monkeypatch.setattr(module, "migrations", lambda schema: steps)
    assert await current(migrated, own) == 0
    assert await migrate(migrated, schema=own) == list(steps)
    assert await migrate(migrated, schema=own) == []
    assert await current(migrated, own) == 1
    assert await current(migrated) == NEWEST
    assert await migrated.fetchval("SELECT count(*) FROM own.thing") == 0


async def _locks(connection: asyncpg.Connection) -> int:
    return await connection.fetchval(
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    )


async def test_a_database_of_other_steps_is_told_in_a_sentence_and_left_alone(
    migrated: asyncpg.Connection, database: str
):
    await migrated.execute("UPDATE schema_step SET name = 'registry' WHERE number = 1")
    before = await schema(database)
    with pytest.raises(SchemaError, match=r"第1步为registry，应为foundation.*step 1 is registry, not foundation"):
        await migrate(migrated)
    assert await schema(database) == before
    assert await _locks(migrated) == 0


# --- What people have is carried over ----------------------------------------------------------------------


async def test_room_carries_records_history_and_streams_over(connection: asyncpg.Connection, empty_database: str):
    """A database of step 3 with a life in it: created, changed, deleted, made again, beside one without values."""
    await migrate(connection, upto=3)
    await connection.execute("INSERT INTO prefix (name, state, epoch) VALUES ('88.999.1001', 1, 1)")
    await connection.execute("INSERT INTO stream VALUES (1, 0, 0, decode(repeat('00', 32), 'hex'), 1)")
    head = HEAD_FIRST
    lives = [
        ("A", 0, True, b"\xa0\x1f\x03bag", 100),
        ("B", 0, True, b"", 110),
        ("A", 1, True, b"\xa0\x1f\x03box", 2**32 - 1),
        ("A", 2, False, b"", 300),
        ("A", 3, True, b"\xa0\x1f\x01x", 400),
        ("B", 1, False, b"", 500),
    ]
    for suffix, base, live, body, at in lives:
        entry = entry_digest(f"88.999.1001/{suffix}", base + 1, 1, "", sha256(body).digest())
        head = next_head(head, [entry])
        won = await connection.fetchval(
            "SELECT commit_changes(1, 1, $1, $2, $3, '{1}', '{0}', '{7}', $4, $5, $6)",
            *(at, [suffix], [base], [live], [body], [entry]),
        )
        assert won == [1]
    changes = await connection.fetch("SELECT * FROM change ORDER BY number")
    await migrate(connection)

    assert await connection.fetch("SELECT * FROM change ORDER BY number") == changes
    assert await connection.fetchval("SELECT head FROM stream WHERE prefix_no = 1") == head
    octets = sum(len(body) for _, _, _, body, _ in lives)
    assert await connection.fetch("SELECT live, octets, limited FROM stream WHERE prefix_no = 1") == [
        (1, octets, False)
    ]
    stored = await records.look(connection, ["88.999.1001"] * 3, ["A", "B", "C"])
    assert [(s.version, s.live, s.updated, s.body) for s in stored] == [
        (4, True, 400, b"\xa0\x1f\x01x"),
        (2, False, 500, b""),
        (0, False, 0, b""),
    ]
    told = {suffix: await records.versions(connection, "88.999.1001", suffix, 9, 9999) for suffix in "AB"}
    kept = [(s, v["version"] - 1, v["live"], v["body"], v["updated"]) for s in told for v in reversed(told[s])]
    assert kept == sorted(lives)
    for change in changes:
        ((suffix,), (version,)) = change["suffixes"], change["versions"]
        (body,) = (v["body"] for v in told[suffix] if v["version"] == version)
        assert change["digests"] == sha256(body).digest()


async def test_roles_carry_accounts_over(connection: asyncpg.Connection):
    """A database of step 7 with its administrator and an enterprise's people and programs."""
    await migrate(connection, upto=7)
    await connection.execute("INSERT INTO enterprise (name, name_en, industry) VALUES ('甲', 'A', 'leather')")
    await connection.execute("""
        INSERT INTO account (username, kind, role, enterprise_no, password, secret) VALUES
        ('chief', 'person', 'admin', NULL, '$kept', NULL), ('li', 'person', 'enterprise', 1, '$kept', NULL),
        ('AK', 'program', 'enterprise', 1, NULL, 'sealed'), ('AK-chief', 'program', 'admin', NULL, NULL, 'sealed')
    """)
    await migrate(connection)
    assert [tuple(row) for row in await connection.fetch("SELECT username, role FROM account ORDER BY 1")] == [
        ("AK", "enterprise_admin"),
        ("AK-chief", "system_admin"),
        ("chief", "system_admin"),
        ("li", "enterprise_admin"),
    ]

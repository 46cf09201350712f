"""Holds the tests to the rooms: each file has a test of its name in the mirrored folder, or says here what proves it.

Files are compared by name only; whether a test proves anything is for its reader.
"""

from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = sorted(
    str(file.relative_to(ROOT))
    for pattern in ("proto/**/*.py", "registry/**/*.py", "node/**/*.py", "loadtest/*.py")
    for file in ROOT.glob(pattern)
    if file.name != "__init__.py"
)
ELSEWHERE = {
    # Names without behaviour: whoever uses them proves them.
    "proto/codes.py": "tests/proto/test_web_json.py",
    "proto/errors.py": "tests/proto/test_identifier.py",
    "proto/limits.py": "tests/proto/test_value.py",
    "registry/errors.py": "tests/registry/test_registrar.py",
    "node/house.py": "tests/node/listen/test_own_api.py",
    "node/toplevel/office.py": "tests/node/toplevel/test_audit.py",
    "node/uplink/tenure.py": "tests/node/uplink/side.py",
    # Parts of one thing, proven where they work together.
    "node/users.py": "tests/node/test_cli.py",
    "node/verbs/administration.py": "tests/node/test_cli.py",
    "node/verbs/asking.py": "tests/node/test_cli.py",
    "node/verbs/given.py": "tests/node/test_cli.py",
    "node/verbs/importing.py": "tests/node/test_cli.py",
    "node/verbs/keeping.py": "tests/node/test_cli.py",
    "node/verbs/records.py": "tests/node/test_cli.py",
    "node/verbs/running.py": "tests/node/test_cli.py",
    "node/verbs/shell.py": "tests/node/test_cli.py",
    "registry/postgres/applications.py": "tests/registry/test_examiner.py",
    "registry/postgres/enterprises.py": "tests/node/listen/test_snms_enterprises.py",
    "registry/native_challenge.py": "tests/node/native/test_administration.py",
    "registry/postgres/native_challenges.py": "tests/node/native/test_administration.py",
    "registry/native_session.py": "tests/node/native/test_sessions.py",
    "registry/native_login.py": "tests/node/native/test_sessions.py",
    "registry/postgres/native_sessions.py": "tests/node/native/test_sessions.py",
    "registry/postgres/native_logins.py": "tests/node/native/test_sessions.py",
    "registry/postgres/key_sessions.py": "tests/node/listen/test_handle_sessions.py",
    "registry/postgres/listings.py": "tests/node/listen/test_doip_api.py",
    "registry/postgres/parcels.py": "tests/registry/test_mover.py",
    "registry/postgres/blanked.py": "tests/registry/test_blanker.py",
    "node/keyholders.py": "tests/node/listen/test_handle_writes.py",
    "node/listen/handle_auth.py": "tests/node/listen/test_handle_writes.py",
    "node/server.py": "tests/node/test_embedded.py",
    "node/quarters.py": "tests/node/test_embedded.py",
    "node/deathwatch.py": "tests/node/test_embedded.py",
    "loadtest/alarm.py": "tests/loadtest/test_crowd.py",
    "loadtest/target.py": "tests/loadtest/test_settings.py",
    "loadtest/said.py": "tests/loadtest/test_history_crowd.py",
    "loadtest/bilingual.py": "tests/loadtest/test_response.py",
    "loadtest/nodes.py": "tests/whole/test_reading.py",
    "loadtest/telling.py": "tests/whole/test_reading.py",
    "loadtest/wire.py": "tests/loadtest/test_history_crowd.py",
    "loadtest/__main__.py": "tests/whole/test_load.py",
}
"""File to the test that proves it instead, and that speaks of it."""


def named_after(name: str) -> list[str]:
    """The tests that bear the name of a file: in its mirrored folder or above it in its room, or of the whole."""
    file = Path(name)
    folders = [Path("tests", *file.parts[:depth]) for depth in range(1, len(file.parts))] + [Path("tests/whole")]
    wanted = [folder / f"test_{file.stem}.py" for folder in folders]
    return [str(path) for path in wanted if (ROOT / path).exists()]


def test_every_file_has_a_test_that_bears_its_name():
    missing = [name for name in FILES if name not in ELSEWHERE and not named_after(name)]
    assert not missing, " ".join(missing)


def test_every_exception_is_needed_and_true():
    assert [name for name in ELSEWHERE if name not in FILES or named_after(name)] == []
    silent = {n: t for n, t in ELSEWHERE.items() if Path(n).stem not in (ROOT / t).read_text("utf-8")}
    assert silent == {}


def test_a_missing_test_is_seen():
    assert named_after("proto/values/admin.py") == ["tests/proto/test_admin.py"]
    assert named_after("registry/postgres/records.py") == ["tests/registry/postgres/test_records.py"]
    assert named_after("registry/nothing.py") == []

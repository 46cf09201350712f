"""Holds the pure rooms to their promise, file by file: no socket, no clock, no chance by the hour, no logging.

Import-linter sees modules; this reads the files, so that what is imported inside a function counts as well.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOORS = {
    "registry/auditor.py",
    "registry/blanker.py",
    "registry/clerk.py",
    "registry/examiner.py",
    "registry/lookup.py",
    "registry/mover.py",
    "registry/registrar.py",
    "registry/steward.py",
}
"""What of registry/ speaks to PostgreSQL, beside registry/postgres/."""
THINKERS = {"node/uplink/intake.py", "node/uplink/outbox.py", "node/uplink/tally.py"}
"""What of node/ only decides."""
PURE = sorted(
    str(file.relative_to(ROOT))
    for room in ("proto", "registry")
    for file in (ROOT / room).rglob("*.py")
    if str(file.relative_to(ROOT)) not in DOORS and "postgres" not in file.parts
) + sorted(THINKERS)
FORBIDDEN = {
    "asyncio",
    "socket",
    "ssl",
    "select",
    "time",
    "random",
    "logging",
    "structlog",
    "threading",
    "subprocess",
    "os",
}
CLOCKS = {"now", "utcnow", "today", "localtime", "monotonic"}
DATABASE = {
    "asyncpg",
    "registry.postgres",
    "registry.auditor",
    "registry.blanker",
    "registry.lookup",
    "registry.mover",
    "registry.registrar",
    "registry.steward",
    "registry.examiner",
    "registry.clerk",
}


def tree(name: str) -> ast.Module:
    return ast.parse((ROOT / name).read_text("utf-8"))


def imported(module: ast.Module) -> set[str]:
    """Every name of a module that is imported anywhere in it, and every parent of those names."""
    names = set()
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {".".join(name.split(".")[: n + 1]) for name in names for n in range(name.count(".") + 1)}


def called(module: ast.Module) -> set[str]:
    calls = [node.func for node in ast.walk(module) if isinstance(node, ast.Call)]
    return {func.attr for func in calls if isinstance(func, ast.Attribute)}


def test_a_pure_file_imports_nothing_that_asks_the_world():
    guilty = {name: imported(tree(name)) & (FORBIDDEN | DATABASE) for name in PURE}
    assert {name: found for name, found in guilty.items() if found} == {}


def test_a_pure_file_asks_no_clock_and_waits_for_nobody():
    waiting = (ast.AsyncFunctionDef, ast.Await, ast.AsyncWith, ast.AsyncFor)
    assert [name for name in PURE if called(tree(name)) & CLOCKS] == []
    assert [name for name in PURE if any(isinstance(node, waiting) for node in ast.walk(tree(name)))] == []


def test_the_rooms_are_read():
    assert len(PURE) >= 20
    assert {"proto/identifier.py", "registry/rules.py", "registry/record.py", "registry/industries/__init__.py"} <= set(
        PURE
    )
    assert all((ROOT / door).exists() for door in DOORS)


def test_what_is_hidden_in_a_function_is_seen():
    module = ast.parse("def f():\n    import os.path\n    from time import sleep\n    datetime.now()\n")
    assert imported(module) == {"os", "os.path", "time", "time.sleep"}
    assert called(module) == {"now"}


BOOKS = "node/toplevel/books.py"
"""The top-level node is a program of its own: what speaks SQL there."""


def test_sql_stands_in_one_room():
    """Only registry/postgres/ speaks SQL, and the books; a word that begins a statement gives it away."""
    statements = ("SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "CREATE ")
    guilty = []
    for room in ("proto", "registry", "node"):
        for file in sorted((ROOT / room).rglob("*.py")):
            if "postgres" in file.parts or str(file.relative_to(ROOT)) == BOOKS:
                continue
            texts = [n.value for n in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(n, ast.Constant)]
            if any(isinstance(text, str) and text.lstrip().startswith(statements) for text in texts):
                guilty.append(str(file.relative_to(ROOT)))
    assert guilty == []

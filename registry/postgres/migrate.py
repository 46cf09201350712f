"""Brings a database to the schema of this program: numbered files, forward only, one at a time under a lock."""

import re
from dataclasses import dataclass
from importlib import resources
from typing import Final

from registry.errors import SchemaError
from registry.postgres.connection import Connection

_NAME: Final = re.compile(r"(\d{4})_(\w+)\.sql")
_LOCK: Final = 0x1D0DE
"""Key of the advisory lock: two nodes starting at once migrate one after the other."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered step."""

    number: int
    name: str
    sql: str


def migrations() -> tuple[Migration, ...]:
    """All steps this program knows, in order."""
    found = []
    for file in resources.files("registry.postgres").joinpath("migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return tuple(sorted(found, key=lambda m: m.number))


async def current(connection: Connection) -> int:
    """The number of the newest step taken; 0 for an empty database."""
    if await connection.fetchval("SELECT to_regclass('schema_step')") is None:
        return 0
    return int(await connection.fetchval("SELECT coalesce(max(number), 0) FROM schema_step"))


async def migrate(connection: Connection, upto: int | None = None) -> list[Migration]:
    """Takes every step that is missing (up to number `upto`), each in a transaction of its own; returns them.

    Raises SchemaError when the database is ahead of this program, or was made by one whose steps were others.
    """
    known = migrations()
    taken = []
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_step "
            "(number integer PRIMARY KEY, name text NOT NULL, taken timestamptz NOT NULL DEFAULT now())"
        )
        at = await current(connection)
        if at > known[-1].number:
            raise SchemaError(
                f"数据库结构为第{at}版，本程序只认识到第{known[-1].number}版：请使用更新的程序。 "
                f"The database is at schema step {at}, this program knows {known[-1].number}: run a newer one."
            )
        await _same_steps(connection, known)
        for step in known:
            if at < step.number <= (known[-1].number if upto is None else upto):
                async with connection.transaction():
                    await connection.execute(step.sql)
                    await connection.execute(
                        "INSERT INTO schema_step (number, name) VALUES ($1, $2)", step.number, step.name
                    )
                taken.append(step)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return taken


async def _same_steps(connection: Connection, known: tuple[Migration, ...]) -> None:
    names = {step.number: step.name for step in known}
    for number, name in await connection.fetch("SELECT number, name FROM schema_step ORDER BY number"):
        if names[number] != name:
            raise SchemaError(
                f"数据库由未发布的早期版本建立（第{number}步为{name}，应为{names[number]}）："
                "请使用空数据库或新的--data目录。 "
                f"The database was made by an early, unreleased program (step {number} is {name}, not {names[number]}):"
                " use an empty database or another --data folder."
            )

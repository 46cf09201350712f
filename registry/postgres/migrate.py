"""Brings a database to a schema of this program: numbered files, forward only, one at a time under a lock."""

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


@dataclass(frozen=True, slots=True)
class Schema:
    """Whose steps: the files of `package`/migrations; `name` of the PostgreSQL schema, empty: the connection's own."""

    package: str
    name: str = ""

    @property
    def steps(self) -> str:
        """The table of the steps taken."""
        return f"{self.name}.schema_step" if self.name else "schema_step"


REGISTRY: Final = Schema("registry.postgres")


def migrations(schema: Schema = REGISTRY) -> tuple[Migration, ...]:
    """All steps this program knows, in order."""
    found = []
    for file in resources.files(schema.package).joinpath("migrations").iterdir():
        if match := _NAME.fullmatch(file.name):
            found.append(Migration(int(match[1]), match[2], file.read_text("utf-8")))
    return tuple(sorted(found, key=lambda m: m.number))


async def current(connection: Connection, schema: Schema = REGISTRY) -> int:
    """The number of the newest step taken; 0 for an empty database."""
    if await connection.fetchval("SELECT to_regclass($1)", schema.steps) is None:
        return 0
    return int(await connection.fetchval(f"SELECT coalesce(max(number), 0) FROM {schema.steps}"))  # noqa: S608


async def migrate(connection: Connection, upto: int | None = None, schema: Schema = REGISTRY) -> list[Migration]:
    """Takes every step that is missing (up to number `upto`), each in a transaction of its own; returns them.

    Raises SchemaError when the database is ahead of this program, or was made by one whose steps were others.
    """
    known = migrations(schema)
    taken = []
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        if schema.name:
            await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema.name}")
        await connection.execute(
            f"CREATE TABLE IF NOT EXISTS {schema.steps} "
            "(number integer PRIMARY KEY, name text NOT NULL, taken timestamptz NOT NULL DEFAULT now())"
        )
        at = await current(connection, schema)
        if at > known[-1].number:
            raise SchemaError(
                f"数据库结构为第{at}版，本程序只认识到第{known[-1].number}版：请使用更新的程序。 "
                f"The database is at schema step {at}, this program knows {known[-1].number}: run a newer one."
            )
        await _same_steps(connection, known, schema)
        for step in known:
            if at < step.number <= (known[-1].number if upto is None else upto):
                async with connection.transaction():
                    await connection.execute(step.sql)
                    await connection.execute(
                        f"INSERT INTO {schema.steps} (number, name) VALUES ($1, $2)",  # noqa: S608 - our own name
                        step.number,
                        step.name,
                    )
                taken.append(step)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return taken


async def _same_steps(connection: Connection, known: tuple[Migration, ...], schema: Schema) -> None:
    names = {step.number: step.name for step in known}
    taken = await connection.fetch(f"SELECT number, name FROM {schema.steps} ORDER BY number")  # noqa: S608 - our own
    for number, name in taken:
        if names[number] != name:
            raise SchemaError(
                f"数据库由未发布的早期版本建立（第{number}步为{name}，应为{names[number]}）："
                "请使用空数据库或新的--data目录。 "
                f"The database was made by an early, unreleased program (step {number} is {name}, not {names[number]}):"
                " use an empty database or another --data folder."
            )

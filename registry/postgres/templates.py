"""Templates in the database: rows to `Template` and back, and their changes under the catalogue's number."""

from typing import Any, Final

import asyncpg
import msgspec

from registry.postgres.connection import Connection
from registry.suffix import Segment, SuffixRule
from registry.template import Category, Item, Template

_COLUMNS: Final = """
    t.number, p.name AS prefix, t.version, t.zh, t.en, t.description, t.category, t.carrier, t.items::text AS items,
    t.suffix::text AS suffix, t.epoch FROM template t JOIN prefix p ON p.number = t.prefix_no
"""
_items: Final = msgspec.json.Decoder(tuple[Item, ...])
_segments: Final = msgspec.json.Decoder(tuple[Segment, ...])


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _template(row: Any) -> Template:
    return Template(
        prefix=row["prefix"],
        version=row["version"],
        zh=row["zh"],
        en=row["en"],
        description=row["description"],
        category=Category(*row["category"]),
        carrier=row["carrier"],
        items=_items.decode(row["items"]),
        suffix=SuffixRule(_segments.decode(row["suffix"])),
        number=row["number"],
        epoch=row["epoch"],
    )


async def by_numbers(connection: Connection, numbers: list[int]) -> list[Template]:
    """The templates with these numbers; what does not exist is left out."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} WHERE t.number = ANY ($1)", numbers)
    return [_template(row) for row in rows]


async def named(connection: Connection, prefix: str, version: str) -> Template | None:
    """The template `version` of `prefix`."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} WHERE p.name = $1 AND t.version = $2",
        prefix,
        version,
    )
    return _template(row) if row else None


async def listed(connection: Connection, prefix: str) -> list[tuple[str, str, str]]:
    """(version, zh, en) of every template of `prefix`, by version."""
    rows = await connection.fetch(
        "SELECT version, zh, en FROM template WHERE prefix_no = (SELECT number FROM prefix WHERE name = $1) ORDER BY 1",
        prefix,
    )
    return [(row["version"], row["zh"], row["en"]) for row in rows]


async def add(connection: Connection, template: Template) -> bool:
    """Keeps a new template; False when that version exists, or the prefix does not."""
    try:
        async with connection.transaction():
            done = await connection.execute(
                """
                INSERT INTO template
                    (prefix_no, version, zh, en, description, category, carrier, items, suffix, epoch)
                SELECT number, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::jsonb, next_epoch()
                FROM prefix WHERE name = $1
                """,
                template.prefix,
                template.version,
                template.zh,
                template.en,
                template.description,
                [
                    template.category.category,
                    template.category.specific,
                    template.category.trade,
                    template.category.subclass,
                ],
                template.carrier,
                _encoded(template.items),
                _encoded(template.suffix.segments),
            )
    except asyncpg.UniqueViolationError:
        return False
    return bool(done == "INSERT 0 1")


async def replace(connection: Connection, template: Template) -> bool:
    """Keeps a changed template; False when it changed since `template.epoch` was read."""
    done = await connection.execute(
        """
        UPDATE template SET zh = $3, en = $4, description = $5, carrier = $6, items = $7::text::jsonb,
            epoch = next_epoch()
        WHERE number = $1 AND epoch = $2
        """,
        template.number,
        template.epoch,
        template.zh,
        template.en,
        template.description,
        template.carrier,
        _encoded(template.items),
    )
    return bool(done == "UPDATE 1")


async def remove(connection: Connection, number: int) -> bool:
    """Forgets a template no identifier was ever made with; False when one was."""
    await connection.execute("SELECT next_epoch()")
    return bool(await connection.execute("DELETE FROM template WHERE number = $1 AND NOT used", number) == "DELETE 1")

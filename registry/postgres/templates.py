"""Templates in the database: rows to `Template` and back, and their changes under the catalogue's number.

Those of a prefix that lives elsewhere are found by number only.
"""

from dataclasses import astuple
from datetime import datetime
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec

from registry.postgres.connection import Connection
from registry.suffix import Segment, SuffixRule
from registry.template import Category, Item, State, Template

_COLUMNS: Final = """
    t.number, p.name AS prefix, t.version, t.zh, t.en, t.description, t.category, t.carrier, t.items::text AS items,
    t.suffix::text AS suffix, t.epoch, t.state, t.revision, t.lineage, t.origin, coalesce(t.meta::text, '') AS meta,
    extract(epoch FROM t.created)::bigint AS created, extract(epoch FROM t.updated)::bigint AS updated
    FROM template t JOIN prefix p ON p.number = t.prefix_no
"""
_items: Final = msgspec.json.Decoder(tuple[Item, ...])
_segments: Final = msgspec.json.Decoder(tuple[Segment, ...])


def _encoded(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _codes(template: Template) -> list[str]:
    return list(astuple(template.category))


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
        state=State(row["state"]),
        revision=row["revision"],
        lineage=row["lineage"],
        origin=row["origin"],
        updated=row["updated"],
        created=row["created"],
        meta=row["meta"],
    )


async def by_numbers(connection: Connection, numbers: list[int]) -> list[Template]:
    """The templates with these numbers; what does not exist is left out."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} WHERE t.number = ANY ($1)", numbers)
    return [_template(row) for row in rows]


async def with_references(connection: Connection) -> list[Template]:
    """The templates some of whose attributes are references."""
    return [each for each in map(_template, await connection.fetch(f"SELECT {_COLUMNS}")) if each.references]


async def named(connection: Connection, prefix: str, version: str) -> Template | None:
    """The template `version` of `prefix`."""
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} WHERE p.name = $1 AND t.version = $2 AND NOT p.elsewhere",
        prefix,
        version,
    )
    return _template(row) if row else None


async def page(
    connection: Connection, prefix: str | None, owner: int | None, admin: bool, after: tuple[str, str], most: int
) -> list[Template]:
    """The templates after (prefix, version), in that order, of `prefix` or of all; drafts only of the enterprise
    `owner`, or of everybody for an `admin`.
    """
    rows = await connection.fetch(
        f"""
        SELECT {_COLUMNS} WHERE ($1::text IS NULL OR p.name = $1) AND (p.name, t.version) > ($4, $5)
            AND (t.state <> 0 OR $3 OR p.enterprise_no = $2) AND NOT p.elsewhere
        ORDER BY p.name, t.version LIMIT $6
        """,
        prefix,
        owner,
        admin,
        *after,
        most,
    )
    return [_template(row) for row in rows]


class Filter(NamedTuple):
    """Whose templates are wanted: of an `industry`, of a `category` (GB/T 4754, from its 门类 on: C, C19, C1922), of
    enterprises whose name holds `enterprise`. None: all.
    """

    industry: str | None = None
    category: str | None = None
    enterprise: str | None = None


class Listed(NamedTuple):
    """A template and whose it is."""

    template: Template
    enterprise: str
    enterprise_en: str
    industry: str


async def catalogued(connection: Connection, wanted: Filter, after: tuple[str, str], most: int) -> list[Listed]:
    """Published templates after (prefix, version), in that order."""
    rows = await connection.fetch(
        f"""
        SELECT e.name AS enterprise, e.name_en, e.industry, {_COLUMNS} JOIN enterprise e ON e.number = p.enterprise_no
        WHERE t.state = 1 AND (p.name, t.version) > ($1, $2) AND NOT p.elsewhere
            AND ($3::text IS NULL OR e.industry = $3)
            AND ($4::text IS NULL OR starts_with(t.category[1] || t.category[4], $4))
            AND ($5::text IS NULL OR strpos(lower(e.name || ' ' || e.name_en), lower($5)) > 0)
        ORDER BY p.name, t.version LIMIT $6
        """,
        *after,
        *wanted,
        most,
    )
    return [Listed(_template(row), row["enterprise"], row["name_en"], row["industry"]) for row in rows]


class Wanted(NamedTuple):
    """Templates of an `enterprise` (None: of all), with `drafts` or without, of a class (`classify`; empty: of none),
    whose identifier holds `handle`, published or not, made in a span of time. None: whatever it be.
    """

    enterprise: int | None
    drafts: bool
    classify: str | None = None
    handle: str | None = None
    published: bool | None = None
    since: datetime | None = None
    until: datetime | None = None


_WANTED: Final = """
    SELECT {} WHERE
    ($1::integer IS NULL OR p.enterprise_no = $1) AND (t.state <> 0 OR $2) AND NOT p.elsewhere
    AND ($3::text IS NULL OR coalesce(t.meta->>'classify', '') = $3)
    AND ($4::text IS NULL OR strpos(p.name || '/META_' || t.version, $4) > 0)
    AND ($5::boolean IS NULL OR (t.state = 1) = $5)
    AND ($6::timestamptz IS NULL OR t.created >= $6) AND ($7::timestamptz IS NULL OR t.created <= $7)
"""


async def wanted(connection: Connection, of: Wanted, skipped: int, most: int) -> tuple[int, list[Template]]:
    """How many there are, and `most` of them, newest first, behind those `skipped`."""
    counting = _WANTED.format("count(*) FROM template t JOIN prefix p ON p.number = t.prefix_no")
    page = _WANTED.format(_COLUMNS) + " ORDER BY t.number DESC OFFSET $8 LIMIT $9"
    count = await connection.fetchval(counting, *of)
    rows = await connection.fetch(page, *of, skipped, most)
    return count, [_template(row) for row in rows]


async def classes(connection: Connection, enterprise: int | None, most: int) -> list[str]:
    """The classes the templates of an enterprise (None: of all) are in, by name, `most` at most."""
    rows = await connection.fetch(
        """
        SELECT DISTINCT t.meta->>'classify' AS class FROM template t JOIN prefix p ON p.number = t.prefix_no
        WHERE t.meta->>'classify' <> '' AND ($1::integer IS NULL OR p.enterprise_no = $1) ORDER BY 1 LIMIT $2
        """,
        enterprise,
        most,
    )
    return [row[0] for row in rows]


async def line(connection: Connection, number: int) -> list[Template]:
    """The templates of the line that began with the one of that number, oldest first."""
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} WHERE t.number = $1 OR t.lineage = $1 ORDER BY t.revision", number
    )
    return [_template(row) for row in rows]


async def add(connection: Connection, template: Template) -> bool:
    """Keeps a new template, as the last of its line if it has one; False when that version exists, or the prefix does
    not.
    """
    try:
        async with connection.transaction():
            done = await connection.execute(
                """
                INSERT INTO template
                    (prefix_no, version, zh, en, description, category, carrier, items, suffix, epoch, state, lineage,
                    origin, meta, revision)
                SELECT number, $2, $3, $4, $5, $6, $7, $8::text::jsonb, $9::text::jsonb, next_epoch(), $10, $11, $12,
                    nullif($13::text, '')::jsonb,
                    1 + coalesce((SELECT max(revision) FROM template WHERE $11 IN (number, lineage) AND $11 > 0), 0)
                FROM prefix WHERE name = $1
                """,
                template.prefix,
                template.version,
                template.zh,
                template.en,
                template.description,
                _codes(template),
                template.carrier,
                _encoded(template.items),
                _encoded(template.suffix.segments),
                template.state,
                template.lineage,
                template.origin,
                template.meta,
            )
    except asyncpg.UniqueViolationError:
        return False
    return bool(done == "INSERT 0 1")


async def replace(connection: Connection, template: Template) -> bool:
    """Keeps a changed template; False when it changed since `template.epoch` was read."""
    done = await connection.execute(
        """
        UPDATE template SET zh = $3, en = $4, description = $5, carrier = $6, items = $7::text::jsonb,
            suffix = $8::text::jsonb, state = $9, category = $10, meta = nullif($11::text, '')::jsonb,
            epoch = next_epoch(), updated = now()
        WHERE number = $1 AND epoch = $2
        """,
        template.number,
        template.epoch,
        template.zh,
        template.en,
        template.description,
        template.carrier,
        _encoded(template.items),
        _encoded(template.suffix.segments),
        template.state,
        _codes(template),
        template.meta,
    )
    return bool(done == "UPDATE 1")


async def remove(connection: Connection, number: int) -> bool:
    """Forgets a template no identifier was ever made with; False when one was."""
    await connection.execute("SELECT next_epoch()")
    return bool(await connection.execute("DELETE FROM template WHERE number = $1 AND NOT used", number) == "DELETE 1")

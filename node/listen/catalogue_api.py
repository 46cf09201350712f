"""The catalogue of data resources (数据资源目录), /api/v1/catalogue: the attributes of published templates.

What an attribute says of sharing and upkeep is registry/upkeep.py's.
"""

import asyncio
import os
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import IO, TYPE_CHECKING, Any, Final

from aiohttp import web

from node import clock
from node.gather import BusyError
from node.house import House
from node.listen.http import HOUSE, encoded
from node.listen.own_door import OwnError, explained, prefers_chinese, signed_in, streamed
from registry import upkeep
from registry.postgres.templates import Filter, Listed
from registry.template import ACCESSES, Item

if TYPE_CHECKING:
    from node.listen.catalogue_sheet import Sheet

CATALOGUE: Final = "/api/v1/catalogue"
TEMPLATES_MOST: Final = 50
"""Templates looked through for one page: some 1500 attributes."""
EXPORT_ROWS_MOST: Final = 50_000
"""Rows of one Excel file: 10 MB and some two seconds of a core. Who wants more narrows the question."""
TEXT_CHARACTERS: Final = 200
"""Longest text of a question."""
CHUNK_OCTETS: Final = 1 << 16

EXPORTING: Final = web.AppKey("exporting", asyncio.Lock)
"""Held by the one export a worker makes at a time."""
_AMONG: Final = {
    "class": ACCESSES,
    "level": tuple(upkeep.LEVELS),
    "sharing": tuple(upkeep.SHARINGS),
    "overdue": ("true", "false"),
}


@dataclass(frozen=True, slots=True)
class _Question:
    """What is looked for: templates by `wanted`, their attributes by `said` (field to what it must say)."""

    wanted: Filter
    said: dict[str, Any]
    today: date
    house: House

    def rows(self, listed: Listed) -> Iterator[dict[str, Any]]:
        """The attributes of a template that are looked for."""
        changed = datetime.fromtimestamp(listed.template.updated, self.house.config.zone).date()
        for item in listed.template.items:
            if item.enabled:
                row = _row(listed, item, changed, self.today)
                if all(row[name] == wanted for name, wanted in self.said.items()):
                    yield row

    async def pages(self, after: tuple[str, str]) -> AsyncIterator[tuple[list[Listed], list[dict[str, Any]]]]:
        """The templates after that place, page by page, and the attributes of each page."""
        while found := await self.house.lookup.catalogued(self.wanted, after, TEMPLATES_MOST):
            rows = await self.house.slices.each(lambda listed: list(self.rows(listed)), found)
            yield found, [row for several in rows for row in several]
            if len(found) < TEMPLATES_MOST:
                return
            after = _place(found[-1])


def _place(listed: Listed) -> tuple[str, str]:
    return listed.template.prefix, listed.template.version


def _row(listed: Listed, item: Item, changed: date, today: date) -> dict[str, Any]:
    template = listed.template
    return {
        "enterprise": listed.enterprise,
        "enterpriseEn": listed.enterprise_en,
        "industry": listed.industry,
        "prefix": template.prefix,
        "template": template.version,
        "templateZh": template.zh,
        "templateEn": template.en,
        "category": template.category.category + template.category.subclass,
        "handle": template.handle,
        "index": item.index,
        "name": item.name,
        "zh": item.zh,
        "en": item.en,
        "kind": item.kind,
        "unit": item.unit,
        "access": item.access,
        "sharing": upkeep.sharing(item),
        "level": item.level,
        "responsible": item.responsible or listed.enterprise,
        "cycle": item.cycle,
        "upkept": upkeep.upkept(item, changed).isoformat(),
        "overdue": upkeep.overdue(item, changed, today),
    }


def _text(request: web.Request, name: str) -> str | None:
    text = request.query.get(name)
    if text is not None and (len(text) > TEXT_CHARACTERS or "\0" in text):
        raise OwnError(
            400,
            name,
            f"{name}最长{TEXT_CHARACTERS}个字符，不含U+0000",
            f"{name} has at most {TEXT_CHARACTERS} characters and no U+0000",
        )
    return text or None


async def _asked(request: web.Request) -> _Question:
    await signed_in(request)
    for name, known in _AMONG.items():
        if request.query.get(name, known[0]) not in known:
            raise OwnError(400, name, f"{name}应为{'、'.join(known)}之一", f"{name} must be one of {', '.join(known)}")
    said: dict[str, Any] = {name: request.query[name] for name in ("level", "sharing") if name in request.query}
    if "class" in request.query:
        said["access"] = request.query["class"]
    if "overdue" in request.query:
        said["overdue"] = request.query["overdue"] == "true"
    house = request.app[HOUSE]
    wanted = Filter(_text(request, "industry"), _text(request, "category"), _text(request, "enterprise"))
    return _Question(wanted, said, clock.utc().astimezone(house.config.zone).date(), house)


@explained
async def search(request: web.Request) -> web.Response:
    """GET /api/v1/catalogue: attributes, those of a page of templates after `after` (prefix/version) at a time."""
    asked = await _asked(request)
    prefix, _, version = (_text(request, "after") or "").partition("/")
    async for found, rows in asked.pages((prefix, version)):
        last = "/".join(_place(found[-1])) if len(found) == TEMPLATES_MOST else None
        return encoded({"resources": rows, "next": last})
    return encoded({"resources": [], "next": None})


@explained
async def export(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/catalogue.xlsx: the same as an Excel file, all of it."""
    asked = await _asked(request)
    exporting = request.app[EXPORTING]
    if exporting.locked():
        raise BusyError
    with tempfile.TemporaryFile(prefix="idnode-") as file:
        async with exporting:
            await _written(asked, file, chinese=prefers_chinese(request))
        return await _sent(request, file, f"data-resources-{asked.today:%Y%m%d}.xlsx")


def _sheet(file: IO[bytes], chinese: bool) -> "Sheet":
    from node.listen.catalogue_sheet import Sheet  # noqa: PLC0415 - 3 MB of a worker, and few ever need it

    return Sheet(file, chinese=chinese)


async def _written(asked: _Question, file: IO[bytes], *, chinese: bool) -> None:
    sheet = await asyncio.to_thread(_sheet, file, chinese)
    try:
        async for _, rows in asked.pages(("", "")):
            if sheet.rows + len(rows) > EXPORT_ROWS_MOST:
                raise OwnError(
                    400,
                    None,
                    f"超过{EXPORT_ROWS_MOST}行，请缩小范围",
                    f"more than {EXPORT_ROWS_MOST} rows: narrow the question",
                )
            await asyncio.to_thread(sheet.add, rows)
    finally:
        await asyncio.to_thread(sheet.close)


async def _sent(request: web.Request, file: IO[bytes], name: str) -> web.StreamResponse:
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    said = {"Content-Type": kind, "Content-Disposition": f'attachment; filename="{name}"'}
    response = web.StreamResponse(headers=said)
    response.content_length = file.seek(0, os.SEEK_END)
    file.seek(0)
    return await streamed(request, response, _octets(file))


async def _octets(file: IO[bytes]) -> AsyncGenerator[bytes]:
    while octets := file.read(CHUNK_OCTETS):
        yield octets


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    app[EXPORTING] = asyncio.Lock()
    app.router.add_get(CATALOGUE, search)
    app.router.add_get(f"{CATALOGUE}.xlsx", export)

"""The own API's doors of the audit journal and the access log, for the audit role. Each reading is itself audited.

Lines are streamed: NDJSON, or CSV for spreadsheets. What cannot be written down cannot be read.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import web

from node.access_log import Unreadable, read
from node.audit_verbs import FORMATS, HEADINGS, Sought, line, matching, moment, verified
from node.gather import BusyError
from node.listen.http import ACCOUNT, HOUSE, encoded, peer
from node.listen.own_api import NDJSON
from node.listen.own_door import OwnError, explained, holder_of, streamed, while_signed_in, whole_number
from proto.errors import ProtoError
from proto.identifier import Identifier
from registry.access_log import Access, Sealer
from registry.audit import SHOWN, Action, Actor, Broken, Entry
from registry.auditor import PAGE
from registry.errors import UnavailableError
from registry.postgres.audit import Wanted
from registry.rights import Right

STREAMS_MOST: Final = 1
"""Exports and proofs a worker is at: each may take one of its few connections for changes for long."""
_STREAMS: Final = web.AppKey("audit_streams", asyncio.Semaphore)
_CSV: Final = "text/csv;charset=utf-8"
_NAMES: Final = ("actor", "action", "object")


def _moment(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    try:
        return moment(text) if text is not None else None
    except (ValueError, OverflowError):
        raise OwnError(
            400, name, f"{name}应为日期或时刻，例如2026-11-23T08:00+08:00", f"{name} must be a date or time (ISO 8601)"
        ) from None


def _wanted(request: web.Request) -> Wanted:
    given = {name: request.query.get(name) for name in _NAMES}
    if given["action"] not in (None, *Action):
        raise OwnError(400, "action", "没有这种动作", f"action must be one of {', '.join(Action)}")
    if any("\0" in text for text in given.values() if text):
        raise OwnError(400, None, "参数不能含U+0000", "a parameter holds U+0000")
    return Wanted(**given, since=_moment(request, "since"), until=_moment(request, "until"))


async def _written_down(request: web.Request, action: Action, **more: Any) -> None:
    """Writes who reads, and what. Raises AuditFullError, UnavailableError: then nothing is told."""
    account = request[ACCOUNT]
    shown = {name: request.query[name] for name in SHOWN[action] if name in request.query} | more
    await request.app[HOUSE].recording.auditor.record([Entry(Actor.of(account, peer(request)), action, (), {}, shown)])


@explained
async def page(request: web.Request) -> web.Response:
    """GET /api/v1/audit?below=&size=&actor=&action=&object=&since=&until=: a page of entries, newest first."""
    await holder_of(request, Right.READ_AUDIT)
    wanted, below, size = _wanted(request), whole_number(request, "below", 2**63 - 1), whole_number(request, "size", 20)
    if size > PAGE:
        raise OwnError(400, "size", f"size最大为{PAGE}", f"size must be at most {PAGE}")
    await _written_down(request, Action.AUDIT_READ)
    rows = await request.app[HOUSE].recording.auditor.page(wanted, below, size)
    return encoded({"entries": [row.shown for row in rows], "next": rows[-1].number if len(rows) == size else None})


@explained
async def verify(request: web.Request) -> web.Response:
    """GET /api/v1/audit/verify: whether the chain holds, and goes through the head kept here; where it breaks."""
    house = request.app[HOUSE]
    await holder_of(request, Right.READ_AUDIT)
    await _written_down(request, Action.AUDIT_READ)
    if request.app[_STREAMS].locked():
        raise BusyError
    try:
        async with request.app[_STREAMS]:
            found = await verified(house.config, house.recording.auditor)
    except OSError as error:
        raise UnavailableError(f"the kept head: {error}") from None
    if isinstance(found, Broken):
        return encoded({"holds": False, "number": found.number, "zh": found.zh, "en": found.en})
    return encoded({"holds": True, "number": found.number, "digest": found.digest.hex()})


@explained
async def export(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/audit/export?format=ndjson|csv and the filters of a page: all entries, oldest first."""
    await holder_of(request, Right.EXPORT_AUDIT)
    wanted, form = _wanted(request), request.query.get("format", FORMATS[0])
    if form not in FORMATS:
        raise OwnError(400, "format", "format应为ndjson或csv", "format must be ndjson or csv")
    await _written_down(request, Action.AUDIT_READ, format=form)

    async def pieces() -> AsyncGenerator[bytes]:
        if heading := HEADINGS[form]:
            yield f"{heading}\n".encode()
        async for rows in request.app[HOUSE].recording.auditor.all(wanted):
            yield "".join(f"{line(row, form)}\n" for row in rows).encode()

    return await _stream(request, NDJSON if form == "ndjson" else _CSV, pieces())


@explained
async def access_log(request: web.Request) -> web.StreamResponse:
    """GET /api/v1/access-log?since=&until=&identifier=&account=: what this machine noted, as NDJSON.

    A file that cannot be read to its end is named in a line of its own: {"unreadable": …}.
    """
    house = request.app[HOUSE]
    await holder_of(request, Right.READ_ACCESS_LOG)
    since, until = _moment(request, "since"), _moment(request, "until")
    sought = await _sought(request)
    await _written_down(request, Action.ACCESS_LOG_READ)
    span = (since or 0, 2**62 if until is None else until)
    blocks = read(Path(house.config.log_folder), Sealer(house.config.key()), *span)

    async def pieces() -> AsyncGenerator[bytes]:
        while (found := await asyncio.to_thread(_lines, blocks, sought)) is not None:
            if found:
                yield found

    return await _stream(request, NDJSON, pieces())


async def _sought(request: web.Request) -> Sought:
    name, text = request.query.get("account"), request.query.get("identifier")
    known = request.app[HOUSE].recording.auditor.account
    account = await known(name) if name and "\0" not in name else None
    if name is not None and account is None:
        raise OwnError(404, "account", "没有这个账号", "there is no such account")
    try:
        return Sought(Identifier.parse(text).key if text is not None else None, account)
    except ProtoError as error:
        raise OwnError(400, "identifier", error.zh, error.en) from None


def _lines(blocks: Iterator[list[Access] | Unreadable], sought: Sought) -> bytes | None:
    """What of the next block is sought, as NDJSON; None behind the last."""
    block = next(blocks, None)
    if block is None:
        return None
    if isinstance(block, Unreadable):
        return msgspec.json.encode({"unreadable": block._asdict()}) + b"\n"
    return b"".join(msgspec.json.encode(each._asdict()) + b"\n" for each in block if matching(each, sought))


async def _stream(request: web.Request, kind: str, pieces: AsyncGenerator[bytes]) -> web.StreamResponse:
    streams = request.app[_STREAMS]
    if streams.locked():
        raise BusyError
    async with streams:
        response = web.StreamResponse(headers={"Content-Type": kind})
        return await streamed(request, response, while_signed_in(request, request[ACCOUNT], pieces))


def add_routes(app: web.Application) -> None:
    """The routes of these doors."""
    app[_STREAMS] = asyncio.Semaphore(STREAMS_MOST)
    app.router.add_get("/api/v1/audit", page)
    app.router.add_get("/api/v1/audit/verify", verify)
    app.router.add_get("/api/v1/audit/export", export)
    app.router.add_get("/api/v1/access-log", access_log)

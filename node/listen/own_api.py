"""The node's own API, /api/v1/…: what the other faces lack. Errors name field and rule in the client's language."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from typing import Annotated, Any, Final, NamedTuple

import msgspec
import structlog
from aiohttp import web

from node import clock
from node.gather import BusyError
from node.house import House
from node.listen import replies, snms_api, snms_words
from node.listen.bodies import BODIES
from node.listen.bodies import body as read_body
from node.listen.handle_api import asked_for, options, raw_path, seen
from node.listen.http import (
    ACCOUNT,
    HOUSE,
    RESOLVE,
    encoded,
    in_name_of,
    json_response,
    onward,
    peer,
    source,
    witnessed,
)
from node.listen.own_door import (
    OwnError,
    decoded,
    explained,
    holder_of,
    known_prefix,
    no_right,
    prefers_chinese,
    signed_in,
    streamed,
    while_signed_in,
    whole_number,
)
from node.listen.snms_api import bearer
from node.listen.snms_words import SnmsError
from node.resolve.answer import Answer
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.limits import VALUES_PER_RECORD
from proto.web_json import failed, moment, value_from_json
from registry.access_log import Source
from registry.account import Account, token_digest
from registry.blanker import ATTRIBUTES_MOST, REASON_CHARACTERS
from registry.disclosure import DEFAULTS, from_json
from registry.errors import NotApprovedError, RegistryError, UnavailableError
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.quota import QUOTA_MOST, Quota, day_end
from registry.rights import Right
from registry.rules import Refused, Request, Rule, differences

RESOLVE_MOST: Final = 1000
"""Most identifiers of one JSON call; NDJSON takes any number."""
RESOLVE_OCTETS: Final = 4 * 1024 * 1024
"""Largest body of such a call, which anybody may send: so many of the longest identifiers, every character escaped."""
LINE_OCTETS: Final = 4096
"""Longest line of NDJSON: the longest identifier, every character escaped, fits twice."""
STREAM_CHUNK: Final = 500
"""Identifiers answered at once, and lines of NDJSON read: what is kept in memory of an endless stream."""
SEEN_AT_ONCE: Final = 50
"""And answered to who is signed in: none shares its octets with others that are alike."""
ANSWER_OCTETS: Final = 16 * 1024 * 1024
"""Largest answer of a JSON call: sixteen of the largest records. A thousand times the same one would fill a worker."""
COMPARED_AT_ONCE: Final = 100
"""Rows whose records are fetched at once to be reconciled: 100 MB of the largest."""
PIECE_OCTETS: Final = 256 * 1024
"""Octets of NDJSON that are put into words before the client must have read some."""
NDJSON: Final = "application/x-ndjson"
HISTORY: Final = "/api/v1/history/"
HANDLES: Final = "/api/v1/handles"
FORGET: Final = "/api/v1/forget"
FORGET_MOST: Final = 1000
"""Most identifiers of one call: some seconds of work, well within a client's patience."""
BLANKED: Final = "已删除 blanked"
"""What stands where a value was."""
RESERVED: Final = "HS_"
"""Types of the Handle system begin so: who may do what, where things are."""
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]

log = structlog.get_logger("own_api")


# -- resolving many


class _Line(NamedTuple):
    """What is told of one identifier of many: an answer not yet put into words, or why there is none."""

    asked: str
    found: Answer | bytes

    @property
    def octets(self) -> int:
        """How long it is, near enough."""
        return len(self.found if isinstance(self.found, bytes) else self.found.shown)

    def said(self) -> bytes:
        """What GET /api/handles/… says."""
        return self.found if isinstance(self.found, bytes) else replies.handle_body(self.asked, self.found)


async def _line_of(house: House, asked: Any, source: Source, who: Account | None, *, onward: bool) -> _Line:
    """What `who` is told of one identifier; trouble becomes an answer of its own."""
    if not isinstance(asked, str):
        return _Line("", failed(ResponseCode.INVALID_HANDLE, message="identifiers must be strings"))
    try:
        identifier = Identifier.parse(asked)
        if who is not None and (found := await seen(house, who, identifier, source)):
            return _Line(asked, found)
        return _Line(asked, await house.road.ask(identifier, onward=onward, source=source))
    except ProtoError as error:
        return _Line(asked, failed(ResponseCode.INVALID_HANDLE, asked, error.en))
    except (UnavailableError, BusyError):
        return _Line(asked, failed(ResponseCode.SERVER_BUSY, asked))
    except Exception:  # one of many: its neighbours are answered, and a stream is not broken off
        log.exception("internal_error", identifier=asked)
        return _Line(asked, failed(ResponseCode.ERROR, asked))


async def _told(request: web.Request, wanted: Sequence[Any], who: Account | None) -> AsyncGenerator[list[_Line], None]:
    """What `who` is told of each, in order, some at a time."""
    house, further, whence = request.app[HOUSE], onward(request), source(request)
    step = STREAM_CHUNK if who is None else SEEN_AT_ONCE
    for at in range(0, len(wanted), step):
        some = wanted[at : at + step]
        yield await asyncio.gather(*(_line_of(house, each, whence, who, onward=further) for each in some))


class _Wanted(msgspec.Struct):
    identifiers: list[Any]


@explained
async def resolve(request: web.Request) -> web.StreamResponse:
    """POST /api/v1/resolve: up to 1000 identifiers as JSON, or any number as NDJSON; order kept, one answer each."""
    who = await signed_in(request) if bearer(request) else None
    if request.content_type == NDJSON:
        return await _resolve_stream(request, who)
    wanted = decoded(await request.app[BODIES].of_stranger(request, RESOLVE_OCTETS), _Wanted).identifiers
    if len(wanted) > RESOLVE_MOST:
        raise OwnError(
            400,
            "identifiers",
            f"一次最多{RESOLVE_MOST}个标识，更多请用{NDJSON}",
            f"at most {RESOLVE_MOST} identifiers a call; send more as {NDJSON}",
        )
    lines, octets = list[_Line](), 0
    async with aclosing(_told(request, wanted, who)) as told:
        async for some in told:
            lines += some
            octets += sum(line.octets for line in some)
            if octets > ANSWER_OCTETS:
                raise OwnError(
                    400,
                    "identifiers",
                    f"回答超过{ANSWER_OCTETS}字节，请减少标识，或使用{NDJSON}",
                    f"the answers take more than {ANSWER_OCTETS} octets: ask for fewer, or as {NDJSON}",
                )
    return json_response(b'{"results":[' + b",".join([line.said() for line in lines]) + b"]}")


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncGenerator[list[Any], None]:
    """The lines of a body as they come, in chunks of at most STREAM_CHUNK; too long a line is None."""
    chunk: list[Any] = []
    rest = b""
    async for octets in pieces:
        *whole, rest = (rest + octets).split(b"\n")
        for line in whole:
            if line.strip():
                chunk.append(_line(line))
            if len(chunk) == STREAM_CHUNK:
                yield chunk
                chunk = []
        rest = rest[: LINE_OCTETS + 1]  # enough to see that the line is too long, whose end may be far away
        if chunk:
            yield chunk
            chunk = []
    if rest.strip():
        chunk.append(_line(rest))
    if chunk:
        yield chunk


def _line(line: bytes) -> Any:
    if len(line) > LINE_OCTETS:
        return None
    try:
        return msgspec.json.decode(line)
    except snms_words.UNREADABLE:
        return None


async def _resolve_stream(request: web.Request, who: Account | None) -> web.StreamResponse:
    asked = request.app[BODIES].pieces(request)  # raises for what cannot be read before anything is answered
    response = web.StreamResponse(headers={"Content-Type": NDJSON})
    return await streamed(request, response, while_signed_in(request, who, _answers(request, asked, who)))


async def _answers(
    request: web.Request, asked: AsyncIterator[bytes], who: Account | None
) -> AsyncGenerator[bytes, None]:
    """Answers in words, in pieces of about PIECE_OCTETS."""
    async with aclosing(_lines(asked)) as chunks:
        async for chunk in chunks:
            async with aclosing(_told(request, chunk, who)) as told:
                async for some in told:
                    for piece in _pieces(some):
                        yield piece


def _pieces(lines: Sequence[_Line]) -> Iterator[bytes]:
    piece = bytearray()
    for n, line in enumerate(lines, 1):
        piece += line.said() + b"\n"
        if len(piece) >= PIECE_OCTETS or n == len(lines):
            yield bytes(piece)
            piece.clear()


# -- reconciling


@explained
async def reconcile(request: web.Request) -> web.Response:
    """POST /api/v1/reconcile (对账): for each row as batchCreate takes it: missing, different in what, same."""
    return await _reconciled(request, _readable)


@explained
async def reconcile_handles(request: web.Request) -> web.Response:
    """POST /api/v1/handles/reconcile: the same of rows as POST /api/v1/handles takes them, in every field."""
    return await _reconciled(request, moved)


async def _reconciled(request: web.Request, readable: Callable[[msgspec.Raw], Request | str]) -> web.Response:
    account = await holder_of(request, Right.READ_RECORDS)
    house = request.app[HOUSE]
    raw = snms_words.rows(await read_body(request))
    rows = await house.slices.each(readable, raw)
    named = [row.identifier for row in rows if isinstance(row, Request)]
    prefixes = {key: await house.lookup.prefix(key) for key in {each.prefix_key for each in named}}
    mine = {key for key, prefix in prefixes.items() if prefix and account.may_in(Right.READ_RECORDS, prefix.enterprise)}
    wanted = [each for each in named if each.prefix_key in mine]
    witnessed(request, "reconcile", [each.key for each in wanted])
    found = _stored(house, wanted)
    results = []
    for row, octets in zip(rows, raw, strict=True):
        if isinstance(row, str):
            results.append(_compared_row(snms_words.spelled(octets), "invalid", message=row))
        elif row.identifier.prefix_key not in mine:
            reason = f"没有前缀{row.identifier.prefix}的操作权限"
            results.append(_compared_row(str(row.identifier), "invalid", message=reason))
        else:
            results.append(await _compared(house, row, await anext(found)))
    return encoded({"results": results})


async def _stored(house: House, identifiers: Sequence[Identifier]) -> AsyncGenerator[Stored, None]:
    """What stands behind each, in order."""
    for at in range(0, len(identifiers), COMPARED_AT_ONCE):
        for stored in await house.lookup.look(identifiers[at : at + COMPARED_AT_ONCE]):
            yield stored


def _compared_row(handle: str, result: str, differs: Sequence[str] = (), **more: str) -> dict[str, Any]:
    return {"handle": handle, "result": result, "differs": differs} | more


def _readable(row: msgspec.Raw) -> Request | str:
    try:
        return snms_words.request("create", row)
    except SnmsError as error:
        return str(error)


async def _compared(house: House, row: Request, stored: Stored) -> dict[str, Any]:
    if not stored.live:
        return _compared_row(str(row.identifier), "missing")
    record, template = await house.lookup.record(stored)
    differs = differences(record.values, row.values, whole=row.moved)
    if template is not None and template.version != row.template:
        differs = ("templateVersion", *differs)
    return _compared_row(str(row.identifier), "different" if differs else "same", differs)


# -- moving in


class _Moved(msgspec.Struct):
    handle: str
    values: list[Any]


def moved(row: msgspec.Raw) -> Request | str:
    """One record as the Handle HTTP API shows it, or the sentence why it is none."""
    try:
        given = msgspec.json.decode(row, type=_Moved)
        if len(given.values) > VALUES_PER_RECORD:
            return f"一个标识最多{VALUES_PER_RECORD}个值"
        values = tuple([value_from_json(value) for value in given.values])
        return Request("create", Identifier.parse(given.handle), values=values, moved=True)
    except ProtoError as error:
        return error.zh
    except snms_words.UNREADABLE as error:
        return snms_words.sentence(error)


@explained
async def move_in(request: web.Request) -> web.Response:
    """POST /api/v1/handles: up to 2000 records as GET /api/handles/… shows them, which are kept as they are, without
    template; for who may move. One result a row, in order, with the response code of the Handle system.
    """
    account = await holder_of(request, Right.MOVE)
    house = request.app[HOUSE]
    raw = snms_words.rows(await read_body(request))
    read = await house.slices.each(moved, raw)
    handles, results = await snms_api.carried_out(request, "create", account, raw, read)
    return encoded({"results": [_moved_row(request, *row) for row in zip(handles, results, strict=True)]})


def _moved_row(request: web.Request, handle: str, result: snms_api.Result) -> dict[str, Any]:
    code = ResponseCode.SUCCESS
    message, differs = snms_api.message(result), {}
    if isinstance(result, Refused):
        code = replies.REFUSED_CODE[result.rule]
        message = result.zh if prefers_chinese(request) else result.en
        differs = {"differs": result.differs} if result.rule is Rule.EXISTS else {}
    elif isinstance(result, str | RegistryError):
        code = ResponseCode.INVALID_VALUE if isinstance(result, str) else ResponseCode.SERVER_BUSY
    return {"handle": handle, "responseCode": int(code), "msg": message} | differs


# -- history, prefixes, batches, files, disclosure, tokens


@explained
async def history(request: web.Request) -> web.Response:
    """GET /api/v1/history/{identifier}: every version of it, newest first, for its owner; for whom something was
    granted, as far as that goes today.
    """
    identifier = Identifier.parse(asked_for(raw_path(request).removeprefix(HISTORY)))
    account = await signed_in(request)
    prefix = await known_prefix(request, identifier.prefix_key)
    entries = await request.app[HOUSE].sight.history(account, prefix, identifier)
    if entries is None:
        raise no_right()
    witnessed(request, "history", [identifier.key])
    if not entries:
        raise OwnError(404, "identifier", "标识不存在", "the identifier was never registered")
    lives = [entry.record.live for entry in entries]
    versions = [
        {
            "version": entry.record.version,
            "kind": _kind(lives[n], lives[n + 1] if n + 1 < len(lives) else None),
            "updated": moment(entry.record.updated),
            "by": entry.by,
            "templateVersion": entry.template.version if entry.template else None,
            "values": [
                {"index": v.index, "type": v.type, "value": v.data.decode(errors="replace")}
                for v in entry.record.values
            ],
            "blanked": [
                {"index": v.index, "type": v.type, "blanked": moment(v.made), "reason": v.reason, "message": BLANKED}
                for v in entry.blanked
            ],
        }
        for n, entry in enumerate(entries)
    ]
    return encoded({"handle": str(identifier), "versions": versions})


def _kind(live: bool, was_live: bool | None) -> str:
    if not live:
        return "deleted"
    if was_live is None:
        return "created"
    return "updated" if was_live else "revived"


class _StateIn(msgspec.Struct):
    state: str


_STATES: Final = {
    "enabled": PrefixState.ENABLED,
    "stopped": PrefixState.STOPPED,
    "to_be_deleted": PrefixState.TO_BE_DELETED,
}


@explained
async def set_prefix(request: web.Request) -> web.Response:
    """PUT /api/v1/prefixes/{prefix} {"state": "stopped" | "enabled" | "to_be_deleted"}: system administrators only."""
    await holder_of(request, Right.PREFIXES)
    name = request.match_info["prefix"]
    wanted = decoded(await read_body(request), _StateIn).state
    if wanted not in _STATES:
        raise OwnError(400, "state", f"state应为{'、'.join(_STATES)}之一", f"state must be one of {', '.join(_STATES)}")
    house = request.app[HOUSE]
    try:
        async with house.announcer.catalogue_change(house.steward.catalogue_number):
            epoch = await in_name_of(request).set_prefix_state(name, _STATES[wanted])
    except NotApprovedError as error:
        raise OwnError(409, "state", error.zh, error.en) from None
    if epoch is None:
        raise OwnError(404, "prefix", f"前缀{name}不属于本节点", f"prefix {name} does not live here")
    return encoded({"prefix": name, "state": wanted})


@explained
async def batches(request: web.Request) -> web.Response:
    """GET /api/v1/batches?below=&size=: the records of batches, newest first; one's own, or all for who may."""
    account = await signed_in(request)
    below = whole_number(request, "below", 2**63 - 1)
    size = whole_number(request, "size", 20)
    whose = None if account.may(Right.READ_BATCHES) else account.number
    found = await request.app[HOUSE].lookup.batches(whose, below, size)
    witnessed(request, "batches", [str(each["number"]) for each in found])
    return encoded({"batches": found})


@explained
async def batch(request: web.Request) -> web.Response:
    """GET /api/v1/batches/{number}: the record of one batch."""
    account = await signed_in(request)
    number = int(request.match_info["number"])
    whose = None if account.may(Right.READ_BATCHES) else account.number
    found = await request.app[HOUSE].lookup.batches(whose, number + 1, 1)
    if not found or found[0]["number"] != number:
        raise OwnError(404, "number", f"没有编号为{number}的批次", f"there is no batch {number}")
    witnessed(request, "batches", [str(number)])
    return encoded(found[0])


_FILE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
}
"""What somebody sent is shown nowhere as if it were ours: it is saved, or lies in a browser's box without rights."""


@explained
async def file(request: web.Request) -> web.Response:
    """GET /api/v1/files/{number}: what was uploaded, for who uploaded it, and who verifies or reviews enterprises."""
    account = await signed_in(request)
    number = int(request.match_info["number"])
    house = request.app[HOUSE]
    found = await house.lookup.file(number)
    reads = account.may(Right.VERIFY) or account.may(Right.REVIEW)
    if house.files is None or found is None or not (reads or found.account == account.number):
        raise OwnError(404, "number", f"没有编号为{number}的文件", f"there is no file {number}")
    witnessed(request, "file", [f"file {number}"])
    name = f'attachment; filename="{number}.{found.kind}"'
    headers = _FILE_HEADERS | {"Content-Type": found.kind.media_type, "Content-Disposition": name}
    return web.Response(body=await house.files.content(number), headers=headers)


@explained
async def disclosure(request: web.Request) -> web.Response:
    """GET, PUT /api/v1/disclosure: what IIIDAP shows everybody of one's own enterprise, field by field."""
    account = await holder_of(request, Right.GRANTS)
    house = request.app[HOUSE]
    if account.enterprise is None:
        raise OwnError(404, None, "该账号不属于任何企业", "this account belongs to no enterprise")
    if request.method == "PUT":
        await in_name_of(request).disclose(account.enterprise, from_json(await read_body(request)))
    chosen = await house.lookup.disclosure(account.enterprise)
    return encoded({name: chosen.of(name) for name in DEFAULTS})


@explained
async def revoke(request: web.Request) -> web.Response:
    """DELETE /api/v1/tokens/this: makes the token it is sent with worthless, at once and everywhere."""
    account = await request.app[HOUSE].doorkeeper.account_due(bearer(request))
    if account is None:
        account = await signed_in(request)  # which says so
    request[ACCOUNT] = account
    await in_name_of(request).revoke_token(token_digest(bearer(request)))
    return web.Response(status=204)


# -- being forgotten


class _Forget(msgspec.Struct, forbid_unknown_fields=True):
    identifiers: Annotated[list[str], msgspec.Meta(min_length=1, max_length=FORGET_MOST)]
    attributes: Annotated[list[_Text], msgspec.Meta(min_length=1, max_length=ATTRIBUTES_MOST)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=REASON_CHARACTERS)]


@explained
async def forget(request: web.Request) -> web.Response:
    """POST /api/v1/forget {"identifiers", "attributes", "reason"}: the values of these types are gone, in every version
    and on every face; one result an identifier, in order. What is done may be asked for again.
    """
    account = await holder_of(request, Right.BLANK)
    given = decoded(await read_body(request), _Forget)
    if not given.reason.isprintable():
        raise OwnError(400, "reason", "reason含有不允许的字符", "reason holds a character that is not allowed")
    if reserved := [name for name in given.attributes if name.startswith(RESERVED)]:
        zh, en = f"{reserved[0]}不是个人信息，不能清除", f"{reserved[0]} is nobody's personal data and stays"
        raise OwnError(400, "attributes", zh, en)
    types = frozenset(given.attributes)
    return encoded({"results": [await _forgotten(request, each, types, account, given) for each in given.identifiers]})


async def _forgotten(
    request: web.Request, spelling: str, types: frozenset[str], account: Account, given: _Forget
) -> dict[str, Any]:
    try:
        identifier = Identifier.parse(spelling)
    except ProtoError as error:
        return {"handle": spelling, "result": "invalid", "message": error.zh if prefers_chinese(request) else error.en}
    outcome = await request.app[HOUSE].blanker.blank(
        identifier, types, account, given.reason, clock.seconds(), peer(request)
    )
    if isinstance(outcome, Refused):
        message = outcome.zh if prefers_chinese(request) else outcome.en
        return {"handle": spelling, "result": "refused", "message": message}
    result = "blanked" if outcome.versions else "nothing"
    return {"handle": spelling, "result": result, "version": outcome.version, "versions": outcome.versions}


# -- quotas


@explained
async def own_quota(request: web.Request) -> web.Response:
    """GET /api/v1/quota: what one's enterprise may have and has. It can be asked when no calls are left."""
    account = await signed_in(request, counted=False)
    if account.enterprise is None:
        raise OwnError(400, None, "该账号不属于企业", "this account belongs to no enterprise: name one of its prefixes")
    return await _quota(request, account.enterprise)


async def _quota(request: web.Request, enterprise: int) -> web.Response:
    house = request.app[HOUSE]
    now = house.doorkeeper.calls.now()
    name, quota, usage = await house.steward.quota(enterprise, now.date())
    rows: dict[str, dict[str, Any]] = {
        field: {"limit": limit, "used": used, "remaining": None if limit is None else max(0, limit - used)}
        for field, limit, used in zip(Quota._fields, quota, usage, strict=True)
    }
    rows["calls"]["resets"] = day_end(now).isoformat()
    return encoded({"enterprise": name} | rows)


async def _enterprise(request: web.Request) -> int:
    """The enterprise of the prefix that is asked about."""
    prefix = request.match_info["prefix"]
    known = await request.app[HOUSE].lookup.prefix(prefix, anywhere=True)
    if known is None or known.enterprise is None:
        raise OwnError(404, "prefix", f"前缀{prefix}不属于本节点的企业", f"no enterprise here has prefix {prefix}")
    return known.enterprise


@explained
async def quota(request: web.Request) -> web.Response:
    """GET /api/v1/quota/{prefix}: the same of the enterprise that has a prefix."""
    await holder_of(request, Right.QUOTAS)
    return await _quota(request, await _enterprise(request))


_Most = Annotated[int, msgspec.Meta(ge=0, le=QUOTA_MOST)] | None


class _QuotaIn(msgspec.Struct, forbid_unknown_fields=True):
    identifiers: _Most | msgspec.UnsetType = msgspec.UNSET
    calls: _Most | msgspec.UnsetType = msgspec.UNSET
    room: _Most | msgspec.UnsetType = msgspec.UNSET


@explained
async def set_quota(request: web.Request) -> web.Response:
    """PUT /api/v1/quota/{prefix} {"identifiers", "calls", "room"}: null for no quota; what is not named stays."""
    await holder_of(request, Right.QUOTAS)
    given = decoded(await read_body(request), _QuotaIn)
    enterprise = await _enterprise(request)
    await in_name_of(request).set_quota(
        enterprise, {name: value for name, value in msgspec.structs.asdict(given).items() if value is not msgspec.UNSET}
    )
    return await _quota(request, enterprise)


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    base = "/api/v1"
    app.router.add_post(RESOLVE, resolve)
    app.router.add_route("OPTIONS", RESOLVE, options)
    app.router.add_post(f"{base}/reconcile", reconcile)
    app.router.add_post(HANDLES, move_in)
    app.router.add_post(f"{HANDLES}/reconcile", reconcile_handles)
    app.router.add_get(HISTORY + "{identifier:(?s:.+)}", history)
    app.router.add_put(f"{base}/prefixes/{{prefix}}", set_prefix)
    app.router.add_get(f"{base}/batches", batches)
    app.router.add_get(f"{base}/batches/{{number:[0-9]{{1,18}}}}", batch)
    app.router.add_get(f"{base}/files/{{number:[0-9]{{1,18}}}}", file)
    app.router.add_get(f"{base}/disclosure", disclosure)
    app.router.add_put(f"{base}/disclosure", disclosure)
    app.router.add_post(FORGET, forget)
    app.router.add_get(f"{base}/quota", own_quota)
    app.router.add_get(f"{base}/quota/{{prefix}}", quota)
    app.router.add_put(f"{base}/quota/{{prefix}}", set_quota)
    app.router.add_delete(f"{base}/tokens/this", revoke)

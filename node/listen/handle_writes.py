"""The writing half of the Handle HTTP API, as deployed servers answer: PUT and DELETE of identifiers, lists, prefixes.

Records so written have no template. Who may write what is the registry's to judge.
"""

import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

import msgspec
from aiohttp import web

from node import homing
from node.keyholders import Around
from node.listen import replies
from node.listen.bodies import BODIES
from node.listen.handle_api import PATH, asked_for, dressed, flag, index_of, raw_path
from node.listen.handle_auth import Asker, HandleError, asker_of
from node.listen.http import HOUSE, encoded, json_response, source
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import PREFIX_HANDLES, Identifier, prefix_named
from proto.value import Value
from proto.web_json import array, failed, referred, value_from_json
from registry import administration
from registry.administration import Add, Create, Delete, List, Remove
from registry.editing import Put, Step, overwrites
from registry.registrar import Job
from registry.rights import Right
from registry.rules import Refused, edited

LISTED_MOST: Final = 10_000
"""Most identifiers of one list: some 400 KB, read by PostgreSQL in some 10 ms. More are read page by page."""
BODY_OCTETS: Final = 8 * 1024 * 1024
"""Largest body: the data of the largest record (1 MiB) as escapes of JSON, with room for what stands around it."""
VARIOUS: Final = "various"
"""What `index` is where the body says which ones."""


Handler = Callable[[web.Request, Asker], Awaitable[web.Response]]


def _signed(handler: Handler) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Hands who asks to `handler`, and tells what it raises of its client."""

    async def answering(request: web.Request) -> web.Response:
        try:
            asker = await asker_of(request, _handle(request))
            if isinstance(asker, web.Response):
                # Whoever has a key where this prefix lives need not prove anything here.
                response = await _referred(request) or asker
            else:
                response = await handler(request, asker)
            return dressed(response, request.query)
        except _ElsewhereError as error:
            if referral := await _referred(request):
                return dressed(referral, request.query)
            body, status = failed(error.code, error.handle, error.message), replies.CODE_STATUS[error.code]
        except HandleError as error:
            body, status = failed(error.code, error.handle, error.message), replies.CODE_STATUS[error.code]
        except ProtoError as error:
            body, status = failed(ResponseCode.PROTOCOL_ERROR, message=error.en), 400
        return dressed(json_response(body, status), request.query)

    return answering


class _ElsewhereError(HandleError):
    """It is about a prefix that does not live here."""

    def __init__(self, handle: str) -> None:
        super().__init__(ResponseCode.SERVER_NOT_RESPONSIBLE, replies.NOT_HERE, handle)


async def _referred(request: web.Request) -> web.Response | None:
    """Who can do what is asked, where the prefix lives; None when it lives here or nobody knows."""
    handle = _handle(request)
    if handle is None or flag(request.query, "doNotRefer"):
        return None
    name = prefix_named(handle).partition("/")[0]
    house = request.app[HOUSE]
    with suppress(ProtoError):
        if await house.lookup.home(Identifier.parse(handle)) is not None:
            return None
    referral = await house.signposts.referral(name)
    if referral is None:
        return None
    body = referred(handle, array(referral.values), referral.code)
    return json_response(body, replies.CODE_STATUS[referral.code])


def _handle(request: web.Request) -> str | None:
    """What it is about, as it is told."""
    path = raw_path(request)
    return _spelled(request) if path.startswith(PATH) else request.query.get("prefix")


def _identifier(text: str) -> Identifier:
    try:
        return Identifier.parse(text)
    except ProtoError as error:
        raise HandleError(ResponseCode.INVALID_HANDLE, error.en) from None


def _spelled(request: web.Request) -> str:
    try:
        return asked_for(raw_path(request).removeprefix(PATH))
    except ProtoError as error:
        raise HandleError(ResponseCode.INVALID_HANDLE, error.en) from None


def _indexes(request: web.Request) -> list[int] | None:
    """The indexes a change is about: none for `various`; None where it is about the whole record."""
    asked = request.query.getall("index", None)
    if asked is None:
        return None
    return [] if asked == [VARIOUS] else [index_of(text) for text in asked]


class _Given(NamedTuple):
    """What the body of a PUT says."""

    handle: str | None
    values: list[Any]


def _given(body: bytes) -> _Given:
    """An array of values, or an object that holds it, or one value. Raises ProtoError."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        raise ProtoError("body", "请求体不是JSON", f"Invalid JSON in PUT request: {error}") from None
    if isinstance(found, dict) and "values" in found:
        handle, values = found.get("handle"), found["values"]
    else:
        handle, values = None, [found] if isinstance(found, dict) else found
    if not isinstance(values, list) or not isinstance(handle, str | None):
        raise ProtoError("body", "请求体应为值的数组", "Invalid JSON in PUT request: values must be an array")
    return _Given(handle, values)


def _values(given: Sequence[Any], handle: str) -> tuple[Value, ...]:
    """Raises HandleError or ProtoError. The time of a value is the node's to say."""
    values: dict[int, Value] = {}
    for each in given:
        index = each.get("index") if isinstance(each, dict) else None
        if isinstance(index, int) and index <= 0:
            raise HandleError(ResponseCode.INVALID_VALUE, "Value indexes must be positive", handle)
        value = value_from_json({k: v for k, v in each.items() if k != "timestamp"} if isinstance(each, dict) else each)
        if values.setdefault(value.index, value) is not value:
            raise HandleError(ResponseCode.VALUE_ALREADY_EXISTS, f"Index conflict for {value.index}", handle)
    return tuple(values.values())


async def put(request: web.Request, asker: Asker) -> web.Response:
    """An identifier with these values, or, with `index`, these values of it; what is there is replaced.

    Not so with `overwrite=false`. With `mintNewSuffix` something is put behind its suffix that makes it a new one.
    """
    if request.content_type != "application/json":
        raise ProtoError("Content-Type", "Content-Type应为application/json", "Content-Type must be application/json")
    spelled, asked, fresh = _spelled(request), _indexes(request), flag(request.query, "mintNewSuffix")
    given = _given(await request.app[BODIES].whole(request, BODY_OCTETS))
    identifier = _identifier(f"{spelled}{uuid.uuid4()}" if fresh else spelled)
    if given.handle is not None and _identifier(given.handle) != _identifier(spelled):
        raise ProtoError("handle", "请求体中的handle与路径不符", "Mismatched handle in PUT request")
    values = _values(given.values, str(identifier))
    if asked and {value.index for value in values} != set(asked):
        raise ProtoError("index", "index与请求体中的索引不符", "index must name the indexes of the body, or be various")
    over = flag(request.query, "overwrite", "true") and not fresh
    if asked is None:
        return await _write(request, asker, identifier, Create(values, over))
    return await _write(request, asker, identifier, Put(values) if over else Add(values))


async def delete(request: web.Request, asker: Asker) -> web.Response:
    """The identifier, or, with `index`, these values of it."""
    identifier, asked = _identifier(_spelled(request)), _indexes(request)
    if asked == []:
        raise ProtoError("index", "请指明索引", "index must say which ones")
    return await _write(request, asker, identifier, Delete() if asked is None else Remove(tuple(asked)))


async def _write(request: web.Request, asker: Asker, identifier: Identifier, wanted: Step | Put) -> web.Response:
    """What came of it. Raises HandleError for what is refused, and what is one of http.TROUBLES."""
    house = request.app[HOUSE]
    prefix = await house.lookup.home(identifier)
    if prefix is None:
        raise _ElsewhereError(str(identifier))
    if not prefix.state.open:
        raise HandleError(ResponseCode.SERVER_NOT_RESPONSIBLE, f"Prefix {prefix.name} is stopped", str(identifier))
    around = await house.keyholders.around(identifier)
    outcome, edit = await house.keyholders.edit(
        identifier, around, asker.under(Right.MOVE, prefix, str(identifier)), wanted
    )
    if isinstance(outcome, administration.Refused):
        raise _refused(outcome, str(identifier))
    written = await house.batcher.write_one(Job(edited(identifier, edit), asker.account), source(request))
    if isinstance(written, Refused):
        raise HandleError(replies.REFUSED_CODE[written.rule], written.en, str(identifier))
    new = request.method == "PUT" and not overwrites(edit, around.record)
    return json_response(failed(ResponseCode.SUCCESS, str(identifier)), 201 if new else 200)


def _refused(outcome: administration.Refused, handle: str) -> HandleError:
    conflict = f"Index conflict for {outcome.indexes[0]}" if outcome.code is ResponseCode.VALUE_ALREADY_EXISTS else None
    return HandleError(outcome.code, conflict, handle)


async def listed(request: web.Request, asker: Asker) -> web.Response:
    """The identifiers under a prefix, in order: all of them, or page by page (`page` from 0, `pageSize`)."""
    house, asked = request.app[HOUSE], request.query.get("prefix")
    if asked is None:
        raise ProtoError("prefix", "缺少prefix", "prefix is missing")
    name = prefix_named(asked)
    prefix = await house.lookup.prefix(name) if "\0" not in name else None
    if prefix is None:
        raise _ElsewhereError(asked)
    above = _identifier(f"{PREFIX_HANDLES}/{prefix.name}")
    place = Around(None, (await house.keyholders.around(above)).record or ())
    outcome = await house.keyholders.may(above, place, asker.under(Right.READ_RECORDS, prefix, asked), List())
    if isinstance(outcome, administration.Refused):
        raise _refused(outcome, asked)
    page, size = _number(request, "page", 0), _number(request, "pageSize", LISTED_MOST)
    count, suffixes = await house.lookup.under(prefix.number, page * size, size)
    if count > LISTED_MOST and "pageSize" not in request.query:
        raise ProtoError("pageSize", "标识过多，请分页", f"more than {LISTED_MOST}: give page and pageSize")
    asker.witnessed(request, "list", [str(above)])
    paged = {"page": page, "pageSize": size} if {"page", "pageSize"} & set(request.query) else {}
    handles = [f"{prefix.name}/{suffix}" for suffix in suffixes]
    told = {"responseCode": int(ResponseCode.SUCCESS), "prefix": asked, "totalCount": str(count)}
    return encoded(told | paged | {"handles": handles})


async def prefixes(request: web.Request, asker: Asker) -> web.Response:
    """The prefixes that live here, told to server administrators and who looks after the node."""
    by = asker.by
    if not (by.everywhere if by else asker.account.may_in(Right.READ_ENTERPRISES, None)):
        raise HandleError(ResponseCode.INVALID_ADMIN if by else ResponseCode.INSUFFICIENT_PERMISSIONS)
    names = await homing.homed(request.app[HOUSE])
    asker.witnessed(request, "prefixes", ["0.NA/0.NA"])
    told = {"responseCode": int(ResponseCode.SUCCESS), "totalCount": str(len(names)), "prefixes": names}
    return encoded(told)


async def home(request: web.Request, asker: Asker) -> web.Response:
    """A prefix shall live here (POST), or no longer (DELETE), as server administrators and who opens and stops prefixes
    want.
    """
    handle, by = f"{PREFIX_HANDLES}/{prefix_named(request.match_info['prefix'])}", asker.by
    if not (by.everywhere if by else asker.account.may_in(Right.PREFIXES, None)):
        raise HandleError(ResponseCode.INVALID_ADMIN if by else ResponseCode.INSUFFICIENT_PERMISSIONS, None, handle)
    change = homing.home if request.method == "POST" else homing.unhome
    code, why = await change(request.app[HOUSE], asker.actor(request), handle)
    if code is not ResponseCode.SUCCESS:
        raise HandleError(code, why, handle)
    return json_response(failed(ResponseCode.SUCCESS, handle), 200)


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 9 or (name == "pageSize" and int(text) > LISTED_MOST):
        raise ProtoError(name, f"{name}应为整数", f"{name} must be a whole number, pageSize {LISTED_MOST} at most")
    return int(text)


def add_routes(app: web.Application) -> None:
    """The routes of this half."""
    app.router.add_put(PATH + "{identifier:(?s:.*)}", _signed(put))
    app.router.add_delete(PATH + "{identifier:(?s:.*)}", _signed(delete))
    app.router.add_get(PATH.rstrip("/"), _signed(listed))
    app.router.add_get("/api/prefixes", _signed(prefixes))
    app.router.add_post("/api/prefixes/{prefix:.+}", _signed(home))
    app.router.add_delete("/api/prefixes/{prefix:.+}", _signed(home))

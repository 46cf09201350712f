"""The reading half of the Handle HTTP API as deployed servers answer: GET, HEAD and POST of /api/handles/{identifier}.

Who comes with a token of ours is answered what that account may see; everybody else, what everybody may.
"""

import re
from collections.abc import Iterator
from typing import Final, cast
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from aiohttp import web
from multidict import MultiDict, MultiMapping

from node import clock
from node.house import House
from node.listen import replies
from node.listen.bodies import BODIES
from node.listen.handle_auth import asker_of, by_key
from node.listen.http import HOUSE, encoded, face, json_response, keeping, noted, onward, source
from node.listen.snms_api import bearer
from node.resolve.answer import Answer, Outcome
from node.sight import Told
from node.site import site_of
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.value import Value, type_matches
from proto.web_json import array, failed, pretty, selected, site_to_json
from proto.web_json import found as found_body
from registry.access_log import Source
from registry.account import Account
from registry.administration import Read, Refused
from registry.audit import Actor

PATH = "/api/handles/"
FORM: Final = "application/x-www-form-urlencoded"
PARAMETER_OCTETS: Final = 65_536
"""Largest body of parameters: some thousand of them."""
PARAMETERS_MOST: Final = 1000
"""Most parameters of a form; a record has few values, and one that has many is not asked for one by one."""
CALLBACK_CHARACTERS: Final = 128
"""Longest name of a script's function; libraries make up some 40."""

_NO_NAME: Final = re.compile(r"[^A-Za-z0-9_$]")
_LINE_SEPARATOR: Final = "\u2028".encode(), b"\\u2028"
_PARAGRAPH_SEPARATOR: Final = "\u2029".encode(), b"\\u2029"
"""JSON holds them as they are, scripts of before ES2019 do not."""
_Given = str | int | bool


def asked_for(raw: str) -> str:
    """The identifier in the rest of a raw path: percent-decoded once. Raises ProtoError when that is not UTF-8."""
    try:
        return unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise ProtoError("handle", "标识不是UTF-8", "the identifier is not UTF-8") from None


def raw_path(request: web.Request) -> str:
    """The path as it was sent, without the query."""
    if request.raw_path.startswith("/"):
        return request.raw_path.partition("?")[0]
    return request.rel_url.raw_path  # the absolute form, as sent to proxies


Parameters = MultiMapping[str]
"""What stands behind the question mark, or in the body of a POST."""


def flag(given: Parameters, name: str, default: str = "false") -> bool:
    """Whether a parameter is true; without a value it is."""
    return given.get(name, default).lower() in {"", "true", "1"}


async def get(request: web.Request) -> web.Response:
    """One identifier's public values; `index` and `type` (repeatable, OR-ed) choose among them.

    With `doNotRefer` no other node is asked; with `publicOnly` who is signed in is told what everybody is. `auth` and
    `cert` change nothing: what lives here never comes from a cache that is behind, who asks does not decide how often
    other nodes are asked, and it is TLS that proves who answers. `pretty` and `callback` are about the form.
    """
    return dressed(await _told(request, request.query), request.query)


async def post(request: web.Request) -> web.Response:
    """The same with parameters in the body, too: a form, or JSON such as `{"index": [1]}`."""
    try:
        given = MultiDict(request.query)
        given.extend(_parameters(request, await request.app[BODIES].of_stranger(request, PARAMETER_OCTETS)))
    except ProtoError as error:
        return json_response(failed(ResponseCode.PROTOCOL_ERROR, message=error.en), 400)
    return dressed(await _told(request, given), given)


def _parameters(request: web.Request, body: bytes) -> Iterator[tuple[str, str]]:
    """Name and value of what a body gives. Raises ProtoError for what is neither a form nor JSON."""
    try:
        if request.content_type == "application/json":
            found = msgspec.json.decode(body, type=dict[str, _Given | list[_Given]]) if body else {}
            each = ((name, value if isinstance(value, list) else [value]) for name, value in found.items())
            return ((name, str(one)) for name, several in each for one in several)
        if body and request.content_type != FORM:
            raise ValueError(request.content_type)
        return iter(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=PARAMETERS_MOST))
    except (ValueError, msgspec.DecodeError):  # ValidationError, UnicodeDecodeError and too many fields among them
        raise ProtoError(
            "body", "请求体应为表单或JSON对象", f"the body must be a form or an object of JSON: {request.content_type}"
        ) from None


async def _told(request: web.Request, given: Parameters) -> web.Response:
    try:
        indexes = frozenset(index_of(text) for text in given.getall("index", []))
        identifier = Identifier.parse(asked_for(raw_path(request).removeprefix(PATH)))
    except ProtoError as error:
        code = ResponseCode.PROTOCOL_ERROR if error.field == "index" else ResponseCode.INVALID_HANDLE
        return json_response(failed(code, message=error.en), 400)
    return await _answer(request, identifier, indexes, given)


def dressed(response: web.Response, given: Parameters) -> web.Response:
    """The response in the form that was wished for: laid out for people, or as a call of a page's script (JSONP)."""
    body = cast(bytes, response.body)
    if body and flag(given, "pretty"):
        body = pretty(body)
    if body and (callback := given.get("callback")):
        # Whatever it is called, it stays one name: the page that asks must not be given another's script.
        name = _NO_NAME.sub("_", callback[:CALLBACK_CHARACTERS]).encode()
        body = b"%b(%b);" % (name, body.replace(*_LINE_SEPARATOR).replace(*_PARAGRAPH_SEPARATOR))
        response.headers["Content-Type"] = replies.SCRIPT_TYPE
    response.body = body
    return response


class NotSignedInError(Exception):
    """A token came that is missing from the books, expired or revoked."""


async def ask(
    request: web.Request, identifier: Identifier, *, further: bool, signed: bool = True
) -> tuple[Answer, bool]:
    """What who asks is told of an identifier, and whether it is told to them alone.

    `further`: other nodes may be asked; `signed`: it matters whether they are signed in. Raises NotSignedInError.
    """
    house, token = request.app[HOUSE], bearer(request)
    if token and signed:
        account = await house.doorkeeper.account(token)
        if account is None:
            raise NotSignedInError
        if found := await seen(house, account, identifier, source(request)):
            return found, True
    return await house.road.ask(identifier, onward=further, source=source(request)), False


async def seen(house: House, who: Account, identifier: Identifier, whence: Source) -> Answer | None:
    """What `who` is told of an identifier, counted and written down; None: what everybody is.

    Raises AuditFullError or UnavailableError when it cannot be written down.
    """
    began = clock.monotonic()
    told = await house.sight.answer(who, identifier)
    return None if told is None else told_alone(house, who, identifier, whence, told, began)


def told_alone(house: House, who: Account, identifier: Identifier, whence: Source, told: Told, began: float) -> Answer:
    """What `who` is told, asked for at `began` from `whence`: counted, and written down if not all are told so. Raises
    as `seen` does.
    """
    if told.beyond:
        house.recording.witness.saw(Actor.of(who, whence[0]), "resolve", [identifier.key])
    house.road.count(told.answer, began)
    house.road.note(began, whence, str(identifier), told.answer, who.number)
    return told.answer


async def _answer(
    request: web.Request, identifier: Identifier, indexes: frozenset[int], given: Parameters
) -> web.Response:
    """The response for a well-formed question."""
    house = request.app[HOUSE]
    if (
        by_key(request)
        and not flag(given, "publicOnly")
        and (told_ := await _to_keyholder(request, identifier, indexes, given))
    ):
        return told_
    further = onward(request) and not flag(given, "doNotRefer")
    try:
        found, private = await ask(request, identifier, further=further, signed=not flag(given, "publicOnly"))
    except NotSignedInError:
        return not_signed_in()
    kept = request.method != "POST" and not private
    if (
        kept
        and found.outcome is Outcome.FOUND
        and any(each.value in {"*", found.tag.strip('"')} for each in request.if_none_match or ())
    ):
        return web.Response(status=304, headers=_keeping(house, found))
    response = told(house, str(identifier), found, private=not kept)
    types = tuple(given.getall("type", []))
    if found.outcome is Outcome.FOUND and (indexes or types):
        response.body = found_body(str(identifier), selected(found.shown, indexes, types))
    return response


def not_signed_in() -> web.Response:
    """The response to a token that is none."""
    return json_response(replies.HANDLE_NOT_SIGNED_IN, 401, replies.CHALLENGE)


async def _to_keyholder(
    request: web.Request, identifier: Identifier, indexes: frozenset[int], given: Parameters
) -> web.Response | None:
    """What who proves a key is told: of a record without template all that was asked for, or that they may not read it.
    None: what everybody is told.
    """
    asker = await asker_of(request, str(identifier))
    if isinstance(asker, web.Response):
        return asker
    keyholders, types = request.app[HOUSE].keyholders, tuple(given.getall("type", []))
    around = await keyholders.around(identifier)
    if around.record is None or around.template or asker.by is None:
        return None
    values = await request.app[HOUSE].signposts.completed(identifier, around.record)
    wanted = tuple(v for v in values if not (indexes or types) or asks_for(v, indexes, types))
    outcome = await keyholders.may(identifier, around, asker.by, Read(wanted))
    if isinstance(outcome, Refused):
        return json_response(failed(outcome.code, str(identifier)), replies.CODE_STATUS[outcome.code])
    asker.witnessed(request, "resolve", [identifier.key])
    noted(request, 0, str(identifier), "resolve found")
    return json_response(found_body(str(identifier), array(wanted)))


def asks_for(value: Value, indexes: frozenset[int], types: tuple[str, ...]) -> bool:
    """Whether a question for these names the value."""
    return value.index in indexes or any(type_matches(each, value.type) for each in types)


def told(house: House, spelling: str, found: Answer, *, private: bool = False) -> web.Response:
    """The response to a question without conditions. What is `private`, no cache keeps."""
    headers = _keeping(house, found) if found.outcome is Outcome.FOUND and not private else None
    return json_response(replies.handle_body(spelling, found), replies.HANDLE_STATUS[found.outcome], headers)


def _keeping(house: House, found: Answer) -> dict[str, str]:
    return {"ETag": found.tag, "Cache-Control": keeping(house, found), "Vary": "Authorization"}


def index_of(text: str) -> int:
    """An index as it is asked for. Raises ProtoError (`index`)."""
    try:
        index = int(text)
    except ValueError:
        index = 2**31
    if not -(2**31) <= index < 2**31:
        raise ProtoError("index", "index应为整数", f'index must be a whole number: "{text}"')
    return index


async def options(request: web.Request) -> web.Response:
    """What a browser asks before it lets a page of another origin ask; `node/listen/http.py` adds which origins may."""
    return web.Response(
        headers={
            "Access-Control-Allow-Methods": "GET,POST,HEAD,PUT,DELETE",
            "Access-Control-Allow-Headers": "X-Requested-With,Authorization,Origin,Accept,Content-Type",
            "Access-Control-Max-Age": "86400",
        }
    )


async def site(request: web.Request) -> web.Response:
    """Where this node answers, and by which protocols."""
    sock = request.get_extra_info("sockname") or ("",)
    house = request.app[HOUSE]
    found = site_of(house.config, house.site_key.public if house.site_key else b"", str(sock[0]))
    response = json_response(failed(ResponseCode.ERROR), 500) if found is None else encoded(site_to_json(found))
    return dressed(response, request.query)


async def unknown(request: web.Request) -> web.Response:
    """Anything else under /api; what browsers ask beforehand is answered whatever it is about."""
    if request.method == "OPTIONS" and face(request.path) == "handle":
        return await options(request)
    message = f"Unknown HTTP API endpoint {request.method} {request.path}"
    status = 501 if request.method == "PATCH" and request.path.startswith(PATH) else 404
    told_ = {"responseCode": int(ResponseCode.PROTOCOL_ERROR), "message": message}
    return dressed(encoded(told_, status), request.query)


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    one = PATH + "{identifier:(?s:.*)}"  # a line feed, too, is an identifier's to refuse
    app.router.add_get(one, get)
    app.router.add_post(one, post)
    app.router.add_route("OPTIONS", one, options)
    app.router.add_get("/api/site", site)

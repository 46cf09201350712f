"""The reading half of the Handle HTTP API: GET and HEAD /api/handles/{identifier}, as deployed servers answer.

Who comes with a token of ours is answered what that account may see; everybody else, what everybody may.
"""

from typing import cast
from urllib.parse import unquote_to_bytes

from aiohttp import web
from multidict import MultiMapping

from node import clock
from node.house import House
from node.listen import replies
from node.listen.http import HOUSE, encoded, json_response, keeping, onward, source
from node.listen.snms_api import bearer
from node.resolve.answer import Answer, Outcome
from node.sight import Told
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.web_json import failed, pretty, selected
from proto.web_json import found as found_body
from registry.access_log import Source
from registry.account import Account
from registry.audit import Actor

PATH = "/api/handles/"


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
"""What stands behind the question mark."""


def flag(given: Parameters, name: str, default: str = "false") -> bool:
    """Whether a parameter is true; without a value it is."""
    return given.get(name, default).lower() in {"", "true", "1"}


async def get(request: web.Request) -> web.Response:
    """One identifier's public values; `index` and `type` (repeatable, OR-ed) choose among them.

    With `doNotRefer` no other node is asked. `auth` changes nothing: what lives here never comes from a cache that is
    behind, and who asks does not decide how often other nodes are asked.
    """
    try:
        indexes = frozenset(index_of(text) for text in request.query.getall("index", []))
        identifier = Identifier.parse(asked_for(raw_path(request).removeprefix(PATH)))
    except ProtoError as error:
        code = ResponseCode.PROTOCOL_ERROR if error.field == "index" else ResponseCode.INVALID_HANDLE
        return json_response(failed(code, message=error.en), 400)
    return await answer(request, identifier, indexes, tuple(request.query.getall("type", [])))


class NotSignedInError(Exception):
    """A token came that is missing from the books, expired or revoked."""


async def ask(request: web.Request, identifier: Identifier, *, further: bool) -> tuple[Answer, bool]:
    """What who asks is told of an identifier, and whether it is told to them alone.

    `further`: other nodes may be asked. Raises NotSignedInError.
    """
    house, token = request.app[HOUSE], bearer(request)
    if token:
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


async def answer(
    request: web.Request, identifier: Identifier, indexes: frozenset[int], types: tuple[str, ...]
) -> web.Response:
    """The response for a well-formed question."""
    house = request.app[HOUSE]
    try:
        further = onward(request) and not flag(request.query, "doNotRefer")
        found, private = await ask(request, identifier, further=further)
    except NotSignedInError:
        return not_signed_in()
    if (
        not private
        and found.outcome is Outcome.FOUND
        and any(each.value in {"*", found.tag.strip('"')} for each in request.if_none_match or ())
    ):
        return web.Response(status=304, headers=_keeping(house, found))
    response = told(house, str(identifier), found, private=private)
    if found.outcome is Outcome.FOUND and (indexes or types):
        response.body = found_body(str(identifier), selected(found.shown, indexes, types))
    if flag(request.query, "pretty"):
        response.body = pretty(cast(bytes, response.body))
    return response


def not_signed_in() -> web.Response:
    """The response to a token that is none."""
    return json_response(replies.HANDLE_NOT_SIGNED_IN, 401, replies.CHALLENGE)


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


async def unknown(request: web.Request) -> web.Response:
    """Anything else under /api."""
    message = f"Unknown HTTP API endpoint {request.method} {request.path}"
    return encoded({"responseCode": int(ResponseCode.PROTOCOL_ERROR), "message": message}, 404)


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    app.router.add_get(PATH + "{identifier:(?s:.*)}", get)  # a line feed, too, is an identifier's to refuse
    app.router.add_route("OPTIONS", PATH + "{identifier:(?s:.*)}", options)

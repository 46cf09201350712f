"""What the doors of the node's own API have in common: who asks and by what right, what a request says, how an error is
told. Nothing of any one call.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from node.doorkeeper import DueError
from node.gather import BusyError
from node.listen import snms_words
from node.listen.bodies import BODY_SECONDS, BodyError
from node.listen.http import ACCOUNT, HOUSE, encoded
from node.listen.snms_api import bearer
from node.listen.snms_words import SnmsError
from proto.errors import ProtoError
from registry.account import Account
from registry.errors import UnavailableError
from registry.prefix import RegisteredPrefix
from registry.rights import MEANINGS, Right

log = structlog.get_logger("own_api")


class OwnError(Exception):
    """A request that cannot be carried out, with what the client is told."""

    def __init__(self, status: int, field: str | None, zh: str, en: str) -> None:
        super().__init__(en)
        self.status = status
        self.field = field
        self.zh = zh
        self.en = en


def prefers_chinese(request: web.Request) -> bool:
    """Whether the client's first language is Chinese; so when it names none."""
    return "en" not in request.headers.get("Accept-Language", "zh").lower().partition(",")[0]


def _error(request: web.Request, error: OwnError) -> web.Response:
    message = error.zh if prefers_chinese(request) else error.en
    return encoded({"error": {"field": error.field, "message": message}}, error.status)


def explained(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> Any:
    """`handler`, with what it raises of its client told in the client's language."""

    async def answering(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except OwnError as error:
            return _error(request, error)
        except ProtoError as error:
            return _error(request, OwnError(400, error.field, error.zh, error.en))
        except SnmsError as error:
            return _error(request, OwnError(400, None, str(error), str(error)))

    return answering


async def signed_in(request: web.Request, *, counted: bool = True) -> Account:
    """Who signed the request. Raises OwnError 401 without a live token, and a DueError."""
    account = await request.app[HOUSE].doorkeeper.account(bearer(request), counted=counted)
    if account is None:
        raise OwnError(401, "Authorization", "未登录或登录已过期", "sign in: the token is missing, expired or revoked")
    request[ACCOUNT] = account
    return account


async def _still_signed_in(request: web.Request, who: Account) -> bool:
    """Whether what `who` signed a request with that goes on for long is still good, and they are who they were."""
    try:
        return await request.app[HOUSE].doorkeeper.account(bearer(request), counted=False) == who
    except DueError:
        return False


async def while_signed_in(
    request: web.Request, who: Account | None, pieces: AsyncGenerator[bytes]
) -> AsyncGenerator[bytes]:
    """The pieces of a long answer, for as long as `who` may have them; None stands for everybody.

    Raises PermissionError when they may no more.
    """
    async with aclosing(pieces) as chunks:
        async for piece in chunks:
            if who is not None and not await _still_signed_in(request, who):
                raise PermissionError
            yield piece


async def streamed(
    request: web.Request, response: web.StreamResponse, pieces: AsyncGenerator[bytes]
) -> web.StreamResponse:
    """`response` with these pieces as its body, no faster than they are read. It is broken off where they end too
    early: what is read so far must not look like all of it.
    """
    await response.prepare(request)
    try:
        async with aclosing(pieces) as chunks:
            async for piece in chunks:
                with request.app[HOUSE].admission.aside():
                    async with asyncio.timeout(BODY_SECONDS):  # who does not read is not waited for
                        await response.write(piece)
    except (TimeoutError, BodyError, OSError, UnavailableError, BusyError) as error:
        log.info("stream_broken_off", path=request.path, kind=type(error).__name__)
        if request.transport is not None:
            request.transport.abort()
        return response
    await response.write_eof()
    return response


async def known_prefix(request: web.Request, name: str) -> RegisteredPrefix:
    """The prefix of that name. Raises OwnError 404."""
    prefix = await request.app[HOUSE].lookup.prefix(name)
    if prefix is None:
        raise OwnError(404, "prefix", f"前缀{name}不属于本节点", f"prefix {name} does not live here")
    return prefix


def no_right() -> OwnError:
    """What is raised for want of a right to a prefix."""
    return OwnError(403, "prefix", "没有操作权限", "this account has no right to that prefix")


async def owner_of(request: web.Request, right: Right, prefix_name: str) -> tuple[Account, RegisteredPrefix]:
    """Who signed the request, with that right over the prefix called so, and the prefix. Raises OwnError."""
    account = await signed_in(request)
    prefix = await known_prefix(request, prefix_name)
    if not account.may_in(right, prefix.enterprise):
        raise no_right()
    return account, prefix


async def holder_of(request: web.Request, right: Right) -> Account:
    """Who signed the request, with that right at all. Raises OwnError."""
    account = await signed_in(request)
    if not account.may(right):
        zh, en = MEANINGS[right]
        raise OwnError(403, None, f"没有操作权限：{zh}", f"this account has no right to {en}")
    return account


_TYPES: Final = {
    "int": ("整数", "a whole number"),
    "float": ("数字", "a number"),
    "str": ("文本", "text"),
    "bool": ("true或false", "true or false"),
    "array": ("数组", "an array"),
    "object": ("对象", "an object"),
}
"""What msgspec expects, in words; what may also be null is not told so."""
_BOUNDS: Final = {">=": ("不小于", "at least"), "<=": ("不大于", "at most")}
_BOUND: Final = re.compile(r"Expected `\w+`( of length)? ([<>]=) (-?[0-9]+)", re.ASCII)
_EXPECTED: Final = re.compile(r"Expected `([\w |]+)`, got ")


def decoded(body: bytes, kind: Any) -> Any:
    """A body of JSON as a `kind` of msgspec. Raises OwnError 400."""
    try:
        return msgspec.json.decode(body, type=kind)
    except snms_words.UNREADABLE as error:
        place = snms_words.place(error)
        if rule := _rule(str(error), kind, place):
            zh, en = f"{place or '请求体'}{rule[0]}", f"{place or 'the body'} must be {rule[1]}"
            raise OwnError(400, place or None, zh, en) from None
        raise OwnError(400, place or None, snms_words.sentence(error), str(error)) from None


def _rule(text: str, kind: Any, place: str) -> tuple[str, str] | None:
    """What a field must be, Chinese and English, when msgspec says so by `text`; None when it says something else."""
    enum = text.startswith("Invalid enum value")
    if enum and (words := _words(msgspec.inspect.type_info(kind), re.findall(r"\w+", place))):
        return f"应为{'、'.join(words)}之一", f"one of {', '.join(words)}"
    if text.startswith("Invalid RFC3339"):
        return "应为带时区的时间，例如2027-12-31T16:00:00Z", "a time with its zone, such as 2027-12-31T16:00:00Z"
    if bound := _BOUND.match(text):
        (zh, en), number = _BOUNDS[bound[2]], bound[3]
        return (
            (f"的长度应{zh}{number}", f"{en} {number} in length") if bound[1] else (f"应{zh}{number}", f"{en} {number}")
        )
    expected = _EXPECTED.match(text)
    types = [_TYPES[each] for each in expected[1].split(" | ") if each in _TYPES] if expected else []
    return ("应为" + "或".join(zh for zh, _ in types), " or ".join(en for _, en in types)) if types else None


def _words(info: Any, parts: Sequence[str]) -> list[str]:
    """The words a field may hold, going from `info` (msgspec.inspect) down by names of fields and places of arrays."""
    if isinstance(info, msgspec.inspect.UnionType):
        return [word for each in info.types for word in _words(each, parts)]
    if parts:
        below = [each.type for each in getattr(info, "fields", ()) if each.encode_name == parts[0]]
        below += [info.item_type] if parts[0].isdigit() and hasattr(info, "item_type") else []
        return [word for each in below for word in _words(each, parts[1:])]
    return [str(word) for word in getattr(info, "values", getattr(info, "cls", ()))]


def whole_number(request: web.Request, name: str, default: int) -> int:
    """A positive whole number of the query, `default` where it is not given. Raises OwnError 400."""
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not 1 <= int(text) < 2**63:
        raise OwnError(400, name, f"{name}应为正整数", f"{name} must be a positive whole number")
    return int(text)

"""What the doors of the node's own API have in common: who asks and by what right, what a request says, how an error is
told. Nothing of any one call.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from node.doorkeeper import DueError
from node.listen import snms_words
from node.listen.http import ACCOUNT, HOUSE, encoded
from node.listen.snms_api import bearer
from node.listen.snms_words import SnmsError
from proto.errors import ProtoError
from registry.account import Account
from registry.prefix import RegisteredPrefix
from registry.rights import MEANINGS, Right


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


async def still_signed_in(request: web.Request, who: Account) -> bool:
    """Whether what `who` signed a request with that goes on for long is still good, and they are who they were."""
    try:
        return await request.app[HOUSE].doorkeeper.account(bearer(request), counted=False) == who
    except DueError:
        return False


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


def decoded(body: bytes, kind: Any) -> Any:
    """A body of JSON as a `kind` of msgspec. Raises OwnError 400."""
    try:
        return msgspec.json.decode(body, type=kind)
    except snms_words.UNREADABLE as error:
        raise OwnError(400, None, snms_words.sentence(error), str(error)) from None


def whole_number(request: web.Request, name: str, default: int) -> int:
    """A positive whole number of the query, `default` where it is not given. Raises OwnError 400."""
    text = request.query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > 19 or not 1 <= int(text) < 2**63:
        raise OwnError(400, name, f"{name}应为正整数", f"{name} must be a positive whole number")
    return int(text)

"""Who asks at the Handle HTTP API: by a token of ours, or by a secret key of the Handle system (Basic, over TLS alone).

What they may do then is judged elsewhere.
"""

import binascii
from base64 import b64decode
from collections.abc import Iterable
from typing import NamedTuple
from urllib.parse import unquote

from aiohttp import web

from node.listen import replies
from node.listen.http import HOUSE, is_secure, json_response, noted, peer
from node.listen.snms_api import bearer
from proto.codes import ResponseCode
from proto.web_json import failed
from registry.account import USERNAME_CHARACTERS, Account
from registry.administration import Administrator
from registry.audit import Actor
from registry.prefix import RegisteredPrefix
from registry.rights import Right, Role


class HandleError(Exception):
    """A request that is not carried out: its code, what is said, and the handle, where that is told."""

    def __init__(self, code: ResponseCode, message: str | None = None, handle: str | None = None) -> None:
        super().__init__(message)
        self.code, self.message, self.handle = code, message, handle


class Asker(NamedTuple):
    """Who asks: an account, or `by` a key; the account of that one has no number and no rights."""

    account: Account
    by: Administrator | None = None

    def under(self, right: Right, prefix: RegisteredPrefix, handle: str) -> Administrator:
        """As whom it is judged under a prefix: an account that has `right` there may do all. Raises HandleError."""
        if self.by is not None:
            return self.by
        if not self.account.may_in(right, prefix.enterprise):
            raise HandleError(ResponseCode.INSUFFICIENT_PERMISSIONS, None, handle)
        return Administrator("", 0, everywhere=True)

    def witnessed(self, request: web.Request, as_: str, objects: Iterable[str]) -> None:
        """As `http.witnessed`."""
        actor = Actor.of(self.account, peer(request))
        if self.by is not None:
            actor = Actor(0, self.account.username, "key", peer(request))
        request.app[HOUSE].recording.witness.saw(actor, as_, objects)


def by_basic(request: web.Request) -> bool:
    """Whether a secret was sent in the way in which it may be."""
    return request.headers.get("Authorization", "")[:6].lower() == "basic " and is_secure(request)


async def asker_of(request: web.Request, handle: str | None) -> Asker | web.Response:
    """Who asks, or the response that tells them to prove it. Raises BrakedError, BusyError and a DueError."""
    if bearer(request):
        account = await request.app[HOUSE].doorkeeper.account(bearer(request))
        return Asker(account) if account else json_response(replies.HANDLE_NOT_SIGNED_IN, 401, replies.CHALLENGE)
    if by_basic(request):
        return await _by_secret(request)
    body = failed(ResponseCode.AUTHENTICATION_NEEDED, handle)
    # Deployed servers refuse secrets over plain HTTP: whoever sends one there shall not be asked for it.
    return json_response(body, 401, _challenges(request)) if is_secure(request) else json_response(body, 403)


async def _by_secret(request: web.Request) -> Asker | web.Response:
    name, password = _basic(request)
    by = await request.app[HOUSE].keyholders.by_secret(name, password, peer(request))
    who = name[:USERNAME_CHARACTERS]
    noted(request, 0, who, "sign_in found" if by else "sign_in refused")
    if by is None:
        return web.Response(status=401, headers=_challenges(request))
    return Asker(Account(0, f"{by.index}:{by.handle}", "program", Role.ENTERPRISE_USER, None), by)


def _basic(request: web.Request) -> tuple[str, str]:
    """User name, percent-decoded, for its colon would end it, and secret (RFC 7617). Empty for what is none."""
    try:
        said = b64decode(request.headers["Authorization"][6:].strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    name, _, secret = said.partition(":")
    return unquote(name), secret


def _challenges(request: web.Request) -> dict[str, str]:
    """Scripts of pages are not asked so: their reader would be, by the browser."""
    script = request.headers.get("X-Requested-With") == "XMLHttpRequest"
    return {} if script else {"WWW-Authenticate": 'Basic realm="handle"'}

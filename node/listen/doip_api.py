"""The calls of IDHub, /api/v1/doip…, in their envelope: code, message, data. Here: programs sign in by their key."""

from typing import Any, Final

import msgspec
from aiohttp import web

from node.listen.bodies import BODIES
from node.listen.http import HOUSE, encoded, peer
from node.listen.snms_words import UNREADABLE
from registry.account import application_prefix
from registry.challenge import SIGNATURE_CHARACTERS

PUBLIC: Final = "/api/v1/doip/public"
ANSWER_OCTETS: Final = SIGNATURE_CHARACTERS + 4096
"""Largest body of an answer, which anybody may send: a signature and the longest name, all escaped."""

DONE: Final = 1
NOT_PROVEN: Final = 401
NOT_AN_APPLICATION: Final = 901
BIND_ERROR: Final = 30000
DONE_TEXT: Final = "operation was successfully processed"


def told(code: int, message: str, data: Any = None) -> web.Response:
    """An answer of this face."""
    return encoded({"code": code, "message": message, "data": data})


def done(data: Any) -> web.Response:
    """An answer to what went well."""
    return told(DONE, DONE_TEXT, data)


def _no_application() -> web.Response:
    return told(NOT_AN_APPLICATION, "handle应为应用身份，例如88.x.y/App_名称")


async def challenge(request: web.Request) -> web.Response:
    """GET /api/v1/doip/public/challenge?handle=: what an application identity shall sign, within a minute, once.

    Whether there is such an identity, or has a key, is not told.
    """
    handle = request.query.get("handle", "")
    if application_prefix(handle) is None:
        return _no_application()
    return done(await request.app[HOUSE].doorkeeper.challenge(handle))


class _Answer(msgspec.Struct):
    handle: str
    signature: str


async def verify(request: web.Request) -> web.Response:
    """POST (and GET, as the SDK has it) /api/v1/doip/public/verify-response {"handle", "signature"}: a token."""
    try:
        given = msgspec.json.decode(await request.app[BODIES].of_stranger(request, ANSWER_OCTETS), type=_Answer)
    except UNREADABLE:
        return told(BIND_ERROR, "请求应为JSON对象，含handle与signature")
    if application_prefix(given.handle) is None:
        return _no_application()
    token = await request.app[HOUSE].doorkeeper.sign_in_signed(given.handle, given.signature, peer(request))
    return done({"token": token}) if token else told(NOT_PROVEN, "签名验证未通过，或挑战已过期")


def add_routes(app: web.Application) -> None:
    """The routes of this face."""
    app.router.add_get(f"{PUBLIC}/challenge", challenge, allow_head=False)
    for method in ("GET", "POST"):
        app.router.add_route(method, f"{PUBLIC}/verify-response", verify)

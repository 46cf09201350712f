"""Where an identifier is resolved: GET /api/handles/{identifier} is answered with a referral to the site of its prefix.

No value is ever known here. Bodies follow the Handle HTTP API; code 303 and HTTP 300 are what refers elsewhere.
"""

import re
from typing import Final

import structlog
from aiohttp import web

from node.toplevel import books, rules
from node.toplevel.office import OFFICE
from node.toplevel.service import cut
from proto import uplink_pb2 as pb
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.value import Value
from proto.web_json import array, failed, referred
from registry.errors import UnavailableError
from registry.postgres.connection import borrowed

PATH: Final = "/api/handles/"
SITE_INDEX: Final = 500
"""Where deployed nodes keep the site of a prefix (secondary-node facts §4.2)."""
SITE_TTL: Final = 86_400
"""Seconds a referral may be kept (secondary-node facts §4.3)."""
_NATIONAL: Final = re.compile(r"[0-9]{2}(\.[0-9]{1,16}){1,2}", re.ASCII)
"""Prefixes there can be: longer ones are derived by nobody."""

log = structlog.get_logger("referral")


def referral(handle: str, route: pb.Route) -> bytes:
    """The body that refers whoever asks for `handle` to the site of `route`."""
    site = Value(SITE_INDEX, "HS_SITE", rules.site(route).to_octets(), ttl=SITE_TTL)
    return referred(handle, array((site,)))


async def get(request: web.Request) -> web.StreamResponse:
    """300 with the site; 400 for a prefix that leads nowhere (code 301) and for what is no identifier (102)."""
    office = request.app[OFFICE]
    if office.switches.faults.outage:
        return cut(request)
    try:
        identifier = Identifier.parse(request.match_info["identifier"])
    except ProtoError as error:
        return _json(failed(ResponseCode.INVALID_HANDLE, message=error.en), 400)
    try:
        status, body = await _found(request, identifier)
    except UnavailableError as error:
        log.warning("books_unreachable", error=str(error))
        return _json(failed(ResponseCode.SERVER_BUSY, str(identifier)), 503)
    return _json(body, status)


async def _found(request: web.Request, identifier: Identifier) -> tuple[int, bytes]:
    handle, prefix = str(identifier), identifier.prefix_key
    if not _NATIONAL.fullmatch(prefix):
        return _not_responsible(handle, "不归国家顶级节点管理", "is not one of the national top-level node")
    async with borrowed(request.app[OFFICE].pool) as connection:
        state, route = await books.referral(connection, prefix)
    if state is None and prefix.count(".") > 1:
        return _not_responsible(handle, "没有报送过", "was filed by nobody")
    if state not in {None, pb.PREFIX_STATE_NORMAL}:
        return _not_responsible(handle, "未启用", "is not in force")
    if route is None:
        return _not_responsible(handle, "没有解析路由", "has no route")
    return 300, referral(handle, route)


def _not_responsible(handle: str, zh: str, en: str) -> tuple[int, bytes]:
    prefix = handle.partition("/")[0]
    return 400, failed(ResponseCode.SERVER_NOT_RESPONSIBLE, handle, f"前缀{prefix}{zh}。 Prefix {prefix} {en}.")


def _json(body: bytes, status: int) -> web.Response:
    return web.Response(body=body, status=status, headers={"Content-Type": "application/json;charset=utf-8"})


ROUTES: Final = (web.get(PATH + "{identifier:.+}", get),)

"""The HTTP door: who asks, admission, request ids, what an error looks like on each face.

Routes belong to the faces, connections to `node/listen/connection.py`; this room only brings a request to a route and
its response back.
"""

import secrets
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Final

import msgspec
import structlog
from aiohttp import web
from aiohttp.hdrs import CACHE_CONTROL, SERVER
from aiohttp.typedefs import Middleware

from node import clock, metrics
from node.admission import Admission
from node.brake import BrakedError
from node.calls import CallsSpentError
from node.doorkeeper import PasswordDueError, SecondFactorDueError
from node.files.folder import FolderError
from node.gather import BusyError
from node.house import House
from node.listen import replies
from node.listen.bodies import BODIES, Bodies, BodyError
from node.meter import Meter
from node.metrics import HTTP_INTERNAL_ERRORS, HTTP_REFUSED, HTTP_REQUESTS
from node.resolve.answer import Answer
from node.resolve.forwarded import HEADER
from proto import iiidap
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.forwarded_for import TrustedProxies
from proto.identifier import Prefix
from proto.web_json import failed
from registry.access_log import Source
from registry.account import Account
from registry.audit import Actor
from registry.errors import AuditFullError, UnavailableError, UnknownOutcomeError
from registry.examiner import Examiner
from registry.steward import Steward

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HOUSE: Final = web.AppKey("house", House)
BEGUN: Final = web.RequestKey("begun", bool)
"""Set in a request whose answer has begun to go out."""
ACCOUNT: Final = web.RequestKey("account", Account)
"""Who is signed in; whoever recognises them sets it."""
PROXIES: Final = web.AppKey("proxies", TrustedProxies)
DRAIN_SECONDS: Final = 10.0
"""What is in hand at a stop may take this long to finish."""

log = structlog.get_logger("http")


def json_response(body: bytes, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A response of JSON octets."""
    return web.Response(body=body, status=status, headers={"Content-Type": replies.JSON_TYPE} | (headers or {}))


def encoded(value: object, status: int = 200) -> web.Response:
    """A response of `value` as JSON."""
    return json_response(msgspec.json.encode(value), status)


def peer(request: web.Request) -> str:
    """The address of who asks: of the socket, or whom trusted proxies speak for."""
    nearest, said = request.remote or "", request.headers.getall("X-Forwarded-For", ())
    return request.app[PROXIES].asker(nearest, said) if said else nearest


def is_secure(request: web.Request) -> bool:
    """Whether it came over TLS: to us, or to a trusted proxy that says so."""
    if request.secure:
        return True
    said = ",".join(request.headers.getall("X-Forwarded-Proto", ())).rpartition(",")[2].strip().lower()
    return said == "https" and request.app[PROXIES].trusts(request.remote or "")


def source(request: web.Request) -> Source:
    """Address and port of who asks; port 0 where a proxy names them in a header: that has none."""
    address = peer(request)
    return address, getattr(request.protocol, "port", 0) if address == request.remote else 0


def in_name_of(request: web.Request) -> Steward:
    """The writing door for what is changed by this request: the audit journal says who asks, and from where."""
    return request.app[HOUSE].steward.by(_actor(request))


def examiner(request: web.Request) -> Examiner:
    """The door of enterprises, in the same way."""
    return request.app[HOUSE].examiner.by(_actor(request))


def _actor(request: web.Request) -> Actor:
    return Actor.of(request[ACCOUNT], peer(request))


def witnessed(request: web.Request, as_: str, objects: Iterable[str]) -> None:
    """To be called before who is signed in is told what is not public of `objects`, `as_` what: it is written down.

    Raises AuditFullError or UnavailableError: then it is not told.
    """
    request.app[HOUSE].recording.witness.saw(_actor(request), as_, objects)


def noted(request: web.Request, account: int, name: str, words: str) -> None:
    """Tells the access log what an account (by its number; 0: none) did beside the roads: to what, and how."""
    request.app[HOUSE].recording.access_log.note((clock.monotonic(), *source(request), account, name, words))


def keeping(house: House, answer: Answer) -> str:
    """Cache-Control of a public answer: how long others may keep it."""
    return f"public, max-age={answer.life(house.config.cache_seconds, clock.seconds())}"


def onward(request: web.Request) -> bool:
    """Whether other nodes may be asked for this question: not if one of them asks it.

    CDN-Loop (RFC 8586) names whom it came through; those who are no nodes, such as a CDN before us, do not count.
    """
    if HEADER not in request.headers:
        return True
    entries = ",".join(request.headers.getall(HEADER)).split(",")
    nodes = {name for entry in entries if _is_prefix(name := entry.partition(";")[0].strip())}
    house = request.app[HOUSE]
    if house.config.prefix in nodes:
        house.meter.count(metrics.FORWARDS, metrics.LOOP)
    return not nodes


def _is_prefix(name: str) -> bool:
    try:
        Prefix(name)
    except ProtoError:
        return False
    return True


_OWN: Final = "/api/v1/"
_IDHUB: Final = ("/api/v1/doip", "/api/v1/open/", "/api/v1/single-handle/")
"""Where, among the own ones, the calls of IDHub are, which have an envelope of theirs."""
_FACES: Final = dict.fromkeys(("identity", "identityv2", "snms", "snmsapi"), "snms") | {
    "api": "handle",
    "iiidap": "iiidap",
}
"""Which face the paths below a first segment belong to; all but pages expect JSON whatever happens."""


def face(path: str) -> str:
    """Which face a path belongs to, as operators are told."""
    segment, slash, _ = path[1:].partition("/")
    found = _FACES.get(segment, "page") if slash else "page"
    return "own" if found == "handle" and path.startswith(_OWN) else found


_SNMS_STATUS: Final = {500: replies.SNMS_INTERNAL, 403: replies.SNMS_NO_PERMISSION} | dict.fromkeys(
    (400, 404, 405, 408, 413, 415, 417), replies.SNMS_REFUSED
)
"""What the SNMS OpenAPI calls trouble of this HTTP status, with HTTP 200; other trouble is 系统繁忙 with its status."""


_HANDLE_CODE: Final = {500: ResponseCode.ERROR, 403: ResponseCode.AUTHENTICATION_NEEDED} | dict.fromkeys(
    (400, 404, 405, 408, 413, 415, 417, 431), ResponseCode.PROTOCOL_ERROR
)
"""What the Handle HTTP API calls it; other trouble is 3, busy."""


COME_AGAIN: Final = {"Retry-After": str(replies.BUSY_RETRY_SECONDS)}
"""What goes with 429 and 503."""
_HEADERS: Final = {429: COME_AGAIN, 503: COME_AGAIN, 415: {"Accept-Encoding": "gzip, deflate"}}
"""What goes with a status whatever the face: when to come again, which codings are taken (RFC 9110 §12.5.3)."""


def trouble(path: str, status: int, zh: str, en: str, said: ResponseCode | None = None) -> web.Response:
    """What a client gets when its request could not be carried out at all, in the form its face expects.

    `said` is the response code of what is no trouble of ours, but refused to this client.
    """
    headers, asked = _HEADERS.get(status, {}), face(path)
    if asked == "snms":
        code = replies.SNMS_REFUSED if said else _SNMS_STATUS.get(status)
        if code is None:
            full = (zh, en) == replies.AUDIT_FULL
            return json_response(replies.SNMS_AUDIT_FULL if full else replies.SNMS_BUSY, status, headers)
        return encoded({"status": code, "message": zh, "data": None})
    if asked == "iiidap":
        return json_response(
            iiidap.failed(status, HTTPStatus(status).phrase, zh, en),
            status,
            headers | {"Content-Type": iiidap.MEDIA_TYPE},
        )
    if path.startswith(_IDHUB):
        code = replies.Idhub.DECLINED if status in replies.IDHUB_BUSY else replies.IDHUB_TROUBLE.get(status)
        told = {"code": code or replies.Idhub.PARAMETERS, "message": zh, "data": None}
        return json_response(msgspec.json.encode(told), status, headers)
    message = f"{zh}。 {en}."
    if asked == "own":
        return json_response(msgspec.json.encode({"error": {"field": None, "message": message}}), status, headers)
    code = said or _HANDLE_CODE.get(status, ResponseCode.SERVER_BUSY)
    return json_response(failed(code, message=message), status, headers)


_BUSY: Final = ("系统繁忙，请稍后再试", "Busy; try again shortly")
TROUBLES: Final[dict[type[Exception], tuple[int, str, str]]] = {
    AuditFullError: (503, *replies.AUDIT_FULL),
    BusyError: (503, *_BUSY),
    UnavailableError: (503, *_BUSY),
    FolderError: (503, *_BUSY),
    UnknownOutcomeError: (504, "结果未知，请重试", "The outcome is unknown; repeat the request"),
    PasswordDueError: (
        403,
        "请先修改初始密码：PUT /api/v1/accounts/this/password",
        "Change the initial password first: PUT /api/v1/accounts/this/password",
    ),
    SecondFactorDueError: (
        403,
        "管理员请先登记动态口令：POST /api/v1/accounts/this/second-factor",
        "Administrators enrol a second factor first: POST /api/v1/accounts/this/second-factor",
    ),
    CallsSpentError: (429, "企业今日的调用次数已用完", "The enterprise has used up its calls of today"),
}
"""What a request may come to whatever it asks for."""


def troubled(path: str, error: Exception) -> web.Response:
    """What a client is told of one of TROUBLES."""
    status, zh, en = TROUBLES[type(error)]
    if isinstance(error, CallsSpentError):
        response = trouble(path, status, zh, en, ResponseCode.DAILY_REQUEST_LIMIT)
        response.headers["Retry-After"] = str(error.seconds)
        return response
    log.warning("troubled", path=path, status=status, error=str(error))
    return trouble(path, status, zh, en)


def broken(meter: Meter, path: str) -> web.Response:
    """What a client is told of a mistake of ours, the exception being handled: it is counted, and in our journal."""
    mark = secrets.token_hex(6)
    log.exception("internal_error", path=path, request=mark)
    meter.count(HTTP_INTERNAL_ERRORS, face(path))
    return trouble(path, 500, f"内部错误，请求编号{mark}", f"Internal error, request {mark}")


_NOT_HERE: Final = {
    404: ("没有这个接口", "There is no such endpoint"),
    405: ("没有这个接口", "There is no such endpoint"),
}


_TURNED_AWAY: Final = {429: "rate", 503: "requests"}
"""Why a peer was not admitted, as operators are told."""
_BODY_REFUSED: Final = {408: "body_slow", 413: "body_bytes"}
"""Why a body was not taken, as operators are told; what is malformed was not turned away."""


def _admitting(admission: Admission, meter: Meter) -> Middleware:
    @web.middleware
    async def admitting(request: web.Request, handler: Handler) -> web.StreamResponse:
        status = admission.admit(peer(request))
        if status:
            meter.count(HTTP_REFUSED, _TURNED_AWAY[status])
            return trouble(request.path, status, *_BUSY)
        admission.in_hand += 1
        try:
            return await handler(request)
        finally:
            admission.in_hand -= 1

    return admitting


@web.middleware
async def _explaining(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except tuple(TROUBLES) as error:
        return troubled(request.path, error)
    except BrakedError as error:
        log.warning("sign_in_braked", peer=peer(request), seconds=error.seconds)
        request.app[HOUSE].meter.count(HTTP_REFUSED, "sign_in")
        response = trouble(request.path, 429, *_BUSY)
        response.headers["Retry-After"] = str(error.seconds)
        return response
    except BodyError as error:
        if error.status in _BODY_REFUSED:
            request.app[HOUSE].meter.count(HTTP_REFUSED, _BODY_REFUSED[error.status])
        return trouble(request.path, error.status, error.zh, error.en)
    except web.HTTPException as error:
        if error.status not in _NOT_HERE:
            raise
        zh, en = _NOT_HERE[error.status]
        asked = f"{request.method} {request.path}"
        response = trouble(request.path, error.status, f"{zh}：{asked}", f"{en}: {asked}")
        response.headers.update({name: error.headers[name] for name in ("Allow",) if name in error.headers})
        return response
    except Exception as error:
        if isinstance(error, OSError) and request.transport is None:
            raise  # the client left in the middle of its body
        response = broken(request.app[HOUSE].meter, request.path)
        if request.get(BEGUN) and request.transport is not None:
            # Half an answer is out: the client shall see it break off, not find a second one in it.
            request.transport.abort()
        return response


def application(house: House) -> web.Application:
    """An application without routes; the faces add theirs."""
    app = web.Application(middlewares=[_admitting(house.admission, house.meter), _explaining])
    app[HOUSE] = house
    app[PROXIES] = house.config.proxies
    app[BODIES] = Bodies(house.admission, house.config.body_bytes)
    app.on_response_prepare.append(_signing(house.meter))
    return app


RESOLVE: Final = "/api/v1/resolve"
CORS: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Content-Length, ETag, Retry-After",
}
"""Lets pages of any origin read what anybody may read (Fetch §3.2). The same whoever asks, so no cache needs to tell
origins apart; no answer goes by cookies, so none is lent to a page."""
PRIVATE: Final = "private, no-store"
"""Cache-Control of what no face calls public."""
_OPEN: Final = frozenset({"handle", "iiidap", "page"})
_CLASSES: Final = {status: f"{status // 100}xx" for status in range(200, 600)}


def _signing(meter: Meter) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    async def signing(request: web.Request, response: web.StreamResponse) -> None:
        """Counts every answer once and names no version of anything (who attacks shall have to guess); what no face
        calls public is kept by nobody."""
        path, headers = request.path, response.headers
        asked = face(path)
        meter.count(HTTP_REQUESTS, asked, _CLASSES[response.status])
        if asked in _OPEN or path == RESOLVE:
            headers.extend(CORS)
        request[BEGUN] = True
        headers[SERVER] = "idnode"
        headers.setdefault(CACHE_CONTROL, PRIVATE)

    return signing

"""Sessions of the Handle HTTP API, over TLS alone: /api/sessions and /api/sessions/this."""

from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
from aiohttp import web

from node.listen.bodies import BODIES
from node.listen.handle_auth import begun, by_certificate, challenged, fields
from node.listen.http import HOUSE, encoded, is_secure
from node.site_key import SiteKey
from proto.native.versions import OWN
from registry.administration import Administrator

PATH: Final = "/api/sessions"
THIS: Final = f"{PATH}/this"
ANSWER_OCTETS: Final = 65_536
"""Largest body of an answer: a signature has some hundred octets."""

Handler = Callable[[web.Request], Awaitable[web.Response]]
_Fields = dict[str, str | int | bool]


def _over_tls(handler: Handler) -> Handler:
    async def answering(request: web.Request) -> web.Response:
        return await handler(request) if is_secure(request) else web.Response(status=403)

    return answering


def _told(session: str, nonce: bytes | None, by: Administrator | None = None) -> dict[str, Any]:
    told: dict[str, Any] = {"sessionId": session}
    if nonce is not None:
        told["nonce"] = b64encode(nonce).decode()
    return told | ({"authenticated": True, "id": f"{by.index}:{by.handle}"} if by else {})


async def open_(request: web.Request) -> web.Response:
    """A session that may begin, or does at once by the certificate of the handshake; with the proof of the site key if
    its client has said a nonce of its own.
    """
    try:
        said = await _said(request)
    except msgspec.DecodeError:  # whatever it is, it is not needed
        said = {}
    header, by = fields(request), None
    try:
        cnonce = b64decode(str(said.get("cnonce", header.get("cnonce", ""))), validate=True)
    except ValueError:  # binascii.Error is one
        return web.Response(status=400)
    session, nonce = request.app[HOUSE].keyholders.challenge()
    if by_certificate(header):
        by = await begun(request, session, header)
        if by is None:
            return challenged(request, web.Response(status=401), "Identity not verified")
    proof = await _proof(request.app[HOUSE].site_key, nonce + cnonce) if cnonce else {}
    response = encoded(_told(session, nonce, by) | proof, 201)
    response.headers["Location"] = THIS
    return response


async def _said(request: web.Request) -> _Fields:
    """The fields of a body; of none, none. Raises msgspec.DecodeError and as reading bodies does."""
    octets = await request.app[BODIES].of_stranger(request, ANSWER_OCTETS)
    return msgspec.json.decode(octets, type=_Fields) if octets.strip() else {}


async def _proof(key: SiteKey | None, signed: bytes) -> dict[str, str]:
    """What the server is proven by, if it has a key. Raises BusyError."""
    if key is None:
        return {}
    # As from version 2.7 of the protocol on: SHA-256.
    signature = (await key.sign(signed, OWN))[1]
    return {"serverAlg": "SHA256", "serverSignature": b64encode(signature).decode()}


async def show(request: web.Request) -> web.Response:
    """The session that is named, and who began it."""
    session, keyholders = fields(request).get("sessionId"), request.app[HOUSE].keyholders
    if session is None:
        return web.Response(status=403)
    by, nonce = await keyholders.by_session(session), keyholders.nonce(session)
    if by is None and nonce is None:
        return challenged(request, web.Response(status=401), "Identity not verified")
    return encoded(_told(session, nonce, by))


async def answer(request: web.Request) -> web.Response:
    """Begins the session that is named by an answer to its nonce."""
    session, keyholders = fields(request).get("sessionId"), request.app[HOUSE].keyholders
    if session is None:
        return web.Response(status=403)
    try:
        said = await _said(request)
    except msgspec.DecodeError:
        return challenged(request, web.Response(status=401), "Identity not verified")
    by = await begun(request, session, fields(request) | {name: str(value) for name, value in said.items()})
    if by is None:
        return challenged(request, web.Response(status=401), "Identity not verified")
    return encoded(_told(session, keyholders.nonce(session), by))


async def close(request: web.Request) -> web.Response:
    """Ends the session that is named."""
    session = fields(request).get("sessionId")
    if session is None:
        return web.Response(status=403)
    await request.app[HOUSE].keyholders.end(session)
    return web.Response(status=204)


def add_routes(app: web.Application) -> None:
    """The routes of sessions."""
    app.router.add_post(PATH, _over_tls(open_))
    app.router.add_get(THIS, _over_tls(show))
    app.router.add_put(THIS, _over_tls(answer))
    app.router.add_delete(THIS, _over_tls(close))

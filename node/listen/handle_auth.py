"""Who asks at the Handle HTTP API: by a token of ours, or, over TLS alone, by a key of the Handle system: its secret
(Basic), or an answer to what it is to sign, or the certificate shown in the handshake (the scheme Handle, and its
sessions).

What they may do then is judged elsewhere.
"""

import binascii
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import unquote

from aiohttp import web

from node.keyholders import Answer
from node.listen import replies
from node.listen.http import HOUSE, is_secure, json_response, noted, peer
from node.listen.snms_api import bearer
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.keys import public
from proto.keys.proof import Derived, WebAnswer
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

    def actor(self, request: web.Request) -> Actor:
        """Who acts, as the audit journal tells it."""
        if self.by is not None:
            return Actor(0, self.account.username, "key", peer(request))
        return Actor.of(self.account, peer(request))

    def witnessed(self, request: web.Request, as_: str, objects: Iterable[str]) -> None:
        """As `http.witnessed`."""
        request.app[HOUSE].recording.witness.saw(self.actor(request), as_, objects)


def by_key(request: web.Request) -> bool:
    """Whether a key is to be proven, in a way in which it may be: deployed servers take nothing over plain HTTP."""
    return _scheme(request) in {"basic", "handle"} and is_secure(request)


def _scheme(request: web.Request) -> str:
    return request.headers.get("Authorization", "").partition(" ")[0].lower()


async def asker_of(request: web.Request, handle: str | None) -> Asker | web.Response:
    """Who asks, or the response that tells them to prove it. Raises BrakedError, BusyError and a DueError."""
    if bearer(request):
        account = await request.app[HOUSE].doorkeeper.account(bearer(request))
        return Asker(account) if account else json_response(replies.HANDLE_NOT_SIGNED_IN, 401, replies.CHALLENGE)
    if by_key(request):
        by = await (_by_secret(request) if _scheme(request) == "basic" else _by_session(request))
        if by is None:
            return challenged(request, web.Response(status=401), "Identity not verified")
        return Asker(Account(0, f"{by.index}:{by.handle}", "program", Role.ENTERPRISE_USER, None), by)
    # Whoever sends a secret over plain HTTP shall not be asked for it.
    status = 401 if is_secure(request) else 403
    response = json_response(failed(ResponseCode.AUTHENTICATION_NEEDED, handle), status)
    return challenged(request, response) if is_secure(request) else response


async def _by_secret(request: web.Request) -> Administrator | None:
    name, password = _basic(request)
    by = await request.app[HOUSE].keyholders.by_secret(name, password, peer(request))
    _noted(request, name, by)
    return by


def _noted(request: web.Request, name: str, by: Administrator | None) -> None:
    noted(request, 0, name[:USERNAME_CHARACTERS], "sign_in found" if by else "sign_in refused")


def _basic(request: web.Request) -> tuple[str, str]:
    """User name, percent-decoded, for its colon would end it, and secret (RFC 7617). Empty for what is none."""
    try:
        said = b64decode(request.headers["Authorization"][6:].strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    name, _, secret = said.partition(":")
    return unquote(name), secret


_FIELD: Final = re.compile(r'([A-Za-z]+)="([^"\\]*)"')


def fields(request: web.Request) -> dict[str, str]:
    """What a header `Authorization: Handle name="value", …` says; empty for another."""
    said = request.headers.get("Authorization", "") if _scheme(request) == "handle" else ""
    return dict(_FIELD.findall(said))


async def _by_session(request: web.Request) -> Administrator | None:
    """Who goes on with a session, or begins it with this very request; by a certificate no session is needed."""
    said = fields(request)
    session = said.get("sessionId", "")
    by = await request.app[HOUSE].keyholders.by_session(session)
    if by is None and ("signature" in said or by_certificate(said)):
        return await begun(request, session, said)
    if by is not None:
        _noted(request, f"{by.index}:{by.handle}", by)
    return by


def by_certificate(said: Mapping[str, str]) -> bool:
    """Whether the certificate of the handshake is to be gone by. It must be said: browsers show it unasked, whichever
    page has them ask.
    """
    return said.get("clientCert", "").lower() == "true"


async def begun(request: web.Request, session: str, said: Mapping[str, str]) -> Administrator | None:
    """Who begins a session by what was said; None when that proves nothing."""
    if by_certificate(said):
        return await _by_certificate(request, session)
    try:
        answer = answer_of(said)
    except (LookupError, ValueError):  # binascii.Error is one
        return None
    by = await request.app[HOUSE].keyholders.by_answer(session, answer, peer(request))
    _noted(request, answer.name, by)
    return by


async def _by_certificate(request: web.Request, session: str) -> Administrator | None:
    """Who showed a certificate in the handshake with us; what a proxy was shown, it does not tell."""
    handshake = request.get_extra_info("ssl_object")
    shown = handshake.getpeercert(binary_form=True) if handshake else None
    try:
        key, name = public.of_certificate(shown or b"")
    except ProtoError:
        return None
    by = await request.app[HOUSE].keyholders.by_certificate(name, key, peer(request), session)
    _noted(request, name, by)
    return by


def answer_of(said: Mapping[str, str]) -> Answer:
    """What is said by name. Raises LookupError or ValueError for what is no answer."""
    derived = None
    if "salt" in said:
        iterations, length = said["iterations"], said["length"]
        if not (iterations.isascii() and iterations.isdigit() and length.isascii() and length.isdigit()):
            raise ValueError("no numbers")
        derived = Derived(b64decode(said["salt"], validate=True), int(iterations[:10]), int(length[:10]))
    cnonce, signature = (b64decode(said.get(name, ""), validate=True) for name in ("cnonce", "signature"))
    return Answer(said["id"], said["type"], cnonce, WebAnswer(said["alg"], signature, derived))


def challenged(request: web.Request, response: web.Response, error: str = "") -> web.Response:
    """`response` with what to prove. Scripts of pages are not asked for Basic: browsers would ask their reader."""
    if request.headers.get("X-Requested-With") != "XMLHttpRequest" and _scheme(request) != "handle":
        response.headers.add("WWW-Authenticate", 'Basic realm="handle"')
    session, nonce = request.app[HOUSE].keyholders.challenge()
    why = f', error="{error}"' if error else ""
    asked = f'Handle sessionId="{session}", nonce="{b64encode(nonce).decode()}"{why}'
    response.headers.add("WWW-Authenticate", asked)
    return response

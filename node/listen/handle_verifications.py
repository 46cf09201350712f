"""GET /api/verifications/{index:identifier}, over TLS alone: whether a secret key that lies here answered a challenge
of another server, which cannot read it. The HTTP form of operation 201.
"""

import re
from base64 import b64decode
from typing import Final

from aiohttp import web

from node.keyholders import Held
from node.listen.handle_api import asked_for, dressed, raw_path
from node.listen.handle_auth import answer_of
from node.listen.http import HOUSE, encoded, is_secure, json_response, peer
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.limits import INDEX_LAST
from proto.native.bodies import Proof
from proto.web_json import failed

PATH: Final = "/api/verifications/"
OCTETS: Final = ("nonce", "cnonce", "signature")
"""Parameters in base64 of either alphabet; none may be missing."""

_NAMED: Final = re.compile(r"([0-9]+):(.*)", re.DOTALL)
_STANDARD: Final = str.maketrans("-_ ", "+/+")
"""base64 as it may come: in the other alphabet, or with a plus that nobody percent-encoded."""


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("verification", zh, en)


async def get(request: web.Request) -> web.Response:
    """Whether it did. With `nonce`, `cnonce`, `alg` and `signature`; of PBKDF2 `salt`, `iterations` and `length`, too.

    Raises BrakedError and BusyError.
    """
    if not is_secure(request):
        return web.Response(status=403)
    try:
        proof, challenge = _asked(request)
    except ProtoError as error:
        body = json_response(failed(ResponseCode.PROTOCOL_ERROR, message=error.en), 400)
        return dressed(body, request.query)
    # What another node asks is not asked on: of its keys it knows more than any other.
    held = await request.app[HOUSE].keyholders.by_proof(proof, challenge, peer(request), onward=False)
    told = {"responseCode": int(ResponseCode.SUCCESS), "isValid": isinstance(held, Held), "handle": proof.handle}
    return dressed(encoded(told), request.query)


def _asked(request: web.Request) -> tuple[Proof, bytes]:
    """The answer that is to be judged, and the challenge. Raises ProtoError."""
    index, handle = _key(request)
    said = dict(request.query)
    if missing := [name for name in (*OCTETS, "alg") if name not in said]:
        raise _wrong(f"缺少参数{missing[0]}", f"the parameter {missing[0]} is missing")
    said |= {name: _standard(said[name]) for name in (*OCTETS, "salt") if name in said}
    try:
        answer = answer_of(said | {"id": handle, "type": "HS_SECKEY"})
        nonce = b64decode(said["nonce"], validate=True)
    except (LookupError, ValueError):
        raise _wrong("参数应为base64和数", "parameters must be base64, and numbers") from None
    signed = answer.answer.to_octets()
    if signed is None:
        raise _wrong("alg不支持", "alg is not supported, or asks for too much")
    return Proof("HS_SECKEY", handle, index, signed), nonce + answer.cnonce


def _standard(text: str) -> str:
    text = text.translate(_STANDARD).rstrip("=")
    return text + "=" * (-len(text) % 4)


def _key(request: web.Request) -> tuple[int, str]:
    """Index and identifier, as spelt: the index in the path or as a parameter. Raises ProtoError."""
    text = asked_for(raw_path(request).removeprefix(PATH))
    found, given = _NAMED.fullmatch(text), request.query.getall("index", [])
    if bool(found) + len(given) != 1:
        raise _wrong("应给出一个索引", "one index must be given, as in 300:88.999.1001/ADMIN")
    index, handle = (found[1], found[2]) if found else (given[0], text)
    if not (index.isascii() and index.isdigit() and len(index) <= 10 and 1 <= int(index) <= INDEX_LAST):
        raise _wrong(f"索引应在1到{INDEX_LAST}之间", f"the index must be from 1 to {INDEX_LAST}")
    Identifier.parse(handle)
    return int(index), handle


def add_routes(app: web.Application) -> None:
    """The one route of verifications."""
    app.router.add_get(PATH + "{key:(?s:.*)}", get)

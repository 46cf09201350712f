"""Every operation of the Handle HTTP API by whoever may ask it, over TLS and not, and what comes of it: a table.

A new operation is a line in ASKED, a new kind of key one in KINDS. That a proxy of ours says https stands for TLS.
"""

import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from proto.keys import public
from proto.keys.private import PrivateKey
from proto.keys.proof import WEB_MACS, SecretAnswer
from tests.fakes.in_process import Node, node
from tests.fakes.small_registry import PREFIX

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN, SECRET, OTHERS = f"{PREFIX}/ADMIN", b"vector-secret-1", b"of somebody"
PATH = "/api/handles"
RSA, DSA = rsa.generate_private_key(65537, 2048), dsa.generate_private_key(1024)
STRANGER = rsa.generate_private_key(65537, 2048)
TLS = {"X-Forwarded-Proto": "https"}
CNONCE, SALT = b"of the client", b"salt of the client"


def value(index: int, type_: str, data: Any, permissions: str = "1110") -> dict[str, Any]:
    return {"index": index, "type": type_, "data": data, "permissions": permissions}


def octets(key: rsa.RSAPublicKey | dsa.DSAPublicKey) -> dict[str, str]:
    return {"format": "base64", "value": base64.b64encode(public.to_octets(key)).decode()}


BY_GROUP = {"format": "admin", "value": {"handle": f"{PREFIX}/GROUP", "index": 200, "permissions": "111111111111"}}
RECORD = [value(1, "URL", "http://x/"), value(2, "NOTE", "its owner's", "1100"), value(100, "HS_ADMIN", BY_GROUP)]
NEW, ADDED = [RECORD[0]], [value(9, "EMAIL", "a@x")]
KEYS = [
    value(300, "HS_SECKEY", SECRET.decode(), "1100"),
    value(301, "HS_PUBKEY", octets(RSA.public_key())),
    value(302, "HS_SECKEY", OTHERS.decode(), "1100"),
    value(303, "HS_PUBKEY", octets(DSA.public_key())),
]


def members(handle: str, index: int) -> dict[str, Any]:
    return {"format": "vlist", "value": [{"handle": handle, "index": index}]}


GROUPS = [value(200, "HS_VLIST", members(f"{PREFIX}/GROUP", 201)), value(201, "HS_VLIST", members(ADMIN, 302))]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(module_database: str) -> AsyncIterator[Node]:
    """One for all: 300, 301 and 303 are a server administrator's, 302 is in a group in a group."""
    admins = ",".join(f"{index}:{ADMIN}" for index in (300, 301, 303))
    async with node(module_database, trusted_proxies="127.0.0.1", server_admins=admins) as made:
        for name, values in (("ADMIN", KEYS), ("GROUP", GROUPS)):
            assert (await made.call("PUT", f"{PATH}/{PREFIX}/{name}", values))[0] == 201
        yield made


# --- who asks

Who = Callable[[Node, dict[str, str]], Awaitable[dict[str, str]]]
"""The headers by which somebody says who they are, to a node; given are the headers of all they ask."""


def basic(index: int, secret: str) -> Who:
    """The password of a key."""
    said = base64.b64encode(f"{quote(f'{index}:{ADMIN}')}:{secret}".encode()).decode()

    async def who(_: Node, __: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Basic {said}"}

    return who


def bearer(name: str) -> Who:
    """A token of the node."""

    async def who(running: Node, _: dict[str, str]) -> dict[str, str]:
        return {"Authorization": f"Bearer {running.tokens.get(name, 'x')}"}

    return who


async def nobody(_: Node, __: dict[str, str]) -> dict[str, str]:
    return {}


def session(index: int, algorithm: str, held: bytes | PrivateKey) -> Who:
    """A session that was begun by a key, or was not when that proves nothing."""

    async def who(running: Node, over: dict[str, str]) -> dict[str, str]:
        async with running.client.post("/api/sessions", headers=over | TLS) as response:
            told = await response.json()
        said = proof(index, algorithm, held, base64.b64decode(told["nonce"]) + CNONCE)
        headers = {"Authorization": f'Handle sessionId="{told["sessionId"]}"'}
        async with running.client.put("/api/sessions/this", json=said, headers=over | TLS | headers) as response:
            await response.read()
        return headers

    return who


def proof(index: int, algorithm: str, held: bytes | PrivateKey, challenge: bytes) -> dict[str, str]:
    """What answers a nonce."""
    more: dict[str, str] = {}
    if isinstance(held, PrivateKey):
        signature, type_ = held.sign(algorithm, challenge), "HS_PUBKEY"
    else:
        made = SecretAnswer.made(held, challenge, WEB_MACS[algorithm], SALT)
        signature, type_ = made.mac, "HS_SECKEY"
        if made.derived is not None:
            told = (base64.b64encode(SALT).decode(), str(made.derived.iterations), str(made.derived.bits))
            more = dict(zip(("salt", "iterations", "length"), told, strict=True))
    encoded = {"cnonce": base64.b64encode(CNONCE).decode(), "signature": base64.b64encode(signature).decode()}
    return {"id": f"{index}:{ADMIN}", "type": type_, "alg": algorithm, **encoded, **more}


def private_key(key: rsa.RSAPrivateKey | dsa.DSAPrivateKey) -> PrivateKey:
    return PrivateKey.read(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


# --- what is asked


class Asked(NamedTuple):
    """An operation: whether a record is there before it, and the status when it is done."""

    there: bool
    method: str
    query: str
    body: Any
    status: int


OF_ALL = f"/api/handles?prefix={PREFIX}"
ASKED = {
    "create": Asked(False, "PUT", "", NEW, 201),
    "create, not to overwrite": Asked(False, "PUT", "?overwrite=false", NEW, 201),
    "overwrite": Asked(True, "PUT", "", NEW, 200),
    "mint": Asked(False, "PUT", "?mintNewSuffix=true", NEW, 201),
    "add": Asked(True, "PUT", "?index=9&overwrite=false", ADDED, 201),
    "add or replace": Asked(True, "PUT", "?index=various", [*ADDED, value(1, "URL", "http://y/")], 200),
    "replace": Asked(True, "PUT", "?index=1", [value(1, "URL", "http://y/")], 200),
    "remove": Asked(True, "DELETE", "?index=1", None, 200),
    "delete": Asked(True, "DELETE", "", None, 200),
    "read what is not public": Asked(True, "GET", "?index=2", None, 200),
    "read it by POST": Asked(True, "POST", "", {"index": [2]}, 200),
    "list": Asked(False, "GET", OF_ALL, None, 200),
    "prefixes": Asked(False, "GET", "/api/prefixes", None, 200),
}
READS = {"read what is not public", "read it by POST"}
OF_A_RECORD = {"add", "add or replace", "replace", "remove", "delete"} | READS
"""What the HS_ADMIN of a record may allow; all else is allowed above it."""
WRITES = set(ASKED) - READS - {"list", "prefixes"}

Outcome = tuple[int, int | None]
"""Status, and response code; None: no body."""
DONE = (0, 1)
"""The status of ASKED."""
NOT_PROVEN, PLAIN, NEEDED, MAY_NOT, REFUSED = (401, None), (403, 402), (401, 402), (403, 400), (403, 401)
HIDDEN = (200, 200)
"""To whom no more is told than to everybody, there are no such values."""


def all_(outcome: Outcome, **but: Outcome) -> dict[str, Outcome]:
    """The same of every operation, but of these: `reads`, `of_record`, `writes`, `prefixes`."""
    named = {"reads": READS, "of_record": OF_A_RECORD, "writes": WRITES, "prefixes": {"prefixes"}}
    return dict.fromkeys(ASKED, outcome) | {name: told for kind, told in but.items() for name in named[kind]}


RSA_HELD, DSA_HELD = private_key(RSA), private_key(DSA)
KINDS: dict[str, tuple[Who, dict[str, str], dict[str, Outcome]]] = {
    "nobody": (nobody, TLS, all_(NEEDED, reads=HIDDEN)),
    "nobody, plain": (nobody, {}, all_(PLAIN, reads=HIDDEN)),
    "Basic": (basic(300, SECRET.decode()), TLS, all_(DONE)),
    "Basic, plain": (basic(300, SECRET.decode()), {}, all_(PLAIN, reads=HIDDEN)),
    "Basic, wrong secret": (basic(300, "wrong"), TLS, all_(NOT_PROVEN)),
    "Basic, no such key": (basic(399, "x"), TLS, all_(NOT_PROVEN)),
    "Basic, a public key": (basic(301, "x"), TLS, all_(NOT_PROVEN)),
    "Basic, by group": (basic(302, OTHERS.decode()), TLS, all_(MAY_NOT, of_record=DONE)),
    **{
        f"session by {algorithm}": (session(300, algorithm, SECRET), TLS, all_(DONE))
        for algorithm in ("SHA1", "SHA256", "MD5", "HMAC-SHA1", "HMAC-SHA256", "PBKDF2-HMAC-SHA1")
    },
    "session by RSA SHA1": (session(301, "SHA1", RSA_HELD), TLS, all_(DONE)),
    "session by RSA SHA256": (session(301, "SHA256", RSA_HELD), TLS, all_(DONE)),
    "session by DSA SHA1": (session(303, "SHA1", DSA_HELD), TLS, all_(DONE)),
    "session by DSA SHA256": (session(303, "SHA256", DSA_HELD), TLS, all_(DONE)),
    "session by a wrong secret": (session(300, "SHA256", b"wrong"), TLS, all_(NOT_PROVEN)),
    "session by another's key": (session(301, "SHA256", private_key(STRANGER)), TLS, all_(NOT_PROVEN)),
    "session, by group": (session(302, "SHA256", OTHERS), TLS, all_(MAY_NOT, of_record=DONE)),
    "session, plain": (session(300, "SHA256", SECRET), {}, all_(PLAIN, reads=HIDDEN)),
    "token of its enterprise": (bearer("leather"), {}, all_(DONE, prefixes=REFUSED)),
    "token of another's": (bearer("stranger"), {}, all_(REFUSED, reads=HIDDEN)),
    "token of nobody": (bearer("nobody"), {}, all_(NEEDED)),
}


async def tried(running: Node, what: str, name: str, who: dict[str, str]) -> tuple[int, int | None]:
    """Status and code of an operation on an identifier of its own."""
    asked = ASKED[what]
    if asked.there:
        assert (await running.call("PUT", f"{PATH}/{PREFIX}/{name}", RECORD))[0] == 201
    path = asked.query if asked.query.startswith("/") else f"{PATH}/{PREFIX}/{name}{asked.query}"
    headers = who | ({"Content-Type": "application/json"} if asked.body is not None else {})
    data = None if asked.body is None else json.dumps(asked.body).encode()
    async with running.client.request(asked.method, path, data=data, headers=headers) as response:
        read = await response.read()
        return response.status, json.loads(read)["responseCode"] if read else None


@pytest.mark.parametrize("kind", KINDS)
async def test_every_operation_by_every_kind_of_key(running: Node, kind: str) -> None:
    who, over, outcomes = KINDS[kind]
    came = {}
    for number, what in enumerate(ASKED):
        told = over | {"X-Forwarded-For": f"192.0.2.{number}"}  # who guesses is braked by address
        name = f"{kind.upper().replace(' ', '-')}-{number}"
        came[what] = await tried(running, what, name, told | await who(running, told))
    assert came == {what: (ASKED[what].status, 1) if outcome == DONE else outcome for what, outcome in outcomes.items()}

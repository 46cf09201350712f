"""Sessions of the Handle HTTP API on a node in this process: begun by every kind of key, once, found by all, ended.

With it go registry/postgres/key_sessions.py and the scheme Handle of node/listen/handle_auth.py.
"""

import base64
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA1, SHA256

from node import site_key
from node.brake import Brake
from proto.keys import public
from proto.keys.proof import PBKDF2, WEB_MACS, SecretAnswer
from proto.web_json import octets_from_jwk
from registry.key_session import NONCE_SECONDS, SESSIONS_OF_KEY
from tests.fakes.in_process import Node, node
from tests.fakes.small_registry import PREFIX

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN, SECRET = f"300:{PREFIX}/ADMIN", b"vector-secret-1"
PATH, THIS = f"/api/handles/{PREFIX}", "/api/sessions/this"
URL = [{"index": 1, "type": "URL", "data": "http://x/"}]
TLS = {"X-Forwarded-Proto": "https"}
CNONCE, SALT = b"of the client", b"salt of the client"
RSA = rsa.generate_private_key(65537, 2048)


def jwk() -> dict[str, Any]:
    def number(given: int) -> str:
        return base64.urlsafe_b64encode(given.to_bytes((given.bit_length() + 7) // 8)).rstrip(b"=").decode()

    numbers = RSA.public_key().public_numbers()
    return {"format": "key", "value": {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e)}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    """One for all tests; its administrator has a secret key (300) and a public one (301)."""
    admins, key = f"{ADMIN},301:{PREFIX}/ADMIN", str(site_key.own(tmp_path_factory.mktemp("site")))
    async with node(module_database, trusted_proxies="127.0.0.1", server_admins=admins, site_key=key) as made:
        secret = {"index": 300, "type": "HS_SECKEY", "data": SECRET.decode(), "permissions": "1100"}
        keys = [secret, {"index": 301, "type": "HS_PUBKEY", "data": jwk()}]
        assert (await made.call("PUT", f"{PATH}/ADMIN", keys))[0] == 201
        yield made


async def call(
    running: Node, method: str, path: str, body: Any = None, who: str = "", tls: bool = True
) -> tuple[int, Any, list[str]]:
    """Status, JSON and challenges of one call."""
    headers = (TLS if tls else {}) | {"Content-Type": "application/json"} | ({"Authorization": who} if who else {})
    data = json.dumps(body).encode() if body is not None else None
    async with running.client.request(method, path, data=data, headers=headers) as response:
        read = await response.read()
        return response.status, json.loads(read) if read else None, response.headers.getall("WWW-Authenticate", [])


async def opened(running: Node) -> tuple[str, bytes]:
    """A session that may begin, and its nonce."""
    status, told, _ = await call(running, "POST", "/api/sessions")
    assert status == 201
    return told["sessionId"], base64.b64decode(told["nonce"])


def by_secret(nonce: bytes, algorithm: str = "SHA256", secret: bytes = SECRET) -> dict[str, str]:
    """What proves the secret key."""
    made = SecretAnswer.made(secret, nonce + CNONCE, WEB_MACS[algorithm], SALT)
    derived = {}
    if made.derived is not None:
        salt = base64.b64encode(SALT).decode()
        derived = {"salt": salt, "iterations": str(made.derived.iterations), "length": str(made.derived.bits)}
    return answer(ADMIN, "HS_SECKEY", algorithm, made.mac) | derived


def by_key(nonce: bytes, algorithm: str = "SHA256") -> dict[str, str]:
    """What proves the public key."""
    hashed = {"SHA256": SHA256(), "SHA1": SHA1()}[algorithm]
    return answer(f"301:{PREFIX}/ADMIN", "HS_PUBKEY", algorithm, RSA.sign(nonce + CNONCE, PKCS1v15(), hashed))


def answer(name: str, type_: str, algorithm: str, signature: bytes) -> dict[str, str]:
    encoded = {"cnonce": base64.b64encode(CNONCE).decode(), "signature": base64.b64encode(signature).decode()}
    return {"id": name, "type": type_, "alg": algorithm, **encoded}


def header(session: str, said: dict[str, str] | None = None) -> str:
    fields = {"version": "0", "sessionId": session} | (said or {})
    return "Handle " + ", ".join(f'{name}="{value}"' for name, value in fields.items())


@pytest.mark.parametrize("algorithm", ["SHA1", "SHA256", "MD5", "HMAC-SHA1", "HMAC-SHA256", "PBKDF2-HMAC-SHA1", "RSA"])
async def test_a_session_begins_by_every_kind_of_key_and_is_found_again(running: Node, algorithm: str) -> None:
    session, nonce = await opened(running)
    said = by_key(nonce) if algorithm == "RSA" else by_secret(nonce, algorithm)
    assert ("salt" in said) == (WEB_MACS.get(algorithm) == PBKDF2)
    assert (await call(running, "PUT", f"{PATH}/S", URL, header(session)))[0] == 401, "not yet"
    told = {"sessionId": session, "nonce": base64.b64encode(nonce).decode(), "authenticated": True, "id": said["id"]}
    assert (await call(running, "PUT", THIS, said, header(session)))[:2] == (200, told)
    assert (await call(running, "GET", THIS, None, header(session)))[:2] == (200, told)
    for _ in range(2):
        assert (await call(running, "PUT", f"{PATH}/S", URL, header(session)))[0] in {200, 201}
    assert (await call(running, "PUT", THIS, said, header(session)))[0] == 401, "a nonce is good once"
    assert (await call(running, "DELETE", THIS, None, header(session)))[0] == 204
    assert (await call(running, "PUT", f"{PATH}/S", URL, header(session)))[0] == 401
    assert (await call(running, "PUT", f"{PATH}/S", URL, header(session, said)))[0] == 401, "nor when it has ended"
    running.house.keyholders._brake = Brake(lambda: 0.0)


async def test_the_server_proves_itself_to_who_says_a_nonce(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    _, site, _ = await call(running, "GET", "/api/site")
    shown = octets_from_jwk(site["servers"][0]["publicKey"]["value"])
    said = {"cnonce": base64.b64encode(CNONCE).decode()}
    for body, who in ((said, ""), (None, f'Handle cnonce="{said["cnonce"]}"')):
        status, told, _ = await call(running, "POST", "/api/sessions", body, who)
        assert (status, told["serverAlg"]) == (201, "SHA256")
        signed, signature = base64.b64decode(told["nonce"]) + CNONCE, base64.b64decode(told["serverSignature"])
        assert public.verifies(public.load(shown), "SHA256", signature, signed)
    for body in (None, {}, {"version": 0}, [1], {"cnonce": None}):
        _, told, _ = await call(running, "POST", "/api/sessions", body)
        assert told.keys() == {"sessionId", "nonce"}
    assert (await call(running, "POST", "/api/sessions", {"cnonce": "*"}))[0] == 400
    monkeypatch.setattr(site_key, "WAITING_MOST", 0)
    assert (await call(running, "POST", "/api/sessions", said))[0] == 503


async def test_it_may_begin_with_the_very_request_and_that_be_repeated(running: Node) -> None:
    _, _, asked = await call(running, "PUT", f"{PATH}/T", URL)
    assert asked[0] == 'Basic realm="handle"'
    found = re.fullmatch(r'Handle sessionId="([^"]+)", nonce="([^"]+)"', asked[1])
    assert found is not None
    who = header(found[1], by_key(base64.b64decode(found[2]), "SHA1"))
    assert (await call(running, "PUT", f"{PATH}/T", URL, who))[0] == 201
    assert (await call(running, "GET", f"{PATH}/T", None, who))[0] == 200
    assert (await call(running, "DELETE", f"{PATH}/T", None, who))[0] == 200


async def test_what_proves_nothing_begins_nothing_and_is_asked_anew(running: Node) -> None:
    session, nonce = await opened(running)
    good = by_secret(nonce)
    for wrong in (
        by_secret(nonce, secret=b"another"),
        by_secret(bytes(16)),
        good | {"id": f"301:{PREFIX}/ADMIN"},
        good | {"id": "nobody"},
        good | {"type": "HS_PUBKEY"},
        good | {"alg": "SHA512"},
        good | {"cnonce": "%%"},
        good | {"salt": "", "iterations": "x", "length": "1"},
        good | {"salt": "YWJj", "iterations": "1"},
        {"signature": "x"},
    ):
        for status, told, asked in (
            await call(running, "PUT", THIS, wrong, header(session)),
            await call(running, "PUT", f"{PATH}/N", URL, header(session, {"signature": ""} | wrong)),
        ):
            assert (status, told, len(asked)) == (401, None, 1), wrong
            assert asked[0].startswith("Handle sessionId=")
            assert asked[0].endswith('error="Identity not verified"')
        running.house.keyholders._brake = Brake(lambda: 0.0)
    for body in ([], {"id": [1]}, None):
        assert (await call(running, "PUT", THIS, body, header(session)))[0] == 401
    assert (await call(running, "PUT", THIS, good, header("unknown")))[0] == 401
    assert (await call(running, "GET", THIS, None, header("unknown")))[0] == 401
    assert (await call(running, "GET", THIS, None, header(session)))[1].keys() == {"sessionId", "nonce"}
    for method in ("GET", "PUT", "DELETE"):
        assert (await call(running, method, THIS, good))[0] == 403
    assert (await call(running, "PUT", f"{PATH}/N", URL, 'Handle clientCert="true"'))[0] == 401
    assert (await call(running, "PUT", THIS, good, header(session)))[0] == 200, "the nonce is still good"


async def test_over_plain_http_there_are_none(running: Node) -> None:
    session, nonce = await opened(running)
    for method, path, who in (
        ("POST", "/api/sessions", ""),
        ("GET", THIS, header(session)),
        ("PUT", THIS, header(session)),
        ("DELETE", THIS, header(session)),
    ):
        assert (await call(running, method, path, by_secret(nonce), who, tls=False))[:2] == (403, None)
    assert (await call(running, "PUT", f"{PATH}/P", URL, header(session, by_secret(nonce)), tls=False))[0] == 403


async def test_a_session_ends_with_its_key_and_in_time(running: Node, module_database: str) -> None:
    async def begun(secret: str) -> str:
        key = {"index": 300, "type": "HS_SECKEY", "data": secret, "permissions": "1100"}
        assert (await running.call("PUT", f"{PATH}/KEYED", [key]))[0] in {200, 201}
        session, nonce = await opened(running)
        said = by_secret(nonce, secret=secret.encode()) | {"id": f"300:{PREFIX}/KEYED"}
        assert (await call(running, "PUT", THIS, said, header(session)))[0] == 200
        return session

    async def lives(session: str) -> bool:
        return "authenticated" in (await call(running, "GET", THIS, None, header(session)))[1]

    first, second = await begun("one"), await begun("two")
    assert not await lives(first)
    assert await lives(second)
    assert (await running.call("DELETE", f"{PATH}/KEYED?index=300"))[0] == 200
    assert not await lives(second)
    third = await begun("three")
    connection = await asyncpg.connect(module_database)
    for minutes, live in ((29, True), (29, True), (31, False)):
        await connection.execute("UPDATE key_session SET used = used - $1 * interval '1 minute'", minutes)
        assert await lives(third) == live, "from when it was used last"
    await begun("four")
    assert await connection.fetchval("SELECT count(*) FROM key_session") == 1, "what was silent is gone"
    await connection.close()


async def test_sessions_of_a_key_are_bounded(running: Node) -> None:
    steward, digest = running.house.steward, bytes(32)
    for n in range(SESSIONS_OF_KEY + 5):
        assert await steward.begin_key_session(n.to_bytes(32), "300:88.1/X", digest)
    assert await steward.key_session((4).to_bytes(32)) is None
    for n in (5, SESSIONS_OF_KEY + 4):
        assert await steward.key_session(n.to_bytes(32)) == ("300:88.1/X", digest)


async def test_a_nonce_is_to_be_answered_in_time(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    session, nonce = await opened(running)
    then = running.house.keyholders._now() + NONCE_SECONDS + 1
    monkeypatch.setattr(running.house.keyholders, "_now", lambda: then)
    assert (await call(running, "PUT", THIS, by_secret(nonce), header(session)))[0] == 401

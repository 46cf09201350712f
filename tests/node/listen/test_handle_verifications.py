"""GET /api/verifications on a node in this process: what other servers are told of a secret key that lies here."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio
from yarl import URL

from node.brake import Brake
from proto.keys.proof import WEB_MACS, SecretAnswer
from tests.fakes.in_process import Node, node
from tests.fakes.small_registry import PREFIX

pytestmark = pytest.mark.asyncio(loop_scope="module")

ADMIN, SECRET = f"{PREFIX}/ADMIN", b"vector-secret-1"
NONCE, CNONCE = bytes(range(0xF0, 0x100)), b"of the client"
TLS = {"X-Forwarded-Proto": "https"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(module_database: str) -> AsyncIterator[Node]:
    async with node(module_database, trusted_proxies="127.0.0.1") as made:
        secret = {"index": 300, "type": "HS_SECKEY", "data": SECRET.decode(), "permissions": "1100"}
        exposed = {"index": 301, "type": "HS_SECKEY", "data": SECRET.decode()}
        assert (await made.call("PUT", f"/api/handles/{ADMIN}", [secret, exposed]))[0] == 201
        yield made


def said(algorithm: str = "SHA256", secret: bytes = SECRET, safe: bool = False) -> dict[str, str]:
    """The parameters of a verification."""
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    made = SecretAnswer.made(secret, NONCE + CNONCE, WEB_MACS[algorithm], b"salt")
    octets = {"nonce": NONCE, "cnonce": CNONCE, "signature": made.mac}
    given = {"alg": algorithm} | {name: encode(value).decode() for name, value in octets.items()}
    if made.derived:
        numbers = {"iterations": str(made.derived.iterations), "length": str(made.derived.bits)}
        given |= {"salt": encode(b"salt").decode().rstrip("=")} | numbers
    return given


async def call(
    running: Node, key: str, given: dict[str, str] | None = None, headers: dict[str, str] = TLS
) -> tuple[int, Any]:
    async with running.client.get(f"/api/verifications/{key}", params=given or {}, headers=headers) as response:
        read = await response.read()
        return response.status, json.loads(read) if read else None


@pytest.mark.parametrize(
    "algorithm", ["SHA1", "SHA-1", "SHA256", "MD5", "HMAC-SHA1", "HMAC-SHA256", "PBKDF2-HMAC-SHA1"]
)
async def test_whether_a_secret_key_answered(running: Node, algorithm: str) -> None:
    key = f"300:{ADMIN}"
    told = {"responseCode": 1, "isValid": True, "handle": ADMIN}
    assert await call(running, key, said(algorithm)) == (200, told)
    assert await call(running, key, said(algorithm, safe=True)) == (200, told)
    assert await call(running, key, said(algorithm, secret=b"another")) == (200, told | {"isValid": False})
    running.house.keyholders._brake = Brake(lambda: 0.0)


async def test_of_keys_that_are_none_nothing_is_valid(running: Node) -> None:
    for key in (f"302:{ADMIN}", f"301:{ADMIN}", f"300:{PREFIX}/NOBODY", "300:77.1/ADMIN"):
        handle = key.partition(":")[2]
        assert await call(running, key, said()) == (200, {"responseCode": 1, "isValid": False, "handle": handle})
    running.house.keyholders._brake = Brake(lambda: 0.0)


async def test_the_index_may_be_a_parameter(running: Node) -> None:
    assert (await call(running, ADMIN, said() | {"index": "300"}))[1]["isValid"] is True


async def test_the_key_may_be_percent_encoded(running: Node) -> None:
    path = URL(f"/api/verifications/300%3A{quote(ADMIN, safe='')}", encoded=True).with_query(said())
    async with running.client.get(path, headers=TLS) as response:
        assert await response.json() == {"responseCode": 1, "isValid": True, "handle": ADMIN}


async def test_what_is_wrong_is_told(running: Node) -> None:
    good, key = said(), f"300:{ADMIN}"
    pbkdf2 = said("PBKDF2-HMAC-SHA1")
    for name, given in (
        (key, {k: v for k, v in good.items() if k != "nonce"}),
        (key, {k: v for k, v in good.items() if k != "alg"}),
        (key, good | {"signature": "%%"}),
        (key, good | {"nonce": "?"}),
        (key, good | {"alg": "SHA512"}),
        (key, pbkdf2 | {"iterations": "9999999999"}),
        (key, pbkdf2 | {"length": "x"}),
        (key, {k: v for k, v in pbkdf2.items() if k != "length"}),
        (key, good | {"index": "300"}),
        (ADMIN, good),
        (f"0:{ADMIN}", good),
        (f"9999999999:{ADMIN}", good),
        ("300:none", good),
        ("", good),
    ):
        status, told = await call(running, name, given)
        assert (status, told["responseCode"]) == (400, 4), (name, given)


async def test_over_plain_http_nobody_is_told(running: Node) -> None:
    assert await call(running, f"300:{ADMIN}", said(), headers={}) == (403, None)


async def test_who_guesses_is_braked(running: Node) -> None:
    running.house.keyholders._brake = Brake(lambda: 0.0)
    wrong = said(secret=b"guess")
    statuses = [(await call(running, f"300:{ADMIN}", wrong))[0] for _ in range(12)]
    assert statuses == [200] * 10 + [429] * 2
    running.house.keyholders._brake = Brake(lambda: 0.0)

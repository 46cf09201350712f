"""Sign-in by challenge and response, as IDHub has it: once, for a minute, and nobody else's challenge is taken away."""

import asyncio
import base64
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from registry import challenge as rules
from tests.fakes.in_process import PREFIX, Node, node

KEY = rsa.generate_private_key(65537, 2048)
PEM = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
APP = f"{PREFIX}/App_mes"
PATH = f"/api/v1/accounts/{PREFIX}%2FApp_mes/key"
CHALLENGE, VERIFY = "/api/v1/doip/public/challenge", "/api/v1/doip/public/verify-response"


@pytest.fixture
async def made(database: str) -> AsyncIterator[Node]:
    async with node(database) as running:
        app = {"username": APP, "kind": "program", "role": "enterprise_admin"}
        assert (await running.call("POST", "/api/v1/accounts", app))[0] == 200
        await put_key(running, "PUT", {"publicKey": PEM})
        yield running


async def put_key(running: Node, method: str, body: object = None) -> None:
    headers = {"Authorization": f"Bearer {running.tokens['leather']}"}
    async with running.client.request(method, PATH, json=body, headers=headers) as response:
        assert response.status == 204


async def challenged(running: Node, handle: str = APP) -> str:
    _, told = await running.call("GET", f"{CHALLENGE}?handle={handle}", who=None)
    assert (told["code"], told["message"]) == (1, "operation was successfully processed")
    return str(told["data"])


def signed(text: str) -> str:
    return base64.b64encode(KEY.sign(text.encode(), PKCS1v15(), SHA256())).decode()


async def verified(running: Node, text: str, method: str = "POST", handle: str = APP) -> int:
    """The code that is told; a token that is given is kept as `app`."""
    status, told = await running.call(method, VERIFY, {"handle": handle, "signature": signed(text)}, who=None)
    assert status == 200
    if told["code"] == 1:
        running.tokens["app"] = told["data"]["token"]
    return int(told["code"])


async def test_a_signed_challenge_is_worth_a_token_once(made: Node) -> None:
    for method in ("POST", "GET"):  # the documents have the one, the SDK the other
        text = await challenged(made)
        assert await verified(made, text, method) == 1
        assert (await made.call("GET", "/api/v1/batches", who="app"))[0] == 200
        assert await verified(made, text, method) == 401, "used up"
    both = await challenged(made), await challenged(made)
    assert both[0] != both[1]
    told = await asyncio.gather(*(verified(made, text) for text in (*both, *both)))
    assert sorted(told) == [1, 1, 401, 401], "programs that sign in together do so each by its own"


async def test_it_ends_with_its_minute_and_with_its_key(made: Node) -> None:
    text = await challenged(made)
    async with made.registry.pool.acquire() as connection:
        left = await connection.fetchval("SELECT extract(epoch FROM expires - now()) FROM challenge")
        assert 0 < left <= rules.CHALLENGE_SECONDS
        await connection.execute("UPDATE challenge SET expires = now()")
    assert await verified(made, text) == 401
    text = await challenged(made)
    await put_key(made, "DELETE")
    assert await verified(made, text) == 401


async def test_whoever_asks_for_many_takes_nobodys_away(made: Node) -> None:
    mine = await challenged(made)
    for _ in range(rules.CHALLENGES_MOST + 5):
        last = await made.house.doorkeeper.challenge(APP)
    async with made.registry.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM challenge") == rules.CHALLENGES_MOST
        late = await challenged(made)
        assert late == last
        assert [await verified(made, each) for each in (mine, late)] == [1, 1]
        await connection.execute("UPDATE challenge SET expires = now()")
        await challenged(made)
        assert await connection.fetchval("SELECT count(*) FROM challenge") == 1, "what has ended goes"


async def test_only_application_identities_are_challenged_and_nothing_is_told_of_them(made: Node) -> None:
    real = await challenged(made)
    assert await verified(made, real) == 1
    await put_key(made, "DELETE")
    for handle in (f"{PREFIX}/App_nobody", APP):
        text = await challenged(made, handle)
        assert len(text) == len(real)
        assert await verified(made, text, handle=handle) == 401
    async with made.registry.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM challenge") == 0
    for handle in ("", "leather", "AK-leather", f"{PREFIX}/mes", "%00"):
        _, told = await made.call("GET", f"{CHALLENGE}?handle={handle}", who=None)
        assert told["code"] == 901
    for body, code in (
        (b"", 30000),
        (b"[]", 30000),
        (b'{"handle": 1, "signature": ""}', 30000),
        ({"handle": APP}, 30000),
        ({"handle": "leather", "signature": "x"}, 901),
        ({"handle": APP, "signature": "x"}, 401),
    ):
        status, told = await made.call("POST", VERIFY, body, who=None)
        assert (status, told["code"], told["data"]) == (200, code, None)
    for key in ("", "x", PEM[:-30]):
        status, told = await made.call("PUT", PATH, {"publicKey": key})
        assert (status, told["error"]["field"]) == (400, "publicKey")
    assert (await made.call("PUT", "/api/v1/accounts/leather/key", {"publicKey": PEM}, who="admin"))[0] == 400

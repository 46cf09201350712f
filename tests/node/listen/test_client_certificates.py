"""Who shows a certificate on the port for that, on a node in this process: as whom it is judged, and how soon no more.

With it goes `by_certificate` of node/keyholders.py.
"""

import asyncio
import base64
import json
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from node import tls
from node.brake import Brake
from node.listen import https
from node.listen.connection import Crowd
from proto.forwarded_for import TrustedProxies
from proto.keys import public
from tests.fakes.certificate import client_certificate, own_certificate
from tests.fakes.in_process import Node, node
from tests.fakes.small_registry import PREFIX

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOLDER = f"301:{PREFIX}/ADMIN"
CERT = 'Handle clientCert="true"'
URL = [{"index": 1, "type": "URL", "data": "http://x/"}]
ADMIN, THIS = f"/api/handles/{PREFIX}/ADMIN", "/api/sessions/this"


def key_value(key: Any, index: int = 301) -> dict[str, Any]:
    data = base64.b64encode(public.to_octets(key.public_key())).decode()
    return {"index": index, "type": "HS_PUBKEY", "data": {"format": "base64", "value": data}}


@asynccontextmanager
async def port(made: Node, file: Path, shown: Any) -> AsyncIterator[str]:
    """An HTTPS port of the node, and where it is."""
    runner: Any = made.client.server.made  # type: ignore[attr-defined]
    server = web.AppRunner.server.fget(runner)  # type: ignore[attr-defined]
    crowd = Crowd(server, 100, TrustedProxies.parse(""), None, lambda _: None)
    listening = socket.create_server(("127.0.0.1", 0))
    at = f"https://127.0.0.1:{listening.getsockname()[1]}"
    door = https.Door(crowd, TrustedProxies.parse(""), str(file), "", shown)
    serving = asyncio.create_task(door.serve(listening))
    try:
        yield at
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


class World:
    """A node with both ports, the key of its administrator, and clients before them."""

    def __init__(self, made: Node, key: ec.EllipticCurvePrivateKey, mine: Path, here: str, plain: str) -> None:
        self.node, self.key, self.mine, self.here, self.plain = made, key, mine, here, plain

    @asynccontextmanager
    async def client(self, file: Path | None = None, at: str = "") -> AsyncIterator[Any]:
        """A way to call on connections that show the certificate in `file`: status, JSON, challenges."""
        context = ssl.create_default_context(cafile=str(self.mine.with_name("https.pem")))
        if file:
            context.load_cert_chain(file)
        async with aiohttp.ClientSession(at or self.here, connector=aiohttp.TCPConnector(ssl=context)) as session:

            async def call(
                method: str, path: str, body: Any = None, who: str | None = CERT
            ) -> tuple[int, Any, list[str]]:
                headers = {"Content-Type": "application/json"} | ({"Authorization": who} if who else {})
                data = json.dumps(body).encode() if body is not None else None
                async with session.request(method, path, data=data, headers=headers) as response:
                    read = await response.read()
                    asked = response.headers.getall("WWW-Authenticate", [])
                    return response.status, json.loads(read) if read else None, asked

            yield call

    async def put_key(self, value: dict[str, Any]) -> None:
        """The owner puts another value in the key's place."""
        assert (await self.node.call("PUT", f"{ADMIN}?index=301", [value]))[0] == 200


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    folder = tmp_path_factory.mktemp("certificates")
    own_certificate(folder / "https.pem")
    key = client_certificate(folder / "mine.pem", HOLDER)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    async with (
        node(module_database, server_admins=HOLDER) as made,
        port(made, folder / "https.pem", tls.asking) as here,
        port(made, folder / "https.pem", tls.context) as plain,
    ):
        assert (await made.call("PUT", ADMIN, [key_value(key)]))[0] == 201
        yield World(made, key, folder / "mine.pem", here, plain)


@pytest.fixture(autouse=True)
def _unbraked(world: World) -> None:
    world.node.house.keyholders._brake = Brake(lambda: 0.0)


async def test_all_that_a_key_may_do(world: World) -> None:
    path = f"/api/handles/{PREFIX}/C"
    async with world.client(world.mine) as call:
        assert await call("PUT", f"{path}?overwrite=false", URL) == (
            201,
            {"responseCode": 1, "handle": f"{PREFIX}/C"},
            [],
        )
        assert (await call("PUT", f"{path}?overwrite=false", URL))[:2] == (
            409,
            {"responseCode": 101, "handle": f"{PREFIX}/C"},
        )
        assert (await call("PUT", path, URL))[0] == 200
        secret = [{"index": 7, "type": "X", "data": "hidden", "permissions": "1100"}]
        assert (await call("PUT", f"{path}?index=7", secret))[0] == 201
        assert [each["index"] for each in (await call("GET", path))[1]["values"]] == [1, 7]
        assert [each["index"] for each in (await call("GET", path, who=None))[1]["values"]] == [1]
        assert f"{PREFIX}/C" in (await call("GET", f"/api/handles?prefix={PREFIX}"))[1]["handles"]
        assert (await call("GET", "/api/prefixes"))[0] == 200
        assert (await call("DELETE", f"{path}?index=7"))[0] == 200
        assert (await call("DELETE", path, who='Handle version="0", clientCert="True"'))[0] == 200


async def test_it_must_be_said_shown_and_shown_to_us(world: World) -> None:
    async with world.client(world.mine) as call:
        status, told, asked = await call("PUT", f"/api/handles/{PREFIX}/D", URL, who=None)
        assert (status, told["responseCode"], len(asked)) == (401, 402, 2), "browsers show it unasked"
        assert (await call("PUT", f"/api/handles/{PREFIX}/D", URL, who='Handle clientCert="false"'))[0] == 401
    for file, at in ((None, world.here), (world.mine, world.plain)):
        async with world.client(file, at) as call:
            status, told, asked = await call("PUT", f"/api/handles/{PREFIX}/D", URL)
            assert (status, told, len(asked)) == (401, None, 1)
            assert asked[0].endswith('error="Identity not verified"')
            assert (await call("POST", "/api/sessions"))[0] == 401


async def test_the_key_must_be_the_one_that_lies_there(world: World) -> None:
    folder = world.mine.parent
    for holder in (HOLDER, f"302:{PREFIX}/ADMIN", f"301:{PREFIX}/nobody", "301:88.999.7/x", "301", "0:", "x:y/z"):
        client_certificate(folder / "other.pem", holder)
        async with world.client(folder / "other.pem") as call:
            assert (await call("PUT", f"/api/handles/{PREFIX}/E", URL))[:2] == (401, None), holder
    client_certificate(folder / "again.pem", f"0301:{PREFIX.lower()}/ADMIN", world.key)
    async with world.client(folder / "again.pem") as call:
        assert (await call("PUT", f"/api/handles/{PREFIX}/E", URL))[0] == 201, "another certificate of the same key"


@pytest.mark.parametrize(
    "instead",
    [
        key_value(ec.derive_private_key(7, ec.SECP256R1())),
        {"index": 301, "type": "URL", "data": "http://x/"},
        {"index": 301, "type": "HS_PUBKEY", "data": "no key"},
    ],
)
async def test_what_is_no_more_there_is_refused_at_once_on_an_open_connection(
    world: World, instead: dict[str, Any]
) -> None:
    async with world.client(world.mine) as call:
        _, told, _ = await call("POST", "/api/sessions")
        session = f'Handle sessionId="{told["sessionId"]}"'
        for who in (CERT, session):
            assert (await call("PUT", f"/api/handles/{PREFIX}/F", URL, who))[0] in {200, 201}
        await world.put_key(instead)
        for who in (CERT, session):
            assert (await call("PUT", f"/api/handles/{PREFIX}/F", URL, who))[0] == 401
        await world.put_key(key_value(world.key))
        assert (await call("PUT", f"/api/handles/{PREFIX}/F", URL))[0] == 200


async def test_a_session_begins_by_it_and_goes_on_where_none_is_shown(world: World) -> None:
    async with world.client(world.mine) as call, world.client(None, world.plain) as elsewhere:
        status, told, _ = await call("POST", "/api/sessions")
        assert (status, told["authenticated"], told["id"]) == (201, True, HOLDER)
        session = f'Handle sessionId="{told["sessionId"]}"'
        assert (await elsewhere("GET", THIS, None, session))[:2] == (200, told)
        assert (await elsewhere("PUT", f"/api/handles/{PREFIX}/G?overwrite=false", URL, session))[0] == 201
        assert (await elsewhere("DELETE", THIS, None, session))[0] == 204
        assert (await elsewhere("DELETE", f"/api/handles/{PREFIX}/G", None, session))[0] == 401
        assert (await call("DELETE", f"/api/handles/{PREFIX}/G", None, f'{session}, clientCert="true"'))[0] == 401
        for begin in ("header", "body", "request"):
            _, told, _ = await elsewhere("POST", "/api/sessions", who=None)
            session = f'Handle sessionId="{told["sessionId"]}"'
            assert (await elsewhere("PUT", THIS, {"clientCert": True}, session))[0] == 401
            if begin == "body":
                status, said, _ = await call("PUT", THIS, {"clientCert": True}, session)
                assert (status, said["id"]) == (200, HOLDER)
            elif begin == "header":
                assert (await call("PUT", THIS, {}, f'{session}, clientCert="true"'))[0] == 200
            else:
                assert (await call("GET", "/api/prefixes", None, f'{session}, clientCert="true"'))[0] == 200
            assert (await elsewhere("GET", "/api/prefixes", None, session))[0] == 200
        assert (await call("GET", "/api/prefixes", None, 'Handle sessionId="unknown", clientCert="true"'))[0] == 401

"""Proves node/elsewhere.py on a node in this process beside another one: whose keys are taken, and what is refused.

With it go the far keys of node/keyholders.py, `told` of node/resolve/forwarded.py and `post` of node/link.py.
"""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from loadtest.native import Connection
from node import clock, elsewhere
from node.brake import Brake
from node.elsewhere import SIGNED_OCTETS, TRUSTED_SECONDS, is_elsewhere, is_trusted, trusted_until
from node.native import tcp
from node.native.desk import Desk
from node.native.lane import Lane
from node.resolve import forwarded
from proto.codes import OpCode, ResponseCode
from proto.keys import public
from proto.keys.private import PrivateKey
from proto.keys.proof import PBKDF2, WEB_MACS, KeyAnswer, SecretAnswer, Verdict
from proto.native import bodies
from proto.native.bodies import Challenge, Failure, KeyOf, Proof, Valued, Verified, answer_octets
from proto.native.digest import RequestDigest
from proto.native.envelope import Envelope, Framed
from proto.native.message import CACHE_AUTHENTICATION, RECURSIVE, REQUEST_DIGEST, Message
from proto.native.stream import Stream
from proto.native.versions import OWN
from proto.value import Value
from proto.web_json import value_to_json
from registry.administration import Administrator
from tests.fakes.in_process import Node, node
from tests.fakes.other_node import OtherNode, by_name, hangs, knows_nothing, other_node, refers, says, site
from tests.fakes.small_registry import PREFIX

pytestmark = pytest.mark.asyncio(loop_scope="module")

FAR, SECRET = "77.1/ADMIN", b"a secret of elsewhere"
RSA = rsa.generate_private_key(65537, 2048)
PUBLIC = Value(301, "HS_PUBKEY", public.to_octets(RSA.public_key()))
URL = Value(1, "URL", b"http://x/")
TLS = {"X-Forwarded-Proto": "https", "Content-Type": "application/json"}


def has_the_public_key() -> Any:
    """A top-level node that knows FAR itself: its secret key it tells nobody."""
    return by_name(
        lambda name: (
            (200, {"responseCode": 1, "handle": name, "values": [value_to_json(PUBLIC)]})
            if name == FAR
            else (404, {"responseCode": 100, "handle": name})
        )
    )


def judged(body: bodies.Verification) -> bool:
    """What a deployed server says of the secret key 300 of FAR."""
    if (body.handle, body.index) != (FAR, 300):
        return False
    answer = SecretAnswer.from_octets(body.signed)
    return answer.judge(SECRET, body.nonce + body.digest) is Verdict.PROVEN


def answering(said: Callable[[Message, Envelope], Message]) -> Callable[[bytes], bytes]:
    """A node that answers messages so, inside HTTP."""

    def replying(octets: bytes) -> bytes:
        stream = Stream(65_536)
        stream.feed(octets)
        asked = stream.take()
        assert asked is not None
        answer = said(Message.from_octets(asked.message), asked.envelope).to_octets()
        return Framed(asked.envelope._replace(length=len(answer)), answer).to_octets()

    return replying


def verified(valid: bool | None = None, op: int = OpCode.VERIFY_CHALLENGE, code: int = 1, other: bytes = b"") -> Any:
    def said(asked: Message, _: Envelope) -> Message:
        body = bodies.request_body(asked)
        assert isinstance(body, bodies.Verification)
        answer = Verified(judged(body) if valid is None else valid) if code == 1 else Failure("no")
        digest = RequestDigest.of(asked.covered + other, OWN)
        return Message(op, code, REQUEST_DIGEST, answer_octets(answer, digest, OWN))

    return answering(said)


@dataclass
class World:
    """A node, its native port, and the one other node there is."""

    node: Node
    port: int
    other: OtherNode

    def reset(self) -> None:
        self.other.saying, self.other.replying = has_the_public_key(), verified()
        self.other.asked.clear()
        self.other.heads.clear()
        self.node.house.hot.clear()
        self.node.house.keyholders._brake = Brake(lambda: 0.0)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(module_database: str) -> AsyncIterator[World]:
    admins = f"300:{FAR},301:{FAR}"
    async with other_node(has_the_public_key()) as other:
        settings = {"toplevel_url": other.url, "forward_networks": "127.0.0.0/8", "trusted_proxies": "127.0.0.1"}
        async with node(module_database, server_admins=admins, **settings) as made:
            times = (clock.monotonic, clock.seconds)
            with socket.create_server(("127.0.0.1", 0)) as sock:
                house = made.house
                crowd = tcp.Crowd(
                    Desk(house, *times), Lane(house, *times), house.meter, 100, house.config.proxies, *times
                )
                serving = asyncio.create_task(crowd.serve(sock.dup()))
                yield World(made, sock.getsockname()[1], other)
                serving.cancel()
                await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
def world(running: World) -> World:
    running.reset()
    return running


@asynccontextmanager
async def connected(world: World) -> AsyncIterator[Connection]:
    """Past the trusted proxies: a connection of a client of its own address."""
    made = Connection(*await asyncio.open_connection("127.0.0.1", world.port, local_addr=("127.0.0.7", 0)))
    try:
        yield made
    finally:
        await made.close()


async def test_two_nodes_of_ours_understand_each_other(world: World, database: str) -> None:
    """The other one is a whole node, to which the top-level node refers."""
    key = "88.777.1001/KEY"
    async with node(database) as there:
        await there.house.steward.enrol("甲", "A", "leather", "88.777.1001")
        held = {"index": 300, "type": "HS_SECKEY", "data": SECRET.decode(), "permissions": "1100"}
        assert (await there.call("PUT", f"/api/handles/{key}", [held], "admin"))[0] == 201
        world.other.saying, world.other.replying = refers(site(there.client.port or 0)), None
        admin = {"handle": key, "index": 300, "permissions": "111111111111"}
        values = [
            {"index": 1, "type": "URL", "data": "http://before/"},
            {"index": 100, "type": "HS_ADMIN", "data": {"format": "admin", "value": admin}},
        ]
        name = f"{PREFIX}/OF-ANOTHER"
        assert (await world.node.call("PUT", f"/api/handles/{name}", values))[0] == 201
        flags = RECURSIVE | CACHE_AUTHENTICATION
        changed = Message(OpCode.MODIFY_VALUE, flags=flags, body=Valued(name, (URL,)).to_octets())
        assert await proves(world, changed, secret=b"wrong", user=key) is ResponseCode.AUTHENTICATION_FAILED
        assert await proves(world, changed, user=key) is ResponseCode.SUCCESS


def create(name: str) -> Message:
    flags = RECURSIVE | CACHE_AUTHENTICATION
    return Message(OpCode.CREATE_HANDLE, flags=flags, body=Valued(f"{PREFIX}/{name}", (URL,)).to_octets())


def login(index: int) -> Message:
    return Message(OpCode.LOGIN_BY_KEY, flags=REQUEST_DIGEST, body=KeyOf(FAR, index).to_octets())


async def proves(
    world: World,
    message: Message,
    index: int = 300,
    secret: bytes = SECRET,
    by: Connection | None = None,
    user: str = FAR,
) -> ResponseCode:
    """What is said to who proves a key of `user` for a request: 301 is the public one."""
    async with connected(world) as own:
        connection = by or own
        heard = await connection.ask(message)
        assert isinstance(heard.body, Challenge), heard
        assert heard.digest is not None
        challenge = heard.body.nonce + heard.digest.octets
        if index == 301:
            pem = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            type_, signed = "HS_PUBKEY", KeyAnswer.made(PrivateKey.read(pem), challenge, b"SHA256", FAR).to_octets()
        else:
            type_, signed = "HS_SECKEY", SecretAnswer.made(secret, challenge, PBKDF2, b"some salt").to_octets()
        proof = Proof(type_, user, index, signed).to_octets()
        answer = Message(OpCode.CHALLENGE_RESPONSE, body=proof)
        return ResponseCode((await connection.ask(answer, session=heard.envelope.session)).message.code)


# --- by the native protocol


async def test_a_public_key_of_another_node_is_read_there(world: World) -> None:
    assert await proves(world, create("PUBLIC"), 301) is ResponseCode.SUCCESS
    assert world.other.asked == [FAR]


async def test_a_secret_key_of_another_node_is_asked_about_there_and_never_told(world: World) -> None:
    assert await proves(world, create("SECRET")) is ResponseCode.SUCCESS
    assert await proves(world, create("SECRET-2"), secret=b"wrong") is ResponseCode.AUTHENTICATION_FAILED
    posted = [head for head in world.other.heads if head.startswith("POST / HTTP/1.1\r\n")]
    assert len(posted) == 2
    assert "\r\nCDN-Loop: 88.999\r\n" in posted[0]
    assert "\r\nContent-Type: application/x-hdl-message\r\n" in posted[0]


UNABLE = ResponseCode.UNABLE_TO_AUTHENTICATE


async def test_what_cannot_be_told_is_told_so(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forwarded, "QUESTION_SECONDS", 0.2)
    cases: list[tuple[str, int, Any, Any, ResponseCode]] = [
        ("it says no", 300, has_the_public_key(), verified(valid=False), ResponseCode.AUTHENTICATION_FAILED),
        ("it refuses", 300, has_the_public_key(), verified(code=2), UNABLE),
        ("another operation", 300, has_the_public_key(), verified(op=1), UNABLE),
        ("an answer to another request", 300, has_the_public_key(), verified(other=b"x"), UNABLE),
        ("no answer at all", 300, has_the_public_key(), lambda _: b"<html>", UNABLE),
        ("too much of it", 300, has_the_public_key(), lambda _: bytes(70_000), UNABLE),
        ("nobody takes messages there", 300, has_the_public_key(), None, UNABLE),
        ("no such index", 302, has_the_public_key(), verified(), ResponseCode.AUTHENTICATION_FAILED),
        ("which secret is not said", 0, has_the_public_key(), verified(), UNABLE),
        ("no such identifier", 301, knows_nothing(), verified(), ResponseCode.INVALID_ADMIN),
        ("it hangs", 301, hangs, verified(), UNABLE),
        ("nobody has the prefix", 301, says(400, {"responseCode": 301}), verified(), UNABLE),
        ("nobody has its prefix", 300, says(400, {"responseCode": 301}), verified(valid=True), UNABLE),
    ]
    for why, index, saying, replying, code in cases:
        world.reset()
        world.other.saying, world.other.replying = saying, replying
        assert await proves(world, create("NEVER"), index) is code, why


async def test_an_answer_nobody_gives_is_not_passed_on(world: World) -> None:
    async with connected(world) as connection:
        heard = await connection.ask(create("LONG"))
        proof = Proof("HS_SECKEY", FAR, 300, b"\3" * (SIGNED_OCTETS + 1))
        answer = Message(OpCode.CHALLENGE_RESPONSE, body=proof.to_octets())
        assert (await connection.ask(answer, session=heard.envelope.session)).message.code == 403
    assert world.other.asked == world.other.heads == []


async def test_who_guesses_is_braked_before_another_node_is_asked(world: World) -> None:
    codes = [await proves(world, create("GUESS"), secret=b"guess") for _ in range(12)]
    assert codes == [ResponseCode.AUTHENTICATION_FAILED] * 10 + [ResponseCode.SERVER_BUSY] * 2
    assert len([head for head in world.other.heads if head.startswith("POST")]) == 10


async def test_who_cannot_be_asked_about_has_not_guessed(world: World) -> None:
    world.other.replying = verified(code=2)
    codes = {await proves(world, create("AWAY")) for _ in range(12)}
    assert codes == {ResponseCode.UNABLE_TO_AUTHENTICATE}
    world.reset()
    assert await proves(world, create("AWAY")) is ResponseCode.SUCCESS


async def test_there_is_room_for_what_lives_here(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = world.node.house.keyholders._elsewhere
    assert stage is not None
    monkeypatch.setattr(stage._messenger, "_room", lambda _: False)
    assert await proves(world, create("ROOM")) is ResponseCode.SERVER_BUSY


async def test_what_another_node_asks_is_not_asked_on(world: World) -> None:
    digest, nonce = RequestDigest.of(b"a request there", OWN).octets, bytes(16)
    signed = SecretAnswer.made(SECRET, nonce + digest, 0x13).to_octets()
    body = bodies.Verification(FAR, 300, nonce, digest, signed).to_octets()
    async with connected(world) as connection:
        heard = await connection.ask(Message(OpCode.VERIFY_CHALLENGE, body=body))
    assert heard.body == Verified(valid=False)
    assert world.other.asked == world.other.heads == []


async def test_a_login_by_a_far_key_ends_after_a_while(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    created = Message(OpCode.CREATE_HANDLE, body=Valued(f"{PREFIX}/LOGIN", (URL,)).to_octets())
    again = Message(OpCode.DELETE_HANDLE, body=bodies.Named(f"{PREFIX}/LOGIN").to_octets())
    for index in (300, 301):
        async with connected(world) as connection:
            assert await proves(world, login(index), index, by=connection) is ResponseCode.SUCCESS
            world.other.saying, world.other.replying = knows_nothing(), None
            for message in (created, again):
                assert (await connection.ask(message)).message.code == ResponseCode.SUCCESS
            late = clock.seconds() + TRUSTED_SECONDS + 1
            with monkeypatch.context() as patch:
                patch.setattr(world.node.house.keyholders, "_now", lambda late=late: late)
                assert (await connection.ask(created)).message.code == ResponseCode.LOGIN_EXPIRED
                assert (await connection.ask(created)).message.code == ResponseCode.LOGIN_NEEDED
        world.reset()


async def test_what_is_kept_of_a_far_key() -> None:
    kept = trusted_until(1_795_000_000)
    assert len(kept) == 32
    assert is_elsewhere(kept)
    assert is_trusted(kept, 1_794_999_999)
    assert not is_trusted(kept, 1_795_000_000)
    assert not is_elsewhere(bytes(23) + b"\1" + bytes(8))


# --- by the JSON API


async def call(world: World, method: str, path: str, who: str, body: Any = None) -> tuple[int, Any]:
    """Status and JSON of one call over TLS."""
    sent = json.dumps(body).encode() if body is not None else None
    headers = TLS | ({"Authorization": who} if who else {})
    async with world.node.client.request(method, path, data=sent, headers=headers) as response:
        read = await response.read()
        return response.status, json.loads(read) if read else None


def basic(secret: bytes) -> str:
    return "Basic " + base64.b64encode(b"300%3A" + FAR.encode() + b":" + secret).decode()


async def test_basic_with_a_secret_of_another_node(world: World) -> None:
    path, put = f"/api/handles/{PREFIX}/BASIC", [{"index": 1, "type": "URL", "data": "u"}]
    assert (await call(world, "PUT", path, basic(b"wrong"), put))[0] == 401
    assert (await call(world, "PUT", path, basic(SECRET), put))[0] == 201
    world.other.replying = None
    assert (await call(world, "PUT", path, basic(SECRET), put))[0] == 401, "it cannot be told"


@pytest.mark.parametrize("algorithm", ["SHA256", "HMAC-SHA256", "PBKDF2-HMAC-SHA1", "RSA"])
async def test_a_session_by_a_key_of_another_node(
    world: World, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, put = f"/api/handles/{PREFIX}/SESSION", [{"index": 1, "type": "URL", "data": "u"}]
    _, told = await call(world, "POST", "/api/sessions", "")
    challenge = base64.b64decode(told["nonce"]) + b"of the client"
    said = {"sessionId": told["sessionId"], "cnonce": base64.b64encode(b"of the client").decode()}
    if algorithm == "RSA":
        pem = RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        signature = KeyAnswer.made(PrivateKey.read(pem), challenge, b"SHA256", FAR).signature
        said |= {"id": f"301:{FAR}", "type": "HS_PUBKEY", "alg": "SHA256"}
    else:
        answer = SecretAnswer.made(SECRET, challenge, WEB_MACS[algorithm], b"salt")
        signature = answer.mac
        said |= {"id": f"300:{FAR}", "type": "HS_SECKEY", "alg": algorithm}
        if answer.derived:
            derived = {"iterations": str(answer.derived.iterations), "length": str(answer.derived.bits)}
            said |= {"salt": base64.b64encode(b"salt").decode()} | derived
    said["signature"] = base64.b64encode(signature).decode()
    whole = "Handle " + ", ".join(f'{name}="{value}"' for name, value in said.items())
    session = f'Handle sessionId="{told["sessionId"]}"'
    wrong = whole.replace(said["signature"], base64.b64encode(bytes(20)).decode())
    assert (await call(world, "PUT", path, wrong, put))[0] == 401
    assert (await call(world, "PUT", path, whole.replace(said["alg"], "X"), put))[0] == 401
    assert (await call(world, "PUT", path, whole, put))[0] in {200, 201}
    world.other.saying, world.other.replying = knows_nothing(), None
    assert (await call(world, "PUT", path, session, put))[0] == 200, "it is trusted for a while"
    late = clock.seconds() + elsewhere.TRUSTED_SECONDS + 1
    monkeypatch.setattr(world.node.house.keyholders, "_now", lambda: late)
    assert (await call(world, "PUT", path, session, put))[0] == 401


async def test_a_client_certificate_for_a_key_of_another_node(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the handshake has proven, tests/node/test_tls.py shows."""
    keyholders, name, peer = world.node.house.keyholders, f"301:{FAR}", "192.0.2.9"
    holder, session = Administrator(FAR, 301, everywhere=True), keyholders.challenge().session
    other = rsa.generate_private_key(65537, 2048).public_key()
    for shown, key in ((f"300:{FAR}", RSA.public_key()), ("301:77.1/NOBODY", RSA.public_key()), (name, other)):
        assert await keyholders.by_certificate(shown, key, peer, session) is None
    assert await keyholders.by_certificate(name, RSA.public_key(), peer) == holder
    assert await keyholders.by_session(session) is None, "it was not named"
    assert await keyholders.by_certificate(name, RSA.public_key(), peer, session) == holder
    for saying in (knows_nothing(), says(400, {"responseCode": 301})):
        world.other.saying = saying
        world.node.house.hot.clear()
        assert await keyholders.by_certificate(name, RSA.public_key(), peer) is None
    assert await keyholders.by_session(session) == holder, "it is trusted for a while"
    late = clock.seconds() + elsewhere.TRUSTED_SECONDS + 1
    monkeypatch.setattr(keyholders, "_now", lambda: late)
    assert await keyholders.by_session(session) is None

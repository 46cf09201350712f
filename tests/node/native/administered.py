"""A node in this process whose native port is on real sockets, keys that administer it, and what they are asked for."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from loadtest.native import Connection, Heard
from node import clock
from node.metrics import NATIVE_PROOFS
from node.native import tcp, udp
from node.native.desk import Desk
from node.native.lane import Lane
from proto.codes import OpCode, ResponseCode
from proto.keys import public
from proto.keys.private import PrivateKey
from proto.keys.proof import KeyAnswer, SecretAnswer
from proto.native import bodies
from proto.native.bodies import Body, Challenge, Proof, Valued
from proto.native.digest import RequestDigest
from proto.native.message import (
    CACHE_AUTHENTICATION,
    PUBLIC_ONLY,
    RECURSIVE,
    Message,
)
from proto.native.versions import OWN, Version
from proto.value import Value
from proto.values.admin import ADMIN_ALL, Admin
from proto.values.public_key import pem
from tests.fakes.in_process import Node, node
from tests.fakes.small_registry import PREFIX
from tests.proto.keys.made import private

ADMIN, SECRET = f"{PREFIX}/ADMIN", b"vector-secret-1"
HANDLE_NET = RECURSIVE | CACHE_AUTHENTICATION
"""Flags of a request of Handle.Net's own library that administers."""
RSA_KEY = rsa.generate_private_key(65537, 2048)
DSA_KEY = dsa.generate_private_key(1024)
SM2_KEY = private("sm2")
URL = Value(1, "URL", b"http://x/")
PRIVATE = Value(2, "NOTE", b"not for all", permissions=0x0C)
NOBODYS = Value(3, "NOTE", b"for nobody", permissions=0x04)


def private_key(key: rsa.RSAPrivateKey | dsa.DSAPrivateKey) -> PrivateKey:
    return PrivateKey.read(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def admin(permissions: int = ADMIN_ALL, index: int = 302) -> Value:
    return Value(100, "HS_ADMIN", Admin(permissions, ADMIN, index).to_octets())


def secret(index: int, data: bytes = SECRET) -> Value:
    return Value(index, "HS_SECKEY", data, permissions=0x0C)


KEYS = (
    secret(300),
    Value(301, "HS_PUBKEY", public.to_octets(RSA_KEY.public_key())),
    secret(302, b"of somebody"),
    Value(303, "HS_PUBKEY", public.to_octets(DSA_KEY.public_key())),
    Value(304, "HS_PUBKEY", public.to_octets(SM2_KEY.public())),
    Value(305, "HS_PUBKEY", pem(public.to_der(SM2_KEY.public())).encode()),
)
"""All are a server administrator's but 302, who may what records say."""


@dataclass
class World:
    """A node, its native port for TCP and UDP, and the one for TCP of another worker."""

    node: Node
    port: int
    other: int

    def proofs(self) -> dict[str, float]:
        return {s.labels[0]: s.value for s in self.node.totals.samples(NATIVE_PROOFS, 0.0) if s.value}


@asynccontextmanager
async def administered(url: str, **settings: Any) -> AsyncIterator[World]:
    """The world on the migrated, empty database at `url`."""
    admins = ",".join(f"{index}:{ADMIN}" for index in (300, 301, 303, 304, 305))
    async with node(url, server_admins=admins, **settings) as made:
        house, times = made.house, (clock.monotonic, clock.seconds)
        with (
            socket.create_server(("127.0.0.1", 0)) as sock,
            socket.create_server(("127.0.0.1", 0)) as other,
            socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        ):
            datagrams.bind(sock.getsockname())
            desk, lane = Desk(house, *times), Lane(house, *times)
            proxies = house.config.proxies
            crowd = tcp.Crowd(desk, lane, house.meter, 100, proxies, *times)
            elsewhere = tcp.Crowd(Desk(house, *times), lane, house.meter, 100, proxies, *times)
            door = udp.Door(desk, lane, house.meter, *times, logins=house.config.udp_logins == "on")
            serving = [
                asyncio.create_task(crowd.serve(sock.dup())),
                asyncio.create_task(elsewhere.serve(other.dup())),
                asyncio.create_task(door.serve(datagrams.dup())),
            ]
            await asyncio.sleep(0)
            values = [
                {"index": v.index, "type": v.type, "data": {"format": "hex", "value": v.data.hex()}}
                | ({"permissions": "1100"} if v.type == "HS_SECKEY" else {})
                for v in KEYS
            ]
            assert (await made.call("PUT", f"/api/handles/{ADMIN}", values))[0] == 201
            yield World(made, sock.getsockname()[1], other.getsockname()[1])
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving, return_exceptions=True)


@asynccontextmanager
async def connected(world: World, source: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Connection]:
    made = Connection(*await asyncio.open_connection("127.0.0.1", port or world.port, local_addr=(source, 0)))
    try:
        yield made
    finally:
        await made.close()


@dataclass(frozen=True)
class Key:
    """What somebody proves: a secret by one of its digests, or a private key; of `user`, as is said."""

    index: int = 300
    held: bytes | PrivateKey = SECRET
    how: int | bytes = 0x13  # HMAC-SHA256: the default of clients takes some 50 ms
    user: str = ADMIN
    type: str = ""

    def answers(self, challenge: bytes) -> bytes:
        if isinstance(self.held, PrivateKey):
            assert isinstance(self.how, bytes)
            return KeyAnswer.made(self.held, challenge, self.how, self.user).to_octets()
        assert isinstance(self.how, int)
        return SecretAnswer.made(self.held, challenge, self.how, b"some salt").to_octets()

    def proof(self, nonce: bytes, digest: RequestDigest) -> Message:
        type_ = self.type or ("HS_PUBKEY" if isinstance(self.held, PrivateKey) else "HS_SECKEY")
        body = Proof(type_, self.user, self.index, self.answers(nonce + digest.octets))
        return Message(OpCode.CHALLENGE_RESPONSE, body=body.to_octets())


OWNER, OTHER = Key(), Key(302, b"of somebody")


async def challenged(
    connection: Connection, message: Message, version: Version = OWN
) -> tuple[int, bytes, RequestDigest]:
    """The session, the nonce and the digest of the challenge to a request."""
    heard = await connection.ask(message, version, version)
    assert heard.message.code == ResponseCode.AUTHENTICATION_NEEDED, heard
    assert heard.message.op == message.op
    assert isinstance(heard.body, Challenge)
    assert heard.digest == RequestDigest.of(message.covered, heard.envelope.version)
    assert 0 < heard.envelope.session < 2**31
    return heard.envelope.session, heard.body.nonce, heard.digest


async def proves(
    connection: Connection, message: Message, key: Key = OWNER, version: Version = OWN, by: Connection | None = None
) -> Heard:
    """What is said to who proves a key for a request, on the same connection or another."""
    session, nonce, digest = await challenged(connection, message, version)
    return await (by or connection).ask(key.proof(nonce, digest), version, version, session)


def asks(op: OpCode, body: Body, flags: int = HANDLE_NET) -> Message:
    return Message(op, flags=flags, body=body.to_octets())


def create(handle: str, *values: Value, flags: int = 0) -> Message:
    return asks(OpCode.CREATE_HANDLE, Valued(f"{PREFIX}/{handle}", values), HANDLE_NET | flags)


def question(handle: str, *indexes: int, flags: int = HANDLE_NET) -> Message:
    return asks(OpCode.RESOLUTION, bodies.Question(f"{PREFIX}/{handle}", indexes), flags)


async def made(world: World, handle: str, *values: Value) -> None:
    async with connected(world) as connection:
        assert (await proves(connection, create(handle, *values))).message.code == ResponseCode.SUCCESS


async def indexes_of(connection: Connection, handle: str) -> list[int]:
    heard = await connection.ask(question(handle, flags=HANDLE_NET | PUBLIC_ONLY))
    return [value.index for value in heard.body.values] if isinstance(heard.body, Valued) else []

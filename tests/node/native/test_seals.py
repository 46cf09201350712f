"""Proves node/native/seals.py: who asks for it is answered with a signature of the site key, on every door and for
every outcome. What is sealed in sessions is proven in test_sessions.py.
"""

import pytest

from loadtest.native import Connection, Datagrams
from loadtest.native_session import certified
from node import site_key
from node.metrics import NATIVE_REQUESTS, SITE_SIGNATURES
from node.native import seals
from proto.codes import OpCode, ResponseCode
from proto.native.credential import Credential
from proto.native.message import CERTIFY, REQUEST_DIGEST, Message
from proto.native.versions import Version
from proto.values.site import Site
from tests.node.native.world import USUAL, asks, tcp_door, udp_door, world

PLAIN = "88.999.1001/BAG-1"
CERTIFIED = USUAL | CERTIFY
SITE = Message(OpCode.GET_SITE_INFO, flags=CERTIFIED)


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(site_key.own(tmp_path_factory.mktemp("site")))


def shown(heard: object) -> bytes:
    """The public key of the site that was told."""
    return Site.from_octets(heard.octets).servers[0].public_key  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("version", "digest"),
    [((2, 0), b"SHA1"), ((2, 3), b"SHA1"), ((2, 6), b"SHA1"), ((2, 7), b"SHA-256"), ((2, 8), b"SHA-256")],
)
async def test_an_answer_is_certified_as_its_version_has_it(key: str, version: Version, digest: bytes) -> None:
    async with world([PLAIN], site_key=key) as made, tcp_door(made) as (_, port):
        connection = await Connection.open(port)
        told = shown((await connection.ask(SITE)).body)
        heard = await connection.ask(asks(PLAIN, flags=CERTIFIED), version, version)
        assert heard.envelope.version == version
        assert heard.message.has(CERTIFY)
        assert certified(heard, told)
        credential = Credential.from_octets(heard.message.credential or b"")
        assert (credential.type, credential.algorithm, credential.index) == ("HS_SIGNED", digest, 0)
        assert (credential.signer, credential.version, credential.options) == ("", 0, 0)
        await connection.close()


async def test_whatever_is_answered_is_certified(key: str) -> None:
    messages = {
        ResponseCode.SUCCESS: SITE,
        ResponseCode.HANDLE_NOT_FOUND: asks("88.999.1001/NONE", flags=CERTIFIED | REQUEST_DIGEST),
        ResponseCode.SERVER_NOT_RESPONSIBLE: asks("77.1/FOREIGN", flags=CERTIFIED),
        ResponseCode.OPERATION_NOT_SUPPORTED: Message(999, flags=CERTIFIED),
        ResponseCode.PROTOCOL_ERROR: Message(OpCode.RESOLUTION, flags=CERTIFIED, body=b"short"),
    }
    async with world(site_key=key) as made, tcp_door(made) as (_, port):
        connection = await Connection.open(port)
        told = shown((await connection.ask(SITE)).body)
        for code, message in messages.items():
            heard = await connection.ask(message)
            assert (heard.message.code, certified(heard, told)) == (code, True)
            changed = heard._replace(envelope=heard.envelope._replace(request=99))
            assert not certified(changed, told), "it is for one request"
        await connection.close()
        assert made.counted(SITE_SIGNATURES) == {"made": 6}
        assert made.counted(NATIVE_REQUESTS)["success"] == 2


async def test_without_a_key_nothing_is_certified_nor_said_to_be() -> None:
    async with world([PLAIN]) as made, tcp_door(made) as (_, port):
        connection = await Connection.open(port)
        heard = await connection.ask(asks(PLAIN, flags=CERTIFIED))
        assert (heard.message.code, heard.message.has(CERTIFY), heard.message.credential) == (1, False, b"")
        assert shown((await connection.ask(SITE)).body) == b""
        await connection.close()


async def test_by_udp_a_worker_makes_so_many_signatures_a_second(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "UDP_SIGNED", 2)
    async with world([PLAIN], site_key=key) as made, udp_door(made) as udp, tcp_door(made) as (_, tcp):
        one, other, connection = await Datagrams.open(udp), await Datagrams.open(udp), await Connection.open(tcp)
        told = shown((await connection.ask(SITE)).body)
        for client in (one, other):
            assert certified(await client.ask(asks(PLAIN, flags=CERTIFIED)), told)
        for client in (one, other):
            heard = await client.ask(asks(PLAIN, flags=CERTIFIED))
            assert (heard.message.code, heard.message.has(CERTIFY)) == (ResponseCode.SERVER_BUSY, False)
        assert (await one.ask(asks(PLAIN))).message.code == ResponseCode.SUCCESS
        assert certified(await connection.ask(asks(PLAIN, flags=CERTIFIED)), told), "TCP is not kept waiting"
        made.passed += 1.0
        assert certified(await one.ask(asks(PLAIN, flags=CERTIFIED)), told)
        assert made.counted(SITE_SIGNATURES) == {"made": 5, "refused": 2}
        one.close()
        other.close()
        await connection.close()


async def test_who_wants_a_signature_while_too_many_wait_is_told_to_come_back(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(site_key, "WAITING_MOST", 0)
    async with world([PLAIN], site_key=key) as made, tcp_door(made) as (_, port):
        connection = await Connection.open(port)
        heard = await connection.ask(asks(PLAIN, flags=CERTIFIED))
        assert (heard.message.code, heard.message.credential) == (ResponseCode.SERVER_BUSY, b"")
        assert made.counted(NATIVE_REQUESTS) == {"server_busy": 1}
        assert made.house.admission.in_hand == 0
        await connection.close()


async def test_who_asks_too_much_is_told_so_unsigned(key: str) -> None:
    async with world([PLAIN], site_key=key, peer_rate=1) as made, tcp_door(made) as (_, port):
        connection = await Connection.open(port)
        answers = [await connection.ask(asks(PLAIN, flags=CERTIFIED)) for _ in range(4)]
        assert [(a.message.code, a.message.has(CERTIFY)) for a in answers] == [(1, True)] * 2 + [(3, False)] * 2
        assert made.counted(SITE_SIGNATURES) == {"made": 2}
        await connection.close()

"""Wireshark's dissector reads what a node and its clients say, in every operation: no error mark, and what was meant.

It was written from DO-IRP 3.0. Where it reads otherwise than deployed servers write, MISREAD says so with the reason:
of such a message envelope and header are compared alone.
"""

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proto.codes import OpCode
from proto.native import bodies
from proto.native.bodies import Body, KeyOf, Named, Question, Removal, Valued, answer_body, request_body
from proto.native.digest import RequestDigest
from proto.native.envelope import Framed
from proto.native.message import (
    CONTINUOUS,
    MINT,
    OVERWRITE,
    PUBLIC_ONLY,
    RECURSIVE,
    REQUEST_DIGEST,
    Message,
)
from proto.native.versions import OWN
from proto.octets import data, string
from proto.value import Reference, Value
from proto.values import value_list
from tests.fakes.small_registry import PREFIX
from tests.node.native.administered import (
    ADMIN,
    HANDLE_NET,
    KEYS,
    OWNER,
    PRIVATE,
    RSA_KEY,
    URL,
    Key,
    World,
    admin,
    administered,
    asks,
    challenged,
    create,
    private_key,
    proves,
    question,
)
from tests.node.native.pcap import Capture, Dissected, TappedConnection, TappedDatagrams, dissect, knows_the_protocol
from tests.proto.native.seen import vectors

HANDLE = f"{PREFIX}/Seen"
GROUP = Value(200, "HS_VLIST", value_list.to_octets((Reference(ADMIN, 302),)))
REFERRING = Value(5, "DESC", b"see", references=(Reference(f"{PREFIX}/A", 1), Reference(f"{PREFIX}/B", 2)))
RSA = Key(301, private_key(RSA_KEY), b"SHA1")
LOGIN = Message(OpCode.LOGIN_BY_KEY, flags=REQUEST_DIGEST, body=KeyOf(ADMIN, 301).to_octets(), credential=None)
DIGESTED = Message(1, flags=RECURSIVE | REQUEST_DIGEST, body=Question(HANDLE).to_octets())
DH = string("DH_PUB_KEY") + bytes(2) + b"".join(data(each) for each in (bytes(range(128)), b"\0\xff" * 64, b"\2"))


@pytest.fixture(scope="module")
def tshark(need: Callable[[object, str], None]) -> str:
    path = shutil.which("tshark")
    need(path and knows_the_protocol(path), "a tshark that knows DO-IRP")
    return str(path)


async def _as_handle_net(connection: TappedConnection) -> None:
    """All that its clients ask: each thing that takes a key, and what it comes to without one."""
    await proves(connection, create("Seen", URL, PRIVATE, admin(), *KEYS[1:4:2]))
    await proves(connection, create("Seen-group", GROUP, REFERRING))
    mail, more = Value(4, "EMAIL", b"a@x"), Value(6, "DATA", bytes(range(40)), ttl=2_000_000_000, ttl_absolute=True)
    await proves(connection, asks(OpCode.ADD_VALUE, Valued(HANDLE, (mail, more))))
    await proves(connection, asks(OpCode.MODIFY_VALUE, Valued(HANDLE, (mail,))), RSA)
    await proves(connection, question("Seen"))
    for asked in (question("Seen-group", 5), question("Seen-group"), question("Seen", 1, flags=REQUEST_DIGEST)):
        await connection.ask(asked)
    await connection.ask(asks(OpCode.RESOLUTION, Question(HANDLE, (1, 4), ("URL.", "HS_ADMIN")), PUBLIC_ONLY))
    await proves(connection, asks(OpCode.REMOVE_VALUE, Removal(HANDLE, (4, 6))))
    await proves(connection, create("Seen", URL, flags=OVERWRITE))
    await proves(connection, create("Seen-", URL, flags=MINT))
    for op, name in ((OpCode.LIST_HANDLES, f"0.NA/{PREFIX}"), (OpCode.LIST_HOMED_PREFIXES, "/")):
        session, nonce, digest = await challenged(connection, asks(op, Named(name)))
        heard = await connection.ask(OWNER.proof(nonce, digest), session=session)
        while heard.message.has(CONTINUOUS):
            heard = await connection.hear()
    signed = bodies.Verification(ADMIN, 300, b"n" * 16, RequestDigest.of(b"there", OWN).octets, b"\2" + bytes(20))
    await connection.ask(asks(OpCode.VERIFY_CHALLENGE, signed))
    for op in (*OpCode, 999):
        await connection.ask(Message(op, flags=HANDLE_NET, body=_whatever(op).to_octets()))
    await proves(connection, asks(OpCode.DELETE_HANDLE, Named(HANDLE)), Key(held=b"wrong"))
    await proves(connection, asks(OpCode.DELETE_HANDLE, Named(HANDLE)))


def _whatever(op: int) -> Body:
    """A request of an operation, well-formed, about an identifier that is not there."""
    absent, index = f"{HANDLE}-no", 300
    shared = bodies.Question(absent), bodies.Valued(absent, (URL,)), Named(absent)
    special: dict[int, Body] = {
        OpCode.RESOLUTION: shared[0],
        OpCode.CREATE_HANDLE: Valued("99.9/x", (URL,)),
        OpCode.ADD_VALUE: shared[1],
        OpCode.MODIFY_VALUE: shared[1],
        OpCode.REMOVE_VALUE: Removal(absent, (1,)),
        OpCode.CHALLENGE_RESPONSE: bodies.Proof("HS_SECKEY", absent, index, b"\2" + bytes(20)),
        OpCode.VERIFY_CHALLENGE: bodies.Verification(absent, index, bytes(16), bytes(32), b"\2" + bytes(20)),
        OpCode.SESSION_SETUP: bodies.SessionSetup(bodies.DIFFIE_HELLMAN, 600, absent, index, DH),
        OpCode.LOGIN_BY_PASSWORD: bodies.Question(absent, (index,), ("secret",)),
        OpCode.LOGIN_BY_KEY: KeyOf(absent, index),
    }
    return special.get(op, shared[2])


async def _as_caict(connection: TappedConnection) -> None:
    """Logged in; many at once, and in older versions."""
    version = (2, 10)
    await connection.ask(Message(2, flags=RECURSIVE, body=Question("/").to_octets()), (2, 3), version)
    await proves(connection, LOGIN, Key(301, private_key(RSA_KEY), b"SHA256"), version)
    created = asks(OpCode.CREATE_HANDLE, Valued(HANDLE, (URL, PRIVATE, *LONG)), 0)
    await connection.ask(created, version, version)
    asked = [question("Seen", flags=0), question("Seen", 1, flags=0), question("none", flags=0), question("Seen", 9)]
    await connection.ask_many(asked * 4)
    await connection.ask_many([created, question("none", flags=0)])
    for older in ((2, 1), (2, 3), (2, 6), (2, 7)):
        await connection.ask(DIGESTED, older, older)


LONG = tuple(Value(100 + n, "DESC", b"x" * 300) for n in range(8))


async def _by_udp(datagrams: TappedDatagrams) -> None:
    """One datagram or several, each way."""
    await datagrams.ask(question("Seen", 1, flags=0))
    await datagrams.ask(question("Seen", flags=0))
    await datagrams.ask(asks(OpCode.RESOLUTION, Question(HANDLE, (1,), tuple("t" * 250 for _ in range(5))), 0))
    await datagrams.ask(create("Seen-udp", URL))


async def conversation(world: World, capture: Capture) -> None:
    """On a connection of each kind and a socket."""
    await world.node.create(*(f"SEEN-{n:02}" for n in range(60)))
    for client, says in ((40_001, _as_handle_net), (40_002, _as_caict)):
        connection = TappedConnection(capture, client, await asyncio.open_connection("127.0.0.1", world.port))
        await says(connection)
        await connection.close()
    datagrams = await TappedDatagrams.open(world.port)
    datagrams.capture, datagrams.client = capture, 40_003
    await _by_udp(datagrams)
    datagrams.close()


STANDARD = frozenset(OpCode) - {OpCode.LOGIN_BY_PASSWORD, OpCode.LOGIN_BY_KEY, OpCode.SESSION_EXCHANGE_KEY}
"""Operations of DO-IRP; the bodies of all others are octets to it."""
MISREAD: dict[str, Callable[[Body], bool]] = {
    "in an answer there is no length before the site, as there is in a value": lambda b: isinstance(b, bodies.Opaque),
    "references and members of groups are a name and an index, of which it reads the name": lambda b: any(
        value.references or value.type == "HS_VLIST" for value in getattr(b, "values", ())
    ),
}
"""What the dissector does not read as deployed servers write it."""

SHOWN: dict[type, Callable[[Any], dict[str, list[str]]]] = {
    bodies.Question: lambda b: {"ident": [b.handle], "idx": _texts(b.indexes), "type": list(b.types)},
    bodies.Valued: lambda b: {
        "ident": [b.handle],
        "identrecord.idx": _texts(value.index for value in b.values),
        "identrecord.type": [value.type for value in b.values],
        "identrecord.ttl": _texts(value.ttl for value in b.values),
        "identrecord.ttl_type": _texts(int(value.ttl_absolute) for value in b.values),
        "identrecord.ts": _texts(value.timestamp for value in b.values),
        "identrecord.perm": [f"0x{value.permissions:02x}" for value in b.values],
    },
    bodies.Removal: lambda b: {"ident": [b.handle], "idx": _texts(b.indexes)},
    bodies.Listed: lambda b: {"ident": list(b.names), "identcount": [str(len(b.names))]},
    bodies.Failure: lambda b: {"error.msg": [b.text]},
    bodies.Challenge: lambda b: {"data.value": [b.nonce.hex(":")]},
    bodies.Proof: lambda b: {
        "authtype": [b.type],
        "keyident": [b.handle],
        "keyidx": [str(b.index)],
        "data.value": [b.signed.hex(":")],
    },
    bodies.Verification: lambda b: {
        "keyident": [b.handle],
        "data.value": [each.hex(":") for each in (b.nonce, b.digest, b.signed)],
    },
    bodies.Verified: lambda b: {"veri_result": [str(int(b.valid))]},
}


def _texts(numbers: Any) -> list[str]:
    return [str(number) for number in numbers]


def header_shown(said: Framed) -> dict[str, list[str]]:
    """Fields of the envelope and the header."""
    envelope, message = said.envelope, Message.from_octets(said.message)
    return {
        "reqid": [str(envelope.request)],
        "sessid": [str(envelope.session)],
        "version.minor": [str(envelope.version[1])],
        "opcode": [str(message.op)],
        "responsecode": [str(message.code)],
        "sisn": [str(message.serial)],
    }


def differs(said: Framed, answer: bool, seen: Dissected) -> list[str]:
    """What tshark does not show as it was meant, and its complaints."""
    message = Message.from_octets(said.message)
    body, digest = answer_body(message, said.envelope.version) if answer else (request_body(message), None)
    wanted = header_shown(said)
    misread = any(known(body) for known in MISREAD.values())
    if not misread and message.op in STANDARD:
        wanted |= SHOWN[type(body)](body) if type(body) in SHOWN else {}
        wanted |= {"digest": [digest.octets.hex(":")]} if digest else {}
    amiss = {name: seen.fields.get(f"do-irp.{name}", []) for name, texts in wanted.items()}
    return [f"{name}: {amiss[name]}, not {texts}" for name, texts in wanted.items() if amiss[name] != texts] + (
        [] if misread else seen.marks
    )


async def test_what_is_said_is_read_by_wireshark(module_database: str, tshark: str, tmp_path: Path) -> None:
    capture = Capture()
    async with administered(module_database) as world:
        await conversation(world, capture)
    seen = dissect(tshark, capture, tmp_path)
    assert len(seen) == len(capture.said)
    for (said, answer), each in zip(capture.said, seen, strict=True):
        assert differs(said, answer, each) == [], (Message.from_octets(said.message), answer)
    assert {Message.from_octets(said.message).op for said, answer in capture.said if not answer} >= set(OpCode)


MARKED = {
    "ask with half of the last count": "deployed clients send it; a list has four octets before it",
    "ask with a credential nobody can read": "is none",
    "create without values, nor their count": "deployed clients send it; a list has four octets before it",
    "found three values": "references of a value are a name and an index, of which it reads the name",
    "found one value, with a digest that does not say how it was made": "a form of versions before 2.1",
    "challenge of 2.0: the digest last": "a form of versions before 2.1",
    "challenge that carries its digest though the flag is missing": "deployed servers always send it",
    "set up a session by Diffie and Hellman": "what stands there for a key is none",
    "set up a session by Diffie and Hellman, as deployed clients count": "what stands there for a key is none",
    "set up a session by the client's key": "a way that DO-IRP no longer has",
    "set up a session by the server's key, for nobody known": "a way that DO-IRP no longer has",
    "set up a session by a key in a handle": "a way that DO-IRP no longer has",
    "set up a session in a way nobody knows": "no way",
}
"""Vectors that are marked, and why none of them speaks against what we write."""


def test_vectors_are_marked_for_known_reasons_only(tshark: str, tmp_path: Path) -> None:
    capture, names = Capture(), []
    for client, (name, said) in enumerate(vectors("messages").items(), 40_001):
        if said["envelope"]["version"][0] == 2:
            capture.tcp(client, bytes.fromhex(said["octets"]), answer=said["role"] == "answer")
            names.append(name)
    seen = dissect(tshark, capture, tmp_path)
    assert len(seen) == len(names)
    assert {name for name, each in zip(names, seen, strict=True) if each.marks} == MARKED.keys()

"""Proves node/native/sessions.py on a node in this process, on real sockets, by a client that knows proto/ alone; and
logins by UDP. With it go registry/native_session.py, registry/native_login.py and the SQL of their names.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial

import asyncpg
import pytest
import pytest_asyncio

from loadtest.native import AskError, Connection, Datagrams, Heard, framed
from loadtest.native_session import Session, certified, setup
from node import clock, site_key
from node.gather import answered
from node.metrics import NATIVE_SESSIONS
from node.native import sessions
from node.native.administration import LISTED_MOST
from node.native.answers import Standing
from node.native.desk import Desk
from node.native.sessions import LISTED_ANSWERS
from proto.codes import OpCode, ResponseCode
from proto.keys.session import OAKLEY, SessionKey, exchange
from proto.native import bodies, continued
from proto.native.bodies import Challenge, KeyOf, Listed, Named, SessionSetup, Valued, answer_body
from proto.native.credential import Credential
from proto.native.envelope import Framed
from proto.native.message import CERTIFY, CONTINUOUS, ENCRYPT, REQUEST_DIGEST, Message
from proto.native.stream import Stream
from proto.native.versions import NEW_CODES, Version
from proto.value import Reference, Value
from proto.values.public_key import PublicKey
from registry import native_challenge
from registry.native_session import NUMBER_FIRST, WINDOW
from registry.postgres import native_logins, native_sessions
from tests.fakes.small_registry import PREFIX
from tests.node.native.administered import (
    ADMIN,
    HANDLE_NET,
    OTHER,
    OWNER,
    PRIVATE,
    RSA_KEY,
    URL,
    Key,
    World,
    admin,
    administered,
    asks,
    connected,
    create,
    made,
    private_key,
    proves,
    question,
    secret,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

PREFIXES = asks(OpCode.LIST_HOMED_PREFIXES, Named("/"))
"""What a server administrator alone is told."""
END = asks(OpCode.SESSION_TERMINATE, Named("/"))
FORGED = SessionKey(bytes(32))
LOST = ResponseCode.SESSION_TIMEOUT


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """One for all tests: each writes identifiers of its own, and uses addresses and sessions of its own."""
    key = str(site_key.own(tmp_path_factory.mktemp("site")))
    async with administered(module_database, udp_logins="on", site_key=key) as made:
        yield made


def counted(world: World) -> dict[str, float]:
    return {s.labels[0]: s.value for s in world.node.totals.samples(NATIVE_SESSIONS, 0.0) if s.value}


async def proves_inside(
    session: Session, connection: Connection, message: Message, key: Key = OWNER, *, encrypted: bool = False
) -> Heard:
    """What is said to who proves a key for a request in a session."""
    heard = await session.ask(connection, message, encrypted=encrypted)
    assert heard.message.code == ResponseCode.AUTHENTICATION_NEEDED, heard
    assert heard.envelope.session == session.number
    assert isinstance(heard.body, Challenge)
    assert heard.digest is not None
    return await session.ask(connection, key.proof(heard.body.nonce, heard.digest), encrypted=encrypted)


async def code(session: Session, connection: Connection, message: Message = PREFIXES) -> int:
    return (await session.ask(connection, message)).message.code


async def said(connection: Connection, octets: Framed) -> int:
    await connection.send(octets.to_octets())
    return (await connection.hear()).message.code


# --- what a session is good for


@pytest.mark.parametrize("version", [(2, 4), (2, 7), (2, 10), (2, 11)])
async def test_a_key_is_proven_once_in_a_session_whichever_worker_hears_of_it(world: World, version: Version) -> None:
    proven = replace(PREFIXES, flags=HANDLE_NET | CERTIFY)
    async with connected(world) as connection, connected(world, port=world.other) as another:
        session = await Session.begin(connection, ADMIN, 300, version=version)
        assert NUMBER_FIRST <= session.number < 2**31
        counts = version >= NEW_CODES  # before, no counter is proven
        heard = await proves_inside(session, another, proven, encrypted=not counts)
        assert (heard.message.op, heard.message.code) == (OpCode.LIST_HOMED_PREFIXES, ResponseCode.SUCCESS)
        assert heard.envelope.session == session.number
        assert heard.message.has(CERTIFY), "it was proven by the client"
        for used in (connection, another):
            for message in (PREFIXES, proven, replace(PREFIXES, flags=ENCRYPT), replace(PREFIXES, flags=CERTIFY)):
                for encrypted in (False, True) if counts else (True,):
                    heard = await session.ask(used, message, encrypted=encrypted)
                    assert isinstance(heard.body, Listed)
                    assert f"0.NA/{PREFIX}" in heard.body.names
                    assert heard.message.has(CERTIFY) == message.has(CERTIFY) == bool(heard.message.credential)
                    assert heard.message.has(ENCRYPT) == heard.envelope.encrypted
    assert counted(world).keys() >= {"begun", "served"}


async def test_what_is_not_public_is_told_encrypted(world: World) -> None:
    await made(world, "Sealed", URL, PRIVATE, admin(0x0400))
    async with connected(world) as connection, connected(world, port=world.other) as another:
        session = await Session.begin(connection)
        heard = await session.ask(connection, question("Sealed", flags=HANDLE_NET | CERTIFY), encrypted=True)
        assert heard.message.code == ResponseCode.AUTHENTICATION_NEEDED
        assert isinstance(heard.body, Challenge)
        assert heard.digest is not None
        proof = OTHER.proof(heard.body.nonce, heard.digest)
        heard = await session.ask(another, proof, encrypted=True)
        assert heard.message.has(CERTIFY), "it answers what was asked before"
        for flags in (HANDLE_NET, 0):
            heard = await session.ask(another, question("Sealed", 2, flags=flags), encrypted=True)
            assert isinstance(heard.body, Valued)
            assert [value.data for value in heard.body.values] == [PRIVATE.data]
        assert await code(session, connection, question("Sealed", 1)) == ResponseCode.SUCCESS


async def test_what_was_to_be_told_encrypted_is_so_when_its_proof_comes_without_saying_it(world: World) -> None:
    await made(world, "Sealed-Later", URL, PRIVATE, admin(0x0400))
    async with connected(world) as connection:
        session = await Session.begin(connection)
        heard = await session.ask(connection, question("Sealed-Later", flags=HANDLE_NET | ENCRYPT))
        assert isinstance(heard.body, Challenge)
        assert heard.digest is not None
        await connection.send(session.framed(OTHER.proof(heard.body.nonce, heard.digest), 70).to_octets())
        heard = await session.hear(connection)
        assert isinstance(heard.body, Valued)
        assert PRIVATE.data in [value.data for value in heard.body.values]
        assert heard.envelope.encrypted


async def test_who_proves_another_key_than_the_session_was_set_up_for_proves_it_for_one_request(world: World) -> None:
    async with connected(world) as connection:
        for claimed, index, kept in ((ADMIN, 302, False), (ADMIN, 0, True), (f"{PREFIX}/OTHER", 0, False)):
            session = await Session.begin(connection, claimed, index)
            assert (await proves_inside(session, connection, PREFIXES)).message.code == ResponseCode.SUCCESS
            again = ResponseCode.SUCCESS if kept else ResponseCode.AUTHENTICATION_NEEDED
            assert await code(session, connection) == again, (claimed, index)


async def test_a_login_in_a_session_is_the_sessions_and_not_the_connections(world: World) -> None:
    login = Message(OpCode.LOGIN_BY_KEY, flags=REQUEST_DIGEST, body=KeyOf(ADMIN, 300).to_octets())
    bare = replace(PREFIXES, flags=0)
    async with connected(world) as connection, connected(world, port=world.other) as another:
        session = await Session.begin(connection)
        assert await code(session, connection, bare) == ResponseCode.LOGIN_NEEDED
        assert (await proves_inside(session, connection, login)).message.code == ResponseCode.SUCCESS
        assert await code(session, another, bare) == ResponseCode.SUCCESS
        assert (await connection.ask(bare)).message.code == ResponseCode.LOGIN_NEEDED


async def test_a_list_in_a_session_is_certified_message_by_message(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continued, "NAMES_A_MESSAGE", 1)
    async with connected(world) as connection:
        session = await Session.begin(connection)
        heard = await proves_inside(session, connection, replace(PREFIXES, flags=HANDLE_NET | CERTIFY))
        parts = 1
        while heard.message.has(CONTINUOUS):
            heard, parts = await session.hear(connection), parts + 1
        assert parts > 1
        assert await code(session, connection, replace(PREFIXES, flags=CERTIFY)) == ResponseCode.SUCCESS
    assert LISTED_MOST / 50 < LISTED_ANSWERS, "no two answers have one counter"


async def test_the_tunnel_sets_sessions_up_and_knows_them(world: World) -> None:
    async def post(sent: Framed) -> Framed:
        headers = {"Content-Type": "application/x-hdl-message"}
        async with world.node.client.post("/", data=sent.to_octets(), headers=headers) as response:
            stream = Stream(262_144)
            stream.feed(await response.read())
            told = stream.take()
            assert told is not None
            return told

    private = 1 << 250
    told = await post(framed(setup(private), 1))
    said = answer_body(Message.from_octets(told.message), told.envelope.version)[0]
    assert isinstance(said, bodies.SessionKey)
    session = Session(told.envelope.session, exchange(said.octets[4:], private)[1])
    told = await post(session.framed(question("ADMIN", 301), 2, encrypted=True))
    assert Message.from_octets(session.key.decrypt(told.message)).code == ResponseCode.SUCCESS
    async with connected(world) as connection:
        assert (await proves_inside(session, connection, PREFIXES)).message.code == ResponseCode.SUCCESS
    told = await post(session.framed(PREFIXES, 3))
    assert Message.from_octets(told.message).code == ResponseCode.SUCCESS, "what was proven elsewhere"


async def test_what_is_answered_outside_of_a_session_is_certified_by_the_site_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(continued, "NAMES_A_MESSAGE", 1)
    assert world.node.house.site_key is not None
    key, asked = world.node.house.site_key.public, replace(PREFIXES, flags=HANDLE_NET | CERTIFY)
    async with connected(world) as connection, connected(world, port=world.other) as another:
        heard = await connection.ask(setup(5))
        assert isinstance(heard.body, bodies.SessionKey)
        assert certified(heard, key)
        heard = await connection.ask(asked)
        assert isinstance(heard.body, Challenge)
        assert certified(heard, key)
        assert heard.digest is not None
        heard = await another.ask(OWNER.proof(heard.body.nonce, heard.digest), session=heard.envelope.session)
        parts = [heard]
        while parts[-1].message.has(CONTINUOUS):
            parts.append(await another.hear())
        assert len(parts) > 1
        assert all(certified(part, key) for part in parts), "as what was asked before was to be"


# --- what is no part of it


async def test_what_is_not_proven_to_be_of_a_session_is_not_heard_in_it(world: World) -> None:
    async with connected(world) as connection:
        session = await Session.begin(connection)
        await proves_inside(session, connection, PREFIXES)
        forged = Session(session.number, FORGED)
        unproven = ResponseCode.INVALID_SESSION_KEY
        assert await said(connection, forged.framed(PREFIXES, 90, counter=70)) == unproven
        assert await said(connection, forged.framed(PREFIXES, 91, encrypted=True, counter=71)) == unproven
        other = session.framed(PREFIXES, 92, counter=72)
        renumbered = other.envelope._replace(request=93)
        assert await said(connection, other._replace(envelope=renumbered)) == unproven, "it is for one request"
        bare = session.key.encrypt(PREFIXES.to_octets(), bytes(16))
        envelope = other.envelope._replace(encrypted=True, length=len(bare))
        assert await said(connection, Framed(envelope, bare)) == unproven, "what is encrypted is not proven"
        assert await said(connection, Framed(envelope, bytes(len(bare)))) == unproven
        for message in (PREFIXES, END, create("Forged", URL)):
            heard = await connection.ask(message, session=session.number)
            assert heard.message.code == ResponseCode.INVALID_CREDENTIAL, "no MAC"
        assert (await connection.ask(question("ADMIN", 301), session=session.number)).message.code == 1
        assert await code(session, connection) == ResponseCode.SUCCESS, "none of it has used a counter up"
    assert counted(world)["unproven"] >= 8


async def test_a_message_is_heard_once_by_all_workers_together(world: World) -> None:
    async with connected(world) as connection, connected(world, port=world.other) as another:
        session = await Session.begin(connection)
        await proves_inside(session, connection, PREFIXES)
        once = session.framed(PREFIXES, 50)
        codes = await asyncio.gather(*(said(each, once) for each in (connection, another)))
        assert sorted(codes) == [ResponseCode.SUCCESS, ResponseCode.SESSION_MESSAGE_REJECTED]
        heard = {session.counter}
        for counter in (200, 200 - WINDOW + 1, 200 - WINDOW, 190, 199, 190, 200, 201, 2**32 - 1, 201, 2**32 - 1):
            fresh = counter not in heard and counter > max(heard) - WINDOW
            heard |= {counter} if fresh else set()
            wanted = ResponseCode.SUCCESS if fresh else ResponseCode.SESSION_MESSAGE_REJECTED
            assert await said(connection, session.framed(PREFIXES, 51, counter=counter)) == wanted, counter
    assert counted(world)["replayed"] >= 4


async def test_what_does_not_prove_its_counter_is_heard_in_a_session_only_encrypted(world: World) -> None:
    async with connected(world) as connection:
        session = await Session.begin(connection, version=(2, 4))
        for encrypted, counter, wanted in (
            (True, 1, ResponseCode.AUTHENTICATION_NEEDED),
            (False, 2, ResponseCode.INVALID_SESSION_KEY),
        ):
            sent = session.framed(PREFIXES, 60, encrypted=encrypted, counter=counter)
            await connection.send(sent.to_octets())
            message = (await session.hear(connection)).message if encrypted else (await connection.hear()).message
            assert message.code == wanted
        heard = Message.from_octets(session.framed(PREFIXES, 61, counter=3).message)
        counted_anew = replace(Credential.from_octets(heard.credential or b""), index=4)
        replayed = replace(heard, credential=counted_anew.to_octets()).to_octets()
        envelope = session.framed(PREFIXES, 62, counter=4).envelope._replace(length=len(replayed))
        assert await said(connection, Framed(envelope, replayed)) == ResponseCode.INVALID_SESSION_KEY, "heard before"


async def test_a_session_nobody_knows_is_told_so_unless_it_is_no_matter(world: World) -> None:
    async with connected(world) as connection:
        for number in (NUMBER_FIRST, 2**31 - 1):
            unknown = Session(number, FORGED)
            assert await said(connection, unknown.framed(PREFIXES, 1)) == LOST
            assert await said(connection, unknown.framed(PREFIXES, 1, encrypted=True)) == LOST
            assert (await connection.ask(END, session=number)).message.code == LOST
            assert (await connection.ask(PREFIXES, session=number)).message.code == 402, "it is a number like others"
        for number in (0, 10_001, 2**31, 2**32 - 1):
            assert await said(connection, Session(number, FORGED).framed(PREFIXES, 1, encrypted=True)) == LOST
            assert (await connection.ask(END, session=number)).message.code == LOST
            assert (await connection.ask(question("ADMIN", 301), session=number)).message.code == ResponseCode.SUCCESS
        broken = Framed(Session(0, FORGED).framed(PREFIXES, 1).envelope._replace(encrypted=True, length=30), bytes(30))
        assert await said(connection, broken) == LOST


# --- how it begins and ends


def asks_setup(mode: int, key: bytes = b"", handle: str = "") -> Message:
    body = SessionSetup(mode, 60, handle, 1, key, Reference(ADMIN, 301)).to_octets()
    return Message(OpCode.SESSION_SETUP, body=body + bytes(2))


WEAK = PublicKey("DH_PUB_KEY", (OAKLEY - 1, OAKLEY, 2)).to_octets()
GOOD = PublicKey("DH_PUB_KEY", (4, OAKLEY, 2)).to_octets()


async def test_a_session_that_cannot_be_set_up_is_refused_with_a_reason(world: World) -> None:
    async with connected(world) as connection:
        for mode, key, handle, wanted in (
            (1, b"key", "", ResponseCode.SESSION_FAILED),
            (2, b"", "", ResponseCode.SESSION_FAILED),
            (3, b"", "", ResponseCode.SESSION_FAILED),
            (0, b"", "", ResponseCode.INVALID_SESSION_SETUP),
            (5, b"", "", ResponseCode.INVALID_SESSION_SETUP),
            (4, b"", "", ResponseCode.INVALID_SESSION_SETUP),
            (4, WEAK, "", ResponseCode.INVALID_SESSION_SETUP),
            (4, GOOD, "no identifier", ResponseCode.INVALID_SESSION_SETUP),
        ):
            heard = await connection.ask(asks_setup(mode, key, handle))
            assert (heard.message.op, heard.message.code) == (OpCode.SESSION_SETUP, wanted), (mode, handle)
            assert heard.envelope.session == 0
        with pytest.raises(AskError, match=r"^501$"):  # DES alone is known there
            await Session.begin(connection, version=(2, 3))
        short = Message(OpCode.SESSION_SETUP, body=b"\0\4")
        assert (await connection.ask(short)).message.code == ResponseCode.PROTOCOL_ERROR
        session = await Session.begin(connection)
        assert await code(session, connection, setup(3)) == ResponseCode.INVALID_SESSION_SETUP
    assert counted(world)["refused"] >= 9


async def test_sessions_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(world, "127.0.0.6") as connection, connected(world, "127.0.0.7") as another:
        monkeypatch.setattr(native_sessions, "OF_PEER_MOST", 2)
        for _ in range(2):
            await Session.begin(connection)
        with pytest.raises(AskError, match=r"^3$"):
            await Session.begin(connection)
        await Session.begin(another)
        monkeypatch.setattr(native_sessions, "SESSIONS_MOST", 3)
        with pytest.raises(AskError, match=r"^3$"):
            await Session.begin(another)


async def test_what_it_takes_to_begin_one_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "SETUPS", 1)
    monkeypatch.setattr(sessions, "WAITING_MOST", 0)
    took = 0.0

    def ticks() -> Iterator[float]:
        """Moments, after each of which what takes time has taken `took` seconds."""
        now = 0.0
        while True:
            yield now
            now += took

    desk = Desk(world.node.house, partial(next, ticks()), clock.seconds)

    async def asked(peer: str) -> int:
        take = partial(desk.take, framed(setup(5), 1), (peer, 1), standing=Standing())
        return Message.from_octets((await answered(take)).message).code

    assert [await asked(peer) for peer in ("192.0.2.1", "192.0.2.1", "192.0.2.2")] == [1, 3, 1]
    took = 1000.0
    codes = [await asked(peer) for peer in ("192.0.2.3", "192.0.2.4")]
    assert codes == [1, ResponseCode.SERVER_BUSY], "a pause follows"


async def test_a_session_ends_when_it_is_told_to_or_silent(world: World, module_database: str) -> None:
    direct = await asyncpg.connect(module_database)
    aged = "UPDATE native_session SET {0} = {0} - $2::text::interval WHERE number = $1"
    async with connected(world) as connection, connected(world, port=world.other) as another:
        session = await Session.begin(connection)
        assert await code(session, another, END) == ResponseCode.SUCCESS
        assert await code(session, connection, END) == LOST
        for proven, seconds, column, age, lives in (
            (False, 600, "used", "299 s", True),
            (False, 600, "used", "301 s", False),
            (True, 600, "used", "599 s", True),
            (True, 600, "used", "601 s", False),
            (True, 10, "used", "11 s", False),
            (True, 0, "used", "3599 s", True),
            (True, 86_400, "used", "3601 s", False),
            (True, 86_400, "made", "86399 s", True),
            (True, 86_400, "made", "86401 s", False),
        ):
            session = await Session.begin(connection, seconds=seconds)
            if proven:
                await proves_inside(session, connection, PREFIXES)
            await direct.execute(aged.format(column), session.number, age)
            assert (await code(session, connection, question("ADMIN", 301)) == 1) == lives, (proven, seconds, age)
        await Session.begin(connection)
        number = session.number
        assert await direct.fetchval("SELECT count(*) FROM native_session WHERE number = $1", number) == 0, "it is gone"
    await direct.close()
    assert counted(world)["ended"] >= 1


async def test_a_key_that_changes_ends_its_sessions(world: World) -> None:
    handle = f"{PREFIX}/Session-Key"
    await made(world, "Session-Key", secret(1, b"before"), admin())
    created = create("By-Session-Key", URL)
    async with connected(world) as connection:
        session = await Session.begin(connection)
        heard = await proves_inside(session, connection, created, Key(1, b"before", user=handle))
        assert heard.message.code == ResponseCode.INVALID_ADMIN
        assert await code(session, connection, created) == ResponseCode.INVALID_ADMIN, "it is proven, and may not"
        changed = asks(OpCode.MODIFY_VALUE, Valued(handle, (secret(1, b"after"),)))
        assert (await proves(connection, changed)).message.code == ResponseCode.SUCCESS
        for _ in range(2):
            assert await code(session, connection, created) == LOST


async def test_keys_of_sessions_are_sealed_where_they_are_kept(world: World, module_database: str) -> None:
    direct = await asyncpg.connect(module_database)
    async with connected(world) as connection:
        one, other = [await Session.begin(connection) for _ in range(2)]
        sealed = await direct.fetchval("SELECT sealed FROM native_session WHERE number = $1", one.number)
        assert one.key.octets not in sealed
        await direct.execute("UPDATE native_session SET sealed = $2 WHERE number = $1", other.number, sealed)
        assert await code(other, connection) == LOST, "sealed for another session, or by another key of the node"
    await direct.close()


# --- by UDP

LOGIN = Message(OpCode.LOGIN_BY_KEY, flags=REQUEST_DIGEST, body=KeyOf(ADMIN, 301).to_octets(), credential=None)
RSA_OWNER = Key(301, private_key(RSA_KEY), b"SHA256")
CAICT = (2, 10)


async def logs_in(datagrams: Datagrams, login: Message = LOGIN, key: Key = RSA_OWNER) -> int:
    heard = await datagrams.ask(login, CAICT, CAICT)
    assert isinstance(heard.body, Challenge)
    assert heard.digest is not None
    proof = key.proof(heard.body.nonce, heard.digest)
    return (await datagrams.ask(proof, CAICT, CAICT, heard.envelope.session)).message.code


async def by_udp(datagrams: Datagrams, op: OpCode, body: bodies.Body, flags: int = 0) -> int:
    return (await datagrams.ask(asks(op, body, flags), CAICT, CAICT)).message.code


async def test_who_logged_in_by_udp_administers_from_that_address(world: World) -> None:
    """As the client of CAICT does: no flags, and no challenge but that of the login."""
    handle = f"{PREFIX}/By-Udp"
    one, other = await Datagrams.open(world.port), await Datagrams.open(world.port)
    created = OpCode.CREATE_HANDLE, Valued(handle, (URL, PRIVATE))
    assert await by_udp(one, *created) == ResponseCode.LOGIN_NEEDED
    assert await by_udp(one, *created, HANDLE_NET) == ResponseCode.PROTOCOL_ERROR, "challenges are for TCP"
    assert await logs_in(one) == ResponseCode.SUCCESS
    for op, body in (
        created,
        (OpCode.MODIFY_VALUE, Valued(handle, (Value(1, "URL", b"http://z/"),))),
        (OpCode.REMOVE_VALUE, bodies.Removal(handle, (2,))),
        (OpCode.ADD_VALUE, Valued(handle, (PRIVATE,))),
    ):
        assert await by_udp(one, op, body) == ResponseCode.SUCCESS, op
        assert await by_udp(other, op, body) == ResponseCode.LOGIN_NEEDED, "another port is another program"
    for flags in (0, HANDLE_NET):
        heard = await one.ask(question("By-Udp", flags=flags))
        assert isinstance(heard.body, Valued)
        assert [value.index for value in heard.body.values] == [1], "what is told is public"
    assert await by_udp(one, OpCode.DELETE_HANDLE, Named(handle)) == ResponseCode.SUCCESS
    one.close()
    other.close()


async def test_logins_by_udp_are_bounded_end_when_silent_and_with_their_key(
    world: World, module_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await made(world, "Udp-Key", secret(1, b"before"), admin())
    handle = f"{PREFIX}/Udp-Key"
    login = replace(LOGIN, body=KeyOf(handle, 1).to_octets())
    direct = await asyncpg.connect(module_database)
    one, other = await Datagrams.open(world.port), await Datagrams.open(world.port)
    prefixes = OpCode.LIST_HOMED_PREFIXES, Named("/")
    assert await logs_in(one) == ResponseCode.SUCCESS
    await direct.execute("UPDATE native_login SET used = used - interval '1799 s'")
    assert await by_udp(one, *prefixes) == ResponseCode.SUCCESS
    await direct.execute("UPDATE native_login SET used = used - interval '1801 s'")
    assert await by_udp(one, *prefixes) == ResponseCode.LOGIN_NEEDED
    assert await logs_in(one, login, Key(1, b"before", user=handle)) == ResponseCode.SUCCESS
    assert await by_udp(one, *prefixes) == ResponseCode.INVALID_ADMIN, "in the name of the key that was proven last"
    monkeypatch.setattr(native_logins, "OF_PEER_MOST", 1)
    assert await logs_in(other) == ResponseCode.SERVER_BUSY
    async with connected(world) as connection:
        changed = asks(OpCode.MODIFY_VALUE, Valued(handle, (secret(1, b"after"),)))
        assert (await proves(connection, changed)).message.code == ResponseCode.SUCCESS
    assert await by_udp(one, *prefixes) == ResponseCode.LOGIN_EXPIRED
    assert await by_udp(one, *prefixes) == ResponseCode.LOGIN_NEEDED
    await direct.close()
    one.close()
    other.close()


async def test_challenges_by_udp_leave_room_for_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native_challenge, "BY_UDP_MOST", 0)
    datagrams = await Datagrams.open(world.port)
    assert (await datagrams.ask(LOGIN)).message.code == ResponseCode.SERVER_BUSY
    async with connected(world) as connection:
        assert (await connection.ask(LOGIN)).message.code == ResponseCode.AUTHENTICATION_NEEDED
    datagrams.close()


async def test_there_are_no_sessions_by_udp(world: World) -> None:
    datagrams = await Datagrams.open(world.port)
    heard = await datagrams.ask(setup(3))
    assert heard.message.code == ResponseCode.PROTOCOL_ERROR
    async with connected(world) as connection:
        session = await Session.begin(connection)
    for encrypted in (False, True):
        sent = session.framed(PREFIXES, 7, encrypted=encrypted)
        assert (await datagrams.told(sent)).message.code == ResponseCode.PROTOCOL_ERROR
    datagrams.close()

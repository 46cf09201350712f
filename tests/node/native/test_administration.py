"""Proves node/native/administration.py on a node in this process, on real sockets, by a client that knows proto/ alone.

Every operation, kind of key and outcome; with it go registry/native_challenge.py and the SQL of its name.
"""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import asyncpg
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric import rsa

from loadtest.native import Connection, Datagrams, Heard, framed
from node.brake import Brake
from node.native.administration import LISTED_MOST
from proto.codes import OpCode, ResponseCode
from proto.keys import sm2
from proto.keys.proof import MACS, PBKDF2, SecretAnswer
from proto.native import bodies
from proto.native.bodies import Challenge, Failure, KeyOf, Listed, Named, Nothing, Proof, Removal, Valued
from proto.native.digest import RequestDigest
from proto.native.message import (
    CONTINUOUS,
    MINT,
    OVERWRITE,
    PUBLIC_ONLY,
    RECURSIVE,
    REQUEST_DIGEST,
    Message,
)
from proto.native.stream import Stream
from proto.native.versions import OWN
from proto.value import Value
from proto.values.admin import ADMIN_ALL, Admin
from proto.values.site import Site
from registry.auditor import Auditor, Wanted
from registry.postgres import native_challenges
from tests.fakes.small_registry import PREFIX
from tests.node.native.administered import (
    ADMIN,
    DSA_KEY,
    HANDLE_NET,
    NOBODYS,
    OTHER,
    OWNER,
    PRIVATE,
    RSA_KEY,
    SECRET,
    SM2_KEY,
    URL,
    Key,
    World,
    admin,
    administered,
    asks,
    challenged,
    connected,
    create,
    indexes_of,
    made,
    private_key,
    proves,
    question,
    secret,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(module_database: str) -> AsyncIterator[World]:
    """One for all tests: each writes identifiers of its own."""
    async with administered(module_database) as made:
        yield made


# --- challenges


PROVING = [
    *((Key(how=how), OWN) for how in (*MACS, PBKDF2)),
    *((Key(how=0x02), version) for version in ((2, 0), (2, 3), (2, 7), (2, 10))),
    *((Key(301, private_key(RSA_KEY), name), OWN) for name in (b"SHA1", b"SHA-1", b"SHA256", b"SHA-256")),
    (Key(303, private_key(DSA_KEY), b"SHA1"), (2, 10)),
    (Key(303, private_key(DSA_KEY), b"SHA256"), OWN),
    (Key(0, private_key(RSA_KEY), b"SHA-256"), OWN),
    (Key(0), OWN),
]


async def test_every_kind_of_key_is_proven_in_every_version(world: World) -> None:
    async with connected(world) as connection, connected(world, port=world.other) as another:
        for number, (key, version) in enumerate(PROVING):
            heard = await proves(connection, create(f"KEY-{number}", URL), key, version, another)
            assert (heard.message.op, heard.message.code) == (OpCode.CREATE_HANDLE, 1), (key, version, heard.body)
            assert heard.envelope.session == 0
            assert await indexes_of(connection, f"KEY-{number}") == [1]


REFUSED = {
    "a wrong secret": (Key(held=b"wrong"), ResponseCode.AUTHENTICATION_FAILED),
    "no such index": (Key(399), ResponseCode.INVALID_ADMIN),
    "no such identifier": (Key(user=f"{PREFIX}/NOBODY"), ResponseCode.INVALID_ADMIN),
    "no identifier": (Key(user="nobody"), ResponseCode.INVALID_ADMIN),
    "a key of another type": (Key(type="HS_PUBKEY"), ResponseCode.INVALID_ADMIN),
    "a type that is no key": (Key(type="URL"), ResponseCode.INVALID_ADMIN),
    "another's key": (Key(301, private_key(rsa.generate_private_key(65537, 2048)), b"SHA1"), ResponseCode(403)),
    "somebody who may not": (OTHER, ResponseCode.INVALID_ADMIN),
}


async def test_who_proves_nothing_is_told_why(world: World) -> None:
    async with connected(world) as connection:
        for why, (key, code) in REFUSED.items():
            heard = await proves(connection, create("NEVER", URL), key)
            assert (heard.message.op, heard.message.code) == (OpCode.CREATE_HANDLE, code), why
        session, nonce, _ = await challenged(connection, create("NEVER", URL))
        unknown = Proof("HS_SECKEY", ADMIN, 300, b"\x7f" + nonce)
        heard = await connection.ask(asks(OpCode.CHALLENGE_RESPONSE, unknown), session=session)
        assert heard.message.code == ResponseCode.UNABLE_TO_AUTHENTICATE
        assert await indexes_of(connection, "NEVER") == []
        assert world.proofs().keys() >= {"proven", "failed", "no_key", "unable"}


async def test_a_challenge_is_answered_once_in_time_and_from_where_it_was_asked(
    world: World, module_database: str
) -> None:
    async with connected(world) as connection, connected(world, "127.0.0.3") as elsewhere:
        asked = create("ONCE", URL)
        session, nonce, digest = await challenged(connection, asked)
        late = ResponseCode.AUTHENTICATION_TIMEOUT
        proof = OWNER.proof(nonce, digest)
        assert (await elsewhere.ask(proof, session=session)).message.code == late
        for other in (0, session - 1, 2**31, 2**32 - 1):
            assert (await connection.ask(proof, session=other)).message.code == late
        assert (await connection.ask(proof, session=session)).message.code == ResponseCode.SUCCESS
        assert (await connection.ask(proof, session=session)).message.code == late, "it was used"
        session, nonce, digest = await challenged(connection, create("LATE", URL))
        assert (await connection.ask(OTHER.proof(nonce, digest), session=session)).message.code == 400
        assert (await connection.ask(OWNER.proof(nonce, digest), session=session)).message.code == late, "a try is one"
        session, nonce, digest = await challenged(connection, create("LATE", URL))
        direct = await asyncpg.connect(module_database)
        await direct.execute("UPDATE native_challenge SET made = made - interval '61 s'")
        assert (await connection.ask(OWNER.proof(nonce, digest), session=session)).message.code == late
        await challenged(connection, create("LATE", URL))
        assert await direct.fetchval("SELECT count(*) FROM native_challenge WHERE made < now() - interval '60 s'") == 0
        await direct.close()
        assert await indexes_of(connection, "LATE") == []


async def test_what_waits_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(world, "127.0.0.4") as connection, connected(world, "127.0.0.5") as another:
        monkeypatch.setattr(native_challenges, "OF_PEER_MOST", 2)
        for _ in range(2):
            await challenged(connection, create("MANY", URL))
        assert (await connection.ask(create("MANY", URL))).message.code == ResponseCode.SERVER_BUSY
        await challenged(another, create("MANY", URL))
        monkeypatch.setattr(native_challenges, "WAITING_OCTETS", 10)
        assert (await another.ask(create("MANY", URL))).message.code == ResponseCode.SERVER_BUSY


async def test_who_guesses_is_braked(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world.node.house.keyholders, "_brake", Brake(lambda: 0.0))
    async with connected(world) as connection:
        codes = [
            (await proves(connection, create("GUESS", URL), Key(held=b"guess", how=0x02))).message.code
            for _ in range(12)
        ]
        assert codes == [ResponseCode.AUTHENTICATION_FAILED] * 10 + [ResponseCode.SERVER_BUSY] * 2
        assert (await proves(connection, create("GUESS", URL))).message.code == ResponseCode.SERVER_BUSY
    assert world.proofs()["braked"] == 3


# --- writing


async def test_records_are_written_as_deployed_servers_do(world: World) -> None:
    async with connected(world) as connection:
        handle = f"{PREFIX}/Written"
        heard = await proves(connection, create("Written", URL, admin()))
        assert (heard.message.code, heard.body) == (1, Named(handle))
        changed, mail = Value(1, "URL", b"http://y/"), Value(4, "EMAIL", b"a@x")
        for op, body, key in (
            (OpCode.ADD_VALUE, Valued(handle, (mail,)), OTHER),
            (OpCode.MODIFY_VALUE, Valued(handle, (changed,)), OTHER),
            (OpCode.REMOVE_VALUE, Removal(handle, (4,)), OTHER),
        ):
            heard = await proves(connection, asks(op, body), key)
            assert (heard.message.op, heard.message.code, heard.body) == (op, 1, Nothing())
        heard = await connection.ask(question("Written", 1, flags=PUBLIC_ONLY))
        assert isinstance(heard.body, Valued)
        assert [(v.index, v.data) for v in heard.body.values] == [(1, b"http://y/")]
        heard = await proves(connection, create("Written", mail, flags=OVERWRITE))
        assert heard.message.code == 1
        assert await indexes_of(connection, "Written") == [4]
        heard = await proves(connection, asks(OpCode.DELETE_HANDLE, Named(handle)))
        assert (heard.message.code, heard.body) == (1, Nothing())
        assert (await connection.ask(question("Written", flags=PUBLIC_ONLY))).message.code == 100
        assert (await proves(connection, create("Written", URL))).message.code == 1, "revived"


async def test_a_suffix_is_minted(world: World) -> None:
    async with connected(world) as connection:
        heard = await proves(connection, create("mint-", URL, flags=MINT))
        assert isinstance(heard.body, Named)
        assert heard.body.handle.startswith(f"{PREFIX}/mint-")
        assert len(heard.body.handle) == len(f"{PREFIX}/mint-") + 36
        assert await indexes_of(connection, heard.body.handle.partition("/")[2]) == [1]


async def test_what_is_wrong_with_a_request_is_told_before_or_after_the_challenge(world: World) -> None:
    await made(world, "Wrong", URL, Value(5, "FREE", b"anybody's", permissions=0x0F))
    handle = f"{PREFIX}/Wrong"
    zero = Valued(f"{handle}-2", (URL,)).to_octets().replace(bytes((0, 0, 0, 1)) * 2, bytes((0, 0, 0, 1, 0, 0, 0, 0)))
    at_once = (
        (asks(OpCode.CREATE_HANDLE, Valued("99.9/x", (URL,))), ResponseCode.SERVER_NOT_RESPONSIBLE),
        (asks(OpCode.CREATE_HANDLE, Valued("none", (URL,))), ResponseCode.INVALID_HANDLE),
        (replace(create("Wrong-2", URL), body=zero), ResponseCode.INVALID_VALUE),
        (create("Wrong-2", URL, URL), ResponseCode.VALUE_ALREADY_EXISTS),
        (create("Wrong", URL), ResponseCode.HANDLE_ALREADY_EXISTS),
        (asks(OpCode.MODIFY_VALUE, Valued(handle, (Value(9, "URL", b"x"),))), ResponseCode.VALUES_NOT_FOUND),
        (asks(OpCode.MODIFY_VALUE, Valued(f"{handle}-2", (URL,))), ResponseCode.HANDLE_NOT_FOUND),
        (asks(OpCode.MODIFY_VALUE, Valued(handle)), ResponseCode.SUCCESS),
        (asks(OpCode.MODIFY_VALUE, Valued(handle, (Value(5, "FREE", b"mine", permissions=0x0F),))), ResponseCode(1)),
        (asks(OpCode.LIST_HANDLES, Named("0.NA/99.9")), ResponseCode.SERVER_NOT_RESPONSIBLE),
        (Message(OpCode.DELETE_HANDLE, flags=HANDLE_NET, body=b"\0\0\0\2\xff\xff"), ResponseCode.INVALID_HANDLE),
        (Message(OpCode.DELETE_HANDLE, flags=HANDLE_NET, body=b"\0\0\0\2"), ResponseCode.PROTOCOL_ERROR),
        (Message(OpCode.CHALLENGE_RESPONSE, body=b"\0"), ResponseCode.PROTOCOL_ERROR),
    )
    proven = (
        (asks(OpCode.ADD_VALUE, Valued(handle, (URL,))), ResponseCode.VALUE_ALREADY_EXISTS),
        (asks(OpCode.ADD_VALUE, Valued(f"{handle}-2", (URL,))), ResponseCode.HANDLE_NOT_FOUND),
        (asks(OpCode.REMOVE_VALUE, Removal(handle, (9,))), ResponseCode.VALUES_NOT_FOUND),
        (asks(OpCode.DELETE_HANDLE, Named(f"{handle}-2")), ResponseCode.HANDLE_NOT_FOUND),
    )
    async with connected(world) as connection:
        for message, code in at_once:
            assert (await connection.ask(message)).message.code == code, message
        for message, code in proven:
            assert (await proves(connection, message)).message.code == code, message
        heard = await proves(connection, proven[0][0])
        assert heard.body == Failure("Index conflict for 1")
        heard = await connection.ask(question("Wrong", 5, flags=PUBLIC_ONLY))
        assert isinstance(heard.body, Valued)
        assert heard.body.values[0].data == b"mine"


async def test_who_has_registered_all_they_may_is_told_so_in_words(world: World) -> None:
    """No client of the protocol knows a code for it."""
    house = world.node.house
    prefix = await house.lookup.prefix(PREFIX)
    assert prefix is not None
    async with connected(world) as connection:
        for quota, text in (("identifiers", "identifiers"), ("room", "octets")):
            await house.steward.set_quota(prefix.enterprise, {quota: 0})
            heard = await proves(connection, create("Beyond", URL))
            await house.steward.set_quota(prefix.enterprise, {quota: None})
            assert heard.message.code == ResponseCode.ERROR
            assert isinstance(heard.body, Failure)
            assert text in heard.body.text
        assert (await proves(connection, create("Beyond", URL))).message.code == ResponseCode.SUCCESS


async def test_the_handle_of_a_prefix_is_resolved_and_written(world: World) -> None:
    """Who administers the prefix puts a key there, and that key administers what lies under the prefix."""
    theirs, prefix = "0.NA/88.999.2001", "88.999.2001"
    resolves = asks(OpCode.RESOLUTION, bodies.Question(theirs), PUBLIC_ONLY | RECURSIVE)
    keeper = Key(301, b"of the prefix", user=theirs)
    values = (secret(301, b"of the prefix"), Value(100, "HS_ADMIN", Admin(ADMIN_ALL, theirs, 301).to_octets()))
    async with connected(world) as connection:
        for name in (theirs, prefix, "0.na/88.999"):
            asked = bodies.Question(name)
            heard = await connection.ask(asks(OpCode.RESOLUTION, asked, PUBLIC_ONLY | RECURSIVE))
            assert isinstance(heard.body, Valued)
            assert [(v.index, v.type, v.public) for v in heard.body.values] == [(500, "HS_SITE", True)]
            site = Site.from_octets(heard.body.values[0].data)
            assert [(way.protocol.name, way.port) for way in site.servers[0].interfaces][:2] == [
                ("TCP", 2641),
                ("UDP", 2641),
            ]
        created = asks(OpCode.CREATE_HANDLE, Valued(theirs, values))
        assert (await proves(connection, created, OTHER)).message.code == ResponseCode.INVALID_ADMIN
        assert (await proves(connection, created)).message.code == ResponseCode.SUCCESS
        heard = await connection.ask(resolves)
        assert isinstance(heard.body, Valued)
        assert [v.index for v in heard.body.values] == [100, 500]
        heard = await proves(connection, asks(OpCode.RESOLUTION, bodies.Question(theirs)), keeper)
        assert isinstance(heard.body, Valued)
        assert [v.index for v in heard.body.values] == [100, 301, 500]

        mine = asks(OpCode.CREATE_HANDLE, Valued(f"{prefix}/NATIVE", (URL,)))
        assert (await proves(connection, mine, keeper)).message.code == ResponseCode.SUCCESS
        heard = await proves(connection, asks(OpCode.LIST_HANDLES, Named(theirs)), keeper)
        assert heard.body == Listed((f"{prefix}/NATIVE",))
        theirs_not = asks(OpCode.LIST_HANDLES, Named(PREFIX))
        assert (await proves(connection, theirs_not, keeper)).message.code == ResponseCode.INVALID_ADMIN
        added = asks(OpCode.ADD_VALUE, Valued(theirs, (URL,)))
        assert (await proves(connection, added, keeper)).message.code == ResponseCode.SUCCESS
        removed = asks(OpCode.REMOVE_VALUE, Removal(theirs, (1,)))
        assert (await proves(connection, removed, keeper)).message.code == ResponseCode.SUCCESS
        gone = asks(OpCode.DELETE_HANDLE, Named(theirs))
        assert (await proves(connection, gone, keeper)).message.code == ResponseCode.SUCCESS
        heard = await connection.ask(resolves)
        assert isinstance(heard.body, Valued)
        assert [v.index for v in heard.body.values] == [500]
        other = asks(OpCode.CREATE_HANDLE, Valued(f"{prefix}/NATIVE-2", (URL,)))
        assert (await proves(connection, other, keeper)).message.code == ResponseCode.INVALID_ADMIN, "no key any more"


async def test_nobody_leaves_an_empty_record_at_the_handle_of_a_prefix_by_changing_nothing(world: World) -> None:
    handle = "0.NA/88.999.2002"
    await world.node.house.steward.enrol("88.999.2002", "甲", "other", "88.999.2002")
    async with connected(world) as connection:
        for op, body in (
            (OpCode.MODIFY_VALUE, Valued(handle, ())),
            (OpCode.ADD_VALUE, Valued(handle, ())),
            (OpCode.REMOVE_VALUE, Removal(handle, ())),
        ):
            heard = await connection.ask(asks(op, body))
            if heard.message.code == ResponseCode.AUTHENTICATION_NEEDED:
                heard = await proves(connection, asks(op, body), OTHER)
            assert heard.message.code == ResponseCode.HANDLE_NOT_FOUND, op
        assert (await proves(connection, asks(OpCode.CREATE_HANDLE, Valued(handle, (URL,))), OWNER)).message.code == 1


async def test_prefixes_are_homed_and_unhomed_by_server_administrators(world: World) -> None:
    new = Named("0.NA/88.999.7001")
    async with connected(world) as connection:
        for op in (OpCode.HOME_PREFIX, OpCode.UNHOME_PREFIX):
            assert (await proves(connection, asks(op, new), OTHER)).message.code == ResponseCode.INVALID_ADMIN
        assert (await proves(connection, asks(OpCode.UNHOME_PREFIX, new))).message.code == 301
        for name in ("0.NA/88.999.7001", "88.999.7001"):
            heard = await proves(connection, asks(OpCode.HOME_PREFIX, Named(name)))
            assert (heard.message.code, heard.body) == (ResponseCode.SUCCESS, Nothing())
        create = asks(OpCode.CREATE_HANDLE, Valued("88.999.7001/A", (URL,)))
        assert (await proves(connection, create)).message.code == ResponseCode.SUCCESS
        heard = await proves(connection, asks(OpCode.UNHOME_PREFIX, new))
        assert (heard.message.code, heard.body) == (ResponseCode.SUCCESS, Nothing())
        heard = await connection.ask(asks(OpCode.RESOLUTION, bodies.Question("88.999.7001/A"), PUBLIC_ONLY))
        assert heard.message.code == ResponseCode.SERVER_NOT_RESPONSIBLE
        for name, code in (("0.NA/77.1.1", 301), ("0.NA/nobody", 102), ("0.NA/0.NA", 102)):
            assert (await proves(connection, asks(OpCode.HOME_PREFIX, Named(name)))).message.code == code, name
    (row,) = await Auditor(world.node.registry.pool).page(Wanted(), 2**62, 1)
    assert (row.action, row.objects, row.actor, row.role) == ("prefix_changed", ["88.999.7001"], f"300:{ADMIN}", "key")


async def test_lists_go_on_in_further_messages(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    await world.node.create(*(f"LIST-{n:03}" for n in range(120)))
    async with connected(world) as connection:
        for name in (f"0.NA/{PREFIX}", PREFIX):
            session, nonce, digest = await challenged(connection, asks(OpCode.LIST_HANDLES, Named(name)))
            parts = await _all(connection, OWNER.proof(nonce, digest), session)
            names = [each for part in parts if isinstance(part.body, Listed) for each in part.body.names]
            assert names == sorted(names)
            assert {f"{PREFIX}/LIST-{n:03}" for n in range(120)} < set(names)
            assert all(len(part.body.names) == 50 for part in parts[:-1] if isinstance(part.body, Listed))
            assert {part.message.op for part in parts} == {OpCode.LIST_HANDLES}
        assert (await proves(connection, asks(OpCode.LIST_HANDLES, Named(PREFIX)), OTHER)).message.code == 400
        monkeypatch.setattr("node.native.administration.LISTED_MOST", 100)
        heard = await proves(connection, asks(OpCode.LIST_HANDLES, Named(PREFIX)))
        assert heard.message.code == ResponseCode.ERROR
        heard = await proves(connection, asks(OpCode.LIST_HOMED_PREFIXES, Named("/")))
        assert isinstance(heard.body, Listed)
        assert f"0.NA/{PREFIX}" in heard.body.names
        heard = await proves(connection, asks(OpCode.LIST_HOMED_PREFIXES, Named("/")), OTHER)
        assert heard.message.code == ResponseCode.INVALID_ADMIN
    assert LISTED_MOST == 10_000


async def _all(connection: Connection, message: Message, session: int) -> list[Heard]:
    parts = [await connection.ask(message, session=session)]
    while parts[-1].message.has(CONTINUOUS):
        parts.append(await connection.hear())
        assert parts[-1].envelope.request == parts[0].envelope.request
    return parts


# --- what is not public


async def test_what_is_not_public_is_told_to_who_may_read_it(world: World) -> None:
    await made(world, "Secret", URL, PRIVATE, NOBODYS, admin(0x0400))
    async with connected(world) as connection:
        asked = question("Secret", 1, 2)
        heard = await proves(connection, asked, OTHER)
        assert isinstance(heard.body, Valued)
        assert [value.index for value in heard.body.values] == [1, 2]
        assert (await proves(connection, asked, Key(held=b"wrong"))).message.code == 403
        assert (await connection.ask(question("Secret", 3))).message.code == ResponseCode.INSUFFICIENT_PERMISSIONS
        assert (await connection.ask(question("Secret", 1))).message.code == ResponseCode.SUCCESS, "no challenge"
        for flags in (0, PUBLIC_ONLY, HANDLE_NET | PUBLIC_ONLY):
            heard = await connection.ask(question("Secret", flags=flags))
            assert isinstance(heard.body, Valued)
            assert [value.index for value in heard.body.values] == [1, 100], flags
        for handle, code in (("None", 100), ("\0", 100)):
            assert (await connection.ask(question(handle))).message.code == code


async def test_another_server_may_ask_whether_a_secret_was_proven(world: World) -> None:
    digest, nonce = RequestDigest.of(b"a request there", OWN), b"a nonce of there"
    async with connected(world) as connection:
        for data, valid in ((SECRET, True), (b"wrong", False)):
            signed = SecretAnswer.made(data, nonce + digest.octets, 0x13).to_octets()
            asked = asks(OpCode.VERIFY_CHALLENGE, bodies.Verification(ADMIN, 300, nonce, digest.octets, signed))
            assert (await connection.ask(asked)).body == bodies.Verified(valid)


# --- logins


def login(index: int = 301) -> Message:
    return Message(OpCode.LOGIN_BY_KEY, flags=REQUEST_DIGEST, body=KeyOf(ADMIN, index).to_octets(), credential=None)


RSA_OWNER = Key(301, private_key(RSA_KEY), b"SHA256")


async def test_who_logged_in_works_on_without_challenges(world: World) -> None:
    """As clients of CAICT and teleinfo do: no flags, and no answer to challenges but that of the login."""
    version = (2, 10)
    created = asks(OpCode.CREATE_HANDLE, Valued(f"{PREFIX}/Login", (URL, PRIVATE)), 0)
    async with connected(world) as connection, connected(world) as another:
        assert (await connection.ask(created, version, version)).message.code == ResponseCode.LOGIN_NEEDED
        heard = await proves(connection, login(), RSA_OWNER, version)
        assert (heard.message.op, heard.message.code) == (OpCode.LOGIN_BY_KEY, ResponseCode.SUCCESS)
        assert (await connection.ask(created, version, version)).message.code == ResponseCode.SUCCESS
        heard = await connection.ask(question("Login", flags=0))
        assert isinstance(heard.body, Valued)
        assert [value.index for value in heard.body.values] == [1, 2]
        for op, body in (
            (OpCode.MODIFY_VALUE, Valued(f"{PREFIX}/Login", (Value(1, "URL", b"http://z/"),))),
            (OpCode.REMOVE_VALUE, Removal(f"{PREFIX}/Login", (2,))),
            (OpCode.ADD_VALUE, Valued(f"{PREFIX}/Login", (PRIVATE,))),
        ):
            assert (await connection.ask(asks(op, body, 0))).message.code == ResponseCode.SUCCESS
        assert await indexes_of(connection, "Login") == [1]
        deleted = asks(OpCode.DELETE_HANDLE, Named(f"{PREFIX}/Login"), 0)
        assert (await another.ask(deleted)).message.code == ResponseCode.LOGIN_NEEDED, "it is the connection's"
        heard = await another.ask(question("Login", flags=0))
        assert isinstance(heard.body, Valued)
        assert [value.index for value in heard.body.values] == [1], "and filtered, not challenged"
        assert (await connection.ask(deleted)).message.code == ResponseCode.SUCCESS


async def test_keys_of_sm2_are_proven_as_numbers_and_as_text(world: World, need: Callable[[object, str], None]) -> None:
    """SM3 of nonce and digest, signed in the name of the key's identifier, as clients of teleinfo do."""
    need(sm2.available(), "gmssl-pyx")
    version = (2, 10)
    for index in (304, 305):
        key = Key(index, SM2_KEY, b"SM3")
        created = asks(OpCode.CREATE_HANDLE, Valued(f"{PREFIX}/SM2-{index}", (URL,)), 0)
        async with connected(world) as connection, connected(world) as another:
            assert (await proves(another, login(index), key, version)).message.code == ResponseCode.SUCCESS
            assert (await another.ask(created, version, version)).message.code == ResponseCode.SUCCESS
            assert (await proves(connection, create(f"SM2-{index}-2", URL), key)).message.code == ResponseCode.SUCCESS
            heard = await proves(connection, create("SM2-NEVER", URL), Key(301, SM2_KEY, b"SM3"))
            assert heard.message.code == ResponseCode.AUTHENTICATION_FAILED, "it is another's"


async def test_a_login_is_by_the_key_it_names(world: World) -> None:
    created = asks(OpCode.CREATE_HANDLE, Valued(f"{PREFIX}/Named", (URL,)), 0)
    async with connected(world) as connection:
        assert (await proves(connection, login(302), RSA_OWNER)).message.code == ResponseCode.INVALID_ADMIN
        assert (await proves(connection, login(), Key(301, b"no", 2, type="HS_SECKEY"))).message.code == 400
        assert (await connection.ask(created)).message.code == ResponseCode.LOGIN_NEEDED
        assert (await proves(connection, login(0), RSA_OWNER)).message.code == ResponseCode.SUCCESS
        assert (await connection.ask(created)).message.code == ResponseCode.SUCCESS


async def test_a_key_that_changes_ends_its_logins(world: World) -> None:
    handle = f"{PREFIX}/Fleeting"
    await made(world, "Fleeting", secret(1, b"before"), admin())
    fleeting = Key(1, b"before", user=handle)
    message = Message(OpCode.LOGIN_BY_KEY, flags=REQUEST_DIGEST, body=KeyOf(handle, 1).to_octets())
    created = asks(OpCode.CREATE_HANDLE, Valued(f"{PREFIX}/By-Fleeting", (URL,)), 0)
    async with connected(world) as connection, connected(world) as owner:
        assert (await proves(connection, message, fleeting)).message.code == ResponseCode.SUCCESS
        assert (await connection.ask(created)).message.code == ResponseCode.INVALID_ADMIN, "logged in, and may not"
        changed = asks(OpCode.MODIFY_VALUE, Valued(handle, (secret(1, b"after"),)))
        assert (await proves(owner, changed)).message.code == ResponseCode.SUCCESS
        assert (await connection.ask(created)).message.code == ResponseCode.LOGIN_EXPIRED
        assert (await connection.ask(created)).message.code == ResponseCode.LOGIN_NEEDED
        again = Key(1, b"after", user=handle)
        assert (await proves(connection, message, again)).message.code == ResponseCode.SUCCESS
        assert (await proves(owner, asks(OpCode.DELETE_HANDLE, Named(handle)))).message.code == ResponseCode.SUCCESS
        heard = await connection.ask(message)
        assert heard.message.code == ResponseCode.AUTHENTICATION_NEEDED, "to log in is no use of the login before"


async def test_nothing_is_administered_by_udp(world: World) -> None:
    datagrams = await Datagrams.open(world.port)
    heard = await datagrams.ask(create("Udp", URL))
    assert heard.message.code == ResponseCode.PROTOCOL_ERROR
    heard = await datagrams.ask(question("ADMIN", 300))
    assert heard.message.code == ResponseCode.VALUES_NOT_FOUND
    datagrams.close()


async def test_the_tunnel_takes_challenges_and_no_logins(world: World) -> None:
    async def post(message: Message, session: int = 0) -> Heard:
        octets = framed(message, 7, session=session).to_octets()
        headers = {"Content-Type": "application/x-hdl-message"}
        async with world.node.client.post("/", data=octets, headers=headers) as response:
            stream = Stream(262_144)
            stream.feed(await response.read())
            told = stream.take()
            assert told is not None
            return Heard(told.envelope, Message.from_octets(told.message))

    async def proven(message: Message, key: Key) -> Heard:
        heard = await post(message)
        assert isinstance(heard.body, Challenge)
        assert heard.digest is not None
        return await post(key.proof(heard.body.nonce, heard.digest), heard.envelope.session)

    assert (await proven(create("Tunnel", URL), OWNER)).message.code == ResponseCode.SUCCESS
    assert (await proven(login(), RSA_OWNER)).message.code == ResponseCode.SUCCESS
    created = asks(OpCode.CREATE_HANDLE, Valued(f"{PREFIX}/Tunnel-2", (URL,)), 0)
    assert (await post(created)).message.code == ResponseCode.LOGIN_NEEDED

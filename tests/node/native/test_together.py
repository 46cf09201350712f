"""What sessions, certified answers, trusted queries, referrals and handles of prefixes come to where they meet."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from loadtest.native import Datagrams, framed
from loadtest.native_session import Session, certified
from node import site_key
from node.metrics import RESOLUTIONS
from node.resolve.forwarded import MESSAGE_TYPE
from node.site import site_of_route
from proto.codes import OpCode, ResponseCode
from proto.identifier import Identifier
from proto.keys.public import fingerprint
from proto.native.bodies import Challenge, KeyOf, Named, Question, Referral, Valued
from proto.native.envelope import Framed
from proto.native.message import CERTIFY, PUBLIC_ONLY, REQUEST_DIGEST, TRUSTED_QUERY, TRUSTED_RESULT, Message
from proto.native.stream import Stream
from proto.trust import Root
from proto.value import Reference, Value
from proto.values.claims import Term, certificate, signature
from proto.values.site import Site
from registry.auditor import Auditor, Wanted
from registry.postgres.filing import Route
from tests.fakes.small_registry import PREFIX
from tests.node.native.administered import (
    ADMIN,
    HANDLE_NET,
    OWNER,
    URL,
    World,
    administered,
    asks,
    connected,
    made,
    question,
)
from tests.proto.keys.made import private

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIGNER = Reference(f"{PREFIX}/SIGNER", 301)
KEY = private("ec")
ELSEWHERE = site_of_route(Route("88.999.3001", 1, "192.0.2.8", 2641, 0, 8000))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(module_database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """With a site key, and a root that has signed one record; 88.999.3001 is at ELSEWHERE, says the national node."""
    key = str(site_key.own(tmp_path_factory.mktemp("site")))
    root = Root(SIGNER.handle, fingerprint(KEY.public()))
    async with administered(module_database, site_key=key, trust_roots=str(root)) as made_:

        async def pointed(_: Identifier) -> tuple[Site, ...]:
            return (ELSEWHERE,)

        made_.node.house.signposts.pointed = pointed
        ever = Term(None, None)
        own = certificate(SIGNER, SIGNER, KEY.public(), (("everything", ""),), ever, KEY)
        claim = signature(SIGNER, Identifier.parse(f"{PREFIX}/SIGNED"), (URL,), ever, KEY)
        await made(made_, "SIGNER", Value(400, "HS_CERT", own))
        await made(made_, "SIGNED", URL, Value(400, "HS_SIGNATURE", claim))
        yield made_


def public(world: World) -> bytes:
    """The public half of the site key."""
    assert world.node.house.site_key is not None
    return world.node.house.site_key.public


def hits(world: World) -> float:
    """Resolutions that were answered by what is kept in this process."""
    samples = world.node.totals.samples(RESOLUTIONS, 0.0)
    return sum(sample.value for sample in samples if "hot" in sample.labels)


async def by_http(world: World, sent: Framed) -> Framed:
    """What is answered inside HTTP."""
    headers = {"Content-Type": MESSAGE_TYPE}
    async with world.node.client.post("/", data=sent.to_octets(), headers=headers) as response:
        stream = Stream(262_144)
        stream.feed(await response.read())
        told = stream.take()
        assert told is not None
        return told


@pytest.mark.parametrize("flags", [0, HANDLE_NET, PUBLIC_ONLY])
async def test_a_trusted_query_is_answered_certified_in_a_session_and_outside(world: World, flags: int) -> None:
    asked = question("SIGNED", flags=flags | TRUSTED_QUERY | CERTIFY)
    async with connected(world) as connection:
        session = await Session.begin(connection)
        for encrypted in (False, True):
            heard = await session.ask(connection, asked, encrypted=encrypted)
            assert heard.message.has(TRUSTED_RESULT | CERTIFY), "its MAC was proven where it was heard"
            assert heard.message.code == ResponseCode.SUCCESS
        heard = await connection.ask(asked)
        assert heard.message.has(TRUSTED_RESULT)
        assert certified(heard, public(world)), "the mark is signed, too"
        told = await by_http(world, session.framed(asked, 9, encrypted=True))
        assert Message.from_octets(session.key.decrypt(told.message)).has(TRUSTED_RESULT | CERTIFY)
    datagrams = await Datagrams.open(world.port)
    heard = await datagrams.ask(asked)
    assert heard.message.has(TRUSTED_RESULT)
    assert certified(heard, public(world))
    datagrams.close()


@pytest.mark.parametrize("op", [OpCode.RESOLUTION, OpCode.CREATE_HANDLE])
async def test_a_referral_is_sealed_as_any_answer_is(world: World, op: OpCode) -> None:
    bodies = {OpCode.RESOLUTION: Question("88.999.3001/A"), OpCode.CREATE_HANDLE: Valued("88.999.3001/A", (URL,))}
    asked = asks(op, bodies[op], CERTIFY)
    async with connected(world) as connection:
        session = await Session.begin(connection)
        for encrypted in (False, True):
            heard = await session.ask(connection, asked, encrypted=encrypted)
            assert heard.message.code == ResponseCode.PREFIX_REFERRAL
            assert heard.message.has(CERTIFY), "its MAC was proven where it was heard"
            assert isinstance(heard.body, Referral)
            assert [Site.from_octets(value.data) for value in heard.body.values] == [ELSEWHERE]
        heard = await connection.ask(asked)
        assert heard.message.code == ResponseCode.PREFIX_REFERRAL
        assert certified(heard, public(world))
        told = await by_http(world, framed(asked, 7))
        assert Message.from_octets(told.message).code == ResponseCode.PREFIX_REFERRAL


async def test_prefixes_are_homed_by_who_logged_in_in_a_session(world: World) -> None:
    new = "88.999.7101"
    login = Message(OpCode.LOGIN_BY_KEY, flags=REQUEST_DIGEST, body=KeyOf(ADMIN, 300).to_octets())
    async with connected(world) as connection, connected(world, port=world.other) as another:
        session = await Session.begin(connection)
        homing = asks(OpCode.HOME_PREFIX, Named(f"0.NA/{new}"), 0)
        assert (await session.ask(connection, homing)).message.code == ResponseCode.LOGIN_NEEDED
        heard = await session.ask(connection, login)
        assert isinstance(heard.body, Challenge)
        assert heard.digest is not None
        await session.ask(connection, OWNER.proof(heard.body.nonce, heard.digest))
        for message in (
            homing,
            asks(OpCode.CREATE_HANDLE, Valued(f"{new}/A", (URL,)), 0),
            asks(OpCode.UNHOME_PREFIX, Named(f"0.NA/{new}"), 0),
        ):
            heard = await session.ask(another, message, encrypted=True)
            assert heard.message.code == ResponseCode.SUCCESS, message.op
    (row,) = await Auditor(world.node.registry.pool).page(Wanted(), 2**62, 1)
    assert (row.action, row.objects, row.actor) == ("prefix_changed", [new], f"300:{ADMIN}")


async def test_the_handle_of_a_prefix_lies_ready_by_udp_as_long_as_the_prefix_is_open(world: World) -> None:
    """With the site key, by which clients prove what its node says."""
    path, asked = "/api/prefixes/88.999.7102", asks(OpCode.RESOLUTION, Question("0.NA/88.999.7102"), PUBLIC_ONLY)
    datagrams = await Datagrams.open(world.port)
    assert (await world.node.call("POST", path, who="admin"))[0] == 200
    before = hits(world)
    for _ in range(3):
        heard = await datagrams.ask(asked)
        assert isinstance(heard.body, Valued)
        (site,) = (Site.from_octets(value.data) for value in heard.body.values)
        assert [server.public_key for server in site.servers] == [public(world)]
    assert hits(world) - before >= 2, "it was kept"
    assert (await world.node.call("DELETE", path, who="admin"))[0] == 200
    assert (await datagrams.ask(asked)).message.code == ResponseCode.SERVER_NOT_RESPONSIBLE
    datagrams.close()

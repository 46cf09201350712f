"""Proves node/native/desk.py: every operation and outcome has its answer, counted and noted as on every road."""

import pytest

from node import verifier
from node.metrics import NATIVE_INTERNAL_ERRORS, NATIVE_REFUSED, NATIVE_REQUESTS, NATIVE_TRUSTED, RESOLUTIONS
from node.native.answers import named
from proto.codes import OpCode, ResponseCode
from proto.identifier import Identifier
from proto.keys.public import fingerprint
from proto.native.bodies import Failure, Named, Opaque, Valued, answer_body
from proto.native.envelope import Envelope, Framed
from proto.native.message import AUTHORITATIVE, DO_NOT_REFER, TRUSTED_QUERY, TRUSTED_RESULT, Message
from proto.trust import Root
from proto.value import Reference, Value
from proto.values.claims import Term, certificate, signature
from proto.values.site import Site
from tests.node.native.world import BOOK, LONG, VALUES, World, asks, found, world
from tests.proto.keys.made import private
from tests.waiting import until

SOURCE = ("192.0.2.9", 40_000)


async def told(made: World, message: Message | bytes, **envelope) -> tuple[Envelope, Message]:
    """The one answer to a message."""
    octets = message if isinstance(message, bytes) else message.to_octets()
    heard: list[Framed] = []
    asked = Envelope((2, 11), (2, 11), 5, len(octets))._replace(**envelope)
    made.desk.take(Framed(asked, octets), SOURCE, heard.append)
    await until(lambda: heard)
    assert len(heard) == 1
    return heard[0].envelope, Message.from_octets(heard[0].message)


async def code_and_body(made: World, message: Message | bytes, **envelope):
    answered, said = await told(made, message, **envelope)
    return said.code, answer_body(said, answered.version)[0]


OUTCOMES = {
    "88.999.1001/BAG-1": (ResponseCode.SUCCESS, Valued("88.999.1001/BAG-1", VALUES)),
    "88.999.1001/皮": (ResponseCode.SUCCESS, Valued("88.999.1001/皮", VALUES[1:])),
    "88.999.1001/LONG": (ResponseCode.SUCCESS, Valued("88.999.1001/LONG", LONG)),
    "88.999": (ResponseCode.SUCCESS, Valued("88.999", VALUES[:1])),
    "77.1/FAR": (ResponseCode.SUCCESS, Valued("77.1/FAR", VALUES)),
    "88.999.1001/EMPTY": (ResponseCode.VALUES_NOT_FOUND, Failure()),
    "88.999.1001/NONE": (ResponseCode.HANDLE_NOT_FOUND, Failure()),
    "88.999.1001/GONE": (ResponseCode.HANDLE_NOT_FOUND, Failure()),
}
CODES = {
    "": ResponseCode.HANDLE_NOT_FOUND,
    "0": ResponseCode.HANDLE_NOT_FOUND,
    "/x": ResponseCode.HANDLE_NOT_FOUND,
    "88.999.1001/a\0": ResponseCode.HANDLE_NOT_FOUND,
    "88.999.1001/STOP": ResponseCode.SERVER_NOT_RESPONSIBLE,
    "77.1/FOREIGN": ResponseCode.SERVER_NOT_RESPONSIBLE,
    "77.1/AWAY": ResponseCode.ERROR,
    "88.999.1001/DOWN": ResponseCode.SERVER_BUSY,
    "88.999.1001/BUSY": ResponseCode.SERVER_BUSY,
}


async def test_every_outcome_is_told():
    async with world() as made:
        for handle, (code, body) in OUTCOMES.items():
            assert await code_and_body(made, asks(handle)) == (code, body), handle
        for handle, code in CODES.items():
            assert (await code_and_body(made, asks(handle)))[0] == code, handle
        assert made.house.admission.in_hand == 0


async def test_a_heartbeat_asks_nobody():
    async with world() as made:
        made.book.closed = True
        assert await code_and_body(made, asks("0")) == (ResponseCode.HANDLE_NOT_FOUND, Failure())
        assert made.noted == []


async def test_a_mistake_of_ours_is_answered_and_told_in_the_journal(capsys: pytest.CaptureFixture[str]):
    async with world() as made:
        code, body = await code_and_body(made, asks("88.999.1001/BROKEN"))
        assert made.counted(NATIVE_INTERNAL_ERRORS) == {"": 1}
    assert code == ResponseCode.ERROR
    mark = body.text.rpartition(" ")[2].rstrip(".")
    journal = capsys.readouterr().err
    assert mark in journal
    assert "a mistake" in journal


async def test_what_lives_elsewhere_is_not_authoritative_and_not_told_to_who_wants_no_referral():
    async with world() as made:
        assert not (await told(made, asks("77.1/FAR")))[1].has(AUTHORITATIVE)
        assert (await told(made, asks("88.999.1001/BAG-1")))[1].has(AUTHORITATIVE)
        code, _ = await code_and_body(made, asks("77.1/FAR", flags=DO_NOT_REFER))
        assert code == ResponseCode.SERVER_NOT_RESPONSIBLE


async def test_who_does_not_ask_for_public_values_only_is_told_those_and_not_challenged():
    async with world() as made:
        assert await code_and_body(made, asks("88.999.1001/BAG-1", flags=0)) == OUTCOMES["88.999.1001/BAG-1"]


@pytest.mark.parametrize("body", [b"", Named("/").to_octets(), Named("/").to_octets() + bytes(8)])
async def test_the_site_is_told(body: bytes):
    async with world(native_port=2641) as made:
        code, said = await code_and_body(made, Message(OpCode.GET_SITE_INFO, body=body))
    assert code == ResponseCode.SUCCESS
    assert isinstance(said, Opaque)
    assert str(Site.from_octets(said.octets).servers[0].address) == "192.0.2.1"


async def test_a_node_without_an_address_has_no_site():
    async with world(host="0.0.0.0") as made:
        code, said = await code_and_body(made, Message(OpCode.GET_SITE_INFO))
    assert code == ResponseCode.ERROR
    assert "name no address" in said.text


@pytest.mark.parametrize(
    ("message", "envelope", "code", "op"),
    [
        (Message(OpCode.CREATE_HANDLE), {}, ResponseCode.PROTOCOL_ERROR, 100),
        (Message(999), {}, ResponseCode.OPERATION_NOT_SUPPORTED, 999),
        (Message(2**32 - 1), {}, ResponseCode.OPERATION_NOT_SUPPORTED, 2**32 - 1),
        (Message(0), {}, ResponseCode.PROTOCOL_ERROR, 0),
        (Message(1, code=1), {}, ResponseCode.PROTOCOL_ERROR, 1),
        (Message(1), {}, ResponseCode.PROTOCOL_ERROR, 1),
        (asks("88.999.1001/BAG-1"), {"encrypted": True}, ResponseCode.PROTOCOL_ERROR, 0),
        (bytes(23), {}, ResponseCode.PROTOCOL_ERROR, 0),
        (asks("88.999.1001/BAG-1").to_octets()[:40], {}, ResponseCode.PROTOCOL_ERROR, 0),
    ],
)
async def test_what_is_not_served_or_no_request_is_told_so(message, envelope, code: ResponseCode, op: int):
    async with world() as made:
        answered, said = await told(made, message, **envelope)
        assert (answered.request, said.op, said.code) == (5, op, code)
        assert made.counted(NATIVE_REQUESTS) == {code.name.lower(): 1}
        assert made.noted == []


async def test_a_session_nobody_knows_is_echoed():
    """Some clients number their connections there (handle reference §2.16)."""
    async with world() as made:
        answered, said = await told(made, asks("88.999.1001/BAG-1"), session=10_001)
    assert (answered.session, said.code) == (10_001, ResponseCode.SUCCESS)


async def test_it_is_counted_and_noted_as_on_every_road():
    async with world() as made:
        await told(made, asks("88.999.1001/BAG-1"))
        await told(made, asks("88.999.1001/BAG-1"))
        await told(made, asks("88.999.1001/NONE"))
        assert made.counted(NATIVE_REQUESTS) == {"success": 2, "handle_not_found": 1}
        assert made.counted(RESOLUTIONS) == {"ownfound": 1, "hotfound": 1, "ownabsent": 1}
        assert [entry[1:] for entry in made.noted] == [
            (*SOURCE, 0, "88.999.1001/BAG-1", "resolve found"),
            (*SOURCE, 0, "88.999.1001/BAG-1", "resolve found"),
            (*SOURCE, 0, "88.999.1001/NONE", "resolve absent"),
        ]


async def test_who_is_not_admitted_is_told_to_come_back():
    async with world(peer_rate=1) as made:
        codes = [(await told(made, asks("88.999.1001/BAG-1")))[1].code for _ in range(3)]
        assert codes == [ResponseCode.SUCCESS, ResponseCode.SUCCESS, ResponseCode.SERVER_BUSY]
        assert made.counted(NATIVE_REFUSED) == {"rate": 1}
        made.house.admission.in_hand = 10_000
        assert (await told(made, asks("88.999.1001/BAG-1")))[1].code == ResponseCode.SERVER_BUSY
        assert made.counted(NATIVE_REFUSED) == {"rate": 1, "requests": 1}


def test_a_prefix_alone_is_what_is_known_of_it():
    assert [named(text) for text in ("88.999", "88.999/x", "", "0")] == ["0.NA/88.999", "88.999/x", "", "0.NA/0"]


ADMIN = Reference("88.999.1001/SIGNER", 301)


def signed(*values: Value, signer: str = "ec") -> tuple[Value, ...]:
    name = Identifier.parse("88.999.1001/SIGNED")
    claim = signature(ADMIN, name, VALUES, Term(None, None), private(signer))
    return (*values, Value(400, "HS_SIGNATURE", claim))


@pytest.fixture
def roots(monkeypatch: pytest.MonkeyPatch) -> str:
    """The setting for the root that signs 88.999.1001/SIGNED."""
    key = private("ec")
    own = certificate(ADMIN, ADMIN, key.public(), (("everything", ""),), Term(None, None), key)
    monkeypatch.setitem(BOOK, ADMIN.handle, found((Value(400, "HS_CERT", own),)))
    return str(Root(ADMIN.handle, fingerprint(key.public())))


@pytest.mark.parametrize(
    ("record", "outcome", "code", "flags"),
    [
        (signed(*VALUES), "trusted", ResponseCode.SUCCESS, TRUSTED_RESULT),
        (signed(VALUES[0]), "trusted", ResponseCode.SUCCESS, TRUSTED_RESULT),
        (VALUES, "unknown", ResponseCode.SUCCESS, 0),
        (signed(Value(1, "URL", b"http://other/")), "untrusted", ResponseCode.CREDENTIAL_REFUSED, 0),
        (signed(*VALUES, signer="rsa"), "untrusted", ResponseCode.CREDENTIAL_REFUSED, 0),
    ],
    ids=["signed", "signed and less", "unsigned", "changed", "forged"],
)
async def test_a_trusted_query_tells_whether_values_are_as_somebody_trusted_said(
    roots: str,
    monkeypatch: pytest.MonkeyPatch,
    record: tuple[Value, ...],
    outcome: str,
    code: ResponseCode,
    flags: int,
):
    monkeypatch.setitem(BOOK, "88.999.1001/SIGNED", found(record))
    async with world(trust_roots=roots) as made:
        _, said = await told(made, asks("88.999.1001/SIGNED", flags=TRUSTED_QUERY))
        assert (said.code, said.flags) == (code, AUTHORITATIVE | flags)
        assert isinstance(answer_body(said, (2, 11))[0], Valued if code is ResponseCode.SUCCESS else Failure)
        assert made.counted(NATIVE_TRUSTED) == {outcome: 1}
        await until(lambda: made.house.admission.in_hand == 0)  # its task ends behind its answer
        _, said = await told(made, asks("88.999.1001/SIGNED"))
        assert (said.code, said.flags & TRUSTED_RESULT) == (ResponseCode.SUCCESS, 0), "nobody asked"


async def test_a_trusted_query_for_what_is_not_there_is_as_any_other(roots: str):
    async with world(trust_roots=roots) as made:
        for handle in ("88.999.1001/NONE", "88.999.1001/EMPTY", "88.999.1001/BUSY"):
            _, plain = await told(made, asks(handle, flags=0))
            assert (await told(made, asks(handle, flags=TRUSTED_QUERY)))[1] == plain
        assert made.counted(NATIVE_TRUSTED) == {}


async def test_a_trusted_query_may_find_the_node_busy(roots: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verifier, "UNDER_WAY_MOST", 0)
    async with world(trust_roots=roots) as made:
        _, said = await told(made, asks("88.999.1001/BAG-1", flags=TRUSTED_QUERY))
        assert said.code == ResponseCode.SERVER_BUSY
        assert made.counted(NATIVE_TRUSTED) == {}, "nothing was found"

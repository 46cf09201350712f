"""The Handle protocol inside HTTP: the answer is the desk's, and what is no message is told in HTTP's words."""

from loadtest.native import framed
from node.resolve.forwarded import MESSAGE_TYPE
from proto.codes import ResponseCode
from proto.native.bodies import Failure, Question, Valued, answer_body
from proto.native.envelope import Envelope, Framed
from proto.native.message import Message
from proto.values.site import Site
from tests.fakes.in_process import PREFIX, Node, node


async def posted(running: Node, octets: bytes, kind: str = MESSAGE_TYPE) -> tuple[int, str, bytes]:
    async with running.client.post("/", data=octets, headers={"Content-Type": kind}) as response:
        return response.status, response.content_type, await response.read()


async def told(running: Node, message: Message, request: int = 7) -> Message:
    status, kind, octets = await posted(running, framed(message, request, (2, 3)).to_octets())
    assert (status, kind) == (200, MESSAGE_TYPE)
    envelope = Envelope.from_octets(octets)
    assert (envelope.request, envelope.length) == (request, len(octets) - 20)
    return Message.from_octets(octets[20:])


def asks(handle: str) -> Message:
    return Message(1, body=Question(handle).to_octets())


async def test_a_message_is_answered_by_the_desk(database: str) -> None:
    async with node(database) as running:
        await running.registry.write("create", "A")
        found = await told(running, asks(f"{PREFIX}/A"))
        assert found.code == ResponseCode.SUCCESS
        body, _ = answer_body(found, (2, 11))
        assert isinstance(body, Valued)
        shown = (await running.call("GET", f"/api/handles/{PREFIX}/A", who=None))[1]["values"]
        assert [value.index for value in body.values] == [value["index"] for value in shown]
        assert (await told(running, asks("0"))).code == ResponseCode.HANDLE_NOT_FOUND
        assert (await told(running, asks(f"{PREFIX}/NONE"))).code == ResponseCode.HANDLE_NOT_FOUND
        assert (await told(running, Message(999))).code == ResponseCode.OPERATION_NOT_SUPPORTED
        site = Site.from_octets((await told(running, Message(2))).body)
        assert str(site.servers[0].address) == "127.0.0.1"
        assert running.house.admission.in_hand == 0
        long = Framed(Envelope((2, 11), (2, 11), 8, 2**31), b"").to_octets()
        refused = Message.from_octets((await posted(running, long))[2][20:])
        assert refused.code == ResponseCode.PROTOCOL_ERROR
        assert isinstance(answer_body(refused, (2, 11))[0], Failure)
        whole = framed(asks(f"{PREFIX}/A"), 1).to_octets()
        for octets, kind, status in (
            (whole[:-1], MESSAGE_TYPE, 400),
            (b"", MESSAGE_TYPE, 400),
            (whole, "application/json", 415),
            (whole + bytes(262_144), MESSAGE_TYPE, 413),
        ):
            assert (await posted(running, octets, kind))[0] == status

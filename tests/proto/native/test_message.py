"""Proves proto/native/message.py: by the vectors, round trips, and nothing ever read past its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.native.envelope import Envelope
from proto.native.message import CONTINUOUS, MINT, PUBLIC_ONLY, Message
from tests.proto.native.seen import OCTETS, U32, vectors

VECTORS = vectors("messages")
U8 = st.integers(0, 255)
MESSAGES = st.builds(
    Message, U32, U32, U32, OCTETS, st.none() | OCTETS, st.integers(0, 0xFFFF), U32, recursion=U8, reserved=U8
)


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_means_what_it_says(name: str):
    said = VECTORS[name]
    octets = bytes.fromhex(said["octets"])
    envelope, message = Envelope.from_octets(octets), Message.from_octets(octets[20:])
    meant = said["envelope"] | {each: tuple(said["envelope"][each]) for each in ("version", "suggested")}
    assert envelope == Envelope(**meant)
    credential = said["message"]["credential"]
    found = {each: getattr(message, each) for each in said["message"]}
    assert found == said["message"] | {"credential": None if credential is None else bytes.fromhex(credential)}
    again = message.to_octets()
    assert octets[20 : 20 + len(again)] == again


@given(MESSAGES)
def test_every_message_comes_back(message: Message):
    assert Message.from_octets(message.to_octets()) == message


@given(MESSAGES, st.binary(max_size=3))
def test_what_is_behind_it_is_passed_over(message: Message, rest: bytes):
    assert Message.from_octets(message.to_octets() + rest) == message


@given(MESSAGES)
def test_what_is_covered_is_what_came(message: Message):
    assert message.to_octets().startswith(message.covered)
    assert len(message.covered) == 24 + len(message.body)


@given(MESSAGES.filter(lambda message: message.credential), st.data())
def test_a_part_of_one_is_refused_or_lacks_its_credential(message: Message, data: st.DataObject):
    octets = message.to_octets()
    count = data.draw(st.integers(0, len(octets) - 1))
    least = len(message.covered)
    if least <= count < least + 4:
        assert Message.from_octets(octets[:count]).credential is None
        return
    with pytest.raises(ProtoError) as refused:
        Message.from_octets(octets[:count])
    assert refused.value.field == ("header" if count < 24 else "bodyLength" if count < least else "credential")


def test_flags_are_told_apart():
    message = Message(100, flags=MINT | CONTINUOUS)
    assert (message.has(MINT), message.has(CONTINUOUS), message.has(PUBLIC_ONLY)) == (True, True, False)

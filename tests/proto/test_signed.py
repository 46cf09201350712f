"""Proves proto/signed.py: what was signed is read back, and nothing else ever is."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto import signed
from proto import uplink_pb2 as pb
from proto.errors import ProtoError
from proto.signed import (
    MESSAGE_OCTETS,
    SKEW_SECONDS,
    Answered,
    Asked,
    answer,
    answered,
    ask,
    asked,
    claimed,
    introduced,
    public_key,
)

NODE, TOP, STRANGER = (bytes([n]) * 32 for n in (1, 2, 3))
NONCE = bytes(range(16))
NOW = 1_795_335_354_000
REQUEST = Asked("Poll", "88.999", NOW, NONCE, 7, b"request")
ANSWER = Answered(1301, "有消息", "a message", b"response")
FIELDS = st.builds(
    Asked,
    st.just("Poll"),
    st.text(max_size=20),
    st.integers(NOW - SKEW_SECONDS * 1000, NOW + SKEW_SECONDS * 1000),
    st.binary(min_size=16, max_size=16),
    st.integers(0, 2**62),
    st.binary(max_size=100),
)


def test_a_public_key_by_the_first_vector_of_rfc_8032():
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    assert public_key(seed).hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"


@given(FIELDS)
def test_a_request_is_read_as_it_was_asked(request: Asked):
    octets = ask(request, NODE)
    assert asked(octets, public_key(NODE), "Poll", NOW) == request
    assert claimed(octets) == request


def test_an_answer_is_read_as_it_was_given():
    assert answered(answer(NONCE, ANSWER, TOP), public_key(TOP), NONCE) == ANSWER


@pytest.mark.parametrize(
    ("octets", "method", "now", "field"),
    [
        (b"\xff", "Poll", NOW, "request"),
        (bytes(MESSAGE_OCTETS + 1), "Poll", NOW, "request"),
        (b"", "Poll", NOW, "signature"),
        (ask(REQUEST, STRANGER), "Poll", NOW, "signature"),
        (ask(REQUEST, NODE), "Acknowledge", NOW, "method"),
        (ask(REQUEST, NODE), "Poll", NOW + SKEW_SECONDS * 1000 + 1, "made"),
        (ask(REQUEST, NODE), "Poll", NOW - SKEW_SECONDS * 1000 - 1, "made"),
        (ask(Asked("Poll", "88.999", NOW, b"short", 7, b""), NODE), "Poll", NOW, "nonce"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(octets: bytes, method: str, now: int, field: str):
    with pytest.raises(ProtoError) as wrong:
        asked(octets, public_key(NODE), method, now)
    assert wrong.value.field == field
    assert re.search("[一-鿿]", wrong.value.zh)


@pytest.mark.parametrize(
    ("octets", "field"),
    [
        (b"\xff", "response"),
        (answer(NONCE, ANSWER, STRANGER), "signature"),
        (answer(NONCE[::-1], ANSWER, TOP), "nonce"),
    ],
)
def test_what_is_wrong_with_an_answer_is_named(octets: bytes, field: str):
    with pytest.raises(ProtoError) as wrong:
        answered(octets, public_key(TOP), NONCE)
    assert wrong.value.field == field


@given(st.integers(0, len(ask(REQUEST, NODE)) - 1), st.integers(1, 255))
def test_no_octet_of_a_request_can_be_changed(at: int, change: int):
    octets = bytearray(ask(REQUEST, NODE))
    octets[at] ^= change
    try:
        read = asked(bytes(octets), public_key(NODE), "Poll", NOW)
    except ProtoError:
        return
    assert read == REQUEST  # an unknown field beside the signed ones changes nothing of what is read


@given(st.binary(max_size=60))
def test_whatever_comes_is_refused_in_a_sentence(octets: bytes):
    for read in (lambda: asked(octets, public_key(NODE), "Poll", NOW), lambda: introduced(octets, NONCE)):
        with pytest.raises(ProtoError):
            read()


def test_a_first_meeting_believes_the_key_that_signed_the_answer_naming_it():
    told = pb.EnrolResponse(public_key=public_key(TOP)).SerializeToString()
    octets = answer(NONCE, Answered(1000, "", "", told), TOP)
    assert introduced(octets, NONCE) == public_key(TOP)
    with pytest.raises(ProtoError, match="signature"):
        introduced(answer(NONCE, Answered(1000, "", "", told), STRANGER), NONCE)


def test_a_sentence_is_one_line_of_bounded_length():
    assert signed.sentence("好。\0\n\x1b[31mred") == "好。   [31mred"
    assert len(signed.sentence("长" * 10_000_000)) == signed.SENTENCE_MOST

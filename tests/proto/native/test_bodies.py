"""Proves proto/native/bodies.py: every layout by the vectors and round trips; what is malformed is named."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.native import bodies
from proto.native.bodies import answer_body, answer_octets, request_body
from proto.native.digest import RequestDigest
from proto.native.message import REQUEST_DIGEST, Message
from proto.native.stream import Stream
from tests.proto.native.seen import (
    DIGESTS,
    INDEXES,
    NAMES,
    OCTETS,
    RECORDS,
    REFERENCES,
    TEXTS,
    U32,
    body_of,
    digest_of,
    vectors,
)

MESSAGES, MALFORMED = vectors("messages"), vectors("malformed")
MODES = st.sampled_from([bodies.CLIENT_KEY, bodies.DIFFIE_HELLMAN])
KEYS = st.builds(bodies.KeyOf, TEXTS, U32)
RECORD = st.builds(bodies.Valued, TEXTS, RECORDS)
NAMED = st.builds(bodies.Named, TEXTS)
QUESTION = st.builds(bodies.Question, TEXTS, INDEXES, NAMES)
LISTED = st.builds(bodies.Listed, NAMES)
REQUESTS = {
    OpCode.RESOLUTION: QUESTION,
    OpCode.GET_SITE_INFO: NAMED,
    OpCode.CREATE_HANDLE: RECORD,
    OpCode.REMOVE_VALUE: st.builds(bodies.Removal, TEXTS, INDEXES),
    OpCode.CHALLENGE_RESPONSE: st.builds(bodies.Proof, TEXTS, TEXTS, U32, OCTETS),
    OpCode.VERIFY_CHALLENGE: st.builds(bodies.Verification, TEXTS, U32, OCTETS, OCTETS, OCTETS),
    OpCode.SESSION_SETUP: st.builds(bodies.SessionSetup, MODES, U32, TEXTS, U32, OCTETS)
    | st.builds(bodies.SessionSetup, st.just(bodies.HANDLE_KEY), U32, TEXTS, U32, st.just(b""), REFERENCES),
    OpCode.SESSION_EXCHANGE_KEY: st.builds(bodies.KeyExchange, OCTETS),
    OpCode.LOGIN_BY_PASSWORD: QUESTION,
    OpCode.LOGIN_BY_KEY: KEYS,
}
ANSWERS = {
    (OpCode.RESOLUTION, ResponseCode.SUCCESS): RECORD,
    (OpCode.GET_SITE_INFO, ResponseCode.SUCCESS): st.builds(bodies.Opaque, OCTETS),
    (OpCode.CREATE_HANDLE, ResponseCode.SUCCESS): NAMED,
    (OpCode.DELETE_HANDLE, ResponseCode.SUCCESS): st.just(bodies.Nothing()),
    (OpCode.LIST_HANDLES, ResponseCode.SUCCESS): LISTED,
    (OpCode.VERIFY_CHALLENGE, ResponseCode.SUCCESS): st.builds(bodies.Verified, st.booleans()),
    (OpCode.SESSION_SETUP, ResponseCode.SUCCESS): st.builds(bodies.SessionKey, st.integers(0, 0xFFFF), OCTETS),
    (OpCode.LOGIN_BY_PASSWORD, ResponseCode.SUCCESS): KEYS,
    (OpCode.CREATE_HANDLE, ResponseCode.INVALID_VALUE): st.builds(bodies.Failure, TEXTS, INDEXES),
    (OpCode.RESOLUTION, ResponseCode.SERVICE_REFERRAL): st.builds(bodies.Referral, TEXTS.filter(bool)),
    (OpCode.RESOLUTION, ResponseCode.PREFIX_REFERRAL): st.builds(bodies.Referral, st.just(""), RECORDS),
    (OpCode.CREATE_HANDLE, ResponseCode.AUTHENTICATION_NEEDED): st.builds(bodies.Challenge, OCTETS),
}
VERSIONS = st.sampled_from([(2, 0), (2, 3), (2, 11)])


def read(said: dict) -> tuple[bodies.Body, RequestDigest | None]:
    stream = Stream(262_144)
    stream.feed(bytes.fromhex(said["octets"]))
    framed = stream.take()
    assert framed is not None
    message = Message.from_octets(framed.message)
    if said["role"] == "request":
        return request_body(message), None
    return answer_body(message, framed.envelope.version)


@pytest.mark.parametrize("name", MESSAGES)
def test_a_vector_means_what_it_says(name: str):
    said = MESSAGES[name]
    body, digest = read(said)
    assert (body, digest) == (body_of(said["body"]), digest_of(said["digest"]))
    if said["exact"]:
        octets = bytes.fromhex(said["octets"])
        message = Message.from_octets(octets[20:])
        assert answer_octets(body, digest, tuple(said["envelope"]["version"])) == message.body


@pytest.mark.parametrize("name", MALFORMED)
def test_what_is_malformed_is_named(name: str):
    with pytest.raises(ProtoError) as refused:
        read(MALFORMED[name])
    assert refused.value.field == MALFORMED[name]["field"]
    assert refused.value.zh != refused.value.en


@given(st.sampled_from(list(REQUESTS)).flatmap(lambda op: REQUESTS[op].map(lambda body: (op, body))))
def test_every_request_comes_back(asked: tuple[OpCode, bodies.Body]):
    op, body = asked
    assert request_body(Message(op, body=body.to_octets())) == body


@given(
    st.sampled_from(list(ANSWERS)).flatmap(lambda key: ANSWERS[key].map(lambda body: (*key, body))), DIGESTS, VERSIONS
)
def test_every_answer_comes_back(said: tuple[OpCode, ResponseCode, bodies.Body], digest: RequestDigest, version):
    op, code, body = said
    flags = REQUEST_DIGEST
    octets = answer_octets(body, digest, version)
    assert answer_body(Message(op, code, flags, octets), version) == (body, digest)


@given(st.sampled_from(sorted({*REQUESTS, 999})), st.integers(0, 500), st.binary(max_size=200), VERSIONS)
def test_all_octets_mean_something_or_are_refused(op: int, code: int, octets: bytes, version):
    message = Message(op, code, REQUEST_DIGEST * (code % 2), octets)
    for reading in (lambda: request_body(message), lambda: answer_body(message, version)):
        with suppress(ProtoError):
            reading()


def test_every_operation_has_its_layouts():
    """But an answer to a challenge: that has the operation of the request that was challenged."""
    assert set(bodies.REQUESTS) == set(OpCode)
    assert set(bodies.ANSWERS) == set(OpCode) - {OpCode.CHALLENGE_RESPONSE}


def test_an_old_code_for_read_only_is_no_referral():
    read_only = Message(OpCode.CREATE_HANDLE, ResponseCode.PREFIX_REFERRAL, body=bodies.Failure("no").to_octets())
    assert answer_body(read_only, (2, 4)) == (bodies.Failure("no"), None)
    referral = Message(OpCode.RESOLUTION, ResponseCode.PREFIX_REFERRAL, body=bodies.Referral("x").to_octets())
    assert answer_body(referral, (2, 4)) == (bodies.Referral("x"), None)

"""Proves node/native/answers.py: which code each outcome has, whose flags an answer has, and what version it is in."""

import pytest

from node.native import answers
from node.native.answers import COPIED, Asked, framed, refused, resolved
from node.resolve.answer import Answer, Outcome
from proto.codes import ResponseCode
from proto.errors import NotUtf8Error, ProtoError
from proto.native.bodies import Failure, Question, Valued, answer_body
from proto.native.digest import RequestDigest
from proto.native.envelope import Envelope
from proto.native.message import AUTHORITATIVE, CERTIFY, ENCRYPT, PUBLIC_ONLY, RECURSIVE, REQUEST_DIGEST, Message
from proto.value import PUBLIC_READ
from tests.node.native.world import EPOCH, NOW, PREFIX, VALUES, asks, found

HANDLE = "88.999.1001/BAG-1"


def test_every_outcome_has_a_code():
    assert set(answers.OUTCOMES) == set(Outcome) - {Outcome.FOUND}
    for outcome, (code, text) in answers.OUTCOMES.items():
        assert resolved(Question(HANDLE), Answer(outcome, 1, PREFIX, EPOCH)) == (code, Failure(text))


@pytest.mark.parametrize(
    ("indexes", "types", "shown"),
    [
        ((), (), VALUES),
        ((1,), (), VALUES[:1]),
        ((), ("url",), VALUES[:1]),
        ((), ("URL.",), VALUES[:2]),
        ((3,), ("URL",), (VALUES[0], VALUES[2])),
        ((0, 2**32 - 1), ("",), ()),
    ],
)
def test_an_index_or_a_type_chooses(indexes, types, shown):
    code, body = resolved(Question(HANDLE, indexes, types), found(VALUES))
    if shown:
        assert (code, body) == (ResponseCode.SUCCESS, Valued(HANDLE, shown))
    else:
        assert (code, body) == (ResponseCode.VALUES_NOT_FOUND, Failure())


def test_a_record_of_which_nothing_is_public_has_no_values():
    assert all(value.permissions & PUBLIC_READ for value in VALUES)
    assert resolved(Question(HANDLE), found(())) == (ResponseCode.VALUES_NOT_FOUND, Failure())


@pytest.mark.parametrize(
    ("error", "op", "code"),
    [
        (NotUtf8Error("handle"), 1, ResponseCode.HANDLE_NOT_FOUND),
        (NotUtf8Error("handle"), 100, ResponseCode.INVALID_HANDLE),
        (NotUtf8Error("types"), 1, ResponseCode.PROTOCOL_ERROR),
        (ProtoError("handle", "短", "short"), 1, ResponseCode.PROTOCOL_ERROR),
    ],
)
def test_what_cannot_be_read_has_a_code(error: ProtoError, op: int, code: ResponseCode):
    assert refused(error, op) == (code, Failure(f"{error.zh}。 {error.en}."))


def asked(flags: int = 0, version=(2, 3), suggested=(2, 11), session: int = 0) -> Asked:
    message = asks(HANDLE, flags=flags)
    return Asked(Envelope(version, suggested, 42, len(message.to_octets()), session), message)


def test_an_answer_by_hand():
    answer = framed(asked(RECURSIVE | PUBLIC_ONLY), (ResponseCode.SUCCESS, Valued(HANDLE)), NOW)
    body = "00000011 38382e3939392e313030312f4241472d31 00000000"
    assert answer.to_octets() == bytes.fromhex(
        "020b020b 00000000 0000002a 00000000 00000035"
        "00000001 00000001 91000000 0002 0000 6afe2f80 00000019" + body + "00000000"
    )
    assert NOW + 12 * 3600 == 0x6AFE2F80


def test_an_answer_has_the_flags_of_its_request_but_those_nothing_keeps():
    flags = Message.from_octets(framed(asked(2**32 - 1), answers.BUSY, NOW).message).flags
    assert flags == COPIED | AUTHORITATIVE
    assert not flags & (CERTIFY | ENCRYPT)
    elsewhere = framed(asked(2**32 - 1), answers.BUSY, NOW, authoritative=False)
    assert Message.from_octets(elsewhere.message).flags == COPIED


@pytest.mark.parametrize(
    ("version", "suggested", "spoken", "algorithm"),
    [
        ((2, 3), (2, 11), (2, 11), 3),
        ((2, 3), (2, 3), (2, 3), 2),
        ((2, 0), (0, 0), (2, 0), 0),
        ((3, 0), (3, 0), (2, 11), 3),
    ],
)
def test_an_answer_is_in_the_version_agreed_with_its_digest(version, suggested, spoken, algorithm):
    question = asked(REQUEST_DIGEST, version, suggested, session=10_001)
    envelope, octets = framed(question, (ResponseCode.HANDLE_NOT_FOUND, Failure()), NOW)
    assert (envelope.version, envelope.suggested) == (spoken, (2, 11))
    assert (envelope.request, envelope.session, envelope.length) == (42, 10_001, len(octets))
    body, digest = answer_body(Message.from_octets(octets), spoken)
    assert (body, digest) == (Failure(), RequestDigest.of(question.message.covered, spoken))
    assert digest is not None
    assert digest.algorithm == algorithm


def test_an_old_peer_is_told_an_old_code():
    said = ResponseCode.INVALID_VALUE, Failure()
    assert Message.from_octets(framed(asked(suggested=(2, 4)), said, NOW).message).code == 201
    assert Message.from_octets(framed(asked(suggested=(2, 5)), said, NOW).message).code == 202


def test_what_has_only_an_envelope_is_answered():
    answer = answers.broken(asked().envelope, ProtoError("header", "短", "short"), NOW)
    message = Message.from_octets(answer.message)
    assert (answer.envelope.request, message.op, message.code) == (42, 0, ResponseCode.PROTOCOL_ERROR)
    assert answer_body(message, (2, 11))[0] == Failure("短。 short.")

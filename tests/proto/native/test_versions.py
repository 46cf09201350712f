"""Proves proto/native/versions.py: which version an answer is in, and how old peers know two codes."""

import pytest

from proto.codes import ResponseCode
from proto.native.versions import OWN, Version, agreed, wire_code


@pytest.mark.parametrize(
    ("version", "suggested", "answer"),
    [
        ((2, 3), (2, 11), (2, 11)),
        ((2, 3), (2, 10), (2, 10)),
        ((2, 11), (2, 3), (2, 3)),
        ((2, 3), (2, 12), (2, 11)),
        ((2, 3), (2, 200), (2, 11)),
        ((3, 0), (3, 0), (2, 11)),
        ((3, 0), (2, 1), (2, 1)),
        ((2, 3), (2, 0), (2, 0)),
        ((2, 1), (0, 0), (2, 1)),
        ((2, 3), (0, 11), (2, 3)),
        ((255, 255), (0, 0), (2, 11)),
        ((0, 0), (0, 0), (2, 0)),
        ((2, 3), (1, 99), (2, 0)),
    ],
)
def test_an_answer_is_in_the_smaller_of_what_is_suggested_and_ours(
    version: Version, suggested: Version, answer: Version
):
    assert agreed(version, suggested) == answer
    assert OWN == (2, 11)


@pytest.mark.parametrize(
    ("code", "old"),
    [
        (ResponseCode.INVALID_VALUE, ResponseCode.VALUE_ALREADY_EXISTS),
        (ResponseCode.SERVER_READ_ONLY, ResponseCode.PREFIX_REFERRAL),
        (ResponseCode.SUCCESS, ResponseCode.SUCCESS),
        (4_000_000_000, 4_000_000_000),
    ],
)
def test_two_codes_had_others_before_2_5(code: int, old: int):
    assert wire_code(code, (2, 4)) == old
    assert wire_code(code, (2, 5)) == wire_code(code, (2, 11)) == code

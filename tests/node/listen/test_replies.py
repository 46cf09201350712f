"""The one table: every outcome has its status, code and words on every face, word for word as clients know them."""

import json

import pytest

from node.listen import replies
from node.resolve.answer import Answer, Outcome
from registry.rules import Rule

HANDLE = "88.999.1001/BAG-1"


def body(outcome: Outcome, shown: bytes = b"") -> str:
    return replies.handle_body(HANDLE, Answer(outcome, 1, 3, 11, shown=shown)).decode()


def test_every_outcome_has_a_status() -> None:
    assert {outcome: replies.HANDLE_STATUS[outcome] for outcome in Outcome} == {
        Outcome.FOUND: 200,
        Outcome.ABSENT: 404,
        Outcome.GONE: 404,
        Outcome.STOPPED: 400,
        Outcome.FOREIGN: 400,
        Outcome.UNREACHABLE: 502,
    }


def test_every_rule_has_a_response_code() -> None:
    assert set(replies.REFUSED_CODE) == set(Rule)
    assert set(replies.REFUSED_CODE.values()) <= set(replies.CODE_STATUS), "and each of them its status"
    assert (replies.REFUSED_CODE[Rule.QUOTA_IDENTIFIERS], replies.REFUSED_CODE[Rule.QUOTA_ROOM]) == (604, 605)


@pytest.mark.parametrize(
    ("outcome", "shown", "expected"),
    [
        (Outcome.FOUND, b"[1]", '{"responseCode":1,"handle":"88.999.1001/BAG-1","values":[1]}'),
        (Outcome.FOUND, b"[]", '{"responseCode":200,"values":[],"handle":"88.999.1001/BAG-1"}'),
        (Outcome.ABSENT, b"", '{"responseCode":100,"handle":"88.999.1001/BAG-1"}'),
        (Outcome.GONE, b"", '{"responseCode":100,"handle":"88.999.1001/BAG-1"}'),
        (
            Outcome.FOREIGN,
            b"",
            '{"responseCode":301,"message":"That prefix doesn\'t live here","handle":"88.999.1001/BAG-1"}',
        ),
    ],
)
def test_answers_are_those_of_deployed_handle_servers(outcome: Outcome, shown: bytes, expected: str) -> None:
    assert body(outcome, shown) == expected


def test_a_stopped_prefix_is_301_and_says_so() -> None:
    answer = json.loads(body(Outcome.STOPPED))
    assert answer["responseCode"] == 301
    assert "88.999.1001已停用" in answer["message"]
    assert "is stopped" in answer["message"]


def test_a_node_out_of_reach_is_an_error_of_its_own() -> None:
    answer = json.loads(body(Outcome.UNREACHABLE))
    assert (answer["responseCode"], answer["handle"]) == (2, HANDLE)
    assert "没有给出可用的回答" in answer["message"]
    assert "no answer that can be used" in answer["message"]


def test_what_snms_clients_know_is_said_word_for_word() -> None:
    assert json.loads(replies.SNMS_BUSY) == {"status": -1, "message": "系统繁忙", "data": None}
    assert replies.SNMS_BUSY.decode() == '{"status":-1,"message":"系统繁忙","data":null}'
    assert replies.SNMS_MISSING_TEXT.format("handle") == "缺少必要的请求参数: handle"
    assert replies.SNMS_SUCCESS_TEXT == "success"
    assert replies.SNMS_NOT_FOUND_TEXT == "没有找到标识"
    assert replies.SNMS_WRONG_SECRET_TEXT == "用户名/密码错误！"
    assert [
        replies.SNMS_OK,
        replies.SNMS_NOT_SIGNED_IN,
        replies.SNMS_REFUSED,
        replies.SNMS_NO_PERMISSION,
        replies.SNMS_INTERNAL,
    ] == [1, -1, -2, -3, -4]

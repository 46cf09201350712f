"""What SNMS clients send, as bytes: read with the tolerance they need, or refused in one Chinese sentence."""

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.listen import snms_words
from node.listen.snms_words import BATCH_MOST, SnmsError
from proto.value import Value
from registry.form import SHAPES_MOST

HANDLE = "88.999.1001/BAG-1"
VALUE: dict[str, Any] = {"index": 2000, "type": "styleNo", "data": {"format": "string", "value": "S1"}}
ROW: dict[str, Any] = {"handle": HANDLE, "templateVersion": "bag", "value": [VALUE]}


def body(**changes: Any) -> bytes:
    return json.dumps(ROW | changes, ensure_ascii=False).encode()


def valued(**changes: Any) -> bytes:
    return body(value=[VALUE | changes])


def refusal(octets: bytes, operation: Any = "create") -> str:
    with pytest.raises(SnmsError) as caught:
        snms_words.request(operation, octets)
    return str(caught.value)


# -- creates and updates


def test_a_row_as_the_openapi_has_it() -> None:
    read = snms_words.request("update", body())
    assert read.operation == "update"
    assert str(read.identifier) == HANDLE
    assert read.template == "bag"
    assert read.values == (Value(2000, "styleNo", b"S1"),)


@pytest.mark.parametrize(
    "octets",
    [
        valued(index="2000"),
        valued(data={"format": "String", "value": "S1"}),
        valued(data={"format": "STRING", "value": "S1"}),
        valued(data={"value": "S1"}),
        valued(data={"format": "string", "vlaue": "S1"}),
        valued(auth=""),
        valued(auth=None),
        valued(auth="anything", remark=[1, {"a": None}]),
        body(extra={"deep": [1, 2]}, remark="x"),
        b" \n" + body() + b"\r\n",
    ],
)
def test_what_real_clients_write_is_read_the_same(octets: bytes) -> None:
    read = snms_words.request("create", octets)
    assert read.values == (Value(2000, "styleNo", b"S1"),)


def test_a_value_may_be_empty_and_chinese() -> None:
    for text in ("", "酒红", "行一\n行二", "😀"):
        read = snms_words.request("create", valued(data={"format": "string", "value": text}))
        assert read.values[0].data == text.encode()
    assert snms_words.request("create", body(value=[])).values == ()


def test_value_wins_over_its_misspelling() -> None:
    read = snms_words.request("create", valued(data={"value": "right", "vlaue": "wrong"}))
    assert read.values[0].data == b"right"


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        (body(handle=None), "缺少必要的请求参数: handle"),
        (body(handle=""), "缺少必要的请求参数: handle"),
        (b"{}", "缺少必要的请求参数: handle"),
        (body(templateVersion=None), "缺少必要的请求参数: templateVersion"),
        (body(templateVersion=""), "缺少必要的请求参数: templateVersion"),
        (body(value=None), "缺少必要的请求参数: value"),
        (valued(index=None), "缺少必要的请求参数: index"),
        (valued(index=""), "缺少必要的请求参数: index"),
        (valued(type=None), "缺少必要的请求参数: type"),
        (valued(type=""), "缺少必要的请求参数: type"),
        (valued(data=None), "缺少必要的请求参数: data"),
        (valued(data={}), "缺少必要的请求参数: data.value"),
        (valued(data={"format": "string", "value": None}), "缺少必要的请求参数: data.value"),
        (valued(index="two"), "索引two不是整数"),
        (valued(index="9" * 5000), "索引" + "9" * 40 + "…不是整数"),
        (valued(data={"format": "base64", "value": "UzE="}), "索引2000的数据格式只支持string"),
        (valued(index=0), "索引应在1到2147483647之间"),
        (valued(index="-1"), "索引应在1到2147483647之间"),
        (valued(index=2**31), "索引应在1到2147483647之间"),
        (valued(type="x" * 129), "索引2000的类型不能超过128个字符"),
        (valued(data={"value": "x" * 65_537}), "索引2000的数据不能超过65536字节"),
        (valued(data={"value": 7}), "参数value[0].data.value格式不正确"),
        (valued(index=[1]), "参数value[0].index格式不正确"),
        (valued(index=True), "参数value[0].index格式不正确"),
        (body(value={}), "参数value格式不正确"),
        (body(handle=7), "参数handle格式不正确"),
        (body(handle="x"), "标识应由前缀、“/”和后缀组成，例如88.999.1001/BAG-1"),
        (body(handle="88.999.1001/" + "x" * 244), "标识长度不能超过255个字符"),
        (body(handle="88.999.1001/a\u0000b"), "handle含有不允许的字符U+0000"),
        (b"", "请求体不是有效的JSON"),
        (b"{", "请求体不是有效的JSON"),
        (b"[]", "请求体格式不正确"),
        (b"null", "请求体格式不正确"),
        (b'"text"', "请求体格式不正确"),
        (b'{"handle":"\xff"}', "请求体不是UTF-8"),
        (b'{"handle":"\\ud800"}', "请求体不是有效的JSON"),
        (b'{"extra":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "请求体嵌套过深"),
    ],
)
def test_what_cannot_be_read_is_one_sentence_that_names_the_place(octets: bytes, sentence: str) -> None:
    assert refusal(octets) == sentence
    assert refusal(octets, "update") == sentence


# -- deletes


def test_a_delete_names_a_handle() -> None:
    read = snms_words.deletion(b'{"handle":"88.999.1001/BAG-1","why":"none of our business"}')
    assert (read.operation, str(read.identifier), read.values) == ("delete", HANDLE, ())
    for octets, sentence in ((b"{}", "缺少必要的请求参数: handle"), (b'"88.999.1001/A"', "请求体格式不正确")):
        with pytest.raises(SnmsError, match=sentence):
            snms_words.deletion(octets)


def test_a_row_of_a_batch_delete_is_a_bare_string() -> None:
    assert str(snms_words.deletion_row(msgspec.Raw(b'"88.999.1001/A"')).identifier) == "88.999.1001/A"
    for row in (b"7", b"{}", b"null", b'""', b'"x"'):
        with pytest.raises(SnmsError):
            snms_words.deletion_row(msgspec.Raw(row))


# -- batches


def test_a_batch_is_an_array_or_a_table_with_handles() -> None:
    assert [bytes(row) for row in snms_words.rows(b'["a", {"b":1}]')] == [b'"a"', b'{"b":1}']
    assert [bytes(row) for row in snms_words.rows(b' \n{"handles":["a","b"]}')] == [b'"a"', b'"b"']
    assert snms_words.rows(b"[]") == []
    for octets in (b'{"handles":7}', b"7", b'"a"', b"null"):
        with pytest.raises(SnmsError, match="格式不正确"):
            snms_words.rows(octets)
    with pytest.raises(SnmsError, match="缺少必要的请求参数: handles"):
        snms_words.rows(b'{"rows":[]}')


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    to: str


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    inner: Inner


@pytest.mark.parametrize(
    ("octets", "sentence"),
    [
        (b"{}", "缺少必要的请求参数: inner"),
        (b'{"inner":{}}', "缺少必要的请求参数: inner.to"),
        (b'{"inner":{"to":"x"},"other":1}', "没有参数other"),
        (b'{"inner":{"to":"x","form":1}}', "没有参数inner.form"),
    ],
)
def test_a_field_that_is_missing_or_is_none_is_named(octets: bytes, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as caught:
        msgspec.json.decode(octets, type=Outer)
    assert snms_words.sentence(caught.value) == sentence


def test_a_batch_has_two_thousand_rows_at_most() -> None:
    assert len(snms_words.rows(json.dumps(["a"] * BATCH_MOST).encode())) == BATCH_MOST == 2000
    for octets in (json.dumps(["a"] * 2001), json.dumps({"handles": ["a"] * 2001})):
        with pytest.raises(SnmsError, match="不能超过2000"):
            snms_words.rows(octets.encode())


def test_a_row_that_cannot_be_read_does_not_touch_its_neighbours() -> None:
    octets = b'[{"handle":"88.999.1001/A"}, {"handle":"\xff"}, "\xff", ' + b"[" * 500 + b"]" * 500 + b', "x"]'
    rows = snms_words.rows(octets)
    assert len(rows) == 5
    assert [snms_words.spelled(row) for row in rows] == ["88.999.1001/A", "", "", "", "x"]


@pytest.mark.parametrize(
    ("row", "handle"),
    [
        (b'{"handle":"88.999.1001/A","value":7}', "88.999.1001/A"),
        (b'{"handle":7}', ""),
        (b"{}", ""),
        (b'"88.999.1001/A"', "88.999.1001/A"),
        (b"7", ""),
        (b"null", ""),
    ],
)
def test_a_result_is_listed_under_what_the_row_named(row: bytes, handle: str) -> None:
    assert snms_words.spelled(msgspec.Raw(row)) == handle


# -- whatever comes

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
NAMES = ("handle", "templateVersion", "value", "index", "type", "data", "format", "vlaue", "handles")
NAMED = st.recursive(
    JSON, lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=9) | st.lists(inner, max_size=3)
)


def said(read: Callable[[], object]) -> str:
    """The sentence `read` ends with, if it does."""
    try:
        read()
    except SnmsError as error:
        return str(error)
    return ""


@given(st.binary(max_size=60) | NAMED.map(lambda given: json.dumps(given).encode()))
def test_nothing_a_client_sends_is_more_than_a_sentence(octets: bytes) -> None:
    for read in (
        lambda: snms_words.request("create", octets),
        lambda: snms_words.deletion(octets),
        lambda: [snms_words.spelled(row) for row in snms_words.rows(octets)],
        lambda: [snms_words.deletion_row(row) for row in snms_words.rows(octets)],
        lambda: [snms_words.request("update", row) for row in snms_words.rows(octets)],
    ):
        assert "\n" not in said(read)


# -- the plain decoder before the tolerant one

rows = st.fixed_dictionaries(
    {},
    optional={
        "handle": st.sampled_from([HANDLE, "", None, 1, "88.999.1001"]),
        "templateVersion": st.sampled_from(["bag", "", None, 1]),
        "value": st.none()
        | st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "index": st.sampled_from([2000, "2000", 0, -1, 2**31, None, 1.5, "x"]),
                    "type": st.sampled_from(["styleNo", "", None, "x" * 129, 7]),
                    "data": st.none()
                    | st.fixed_dictionaries(
                        {},
                        optional={
                            "format": st.sampled_from(["string", "String", "base64", None]),
                            "value": st.sampled_from(["S1", "", None, 5, "款" * 20_000, "款" * 30_000]),
                            "vlaue": st.sampled_from(["S2", None]),
                        },
                    ),
                },
            ),
            max_size=2,
        ),
    },
)


def outcome(read: Callable[..., Any], octets: bytes) -> Any:
    try:
        return read("create", octets)
    except SnmsError as error:
        return str(error)


@given(rows)
def test_the_plain_decoder_reads_what_the_tolerant_one_reads(row: dict[str, Any]) -> None:
    octets = json.dumps(row).encode()
    assert outcome(snms_words.request, octets) == outcome(snms_words._tolerated, octets)


def test_the_usual_row_needs_no_tolerance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(snms_words, "_tolerated")
    assert snms_words.request("create", body()).values == (Value(2000, "styleNo", b"S1"),)


def test_only_so_many_shapes_are_remembered() -> None:
    for index in range(1, 2 * SHAPES_MOST):
        assert snms_words.request("create", valued(index=index)).values[0].index == index
        assert len(snms_words._shapes._kept) <= SHAPES_MOST

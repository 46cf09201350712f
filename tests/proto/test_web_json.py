"""Proves proto/web_json.py: answers written out by hand from the handle reference (§3.2, §3.3), and the way back.

Statuses of HTTP belong to the doors and their tests.
"""

import base64
import copy
import json
from ipaddress import ip_address
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.limits import DATA_OCTETS, INDEX_LAST
from proto.value import Reference, Value
from proto.values import value_list
from proto.values.admin import Admin
from proto.values.public_key import PublicKey
from proto.values.site import HashOption, Interface, Protocol, Server, Site
from proto.web_json import (
    array,
    closing,
    failed,
    found,
    inside,
    looks_binary,
    moment,
    opening,
    pretty,
    selected,
    site_from_json,
    site_to_json,
    value_from_json,
    value_to_json,
)

AT = 1_795_330_554  # 2026-11-22T06:55:54Z
ADMIN = bytes.fromhex("07f3 0000000e 38382e3130302e312f41444d494e 0000012d")
KEY = bytes.fromhex("0000000b 5253415f5055425f4b4559 0000 00000003 010001 00000003 00c1ff 00000000")
SITE = Site(
    version=(2, 11),
    serial=65535,
    primary=True,
    multi_primary=False,
    hash_option=HashOption.SUFFIX,
    hash_filter="f",
    attributes=(("desc", "标"),),
    servers=(
        Server(2**32 - 1, ip_address("192.0.2.1"), KEY, (Interface(Protocol.HTTP, 8000, query=True, admin=False),)),
        Server(2, ip_address("::ffff:192.0.2.1"), b"", ()),
    ),
)
VLIST = bytes.fromhex("00000002 00000006 38382e312f61 0000012c 00000006 38382e312f62 00000000")

# --- What is shown -----------------------------------------------------------------------------------------

DATA = {
    "quotes": (b'a "b" \\ / <c>', "string", '"a \\"b\\" \\\\ / <c>"'),
    "lines and tabs are text": (b"line1\r\nline2\ttab", "string", '"line1\\r\\nline2\\ttab"'),
    "octet 13 is text": (b"a\x13", "string", '"a\\u0013"'),
    "octet 00": (b"\x00", "base64", '"AA=="'),
    "octet 14": (b"\x14", "base64", '"FA=="'),
    "octet 7F": (b"a\x7f", "base64", '"YX8="'),
    "no UTF-8": (b"\xc3\x28\xff", "base64", '"wyj/"'),
}
"""Octets no type explains, the format they are shown in, and how."""

SHOWN = {
    name: (
        Value(6, "DESC", octets),
        f'{{"index":6,"type":"DESC","data":{{"format":"{form}","value":{shown}}},"ttl":86400}}',
    )
    for name, (octets, form, shown) in DATA.items()
} | {
    "plain": (
        Value(1, "URL", b"http://example.com/abc", timestamp=AT),
        '{"index":1,"type":"URL","data":{"format":"string","value":"http://example.com/abc"},'
        '"ttl":86400,"timestamp":"2026-11-22T06:55:54Z"}',
    ),
    "chinese": (
        Value(6, "描述", "皮具：全角「」、生僻字𠮷。".encode(), timestamp=AT),
        '{"index":6,"type":"描述","data":{"format":"string","value":"皮具：全角「」、生僻字𠮷。"},'
        '"ttl":86400,"timestamp":"2026-11-22T06:55:54Z"}',
    ),
    "no timestamp, no ttl of its own": (
        Value(7, "URL", b"", ttl=0),
        '{"index":7,"type":"URL","data":{"format":"string","value":""},"ttl":0}',
    ),
    "permissions": (
        Value(4, "SECRET", b"x", permissions=0b1100),
        '{"index":4,"type":"SECRET","data":{"format":"string","value":"x"},"permissions":"1100","ttl":86400}',
    ),
    "no permissions at all": (
        Value(4, "SECRET", b"x", permissions=0),
        '{"index":4,"type":"SECRET","data":{"format":"string","value":"x"},"permissions":"0000","ttl":86400}',
    ),
    "absolute ttl": (
        Value(5, "URL", b"x", ttl=AT, ttl_absolute=True),
        '{"index":5,"type":"URL","data":{"format":"string","value":"x"},"ttl":"2026-11-22T06:55:54Z"}',
    ),
    "everything": (
        Value(5, "URL", b"x", AT, AT, 0b1111, True, (Reference("88.1/a", 2), Reference("88.1/b", 0))),
        '{"index":5,"type":"URL","data":{"format":"string","value":"x"},"permissions":"1111",'
        '"ttl":"2026-11-22T06:55:54Z","timestamp":"2026-11-22T06:55:54Z",'
        '"references":[{"handle":"88.1/a","index":2},{"handle":"88.1/b","index":0}]}',
    ),
    "admin": (
        Value(100, "HS_ADMIN", ADMIN),
        '{"index":100,"type":"HS_ADMIN","data":{"format":"admin","value":'
        '{"handle":"88.100.1/ADMIN","index":301,"permissions":"011111110011"}},"ttl":86400}',
    ),
    "admin by an old writer": (
        Value(100, "hs_admin", ADMIN + b"\0\0"),
        '{"index":100,"type":"hs_admin","data":{"format":"admin","value":{"handle":"88.100.1/ADMIN","index":301,'
        '"permissions":"011111110011","legacyByteLength":true}},"ttl":86400}',
    ),
    "admin with the last index, printed with a sign": (
        Value(100, "HS_ADMIN", ADMIN[:-4] + b"\xff" * 4),
        '{"index":100,"type":"HS_ADMIN","data":{"format":"admin","value":'
        '{"handle":"88.100.1/ADMIN","index":-1,"permissions":"011111110011"}},"ttl":86400}',
    ),
    "admin with bits that mean nothing": (
        Value(122, "HS_ADMIN", b"\xf7" + ADMIN[1:]),
        '{"index":122,"type":"HS_ADMIN","data":{"format":"admin","value":'
        '{"handle":"88.100.1/ADMIN","index":301,"permissions":"011111110011"}},"ttl":86400}',
    ),
    "admin that is none": (
        Value(124, "HS_ADMIN", b"not an admin record"),
        '{"index":124,"type":"HS_ADMIN","data":{"format":"string","value":"not an admin record"},"ttl":86400}',
    ),
    "admin cut short": (
        Value(124, "HS_ADMIN", ADMIN[:4]),
        '{"index":124,"type":"HS_ADMIN","data":{"format":"base64","value":"B/MAAA=="},"ttl":86400}',
    ),
    "key": (
        Value(300, "HS_PUBKEY", KEY),
        '{"index":300,"type":"HS_PUBKEY","data":{"format":"key","value":{"kty":"RSA","n":"wf8","e":"AQAB"}},"ttl":86400}',
    ),
    "DSA key": (
        Value(300, "HS_PUBKEY", PublicKey("DSA_PUB_KEY", (1, 2, 255, 0)).to_octets()),
        '{"index":300,"type":"HS_PUBKEY","data":{"format":"key","value":'
        '{"kty":"DSA","y":"AA","p":"Ag","q":"AQ","g":"_w"}},"ttl":86400}',
    ),
    "key of another kind": (
        Value(300, "HS_PUBKEY", b"\0\0\0\x01X\0\0"),
        '{"index":300,"type":"HS_PUBKEY","data":{"format":"base64","value":"AAAAAVgAAA=="},"ttl":86400}',
    ),
    "site": (
        Value(200, "HS_SITE.PREFIX", SITE.to_octets()),
        '{"index":200,"type":"HS_SITE.PREFIX","data":{"format":"site","value":{"version":1,"protocolVersion":"2.11",'
        '"serialNumber":-1,"primarySite":true,"multiPrimary":false,"hashOption":1,"hashFilter":"f",'
        '"attributes":[{"name":"desc","value":"标"}],"servers":[{"serverId":-1,"address":"192.0.2.1",'
        '"publicKey":{"format":"key","value":{"kty":"RSA","n":"wf8","e":"AQAB"}},'
        '"interfaces":[{"query":true,"admin":false,"protocol":"HTTP","port":8000}]},'
        '{"serverId":2,"address":"::ffff:c000:201","publicKey":{"format":"base64","value":""},"interfaces":[]}]}},'
        '"ttl":86400}',
    ),
    "site that is none": (
        Value(200, "HS_SITE", SITE.to_octets() + b"\0"),
        '{"index":200,"type":"HS_SITE","data":{"format":"base64","value":"'
        + base64.b64encode(SITE.to_octets() + b"\0").decode()
        + '"},"ttl":86400}',
    ),
    "value list": (
        Value(400, "HS_VLIST", VLIST),
        '{"index":400,"type":"HS_VLIST","data":{"format":"vlist","value":'
        '[{"handle":"88.1/a","index":300},{"handle":"88.1/b","index":0}]},"ttl":86400}',
    ),
}


@pytest.mark.parametrize(("value", "shown"), SHOWN.values(), ids=SHOWN)
def test_a_value_is_shown_octet_for_octet(value: Value, shown: str):
    assert array((value,)) == f"[{shown}]".encode()


def test_an_answer_is_its_values_in_order_and_echoes_the_spelling():
    values = (SHOWN["plain"][0], SHOWN["admin"][0])
    shown = f"[{SHOWN['plain'][1]},{SHOWN['admin'][1]}]"
    answer = found('88.100.1/皮具"', array(values)).decode()
    assert answer == f'{{"responseCode":1,"handle":"88.100.1/皮具\\"","values":{shown}}}'


def test_a_record_of_which_nothing_may_be_shown_is_code_200_with_values_first():
    assert found("88.100.1/abc", array(())) == b'{"responseCode":200,"values":[],"handle":"88.100.1/abc"}'


@pytest.mark.parametrize(
    ("code", "handle", "message", "answer"),
    [
        (ResponseCode.HANDLE_NOT_FOUND, "88.100.1/nope", None, '{"responseCode":100,"handle":"88.100.1/nope"}'),
        (
            ResponseCode.SERVER_NOT_RESPONSIBLE,
            "99.9/x",
            "That prefix doesn't live here",
            '{"responseCode":301,"message":"That prefix doesn\'t live here","handle":"99.9/x"}',
        ),
        (
            ResponseCode.INVALID_HANDLE,
            None,
            "Empty handle invalid",
            '{"responseCode":102,"message":"Empty handle invalid"}',
        ),
        (ResponseCode.SERVER_BUSY, None, None, '{"responseCode":3}'),
    ],
)
def test_other_answers(code: ResponseCode, handle: str | None, message: str | None, answer: str):
    assert failed(code, handle, message).decode() == answer


MANY = array(
    (
        Value(1, "URL", b"a"),
        Value(2, "EMAIL", b"b"),
        Value(3, "URL.MIRROR", b"c"),
        Value(6, "描述", b"d"),
    )
)


@pytest.mark.parametrize(
    ("indexes", "types", "wanted"),
    [
        ({1}, (), [1]),
        ({1, 2}, (), [1, 2]),
        ((), ("URL",), [1]),
        ((), ("url",), [1]),
        ((), ("URL.",), [1, 3]),
        ((), ("描述", "EMAIL"), [2, 6]),
        ({1}, ("EMAIL",), [1, 2]),
        ({99}, (), []),
        ((), ("NOPE",), []),
    ],
)
def test_index_and_type_are_joined_by_or(indexes, types: tuple[str, ...], wanted: list[int]):
    chosen = selected(MANY, frozenset(indexes), types)
    whole = {v["index"]: v for v in json.loads(MANY)}
    assert json.loads(chosen) == [whole[index] for index in wanted]
    assert selected(chosen, frozenset(wanted), ()) == chosen


def test_pretty_changes_the_look_only():
    answer = found("88.100.1/abc", array((Value(1, "URL", b"x"),)))
    laid_out = pretty(answer).decode()
    assert laid_out.startswith('{\n  "responseCode": 1,\n  "handle": "88.100.1/abc",\n  "values": [\n    {\n')
    assert json.loads(laid_out) == json.loads(answer)


@pytest.mark.parametrize("data", ["皮具 é 𠮷", 'say "no" \\', "", "a" * 300, "a\tb", "\u3000"])
@pytest.mark.parametrize("timestamp", [0, AT])
def test_a_value_put_together_from_its_parts_is_the_same_octet_for_octet(data: str, timestamp: int):
    before, said = opening(2000, '款"号'), inside(data)
    assert before is not None
    assert said is not None
    value = Value(2000, '款"号', data.encode(), timestamp=timestamp)
    assert b"[" + before + said + closing(timestamp) + b"]" == array((value,))


def test_what_is_shown_in_a_form_of_its_own_has_no_inside():
    assert inside("\x00") is None
    assert inside("\x7f") is None


@pytest.mark.parametrize("type_", ["HS_ADMIN", "hs_site", "HS_PUBKEY", "HS_VLIST", "HS_SITE.6"])
def test_types_with_a_form_of_their_own_have_no_opening(type_: str):
    assert opening(1, type_) is None


def test_moments():
    assert moment(0) == "1970-01-01T00:00:00Z"
    assert moment(AT) == "2026-11-22T06:55:54Z"
    assert moment(2**32 - 1) == "2106-02-07T06:28:15Z"


@pytest.mark.parametrize("octet", range(256))
def test_which_octets_are_binary(octet: int):
    binary = octet < 0x09 or 0x14 <= octet < 0x20 or octet >= 0x7F
    assert looks_binary(bytes([octet])) is binary
    assert looks_binary(b"text " + bytes([octet])) is binary


def test_letters_of_any_script_are_text():
    assert not looks_binary("皮具 é 𠮷\t\n".encode())
    assert looks_binary("皮具\x00".encode())
    assert looks_binary("皮具".encode()[:-1])
    assert not looks_binary(b"")


# --- There and back ----------------------------------------------------------------------------------------

U32 = st.integers(0, 2**32 - 1)
REFERENCES = st.builds(Reference, st.text(max_size=30), U32)
PLAIN = st.text(max_size=30).filter(lambda t: not t.upper().startswith("HS_"))
DATA = st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode))
TYPED = st.one_of(
    st.tuples(PLAIN, DATA),
    st.tuples(
        st.sampled_from(["HS_ADMIN", "hs_Admin"]),
        st.builds(Admin, st.integers(0, 0x0FFF), st.text(max_size=30), U32).map(Admin.to_octets),
    ),
    st.tuples(
        st.just("HS_VLIST"),
        st.lists(REFERENCES, max_size=4).map(lambda entries: value_list.to_octets(tuple(entries))),
    ),
    st.tuples(st.sampled_from(["HS_SITE", "hs_site.prefix"]), st.just(SITE.to_octets())),
    st.tuples(st.just("HS_PUBKEY"), st.just(KEY)),
    # Shorter than the shortest admin or list with an entry, and no list of none: data that is not what its type says.
    st.tuples(st.sampled_from(["HS_ADMIN", "HS_VLIST"]), st.binary(max_size=3)),
)


@st.composite
def _values(draw: st.DrawFn) -> Value:
    type_, data = draw(TYPED)
    return Value(
        draw(st.integers(1, INDEX_LAST)),
        type_,
        data,
        draw(U32),
        draw(U32),
        draw(st.integers(0, 15)),
        draw(st.booleans()),
        tuple(draw(st.lists(REFERENCES, max_size=3))),
    )


@given(_values())
def test_a_value_comes_back_from_its_json(value: Value):
    text = msgspec.json.encode(value_to_json(value))
    assert value_from_json(json.loads(text)) == value
    assert json.loads(array((value,))) == [json.loads(text)]


# --- What clients send -------------------------------------------------------------------------------------

SENT = {
    "least": ({"index": 1, "type": "URL", "data": "x"}, Value(1, "URL", b"x")),
    "string": (
        {"index": 1, "type": "URL", "data": {"format": "string", "value": "标"}},
        Value(1, "URL", "标".encode()),
    ),
    "base64": (
        {"index": 6, "type": "BIN", "data": {"format": "base64", "value": "AAEC/w=="}},
        Value(6, "BIN", b"\x00\x01\x02\xff"),
    ),
    "hex": (
        {"index": 6, "type": "BIN", "data": {"format": "hex", "value": "000102ff"}},
        Value(6, "BIN", b"\x00\x01\x02\xff"),
    ),
    "admin": (
        {
            "index": 100,
            "type": "HS_ADMIN",
            "data": {
                "format": "admin",
                "value": {"handle": "88.100.1/ADMIN", "index": 301, "permissions": "011111110011"},
            },
        },
        Value(100, "HS_ADMIN", ADMIN),
    ),
    "admin by pyhandle": (
        {
            "index": 100,
            "type": "HS_ADMIN",
            "data": {
                "format": "admin",
                "value": {"handle": "88.100.1/ADMIN", "index": "301", "permissions": "011111110011"},
            },
        },
        Value(100, "HS_ADMIN", ADMIN),
    ),
    "admin by an old writer": (
        {
            "index": 100,
            "type": "HS_ADMIN",
            "data": {
                "format": "admin",
                "value": {"handle": "88.100.1/ADMIN", "index": 301, "permissions": "*", "legacyByteLength": True},
            },
        },
        Value(100, "HS_ADMIN", b"\x0f\xff" + ADMIN[2:] + b"\0\0"),
    ),
    "last index": (
        {
            "index": 400,
            "type": "HS_VLIST",
            "data": {"format": "vlist", "value": [{"handle": "a", "index": -1}, {"handle": "a", "index": 2**32 - 1}]},
        },
        Value(400, "HS_VLIST", b"\0\0\0\2" + b"\0\0\0\1a\xff\xff\xff\xff" * 2),
    ),
    "all permissions": (
        {"index": 1, "type": "URL", "data": "x", "permissions": "*"},
        Value(1, "URL", b"x", permissions=0b1111),
    ),
    "key of SM2": (
        {"index": 300, "type": "HS_PUBKEY", "data": {"format": "key", "value": {"kty": "SM2", "d": "AAEC"}}},
        Value(
            300,
            "HS_PUBKEY",
            bytes.fromhex("0000000b 534d325f5055425f4b4559 0000 00000039")
            + b"-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----\n",
        ),
    ),
    "value list": (
        {
            "index": 400,
            "type": "HS_VLIST",
            "data": {
                "format": "vlist",
                "value": [{"handle": "88.1/a", "index": 300}, {"handle": "88.1/b", "index": 0}],
            },
        },
        Value(400, "HS_VLIST", VLIST),
    ),
    "nulls": (
        {"index": 1, "type": "URL", "data": "x", "timestamp": None, "permissions": None},
        Value(1, "URL", b"x"),
    ),
    "everything": (
        {
            "index": 7,
            "type": "URL",
            "data": "x",
            "ttl": "2026-11-22T06:55:54Z",
            "timestamp": "2024-01-01T00:00:00Z",
            "permissions": "1100",
            "references": [{"handle": "88.1/a", "index": 1}],
            "unknown": 1,
        },
        Value(7, "URL", b"x", AT, 1_704_067_200, 12, True, (Reference("88.1/a", 1),)),
    ),
}


@pytest.mark.parametrize(("sent", "value"), SENT.values(), ids=SENT)
def test_what_clients_send_is_read(sent: dict[str, Any], value: Value):
    assert value_from_json(sent) == value


GOOD = {"index": 1, "type": "URL", "data": "x"}


def _data(format_: Any, value: Any) -> dict[str, Any]:
    return {"data": {"format": format_, "value": value}}


WRONG = {
    "no object": ([], "value", "value应为对象", "value must be an object"),
    "null": (None, "value", "value应为对象", "value must be an object"),
    "no index": ({"index": None}, "index", "index应为整数", "index must be a whole number"),
    "index true": ({"index": True}, "index", "index应为整数", "index must be a whole number"),
    "index text": ({"index": "1"}, "index", "index应为整数", "index must be a whole number"),
    "index 1.5": ({"index": 1.5}, "index", "index应为整数", "index must be a whole number"),
    "index 0": ({"index": 0}, "index", "1到2147483647", "from 1 to 2147483647"),
    "index huge": ({"index": 10**400}, "index", "1到2147483647", "from 1 to 2147483647"),
    "no type": ({"type": None}, "type", "type应为字符串", "type must be a string"),
    "type surrogate": ({"type": "\ud800"}, "type", "type含有无效字符", "type holds a lone surrogate"),
    "type long": ({"type": "x" * 129}, "type", "不能超过128个字符", "at most 128 characters"),
    "no data": ({"data": None}, "data", "data应为对象", "data must be an object"),
    "data surrogate": ({"data": "\ud800"}, "data", "data含有无效字符", "data holds a lone surrogate"),
    "data long": ({"data": "x" * (DATA_OCTETS + 1)}, "data", "不能超过65536字节", "at most 65536 octets"),
    "no format": ({"data": {"value": "x"}}, "data.format", "data.format应为字符串", "data.format must be a string"),
    "format unknown": (_data("jwt", {}), "data.format", "vlist、key或site之一", "one of string, base64, hex"),
    "key unknown": (_data("key", {"kty": "EC"}), "kty", "RSA、DSA或SM2", "RSA, DSA or SM2"),
    "key incomplete": (_data("key", {"kty": "RSA", "n": "wf8"}), "e", "e应为字符串", "e must be a string"),
    "key spaced": (_data("key", {"kty": "RSA", "e": "A B", "n": "wf8"}), "e", "base64url", "not valid base64url"),
    "key chinese": (_data("key", {"kty": "RSA", "e": "标", "n": "wf8"}), "e", "base64url", "not valid base64url"),
    "site list": (_data("site", []), "site", "site应为对象", "site must be an object"),
    "string null": (_data("string", None), "data", "data应为字符串", "data must be a string"),
    "base64 broken": (_data("base64", "AAE"), "data", "不是有效的base64", "not valid base64"),
    "base64 spaced": (_data("base64", "AA =="), "data", "不是有效的base64", "not valid base64"),
    "base64 chinese": (_data("base64", "标识"), "data", "不是有效的base64", "not valid base64"),
    "hex odd": (_data("hex", "abc"), "data", "不是有效的十六进制", "not valid hexadecimal"),
    "hex chinese": (_data("hex", "标"), "data", "不是有效的十六进制", "not valid hexadecimal"),
    "admin list": (_data("admin", []), "data", "data应为对象", "data must be an object"),
    "admin bits": (
        _data("admin", {"handle": "a", "index": 1, "permissions": "1110"}),
        "permissions",
        "12位0或1",
        "12 characters, each 0 or 1",
    ),
    "admin index": (
        _data("admin", {"handle": "a", "index": -(2**31) - 1, "permissions": "1" * 12}),
        "data",
        "data的索引超出范围",
        "index in data is out of range",
    ),
    "vlist object": (_data("vlist", {}), "data", "data应为数组", "data must be an array"),
    "vlist entry": (_data("vlist", ["88.1/a"]), "data", "data应为对象", "data must be an object"),
    "vlist index": (
        _data("vlist", [{"handle": "a", "index": 2**32}]),
        "data",
        "data的索引超出范围",
        "index in data is out of range",
    ),
    "ttl null": ({"ttl": None}, "ttl", "ttl应为整数", "ttl must be a whole number"),
    "ttl negative": ({"ttl": -1}, "value", "超出范围", "out of range"),
    "ttl huge": ({"ttl": 2**64}, "value", "超出范围", "out of range"),
    "ttl words": ({"ttl": "tomorrow"}, "ttl", "2026-11-22T06:55:54Z格式", "look like 2026-11-22T06:55:54Z"),
    "ttl before 1970": ({"ttl": "1969-12-31T23:59:59Z"}, "value", "超出范围", "out of range"),
    "ttl after 2106": ({"ttl": "9999-12-31T23:59:59Z"}, "value", "超出范围", "out of range"),
    "timestamp number": ({"timestamp": 5}, "timestamp", "timestamp应为字符串", "timestamp must be a string"),
    "timestamp 30 February": (
        {"timestamp": "2026-02-30T00:00:00Z"},
        "timestamp",
        "2026-11-22T06:55:54Z格式",
        "must look like",
    ),
    "timestamp leap second": (
        {"timestamp": "2026-12-31T23:59:60Z"},
        "timestamp",
        "2026-11-22T06:55:54Z格式",
        "must look like",
    ),
    "permissions long": ({"permissions": "11100"}, "permissions", "4位0或1", "4 characters, each 0 or 1"),
    "permissions letters": ({"permissions": "rwrw"}, "permissions", "4位0或1", "4 characters, each 0 or 1"),
    "permissions signed": ({"permissions": "+110"}, "permissions", "4位0或1", "4 characters, each 0 or 1"),
    "references null": ({"references": None}, "references", "references应为数组", "references must be an array"),
    "references text": ({"references": ["a"]}, "references", "references应为对象", "references must be an object"),
    "references handle": (
        {"references": [{"index": 1}]},
        "references",
        "references应为字符串",
        "references must be a string",
    ),
}


@pytest.mark.parametrize(("sent", "field", "zh", "en"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_told_by_its_field(sent: Any, field: str, zh: str, en: str):
    with pytest.raises(ProtoError) as refused:
        value_from_json(GOOD | sent if isinstance(sent, dict) else sent)
    assert refused.value.field == field
    assert zh in refused.value.zh
    assert en in refused.value.en


SITE_SHOWN = site_to_json(SITE)


def _site_with(path: str, value: Any) -> Any:
    changed = copy.deepcopy(SITE_SHOWN)
    *way, last = [int(step) if step.isdigit() else step for step in path.split("/")]
    inner: Any = changed
    for step in way:
        inner = inner[step]
    inner[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("version", 2, "version"),
        ("protocolVersion", "2", "protocolVersion"),
        ("protocolVersion", "2.-1", "protocolVersion"),
        ("protocolVersion", "2.1111111111", "protocolVersion"),
        ("protocolVersion", "2.256", "HS_SITE"),
        ("serialNumber", 65536, "HS_SITE"),
        ("serialNumber", -32769, "HS_SITE"),
        ("primarySite", 1, "primarySite"),
        ("multiPrimary", None, "multiPrimary"),
        ("hashOption", 3, "hashOption"),
        ("hashOption", True, "hashOption"),
        ("hashFilter", None, "hashFilter"),
        ("attributes", [1], "attributes"),
        ("attributes", [{"name": "desc"}], "attributes"),
        ("servers", None, "servers"),
        ("servers/0", [], "servers"),
        ("servers/0/serverId", 2**32, "HS_SITE"),
        ("servers/0/serverId", 1.0, "serverId"),
        ("servers/0/address", "localhost", "address"),
        ("servers/0/address", 3232235521, "address"),
        ("servers/0/address", "fe80::1%eth0", "address"),
        ("servers/0/address", "::1", "HS_SITE"),
        ("servers/0/publicKey", "", "publicKey"),
        ("servers/0/publicKey/format", "pem", "publicKey.format"),
        ("servers/0/publicKey/value/n", 1, "n"),
        ("servers/0/interfaces", {}, "interfaces"),
        ("servers/0/interfaces/0/protocol", "FTP", "protocol"),
        ("servers/0/interfaces/0/port", 65536, "HS_SITE"),
        ("servers/0/interfaces/0/port", "80", "port"),
        ("servers/0/interfaces/0/query", "true", "query"),
    ],
)
def test_what_is_wrong_with_a_site_is_told_by_its_field(path: str, value: Any, field: str):
    assert site_from_json(SITE_SHOWN) == SITE
    with pytest.raises(ProtoError) as refused:
        site_from_json(_site_with(path, value))
    assert refused.value.field == field
    assert refused.value.zh


def test_what_a_site_may_leave_out():
    short = {name: SITE_SHOWN[name] for name in ("protocolVersion", "serialNumber", "primarySite", "multiPrimary")}
    server = {"serverId": 1, "address": "192.0.2.1", "interfaces": []}
    assert site_from_json(short | {"servers": [server]}) == Site(
        (2, 11), 65535, primary=True, multi_primary=False, servers=(Server(1, ip_address("192.0.2.1"), b"", ()),)
    )


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(st.characters(), max_size=20),
    st.sampled_from(
        [
            "string",
            "base64",
            "hex",
            "admin",
            "vlist",
            "key",
            "site",
            "1110",
            "2026-11-22T06:55:54Z",
            "８８８８-01-01T00:00:00Z",
        ]
    ),
)
NAMES = ("index", "type", "data", "ttl", "timestamp", "permissions", "references", "format", "value", "handle")
ANY_JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)
NEARLY = st.fixed_dictionaries(
    {"index": st.integers(1, 9) | LEAVES, "type": st.just("HS_ADMIN") | LEAVES},
    optional={
        "data": st.fixed_dictionaries({"format": LEAVES, "value": ANY_JSON}) | ANY_JSON,
        "ttl": LEAVES,
        "timestamp": LEAVES,
        "permissions": LEAVES,
        "references": ANY_JSON,
    },
)


def _read(sent: Any) -> Value | ProtoError:
    try:
        return value_from_json(sent)
    except ProtoError as error:
        return error


@given(ANY_JSON | NEARLY)
@example({"index": 1, "type": "T", "data": {"format": "base64", "value": "é"}})
@example({"index": 1, "type": "T", "data": {"format": [], "value": ""}})
@example({"index": 1, "type": "T", "data": "", "ttl": "0001-01-01T00:00:00Z"})
def test_whatever_is_sent_it_is_a_value_or_a_sentence(sent: Any):
    read = _read(sent)
    if isinstance(read, ProtoError):
        assert read.field
        assert read.zh
        assert read.en
    else:
        assert value_from_json(json.loads(array((read,)))[0]).index == read.index

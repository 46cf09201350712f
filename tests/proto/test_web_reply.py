"""Proves proto/web_reply.py: what deployed servers and ours reply, by hand; and that lies and noise are refused."""

import json
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.limits import TTL_DEFAULT, VALUES_PER_RECORD
from proto.value import Value
from proto.values.site import Interface, Protocol, Server, Site
from proto.web_json import site_to_json
from proto.web_reply import SITES_MOST, Missing, NotResponsible, Referral, Told, read

NAME = "88.777.1/A/b"
ASKED = Identifier.parse(NAME)
NOW = 1_795_000_000
URL = {"index": 1, "type": "URL", "data": {"format": "string", "value": "http://a.cn/"}, "ttl": 60}
SECRET = {"index": 2, "type": "KEY", "data": {"format": "string", "value": "s"}, "ttl": 1, "permissions": "1100"}
SITE = Site(
    (2, 11),
    1,
    primary=True,
    multi_primary=False,
    servers=(Server(1, ip_address("192.0.2.1"), b"", (Interface(Protocol.HTTP, 8000, query=True, admin=False),)),),
)
SITE_VALUE = {"index": 500, "type": "HS_SITE", "data": {"format": "site", "value": site_to_json(SITE)}, "ttl": 300}


def heard(status: int, code: Any, asked: Identifier = ASKED, **more: Any) -> Any:
    return read(status, json.dumps({"responseCode": code, **more}).encode(), asked)


# -- what is said


def test_public_values_are_told_and_others_dropped():
    told = heard(200, 1, handle="88.777.1/A/b", values=[URL, SECRET])
    assert told == Told((Value(1, "URL", b"http://a.cn/", ttl=60),))
    assert heard(200, 200, values=[], handle=NAME) == Told(())
    assert heard(200, 1, values=[SECRET], handle=NAME) == Told(())


def test_how_long_it_holds_is_the_first_ttl_to_end():
    ends = {"ttl": "2026-11-18T11:06:41Z"}
    assert heard(200, 1, handle=NAME, values=[URL, URL | {"index": 3, "ttl": 30}]).until(NOW) == NOW + 30
    assert heard(200, 1, handle=NAME, values=[URL, URL | {"index": 3} | ends]).until(NOW) == NOW + 1
    assert Told(()).until(NOW) == NOW + TTL_DEFAULT


def test_other_answers():
    assert heard(404, 100, handle=NAME) == Missing()
    assert heard(400, 301, message="That prefix doesn't live here", handle=NAME) == NotResponsible()
    assert heard(400, 301) == NotResponsible()


@pytest.mark.parametrize(
    ("code", "asked", "handle", "prefix"),
    [
        (302, NAME, NAME, None),
        (303, NAME, NAME, "88.777.1"),
        (303, NAME, "0.NA/88.777.1", "88.777.1"),
        (303, NAME, "0.na/88.777", "88.777"),
        (303, NAME, "0.NA/88", "88"),
        (303, "0.NA/88.777.1", "0.NA/88.777.1", None),
        (303, "88.a/x", "0.NA/88.A", "88.A"),
    ],
)
def test_a_referral_tells_its_sites_and_whom_it_is_for(code: int, asked: str, handle: str, prefix: str | None):
    values = [URL, SITE_VALUE, SITE_VALUE | {"type": "HS_SITE.PREFIX", "index": 501, "ttl": 200}]
    referral = heard(300, code, Identifier.parse(asked), handle=handle, values=values)
    assert referral == Referral((SITE, SITE), 200, prefix)


def test_a_referral_with_more_sites_than_anybody_has_is_cut():
    values = [SITE_VALUE | {"index": n} for n in range(1, 100)]
    assert len(heard(300, 303, handle=NAME, values=values).sites) == SITES_MOST


# -- what is refused

GOOD = {"handle": NAME, "values": [URL]}


@pytest.mark.parametrize(
    ("status", "body", "field"),
    [
        (200, GOOD, "responseCode"),
        (200, GOOD | {"responseCode": "1"}, "responseCode"),
        (200, GOOD | {"responseCode": True}, "responseCode"),
        (200, GOOD | {"responseCode": 1.0}, "responseCode"),
        (200, GOOD | {"responseCode": 100}, "responseCode"),
        (404, GOOD | {"responseCode": 1}, "responseCode"),
        (500, {"responseCode": 2}, "responseCode"),
        (200, {"responseCode": 303, "values": [SITE_VALUE], "handle": NAME}, "responseCode"),
        (200, GOOD | {"responseCode": 1, "handle": "88.777.1/A/B"}, "handle"),
        (200, GOOD | {"responseCode": 1, "handle": None}, "handle"),
        (200, GOOD | {"responseCode": 1, "handle": "x"}, "handle"),
        (404, {"responseCode": 100, "handle": "88.777.1/other"}, "handle"),
        (404, {"responseCode": 100}, "handle"),
        (200, {"responseCode": 1, "handle": NAME}, "values"),
        (200, GOOD | {"responseCode": 1, "values": {}}, "values"),
        (200, GOOD | {"responseCode": 1, "values": [1]}, "value"),
        (200, GOOD | {"responseCode": 1, "values": [URL, URL]}, "values"),
        (200, GOOD | {"responseCode": 1, "values": [URL] * (VALUES_PER_RECORD + 1)}, "values"),
        (200, GOOD | {"responseCode": 1, "values": [URL | {"index": 0}]}, "index"),
        (200, GOOD | {"responseCode": 1, "values": [URL | {"data": {"format": "x", "value": ""}}]}, "data.format"),
        (200, GOOD | {"responseCode": 1, "values": [SECRET | {"permissions": "0"}]}, "permissions"),
        (300, {"responseCode": 302, "handle": "88.777.1/other", "values": [SITE_VALUE]}, "handle"),
        (300, {"responseCode": 303, "handle": "0.NA/88.7", "values": [SITE_VALUE]}, "handle"),
        (300, {"responseCode": 303, "handle": "0.NA/88.777.1.5", "values": [SITE_VALUE]}, "handle"),
        (300, {"responseCode": 303, "handle": "0.NA/", "values": [SITE_VALUE]}, "handle"),
        (300, {"responseCode": 303, "values": [SITE_VALUE]}, "handle"),
        (300, {"responseCode": 303, "handle": NAME, "values": [URL]}, "values"),
        (300, {"responseCode": 303, "handle": NAME, "values": []}, "values"),
        (300, {"responseCode": 303, "handle": NAME, "values": [URL | {"type": "HS_SITE"}]}, "HS_SITE"),
    ],
)
def test_what_is_at_odds_is_refused(status: int, body: Any, field: str):
    with pytest.raises(ProtoError) as refused:
        read(status, json.dumps(body).encode(), ASKED)
    assert refused.value.field == field


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<html><body>404</body></html>",
        b"\xff\xfe\x00\x01",
        b"[]",
        b"null",
        b'{"responseCode":404',
        b'\xef\xbb\xbf{"responseCode":100,"handle":"88.777.1/A/b"}',
        b'{"responseCode":100,"responseCode":100,"handle":"88.777.1/A/b"}',
        b'{"responseCode":100,"handle":"88.777.1/A/b","more":{"a":1,"a":1}}',
        b'{"responseCode":100,"handle":"88.777.1/A/b","more":NaN}',
        b'{"responseCode":100,"handle":"88.777.1/A/b","more":-Infinity}',
        b'{"responseCode":100,"handle":"88.777.1/A/b","more":' + b"9" * 5000 + b"}",
        b'{"responseCode":100,"handle":"88.777.1/A/b","more":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_what_is_no_proper_json_is_refused(octets: bytes):
    with pytest.raises(ProtoError) as refused:
        read(404, octets, ASKED)
    assert refused.value.field == "body"


def _read(status: int, octets: bytes) -> Any:
    try:
        return read(status, octets, ASKED)
    except ProtoError as error:
        return error


LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([NAME, 1, 100, 303, URL])
BODIES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["responseCode", "handle", "values", "index", "data"]), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(
    st.sampled_from([200, 300, 400, 404, 500]),
    st.binary(max_size=60) | BODIES.map(lambda body: json.dumps(body).encode()),
)
def test_whatever_is_replied_it_is_a_reply_or_a_sentence(status: int, octets: bytes):
    heard = _read(status, octets)
    assert isinstance(heard, Told | Missing | NotResponsible | Referral | ProtoError)
    if isinstance(heard, ProtoError):
        assert heard.field
        assert heard.zh

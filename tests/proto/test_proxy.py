"""Proves proto/proxy.py by values and addresses written out, many of them malicious, and by whatever text there is."""

from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto import proxy
from proto.identifier import Identifier
from proto.proxy import Target, address, alias, appended, by_value, halted, listed, negotiated, target
from proto.value import Value
from proto.values.locations import Asker

HERE = Identifier.parse("88.100.1/a")
ANYBODY = Asker()
NOW = 1_000_000
LOC = b"""<locations><location href="http://l/?a=1&amp;b=2" http_sc="303" country="cn"/>
<location href="javascript:alert(1)" id="bad"/><location href="http://rdf/" http_role="conneg"/></locations>"""


def sent(*values: tuple[str, str | bytes], asker: Asker = ANYBODY) -> str | None:
    made = [Value(n, t, d.encode() if isinstance(d, str) else d) for n, (t, d) in enumerate(values, 1)]
    found = target(made, HERE, asker, NOW, 0.0)
    return found and found.address


@pytest.mark.parametrize(
    ("values", "to"),
    [
        ([("EMAIL", "a@b.cn"), ("url", "http://a/"), ("URL", "http://b/")], "http://a/"),
        ([("URL.HOME", "http://home/"), ("URL", "http://a/")], "http://a/"),
        ([("URL.HOME", "http://home/"), ("URLS", "http://no/")], "http://home/"),
        ([("URL", "javascript:alert(1)"), ("URL", "http://a/")], "http://a/"),
        ([("URL", b"\xff"), ("URL", "http://a/")], "http://a/"),
        ([("URL", "http://a/"), ("10320/LOC", LOC)], "http://l/?a=1&b=2"),
        ([("URL", "http://a/"), ("10320/loc", "<locations")], "http://a/"),
        ([("URL", "http://a/"), ("10320/loc", "<locations/>")], "http://a/"),
        ([("EMAIL", "http://a/")], None),
        ([], None),
    ],
)
def test_where_a_record_sends_a_browser(values: list[tuple[str, str | bytes]], to: str | None):
    assert sent(*values, asker=Asker(country="cn")) == to


def test_a_location_that_is_no_address_is_passed_over():
    assert sent(("10320/loc", LOC), ("URL", "http://a/"), asker=Asker([("id", "bad")])) == "http://a/"


def test_who_likes_a_media_type_better_is_sent_where_it_is():
    values = [Value(1, "URL", b"http://a/"), Value(2, "10320/loc", LOC)]
    assert negotiated(values, HERE, ["text/turtle"], NOW) == Target("http://rdf/", None, 86_400)
    assert target(values, HERE, Asker(media_types=["text/turtle"]), NOW, 0.0) == Target("http://rdf/", None, 86_400)
    assert negotiated(values[:1], HERE, ["text/turtle"], NOW) is None
    assert target(values[:1], HERE, Asker(media_types=["text/turtle"]), NOW, 0.0) is not None


def test_a_target_says_its_status_and_how_long_it_holds():
    found = target([Value(1, "10320/loc", LOC, ttl=NOW + 5, ttl_absolute=True)], HERE, Asker(country="CN"), NOW, 0.0)
    assert found == Target("http://l/?a=1&b=2", 303, 5)
    assert by_value(Value(1, "x", b"http://a/", ttl=NOW - 5, ttl_absolute=True), NOW) == Target("http://a/", None, 0)
    assert by_value(Value(1, "x", b"http://a/", ttl=7), NOW) == Target("http://a/", None, 7)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (" HTTPS://A.cn/b c?d=%E4%BD\u4f60#e ", "https://A.cn/b%20c?d=%E4%BD%E4%BD%A0#e"),
        ("http://例子.cn:8080/", "http://xn--fsqu00a.cn:8080/"),
        ("http://u@[::1]:80/x", "http://u@[::1]:80/x"),
        ("http://a/\r\nSet-Cookie: x=1", "http://a/Set-Cookie:%20x=1"),
        ("http://a/\x0bb\x00\x7f", "http://a/%0Bb%00%7F"),
        ("http://a/\\\"<>'`", "http://a/%5C%22%3C%3E'%60"),
        ("http://a\\@evil.cn/", None),
        ("http://a b/", None),
        ("http:///x", None),
        ("http://:80/", None),
        ("http://a:99999/", None),
        ("http://a:x/", None),
        ("http://[a/", None),
        ("http://" + "x" * 64 + "é.cn/", None),
        ("//a.cn/", None),
        ("/a", None),
        ("", None),
        ("a.cn", None),
        ("javascript:alert(1)", None),
        ("data:text/html,x", None),
        ("ftp://a/", None),
        ("http://a/" + "x" * proxy.ADDRESS_OCTETS, None),
    ],
)
def test_what_is_an_address_a_browser_may_be_sent_to(text: str, found: str | None):
    assert address(text) == found


@given(st.text(max_size=40) | st.text("htp:/\\@[]\r\n\t #?%\u4f60.", max_size=40).map("http://".__add__))
def test_an_address_is_one_line_of_ascii_and_stays_what_it_is(text: str):
    found = address(text)
    if found is not None:
        assert found.isascii()
        assert found.isprintable()
        assert " " not in found
        assert urlsplit(found).scheme in {"http", "https"}
        assert urlsplit(found).hostname
        assert address(found) == found


@pytest.mark.parametrize(
    ("given_", "more", "found"),
    [
        ("http://a/x?y=1", "&z=2", "http://a/x?y=1&z=2"),
        ("http://a/x", "/y z", "http://a/x/y%20z"),
        ("http://a", "?z=2", "http://a?z=2"),
        ("http://a", ".evil.cn/", "http://a/.evil.cn/"),
        ("http://a", "@evil.cn/", "http://a/@evil.cn/"),
        ("http://a", ":80@evil.cn/", "http://a/:80@evil.cn/"),
        ("http://a/", "\r\nSet-Cookie: x", "http://a/%0D%0ASet-Cookie:%20x"),
        ("http://a/", "x" * proxy.ADDRESS_OCTETS, None),
    ],
)
def test_what_is_appended_never_leads_elsewhere(given_: str, more: str, found: str | None):
    assert appended(given_, more) == found


@given(st.sampled_from(["http://a", "http://a/", "http://a:8/b", "https://a?b", "http://a#b"]), st.text(max_size=20))
def test_whatever_is_appended_the_host_stays(given_: str, more: str):
    longer = appended(given_, more)
    assert longer is not None
    assert urlsplit(longer).netloc == urlsplit(given_).netloc
    assert longer.isascii()
    assert longer.isprintable()


@pytest.mark.parametrize(
    ("given_", "host", "found"),
    [
        ("http://node.cn/88.1/a", "node.cn", "http://node.cn/88.1/a?noredirect"),
        ("https://NODE.cn:8443/88.1%2Fa?b=1#c", "node.cn:80", "https://NODE.cn:8443/88.1%2Fa?b=1&noredirect#c"),
        ("http://node.cn/88.1/a", "other.cn", "http://node.cn/88.1/a"),
        ("https://public.cn/88.1/a#b", "127.0.0.1:8000", "https://public.cn/88.1/a?noredirect#b"),
        ("http://node.cn/api/v1/files/1", "node.cn", "http://node.cn/api/v1/files/1"),
        ("http://node.cn/88.1/a", "[", "http://node.cn/88.1/a"),
    ],
)
def test_a_redirect_to_an_identifier_on_the_same_host_is_the_last(given_: str, host: str, found: str):
    assert halted(given_, (host, "", "public.cn")) == found


def test_an_alias_is_the_first_that_names_an_identifier():
    values = [Value(1, "HS_ALIAS", b"nothing"), Value(2, "hs_alias", b"88.1/B"), Value(3, "HS_ALIAS", b"88.1/C")]
    assert alias(values) == Identifier.parse("88.1/B")
    assert alias(values[:1]) is None


def test_all_addresses_are_listed_whatever_stands_in_them():
    values = [
        Value(1, "URL", b'http://a/?x="<&>'),
        Value(2, "10320/loc", LOC),
        Value(3, "10320/loc", b"<"),
        Value(4, "URL", b"\x00"),
        Value(2005, "manual", b"http://m/"),
    ]
    read = ElementTree.fromstring(listed(values, 2005))
    hrefs = [each.attrib["href"] for each in read.findall("location")]
    assert hrefs[:3] == ["http://l/?a=1&b=2", "javascript:alert(1)", "http://rdf/"]
    assert hrefs[3:] == ["http://m/", "http://a/?x=%22%3C&%3E"]
    assert ElementTree.fromstring(listed([], 0)).tag == "locations"

"""Proves proto/forwarded_for.py: which texts are addresses, who is trusted, and how far the walk goes."""

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.forwarded_for import PROXIES_MOST, TrustedProxies, end_site, read

PROXIES = TrustedProxies.parse("10.0.0.0/8, 192.0.2.1,, 2001:db8:f::/48 ,::1")


@pytest.mark.parametrize(
    ("hop", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        (" 192.0.2.7\t", "192.0.2.7"),
        ("192.0.2.7:8080", "192.0.2.7"),
        ("2001:DB8::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:443", "2001:db8::7"),
        ('"[2001:db8::7]:443"', "2001:db8::7"),
        ('"192.0.2.7"', "192.0.2.7"),
        ("192.0.2.7:_hidden", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("[::ffff:c000:207]", "192.0.2.7"),
        ("::", "::"),
    ],
)
def test_a_hop_is_read_as_proxies_write_it(hop: str, address: str):
    assert str(read(hop)) == address


@pytest.mark.parametrize(
    "hop",
    [
        "",
        "unknown",
        "_hidden",
        "localhost",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.07",
        "192.0.2.7:",
        "192.0.2.7 8080",
        "3221225991",
        "fe80::1%eth0",
        "[2001:db8::7",
        "2001:db8::7]",
        '"192.0.2.7',
        "２.0.2.7",
        "192.0.2.7\n",
        "for=192.0.2.7",
    ],
)
def test_what_is_no_address_is_none(hop: str):
    assert read(hop) is None


def test_who_is_listed_is_trusted_however_the_address_is_written():
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "192.0.2.1", "2001:db8:f:1::9", "::1"):
        assert PROXIES.trusts(text), text
    for text in ("11.0.0.1", "192.0.2.2", "2001:db8:e::1", "", "unknown", "0.0.0.1"):
        assert not PROXIES.trusts(text), text
    assert not TrustedProxies.parse("").trusts("127.0.0.1")


@pytest.mark.parametrize(
    ("nearest", "lines", "asker"),
    [
        # Whoever is not listed is who asks, whatever is said of others.
        ("203.0.113.5", ["192.0.2.7"], "203.0.113.5"),
        ("::ffff:203.0.113.5", [], "203.0.113.5"),
        # One proxy; what the client itself wrote stands to the left and is not believed.
        ("10.0.0.1", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["198.51.100.66, 192.0.2.7"], "192.0.2.7"),
        ("10.0.0.1", ["10.0.0.9, 192.0.2.7"], "192.0.2.7"),
        # Several proxies, several lines, in the order of the lines.
        ("10.0.0.1", ["198.51.100.66", "192.0.2.7, 10.0.0.2", "192.0.2.1"], "192.0.2.7"),
        ("::1", ['"[2001:db8::7]:1"', "[2001:db8:f::2]"], "2001:db8::7"),
        # The proxy speaks for itself, or all are proxies: the farthest is who asks.
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        # What is no address ends the walk; the last good one stands.
        ("10.0.0.1", ["192.0.2.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["192.0.2.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["192.0.2.7,"], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("", ["192.0.2.7"], ""),
    ],
)
def test_the_walk_goes_over_trusted_hops_to_the_first_that_is_not(nearest: str, lines: list[str], asker: str):
    assert PROXIES.asker(nearest, lines) == asker


HOPS = st.one_of(st.ip_addresses().map(str), st.text(max_size=20), st.sampled_from(["10.0.0.2", "::1", "unknown"]))


@given(st.lists(st.lists(HOPS, max_size=4).map(",".join), max_size=4), st.ip_addresses().map(str))
def test_a_stranger_is_never_somebody_else_and_never_seems_a_proxy(lines: list[str], stranger: str):
    asker = PROXIES.asker("10.0.0.1", [*lines, stranger])
    assert str(ip_address(asker)) == asker
    if not PROXIES.trusts(stranger):
        assert asker == PROXIES.asker(stranger, lines) == str(read(stranger))


@pytest.mark.parametrize(
    "entry",
    ["proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0", "::ffff:10.0.0.1", "fe80::1%eth0", "10.0.0.1:80", "*"],
)
def test_a_bad_entry_is_named(entry: str):
    with pytest.raises(ProtoError) as refused:
        TrustedProxies.parse(f"192.0.2.1, {entry}")
    assert refused.value.field == "trusted_proxies"
    assert entry in refused.value.zh
    assert entry in refused.value.en


def test_the_list_has_an_end():
    fits = ",".join(["192.0.2.1"] * PROXIES_MOST)
    assert len(TrustedProxies.parse(fits).networks) == PROXIES_MOST
    with pytest.raises(ProtoError, match=str(PROXIES_MOST)):
        TrustedProxies.parse(fits + ",192.0.2.1")


@pytest.mark.parametrize(
    ("text", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("", ""),
        ("not one", "not one"),
    ],
)
def test_an_address_is_counted_as_its_end_site(text: str, site: str):
    assert end_site(text) == site

"""Proves proto/values/site.py against octets written out by hand (handle reference §1.3), both ways."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.values.site import (
    ATTRIBUTES_MOST,
    INTERFACES_MOST,
    SERVERS_MOST,
    HashOption,
    Interface,
    Protocol,
    Server,
    Site,
)

OCTETS = bytes.fromhex(
    "0001 02 0b 0007 c0 00 00000001 66"  # format 1, protocol 2.11, serial 7, primary and multi-primary, by prefix, "f"
    "00000001 00000004 64657363 00000003 e6a087"  # desc: 标
    "00000002"
    "00000001 000000000000000000000000c0000201 00000002 0001"
    "00000002 03 02 00001f40 02 00 00000a51"
    "ffffffff 20010db8000000000000000000000001 00000000 00000001 01 03 000001bb"
)
SITE = Site(
    version=(2, 11),
    serial=7,
    primary=True,
    multi_primary=True,
    hash_option=HashOption.PREFIX,
    hash_filter="f",
    attributes=(("desc", "标"),),
    servers=(
        Server(
            1,
            IPv4Address("192.0.2.1"),
            b"\0\1",
            (
                Interface(Protocol.HTTP, 8000, query=True, admin=True),
                Interface(Protocol.UDP, 2641, query=True, admin=False),
            ),
        ),
        Server(2**32 - 1, IPv6Address("2001:db8::1"), b"", (Interface(Protocol.HTTPS, 443, query=False, admin=True),)),
    ),
)

ADDRESSES = st.ip_addresses().filter(lambda a: a.version == 4 or not a.packed.startswith(bytes(12)))
INTERFACES = st.builds(Interface, st.sampled_from(Protocol), st.integers(0, 65535), st.booleans(), st.booleans())
SERVERS = st.builds(
    Server, st.integers(0, 2**32 - 1), ADDRESSES, st.binary(max_size=40), st.lists(INTERFACES, max_size=4).map(tuple)
)
TEXT = st.text(max_size=12)
SITES = st.builds(
    Site,
    st.tuples(st.integers(0, 255), st.integers(0, 255)),
    st.integers(0, 65535),
    st.booleans(),
    st.booleans(),
    st.lists(SERVERS, max_size=4).map(tuple),
    st.lists(st.tuples(TEXT, TEXT), max_size=4).map(tuple),
    st.sampled_from(HashOption),
    TEXT,
)


def test_literal_octets():
    assert SITE.to_octets() == OCTETS
    assert Site.from_octets(OCTETS) == SITE
    least = Site((2, 1), 0, primary=False, multi_primary=False, servers=())
    assert least.to_octets() == bytes.fromhex("0001 0201 0000 00 02 00000000 00000000 00000000")


@given(SITES)
def test_octets_come_back(site: Site):
    assert Site.from_octets(site.to_octets()) == site


@given(SITES, st.data())
def test_what_is_cut_short_or_too_long_is_refused(site: Site, data: st.DataObject):
    octets = site.to_octets()
    with pytest.raises(ProtoError):
        Site.from_octets(octets[: data.draw(st.integers(0, len(octets) - 1))])
    with pytest.raises(ProtoError):
        Site.from_octets(octets + b"\0")


@pytest.mark.parametrize(
    ("at", "octets", "rule"),
    [
        (0, "0002", "data format version 1"),
        (6, "c1", "not written as it should be"),
        (7, "03", "unknown HashOption 3"),
        (8, "ffffffff", "cut short"),
        (12, "ff", "not UTF-8"),
        (13, "ffffffff", "at most 256 entries"),
        (32, "00000101", "at most 256 entries"),
        (62, "00000021", "at most 32 entries"),
        (66, "04", "not written as it should be"),
        (67, "04", "unknown Protocol 4"),
        (68, "00010000", "ports from 0 to 65535"),
    ],
)
def test_what_is_wrong_is_told(at: int, octets: str, rule: str):
    changed = bytes.fromhex(octets)
    with pytest.raises(ProtoError, match=rule) as refused:
        Site.from_octets(OCTETS[:at] + changed + OCTETS[at + len(changed) :])
    assert refused.value.field == "HS_SITE"


SERVER, INTERFACE = SITE.servers[0], SITE.servers[0].interfaces[0]


@pytest.mark.parametrize(
    "born",
    [
        lambda: replace(SITE, servers=(SERVER,) * (SERVERS_MOST + 1)),
        lambda: replace(SITE, attributes=(("a", "b"),) * (ATTRIBUTES_MOST + 1)),
        lambda: replace(SERVER, interfaces=(INTERFACE,) * (INTERFACES_MOST + 1)),
        lambda: replace(SERVER, number=-1),
        lambda: replace(SERVER, address=ip_address("::1")),
        lambda: replace(SERVER, address=ip_address("::192.0.2.1")),
        lambda: replace(INTERFACE, port=65536),
        lambda: replace(INTERFACE, port=-1),
        lambda: replace(SITE, serial=65536),
        lambda: replace(SITE, version=(2, 256)),
    ],
)
def test_what_breaks_a_bound_is_not_born(born):
    with pytest.raises(ProtoError):
        born()


def _read(octets: bytes) -> Site | ProtoError:
    try:
        return Site.from_octets(octets)
    except ProtoError as error:
        return error


@given(st.binary(max_size=200) | st.binary(max_size=100).map(lambda tail: OCTETS[:32] + tail))
def test_whatever_octets_it_is_a_site_or_a_sentence(octets: bytes):
    read = _read(octets)
    if isinstance(read, ProtoError):
        assert (read.field, bool(read.zh)) == ("HS_SITE", True)
    else:
        assert read.to_octets() == octets


def test_which_server_holds_an_identifier_is_the_same_for_all_who_ask():
    one, two = SITE.servers
    names = [Identifier.parse(f"88.777.1/x{n}") for n in range(40)]
    assert {SITE.responsible(name) for name in names} == {one}, "all of one prefix"
    spread = replace(SITE, hash_option=HashOption.WHOLE)
    assert {spread.responsible(name) for name in names} == {one, two}
    for option in HashOption:
        site = replace(SITE, hash_option=option)
        assert site.responsible(Identifier.parse("88.a/x")) == site.responsible(Identifier.parse("88.A/X"))
    # By hand: md5("88.100.1/ABC") ends in 499d85db, odd; that of …ABE in cfab78be, a negative even number.
    assert spread.responsible(Identifier.parse("88.100.1/abc")) == two
    assert spread.responsible(Identifier.parse("88.100.1/abe")) == one
    assert replace(SITE, servers=()).responsible(names[0]) is None

"""Proves proto/proxy_header.py: what begins a relayed connection, octet by octet; nothing else is taken for it."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.proxy_header import BLOCK_OCTETS, LINE_OCTETS, NoHeader, ProxyHeader, read

SIGNATURE = bytes.fromhex("0d0a0d0a000d0a515549540a")
LONGEST = b"PROXY UNKNOWN " + b" ".join([b"ffff:" * 7 + b"ffff"] * 2) + b" 65535 65535\r\n"
V4 = SIGNATURE + bytes.fromhex("21 11 000c c0000207 c6336401 dc04 01bb")
V6 = SIGNATURE + bytes.fromhex("21 21 0024 20010db8000000000000000000000007 20010db8000000000000000000000001 dc04 01bb")


def block(command: int, kind: int, content: bytes) -> bytes:
    return SIGNATURE + bytes((command, kind)) + len(content).to_bytes(2) + content


HEADERS = {
    b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n": "192.0.2.7",
    b"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n": "255.255.255.255",
    b"PROXY TCP6 2001:DB8::7 2001:db8::1 0 443\r\n": "2001:db8::7",
    b"PROXY TCP6 ::ffff:192.0.2.7 ::ffff:198.51.100.1 1 2\r\n": "192.0.2.7",
    b"PROXY UNKNOWN\r\n": None,
    b"PROXY UNKNOWN whatever it is, \xff or \r alone\r\n": None,
    LONGEST: None,
    V4: "192.0.2.7",
    V6: "2001:db8::7",
    block(0x21, 0x21, b"\0" * 10 + b"\xff\xff" + bytes((192, 0, 2, 7)) + b"\0" * 20): "192.0.2.7",
    block(0x21, 0x11, V4[16:] + b"\x04\x00\x03abc"): "192.0.2.7",
    block(0x21, 0x11, V4[16:] + b"\x04" * (BLOCK_OCTETS - 28)): "192.0.2.7",
    block(0x20, 0x00, b""): None,
    block(0x20, 0xFF, b"a family is ignored when the proxy speaks for itself"): None,
    block(0x21, 0x00, b""): None,
    block(0x21, 0x12, V4[16:]): None,
    block(0x21, 0x31, b"/run/a".ljust(108, b"\0") * 2): None,
}
"""Headers, and the source each one names."""

WRONG = [
    b"PROXY \r\n",
    b"PROXY / HTTP/1.1\r\n",
    b"PROXY TCP4\r\n",
    b"PROXY TCP5 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY tcp4 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 1\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2 3\r\n",
    b"PROXY TCP4  192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 1 65536\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 01 2\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 +1 2\r\n",
    b"PROXY TCP4 192.0.2.07 198.51.100.1 1 2\r\n",
    b"PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n",
    b"PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n",
    b"PROXY TCP4 \xd9\xa1.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY TCP6 192.0.2.7 198.51.100.1 1 2\r\n",
    b"PROXY TCP6 fe80::1%eth0 2001:db8::1 1 2\r\n",
    b"PROXY TCP4 192.0.2.7 198.51.100.1 1 2\n".ljust(LINE_OCTETS),
    LONGEST[:-2] + b" \r\n",
    b"PROXY UNKNOWN".ljust(LINE_OCTETS),
    block(0x11, 0x11, V4[16:]),
    block(0x22, 0x11, V4[16:]),
    block(0x21, 0x41, bytes(300)),
    block(0x21, 0x13, V4[16:]),
    block(0x21, 0x11, V4[16:-1]),
    block(0x21, 0x21, V6[16:-1]),
    SIGNATURE + bytes.fromhex("21 11") + (BLOCK_OCTETS - 15).to_bytes(2),
]


@pytest.mark.parametrize(("octets", "source"), HEADERS.items())
def test_a_header_is_read_however_it_is_cut_and_whatever_follows(octets: bytes, source: str | None):
    for end in range(len(octets)):
        assert read(octets[:end]) is NoHeader.UNFINISHED, end
    for behind in (b"", b"GET / HTTP/1.1\r\n\r\n", octets, b"\0" * 70_000):
        found = read(octets + behind)
        assert isinstance(found, ProxyHeader)
        assert (found.source, found.length) == (source, len(octets))


@pytest.mark.parametrize("octets", [b"PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n", V4, V6])
def test_a_header_names_the_port_too(octets: bytes):
    found = read(octets)
    assert isinstance(found, ProxyHeader)
    assert found.port == 56_324


def test_the_longest_line_is_as_long_as_the_document_says():
    assert len(LONGEST) == LINE_OCTETS == 107


@pytest.mark.parametrize("octets", WRONG)
def test_what_begins_like_a_header_and_is_none_is_refused(octets: bytes):
    with pytest.raises(ProtoError) as refused:
        read(octets)
    assert refused.value.field == "proxy_protocol"
    assert "PROXY" in refused.value.zh
    assert "PROXY" in refused.value.en


@pytest.mark.parametrize(
    "request_line", [b"G", b"GET / HTTP/1.1\r\n", b"PUT /", b"P0", b"PROXZ", b"\r\n\r\nGET", b"\n"]
)
def test_a_request_is_no_header(request_line: bytes):
    assert read(request_line) is NoHeader.ABSENT


def test_nothing_may_still_become_anything():
    assert read(b"") is NoHeader.UNFINISHED


def said(octets: bytes) -> object:
    try:
        return read(octets)
    except ProtoError as error:
        return error.en


BEGINNINGS = st.one_of(
    st.binary(max_size=200),
    st.tuples(st.sampled_from([*HEADERS, *WRONG, b"PROXY TCP4 ", SIGNATURE]), st.binary(max_size=60)).map(b"".join),
)


@given(BEGINNINGS, st.data())
def test_octets_that_come_in_pieces_say_what_they_say_at_once(octets: bytes, data: st.DataObject):
    """Whoever asks again after each piece, until there is a verdict, learns what the whole says."""
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(octets))), max_size=6)))
    verdicts = [said(octets[:cut]) for cut in (*cuts, len(octets))]
    assert next((v for v in verdicts if v is not NoHeader.UNFINISHED), NoHeader.UNFINISHED) == said(octets)


@given(st.ip_addresses(), st.integers(0, 65535))
def test_both_versions_name_the_same_source(source: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int):
    family, kind = ("TCP4", 0x11) if source.version == 4 else ("TCP6", 0x21)
    line = f"PROXY {family} {source} {source} {port} {port}\r\n".encode()
    packed = block(0x21, kind, source.packed * 2 + port.to_bytes(2) * 2)
    assert read(line) == ProxyHeader(len(line), read(packed).source, read(packed).port)

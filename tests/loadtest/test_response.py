"""Proves loadtest/response.py: one response at a time, however it is cut up, and each lie an error of its kind."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.response import BODY_MOST, HEAD_MOST, Kind, Reader, Response, WireError

SIZED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"HTTP/1.1 404 Not Found\r\ntransfer-encoding: Chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\nT: v\r\n\r\n"
READABLE = {
    SIZED: Response(200, b"hello", closing=False),
    CHUNKED: Response(404, b"hello", closing=False),
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00\r\n\r\n": Response(200, b"", closing=False),
    b"HTTP/1.1 503\r\nConnection: close\r\nContent-Length: 0\r\n\r\n": Response(503, b"", closing=True),
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok": Response(200, b"ok", closing=True),
    b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok": Response(200, b"ok", closing=False),
    b"HTTP/1.1 204 No Content\r\n\r\n": Response(204, b"", closing=False),
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx": Response(200, b"x", closing=False),
}
LIES = {
    b"HTTP/2 200\r\nContent-Length: 0\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 100 Continue\r\n\r\n": Kind.MALFORMED,
    b"SSH-2.0-OpenSSH\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\nx": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0\r\n\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n": Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1" * 300: Kind.MALFORMED,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n": Kind.OVERSIZE,
    b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (BODY_MOST + 1): Kind.OVERSIZE,
    b"HTTP/1.1 200 OK\r\nX: " + b"x" * HEAD_MOST: Kind.OVERSIZE,
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nT: " + b"x" * (HEAD_MOST + 1): Kind.OVERSIZE,
    SIZED + b"!": Kind.SURPLUS,
    SIZED + SIZED: Kind.SURPLUS,
    CHUNKED + b"!": Kind.SURPLUS,
}


@pytest.mark.parametrize("octets", READABLE, ids=repr)
def test_a_response_is_read(octets: bytes) -> None:
    assert Reader().feed(octets) == READABLE[octets]


@pytest.mark.parametrize("octets", LIES, ids=lambda octets: repr(octets[:80]))
def test_a_lie_is_an_error_of_its_kind(octets: bytes) -> None:
    with pytest.raises(WireError) as error:
        Reader().feed(octets)
    assert error.value.kind is LIES[octets]


@given(st.sampled_from(sorted(READABLE)), st.lists(st.integers(0, 120), max_size=12))
def test_it_does_not_matter_how_octets_are_cut_up(octets: bytes, cuts: list[int]) -> None:
    reader, told = Reader(), []
    edges = sorted({0, len(octets), *(cut for cut in cuts if cut < len(octets))})
    for begin, end in pairwise(edges):
        told.append(reader.feed(octets[begin:end]))
    assert told[-1] == READABLE[octets]
    assert told[:-1] == [None] * (len(told) - 1)
    assert not reader.begun


@given(st.lists(st.sampled_from(sorted(READABLE)), max_size=5))
def test_one_response_leaves_nothing_to_the_next(several: list[bytes]) -> None:
    reader = Reader()
    assert [reader.feed(octets) for octets in several] == [READABLE[octets] for octets in several]


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_noise_is_a_response_or_an_error_and_nothing_else(head: bytes, body: bytes) -> None:
    for octets in (head, b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n" + body, CHUNKED[:60] + body):
        try:
            told = Reader().feed(octets)
        except WireError:
            continue
        assert told is None or len(told.body) <= len(octets)


@pytest.mark.parametrize("octets", [SIZED, CHUNKED])
def test_a_part_of_a_response_is_known_as_begun(octets: bytes) -> None:
    reader = Reader()
    assert not reader.begun
    for cut in range(1, len(octets)):
        reader.feed(octets[cut - 1 : cut])
        assert reader.begun


def test_many_small_chunks_are_bounded_together() -> None:
    reader = Reader()
    reader.feed(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    piece = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    for _ in range(BODY_MOST // 0x100000):
        assert reader.feed(piece) is None
    with pytest.raises(WireError) as error:
        reader.feed(piece)
    assert error.value.kind is Kind.OVERSIZE


def test_every_kind_has_two_names() -> None:
    assert len({kind.zh for kind in Kind}) == len({kind.en for kind in Kind}) == len(Kind)


def test_kinds_are_bilingual() -> None:
    assert len({kind.zh for kind in Kind}) == len({kind.en for kind in Kind}) == len(Kind)
    assert (Kind.BUSY.zh, Kind.BUSY.en) == ("繁忙429/503", "busy: 429, 503")

"""Proves proto/native/stream.py: whole messages come out of whatever pieces go in, and little is kept meanwhile."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.native.envelope import Envelope, Framed
from proto.native.stream import Stream


def framed(request: int, message: bytes) -> Framed:
    return Framed(Envelope((2, 11), (2, 11), request, len(message)), message)


def taken(stream: Stream) -> list[Framed]:
    return list(iter(stream.take, None))


@given(st.lists(st.binary(min_size=24, max_size=90), max_size=6), st.data())
def test_messages_come_out_of_any_pieces(messages: list[bytes], data: st.DataObject):
    sent = [framed(number, message) for number, message in enumerate(messages)]
    octets = b"".join(each.to_octets() for each in sent)
    stream, came = Stream(90), []
    while octets:
        size = data.draw(st.integers(1, len(octets)))
        stream.feed(octets[:size])
        octets = octets[size:]
        came += taken(stream)
        assert stream.kept < 20 + 90
    assert came == sent
    assert stream.kept == 0


def test_octet_by_octet_takes_no_longer_than_in_one():
    """100,000 pieces take a moment: were the buffer copied for each, they would take 5 GB of copying."""
    whole = framed(1, bytes(100_000)).to_octets()
    stream = Stream(100_000)
    for at in range(0, len(whole) - 1):
        stream.feed(whole[at : at + 1])
        assert stream.take() is None
    stream.feed(whole[-1:])
    assert stream.take() == framed(1, bytes(100_000))


def test_a_length_takes_no_memory_before_its_octets_come():
    stream = Stream(2**31)
    tracemalloc.start()
    try:
        stream.feed(Envelope((2, 11), (2, 11), 1, 2**31).to_octets() + bytes(100))
        assert stream.take() is None
        assert tracemalloc.get_traced_memory()[1] < 10_000
    finally:
        tracemalloc.stop()
    assert stream.kept == 120


def test_what_comes_before_a_wrong_length_is_taken_and_nothing_after():
    good, wrong = framed(1, bytes(24)), Envelope((2, 11), (2, 11), 2, 25)
    stream = Stream(24)
    stream.feed(good.to_octets() + wrong.to_octets() + bytes(25) + good.to_octets())
    assert stream.take() == good
    assert stream.broken is None
    for _ in range(2):
        with pytest.raises(ProtoError, match="messageLength must be from 24 to 24"):
            stream.take()
        assert stream.broken == wrong

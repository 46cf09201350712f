"""Proves proto/native/packets.py: by the vectors, round trips, and bounds on what is not whole."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import ProtoError
from proto.native.envelope import Envelope, Framed
from proto.native.packets import OVERHEAD_OCTETS, PACKET_OCTETS, PIECE_OCTETS, Bounds, Reassembler, split
from tests.proto.native.seen import vectors

BOUNDS = Bounds(message=262_144, octets=1_000_000, of_peer=2, seconds=5.0)
VECTORS = vectors("packets")


def framed(message: bytes, request: int = 7) -> Framed:
    return Framed(Envelope((2, 11), (2, 11), request, len(message)), message)


def message(octets: int) -> bytes:
    return bytes(n % 251 for n in range(octets))


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_means_what_it_says(name: str):
    wanted = VECTORS[name]["message"]
    gatherer = Reassembler(BOUNDS)
    came = [gatherer.feed("peer", bytes.fromhex(each), 0.0) for each in VECTORS[name]["datagrams"]]
    whole = [each.message for each in came if each is not None]
    assert whole[:1] == ([] if wanted is None else [bytes.fromhex(wanted)])


@given(st.integers(24, 3000), st.randoms(use_true_random=False), st.booleans())
def test_every_message_comes_back_in_any_order(octets: int, chance, twice: bool):
    sent = framed(message(octets))
    datagrams = split(sent)
    assert max(map(len, datagrams)) <= PACKET_OCTETS
    assert len(datagrams) == -(-octets // PIECE_OCTETS)
    came = [each for each in datagrams[:-1] for _ in range(1 + twice)] + datagrams[-1:]
    chance.shuffle(came)
    gatherer = Reassembler(BOUNDS)
    whole = [got for each in came if (got := gatherer.feed("peer", each, 0.0)) is not None]
    assert whole[:1] == [sent]


def test_the_longest_message_comes_back_and_nothing_is_left_of_it():
    sent = framed(message(BOUNDS.message))
    gatherer = Reassembler(BOUNDS)
    *first, last = split(sent)
    assert {gatherer.feed("peer", each, 0.0) for each in first} == {None}
    assert gatherer.feed("peer", last, 0.0) == sent
    assert gatherer.room == 0


def test_packets_of_different_peers_never_meet():
    first, second = split(framed(message(600)))
    gatherer = Reassembler(BOUNDS)
    assert gatherer.feed("one", first, 0.0) is None
    assert gatherer.feed("other", second, 0.0) is None
    assert gatherer.feed("one", second, 0.0) == framed(message(600))


def test_what_is_not_whole_in_time_is_dropped():
    first, second = split(framed(message(600)))
    gatherer = Reassembler(BOUNDS)
    assert gatherer.feed("peer", first, 10.0) is None
    assert gatherer.feed("peer", second, 15.0) is None  # a message that begins with its second packet
    assert gatherer.feed("peer", first, 19.9) == framed(message(600))
    assert gatherer.room == 0


def test_a_peer_has_a_few_messages_under_way_and_the_oldest_goes():
    halves = {number: split(framed(message(600), number)) for number in range(3)}
    gatherer = Reassembler(BOUNDS)
    for number in range(3):
        assert gatherer.feed("peer", halves[number][0], 0.0) is None
    assert gatherer.feed("peer", halves[1][1], 0.0) is not None
    assert gatherer.feed("peer", halves[2][1], 0.0) is not None
    assert gatherer.feed("peer", halves[0][1], 0.0) is None


def test_all_peers_together_take_no_more_room_than_there_is():
    gatherer = Reassembler(BOUNDS._replace(octets=10 * (PIECE_OCTETS + 2 * OVERHEAD_OCTETS)))
    halves = split(framed(message(600)))
    for peer in range(100):
        assert gatherer.feed(peer, halves[0], 0.0) is None
        assert gatherer.room <= 10 * (PIECE_OCTETS + 2 * OVERHEAD_OCTETS)
    assert all(gatherer.feed(peer, halves[1], 0.0) for peer in range(90, 100))
    assert gatherer.room == 0


def test_many_small_pieces_take_room_too():
    gatherer = Reassembler(BOUNDS._replace(octets=20_000))
    for sequence in range(500):
        envelope = Envelope((2, 11), (2, 11), 7, 200_000, sequence=sequence, truncated=True)
        assert gatherer.feed("peer", envelope.to_octets() + b"x", 0.0) is None
        assert gatherer.room <= 20_000


def test_the_same_number_with_another_length_is_another_message():
    gatherer = Reassembler(BOUNDS)
    assert gatherer.feed("peer", split(framed(message(600)))[0], 0.0) is None
    *first, last = split(framed(message(700)))
    assert [gatherer.feed("peer", each, 0.0) for each in first] == [None]
    assert gatherer.feed("peer", last, 0.0) == framed(message(700))


@pytest.mark.parametrize(
    ("datagram", "field"),
    [
        (b"", "envelope"),
        (bytes(19), "envelope"),
        (bytes(20), "messageLength"),
        (Envelope((2, 11), (2, 11), 1, 262_145).to_octets() + bytes(400), "messageLength"),
        (Envelope((2, 11), (2, 11), 1, 25).to_octets() + bytes(24), "message"),
        (Envelope((2, 11), (2, 11), 1, 600, truncated=True).to_octets(), "sequenceNumber"),
        (Envelope((2, 11), (2, 11), 1, 600, sequence=533, truncated=True).to_octets() + b"x", "sequenceNumber"),
        (Envelope((2, 11), (2, 11), 1, 600, sequence=2**32 - 1, truncated=True).to_octets() + b"x", "sequenceNumber"),
    ],
)
def test_what_is_no_packet_is_refused(datagram: bytes, field: str):
    gatherer = Reassembler(BOUNDS)
    with pytest.raises(ProtoError) as refused:
        gatherer.feed("peer", datagram, 0.0)
    assert refused.value.field == field
    assert gatherer.room == 0

"""Proves node/native/datagrams.py on real sockets: many datagrams at once, answered to whom they came from."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from node.native import datagrams
from node.native.datagrams import COUNT, DATAGRAM_OCTETS, STRIDE, Slots
from proto.native.packets import PACKET_OCTETS

FAMILIES = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@contextmanager
def sockets(family: int, clients: int) -> Iterator[tuple[Slots, list[socket.socket]]]:
    """Slots of a socket, and clients that speak to it."""
    made = [socket.socket(family, socket.SOCK_DGRAM) for _ in range(clients + 1)]
    try:
        server, *asking = made
        server.setblocking(False)
        server.bind((FAMILIES[family], 0))
        for each in asking:
            each.settimeout(5)
            each.connect(server.getsockname())
        yield Slots(server), asking
    finally:
        for each in made:
            each.close()


def put(slots: Slots, slot: int, octets: bytes) -> int:
    slots.octets[slot * STRIDE : slot * STRIDE + len(octets)] = octets
    return len(octets)


@pytest.mark.parametrize("family", FAMILIES)
def test_each_answer_goes_to_whom_its_slot_is_from(family: int) -> None:
    with sockets(family, 3) as (slots, clients):
        assert slots.receive() == []
        for number, client in enumerate(clients):
            client.send(b"?" * (number + 1))
        assert slots.receive() == [1, 2, 3]
        assert [slots.datagram(slot, 3 - slot) for slot in (1, 2)] == [b"??", b"?"]
        assert [slots.address(slot) for slot in range(3)] == [client.getsockname() for client in clients]
        assert slots.sources(3) == [client.getsockname()[:2] for client in clients]
        assert (slots.one_source(1), slots.one_source(3)) == (slots.sources(1)[0], None)
        assert slots.send([put(slots, slot, b"answer %d" % slot) for slot in range(3)]) == 0
        assert [client.recv(99) for client in clients] == [b"answer 0", b"answer 1", b"answer 2"]


@pytest.mark.parametrize("gaps", [(0,), (2,), (5,), (0, 1, 3), (1, 2, 4, 5), (0, 1, 2, 3, 4, 5)])
def test_slots_without_an_answer_are_passed_over(gaps: tuple[int, ...]) -> None:
    with sockets(socket.AF_INET, 6) as (slots, clients):
        for client in clients:
            client.send(b"?")
        assert len(slots.receive()) == 6
        assert slots.send([0 if slot in gaps else put(slots, slot, b"%d" % slot) for slot in range(6)]) == 0
        for number, client in enumerate(clients):
            client.setblocking(False)
            if number in gaps:
                with pytest.raises(BlockingIOError):
                    client.recv(9)
            else:
                assert client.recv(9) == b"%d" % number


def test_more_than_there_are_slots_comes_in_turns_and_none_is_longer_than_its_slot() -> None:
    with sockets(socket.AF_INET, 1) as (slots, (client,)):
        for number in range(COUNT + 1):
            client.send(b"x" * (number % 7))
        assert slots.receive() == [number % 7 for number in range(COUNT)]
        assert slots.receive() == [COUNT % 7]
        client.send(b"x" * 9000)
        assert slots.receive() == [DATAGRAM_OCTETS]


def test_what_cannot_be_sent_is_told_and_keeps_nothing_back() -> None:
    with sockets(socket.AF_INET, 3) as (slots, clients):
        for client in clients:
            client.send(b"?")
        slots.receive()
        slots._names[32 + 4 : 32 + 8] = bytes((255, 255, 255, 255))  # a broadcast, which nobody allowed
        assert slots.send([put(slots, slot, b"%d" % slot) for slot in range(3)]) == 1
        assert (clients[0].recv(9), clients[2].recv(9)) == (b"0", b"2")


def asked(slots: Slots, client: socket.socket, count: int) -> None:
    for _ in range(count):
        client.send(b"?")
    assert len(slots.receive()) == count


@pytest.mark.parametrize("family", FAMILIES)
def test_what_one_asker_is_told_goes_out_by_one_call_for_each_length(
    family: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with sockets(family, 1) as (slots, (client,)):
        asked(slots, client, COUNT)
        monkeypatch.setattr(datagrams, "_send", None)  # none is sent by itself
        told = [b"%03d" % slot * (1 + slot % 2) for slot in range(COUNT)]
        assert slots.send([put(slots, slot, octets) for slot, octets in enumerate(told)]) == 0
        assert [client.recv(9) for _ in told] == told[::2] + told[1::2]


def test_the_longest_answers_go_out_by_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    with sockets(socket.AF_INET, 1) as (slots, (client,)):
        asked(slots, client, COUNT)
        monkeypatch.setattr(datagrams, "_send", None)
        told = [bytes((slot,)) * PACKET_OCTETS for slot in range(COUNT)]
        assert slots.send([put(slots, slot, octets) for slot, octets in enumerate(told)]) == 0
        assert [client.recv(999) for _ in told] == told


def test_answers_of_which_no_two_are_alike_go_out_and_none_is_told_twice() -> None:
    with sockets(socket.AF_INET, 1) as (slots, (client,)):
        asked(slots, client, 6)
        assert (
            slots.send([put(slots, slot, octets) for slot, octets in enumerate([b"a", b"", b"bb", b"c", b"", b"ddd"])])
            == 0
        )
        assert sorted(client.recv(9) for _ in range(4)) == [b"a", b"bb", b"c", b"ddd"]
        client.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.recv(9)


def test_where_the_kernel_cuts_nothing_each_goes_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "_SEGMENT", (socket.IPPROTO_UDP, 9999))
    with sockets(socket.AF_INET, 1) as (slots, (client,)):
        asked(slots, client, 3)
        assert slots.send([put(slots, slot, b"%d" % slot) for slot in range(3)]) == 0
        assert [client.recv(9) for _ in range(3)] == [b"0", b"1", b"2"]


def test_what_cannot_be_sent_to_one_asker_is_told_for_each() -> None:
    with sockets(socket.AF_INET, 1) as (slots, (client,)):
        asked(slots, client, 3)
        for slot in range(3):
            slots._names[32 * slot + 4 : 32 * slot + 8] = bytes((255, 255, 255, 255))  # a broadcast, not allowed
        assert slots.send([put(slots, slot, b"%d" % slot) for slot in range(3)]) == 3


def test_words_are_those_of_each_slot() -> None:
    with sockets(socket.AF_INET, 1) as (slots, _):
        put(slots, 0, b"abcdefgh")
        put(slots, 1, b"ijklmnop")
        words = slots.words(4)
        assert len(words) == COUNT
        assert words[:2].tobytes() == b"efghmnop"
        words[1] = 0
        assert slots.datagram(1, 8) == b"ijkl\0\0\0\0"


def test_spelled_addresses_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datagrams, "SOURCES_MOST", 2)
    with sockets(socket.AF_INET, 4) as (slots, clients):
        for client in clients:
            client.send(b"?")
        slots.receive()
        assert slots.sources(4) == [client.getsockname() for client in clients]
        assert len(slots._sources) <= 2


def test_an_ipv4_address_on_an_ipv6_socket_is_spelled_as_such() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server, socket.socket() as _:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        server.bind(("::", 0))
        slots = Slots(server)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.1", server.getsockname()[1]))
            client.send(b"?")
            assert slots.receive() == [1]
            assert slots.sources(1) == [("127.0.0.1", client.getsockname()[1])]
            assert slots.address(0)[0] == "::ffff:127.0.0.1"

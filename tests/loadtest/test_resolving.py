"""Proves loadtest/resolving: both servers are asked right, wrong answers are found, the table tells what is met."""

import asyncio
import json
import os
import shutil
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from loadtest.compare.figures import changes
from loadtest.crowd import CrowdError
from loadtest.nsd import nsd
from loadtest.population import CHECKED, Population
from loadtest.resolving import crowd, questions, report
from loadtest.resolving.crowd import Asked, Counted, by_datagrams, learned, on_new_connections, pipelined
from loadtest.resolving.measure import Measure, Pair, Scenario, Server, Side, pairs
from loadtest.resolving.questions import ASKED, DNS, HANDLE, ZONE, dns_packets, handle_packets, zone
from loadtest.resolving.report import Told
from loadtest.target import Address
from node.metrics import RESOLUTIONS
from proto.value import Value
from tests.node.native.world import BOOK, World, found, tcp_door, udp_door, world

POPULATION = Population(("88.999.1001", "88.999.2001"), 7, 64)
WAYS = {"udp": by_datagrams, "tcp": pipelined, "new": on_new_connections}


@pytest.fixture
def book(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the population, which the world knows."""
    names = list(handle_packets(POPULATION))
    for name in names:
        monkeypatch.setitem(BOOK, name, found((Value(1, CHECKED, name.partition("/")[2].encode()),)))
    return names


async def asked_of(made: World, port: int) -> list[Asked]:
    return await asyncio.to_thread(learned, Address("127.0.0.1", port), HANDLE, handle_packets(POPULATION))


@pytest.mark.parametrize("way", WAYS)
async def test_a_node_is_asked_and_answers_as_often_as_is_counted(book: list[str], way: str) -> None:
    async with world(book) as made, udp_door(made) as udp, tcp_door(made) as (_, tcp):
        asked = await asked_of(made, udp)
        assert [each.packet for each in asked] == list(handle_packets(POPULATION).values())
        before = made.counted(RESOLUTIONS)["hotfound"]
        address = Address("127.0.0.1", udp if way == "udp" else tcp)
        counted = await asyncio.to_thread(WAYS[way], address, HANDLE, asked, 0.2)
        under_way = {"udp": len(asked) // 2, "tcp": 256, "new": 16}[way]
        answered = made.counted(RESOLUTIONS)["hotfound"] - before
        assert 100 < counted.answers <= answered <= counted.answers + under_way
        assert counted.seconds >= 0.2
        assert 0 < counted.cpu <= counted.seconds
        assert counted.rate == counted.answers / counted.seconds


async def test_nsd_is_asked_by_the_same_lines(need: Callable[[object, str], None]) -> None:
    need(shutil.which("nsd", path=f"{os.environ['PATH']}:/usr/sbin"), "nsd")
    async with nsd(ZONE, zone(POPULATION, 334)) as standing:
        asked = await asyncio.to_thread(learned, standing.address, DNS, dns_packets(POPULATION))
        server = Server(standing.address, standing.pid, DNS, asked)
        assert abs(server.octets - 334) <= 3
        for way in (by_datagrams, on_new_connections):
            side = await asyncio.to_thread(server.run, way, 0.2)
            assert side.counted.answers > 100
            assert 0 < side.effort < 10_000
        told = await asyncio.to_thread(
            pairs, server, server, Scenario("", "", by_datagrams, by_datagrams, 1.0), Measure(0.1, 2)
        )
        assert len(told) == 2
        assert all(pair.ratio > 0 for pair in told)


async def test_a_wrong_answer_is_found_before_anything_is_measured(book: list[str]) -> None:
    BOOK[book[3]] = found((Value(1, CHECKED, b"another"),))
    async with world(book) as made, udp_door(made) as udp:
        with pytest.raises(CrowdError, match="another"):
            await asked_of(made, udp)
    del BOOK[book[3]]
    async with world() as made, udp_door(made) as udp:
        with pytest.raises(CrowdError, match="code 100"):
            await asked_of(made, udp)


@contextmanager
def liar(said: Callable[[int, bytes], list[bytes]]) -> Iterator[Address]:
    """Answers the n-th datagram so."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(0.5)

        def answer() -> None:
            number = 0
            while True:
                try:
                    asked, address = sock.recvfrom(2048)
                except OSError:
                    return
                for each in said(number, asked):
                    sock.sendto(each, address)
                number += 1

        thread = threading.Thread(target=answer)
        thread.start()
        yield Address(*sock.getsockname())
        thread.join()


def right(asked: bytes) -> bytes:
    return asked[:2] + struct.pack(">5H", 0x8400, 1, 1, 0, 0) + b"x"


LIES: dict[str, Callable[[bytes], list[bytes]]] = {
    "twice": lambda asked: [right(asked), right(asked)],
    "another's": lambda asked: [b"\xff\xff" + right(asked)[2:]],
    "refused": lambda asked: [right(asked)[:2] + b"\x84\x05" + right(asked)[4:]],
    "longer": lambda asked: [right(asked) + b"x"],
    "other octets": lambda asked: [right(asked)[:-1] + b"y"],
}


@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_answer_is_found_while_it_is_measured(lie: str) -> None:
    asked = [Asked(each, right(each)) for each in dns_packets(POPULATION).values()]
    with (
        liar(lambda number, octets: LIES[lie](octets) if number == 50 else [right(octets)]) as address,
        pytest.raises(CrowdError, match=str(address)),
    ):
        by_datagrams(address, DNS, asked[:2], 5.0)


def test_who_is_answered_late_is_not_asked_again_meanwhile() -> None:
    asked = [Asked(each, right(each)) for each in dns_packets(POPULATION).values()]
    held: list[bytes] = []

    def late(number: int, octets: bytes) -> list[bytes]:
        if number == 1:
            held.append(right(octets))
            return []
        return [right(octets), *(held if number == 40 else [])]

    with liar(late) as address:
        assert by_datagrams(address, DNS, asked[:4], 0.3).answers > 40


def test_who_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crowd, "_PATIENCE", struct.pack("ll", 0, 50_000))
    with liar(lambda _number, _octets: []) as address:
        with pytest.raises(CrowdError, match="answer"):
            learned(address, DNS, dns_packets(POPULATION))
        with pytest.raises(CrowdError, match="answer"):
            by_datagrams(address, DNS, [Asked(b"x" * 30, b"y")] * 2, 5.0)
    with pytest.raises(CrowdError, match="takes no connection"):
        pipelined(address, DNS, [Asked(b"x", b"y")] * 16, 1.0)


def test_answers_over_tcp_may_change_places_and_expire_when_they_like() -> None:
    packets = list(handle_packets(POPULATION).values())[:3]
    answers = [each[:26] + b"\0\1" + each[28:] for each in packets]
    row = crowd._Row(HANDLE, [Asked(*each) for each in zip(packets, answers, strict=True)])
    assert row.packets == b"".join(packets)
    later = [each[:36] + b"\1\2\3\4" + each[40:] for each in answers]
    assert row.is_right(b"".join(later))
    assert row.is_right(b"".join(reversed(later)))
    assert not row.is_right(b"".join([later[0], later[0], later[2]]))
    assert not row.is_right(b"".join([later[0][:-1] + b"x", *later[1:]]))


def test_records_are_as_long_as_asked_for_and_no_longer_than_they_can_be() -> None:
    lines = zone(POPULATION, 1000).splitlines()[5:]
    assert len(lines) == POPULATION.size
    assert all(len(line.split('"')[5]) == questions.REGEXP_MOST for line in lines)
    assert len(handle_packets(replace(POPULATION, size=5000))) == ASKED


def side(rate: float, effort: float) -> Side:
    return Side(Counted(int(rate), 1.0, 0.5), effort, 4.0)


def told(*ratios: float, effort: float = 8.0) -> Told:
    both = [Pair(side(1000 * ratio, effort + ratio / 100), side(1000, 6.0)) for ratio in ratios]
    settings = {"pairs": len(ratios), "seconds": 0.5}
    return Told("2026-01-02T03:04:05+00:00", settings, {"python": "3.11"}, {"udp": both}, (334.0, 330.0))


def document(*ratios: float, **more: Any) -> dict[str, Any]:
    return json.loads(json.dumps(report.document(told(*ratios, **more))))  # type: ignore[no-any-return]


def test_the_table_says_what_is_met() -> None:
    row = next(line for line in report.table(told(0.9, 1.1, 1.2)).splitlines() if line.startswith("udp"))
    for part in ("1.100", "0.900…1.200", "0.749", "1.00 ✓", "1,100", "1,000", "8.0", "6.0", "4.0"):
        assert part in row
    assert "1.00 ✗" in report.table(told(0.9))
    assert "334 and 330 octets" in report.table(told(0.9))


def test_the_report_and_its_page() -> None:
    made = document(0.9, 1.1)
    assert (made["kind"], made["schema"], made["octets"]) == ("native", 1, {"node": 334.0, "nsd": 330.0})
    assert made["scenarios"]["udp"]["ratio"] == {"median": 1.0, "least": 0.9, "most": 1.1}
    assert made["scenarios"]["udp"]["pairs"][0]["nsd"] == {
        "rate": 1000,
        "answers": 1000,
        "cpu_us": 6.0,
        "crowd_us": 4.0,
    }
    assert "Node by NSD" in report.html(told(0.9, 1.1))


def test_two_reports_are_compared() -> None:
    better = {change.name: change.better for change in changes(document(0.5, 0.6), document(0.7, 0.8, effort=5.0))}
    assert better == {"udp 节点÷NSD node by NSD": True, "udp CPU µs": True}

"""What was said on real sockets as a capture file, and what tshark makes of it: a judge that nobody here wrote.

The octets are those that were read and written; the headers of IP, TCP and UDP around them are made up.
"""

import asyncio
import socket
import struct
import subprocess
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, cast
from xml.etree import ElementTree

from loadtest.native import MESSAGE_OCTETS, Connection, Datagrams
from proto.native.envelope import Framed
from proto.native.packets import Bounds, Reassembler
from proto.native.stream import Stream

PORT = 2641
"""The server's in the capture: by it tshark knows the protocol."""
NAME = "do-irp"
_CLIENT, _SERVER = (socket.inet_aton(address) for address in ("192.0.2.1", "192.0.2.2"))
_RAW_IP, _TCP, _UDP = 101, 6, 17
_SEGMENT_OCTETS = 32_768
"""Of what was written at once; an IP packet has 65535. The dissector loses its way in a segment that ends within
an envelope, so no smaller ones are made here.
"""


@dataclass
class Capture:
    """Packets in the order they were sent, and the messages in them in the order they were whole. Each client has a
    port of its own; `answer`: it came from the server.
    """

    packets: list[bytes] = field(default_factory=list)
    said: list[tuple[Framed, bool]] = field(default_factory=list)
    _sent: Counter[tuple[int, bool]] = field(default_factory=Counter)
    _streams: dict[tuple[int, bool], Stream] = field(default_factory=dict)
    _packets: Reassembler = field(default_factory=lambda: Reassembler(Bounds(MESSAGE_OCTETS, 1 << 25, 1000, 60)))

    def tcp(self, client: int, octets: bytes, *, answer: bool) -> None:
        """What came or went over a connection."""
        for start in range(0, len(octets), _SEGMENT_OCTETS):
            piece = octets[start : start + _SEGMENT_OCTETS]
            counts = [1 + self._sent[client, each] for each in (answer, not answer)]
            header = struct.pack("!HHIIBBHHH", *_ports(client, answer), *counts, 0x50, 0x18, 65535, 0, 0)
            self._add(_TCP, header + piece, answer)
            self._sent[client, answer] += len(piece)
        stream = self._streams.setdefault((client, answer), Stream(MESSAGE_OCTETS))
        stream.feed(octets)
        while (framed := stream.take()) is not None:
            self.said.append((framed, answer))

    def udp(self, client: int, octets: bytes, *, answer: bool) -> None:
        """A datagram."""
        self._add(_UDP, struct.pack("!HHHH", *_ports(client, answer), 8 + len(octets), 0) + octets, answer)
        framed = self._packets.feed((client, answer), octets, 0.0)
        if framed is not None:
            self.said.append((framed, answer))

    def _add(self, protocol: int, payload: bytes, answer: bool) -> None:
        ends = (_SERVER, _CLIENT) if answer else (_CLIENT, _SERVER)
        header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, *ends)
        self.packets.append(header + payload)

    def to_octets(self) -> bytes:
        """The file: a packet a millisecond."""
        records = (
            struct.pack("!IIII", *divmod(number * 1000, 1_000_000), len(packet), len(packet)) + packet
            for number, packet in enumerate(self.packets)
        )
        return struct.pack("!IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, _RAW_IP) + b"".join(records)


def _ports(client: int, answer: bool) -> tuple[int, int]:
    return (PORT, client) if answer else (client, PORT)


class _Tap:
    """A reader that puts down what it reads."""

    def __init__(self, reader: asyncio.StreamReader, capture: Capture, client: int) -> None:
        self._reader, self._capture, self._client = reader, capture, client

    async def read(self, most: int) -> bytes:
        octets = await self._reader.read(most)
        self._capture.tcp(self._client, octets, answer=True)
        return octets


class TappedConnection(Connection):
    """A connection of which all is put down."""

    def __init__(self, capture: Capture, client: int, ends: tuple[asyncio.StreamReader, asyncio.StreamWriter]) -> None:
        super().__init__(cast(asyncio.StreamReader, _Tap(ends[0], capture, client)), ends[1])
        self._capture, self._client = capture, client

    async def send(self, octets: bytes) -> None:
        self._capture.tcp(self._client, octets, answer=False)
        await super().send(octets)


class TappedDatagrams(Datagrams):
    """A UDP socket of which all is put down."""

    capture: Capture
    client: int

    def send(self, datagrams: Iterable[bytes]) -> None:
        sent = list(datagrams)
        for each in sent:
            self.capture.udp(self.client, each, answer=False)
        super().send(sent)

    def datagram_received(self, data: bytes, addr: object) -> None:
        self.capture.udp(self.client, data, answer=True)
        super().datagram_received(data, addr)


class Dissected(NamedTuple):
    """A message as tshark shows it: fields by name, as they stand in it; `marks` are complaints about its packet."""

    fields: dict[str, list[str]]
    marks: list[str]


def knows_the_protocol(tshark: str) -> bool:
    """Whether this tshark reads the Handle protocol: Wireshark does from 4.2 on."""
    told = subprocess.run([tshark, "-G", "protocols"], capture_output=True, text=True, check=True, timeout=60)
    return f"\t{NAME}\t" in told.stdout


def dissect(tshark: str, capture: Capture, folder: Path) -> list[Dissected]:
    """What tshark sees, in the order messages were whole."""
    file = folder / "said.pcap"
    file.write_bytes(capture.to_octets())
    command = [tshark, "-n", "-r", str(file), "-T", "pdml", "-d", f"tcp.port=={PORT},{NAME}"]
    told = subprocess.run(command, capture_output=True, check=True, timeout=60)
    packets = ElementTree.fromstring(told.stdout).iter("packet")
    return [message for packet in packets for message in _messages(packet)]


def _messages(packet: ElementTree.Element) -> list[Dissected]:
    protocols = packet.findall("proto")
    marks = [f.get("showname", "") for f in packet.iter("field") if f.get("name") == "_ws.expert"]
    marks += [str(each.get("showname")) for each in protocols if each.get("name") == "_ws.malformed"]
    seen = [Dissected(_fields(each), marks) for each in protocols if each.get("name") == NAME]
    whole = [each for each in seen if f"{NAME}.opcode" in each.fields]
    return whole or [each for each in seen if marks]


def _fields(message: ElementTree.Element) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for each in message.iter("field"):
        fields.setdefault(str(each.get("name")), []).append(each.get("show", ""))
    return fields

"""The crowd: asks one server as fast as it answers, in one of three ways, and checks what comes. One thread.

Fairness: both servers are asked by these same lines, with as many requests under way, in the same order; what an answer
costs the crowd is the same for both and less than it costs either server, for packets are made beforehand and go
through sendmmsg(2) and recvmmsg(2), many by one call. The crowd sleeps while nothing has come, so it takes nothing from
a server on a machine of two cores. Each answer is matched with its request and its outcome looked at, and is as long as
when it was looked at whole before; over TCP each is compared to the octet, by UDP the first one of each call.
"""

import ctypes
import os
import socket
import struct
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Final

from loadtest.crowd import CrowdError
from loadtest.resolving.questions import Dialect
from loadtest.target import Address

WINDOW: Final = 128
"""Requests under way by UDP: what the buffers of two sockets hold as they are, so that nothing is lost."""
CONNECTIONS, DEEP = 16, 16
"""Connections, and requests under way on each, sent in one piece; of new connections, so many are open at a time."""
_PATIENCE: Final = struct.pack("ll", 5, 0)
"""An answer is waited for so long: a struct timeval for SO_RCVTIMEO."""
SLOT: Final = 1024
"""Octets there are for an answer by UDP."""
SOURCES: Final = 250
"""Addresses of the loopback that new connections come from in turn: one has 28,000 ports, and each rests a minute."""
_BIND_ADDRESS_NO_PORT: Final = 24  # IP_BIND_ADDRESS_NO_PORT of ip(7)
_WAIT_FOR_ONE: Final = 0x10000  # MSG_WAITFORONE of recvmmsg(2)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request and the right answer to it."""

    packet: bytes
    answer: bytes


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of a run: right answers, seconds, and seconds of CPU of the crowd."""

    answers: int
    seconds: float
    cpu: float

    @property
    def rate(self) -> float:
        """Right answers a second."""
        return self.answers / self.seconds


def learned(address: Address, dialect: Dialect, packets: Mapping[str, bytes]) -> list[Asked]:
    """Asks all once by UDP, and looks at the answers whole. Raises CrowdError when one is wrong."""
    found = []
    with _datagrams(address) as sock:
        for name, packet in packets.items():
            sock.send(packet)
            answer = _received(sock, SLOT)
            if said := dialect.wrong(answer, name):
                raise CrowdError(said)
            found.append(Asked(packet, answer))
    return found


def by_datagrams(address: Address, dialect: Dialect, asked: Sequence[Asked], seconds: float) -> Counted:
    """WINDOW requests under way, by UDP. Raises CrowdError."""
    with _datagrams(address) as sock:
        sender, receiver = _Sender(sock, [each.packet for each in asked]), _Receiver(sock, dialect)
        numbers = [struct.unpack_from("=H", each.packet, dialect.number)[0] for each in asked]
        answers = dict(zip(numbers, (each.answer for each in asked), strict=True))
        lengths = {number: len(answer) for number, answer in answers.items()}
        right, under_way, total, at = struct.unpack("=H", struct.pack(">H", dialect.right))[0], set[int](), 0, 0

        def send(number: int) -> None:
            nonlocal at
            while number:
                most = min(number, len(asked) - at)
                if not under_way.isdisjoint(numbers[at : at + most]):
                    # One was answered so late that its turn has come again: asked twice, it would be answered twice.
                    most = next(n for n in range(most) if numbers[at + n] in under_way)
                    if not most:
                        at = (at + 1) % len(asked)
                        continue
                sent = sender.send(at, most)
                under_way.update(numbers[at : at + sent])
                at, number = (at + sent) % len(asked), number - sent

        clock = _Clock()
        send(min(WINDOW, len(asked) // 2))
        while clock.passed() < seconds:
            came, outcomes, octets = receiver.receive()
            before = len(under_way)
            under_way.difference_update(came)
            if before - len(under_way) != len(came) or outcomes.count(right) != len(came):
                raise _not_right(address)
            if [lengths[number] for number in came] != octets or not _same(
                dialect, receiver.first(octets[0]), answers[came[0]]
            ):
                raise _not_right(address)
            total += len(came)
            send(len(came))
        return clock.counted(total)


def pipelined(address: Address, dialect: Dialect, asked: Sequence[Asked], seconds: float) -> Counted:
    """DEEP requests under way on each of CONNECTIONS. Raises CrowdError."""
    rows = cycle([_Row(dialect, asked[at : at + DEEP]) for at in range(0, len(asked) - DEEP + 1, DEEP)])
    connections = [_connected(address) for _ in range(CONNECTIONS)]
    waiting: deque[tuple[socket.socket, _Row]] = deque()
    total, clock = 0, _Clock()
    try:
        for connection, row in zip(connections, rows, strict=False):
            connection.sendall(row.packets)
            waiting.append((connection, row))
        while clock.passed() < seconds:
            half = _first_half(waiting)
            for connection, row in half:
                if not row.is_right(_whole(connection, row.length)):
                    raise _not_right(address)
                total += DEEP
            for (connection, _), row in zip(half, rows, strict=False):
                connection.sendall(row.packets)
                waiting.append((connection, row))
        return clock.counted(total)
    finally:
        for connection in connections:
            connection.close()


def on_new_connections(address: Address, dialect: Dialect, asked: Sequence[Asked], seconds: float) -> Counted:
    """A connection for each request, CONNECTIONS of them open at a time. Raises CrowdError."""
    rows = cycle([_Row(dialect, [each]) for each in asked])
    sources = cycle([f"127.0.1.{last}" for last in range(1, SOURCES + 1)])
    waiting: deque[tuple[socket.socket, _Row]] = deque()
    total, clock = 0, _Clock()
    try:
        while clock.passed() < seconds:
            row, connection = next(rows), _connected(address, next(sources))
            waiting.append((connection, row))
            connection.sendall(row.packets)
            if len(waiting) < CONNECTIONS:
                continue
            for connection, row in _first_half(waiting):
                with connection:
                    if not row.is_right(_whole(connection, row.length)):
                        raise _not_right(address)
                total += 1
        return clock.counted(total)
    finally:
        for connection, _ in waiting:
            connection.close()


def _first_half(waiting: "deque[tuple[socket.socket, _Row]]") -> "list[tuple[socket.socket, _Row]]":
    """Those that were asked first, the last of them first: who waits for that needs not be woken for each.

    To wake somebody costs a server more than an answer does; clients elsewhere cost it nothing.
    """
    half = [waiting.popleft() for _ in range(CONNECTIONS // 2)]
    return half[::-1]


class _Clock:
    """Since when it goes on, and what it took of the processor."""

    def __init__(self) -> None:
        self._began, self._spent = time.monotonic(), time.thread_time()

    def passed(self) -> float:
        return time.monotonic() - self._began

    def counted(self, answers: int) -> Counted:
        return Counted(answers, self.passed(), time.thread_time() - self._spent)


class _Row:
    """Requests sent in one piece over TCP, and the right answers to them, which may come in another order."""

    def __init__(self, dialect: Dialect, asked: Sequence[Asked]) -> None:
        self._dialect = dialect
        self.packets = b"".join(dialect.stream(len(each.packet)) + each.packet for each in asked)
        answers = b"".join(dialect.stream(len(each.answer)) + each.answer for each in asked)
        self.length = len(answers)
        self._begins = self._found(answers)
        self._answers = self._clear(answers, self._begins)
        self._sorted = self._cut(answers)

    def is_right(self, octets: bytes) -> bool:
        """Whether these are the answers."""
        return self._clear(octets, self._begins) == self._answers or self._cut(octets) == self._sorted

    def _found(self, octets: bytes) -> list[int]:
        """Where answers begin."""
        begins = [0]
        while (end := self._dialect.end(octets, begins[-1])) < len(octets):
            begins.append(end)
        return begins

    def _clear(self, octets: bytes, begins: Sequence[int]) -> bytes:
        """With nothing where each answer is another each time."""
        first, last = self._dialect.vague
        if first == last:
            return octets
        clear, nothing = bytearray(octets), bytes(last - first)
        for begin in begins:
            clear[begin + first : begin + last] = nothing
        return bytes(clear)

    def _cut(self, octets: bytes) -> list[bytes]:
        begins = self._found(octets)
        clear = self._clear(octets, begins)
        return sorted(clear[begin:end] for begin, end in zip(begins, [*begins[1:], len(octets)], strict=True))


def _connected(address: Address, source: str = "127.0.0.1") -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # A time limit in the kernel: Python's own would make the socket one that does not block.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        sock.setsockopt(socket.IPPROTO_IP, _BIND_ADDRESS_NO_PORT, 1)
        sock.bind((source, 0))
        sock.connect((address.host, address.port))
    except OSError as error:
        sock.close()
        raise CrowdError(f"{address}连不上：{error}。 {address} takes no connection: {error}.") from error
    return sock


def _datagrams(address: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
    sock.connect((address.host, address.port))
    return sock


def _whole(sock: socket.socket, length: int) -> bytes:
    """So many octets."""
    octets = _received(sock, length)
    while len(octets) < length:
        octets += _received(sock, length - len(octets))
    return octets


def _received(sock: socket.socket, most: int) -> bytes:
    try:
        octets = sock.recv(most)
    except OSError as error:
        raise CrowdError(f"没有应答：{error}。 No answer: {error}.") from error
    if not octets:
        raise CrowdError("连接被关闭。 The connection was closed.")
    return octets


def _not_right(address: Address) -> CrowdError:
    return CrowdError(f"{address}答错，或一问多答。 {address} answers wrongly, or twice.")


def _same(dialect: Dialect, answer: bytes, right: bytes) -> bool:
    """Whether it is the right answer but for what is another each time."""
    first, last = dialect.vague
    return answer[:first] == right[:first] and answer[last:] == right[last:]


# --- Many datagrams by one call ------------------------------------------------------------------------------------


class _Piece(ctypes.Structure):
    """struct iovec of readv(2)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Head(ctypes.Structure):
    """struct mmsghdr of recvmmsg(2), for a socket that is connected, in eight words."""

    _fields_ = (
        ("_name", ctypes.c_void_p * 2),
        ("pieces", ctypes.POINTER(_Piece)),
        ("piece_count", ctypes.c_size_t),
        ("_control", ctypes.c_void_p * 3),
        ("octets", ctypes.c_uint32),
        ("_end", ctypes.c_uint32),
    )


_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.sendmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
_libc.recvmmsg.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)


def _headed(pieces: "ctypes.Array[_Piece]") -> "ctypes.Array[_Head]":
    heads = (_Head * len(pieces))()
    for number, head in enumerate(heads):
        head.pieces, head.piece_count = ctypes.pointer(pieces[number]), 1
    return heads


class _Sender:
    """Packets that are sent again and again."""

    def __init__(self, sock: socket.socket, packets: Sequence[bytes]) -> None:
        self._socket = sock.fileno()
        self._packets = [ctypes.create_string_buffer(packet, len(packet)) for packet in packets]
        self._pieces = (_Piece * len(packets))(
            *[_Piece(ctypes.addressof(each), len(each)) for each in self._packets],
        )
        self._heads = _headed(self._pieces)

    def send(self, first: int, count: int) -> int:
        """Sends `count` packets from the `first` on; how many went. Raises CrowdError."""
        at = ctypes.addressof(self._heads) + first * ctypes.sizeof(_Head)
        sent: int = _libc.sendmmsg(self._socket, at, count, 0)
        if sent < 1:
            raise CrowdError(f"sendmmsg: {os.strerror(ctypes.get_errno())}")
        return sent


class _Receiver:
    """Takes what has come, and waits for the first of it."""

    def __init__(self, sock: socket.socket, dialect: Dialect) -> None:
        self._socket = sock.fileno()
        self._octets = bytearray(WINDOW * SLOT)
        base = ctypes.addressof(ctypes.c_char.from_buffer(self._octets))
        self._pieces = (_Piece * WINDOW)(*[_Piece(base + at, SLOT) for at in range(0, WINDOW * SLOT, SLOT)])
        self._heads = _headed(self._pieces)
        halves = memoryview(self._octets).cast("H")
        self._numbers = halves[dialect.number // 2 :: SLOT // 2]
        self._outcomes = halves[dialect.outcome // 2 :: SLOT // 2]
        words = memoryview(self._heads).cast("B").cast("I")
        self._lengths = words[_Head.octets.offset // 4 :: ctypes.sizeof(_Head) // 4]

    def receive(self) -> tuple[list[int], list[int], list[int]]:
        """Numbers, outcomes and lengths of what came. Raises CrowdError when nothing does."""
        came = _libc.recvmmsg(self._socket, ctypes.addressof(self._heads), WINDOW, _WAIT_FOR_ONE, None)
        if came < 1:
            why = os.strerror(ctypes.get_errno())
            raise CrowdError(f"没有应答：{why}。 No answer: {why}.")
        return self._numbers[:came].tolist(), self._outcomes[:came].tolist(), self._lengths[:came].tolist()

    def first(self, length: int) -> bytes:
        """The first of what came."""
        return bytes(self._octets[:length])

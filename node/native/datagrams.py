"""Many datagrams by one system call: recvmmsg(2) and sendmmsg(2), which Python's socket has not, and UDP_SEGMENT.

A datagram is answered where it lies: what stands in a slot goes to where what came into the slot came from. What
datagrams say is not known here.
"""

import ctypes
import mmap
import socket
import struct
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from proto.forwarded_for import TrustedProxies
from registry.access_log import Source

COUNT: Final = 64
"""Datagrams of one call, some 0.3 ms of work: what is done once for all costs little beside so many, and others wait no
longer. The kernel cuts no more out of one (UDP_MAX_SEGMENTS)."""
DATAGRAM_OCTETS: Final = 4096
"""What is read of one datagram: those of the protocol have 512."""
STRIDE: Final = DATAGRAM_OCTETS + 64
"""Octets from slot to slot; all beginnings at multiples of 4096 would share a few lines of the processor's cache."""
SOURCES_MOST: Final = 4096
"""Addresses whose spelling is remembered."""

_SEGMENT: Final = (socket.IPPROTO_UDP, 103)
"""UDP_SEGMENT (Linux 4.18, include/uapi/linux/udp.h), which Python's socket has no name for."""
_SEGMENT_OCTETS: Final = struct.Struct("=H")

_NAME: Final = 32
"""Octets there are for an address; one of IPv6 takes 28."""
_IPV4: Final = struct.Struct("!2xH4s8x")
_IPV6: Final = struct.Struct("!2xHI16sI")
"""struct sockaddr_in of ip(7) and sockaddr_in6 of ipv6(7) behind the family: port, flow, address, scope, which is the
only one in the machine's own order."""
_NOBODY: Final = TrustedProxies()
"""Whose word about others is taken here; what it tells is the one spelling of an address."""

Address = tuple[Any, ...]
"""As a socket takes it; host and port come first."""


class _Piece(ctypes.Structure):
    """struct iovec of readv(2)."""

    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct msghdr of recvmsg(2)."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("pieces", ctypes.POINTER(_Piece)),
        ("piece_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
    )


class _Counted(ctypes.Structure):
    """struct mmsghdr of recvmmsg(2): a message and the octets that came."""

    _fields_ = (("message", _Message), ("octets", ctypes.c_uint32))


# With the interpreter held: these calls never wait, and who lets go of it gets it back from the thread of the access
# log only milliseconds later.
_libc: Final = ctypes.PyDLL(None)
_receive, _send = _libc.recvmmsg, _libc.sendmmsg
_receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
_send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)


class Slots:
    """COUNT datagrams of one socket, and where they are from; `octets` has them, each at a multiple of STRIDE."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket, self._send_one = sock.fileno(), sock.sendmsg
        self._cut = _is_cut(sock)
        self._name_length = (_IPV6 if sock.family == socket.AF_INET6 else _IPV4).size
        self.octets = mmap.mmap(-1, COUNT * STRIDE)
        self._names = mmap.mmap(-1, COUNT * _NAME)
        self._incoming, _ = self._messages()
        self._outgoing, pieces = self._messages()
        self._first_incoming, self._first_outgoing = map(ctypes.addressof, (self._incoming, self._outgoing))
        words = memoryview(self._incoming).cast("B").cast("I")
        self._came = words[_Counted.octets.offset // 4 :: ctypes.sizeof(_Counted) // 4]
        self._going = memoryview(pieces).cast("B").cast("Q")[1::2]
        self._words = memoryview(self.octets).cast("I")
        self._name = struct.Struct(f"{self._name_length}s{_NAME - self._name_length}x")
        self._sources = _Sources()

    def _messages(self) -> "tuple[ctypes.Array[_Counted], ctypes.Array[_Piece]]":
        octets, names = (ctypes.addressof(ctypes.c_char.from_buffer(each)) for each in (self.octets, self._names))
        messages, pieces = (_Counted * COUNT)(), (_Piece * COUNT)()
        for slot in range(COUNT):
            pieces[slot] = _Piece(octets + slot * STRIDE, DATAGRAM_OCTETS)
            message = messages[slot].message
            message.name, message.name_length = names + slot * _NAME, self._name_length
            message.pieces, message.piece_count = ctypes.pointer(pieces[slot]), 1
        return messages, pieces

    def receive(self) -> list[int]:
        """Fills the first slots with what has come; how many octets each has."""
        count: int = _receive(self._socket, self._first_incoming, COUNT, socket.MSG_DONTWAIT, None)
        return self._came[: max(count, 0)].tolist()  # -1: nothing, or what the kernel heard of an earlier answer

    def send(self, lengths: Sequence[int]) -> int:
        """Sends so many octets of each slot to where what came into it is from, of some none; how many could not be."""
        if self._cut and len(lengths) > 1 and self.one_source(len(lengths)) is not None:
            lengths = self._sent_alike(lengths)
            if not any(lengths):
                return 0
        self._going[: len(lengths)] = memoryview(array("Q", lengths))
        return sum(self._sent(begin, end) for begin, end in _runs(lengths))

    def _sent_alike(self, lengths: Sequence[int]) -> Sequence[int]:
        """Sends answers of one length, which all go to one asker, as one that the kernel cuts apart: a fifth of the
        work. As `send` has it, what is left.
        """
        left, asker = list(lengths), self.address(0)
        for octets, count in Counter(lengths).items():
            if not octets or count == 1:
                continue
            slots = [slot for slot, length in enumerate(lengths) if length == octets]
            whole = b"".join([self.datagram(slot, octets) for slot in slots])
            try:
                self._send_one([whole], [(*_SEGMENT, _SEGMENT_OCTETS.pack(octets))], socket.MSG_DONTWAIT, asker)
            except OSError:
                continue  # each by itself: some devices take none that is to be cut, or there is room for a few
            for slot in slots:
                left[slot] = 0
        return left

    def _sent(self, at: int, end: int) -> int:
        unsent = 0
        while at < end:
            first = self._first_outgoing + at * ctypes.sizeof(_Counted)
            sent = _send(self._socket, first, end - at, socket.MSG_DONTWAIT)
            unsent += sent < 1  # the kernel has no room for it now, or knows no way there: who asks, asks again
            at += max(sent, 1)
        return unsent

    def words(self, at: int) -> memoryview:
        """The four octets at this place of every slot, as numbers; a multiple of four."""
        return self._words[at // 4 :: STRIDE // 4]

    def datagram(self, slot: int, length: int) -> bytes:
        """What came."""
        return self.octets[slot * STRIDE : slot * STRIDE + length]

    def address(self, slot: int) -> Address:
        """Where it is from."""
        return _address(*self._name.unpack_from(self._names, slot * _NAME))

    def one_source(self, count: int) -> Source | None:
        """Where the first so many are from, the address in its one spelling, if all are from there."""
        names = self._names[: count * _NAME]
        return self._sources[names[: self._name_length]] if names == names[:_NAME] * count else None

    def sources(self, count: int) -> list[Source]:
        """Where the first so many are from, addresses in their one spelling."""
        sources = self._sources
        return [sources[name] for (name,) in self._name.iter_unpack(self._names[: count * _NAME])]


class _Sources(dict[bytes, Source]):
    """Address and port by how the kernel writes them."""

    def __missing__(self, name: bytes) -> Source:
        host, port = _address(name)[:2]
        if len(self) >= SOURCES_MOST:
            self.clear()
        source = self[name] = _NOBODY.asker(host, ()) if ":" in host else host, port
        return source


def _is_cut(sock: socket.socket) -> bool:
    """Whether this kernel knows of UDP_SEGMENT: an older one would send all of it as one datagram."""
    try:
        sock.getsockopt(*_SEGMENT)
    except OSError:
        return False
    return True


def _address(name: bytes) -> Address:
    if len(name) == _IPV4.size:
        port, host = _IPV4.unpack(name)
        return socket.inet_ntop(socket.AF_INET, host), port
    port, flow, host, scope = _IPV6.unpack(name)
    return socket.inet_ntop(socket.AF_INET6, host), port, flow, socket.ntohl(scope)


def _runs(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Where those in a row that are not 0 begin and end."""
    if all(lengths):
        yield 0, len(lengths)
        return
    for slot, length in enumerate(lengths):
        if length and (slot == 0 or not lengths[slot - 1]):
            end = next((other for other in range(slot, len(lengths)) if not lengths[other]), len(lengths))
            yield slot, end

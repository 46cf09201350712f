"""The header of the PROXY protocol, versions 1 and 2, that a proxy puts before the octets of a connection it relays.

Source: the HAProxy project's proxy-protocol.txt. Octets in, a value out; who may send one is not decided here.
"""

from dataclasses import dataclass
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import Final

from proto.errors import ProtoError
from proto.forwarded_for import unmapped

LINE_OCTETS: Final = 107
"""Longest header of version 1, its CR LF included (§2.1)."""
BLOCK_OCTETS: Final = 4096
"""Longest header of version 2 that is read: its addresses take at most 216 octets (§2.2), the rest leaves room for
what proxies add about TLS and themselves, all of it skipped."""

_LINE: Final = b"PROXY "
_SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
_FIXED: Final = len(_SIGNATURE) + 4
_LOCAL, _PROXY = 0x20, 0x21
_STREAM: Final = {0x11: 4, 0x21: 16}
"""Family and transport to the size of an address: TCP over IPv4 and IPv6."""
_FAMILIES: Final = range(4)
_TRANSPORTS: Final = range(3)
_VERSION_1: Final[dict[bytes, type[IPv4Address] | type[IPv6Address]]] = {b"TCP4": IPv4Address, b"TCP6": IPv6Address}
_PORT_DIGITS: Final = 5


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """A whole header of `length` octets.

    `source` is the address the relayed connection came from, and `port` its port; None and 0 when the sender speaks for
    itself or does not know.
    """

    length: int
    source: str | None = None
    port: int = 0


class NoHeader(Enum):
    """Why there is no header (yet)."""

    UNFINISHED = "so far it may become one"
    ABSENT = "the connection did not begin with one"


def read(octets: bytes) -> ProxyHeader | NoHeader:
    """What the first octets of a connection say; what stands behind the header is not looked at.

    Raises ProtoError (`proxy_protocol`) for what begins like a header and is none.
    """
    for start, reader in ((_LINE, _line), (_SIGNATURE, _block)):
        if octets.startswith(start):
            return reader(octets)
        if start.startswith(octets):
            return NoHeader.UNFINISHED
    return NoHeader.ABSENT


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("proxy_protocol", f"PROXY协议头{zh}", f"the PROXY protocol header {en}")


def _line(octets: bytes) -> ProxyHeader | NoHeader:
    end = octets.find(b"\r\n", 0, LINE_OCTETS)
    if end < 0:
        if len(octets) >= LINE_OCTETS:
            raise _wrong(f"第1版不能超过{LINE_OCTETS}字节", f"of version 1 is longer than {LINE_OCTETS} octets")
        return NoHeader.UNFINISHED
    return ProxyHeader(end + 2, *(_source_of_line(octets[len(_LINE) : end]) or ()))


def _source_of_line(said: bytes) -> tuple[str, int] | None:
    words = said.split(b" ")
    if words[0] == b"UNKNOWN":
        return None
    kind = _VERSION_1.get(words[0])
    if kind is None or len(words) != 5 or not all(map(_is_port, words[3:])):
        raise _wrong("第1版不完整或有多余内容", "of version 1 is not family, two addresses and two ports")
    try:
        addresses = [kind(_text(word)) for word in words[1:3]]
    except AddressValueError:
        raise _wrong("中的地址与其协议族不符", "holds an address that is none of its family") from None
    return str(unmapped(addresses[0])), int(words[3])


def _text(word: bytes) -> str:
    """ASCII as it is, without the zone that Python would let follow an IPv6 address; else what is no address."""
    return word.decode("ascii", "replace").replace("%", "\ufffd")


def _is_port(word: bytes) -> bool:
    return word.isdigit() and len(word) <= _PORT_DIGITS and int(word) < 2**16 and (word == b"0" or word[:1] != b"0")


def _block(octets: bytes) -> ProxyHeader | NoHeader:
    if len(octets) < _FIXED:
        return NoHeader.UNFINISHED
    command, kind = octets[12], octets[13]
    length = _FIXED + int.from_bytes(octets[14:16])
    if command not in {_LOCAL, _PROXY}:
        raise _wrong("第2版的版本或命令不认识", "of version 2 has an unknown version or command")
    if length > BLOCK_OCTETS:
        raise _wrong(f"第2版不能超过{BLOCK_OCTETS}字节", f"of version 2 is longer than {BLOCK_OCTETS} octets")
    if len(octets) < length:
        return NoHeader.UNFINISHED
    if command == _LOCAL:
        return ProxyHeader(length)
    return ProxyHeader(length, *(_source_of_block(kind, octets[_FIXED:length]) or ()))


def _source_of_block(kind: int, said: bytes) -> tuple[str, int] | None:
    if kind >> 4 not in _FAMILIES or kind & 15 not in _TRANSPORTS:
        raise _wrong("第2版的协议族或传输协议不认识", "of version 2 has an unknown family or transport")
    size = _STREAM.get(kind)
    if size is None:
        return None
    if len(said) < 2 * (size + 2):
        raise _wrong("第2版容不下其地址", "of version 2 is too short for its addresses")
    port = int.from_bytes(said[2 * size : 2 * size + 2])
    return str(unmapped(IPv4Address(said[:4]) if size == 4 else IPv6Address(said[:16]))), port

"""HS_SITE and its kin: the servers that answer for a prefix, and by which protocols (RFC 3651 §3.2.2 as deployed).

Which of these servers may be asked, and whether any is believed, is for the node that asks.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from hashlib import md5
from ipaddress import IPv4Address, IPv6Address
from typing import Final, Self, TypeVar

from proto.errors import ProtoError
from proto.identifier import Identifier, fold
from proto.octets import Reader, string

Address = IPv4Address | IPv6Address

FORMAT_VERSION: Final = 1
"""The only layout there is."""
SERVERS_MOST: Final = 256
"""Servers of a site: deployed sites have one to some ten; the standard sets no bound."""
INTERFACES_MOST: Final = 32
"""Interfaces of a server: four protocols, each for reading, writing or both, with room to spare."""
ATTRIBUTES_MOST: Final = 256
"""Attributes of a site: deployed ones have up to five."""

_PRIMARY: Final = 0x80
_MULTI_PRIMARY: Final = 0x40
_ADMIN: Final = 0x01
_QUERY: Final = 0x02
_IPV4: Final = bytes(12)
"""What stands before the four octets of an IPv4 address; not ::ffff: (errata of RFC 3651)."""


class Protocol(IntEnum):
    """How an interface is spoken to."""

    UDP = 0
    TCP = 1
    HTTP = 2
    HTTPS = 3


class HashOption(IntEnum):
    """Which part of an identifier decides the server of a site that holds it."""

    PREFIX = 0
    SUFFIX = 1
    WHOLE = 2


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("HS_SITE", f"HS_SITE{zh}", f"HS_SITE {en}")


def _bounded(count: int, most: int, zh: str, en: str) -> None:
    if count > most:
        raise _wrong(f"的{zh}不能超过{most}个", f"has at most {most} {en}")


def is_told(address: Address) -> bool:
    """Whether an address can stand in a site: one of IPv6 that begins with twelve zero octets, as `::1` does, would be
    read as one of IPv4.
    """
    return address.version == 4 or not address.packed.startswith(_IPV4)


@dataclass(frozen=True, slots=True)
class Interface:
    """A way to a server: whether it takes questions (`query`) and changes (`admin`)."""

    protocol: Protocol
    port: int
    query: bool
    admin: bool

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 0xFFFF:
            raise _wrong("的端口应在0到65535之间", "has ports from 0 to 65535")


@dataclass(frozen=True, slots=True)
class Server:
    """One server of a site. `public_key` is the data of an HS_PUBKEY value, or empty."""

    number: int
    address: Address
    public_key: bytes
    interfaces: tuple[Interface, ...]

    def __post_init__(self) -> None:
        if not 0 <= self.number < 2**32:
            raise _wrong("的serverId超出范围", "has a serverId out of range")
        if not is_told(self.address):
            raise _wrong("的地址会被读成IPv4地址", "has an address that would be read as one of IPv4")
        _bounded(len(self.interfaces), INTERFACES_MOST, "接口", "interfaces of a server")


@dataclass(frozen=True, slots=True)
class Site:
    """A service site: `version` of the protocol (major, minor), `serial` counts its changes, attributes are pairs."""

    version: tuple[int, int]
    serial: int
    primary: bool
    multi_primary: bool
    servers: tuple[Server, ...]
    attributes: tuple[tuple[str, str], ...] = ()
    hash_option: HashOption = HashOption.WHOLE
    hash_filter: str = ""

    def __post_init__(self) -> None:
        if not (0 <= self.version[0] <= 0xFF and 0 <= self.version[1] <= 0xFF and 0 <= self.serial <= 0xFFFF):
            raise _wrong(
                "的protocolVersion或serialNumber超出范围", "has a protocolVersion or serialNumber out of range"
            )
        _bounded(len(self.servers), SERVERS_MOST, "服务器", "servers")
        _bounded(len(self.attributes), ATTRIBUTES_MOST, "属性", "attributes")

    def responsible(self, identifier: Identifier) -> Server | None:
        """The server that holds `identifier`; None if there is none. A hash decides (RFC 3651 §3.2.2)."""
        part = {
            HashOption.PREFIX: identifier.prefix,
            HashOption.SUFFIX: identifier.suffix,
            HashOption.WHOLE: str(identifier),
        }[self.hash_option]
        digest = md5(fold(part).encode(), usedforsecurity=False).digest()
        return self.servers[abs(int.from_bytes(digest[-4:], signed=True)) % len(self.servers)] if self.servers else None

    @classmethod
    def from_octets(cls, octets: bytes) -> Self:
        """Reads the data of an HS_SITE value. Raises ProtoError unless writing it again gives the same octets."""
        reader = Reader(octets)
        if reader.unsigned(2, "HS_SITE") != FORMAT_VERSION:
            raise _wrong("的数据格式版本应为1", "must be of data format version 1")
        version = reader.unsigned(1, "HS_SITE"), reader.unsigned(1, "HS_SITE")
        serial = reader.unsigned(2, "HS_SITE")
        mask = reader.unsigned(1, "HS_SITE")
        site = cls(
            version=version,
            serial=serial,
            primary=bool(mask & _PRIMARY),
            multi_primary=bool(mask & _MULTI_PRIMARY),
            hash_option=_known(HashOption, reader.unsigned(1, "HS_SITE")),
            hash_filter=reader.string("HS_SITE"),
            attributes=_listed(reader, ATTRIBUTES_MOST, _attribute),
            servers=_listed(reader, SERVERS_MOST, _server),
        )
        if site.to_octets() != octets:
            raise _wrong("写法不规范", "is not written as it should be")
        return site

    def to_octets(self) -> bytes:
        """The data of an HS_SITE value."""
        mask = (_PRIMARY if self.primary else 0) | (_MULTI_PRIMARY if self.multi_primary else 0)
        return b"".join(
            (
                FORMAT_VERSION.to_bytes(2),
                bytes(self.version),
                self.serial.to_bytes(2),
                bytes((mask, self.hash_option)),
                string(self.hash_filter),
                len(self.attributes).to_bytes(4),
                *(string(name) + string(value) for name, value in self.attributes),
                len(self.servers).to_bytes(4),
                *(_server_octets(server) for server in self.servers),
            )
        )


Item = TypeVar("Item")
Kind = TypeVar("Kind", bound=IntEnum)


def _known(kind: type[Kind], number: int) -> Kind:
    try:
        return kind(number)
    except ValueError:
        raise _wrong(f"的{kind.__name__}不认识：{number}", f"has the unknown {kind.__name__} {number}") from None


def _listed(reader: Reader, most: int, read: Callable[[Reader], Item]) -> tuple[Item, ...]:
    count = reader.unsigned(4, "HS_SITE")
    _bounded(count, most, "条目", "entries in a list")
    return tuple(read(reader) for _ in range(count))


def _attribute(reader: Reader) -> tuple[str, str]:
    return reader.string("HS_SITE"), reader.string("HS_SITE")


def _address(octets: bytes) -> Address:
    return IPv4Address(octets[12:]) if octets.startswith(_IPV4) else IPv6Address(octets)


def _server(reader: Reader) -> Server:
    return Server(
        reader.unsigned(4, "HS_SITE"),
        _address(reader.take(16, "HS_SITE")),
        reader.take(reader.unsigned(4, "HS_SITE"), "HS_SITE"),
        _listed(reader, INTERFACES_MOST, _interface),
    )


def _interface(reader: Reader) -> Interface:
    kind = reader.unsigned(1, "HS_SITE")
    protocol = _known(Protocol, reader.unsigned(1, "HS_SITE"))
    return Interface(protocol, reader.unsigned(4, "HS_SITE"), bool(kind & _QUERY), bool(kind & _ADMIN))


def _server_octets(server: Server) -> bytes:
    packed = server.address.packed
    return b"".join(
        (
            server.number.to_bytes(4),
            packed if len(packed) == 16 else _IPV4 + packed,
            len(server.public_key).to_bytes(4),
            server.public_key,
            len(server.interfaces).to_bytes(4),
            *(_interface_octets(each) for each in server.interfaces),
        )
    )


def _interface_octets(each: Interface) -> bytes:
    kind = (_QUERY if each.query else 0) | (_ADMIN if each.admin else 0)
    return bytes((kind, each.protocol)) + each.port.to_bytes(4)

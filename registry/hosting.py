"""Where a prefix is resolved: hosted here (托管), or at the enterprise's own node, whose site it tells. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import ip_address
from typing import Any, Final

from proto.errors import ProtoError

SERVER: Final = 1
"""The one hosting server there is (`proxyServerId`): this node."""
SITE_TYPE: Final = "HS_SITE"
_PORTS: Final = ("tcpPort", "udpPort", "httpPort")
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)


class ProxyState(IntEnum):
    """How hosting stands, by the numbers of the SNMS OpenAPI."""

    OWN = 1
    APPLIED = 2
    REFUSED = 3
    HOSTED = 4

    @property
    def zh(self) -> str:
        """The name people know it by."""
        return ("", "未托管", "托管申请中", "托管被驳回", "已托管")[self]


@dataclass(frozen=True, slots=True)
class Site:
    """An enterprise's own node; port 0: none."""

    address: str
    tcp_port: int
    udp_port: int
    http_port: int


def site(given: Mapping[str, Any]) -> Site:
    """The site of an `entPrefixConfig` (SNMS OpenAPI). Raises ProtoError naming the field and its rule."""
    if given.get("hdlType") != SITE_TYPE:
        raise _wrong("hdlType", f"应为{SITE_TYPE}", f"must be {SITE_TYPE}")
    version = str(given.get("ipType") or "")
    if version not in {"4", "6"}:
        raise _wrong("ipType", "应为4或6", "must be 4 or 6")
    try:
        address = ip_address(str(given.get("ip") or "").strip())
    except ValueError:
        address = None
    if address is None or address.version != int(version) or address.is_unspecified or address.is_multicast:
        raise _wrong("ip", f"应为一台服务器的IPv{version}地址", f"must be the IPv{version} address of a server")
    ports = [_port(name, given.get(name)) for name in _PORTS]
    if not any(ports):
        raise _wrong("tcpPort", "、udpPort、httpPort至少填写一个", ", udpPort or httpPort: at least one is needed")
    return Site(str(address), *ports)


def _port(name: str, given: Any) -> int:
    text = str(given if given is not None else "").strip()
    if text and not (_PORT.fullmatch(text) and 1 <= int(text) <= 65_535):
        raise _wrong(name, "应为1到65535的端口", "must be a port, 1 to 65535")
    return int(text or 0)


def _wrong(field: str, zh: str, en: str) -> ProtoError:
    return ProtoError(f"entPrefixConfig.{field}", f"参数entPrefixConfig.{field}{zh}", f"entPrefixConfig.{field} {en}")

"""X-Forwarded-For and the proxies it is believed from: texts to addresses, and the walk from hop to hop.

No request and no socket here: whoever has one gives what it says.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from proto.errors import ProtoError

PROXIES_MOST: Final = 256
"""Most entries of the list: it is searched for each request, and nobody's network edge has more ranges by far."""

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def unmapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 socket shows as ::ffff:a.b.c.d (RFC 4291 §2.5.5.2); any other as it is."""
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


_HOP: Final = re.compile(
    r'("?)(?:\[([0-9A-F:.]+)\](?::\w+)?|([0-9.]+)(?::\w+)?|([0-9A-F:.]+))\1', re.ASCII | re.IGNORECASE
)
"""A hop as proxies write it: bare, `a.b.c.d:port`, `[v6]`, `[v6]:port`, each also quoted. A zone (`fe80::1%eth0`) means
nothing beyond the machine that wrote it, so such a text is none."""


def read(text: str) -> Address | None:
    """The address of a hop; None for what is none, such as `unknown`."""
    hop = _HOP.fullmatch(text.strip(" \t"))
    try:
        return unmapped(ip_address(hop[2] or hop[3] or hop[4])) if hop else None
    except ValueError:
        return None


END_SITE_BITS: Final = 64
"""An end site, one customer of a network, gets at least so long an IPv6 prefix to itself (RFC 6177 §2): 2^64 addresses
that one machine may use in turn."""


def end_site(text: str) -> str:
    """What the address written so is counted as: itself, of IPv6 its /64; what is no address as it is."""
    if ":" not in text:  # asked for each request: nothing else is to be found out
        return text
    address = read(text)
    if isinstance(address, IPv6Address):
        return str(ip_network((address, END_SITE_BITS), strict=False))
    return text if address is None else str(address)


@dataclass(frozen=True, slots=True)
class TrustedProxies:
    """The addresses whose word about others is taken. An empty list takes nobody's."""

    networks: tuple[Network, ...] = ()

    @classmethod
    def parse(cls, text: str) -> "TrustedProxies":
        """From addresses and networks with commas between them. Raises ProtoError that names the bad entry."""
        entries = [entry for each in text.split(",") if (entry := each.strip())]
        if len(entries) > PROXIES_MOST:
            raise _wrong(f"最多{PROXIES_MOST}项", f"must have at most {PROXIES_MOST} entries")
        return cls(tuple(map(_network, entries)))

    def trusts(self, text: str) -> bool:
        """Whether the address written so is one of them."""
        address = read(text)
        return address is not None and self._holds(address)

    def _holds(self, address: Address) -> bool:
        return any(address in network for network in self.networks)

    def asker(self, nearest: str, lines: Sequence[str]) -> str:
        """Who asks, when the address `nearest` speaks to us and X-Forwarded-For was sent in these header lines.

        Each trusted hop is believed about the one before it, from the right (RFC 7239 §7.4 says of its list what holds
        for this one): the first untrusted hop asks, or the last one that was an address.
        """
        address = read(nearest)
        if address is None:
            return nearest
        for hop in (hop for line in reversed(lines) for hop in reversed(line.split(","))):
            if not self._holds(address):
                break
            before = read(hop)
            if before is None:
                break
            address = before
        return str(address)


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("trusted_proxies", zh, en)


def _network(entry: str) -> Network:
    try:
        network = ip_network(entry)
    except ValueError:
        network = None
    if network is None or "%" in entry or _mapped(network):
        raise _wrong(
            f"中的“{entry}”应为地址或网段，例如10.0.0.0/8",
            f'holds "{entry}", which must be an address or a network such as 10.0.0.0/8',
        )
    return network


def _mapped(network: Network) -> bool:
    """Whether it would never hold an address, because those are unmapped."""
    return isinstance(network, IPv6Network) and network.network_address.ipv4_mapped is not None

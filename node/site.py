"""The sites Handle clients are told (HS_SITE): where this node answers or another, and by which protocols. Pure."""

from collections.abc import Iterable
from ipaddress import ip_address
from typing import Final

from node.config import Config
from proto.native.versions import OWN
from proto.values.site import Address, Interface, Protocol, Server, Site, is_told
from registry.postgres.filing import Route

SERIAL: Final = 2
"""Every answer carries it: a client that knows another one asks for the site anew. It is 2 since the site has a key;
what else it says follows from settings, and nobody counts their changes."""


def site_of(config: Config, key: bytes, reached: str) -> Site | None:
    """The site, with the data of its public key (empty: it has none); None where no address of it is known.

    That is the one others are told (`route_address`), or the one it listens on, or where it listens on all of them, the
    one it was `reached` at. TCP stands first: a client of CAICT takes the first protocol for the only one.
    UDP is named for questions alone: who logs in by it, where that is allowed, needs no telling.
    """
    for text in (config.route_address, config.host, reached):
        try:
            address = ip_address(text)
        except ValueError:
            continue
        if not address.is_unspecified and is_told(address):
            break
    else:
        return None
    ports = (
        (Protocol.TCP, config.native_port),
        (Protocol.UDP, config.native_port),
        (Protocol.HTTP, config.http_port),
        (Protocol.HTTPS, config.https_port if config.certificate else 0),
    )
    return _site(address, ports, SERIAL, key, (("desc", f"idnode {config.prefix}"),))


def site_of_route(route: Route) -> Site | None:
    """The site of an enterprise's own node, as the national top-level node is told where its prefix is resolved; None
    where no site can say that address.
    """
    address = ip_address(route.address)
    ports = ((Protocol.TCP, route.tcp_port), (Protocol.UDP, route.udp_port), (Protocol.HTTP, route.http_port))
    return _site(address, ports, route.serial & 0xFFFF, b"", ()) if is_told(address) else None


def _site(
    address: Address,
    ports: Iterable[tuple[Protocol, int]],
    serial: int,
    key: bytes,
    attributes: tuple[tuple[str, str], ...],
) -> Site:
    ways = tuple(
        Interface(protocol, port, query=True, admin=protocol is not Protocol.UDP) for protocol, port in ports if port
    )
    server = Server(1, address, key, ways)
    return Site(OWN, serial, primary=True, multi_primary=False, servers=(server,), attributes=attributes)

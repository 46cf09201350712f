"""The site of this node as Handle clients are told it (HS_SITE): where it answers, and by which protocols. Pure."""

from ipaddress import ip_address
from typing import Final

from node.config import Config
from proto.native.versions import OWN
from proto.values.site import Interface, Protocol, Server, Site

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
        if not address.is_unspecified:
            break
    else:
        return None
    ports = (
        (Protocol.TCP, config.native_port),
        (Protocol.UDP, config.native_port),
        (Protocol.HTTP, config.http_port),
        (Protocol.HTTPS, config.https_port if config.certificate else 0),
    )
    ways = tuple(
        Interface(protocol, port, query=True, admin=protocol is not Protocol.UDP) for protocol, port in ports if port
    )
    desc = (("desc", f"idnode {config.prefix}"),)
    return Site(
        OWN, SERIAL, primary=True, multi_primary=False, servers=(Server(1, address, key, ways),), attributes=desc
    )

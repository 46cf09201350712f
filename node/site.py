"""The site of this node as Handle clients are told it (HS_SITE): where it answers, and by which protocols. Pure."""

from ipaddress import ip_address

from node.config import Config
from proto.values.site import Interface, Protocol, Server, Site

VERSION = (2, 11)
"""Of the Handle protocol, as deployed servers have it."""


def site_of(config: Config, reached: str) -> Site | None:
    """The site; None where no address of it is known.

    That is the one others are told (`route_address`), or the one it listens on, or where it listens on all of them, the
    one it was `reached` at.
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
    ports = ((Protocol.HTTP, config.http_port), (Protocol.HTTPS, config.https_port if config.certificate else 0))
    ways = tuple(Interface(protocol, port, query=True, admin=False) for protocol, port in ports if port)
    desc = (("desc", f"idnode {config.prefix}"),)
    return Site(
        VERSION, 1, primary=True, multi_primary=False, servers=(Server(1, address, b"", ways),), attributes=desc
    )

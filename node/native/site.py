"""The site of this node as clients are told it: where it answers, and by which protocols. Pure."""

from ipaddress import ip_address

from node.config import Config
from node.native.answers import SITE_SERIAL
from proto.native.versions import OWN
from proto.values.site import Interface, Protocol, Server, Site


def site_of(config: Config) -> bytes:
    """The HS_SITE data; empty where the settings name no address: nobody can be sent to all of them.

    TCP stands first: a client of CAICT takes the first protocol for the only one.
    """
    try:
        address = ip_address(config.route_address or config.host)
    except ValueError:
        return b""
    if address.is_unspecified:
        return b""
    ports = (
        (Protocol.TCP, config.native_port),
        (Protocol.UDP, config.native_port),
        (Protocol.HTTP, config.http_port),
    )
    ways = tuple(Interface(protocol, port, query=True, admin=False) for protocol, port in ports if port)
    server = Server(1, address, b"", ways)
    return Site(OWN, SITE_SERIAL, primary=True, multi_primary=False, servers=(server,)).to_octets()

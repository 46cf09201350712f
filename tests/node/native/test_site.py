"""Proves node/native/site.py: what this node tells of itself, TCP first, and nothing where nobody could come."""

from ipaddress import ip_address

import pytest

from node.config import Config
from node.native.site import site_of
from proto.values.site import Interface, Protocol, Server, Site


def ways(*ports: tuple[Protocol, int]) -> tuple[Interface, ...]:
    return tuple(Interface(protocol, port, query=True, admin=False) for protocol, port in ports)


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"host": "127.0.0.1"}, "127.0.0.1"),
        ({"host": "0.0.0.0", "route_address": "192.0.2.7"}, "192.0.2.7"),
        ({"host": "127.0.0.1", "route_address": "2001:db8::1"}, "2001:db8::1"),
    ],
)
def test_the_site_names_the_address_others_come_to(settings: dict[str, str], address: str):
    site = Site.from_octets(site_of(Config(native_port=2641, http_port=8000, **settings)))
    interfaces = ways((Protocol.TCP, 2641), (Protocol.UDP, 2641), (Protocol.HTTP, 8000))
    assert site == Site((2, 11), 1, True, False, (Server(1, ip_address(address), b"", interfaces),))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "localhost"])
def test_there_is_none_where_the_settings_name_no_address(host: str):
    assert site_of(Config(host=host)) == b""

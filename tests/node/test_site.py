"""Where Handle clients are told this node answers."""

import pytest

from node.config import Config
from node.site import site_of
from proto.values.site import Protocol


@pytest.mark.parametrize(
    ("settings", "reached", "address"),
    [
        ({}, "", "127.0.0.1"),
        ({"host": "192.0.2.1"}, "192.0.2.2", "192.0.2.1"),
        ({"host": "0.0.0.0"}, "192.0.2.2", "192.0.2.2"),
        ({"host": "::"}, "2001:db8::2", "2001:db8::2"),
        ({"host": "node.example", "route_address": "192.0.2.3"}, "192.0.2.2", "192.0.2.3"),
        ({"host": "node.example"}, "192.0.2.2", "192.0.2.2"),
        ({"host": "0.0.0.0"}, "", None),
        ({"host": "::1"}, "::1", None),
        ({"host": "::1"}, "2001:db8::2", "2001:db8::2"),
    ],
)
def test_it_is_told_where_others_are_or_where_it_was_reached(
    settings: dict[str, str], reached: str, address: str | None
) -> None:
    found = site_of(Config(**settings), b"", reached)
    assert (str(found.servers[0].address) if found else None) == address


def test_its_interfaces_are_those_that_are_served_tcp_first() -> None:
    http, native = (Protocol.HTTP, 1), [(Protocol.TCP, 3), (Protocol.UDP, 3)]
    for config, wanted in (
        (Config(http_port=1, native_port=0), [http]),
        (Config(http_port=1, native_port=3), [*native, http]),
        (Config(http_port=1, https_port=2, native_port=0, certificate="x"), [http, (Protocol.HTTPS, 2)]),
    ):
        found = site_of(config, b"key", "")
        assert found is not None
        assert found.servers[0].public_key == b"key"
        assert [(each.protocol, each.port) for each in found.servers[0].interfaces] == wanted

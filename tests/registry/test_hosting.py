"""Proves registry/hosting.py: what an enterprise says of its own node."""

from typing import Any

import pytest

from proto.errors import ProtoError
from registry.hosting import ProxyState, Site, site

OWN = {"hdlType": "HS_SITE", "ipType": 4, "ip": "192.0.2.7", "tcpPort": "2641", "udpPort": "", "httpPort": 8080}


def test_a_site_is_an_address_and_its_ports():
    assert site(OWN) == Site("192.0.2.7", 2641, 0, 8080)
    long = OWN | {"ipType": "6", "ip": "2031:0000:1F1F:0000:0000:0100:11A0:ADDF", "httpPort": None}
    assert site(long) == Site("2031:0:1f1f::100:11a0:addf", 2641, 0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("hdlType", "URL"),
        ("hdlType", None),
        ("ipType", 5),
        ("ipType", None),
        ("ip", "2001:db8::1"),
        ("ip", "0.0.0.0"),
        ("ip", "224.0.0.1"),
        ("ip", "host.example"),
        ("ip", None),
        ("tcpPort", "0"),
        ("udpPort", "65536"),
        ("httpPort", "８０"),
        ("httpPort", -1),
    ],
)
def test_what_is_no_site_is_refused_by_its_field(field: str, value: Any):
    with pytest.raises(ProtoError) as refused:
        site(OWN | {field: value})
    assert refused.value.field == f"entPrefixConfig.{field}"


def test_one_port_at_least_is_needed():
    with pytest.raises(ProtoError, match="at least one"):
        site(OWN | {"tcpPort": "", "httpPort": None})


def test_states_by_the_numbers_and_names_of_the_openapi():
    assert [(int(state), state.zh) for state in ProxyState] == [
        (1, "未托管"),
        (2, "托管申请中"),
        (3, "托管被驳回"),
        (4, "已托管"),
    ]

"""Proves node/toplevel/referral.py: who is sent where, as the Handle HTTP API says it."""

import ipaddress
import json
from typing import Any

import pytest

from proto import uplink_pb2 as pb
from proto.values.site import Protocol, Site
from proto.web_json import value_from_json

LEATHER, CARS = "88.999.1001", "88.999.2001"


@pytest.fixture
async def routed(top: Any) -> Any:
    """Two prefixes in force; the node has a route, and the second prefix one of its own."""
    node = await top.enrolled()
    for prefix in (LEATHER, CARS):
        await node.file(prefix)
    await top.audit()
    for prefix, address in (("88.999", "192.0.2.1"), (CARS, "2001:db8::2")):
        route = pb.Route(prefix=prefix, serial=1, address=address, http_port=8000, tcp_port=2641, udp_port=2641)
        assert (await node.ask("PutRoute", pb.PutRouteRequest(route=route))).code == 1000
    return top


async def ask(top: Any, identifier: str) -> tuple[int, dict[str, Any]]:
    async with top.session.get(f"{top.url}/api/handles/{identifier}") as response:
        return response.status, json.loads(await response.read())


@pytest.mark.parametrize(
    ("identifier", "address"),
    [
        (f"{LEATHER}/BAG-1", "192.0.2.1"),
        (f"{LEATHER}/a/b%3Fc", "192.0.2.1"),
        (f"{CARS}/PACK-1", "2001:db8::2"),
        ("88.999/x", "192.0.2.1"),
    ],
)
async def test_the_longest_route_is_told(routed: Any, identifier: str, address: str):
    status, body = await ask(routed, identifier)
    assert (status, body["responseCode"]) == (300, 303)
    (value,) = body["values"]
    assert (value["index"], value["type"], value["ttl"], value["data"]["format"]) == (500, "HS_SITE", 86_400, "site")
    site = Site.from_octets(value_from_json(value).data)
    assert site.servers[0].address == ipaddress.ip_address(address)
    assert {each.protocol for each in site.servers[0].interfaces} == {Protocol.HTTP, Protocol.TCP, Protocol.UDP}


@pytest.mark.parametrize(
    ("identifier", "status", "code"),
    [
        ("88.999.7777/x", 400, 301),
        ("88.111/x", 400, 301),
        ("10.1000/x", 400, 301),
        ("0.NA/88.999", 400, 301),
        ("88.999.1001.5/x", 400, 301),
        ("88.999.1001", 400, 102),
        ("%00/x", 400, 102),
    ],
)
async def test_what_nobody_filed_leads_nowhere(routed: Any, identifier: str, status: int, code: int):
    assert (found := await ask(routed, identifier))[0] == status
    assert found[1]["responseCode"] == code


async def test_a_prefix_not_in_force_is_told_so(routed: Any):
    order = {"kind": "suspend", "prefix": LEATHER, "reason": "抽查"}
    async with routed.session.post(f"{routed.url}/control/orders", json=order) as response:
        assert response.status == 202
    status, body = await ask(routed, f"{LEATHER}/BAG-1")
    assert (status, body["responseCode"], LEATHER in body["message"]) == (400, 301, True)
    assert (await ask(routed, f"{CARS}/PACK-1"))[0] == 300


async def test_books_that_are_away_are_busy(routed: Any):
    routed.office.pool.terminate()
    status, body = await ask(routed, f"{LEATHER}/BAG-1")
    assert (status, body["responseCode"]) == (503, 3)

"""Proves node/toplevel/bootstrap.py: the nodes that have told where they are, as the register of IIIDAP says it."""

from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp
import pytest

from node.toplevel.bootstrap import KEPT_SECONDS, PATH
from proto import uplink_pb2 as pb
from proto.bootstrap import Bootstrap

HTTPS = "https://id.example/iiidap/"


async def fetched(top: Any) -> tuple[Bootstrap, dict[str, str]]:
    async with top.session.get(top.url + PATH) as response:
        assert (response.status, response.content_type) == (200, "application/json")
        return Bootstrap.from_octets(await response.read()), dict(response.headers)


async def route(node: Any, prefix: str, address: str, http_port: int, serial: int = 1) -> None:
    told = pb.Route(prefix=prefix, serial=serial, address=address, http_port=http_port, tcp_port=2641)
    assert (await node.ask("PutRoute", pb.PutRouteRequest(route=told))).code == 1000


async def test_every_node_that_is_found_is_told(top: Any):
    assert (await fetched(top))[0] == Bootstrap({})
    first, second = await top.enrolled(), await top.enrolled("88.111", bytes([8]) * 32)
    await first.file("88.999.1001")
    await top.audit()
    await route(first, "88.999", "192.0.2.1", 8000)
    await route(first, "88.999.1001", "192.0.2.9", 8000)
    await route(second, "88.111", "2001:db8::2", 443)
    register, headers = await fetched(top)
    assert register.services == {
        "88.999": "http://192.0.2.1:8000/iiidap/",
        "88.111": "http://[2001:db8::2]:443/iiidap/",
    }
    assert register.base("88.999.1001") == "http://192.0.2.1:8000/iiidap/", "nodes answer for their enterprises"
    life = parsedate_to_datetime(headers["Expires"]) - parsedate_to_datetime(headers["Date"])
    assert life == timedelta(seconds=KEPT_SECONDS)
    assert headers["Cache-Control"] == f"public, max-age={KEPT_SECONDS}"
    await route(second, "88.111", "2001:db8::2", 0, serial=2)
    assert "88.111" not in (await fetched(top))[0].services, "it has no HTTP any more"


async def test_a_node_that_answers_over_https_is_told_by_that_address(top: Any):
    node = await top.enrolled()
    await route(node, "88.999", "192.0.2.1", 0)
    beat = pb.HeartbeatRequest(version="1", machine="m")
    for told, known in (("", {}), (HTTPS, {"88.999": HTTPS}), (HTTPS, {"88.999": HTTPS}), ("", {})):
        beat.iiidap = told
        assert (await node.ask("Heartbeat", beat)).code == 1000
        assert (await fetched(top))[0].services == known
    await route(node, "88.999", "192.0.2.1", 8000, serial=2)
    beat.iiidap = HTTPS
    await node.ask("Heartbeat", beat)
    assert (await fetched(top))[0].services == {"88.999": HTTPS}, "HTTPS is mandatory where there is any"


async def test_faults_are_faults_here_too(top: Any):
    top.fault(outage=True)
    with pytest.raises(aiohttp.ClientError):
        await top.session.get(top.url + PATH)

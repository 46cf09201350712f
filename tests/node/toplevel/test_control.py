"""Proves node/toplevel/control.py: who may move the top-level node, with what, and what comes of it."""

from typing import Any

import pytest

from node.toplevel.control import _local
from proto import uplink_pb2 as pb
from tests.fakes.secondary_node import Chain, SecondaryNode, entry

LEATHER = "88.999.1001"


@pytest.fixture
async def node(top: Any) -> SecondaryNode:
    made = await top.enrolled()
    await made.file(LEATHER)
    await top.audit()
    message = (await made.poll()).message
    await made.ask("Acknowledge", pb.AcknowledgeRequest(id=message.id))
    return made


async def call(top: Any, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    async with top.session.request(method, top.url + path, json=body, headers=headers) as response:
        return response.status, await response.json()


async def test_faults_are_set_and_shown_and_those_not_named_are_off(top: Any):
    status, shown = await call(top, "PUT", "/control/faults", {"delay_seconds": 0.1, "duplicate_rate": 0.5})
    assert (status, shown["delay_seconds"]) == (200, 0.1)
    assert await call(top, "GET", "/control/faults") == (200, shown)
    assert (await call(top, "PUT", "/control/faults", {"outage": True}))[1]["delay_seconds"] == 0
    assert top.office.switches.faults.on == {"outage": True}


@pytest.mark.parametrize(
    ("path", "method", "body"),
    [
        ("/control/faults", "PUT", {"outages": True}),
        ("/control/orders", "POST", {"kind": "destroy", "prefix": LEATHER, "reason": "x"}),
        ("/control/orders", "POST", {"kind": "suspend", "prefix": "88", "reason": "x"}),
        ("/control/orders", "POST", {"kind": "suspend", "prefix": LEATHER, "reason": ""}),
        ("/control/audit", "POST", {"prefix": LEATHER}),
    ],
)
async def test_a_body_that_breaks_a_rule_gets_a_sentence(top: Any, path: str, method: str, body: Any):
    status, shown = await call(top, method, path, body)
    assert status == 400
    assert "请求体不可用" in shown["error"]["message"]


async def test_no_form_and_no_name_of_a_foreign_page_moves_it(top: Any):
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        async with top.session.put(
            f"{top.url}/control/faults", data=b'{"outage":true}', headers={"Content-Type": kind}
        ) as response:
            assert response.status == 415
    status, _ = await call(top, "PUT", "/control/faults", {"outage": True}, Host="evil.example:8100")
    assert status == 403
    assert top.office.switches.faults.on == {}


@pytest.mark.parametrize(
    ("text", "local"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8:8100", True),
        ("::1", True),
        ("[::1]:8100", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("localhost:8100", True),
        ("localhost", True),
        ("192.0.2.1", False),
        ("10.0.0.1:8100", False),
        ("::ffff:10.0.0.1", False),
        ("localhost.evil.example", False),
        ("evil.example:8100", False),
        ("", False),
        ("1270.0.1", False),
    ],
)
def test_what_this_machine_is_called(text: str, local: bool):
    assert _local(text) is local


async def test_orders_reach_the_books_and_the_node(top: Any, node: SecondaryNode):
    expected = [
        ("suspend", pb.ORDER_KIND_SUSPEND_PREFIX, pb.PREFIX_STATE_SUSPENDED),
        ("resume", pb.ORDER_KIND_RESUME_PREFIX, pb.PREFIX_STATE_NORMAL),
        ("verify", pb.ORDER_KIND_VERIFY_ENTERPRISE, pb.PREFIX_STATE_NORMAL),
    ]
    for kind, number, state in expected:
        order = {"kind": kind, "prefix": LEATHER, "reason": "抽查"}
        assert (await call(top, "POST", "/control/orders", order))[0] == 202
        message = (await node.poll()).message
        assert (message.order.kind, message.order.prefix, message.order.reason_zh) == (number, LEATHER, "抽查")
        assert len(message.order.ent_id) == 16
        await node.ask("Acknowledge", pb.AcknowledgeRequest(id=message.id))
        check = await node.ask("CheckPrefix", pb.CheckPrefixRequest(prefix=LEATHER))
        assert pb.CheckPrefixResponse.FromString(check.response).state == state


async def test_orders_that_cannot_be_are_refused_with_a_sentence(top: Any, node: SecondaryNode, monkeypatch: Any):
    order = {"kind": "resume", "prefix": LEATHER, "reason": "x"}
    assert (await call(top, "POST", "/control/orders", order))[0] == 409
    assert (await call(top, "POST", "/control/orders", order | {"prefix": "88.999.7"}))[0] == 404
    monkeypatch.setattr("node.toplevel.books.MESSAGES_MOST", 0)
    status, shown = await call(top, "POST", "/control/orders", order | {"kind": "suspend"})
    assert (status, "full" in shown["error"]["message"]) == (409, True)
    assert (await node.poll()).count == 0
    check = await node.ask("CheckPrefix", pb.CheckPrefixRequest(prefix=LEATHER))
    assert pb.CheckPrefixResponse.FromString(check.response).state == pb.PREFIX_STATE_NORMAL


async def test_the_next_audit_of_a_named_prefix_refuses_it(top: Any, node: SecondaryNode):
    wanted = {"prefix": "88.999.1002", "refuse": True, "reason": "前缀不符"}
    assert (await call(top, "POST", "/control/audit", wanted))[0] == 200
    await node.file("88.999.1002")
    await top.audit()
    assert (await node.poll()).message.audit.reason_zh == "前缀不符"
    assert (await call(top, "POST", "/control/audit", wanted | {"refuse": False}))[0] == 200
    assert top.office.switches.faults.on == {}
    assert (await call(top, "POST", "/control/audit", wanted | {"prefix": LEATHER}))[0] == 409


async def test_a_proof_is_told_and_a_browser_is_led_back_to_the_page(top: Any, node: SecondaryNode):
    assert (await call(top, "GET", f"/control/verify?prefix={LEATHER}"))[0] == 404
    assert (await call(top, "GET", "/control/verify?prefix=x"))[0] == 400
    chain = Chain(LEATHER)
    chain.add(entry("A"))
    await node.push(chain.stream())
    status, shown = await call(top, "GET", f"/control/verify?prefix={LEATHER}")
    assert status == 200
    assert shown["streams"] == [
        {"sub": 0, "number": 1, "head": chain.head.hex(), "live": 1, "whole": True, "flaw": None}
    ]
    async with top.session.get(
        f"{top.url}/control/verify?prefix={LEATHER}", headers={"Accept": "text/html"}, allow_redirects=False
    ) as response:
        assert (response.status, response.headers["Location"]) == (303, f"/#{LEATHER}")
    await top.office.proving.acquire()
    assert (await call(top, "GET", f"/control/verify?prefix={LEATHER}"))[0] == 429

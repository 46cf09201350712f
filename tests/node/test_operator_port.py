"""The operator port: live, ready with its reasons, metrics in the words of docs/operations.md."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from node import operator_port


@dataclass
class Machine:
    """What a supervisor knows, as the test wants it."""

    why: list[str] = field(default_factory=list)
    amiss: list[str] = field(default_factory=list)

    def reasons(self) -> list[str]:
        return self.why

    def warnings(self) -> list[str]:
        return self.amiss

    def facts(self) -> dict[str, Any]:
        return {"workers": 2, "restarts": {"node.worker": 3, "node.follower": 1}}


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
async def client(machine: Machine) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(operator_port.application(machine))) as made:  # type: ignore[arg-type]
        yield made


async def test_it_is_live_whatever_else_is_the_matter(client: TestClient[Any, Any], machine: Machine) -> None:
    machine.why = ["database_unreachable"]
    response = await client.get("/health/live")
    assert response.status == 200
    assert await response.json() == {"live": True}


async def test_ready_says_why_not(client: TestClient[Any, Any], machine: Machine) -> None:
    response = await client.get("/health/ready")
    assert response.status == 200
    assert await response.json() == {"ready": True, "reasons": [], "warnings": []}
    machine.why, machine.amiss = ["follower_not_caught_up", "worker_1_silent"], ["redis_distrusted"]
    response = await client.get("/health/ready")
    assert response.status == 503
    assert await response.json() == {
        "ready": False,
        "reasons": ["follower_not_caught_up", "worker_1_silent"],
        "warnings": ["redis_distrusted"],
    }


async def test_what_is_amiss_though_it_serves_does_not_make_it_unready(
    client: TestClient[Any, Any], machine: Machine
) -> None:
    machine.amiss = ["redis_distrusted"]
    assert (await client.get("/health/ready")).status == 200


async def metrics(client: TestClient[Any, Any]) -> dict[str, float]:
    response = await client.get("/metrics")
    assert response.status == 200
    assert response.headers["Content-Type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(await response.text())
    return {
        sample.name + (json.dumps(sample.labels) if sample.labels else ""): sample.value
        for family in families
        for sample in family.samples
    }


async def test_metrics_follow_what_the_supervisor_knows(client: TestClient[Any, Any], machine: Machine) -> None:
    told = await metrics(client)
    assert told["idnode_ready"] == 1
    assert told["idnode_workers"] == 2
    assert told["idnode_redis_trusted"] == 1
    assert told['idnode_process_restarts_total{"module": "worker"}'] == 3
    assert told['idnode_process_restarts_total{"module": "follower"}'] == 1
    assert [value for name, value in told.items() if name.startswith("idnode_build_info")] == [1]
    machine.why, machine.amiss = ["database_unreachable"], ["redis_distrusted"]
    told = await metrics(client)
    assert told["idnode_ready"] == 0
    assert told["idnode_redis_trusted"] == 0


async def test_nothing_else_is_there(client: TestClient[Any, Any]) -> None:
    for path in ("/", "/api/handles/88.999.1001/A", "/health"):
        assert (await client.get(path)).status == 404

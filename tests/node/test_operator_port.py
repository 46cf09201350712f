"""The operator port: live, ready with its reasons, and every metric of the table in Prometheus's words."""

import json
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from node import meter, metrics, operator_port
from node.health import DATABASE_UNREACHABLE, REDIS_DISTRUSTED, WORKER_SILENT, Condition, explained
from node.meter import Meter, Sample, Totals


@dataclass
class Machine:
    """What a supervisor knows, as the test wants it."""

    totals: Totals
    amiss: list[Condition] = field(default_factory=list)

    def conditions(self) -> list[Condition]:
        return self.amiss

    def facts(self) -> Iterator[tuple[metrics.Metric, list[Sample]]]:
        yield metrics.READY, [Sample((), not self.amiss)]
        yield metrics.PROCESS_RESTARTS, [Sample(("worker",), 3), Sample(("follower",), 1)]


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = meter.create(1)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def machine(memory: int) -> Machine:
    return Machine(Totals(memory, 1))


@pytest.fixture
async def client(machine: Machine) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(operator_port.application(machine))) as made:  # type: ignore[arg-type]
        yield made


async def test_it_is_live_whatever_else_is_the_matter(client: TestClient[Any, Any], machine: Machine) -> None:
    machine.amiss = [DATABASE_UNREACHABLE]
    response = await client.get("/health/live")
    assert response.status == 200
    assert await response.json() == {"live": True}


async def test_ready_says_why_not(client: TestClient[Any, Any], machine: Machine) -> None:
    response = await client.get("/health/ready")
    assert response.status == 200
    assert await response.json() == {"ready": True, "reasons": [], "warnings": [], "explained": []}
    machine.amiss = [DATABASE_UNREACHABLE, WORKER_SILENT, REDIS_DISTRUSTED]
    response = await client.get("/health/ready")
    assert response.status == 503
    assert await response.json() == {
        "ready": False,
        "reasons": ["database_unreachable", "worker_silent"],
        "warnings": ["redis_distrusted"],
        "explained": explained(machine.amiss),
    }


async def test_what_is_amiss_though_it_serves_does_not_make_it_unready(
    client: TestClient[Any, Any], machine: Machine
) -> None:
    machine.amiss = [REDIS_DISTRUSTED]
    assert (await client.get("/health/ready")).status == 200


async def told(client: TestClient[Any, Any]) -> dict[str, float]:
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
    seen = await told(client)
    assert seen["idnode_ready"] == 1
    assert seen['idnode_process_restarts_total{"module": "worker"}'] == 3
    assert [value for name, value in seen.items() if name.startswith("idnode_build_info")] == [1]
    machine.amiss = [DATABASE_UNREACHABLE]
    assert (await told(client))["idnode_ready"] == 0


async def test_metrics_follow_what_the_processes_count(client: TestClient[Any, Any], memory: int) -> None:
    worker = Meter(memory, 1, 0)
    worker.count(metrics.FORWARDS, "loop", by=2)
    worker.set(metrics.HOT_ENTRIES, 12, "absent")
    for seconds in (0.003, 0.003, 600.0):
        worker.observe(metrics.REGISTRATION_SECONDS, seconds)
    seen = await told(client)
    assert seen['idnode_forwards_total{"outcome": "loop"}'] == 2
    assert seen['idnode_forwards_total{"outcome": "found"}'] == 0, "what never happened is told as 0, not left out"
    assert seen['idnode_hot_entries{"shelf": "absent"}'] == 12
    assert seen['idnode_registration_seconds_bucket{"le": "0.0025"}'] == 0
    assert seen['idnode_registration_seconds_bucket{"le": "0.005"}'] == 2
    assert seen['idnode_registration_seconds_bucket{"le": "+Inf"}'] == 3
    assert seen["idnode_registration_seconds_count"] == 3
    assert seen["idnode_registration_seconds_sum"] == pytest.approx(600.006)


async def test_every_metric_in_memory_is_told_in_both_languages(client: TestClient[Any, Any]) -> None:
    text = await (await client.get("/metrics")).text()
    for metric in metrics.COUNTED:
        assert f"# HELP {metric.name} {metric.zh} · {metric.en}\n" in text
        kind = "gauge" if metric.kind == "age" else metric.kind
        assert f"# TYPE {metric.name} {kind}\n" in text


async def test_nothing_else_is_there(client: TestClient[Any, Any]) -> None:
    for path in ("/", "/api/handles/88.999.1001/A", "/health"):
        assert (await client.get(path)).status == 404


async def test_no_answer_names_a_version_of_anything(client: TestClient[Any, Any]) -> None:
    for path in ("/health/live", "/metrics", "/nothing"):
        assert (await client.get(path)).headers["Server"] == "idnode"

"""What /metrics says of a whole node: all of the table, totals of its processes, nothing lost with a worker."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from node.metrics import METRICS, WHERES
from tests.conftest import Servers
from tests.waiting import wait_until
from tests.whole.calls import Caller, kill_children
from tests.whole.serving import command, readiness, serving

PREFIX, FOREIGN = "88.999.1001", "88.777.5001"
WORKERS = 2


@dataclass
class Node:
    """A node under `pid`, who asks it, its enterprise's program, and its operator."""

    pid: int
    anyone: Caller
    mine: Caller
    operator: Caller

    def told(self) -> dict[str, float]:
        """Every sample of /metrics by name and labels."""
        text = self.operator.call("GET", "/metrics").body.decode()
        return {
            sample.name + json.dumps(sample.labels, sort_keys=True): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """The sum of the series of a metric that have these labels."""
        wanted = labels.items()
        return sum(value for key, value in self.told().items() if _is(key, name, wanted))


def _is(key: str, name: str, wanted: Any) -> bool:
    metric, _, labels = key.partition("{")
    return metric == name and wanted <= json.loads("{" + labels).items()


def row(suffix: str) -> dict[str, Any]:
    names = ("styleNo", "articleType", "colour")
    value = [{"index": 2000 + n, "type": name, "data": {"value": "v"}} for n, name in enumerate(names)]
    return {"handle": f"{PREFIX}/{suffix}", "templateVersion": "leather-handbag", "value": value}


@pytest.fixture
def node(folder: Path, database: str, servers: Servers) -> Iterator[Node]:
    command(database, "enterprise", "add", "甲皮具", "--prefix", PREFIX, "--industry", "leather")
    secret = command(database, "user", "add", "AK-a", "--program", "--enterprise", PREFIX).split()[-1]
    settings = {"IDNODE_REDIS_URL": servers.redis_url, "IDNODE_WORKERS": str(WORKERS)}
    with serving(folder / "metrics.log", database, **settings) as (process, anyone, operator):
        wait_until(lambda: readiness(operator) == {"ready": True, "reasons": [], "warnings": [], "explained": []})
        yield Node(process.pid, anyone, anyone.signed("AK-a", secret), operator)


def resolve(node: Node, suffix: str, prefix: str = PREFIX) -> int:
    return node.anyone.call("GET", f"/api/handles/{prefix}/{suffix}").status


def test_every_metric_is_there_and_what_happens_is_counted(node: Node) -> None:
    text = node.operator.call("GET", "/metrics").body.decode()
    told = re.findall(r"^# TYPE (\w+)", text, re.M)
    assert sorted(told) == sorted(metric.name for metric in METRICS)
    data = node.mine.call("POST", "/identityv2/data/batchCreate", [row(f"BAG-A-00000{n}") for n in range(1, 6)]).json
    assert [each["msg"] for each in data["data"]] == ["success"] * 5
    assert node.mine.call("PUT", "/identityv2/data", row("BAG-A-000001")).json["message"] == "success"
    assert node.mine.call("POST", "/identityv2/data", row("BAG-A-000002")).json["status"] == -2
    assert node.mine.call("DELETE", "/identityv2/data", {"handle": f"{PREFIX}/BAG-A-000003"}).json["status"] == 1
    assert node.mine.call("POST", "/identityv2/data", row("BAG-A-000003")).json["message"] == "success"
    written = {"industry": "leather", "outcome": "written"}
    assert node.total("idnode_registrations_total", operation="create", **written) == 5
    assert node.total("idnode_registrations_total", operation="delete", **written) == 1
    assert node.total("idnode_registrations_total", operation="revive", **written) == 1
    assert node.total("idnode_registrations_total", operation="update", outcome="unchanged") == 1
    assert node.total("idnode_registration_refusals_total", rule="exists") == 1
    assert node.total("idnode_registrations_total") == 9
    assert [resolve(node, "BAG-A-000001") for _ in range(20)] == [200] * 20
    assert resolve(node, "BAG-A-nowhere") == 404
    assert resolve(node, "X", FOREIGN) == 400
    many = {"identifiers": [f"{PREFIX}/BAG-A-000002", f"{PREFIX}/nothing", "no identifier"]}
    assert node.anyone.call("POST", "/api/v1/resolve", many).status == 200
    # What one turn of the loop brought is counted when it is answered.
    wait_until(lambda: node.total("idnode_resolutions_total") >= 24, "all are counted")
    assert node.total("idnode_resolutions_total") == 24, "each identifier once, also of many at once"
    assert node.total("idnode_resolutions_total", outcome="found") == 21
    assert node.total("idnode_resolutions_total", outcome="absent") == 2
    assert node.total("idnode_resolutions_total", outcome="foreign") == 1
    assert node.total("idnode_resolutions_total", where="hot") >= 20 - WORKERS
    assert sum(node.total("idnode_resolution_seconds_count", where=where) for where in WHERES) == 24
    assert node.total("idnode_http_requests_total", face="handle") == 22
    wait_until(lambda: node.total("idnode_prefix_resolutions_total", prefix=PREFIX, outcome="ok") == 21)
    assert node.total("idnode_prefix_resolutions_total", prefix=PREFIX, outcome="failed") == 2
    wait_until(lambda: node.total("idnode_hot_entries", shelf="found") >= 2, "the gauges of the next beat")
    wait_until(lambda: node.total("idnode_follower_changes_total") == 7, "the follower took in what was written")
    # A look that began after the scrape did is told as 0, and so is none at all.
    wait_until(lambda: 0 < node.total("idnode_follower_behind_seconds") < 60, "how far the follower is behind")
    assert node.total("idnode_database_query_seconds_count", purpose="commit") == 3
    assert node.total("idnode_database_connections") >= 3
    for pool in ("readers", "writers", "follower"):
        wait_until(partial(node.total, "idnode_database_connections", pool=pool), f"the connections of {pool} are told")
    assert node.total("idnode_process_up") == WORKERS + len({"follower"})
    assert node.total("idnode_process_resident_bytes", module="supervisor") > 10e6


def test_a_worker_that_is_killed_takes_no_count_with_it(node: Node) -> None:
    node.mine.call("POST", "/identityv2/data", row("BAG-A-000001"))
    for _ in range(40):
        resolve(node, "BAG-A-000001")
    wait_until(lambda: node.total("idnode_resolutions_total", outcome="found") == 40)
    before = {name: value for name, value in node.told().items() if "_total{" in name and "process_" not in name}
    kill_children(node.pid, "node.worker")
    after = node.told()
    assert {name: (value, after[name]) for name, value in before.items() if after[name] < value} == {}
    wait_until(lambda: readiness(node.operator)["ready"])
    assert node.total("idnode_resolutions_total", outcome="found") == 40, "not one is lost"
    for _ in range(10):
        assert resolve(node, "BAG-A-000001") == 200
    wait_until(lambda: node.total("idnode_resolutions_total", outcome="found") == 50)
    assert node.total("idnode_process_restarts_total", module="worker") == WORKERS

"""The operator port: /health/live, /health/ready with reasons, /metrics. Never reachable through the public doors."""

from importlib import metadata

from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from node.supervisor import Supervisor


class _Machine(Collector):
    """What the supervisor knows, told when asked."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor

    def collect(self) -> list[Metric]:
        facts = self._supervisor.facts()
        ready = not self._supervisor.reasons()
        restarts = CounterMetricFamily(
            "idnode_process_restarts", "children that died and were started again", labels=["module"]
        )
        for module, count in facts["restarts"].items():
            restarts.add_metric([module.removeprefix("node.")], count)
        return [
            GaugeMetricFamily("idnode_ready", "1 while /health/ready says so", value=int(ready)),
            GaugeMetricFamily("idnode_workers", "worker processes alive", value=facts["workers"]),
            GaugeMetricFamily(
                "idnode_redis_trusted",
                "1 while Redis holds nothing older than PostgreSQL",
                value=int("redis_distrusted" not in self._supervisor.warnings()),
            ),
            restarts,
        ]


def application(supervisor: Supervisor) -> web.Application:
    """The application of the operator port."""
    registry = CollectorRegistry()
    registry.register(_Machine(supervisor))
    Gauge("idnode_build_info", "1, with the version", ["version"], registry=registry).labels(
        metadata.version("idnode")
    ).set(1)

    async def live(request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(request: web.Request) -> web.Response:
        reasons = supervisor.reasons()
        answer = {"ready": not reasons, "reasons": reasons, "warnings": supervisor.warnings()}
        return web.json_response(answer, status=503 if reasons else 200)

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    app.router.add_get("/metrics", metrics)
    return app

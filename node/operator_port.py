"""The operator port: /health/live, /health/ready with reasons, /metrics. Never reachable through the public doors.

What is told stands in the table of `node/metrics.py`; here it is only put into Prometheus's words.
"""

import platform
from collections.abc import Callable, Iterable
from importlib import metadata
from itertools import accumulate
from typing import Final

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.core import Metric as Family
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from node import clock
from node.health import explained
from node.meter import Sample
from node.metrics import BUILD_INFO, COUNTED, Metric
from node.supervisor import Supervisor


def _counter(metric: Metric, text: str, names: list[str], samples: Iterable[Sample]) -> Family:
    family = CounterMetricFamily(metric.name, text, labels=names)
    for sample in samples:
        family.add_metric(sample.labels, sample.value)
    return family


def _gauge(metric: Metric, text: str, names: list[str], samples: Iterable[Sample]) -> Family:
    family = GaugeMetricFamily(metric.name, text, labels=names)
    for sample in samples:
        family.add_metric(sample.labels, sample.value)
    return family


def _histogram(metric: Metric, text: str, names: list[str], samples: Iterable[Sample]) -> Family:
    family = HistogramMetricFamily(metric.name, text, labels=names)
    bounds = (*map(str, metric.bounds), "+Inf")
    for sample in samples:
        buckets = list(zip(bounds, accumulate(sample.buckets), strict=True))
        family.add_metric(sample.labels, buckets, sample.value)
    return family


_FAMILY: Final[dict[str, Callable[[Metric, str, list[str], Iterable[Sample]], Family]]] = {
    "counter": _counter,
    "gauge": _gauge,
    "age": _gauge,
    "histogram": _histogram,
}


def family(metric: Metric, samples: Iterable[Sample]) -> Family:
    """A metric in Prometheus's words."""
    return _FAMILY[metric.kind](metric, f"{metric.zh} · {metric.en}", [name for name, _ in metric.labels], samples)


class _Machine(Collector):
    """Sums what the processes of this machine counted and adds what the supervisor knows, when asked."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._build = Sample((metadata.version("idnode"), platform.python_version()), 1)

    def collect(self) -> Iterable[Family]:
        now = clock.utc().timestamp()
        for metric in COUNTED:
            yield family(metric, self._supervisor.totals.samples(metric, now))
        yield family(BUILD_INFO, [self._build])
        for metric, samples in self._supervisor.facts():
            yield family(metric, samples)


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """Names no version of anything, here as at the public doors."""
    response.headers["Server"] = "idnode"


def application(supervisor: Supervisor) -> web.Application:
    """The application of the operator port."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Machine(supervisor))

    async def live(request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def ready(request: web.Request) -> web.Response:
        found = supervisor.conditions()
        reasons = [condition.code for condition in found if condition.reason]
        warnings = [condition.code for condition in found if not condition.reason]
        answer = {"ready": not reasons, "reasons": reasons, "warnings": warnings, "explained": explained(found)}
        return web.json_response(answer, status=503 if reasons else 200)

    async def metrics(request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.on_response_prepare.append(_sign)
    app.router.add_get("/health/live", live)
    app.router.add_get("/health/ready", ready)
    app.router.add_get("/metrics", metrics)
    return app

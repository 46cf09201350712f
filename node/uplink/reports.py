"""What the node says of itself: where it is resolved, what was counted, that it lives, and how far behind it is.

What was counted stands in the database; nothing is counted here.
"""

from dataclasses import asdict
from importlib import metadata
from typing import Final

import structlog

from node import certificate, clock
from node.config import Config
from node.metrics import UPLINK_OLDEST, UPLINK_QUEUE
from node.uplink import tally
from node.uplink.tenure import Tenure
from proto import uplink_pb2 as pb
from proto.bootstrap import is_base
from proto.signed import sentence
from registry.postgres.filing import Route

ROUTE_SECONDS: Final = 5.0
ROUTE_AGAIN_SECONDS: Final = 300.0
"""Pause before a refused route is told again: what was wrong with it may have been mended there."""
REPORT_SECONDS: Final = 5.0
HEARTBEAT_SECONDS: Final = 30.0
"""Three missed are taken for offline (secondary-node facts §4.5)."""
MEASURE_SECONDS: Final = 2.0
SETTLE_MILLISECONDS: Final = 15_000
"""A window is told when it is over for so long: each machine has told its resolutions of it by then."""
WINDOWS_MOST: Final = 2000
"""Windows of one request (uplink.proto)."""

log = structlog.get_logger("uplink")


def _iiidap(config: Config, address: str) -> str:
    """Where IIIDAP is answered over HTTPS: at the public URL, or where none is set, by what the certificate is for.

    Empty: nowhere that strangers could be sent to.
    """
    base = config.public_url or _secure(config, address)
    url = f"{base.rstrip('/')}/iiidap/"
    return url if url.startswith("https://") and is_base(url) else ""


def _secure(config: Config, address: str) -> str:
    name = certificate.vouched(config, address)
    host = f"[{name}]" if ":" in name else name
    return f"https://{host}:{config.https_port}" if name else ""


class Reports:
    """Says it, to the top-level node and to the operator."""

    def __init__(self, tenure: Tenure) -> None:
        self._clerk = tenure.clerk
        self._node = tenure.node
        self._around = tenure.around
        self._meter = tenure.around.meter
        self._mail = tenure.mail
        self._refused: dict[str, float] = {}

    async def routes(self) -> float:
        """Tells where the node and its approved prefixes are resolved."""
        around, now = self._around, clock.monotonic()
        self._refused = {prefix: at for prefix, at in self._refused.items() if now - at < ROUTE_AGAIN_SECONDS}
        config = around.config
        ports = config.native_port, config.http_port
        for route in await self._clerk.routes(config.prefix, around.address, *ports, list(self._refused)):
            await self._tell_route(route)
        for prefix in await self._clerk.settle_hosting():
            log.info("prefix_lives_elsewhere", prefix=prefix)
            around.ring.ring()
        return ROUTE_SECONDS

    async def _tell_route(self, route: Route) -> None:
        reply = await self._node.ask_about(
            "PutRoute", pb.PutRouteRequest(route=pb.Route(**asdict(route))), pb.PutRouteResponse
        )
        if reply.ok:
            await self._clerk.route_told(route)
        else:
            self._refused[route.prefix] = clock.monotonic()
            log.warning("route_refused", prefix=route.prefix, serial=route.serial, code=reply.code, why=reply.en)

    async def statistics(self) -> float:
        """Tells the windows that are over."""
        rows = await self._clerk.windows(clock.milliseconds() - SETTLE_MILLISECONDS, WINDOWS_MOST)
        if not rows:
            return REPORT_SECONDS
        reply = await self._node.ask("ReportStatistics", tally.report(rows), pb.ReportStatisticsResponse)
        if not reply.ok:
            log.warning("statistics_refused", code=reply.code, why=reply.en)
            return HEARTBEAT_SECONDS
        why = {refused.place: refused.en for refused in reply.message.refused}
        for place, row in enumerate(rows):
            if place in why:
                log.warning("window_refused", prefix=row["prefix"], start=row["start"], why=sentence(why[place]))
        # The refused ones, too: said again they would only be refused again, before all that come after them.
        await self._clerk.windows_told(rows)
        return 0.0

    async def heartbeat(self) -> float:
        """Says that the node lives, and how far behind the top-level node is."""
        waiting, oldest = await self._clerk.unreceipted()
        beat = pb.HeartbeatRequest(
            version=metadata.version("idnode"),
            machine=self._around.machine,
            started=self._around.started,
            oldest_unreceipted=oldest,
            unreceipted=waiting,
            iiidap=_iiidap(self._around.config, self._around.address),
        )
        reply = await self._node.ask("Heartbeat", beat, pb.HeartbeatResponse)
        if reply.ok and reply.message.messages:
            self._mail.set()
        return HEARTBEAT_SECONDS

    async def measure(self) -> float:
        """Tells the operator how far behind the top-level node is."""
        waiting, oldest = await self._clerk.unreceipted()
        self._meter.set(UPLINK_QUEUE, waiting)
        self._meter.set(UPLINK_OLDEST, oldest / 1000)
        return MEASURE_SECONDS

"""aiohttp's server for tests, with the connections of a real node, which cancel no handler."""

from functools import partial
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from node import clock
from node.listen.connection import Crowd
from node.listen.http import HOUSE, PROXIES
from node.listen.lane import Lane
from node.metrics import HTTP_REFUSED

CONNECTIONS = 1000
"""All clients of a test have one address, which may hold a quarter of these."""


class _Runner(web.AppRunner):
    @property
    def server(self) -> Any:
        server = super().server
        refused = partial(self.app[HOUSE].meter.count, HTTP_REFUSED)
        house = self.app[HOUSE]
        lane = Lane(house, clock.monotonic, clock.seconds) if hasattr(house, "hot") else None
        return server and Crowd(server, CONNECTIONS, self.app[PROXIES], lane, refused).threshold

    @property
    def begun(self) -> int:
        server = super().server
        return server.requests_count if server else 0


class Door(TestServer):
    """Serves an application of `node/listen/http.py`."""

    async def _make_runner(self, **kwargs: Any) -> web.AppRunner:
        self.made = _Runner(self.app, **kwargs | {"handler_cancellation": False})
        return self.made

    @property
    def begun(self) -> int:
        """How many requests have come in."""
        return self.made.begun

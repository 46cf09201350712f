"""aiohttp's server for tests, with the connections of a real node, which cancel no handler."""

from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer

from node.listen.connection import bounded
from node.listen.http import PROXIES

CONNECTIONS = 100


class _Runner(web.AppRunner):
    @property
    def server(self) -> Any:
        server = super().server
        return server and bounded(server, CONNECTIONS, self.app[PROXIES])


class Door(TestServer):
    """Serves an application of `node/listen/http.py`."""

    async def _make_runner(self, **kwargs: Any) -> web.AppRunner:
        return _Runner(self.app, **kwargs | {"handler_cancellation": False})

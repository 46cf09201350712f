"""The doors to the pages on a real socket, before rooms that answer as they are told."""

from collections.abc import AsyncIterator
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from node.console import doors
from node.listen import handle_api, http
from tests.node.console.pages_seen import Ask, Rooms

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
def rooms() -> Rooms:
    return Rooms()


@pytest.fixture
async def ask(rooms: Rooms) -> AsyncIterator[Ask]:
    """Sends a request as a browser would and gives status, headers and text; `path` is taken as it is."""
    app = web.Application(middlewares=[http._explaining])
    app[http.HOUSE] = rooms.house
    handle_api.add_routes(app)
    doors.add_routes(app)
    async with TestClient(TestServer(app)) as client:
        base = client.make_url("/")

        async def send(path: str, method: str = "GET", **headers: str) -> SimpleNamespace:
            url = URL(f"{base.origin()}{path}", encoded=True)
            headers = {"Accept": BROWSER} | {name.replace("_", "-"): text for name, text in headers.items()}
            async with client.session.request(method, url, headers=headers, allow_redirects=False) as response:
                return SimpleNamespace(status=response.status, headers=response.headers, text=await response.text())

        yield send

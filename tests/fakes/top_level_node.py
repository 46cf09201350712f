"""A top-level node on a real socket that answers as a test tells it, lies included. It keeps no books.

Each answer is signed as it should be; what is said in it is the test's.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from google.protobuf.message import Message

from proto import signed
from proto import uplink_pb2 as pb

SEED = b"t" * 32
TAKEN = pb.PushTemplatesResponse()
Says = Callable[[Any], tuple[int, Message]]


@dataclass
class Liar:
    """`says`: what it answers by method, a code and a message made of the request; how often it was `asked`.

    Templates it takes, unless a test says otherwise: they go before all changes.
    """

    says: dict[str, Says] = field(default_factory=lambda: {"PushTemplates": lambda _: (1000, TAKEN)})
    asked: Counter[str] = field(default_factory=Counter)
    url: str = ""

    async def post(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        self.asked[method] += 1
        claimed = signed.claimed(await request.read())
        code, message = self.says[method](getattr(pb, f"{method}Request").FromString(claimed.request))
        given = signed.Answered(code, "一句话", "a sentence", message.SerializeToString())
        return web.Response(body=signed.answer(claimed.nonce, given, SEED))


@asynccontextmanager
async def lying() -> AsyncIterator[Liar]:
    """A liar that listens."""
    liar = Liar()
    app = web.Application(client_max_size=signed.MESSAGE_OCTETS)
    app.router.add_post("/uplink/v1/{method}", liar.post)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    liar.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield liar
    await runner.cleanup()

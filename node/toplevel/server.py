"""The process of the top-level node: opens the books, builds the doors, serves until told to stop.

Its own program: `idnode toplevel` runs it alone, `up` beside the node. The rooms it wires are the files beside it.
"""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import Final

import asyncpg
import structlog
from aiohttp import web

from node import clock, process
from node.config import Config
from node.supervisor import PortTakenError, listening_socket
from node.toplevel import audit, books, bootstrap, control, page, referral
from node.toplevel.faults import Switches
from node.toplevel.office import OFFICE, Office
from node.toplevel.service import RETRY_SECONDS, Door
from proto.signed import KEY_OCTETS, MESSAGE_OCTETS
from registry.errors import UnavailableError
from registry.postgres.connection import borrowed, connect, open_pool
from registry.postgres.migrate import migrate

POOL_SIZE: Final = 8
"""Connections to its books: more would only wait for each other, as requests of one node do."""
CONNECTIONS_MOST: Final = 512
"""Connections at once: nodes keep a few each; beyond them a 503 and the end."""
BACKLOG: Final = 128
"""Connections that wait while its process is started again: some for each node of a test."""
DATABASE_PAUSE: Final = 1.0
"""Seconds between two tries to reach a database that is away at the start."""
DRAIN_SECONDS: Final = 5.0
"""What is in hand at a stop may take this long to finish."""

log = structlog.get_logger("toplevel")


def database_url(config: Config) -> str:
    """Where its books are."""
    return config.toplevel_database_url or config.database_url


def url(config: Config) -> str:
    """Where it is to be found on this machine, also when it listens on all addresses."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104 - what it is not found at
    return f"http://[{host}]:{config.toplevel_port}" if ":" in host else f"http://{host}:{config.toplevel_port}"


def listening(config: Config) -> socket.socket:
    """The socket of its door; connections wait from now on. Raises PortTakenError."""
    sock = listening_socket(config.host, config.toplevel_port, "--toplevel-port", shared=False)
    try:
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PortTakenError(
            f"端口{config.toplevel_port}已被占用（{error}），请用--toplevel-port换一个。 "
            f"Port {config.toplevel_port} is taken ({error}); choose another with --toplevel-port."
        ) from None
    return sock


async def found_books(config: Config) -> bytes:
    """Brings its books to the newest schema; its private key. Raises UnavailableError, SchemaError."""
    connection = await connect(database_url(config), "idnode-toplevel", None)
    try:
        await migrate(connection, schema=books.SCHEMA)
        return await books.seal(connection, secrets.token_bytes(KEY_OCTETS))
    finally:
        await connection.close()


async def open_books(config: Config) -> tuple[asyncpg.Pool, bytes]:
    """The pool of its books and its private key; waits for a database that is away."""
    while True:
        try:
            seed = await found_books(config)
            return await open_pool(database_url(config), size=POOL_SIZE, name="idnode-toplevel"), seed
        except UnavailableError as error:
            log.warning("books_unreachable", error=str(error))
            await asyncio.sleep(DATABASE_PAUSE)


def application(office: Office) -> web.Application:
    """All doors."""
    app = web.Application(client_max_size=MESSAGE_OCTETS)
    app[OFFICE] = office
    app.router.add_post("/uplink/v1/{method}", Door().post)
    app.add_routes(
        [
            *control.ROUTES,
            *referral.ROUTES,
            *bootstrap.ROUTES,
            *page.ROUTES,
            web.get("/health/live", _live),
            web.get("/health/ready", _ready),
        ]
    )
    app.on_response_prepare.append(_sign)
    return app


async def _sign(request: web.Request, response: web.StreamResponse) -> None:
    """Names no version of anything; what is said here holds for this moment."""
    response.headers["Server"] = "idnode"
    response.headers.setdefault("Cache-Control", "no-store")


async def _live(request: web.Request) -> web.Response:
    return web.json_response({"live": True})


async def _ready(request: web.Request) -> web.Response:
    reasons = []
    try:
        async with borrowed(request.app[OFFICE].pool) as connection:
            await books.node(connection, "")
    except UnavailableError:
        reasons = ["books_unreachable"]
    return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)


class _Full(asyncio.Protocol):
    """Stands in for a connection beyond CONNECTIONS_MOST: says 503 and closes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            % RETRY_SECONDS
        )
        transport.close()


@asynccontextmanager
async def serving(office: Office, sock: socket.socket) -> AsyncIterator[None]:
    """Serves on `sock` inside the block."""
    runner = web.AppRunner(application(office), access_log=None, shutdown_timeout=DRAIN_SECONDS)
    await runner.setup()
    http = runner.server
    assert http is not None

    def connection() -> asyncio.Protocol:
        return http() if len(http.connections) < CONNECTIONS_MOST else _Full()

    listener = await asyncio.get_running_loop().create_server(connection, sock=sock, backlog=BACKLOG)
    try:
        yield
    finally:
        listener.close()
        await runner.cleanup()


async def serve(config: Config, sock: socket.socket) -> None:
    """Serves until cancelled. Raises SchemaError for books this program does not know."""
    pool, seed = await open_books(config)
    office = Office(
        pool=pool,
        seed=seed,
        switches=Switches(SystemRandom()),
        now=clock.milliseconds,
        zone=config.zone,
        audit_milliseconds=round(config.audit_seconds * 1000),
        filed=asyncio.Event(),
        proving=asyncio.Lock(),
    )
    try:
        async with serving(office, sock):
            await audit.run(office)
    finally:
        pool.terminate()


async def run(config: Config, place: process.Place) -> None:
    """The process of one that is kept beside `up`."""
    await serve(config, socket.socket(fileno=place.listening))

"""A worker: builds the rooms of one process and opens its doors. The one file that knows all others."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

import structlog
from aiohttp import web

from node import clock, process, tls
from node.admission import Admission
from node.announcer import Announcer
from node.bell import Bell
from node.brake import Brake
from node.calls import Calls
from node.config import Config
from node.console import doors
from node.doorkeeper import Doorkeeper
from node.elsewhere import Elsewhere
from node.files import sweep
from node.files.intake import Intake
from node.house import House
from node.iiidap.names import Names
from node.iiidap.register import Register
from node.keyholders import Keyholders
from node.link import Link
from node.listen import (
    accounts_api,
    applications_api,
    audit_api,
    catalogue_api,
    data_auth_api,
    doip_api,
    grants_api,
    handle_api,
    handle_sessions,
    handle_verifications,
    handle_writes,
    http,
    iiidap_api,
    meta_api,
    own_api,
    snms_api,
    snms_enterprises,
    snms_files,
    snms_templates,
    templates_api,
    trace_api,
    tunnel,
)
from node.listen.bodies import BODIES
from node.listen.connection import Crowd
from node.listen.https import Door
from node.listen.lane import Lane
from node.meter import Meter
from node.metrics import HTTP_BODIES, HTTP_CONNECTIONS, HTTP_IN_HAND, HTTP_REFUSED, REDIS_FAILURES
from node.native import lane as native_lane
from node.native import tcp, udp
from node.native.desk import Desk
from node.pool_watch import PoolWatch
from node.recording import Recording
from node.redis_cache import RedisCache
from node.redis_wire import BROKEN
from node.register.batcher import Batcher
from node.register.measured import MeasuredBatcher
from node.resolve.answer import Stage
from node.resolve.cached import Cached
from node.resolve.forwarded import Forwarded, Terms
from node.resolve.hot import Hot
from node.resolve.measured import Measured
from node.resolve.own import Own
from node.resolve.signposts import Signposts
from node.sight import Sight
from node.site import site_of
from node.site_key import SiteKey
from node.slices import Slices
from node.stamps import Shared
from node.verifier import Verifier
from registry.account import Vault
from registry.blanker import Blanker
from registry.examiner import Examiner
from registry.key_session import key_of
from registry.lookup import Lookup
from registry.postgres.connection import Pool, backends_gone, open_pool
from registry.registrar import Registrar
from registry.steward import Steward

READERS: Final = 3
"""Connections of a worker for questions: two queries in flight keep a core of PostgreSQL busy, one is to spare."""
WRITERS: Final = 4
"""Connections of a worker for changes: two for each of two busy prefixes."""
BEAT_SECONDS: Final = 1.0
BACKLOG: Final = 1024

log = structlog.get_logger("worker")


def _doors(house: House) -> web.Application:
    app = http.application(house)
    snms_enterprises.add_routes(app)
    snms_api.add_routes(app)
    snms_files.add_routes(app)
    snms_templates.add_routes(app)
    applications_api.add_routes(app)
    own_api.add_routes(app)
    grants_api.add_routes(app)
    accounts_api.add_routes(app)
    doip_api.add_routes(app)
    audit_api.add_routes(app)
    meta_api.add_routes(app)
    data_auth_api.add_routes(app)
    templates_api.add_routes(app)
    trace_api.add_routes(app)
    catalogue_api.add_routes(app)
    handle_api.add_routes(app)
    handle_writes.add_routes(app)
    handle_sessions.add_routes(app)
    handle_verifications.add_routes(app)
    iiidap_api.add_routes(app)
    app.router.add_route("*", "/api/{rest:.*}", handle_api.unknown)
    tunnel.add_routes(app, house)
    doors.add_routes(app)
    return app


async def run(config: Config, place: process.Place) -> None:
    """A worker's process, from start to a stop that lets what is in hand finish."""
    shared = Shared(place.descriptor, config.workers, place.column, place.incarnation)
    meter = Meter(place.meter, config.workers, place.column)
    opened = partial(open_pool, config.database_url, name=place.name)
    readers = await opened(size=READERS, watch=PoolWatch(meter, "readers", clock.monotonic))
    writers = await opened(size=WRITERS, watch=PoolWatch(meter, "writers", clock.monotonic))
    redis = RedisCache.of(config) if config.redis_url else None
    if redis is not None:
        redis.on_restart = shared.distrust
        redis.on_failure = partial(meter.count, REDIS_FAILURES)
        await _meet(redis)
    lookup, slices = Lookup(readers, config.prefix), Slices(clock.monotonic, meter.answered)
    steward = Steward(writers, audit_octets=config.audit_octets)
    announcer = Announcer(shared, redis, partial(_gone, config.database_url, place), Bell(writers).ring)
    announcer.inherit()
    announcer.inherit_doubt(steward.catalogue_number)
    admission = Admission(config.requests, config.peer_rate, clock.monotonic)
    link = Link(urlsplit(config.toplevel_url).hostname or "")
    site_key = SiteKey.of(config, meter)
    signposts = Signposts(lookup, site_of(config, site_key.public if site_key else b"", ""))
    own, forwarded = Own(lookup, signposts), None
    if config.toplevel_url:
        terms = Terms.of(config)
        forwarded = Forwarded(own, link, terms, meter, admission.has_room, clock.monotonic, clock.seconds)
        signposts.pointed = forwarded.pointed
    last: Stage = forwarded or own
    first = Cached(redis, shared, last, clock.monotonic, meter) if redis else last
    registrar = Registrar(writers, lookup, announcer, slices.runs, reuse_deleted=config.reuse_deleted == "allow")
    batcher = Batcher(registrar, config.write_rows, clock.seconds)
    recording = Recording(config, place.name, writers, meter, batcher.halt, first=place.column == 0)
    note = recording.access_log.note
    hot = Hot(shared, first, config.hot_entries, config.cache_seconds, clock.monotonic, clock.seconds, meter)
    house = House(
        config=config,
        admission=admission,
        meter=meter,
        road=Measured(hot, meter, clock.monotonic, note),
        hot=hot,
        lookup=lookup,
        signposts=signposts,
        sight=Sight(lookup, clock.seconds),
        steward=steward,
        batcher=MeasuredBatcher(batcher, lookup, meter, clock.monotonic, note),
        examiner=Examiner(writers, Vault(config.key()), audit_octets=config.audit_octets),
        blanker=Blanker(writers, lookup, announcer, config.audit_octets),
        slices=slices,
        announcer=announcer,
        doorkeeper=Doorkeeper.of(config, lookup, steward),
        keyholders=Keyholders(
            lookup,
            steward,
            Brake(clock.monotonic),
            config.administrators,
            key_of(config.key()),
            clock.seconds,
            Elsewhere(hot, forwarded) if forwarded else None,
        ),
        verifier=Verifier(hot, config.roots, clock.monotonic, clock.seconds),
        files=Intake.of(config, steward, meter),
        names=Names(lookup, clock.monotonic),
        register=Register(link, config.toplevel_url, clock.monotonic, clock.utc),
        recording=recording,
        site_key=site_key,
    )
    try:
        async with recording.at_work():
            await _serve(house, place, shared, (readers, writers))
    finally:
        await link.close()
        await announcer.close()


async def _serve(house: House, place: process.Place, shared: Shared, pools: tuple[Pool, ...]) -> None:
    """Opens the doors until it is cancelled, and then lets what is in hand finish."""
    config, meter = house.config, house.meter
    lane = Lane(house, clock.monotonic, clock.seconds) if config.lane == "on" else None
    app = _doors(house)
    runner = web.AppRunner(app, shutdown_timeout=http.DRAIN_SECONDS)
    await runner.setup()
    http_server = runner.server
    assert http_server is not None
    listening = socket.socket(fileno=place.listening)
    crowd = Crowd(http_server, config.connections, config.proxies, lane, partial(meter.count, HTTP_REFUSED))
    server = await asyncio.get_running_loop().create_server(crowd.threshold, sock=listening, backlog=BACKLOG)
    log.info("serving", worker=place.column)

    def show() -> None:
        for pool in pools:
            pool.show()
        house.hot.show()
        meter.set(HTTP_IN_HAND, house.admission.in_hand)
        meter.set(HTTP_BODIES, app[BODIES].arriving)
        meter.set(HTTP_CONNECTIONS, len(http_server.connections))

    try:
        serving = _secure(config, place, crowd) + _native(house, place) + _chores(house, place)
        await asyncio.gather(_live(shared, show, house.doorkeeper.calls), *serving)
    finally:
        server.close()
        await runner.cleanup()


def _native(house: House, place: process.Place) -> list[Coroutine[Any, Any, None]]:
    """What serves the Handle protocol, for ever, where it is served."""
    if place.native_tcp < 0:
        return []
    config, meter, times = house.config, house.meter, (clock.monotonic, clock.seconds)
    desk, lane = Desk(house, *times), native_lane.Lane(house, *times)
    crowd = tcp.Crowd(desk, lane, meter, config.connections, config.proxies, *times)
    datagrams = udp.Door(desk, lane, meter, *times, logins=config.udp_logins == "on")
    return [
        crowd.serve(socket.socket(fileno=place.native_tcp)),
        datagrams.serve(socket.socket(fileno=place.native_udp)),
    ]


def _secure(config: Config, place: process.Place, crowd: Crowd) -> list[Coroutine[Any, Any, None]]:
    """What serves HTTPS, for ever, where there is any: for everybody, and for clients with certificates."""
    ports = ((place.https, tls.context), (place.client_cert, tls.asking))
    return [
        Door(crowd, config.proxies, config.certificate, config.certificate_key, made).serve(socket.socket(fileno=port))
        for port, made in ports
        if port >= 0
    ]


async def _meet(redis: RedisCache) -> None:
    """Meets Redis before the doors open: whoever is met first is distrusted, and a commit shall not be who finds that.

    Takes no longer than some TIMEOUT_SECONDS of node/redis_wire.py; a worker starts without Redis just as well.
    """
    try:
        await redis.ping()
    except BROKEN as error:
        log.debug("redis_untrusted_at_start", error=str(error))


async def _live(shared: Shared, show: Callable[[], None], calls: Calls) -> None:
    """Says for ever that this process is alive, and what calls it took; `show` sets its gauges."""
    async with calls.told():
        while True:
            show()
            shared.beat(clock.monotonic())
            await asyncio.sleep(BEAT_SECONDS)


def _chores(house: House, place: process.Place) -> list[Coroutine[Any, Any, None]]:
    """What the first worker of a machine does beside serving, for ever."""
    files = house.files if place.column == 0 else None
    return [sweep.run(files.folder, house.steward, house.lookup)] if files else []


async def _gone(url: str, place: process.Place, backend: int) -> bool:
    """Whether a server process of ours (0: all of whoever stood in this place before) is over."""
    return await backends_gone(url, place.family, place.name, backend)

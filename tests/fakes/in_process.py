"""A node in the test's own process: real doors, real rooms, real PostgreSQL, but no supervisor and no other process.

For tests that must reach behind a door (make a room fail, hold it up); what needs the whole is in tests/whole/.
"""

import asyncio
import base64
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from aiohttp.test_utils import TestClient
from argon2 import PasswordHasher

from node import clock, meter, stamps, worker
from node.admission import Admission
from node.announcer import Announcer
from node.brake import Brake
from node.calls import Calls
from node.config import Config
from node.doorkeeper import Doorkeeper
from node.elsewhere import Elsewhere
from node.files.intake import Intake
from node.follower import Follower
from node.house import House
from node.iiidap.names import Names
from node.iiidap.register import Register
from node.keyholders import Keyholders
from node.link import Link
from node.meter import Meter, Totals
from node.recording import Recording
from node.redis_cache import RedisCache
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
from registry.account import Account, Vault, digest_hex
from registry.blanker import Blanker
from registry.examiner import Examiner
from registry.key_session import key_of
from registry.postgres.connection import backends_gone
from registry.registrar import Registrar
from registry.rights import Role
from tests.fakes.door import Door
from tests.fakes.small_registry import PREFIX, SmallRegistry, small_registry

KEY = base64.b64encode(bytes(range(32))).decode()
PASSWORD, SECRET = "a person's password", "5ec7e7" * 6
KEPT = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(digest_hex(PASSWORD))
"""What is kept of PASSWORD, made so that proving it takes no time: what that must cost, tests/registry/test_account.py
says, and everybody whom a node in these tests has from the start signs in once."""
TODAY = date(2026, 11, 22)
NOW = 1_795_330_554
STRANGER_PREFIX = "88.999.2001"


@dataclass
class Node:
    """The rooms behind the doors, a client before them, and accounts: `leather` may write under PREFIX."""

    house: House
    registry: SmallRegistry
    client: TestClient[Any, Any]
    shared: Shared
    follower: Follower
    tokens: dict[str, str]
    totals: Totals

    async def call(
        self, method: str, path: str, body: Any = None, who: str | None = "leather", **headers: str
    ) -> tuple[int, Any]:
        """Status and JSON of one call, signed as `who`; bytes are sent as they are."""
        if who is not None:
            headers["Authorization"] = f"Bearer {self.tokens[who]}"
        sent = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        async with self.client.request(method, path, headers=headers, **sent) as response:
            return response.status, await response.json(content_type=None)

    async def join(self, name: str, role: Role) -> None:
        """A person of the node with that role, signed in."""
        await self.house.steward.put_account(Account(0, name, "person", role, None), password=KEPT)
        self.tokens[name] = await self.house.doorkeeper.sign_in(name, PASSWORD, "192.0.2.1") or ""

    async def create(self, *suffixes: str, **values: str) -> None:
        """Identifiers of PREFIX, written past the doors, as another machine would."""
        await self.registry.write("create", *suffixes, **values)
        await self.follower.look()


class _Follower(Follower):
    """One that is also told to look, and never does so twice at once: what one has taken in, the other would take in
    again after whoever told it went on.
    """

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._looking = asyncio.Lock()

    async def look(self) -> None:
        async with self._looking:
            await super().look()


async def _enrol(registry: SmallRegistry) -> dict[str, tuple[Account, str]]:
    steward, vault = registry.steward, Vault(base64.b64decode(KEY))
    mine = await registry.lookup.prefix(PREFIX)
    assert mine is not None
    stranger = await steward.enrol("星禾", "Xinghe", "automotive", STRANGER_PREFIX)
    people = {
        "admin": Account(0, "admin", "person", Role.SYSTEM_ADMIN, None),
        "leather": Account(0, "leather", "person", Role.ENTERPRISE_ADMIN, mine.enterprise),
        "stranger": Account(0, "stranger", "person", Role.ENTERPRISE_ADMIN, stranger),
        "visitor": Account(0, "visitor", "person", Role.ENTERPRISE_USER, stranger),
    }
    for account in people.values():
        await steward.put_account(account, password=KEPT)
    program = Account(0, "AK-leather", "program", Role.ENTERPRISE_ADMIN, mine.enterprise)
    await steward.put_account(program, secret=vault.seal(program.username, SECRET))
    return {name: (account, PASSWORD) for name, account in people.items()} | {"program": (program, SECRET)}


@asynccontextmanager
async def node(
    url: str, redis_url: str = "", now: Callable[[], int] = clock.seconds, **settings: Any
) -> AsyncIterator[Node]:
    """A node on the migrated, empty database at `url`; its clock stands on TODAY for what is bound to a date, what is
    written or granted goes by `now`.
    """
    # Nothing is written there unless a test says so.
    settings = {"log_folder": "nowhere"} | settings
    config = Config(database_url=url, redis_url=redis_url, secret_key=KEY, workers=1, **settings)
    descriptor, counting = stamps.create(1), meter.create(1)
    shared, following = Shared(descriptor, 1, 0, 2), Shared(descriptor, 1, 1, 3)
    redis = RedisCache.of(config) if redis_url else None
    gone = partial(backends_gone, url, "idnode-test-", "idnode-test")
    async with small_registry(url) as registry:
        accounts = await _enrol(registry)
        bell = asyncio.Event()
        announcer = Announcer(shared, redis, gone, bell.set)
        counter = Meter(counting, 1, 0)
        admission = Admission(config.requests, config.peer_rate, clock.monotonic)
        link = Link(urlsplit(config.toplevel_url).hostname or "")
        site_key = SiteKey.of(config, counter)
        signposts = Signposts(registry.lookup, site_of(config, site_key.public if site_key else b"", ""))
        own, forwarded = Own(registry.lookup, signposts), None
        if config.toplevel_url:
            terms = Terms.of(config)
            forwarded = Forwarded(own, link, terms, counter, admission.has_room, clock.monotonic, clock.seconds)
            signposts.pointed = forwarded.pointed
        last: Stage = forwarded or own
        first = Cached(redis, shared, last, clock.monotonic, counter) if redis else last
        slices = Slices(clock.monotonic, counter.answered)
        reuse = config.reuse_deleted == "allow"
        registrar = Registrar(registry.pool, registry.lookup, announcer, slices.runs, reuse_deleted=reuse)
        batcher = Batcher(registrar, config.write_rows, now)
        hot = Hot(shared, first, config.hot_entries, config.cache_seconds, clock.monotonic, clock.seconds, counter)
        recording = Recording(config, "idnode-test", registry.pool, counter, batcher.halt, first=True)
        note = recording.access_log.note
        house = House(
            config=config,
            admission=admission,
            meter=counter,
            road=Measured(hot, counter, clock.monotonic, note),
            hot=hot,
            lookup=registry.lookup,
            signposts=signposts,
            sight=Sight(registry.lookup, now),
            steward=registry.steward,
            batcher=MeasuredBatcher(batcher, registry.lookup, counter, clock.monotonic, note),
            examiner=Examiner(registry.pool, Vault(config.key())),
            blanker=Blanker(registry.pool, registry.lookup, announcer),
            slices=slices,
            announcer=announcer,
            doorkeeper=Doorkeeper(
                registry.lookup,
                registry.steward,
                Vault(config.key()),
                lambda: TODAY,
                Brake(clock.monotonic),
                lambda: NOW,
                Calls(registry.steward, lambda: datetime.combine(TODAY, time(9), config.zone)),
                second_factor=config.second_factor == "required",
            ),
            keyholders=Keyholders(
                registry.lookup,
                registry.steward,
                Brake(clock.monotonic),
                config.administrators,
                key_of(config.key()),
                clock.seconds,
                Elsewhere(hot, forwarded) if forwarded else None,
            ),
            verifier=Verifier(hot, config.roots, clock.monotonic, clock.seconds),
            files=Intake.of(config, registry.steward, counter),
            names=Names(registry.lookup, clock.monotonic),
            register=Register(link, config.toplevel_url, clock.monotonic, clock.utc),
            recording=recording,
            site_key=site_key,
        )
        follower = _Follower(registry.pool, following, redis, config.cache_seconds, Meter(counting, 1, 1))
        follower.bell = bell
        await follower.start()
        task = asyncio.create_task(follower.run())
        tokens = {
            name: await house.doorkeeper.sign_in(a.username, s, "192.0.2.1") or "" for name, (a, s) in accounts.items()
        }
        async with TestClient(Door(worker._doors(house))) as client:
            yield Node(house, registry, client, shared, follower, tokens, Totals(counting, 1))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await announcer.close()
        await link.close()
        recording.access_log.close()
    if redis is not None:
        await redis.close()
    os.close(descriptor)
    os.close(counting)

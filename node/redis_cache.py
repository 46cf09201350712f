"""Redis or Valkey: answers shared by the workers of all machines, guarded so that an old one never lands on a newer.

Who misses takes a lease (a value of its own under the key) *before* it asks PostgreSQL, and may fill the key only
while that lease still stands. Who wrote to PostgreSQL removes whatever is older than its version, leases included.
So an answer read before a change can never be stored after it, even when the store was frozen, wiped or restarted
in between. Needs Redis >= 7 (SET with NX and GET) or Valkey.
"""

import re
import secrets
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Self

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from node import clock
from node.config import Config
from node.resolve.answer import Answer, Outcome
from node.stamps import PREFIXES_MOST

LEASE_MILLISECONDS: Final = 10_000
"""Longer than any question to PostgreSQL may take (ACQUIRE_SECONDS + a statement's usual time)."""
TIMEOUT_SECONDS: Final = 0.25
"""Patience with Redis: a hundred times its usual answer; after that it is bypassed and PostgreSQL asked."""
CONNECTIONS_MOST: Final = 8
"""Connections of a process: two questions and a fill under way, the rest for corrections; more wait their turn."""
BODY_MOST: Final = 65_536
"""Largest answer shared, in octets; greater ones are asked of PostgreSQL each time."""

BROKEN: Final = (RedisError, OSError, TimeoutError)

_LEASE: Final = b"L"
_ENTRY: Final = b"E"

_UNREADABLE: Final = Answer(Outcome.ABSENT, 0, PREFIXES_MOST, 0)
"""Stands for what nobody here wrote: under no epoch, so it is dropped and fetched anew."""

_RUN: Final = re.compile(rb"run_id:(\w+)")

_FILL: Final = """
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[3 * i - 2] then
    redis.call('SET', KEYS[i], ARGV[3 * i - 1], 'PX', ARGV[3 * i])
  end
end
"""

# Versions are compared as numbers: strings compare by the server's LC_COLLATE, in which 127 may be no less than 128.
_CORRECT: Final = """
for i = 1, #KEYS do
  local held = redis.call('GET', KEYS[i])
  if held and not (string.sub(held, 1, 1) == 'E' and #held >= 9
                   and struct.unpack('>I8', held, 2) >= tonumber(ARGV[i])) then
    redis.call('DEL', KEYS[i])
  end
end
"""


class RestartedError(RedisError):
    """Redis is another run than before: what it holds may come from an old dump or a replica that lagged."""


def namespace(key: bytes) -> str:
    """What the keys of one installation begin with: drawn from the node's key, so that two on one Redis never meet.

    The edition of the entries' form is part of it: two versions of the program side by side do not misread each other.
    """
    return f"idnode:{sha256(b'redis edition 2' + key).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Fill:
    """An answer to be stored for whoever holds `lease`."""

    key: str
    lease: bytes
    answer: Answer


class RedisCache:
    """The shared cache at `url`; answers live at most `seconds`, their keys begin with `namespace`.

    `on_restart` is called, and the call at hand raises RestartedError, whenever another run of Redis is met. Every
    method raises another of BROKEN when it is out of reach, after `on_failure` was told what was wanted (a value of
    REDIS_FAILURES).
    `now` gives seconds since 1970 UTC.
    """

    def __init__(self, url: str, seconds: int, namespace: str, now: Callable[[], int]) -> None:
        self.on_restart: Callable[[], None] = lambda: None
        self.on_failure: Callable[[str], None] = lambda during: None
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            max_connections=CONNECTIONS_MOST,
            timeout=TIMEOUT_SECONDS,
            redis_connect_func=self._connected,
        )
        self._redis: Any = redis.asyncio.Redis.from_pool(pool)
        self._namespace = namespace
        self._run = b""
        self._seconds = seconds
        self._now = now
        self._fill = self._redis.register_script(_FILL)
        self._correct = self._redis.register_script(_CORRECT)

    @classmethod
    def of(cls, config: Config) -> Self:
        """The one the settings name."""
        return cls(config.redis_url, config.cache_seconds, namespace(config.key()), clock.seconds)

    async def _connected(self, connection: Any) -> None:
        """Looks who is there. Another server than before (or the first one) may hold what an old dump held."""
        await connection.on_connect()
        await connection.send_command("INFO", "server")
        # Whatever the protocol of the answer, the line is in it.
        told = _RUN.search(await connection.read_response(disable_decoding=True))
        run = told[1] if told else b"-"
        if run != self._run:
            self._run = run
            self.on_restart()
            raise RestartedError("another run of Redis than before")

    @contextmanager
    def _told(self, during: str) -> Iterator[None]:
        try:
            yield
        except RestartedError:
            raise  # it answered, and is met for the first time at every start
        except BROKEN:
            self.on_failure(during)
            raise

    def _name(self, key: str) -> str:
        return f"{self._namespace}:{key}"

    async def take(self, keys: Sequence[str]) -> list[Answer | bytes | None]:
        """For each key the answer held, or a fresh lease for who shall fetch it, or None (somebody else holds one)."""
        leases = [_LEASE + secrets.token_bytes(12) for _ in keys]
        pipeline = self._redis.pipeline(transaction=False)
        for key, lease in zip(keys, leases, strict=True):
            pipeline.set(self._name(key), lease, nx=True, get=True, px=LEASE_MILLISECONDS)
        with self._told("read"):
            held = await pipeline.execute()
        return [_read(was, lease) for was, lease in zip(held, leases, strict=True)]

    async def retake(self, keys: Sequence[str]) -> list[Answer | bytes | None]:
        """`take` after dropping what is held: it was made under an epoch that is over."""
        with self._told("read"):
            await self._redis.delete(*map(self._name, keys))
        return await self.take(keys)

    async def fill(self, fills: Sequence[Fill]) -> None:
        """Stores answers whose lease still stands, each for as long as it may be given."""
        now = self._now()
        keys: list[str] = []
        arguments: list[bytes | int] = []
        for each in fills:
            life = each.answer.life(self._seconds, now)
            if life and len(each.answer.shown) <= BODY_MOST:
                keys.append(self._name(each.key))
                arguments += [each.lease, _ENTRY + each.answer.to_octets(), life * 1000]
        if keys:
            with self._told("fill"):
                await self._fill(keys=keys, args=arguments)

    async def correct(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        """Removes whatever is older than these versions, leases included."""
        if keys:
            with self._told("correct"):
                await self._correct(keys=list(map(self._name, keys)), args=list(versions))

    async def ping(self) -> None:
        """Returns when it answers."""
        with self._told("ping"):
            await self._redis.ping()

    async def close(self) -> None:
        """Lets its connections go."""
        await self._redis.aclose()


def _read(held: bytes | None, lease: bytes) -> Answer | bytes | None:
    if held is None:
        return lease
    if not held.startswith(_ENTRY):
        return None
    try:
        return Answer.from_octets(held[1:])
    except (ValueError, struct.error):
        return _UNREADABLE

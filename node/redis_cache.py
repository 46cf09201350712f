"""Redis or Valkey: answers shared by the workers of all machines, guarded so that an old one never lands on a newer.

Who misses takes a lease (a value of its own under the key) *before* it asks PostgreSQL, and may fill the key only
while that lease still stands. Who wrote to PostgreSQL removes whatever is older than its version, leases included.
So an answer read before a change can never be stored after it, even when the store was frozen, wiped or restarted
in between. Needs Redis >= 7 (SET with NX and GET) or Valkey.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from node.resolve.answer import Answer

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

_FILL: Final = """
for i = 1, #KEYS do
  if redis.call('GET', KEYS[i]) == ARGV[2 * i] then
    redis.call('SET', KEYS[i], ARGV[2 * i + 1], 'PX', ARGV[1])
  end
end
"""

# Versions are compared as numbers: strings compare by the server's LC_COLLATE, in which 127 may be no less than 128.
_CORRECT: Final = """
for i = 1, #KEYS do
  local held = redis.call('GET', KEYS[i])
  if held and not (string.sub(held, 1, 1) == 'E' and struct.unpack('>I8', held, 2) >= tonumber(ARGV[i])) then
    redis.call('DEL', KEYS[i])
  end
end
"""


@dataclass(frozen=True, slots=True)
class Fill:
    """An answer to be stored for whoever holds `lease`."""

    key: str
    lease: bytes
    answer: Answer


class RedisCache:
    """The shared cache at `url`; answers live `seconds`. Every method raises one of BROKEN when it is out of reach."""

    def __init__(self, url: str, seconds: int) -> None:
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            url,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
            max_connections=CONNECTIONS_MOST,
            timeout=TIMEOUT_SECONDS,
        )
        self._redis: Any = redis.asyncio.Redis.from_pool(pool)
        self._milliseconds = seconds * 1000
        self._fill = self._redis.register_script(_FILL)
        self._correct = self._redis.register_script(_CORRECT)

    async def take(self, keys: Sequence[str]) -> list[Answer | bytes | None]:
        """For each key the answer held, or a fresh lease for who shall fetch it, or None (somebody else holds one)."""
        leases = [_LEASE + secrets.token_bytes(12) for _ in keys]
        pipeline = self._redis.pipeline(transaction=False)
        for key, lease in zip(keys, leases, strict=True):
            pipeline.set(_name(key), lease, nx=True, get=True, px=LEASE_MILLISECONDS)
        held = await pipeline.execute()
        return [_read(was, lease) for was, lease in zip(held, leases, strict=True)]

    async def retake(self, keys: Sequence[str]) -> list[Answer | bytes | None]:
        """`take` after dropping what is held: it was made under an epoch that is over."""
        await self._redis.delete(*map(_name, keys))
        return await self.take(keys)

    async def fill(self, fills: Sequence[Fill]) -> None:
        """Stores answers whose lease still stands."""
        kept = [f for f in fills if len(f.answer.shown) <= BODY_MOST]
        if kept:
            arguments: list[bytes | int] = [self._milliseconds]
            for each in kept:
                arguments += [each.lease, _ENTRY + each.answer.to_octets()]
            await self._fill(keys=[_name(f.key) for f in kept], args=arguments)

    async def correct(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        """Removes whatever is older than these versions, leases included."""
        if keys:
            await self._correct(keys=list(map(_name, keys)), args=list(versions))

    async def ping(self) -> None:
        """Returns when it answers."""
        await self._redis.ping()

    async def close(self) -> None:
        """Lets its connections go."""
        await self._redis.aclose()


def _name(key: str) -> str:
    return f"idnode:{key}"


def _read(held: bytes | None, lease: bytes) -> Answer | bytes | None:
    if held is None:
        return lease
    return Answer.from_octets(held[1:]) if held.startswith(_ENTRY) else None

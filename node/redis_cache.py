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
from itertools import count
from typing import Any, Final, Self

from node import clock
from node.config import Config
from node.redis_wire import BROKEN, RedisError, RedisWire
from node.resolve.answer import Answer, Outcome
from node.stamps import PREFIXES_MOST

LEASE_MILLISECONDS: Final = 10_000
"""Longer than any question to PostgreSQL may take (ACQUIRE_SECONDS + a statement's usual time)."""
BODY_MOST: Final = 65_536
"""Largest answer shared, in octets; greater ones are asked of PostgreSQL each time."""

_LEASE: Final = b"L"
_ENTRY: Final = b"E"
_ENTRY_OCTET: Final = _ENTRY[0]

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
        self._wire = RedisWire(url, self._met)
        self._begin = f"{namespace}:"
        self._run = b""
        self._mine = _LEASE + secrets.token_bytes(12)
        self._leases = count(1)
        self._seconds = seconds
        self._now = now

    @classmethod
    def of(cls, config: Config) -> Self:
        """The one the settings name."""
        return cls(config.redis_url, config.cache_seconds, namespace(config.key()), clock.seconds)

    def _met(self, info: bytes) -> None:
        """Looks who is there. Another server than before (or the first one) may hold what an old dump held."""
        told = _RUN.search(info)
        run = told[1] if told else b"-"
        if run != self._run:
            self._run = run
            self.on_restart()
            raise RestartedError("another run of Redis than before")

    @contextmanager
    def _told(self, during: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            self._failed(during, error)
            raise

    def _failed(self, during: str, error: Exception) -> None:
        """One that is met for the first time has answered, and so it is at every start."""
        if isinstance(error, BROKEN) and not isinstance(error, RestartedError):
            self.on_failure(during)

    def _name(self, key: str) -> str:
        return self._begin + key

    def look(self, keys: Sequence[str], then: Callable[[list[Answer | None] | Exception], None]) -> None:
        """Tells `then`, perhaps at once, for each of `keys` (at least one) the answer held, or what went wrong."""

        def told(replies: list[Any] | Exception) -> None:
            if isinstance(replies, Exception):
                self._failed("read", replies)
                then(replies)
            else:
                then(_read(replies[0]))

        begin = self._begin
        self._wire.tell([("MGET", *[begin + key for key in keys])], told)

    async def lease(self, keys: Sequence[str]) -> list[Answer | bytes | None]:
        """For each of `keys` (at least one) a fresh lease for who shall fetch it, or what is held, or None: somebody
        else has one.
        """
        leases = [b"%b%d" % (self._mine, next(self._leases)) for _ in keys]
        commands = [
            ("SET", self._name(key), lease, "NX", "GET", "PX", LEASE_MILLISECONDS)
            for key, lease in zip(keys, leases, strict=True)
        ]
        with self._told("read"):
            held = await self._wire.ask(commands)
        answers = _read(held)
        return [lease if was is None else answer for lease, was, answer in zip(leases, held, answers, strict=True)]

    async def drop(self, keys: Sequence[str]) -> None:
        """Removes what is held under `keys` (at least one), leases included."""
        with self._told("read"):
            await self._wire.ask([("DEL", *map(self._name, keys))])

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
                await self._wire.ask([("EVAL", _FILL, len(keys), *keys, *arguments)])

    async def correct(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        """Removes whatever is older than these versions, leases included.

        Of what is written anew nothing is held nearly always. To be told so costs a fifth of looking at each key, and
        who takes a lease from then on reads what was written.
        """
        if keys:
            names = list(map(self._name, keys))
            with self._told("correct"):
                (held,) = await self._wire.ask([("EXISTS", *names)])
                if held:
                    await self._wire.ask([("EVAL", _CORRECT, len(names), *names, *versions)])

    async def ping(self) -> None:
        """Returns when it answers."""
        with self._told("ping"):
            await self._wire.ask([("PING",)])

    async def close(self) -> None:
        """Lets its connection go."""
        await self._wire.close()


def _read(held: Sequence[bytes | None]) -> list[Answer | None]:
    """The answers held; None where there is none, or a lease."""
    read = Answer.from_octets
    try:
        return [read(was, len(_ENTRY)) if was and was[0] == _ENTRY_OCTET else None for was in held]
    except (KeyError, struct.error):
        return [_UNREADABLE] if len(held) == 1 else [answer for was in held for answer in _read([was])]

"""`RedisWire`: one connection to Redis or Valkey, on which any number of questions are under way at once.

Commands go out in RESP2, replies are read by hiredis and matched in order. Where the server is says `redis_address.py`;
what keys and replies mean, `redis_cache.py`.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

import hiredis

from node.gather import answered, tell
from node.redis_address import RedisAddress

TIMEOUT_SECONDS: Final = 0.25
"""Patience with Redis: a hundred times its usual answer; after that it is bypassed and PostgreSQL asked."""
CALLS_MOST: Final = 1000
"""Calls under way: two questions and a fill are usual, the rest are corrections; more are told that it is away."""


class RedisError(Exception):
    """Redis says that it will not, or what makes no sense."""


BROKEN: Final = (RedisError, OSError, TimeoutError)
"""What is raised when it is away, too slow, or says what makes no sense."""

Command = tuple[str | bytes | int, ...]

_packed: Final[Callable[[Command], bytes]] = hiredis.pack_command  # type: ignore[assignment] # it says one argument


Then = Callable[[list[Any] | Exception], None]
"""Who waits for replies: told them once, in order, or one of BROKEN. Raises nothing."""


@dataclass(slots=True)
class _Call:
    """Commands sent together; `until` in the seconds of the loop."""

    count: int
    until: float
    then: Then
    replies: list[Any] = field(default_factory=list)


class _Link(asyncio.Protocol):
    """One connection, from its making to its end. `gone` is called when it is of no use any more."""

    def __init__(self, gone: Callable[["_Link"], None]) -> None:
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(protocolError=RedisError, replyError=RedisError)
        self._calls: deque[_Call] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment] # of a stream

    def connection_lost(self, exc: Exception | None) -> None:
        self.end(ConnectionError(f"Redis has gone: {exc or 'closed'}"))

    def data_received(self, data: bytes) -> None:
        self._reader.feed(data)
        try:
            while (reply := self._reader.gets()) is not False:
                self._take(reply)
        except RedisError as error:
            self.end(error)

    def _take(self, reply: Any) -> None:
        if not self._calls:
            raise RedisError("a reply that nobody asked for")
        call = self._calls[0]
        call.replies.append(reply)
        if len(call.replies) == call.count:
            self._calls.popleft()
            tell([call.then], next((each for each in call.replies if isinstance(each, RedisError)), call.replies))

    def ask(self, commands: Sequence[Command], then: Then) -> None:
        """Tells `then` the replies, or the first error among them, or what else is BROKEN."""
        if len(self._calls) >= CALLS_MOST or self._transport.is_closing():
            then(ConnectionError("Redis does not keep up, or has gone"))
            return
        call = _Call(len(commands), self._loop.time() + TIMEOUT_SECONDS, then)
        self._calls.append(call)
        self._transport.write(b"".join(map(_packed, commands)))
        if self._timer is None:
            self._timer = self._loop.call_at(call.until, self._check)

    def _check(self) -> None:
        self._timer = None
        if self._calls and self._calls[0].until > self._loop.time():
            self._timer = self._loop.call_at(self._calls[0].until, self._check)
        elif self._calls:
            self.end(TimeoutError("Redis did not answer in time"))

    def end(self, error: Exception) -> None:
        """Cuts the connection; everyone who waits is told `error`."""
        self._gone(self)
        self._transport.abort()
        if self._timer is not None:
            self._timer.cancel()
        calls, self._calls = self._calls, deque()
        tell((call.then for call in calls), error)


class RedisWire:
    """The connection to the server at `url`, made when it is first needed and again whenever it broke.

    `met` is told what INFO says of the server whenever one is met, before anybody's commands are sent; what it raises,
    of BROKEN, those get who wanted to send.
    """

    def __init__(self, url: str, met: Callable[[bytes], None]) -> None:
        self._address = RedisAddress.parse(url)
        self._met = met
        self._link: _Link | None = None
        self._linking: asyncio.Task[_Link] | None = None
        self._early: set[asyncio.Task[None]] = set()

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """The replies to `commands` (at least one), which are sent together. Raises one of BROKEN."""
        return await answered(partial(self.tell, commands))

    def tell(self, commands: Sequence[Command], then: Then) -> None:
        """`ask` for who waits with a callback, which may be told at once."""
        if self._link is not None:
            self._link.ask(commands, then)
            return
        early = asyncio.create_task(self._told(commands, then))
        self._early.add(early)
        early.add_done_callback(self._early.discard)

    async def _told(self, commands: Sequence[Command], then: Then) -> None:
        """Tells who comes before there is a connection."""
        try:
            link = await self._linked()
        except Exception as error:  # noqa: BLE001 - told to who asked
            then(error)
        else:
            link.ask(commands, then)

    async def _linked(self) -> _Link:
        """A new connection, one for all who want one at this moment."""
        if self._linking is None:
            self._linking = asyncio.create_task(self._made())
            self._linking.add_done_callback(self._settled)
        # Shielded: who goes away must not take it from the others who wait for it.
        return await asyncio.shield(self._linking)

    def _settled(self, linking: "asyncio.Task[_Link]") -> None:
        self._linking = None
        if not linking.cancelled():
            linking.exception()  # who wanted it may be gone

    async def _made(self) -> _Link:
        tls = self._address.context  # outside the time: it reads files
        async with asyncio.timeout(TIMEOUT_SECONDS):
            link = await self._opened(tls)
            try:
                *_, info = await answered(partial(link.ask, [*_greeting(self._address), ("INFO", "server")]))
                self._met(info)
            except BaseException as error:
                link.end(ConnectionError(f"Redis was not met: {error}"))
                raise
        self._link = link
        return link

    async def _opened(self, tls: ssl.SSLContext | None) -> _Link:
        loop, where = asyncio.get_running_loop(), self._address
        if where.path:
            _, link = await loop.create_unix_connection(lambda: _Link(self._lost), where.path)
        else:
            _, link = await loop.create_connection(lambda: _Link(self._lost), where.host, where.port, ssl=tls)
        return link

    def _lost(self, link: _Link) -> None:
        if self._link is link:
            self._link = None

    async def close(self) -> None:
        """Lets the connection go."""
        if self._linking is not None:
            self._linking.cancel()
            with suppress(*BROKEN, asyncio.CancelledError):
                await self._linking
        if self._link is not None:
            self._link.end(ConnectionError("closed"))
            await asyncio.sleep(0)  # a transport closes in the next turn of the loop


def _greeting(where: RedisAddress) -> list[Command]:
    """What comes before all else on a connection that the URL says so much of."""
    greeting: list[Command] = []
    if where.password:
        greeting.append(("AUTH", where.username, where.password) if where.username else ("AUTH", where.password))
    if where.database:
        greeting.append(("SELECT", where.database))
    return greeting

"""The crowd of one process: connections, and what is sent over them when. What is asked is said in mix.py.

Open: requests start when they are due, whatever became of earlier ones; those that find every connection busy wait in
a bounded queue, and their waiting counts. Closed: each connection asks again as soon as it is answered.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, Self, cast

from loadtest.alarm import Alarm
from loadtest.mix import Ask, Questions
from loadtest.response import Kind, Reader, Response, WireError
from loadtest.tally import Tally

WAITING_MOST: Final = 10_000
"""Requests of a process that wait for a connection; later ones are shed. At 2000 a second these are five seconds: who
waits longer measures the queue and not the node."""
PATIENCE: Final = 10.0
"""Seconds a request that was sent is waited for; then its connection is given up."""
SWEEP: Final = 0.25
"""Seconds between two looks for requests whose time is over."""
BREATH: Final = 0.1
"""Seconds before a connection is tried again that nobody took, or that ended without one answer: a worker that died is
being replaced."""
BURST: Final = 256
"""Requests sent at a stretch before answers are looked at again: a crowd that is late must not become deaf."""
OPENING: Final = 5.0
"""Seconds all connections may take to be made before a run; then it is not begun."""

Judge = Callable[[Ask, Response], str]
_now: Final = time.monotonic


class CrowdError(Exception):
    """There was nothing to measure; the text is for people."""


class Visitor(asyncio.Protocol):
    """One connection: at most one request at a time."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd, self._reader = crowd, Reader()
        self._transport: asyncio.Transport | None = None
        self.ask: Ask | None = None
        self.served = 0
        self.due = self.sent = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A fresh connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but its ancestors
        self._crowd.arrived(self)

    def say(self, ask: Ask, due: float) -> None:
        """Sends a request that was due at `due`."""
        assert self.ask is None
        assert self._transport is not None
        self.ask, self.due, self.sent = ask, due, _now()
        self._transport.write(ask.octets)

    def data_received(self, data: bytes) -> None:
        """A part of an answer, or something nobody asked for."""
        if self.ask is None:
            self.give_up(Kind.SURPLUS)
            return
        try:
            response = self._reader.feed(data)
        except WireError as error:
            self.give_up(error.kind)
            return
        if response is not None:
            ask, self.ask, self.served = self.ask, None, self.served + 1
            self._crowd.answered(ask, response, _now(), self.due)
            if response.closing or self.served == self._crowd.kept:
                self.give_up(Kind.CLOSED)
            else:
                self._crowd.free(self)

    def eof_received(self) -> bool:
        """The server says no more: the transport closes itself."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """The connection is gone, by whomever."""
        self.give_up(Kind.CUT if self._reader.begun else Kind.CLOSED)

    def give_up(self, kind: Kind) -> None:
        """Lets the connection go; what was asked on it is an error of this kind."""
        if self._transport is None:
            return
        transport, self._transport = self._transport, None
        transport.abort()
        ask, self.ask = self.ask, None
        self._crowd.left(self, ask, kind)


class Crowd:
    """`size` connections to `host`:`port`, and what they were told: `tally`. Each is let go after `kept` answers (0:
    never) and another one made.
    """

    def __init__(self, host: str, port: int, size: int, questions: Questions, judge: Judge, kept: int = 0) -> None:
        self.kept = kept
        self._host, self._port, self._size = host, port, size
        self._questions, self._judge = questions, judge
        self._visitors: set[Visitor] = set()
        self._idle: deque[Visitor] = deque()
        self._waiting: deque[tuple[str, float]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._on_free: Callable[[Visitor], None] = self._idle.append
        self._awaited: Callable[[], bool] = bool
        self._changed = asyncio.Event()
        self._closing = False
        self._begin = 0.0
        self.tally = Tally()

    async def __aenter__(self) -> Self:
        """Makes all connections. Raises CrowdError."""
        for _ in range(self._size):
            self._connect(0.0)
        try:
            async with asyncio.timeout(OPENING):
                await self._until(lambda: len(self._idle) >= self._size)
        except TimeoutError:
            await self.__aexit__()
            raise CrowdError(
                f"{self._size}个连接中只建成{len(self._idle)}个：{self._host}:{self._port}。 "
                f"Only {len(self._idle)} of {self._size} connections could be made to {self._host}:{self._port}."
            ) from None
        self._tasks.add(asyncio.create_task(self._sweep()))
        return self

    async def __aexit__(self, *_: object) -> None:
        """Lets all connections go."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for visitor in list(self._visitors):
            visitor.give_up(Kind.CLOSED)

    # --- The two ways to ask -----------------------------------------------------------------------------------

    async def open(self, arrivals: Iterator[float], begin: float) -> None:
        """Asks at `arrivals` (s after `begin`, which is of time.monotonic()), and returns when all is told."""
        self._on_free, self._begin = self._serve_waiting, begin
        moments = (begin + at for at in arrivals)
        due = next(moments, None)

        def ring() -> None:
            nonlocal due
            for _ in range(BURST):
                if due is None or (late := _now() - due) < 0:
                    break
                self.tally.late.add(late)
                self._arrive(due)
                due = next(moments, None)
            if due is None:
                self._look()
            else:
                alarm.set(due)

        alarm = Alarm(ring)
        try:
            alarm.set(begin)
            await self._told(lambda: due is None)
        finally:
            alarm.close()
        self.tally.seconds = _now() - begin

    async def closed(self, begin: float, seconds: float) -> None:
        """Asks over every connection without rest, from `begin` for `seconds`, and returns when all is told."""
        until, self._begin = begin + seconds, begin
        await asyncio.sleep(max(0.0, begin - _now()))

        def again(visitor: Visitor) -> None:
            if _now() < until:
                self._send(visitor, self._questions.next_class(), None)
            else:
                self._idle.append(visitor)

        self._on_free = again
        for _ in range(len(self._idle)):
            again(self._idle.popleft())
        await asyncio.sleep(max(0.0, until - _now()))
        await self._told(lambda: True)
        self.tally.seconds = _now() - begin

    async def _told(self, ended: Callable[[], bool]) -> None:
        """Returns when nothing more is due, waited for or under way."""
        await self._until(lambda: ended() and not self._waiting and not self._under_way())
        self.tally.cold_reached = self._questions.cold_reached

    def _under_way(self) -> bool:
        return any(visitor.ask is not None for visitor in self._visitors)

    async def _until(self, so: Callable[[], bool]) -> None:
        self._awaited = so
        self._changed.clear()
        self._look()
        await self._changed.wait()

    def _look(self) -> None:
        """Wakes who waits, once what is waited for is so: something has changed."""
        if self._awaited():
            self._changed.set()

    async def _sweep(self) -> None:
        """Gives up what takes too long."""
        while True:
            await asyncio.sleep(SWEEP)
            patience = _now() - PATIENCE
            for visitor in [v for v in self._visitors if v.ask is not None and v.sent < patience]:
                visitor.give_up(Kind.TIMEOUT)
            while self._waiting and self._waiting[0][1] < patience:
                self.tally.line(self._waiting.popleft()[0]).shed += 1
            self._look()

    # --- One request -------------------------------------------------------------------------------------------

    def _arrive(self, due: float) -> None:
        name = self._questions.next_class()
        if self._idle:
            self._send(self._idle.popleft(), name, due)
        elif len(self._waiting) < WAITING_MOST:
            self._waiting.append((name, due))
        else:
            self.tally.line(name).shed += 1

    def _serve_waiting(self, visitor: Visitor) -> None:
        if self._waiting:
            self._send(visitor, *self._waiting.popleft())
        else:
            self._idle.append(visitor)

    def _send(self, visitor: Visitor, name: str, due: float | None) -> None:
        ask = self._questions.ask(name)
        self.tally.line(name).sent += 1
        visitor.say(ask, _now() if due is None else due)

    def answered(self, ask: Ask, response: Response, now: float, due: float) -> None:
        """Counts an answer that has come `now`, to a request that was `due`."""
        line = self.tally.line(ask.name)
        kind = _kind(response.status)
        if kind is not None:
            line.errors[kind] += 1
        elif wrong := self._judge(ask, response):
            line.wrong += 1
            self.tally.example(wrong)
        else:
            line.latency.add(now - due)
            self.tally.by_second[int(now - self._begin)] += 1
            line.octets += len(response.body)

    # --- Connections -------------------------------------------------------------------------------------------

    def arrived(self, visitor: Visitor) -> None:
        """A connection is made."""
        self.tally.opened += 1
        self._visitors.add(visitor)
        self.free(visitor)

    def free(self, visitor: Visitor) -> None:
        """A connection can be asked on."""
        self._on_free(visitor)
        self._look()

    def left(self, visitor: Visitor, ask: Ask | None, kind: Kind) -> None:
        """A connection is gone, with what was asked on it; another one takes its place."""
        self._visitors.discard(visitor)
        if visitor in self._idle:
            self._idle.remove(visitor)
        if ask is not None:
            self.tally.line(ask.name).errors[kind] += 1
        self._look()
        if not self._closing:
            self._connect(0.0 if visitor.served else BREATH)

    def _connect(self, pause: float) -> None:
        task = asyncio.create_task(self._connected(pause))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connected(self, pause: float) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(pause)
            pause = BREATH
            try:
                await loop.create_connection(lambda: Visitor(self), self._host, self._port)
            except OSError:
                self.tally.refused += 1
            else:
                return


def _kind(status: int) -> Kind | None:
    """The kind of error a status alone tells."""
    if status in {429, 503}:
        return Kind.BUSY
    return Kind.FAILED if status >= 500 else None

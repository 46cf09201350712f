"""The native face over TCP: connections that stay open, requests one after the other or many at once.

Answers go out as they come, each in one write: whoever asks much at once tells them apart by their request ids, as the
protocol has it. What is asked is not known here.
"""

import asyncio
import socket
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple, cast

import structlog

from node.meter import Meter
from node.metrics import NATIVE_CONNECTIONS, NATIVE_REFUSED
from node.native import answers
from node.native.answers import Standing
from node.native.desk import Desk
from node.native.lane import Lane
from proto.errors import ProtoError
from proto.forwarded_for import TrustedProxies, end_site
from proto.native.envelope import Framed
from proto.native.stream import Stream
from proto.proxy_header import NoHeader, read

MESSAGE_OCTETS: Final = 262_144
"""Longest request: what deployed servers take."""
IN_HAND_MOST: Final = 32
"""Requests of one connection that wait for their answers; then no more is read from it. Clients have up to 16."""
WRITTEN_OCTETS: Final = 256 * 1024
"""Answers that wait for their client to read; beyond it no request is taken, but what is in hand comes on top."""
PEER_SHARE: Final = 4
"""One address may hold one part in so many of a worker's connections, as of those of HTTP."""
MESSAGE_SECONDS: Final = 20.0
"""From its first octet a message may take so long to be whole, the first one from when the connection was made; and so
long may a client read nothing of what waits for it."""
IDLE_SECONDS: Final = 3600.0
"""A connection on which nobody asks is closed after this: some clients hold one for hours and never open a second."""
SPARED_SECONDS: Final = 75.0
"""When there is room for no more connections, one that is idle for so long makes place: longer than clients pause."""
SWEEP_SECONDS: Final = 1.0
"""Pause between two looks for what takes too long."""
DRAIN_SECONDS: Final = 10.0
"""What is in hand at a stop may take this long to finish."""
BACKLOG: Final = 1024
NEIGHBOURS_MOST: Final = 4096
"""Addresses of which is remembered who they are."""

log = structlog.get_logger("native")


class Connection(asyncio.Protocol):
    """One connection: `lane` answers what is ready, `desk` all else."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self.site = ""
        self._stream = Stream(MESSAGE_OCTETS)
        self._source, self._port, self._reached = "", 0, ""
        self._standing = Standing()
        self._beginning: bytes | None = None  # what came of a PROXY protocol header; None where none is looked for
        self.in_hand = 0
        self._full = False  # the client does not read its answers
        self._taking = False
        self._ends = False  # with the answers that are under way
        self.quiet_since = crowd.clock()
        self._begun: float | None = self.quiet_since

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begins to wait for the first message, if there is room."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are none by descent
        self._transport.set_write_buffer_limits(WRITTEN_OCTETS)
        address, self._port = _address(transport, "peername")
        self._source, self.site, trusted = self._crowd.neighbours[address]
        if trusted:
            self._beginning = b""
        if not self._crowd.took(self):
            self._ends = True
            self.abort()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Nobody is there any more."""
        self._ends = True
        self._crowd.left(self)

    def data_received(self, data: bytes) -> None:
        """Answers what can be answered at once and keeps the rest."""
        if self._beginning is not None:
            data = self._behind_header(self._beginning + data)
        if self._ends or not data:
            return
        self.quiet_since = self._crowd.clock()
        used = 0 if self._stream.kept or self._standing.login else self._answer_ready(data)
        if used < len(data):
            self._stream.feed(data[used:] if used else data)
            self._take()

    def _answer_ready(self, data: bytes) -> int:
        """How much of it, from the first octet on, was answered by the lane."""
        used = 0
        while used < len(data) and not self._full:
            end, said = self._crowd.lane.answers(data, used, self._source, self._port)
            if not said:
                break
            self._begun, used = None, end  # before it is written: who does not read is waited for
            self._transport.write(said)
        return used

    def _take(self) -> None:
        """Takes what is whole to the desk, as long as it may have more in hand."""
        self._taking, taken = True, False
        while not self._ends and not self._full and self.in_hand < IN_HAND_MOST:
            try:
                framed = self._stream.take()
            except ProtoError as error:
                self._broken(error)
                break
            if framed is None:
                break
            taken = True
            self.in_hand += 1
            self._reached = self._reached or _address(self._transport, "sockname")[0]
            self._crowd.desk.take(framed, (self._source, self._port), self._answer, self._reached, self._standing)
        self._taking = False
        self._mind(taken)

    def _mind(self, taken: bool) -> None:
        """Reads on or not, and notes since when a message is wanting."""
        if self._full or self._transport.is_closing():
            return
        if self.in_hand >= IN_HAND_MOST:
            self._transport.pause_reading()
            self._begun = None  # it is not the client we wait for
            return
        self._transport.resume_reading()
        if not self._stream.kept:
            self._begun = None
        elif taken or self._begun is None:
            self._begun = self._crowd.clock()

    def _answer(self, framed: Framed) -> None:
        self.in_hand -= 1
        self.quiet_since = self._crowd.clock()
        if not self._transport.is_closing():
            self._transport.write(framed.to_octets())
        if self._ends and not self.in_hand:
            self._transport.close()
        elif not self._taking:
            self._take()

    def _broken(self, error: ProtoError) -> None:
        """Says why nothing more can be read here, and that is the end."""
        assert self._stream.broken is not None
        self._crowd.refused("malformed")
        self._transport.write(answers.broken(self._stream.broken, error, self._crowd.now()).to_octets())
        self.end()

    def end(self) -> None:
        """Takes no more, and closes when what is in hand is answered."""
        self._ends = True
        if not self.in_hand:
            self._transport.close()

    def abort(self) -> None:
        """Closes at once."""
        self._transport.abort()

    def pause_writing(self) -> None:
        """The client does not read: it is read from no more."""
        self._full, self._begun = True, self._crowd.clock()
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        self._full, self._begun = False, None
        self._take()

    def late(self, now: float) -> str:
        """Why it is to be closed at `now`: it is slow or idle; else nothing."""
        if self._begun is not None and now - self._begun > MESSAGE_SECONDS:
            return "slow"
        return "" if self.in_hand or now - self.quiet_since <= IDLE_SECONDS else "idle"

    def _behind_header(self, octets: bytes) -> bytes:
        """What comes behind a PROXY protocol header, from a trusted proxy (its document, §2); nothing while it is not
        whole, and of a connection that is given up.
        """
        try:
            found = read(octets)
        except ProtoError as error:
            self._crowd.refused("proxy_header")
            log.info("proxy_header_refused", peer=self._source, error=error.en)
            self._ends = True
            self.abort()
            return b""
        if found is NoHeader.UNFINISHED:
            self._beginning = octets
            return b""
        self._beginning = None
        if found is NoHeader.ABSENT:
            return octets
        if found.source:
            self._source, self._port = found.source, found.port
        return octets[found.length :]


class _Neighbour(NamedTuple):
    """Who speaks to us: its address in its one spelling, what it is counted as, and whether it speaks for others."""

    address: str
    site: str
    trusted: bool


class _Neighbours(dict[str, _Neighbour]):
    """What is known of addresses, NEIGHBOURS_MOST of them: to read one takes longer than to answer."""

    def __init__(self, proxies: TrustedProxies) -> None:
        self._proxies = proxies

    def __missing__(self, text: str) -> _Neighbour:
        if len(self) >= NEIGHBOURS_MOST:
            self.clear()
        trusted = self._proxies.trusts(text)
        found = self[text] = _Neighbour(self._proxies.asker(text, ()), "" if trusted else end_site(text), trusted)
        return found


class Crowd:
    """The connections of a worker, at most `most`, and whose they are.

    `clock` gives monotonic seconds, `now` those since 1970 UTC.
    """

    def __init__(
        self,
        desk: Desk,
        lane: Lane,
        meter: Meter,
        most: int,
        proxies: TrustedProxies,
        clock: Callable[[], float],
        now: Callable[[], int],
    ) -> None:
        self.desk = desk
        self.lane = lane
        self.neighbours = _Neighbours(proxies)
        self.clock = clock
        self.now = now
        self.refused = partial(meter.count, NATIVE_REFUSED)
        self._meter = meter
        self._most = most
        self._of_site: Counter[str] = Counter()
        self._here: set[Connection] = set()
        self._idle: deque[Connection] = deque()

    def took(self, connection: Connection) -> bool:
        """Whether there is room for one more, which is here from now on then."""
        site = connection.site
        if site and self._of_site[site] >= max(1, self._most // PEER_SHARE):
            self.refused("peer_connections")
            return False
        if len(self._here) >= self._most and not self._made_room():
            self.refused("connections")
            return False
        self._here.add(connection)
        self._of_site[site] += 1
        return True

    def _made_room(self) -> bool:
        now = self.clock()
        while self._idle:
            idlest = self._idle.popleft()
            if idlest in self._here and not idlest.in_hand and now - idlest.quiet_since > SPARED_SECONDS:
                self.left(idlest)
                idlest.end()
                return True
        return False

    def left(self, connection: Connection) -> None:
        """One less is here."""
        if connection not in self._here:
            return
        self._here.discard(connection)
        self._of_site[connection.site] -= 1
        if not self._of_site[connection.site]:
            del self._of_site[connection.site]

    def sweep(self) -> None:
        """Closes what takes too long, and finds out who could make room."""
        now = self.clock()
        for connection in list(self._here):
            if reason := connection.late(now):
                self.refused(reason)
                connection.abort()
        idle = (each for each in self._here if not each.in_hand and now - each.quiet_since > SPARED_SECONDS)
        full = len(self._here) >= self._most
        self._idle = deque(sorted(idle, key=lambda each: each.quiet_since)) if full else deque()
        self._meter.set(NATIVE_CONNECTIONS, len(self._here))

    async def serve(self, listening: socket.socket) -> None:
        """Serves until it is cancelled, and then lets what is in hand finish."""
        server = await asyncio.get_running_loop().create_server(
            partial(Connection, self), sock=listening, backlog=BACKLOG
        )
        try:
            while True:
                await asyncio.sleep(SWEEP_SECONDS)
                self.sweep()
        finally:
            server.close()
            await self._drained()

    async def _drained(self) -> None:
        for connection in list(self._here):
            connection.end()
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._here:  # noqa: ASYNC110 - seldom, and for a moment
                    await asyncio.sleep(0.01)
        for connection in list(self._here):
            connection.abort()


def _address(transport: asyncio.BaseTransport, end: str) -> tuple[str, int]:
    address = transport.get_extra_info(end)
    return (str(address[0]), int(address[1])) if isinstance(address, tuple) else ("", 0)

"""The crowd: clients that call, and wardens that stop and enable prefixes. Each writes down what it was told.

What to call is said in mix.py, how in requests.py, what an answer means in answers.py.
"""

import asyncio
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from itertools import count
from random import Random
from typing import Any, Final

from loadtest.history import answers, requests
from loadtest.history.answers import Told
from loadtest.history.mix import WITNESSES, Call, Face, calls
from loadtest.history.operation import WRITES, Act, Operation, Outcome, Recording
from loadtest.history.population import Population
from loadtest.history.requests import Row
from loadtest.said import Said
from loadtest.wire import Connection, LostError, RefusedError, Reply

PATIENCE: Final = 5.0
"""Seconds a call is waited for; then its outcome is unknown."""
SURPRISES_MOST: Final = 50
"""Different surprises kept: enough to see what they are."""
BREATH: Final = 0.1
"""Seconds a client waits when nobody listens: a worker that died is being replaced."""
HELD: Final = (0.3, 2.5)
"""Least and most seconds a prefix stays stopped or enabled: shorter and longer than the other machine's bound."""
LATE: Final = 2.0
"""Seconds a warden adds after an unknown call: what it asked for lands before it asks for the opposite."""
LOOK: Final = 500
"""Identifiers of one bulk question of the last look; the node takes 1000."""


class Crowd:
    """Everybody who calls the machines that listen at `ports`; `token` is an administrator's.

    `clock` tells ns since the start. `pause` is the mean rest (s) of a client between two calls.
    """

    def __init__(
        self, ports: Sequence[int], token: str, population: Population, clock: Callable[[], int], pause: float
    ) -> None:
        self._ports, self._population, self._clock, self._pause = ports, population, clock, pause
        self._bearer = {"Authorization": f"Bearer {token}"}
        self._tokens = count(1)
        self.recording = Recording()
        self.gates: defaultdict[str, list[Operation]] = defaultdict(list)
        self.tallies: Counter[tuple[str, str]] = Counter()
        self.surprises: Counter[str] = Counter()

    async def client(self, random: Random, until: int) -> None:
        """Calls until the clock says `until`."""
        connection: Connection | None = None
        machine = -1
        for call in calls(random, self._population, len(self._ports), self._clock):
            if self._clock() >= until:
                break
            if connection and (call.fresh or call.machine != machine):
                await connection.close()
                connection = None
            machine = call.machine
            async with asyncio.TaskGroup() as group:
                made = group.create_task(self._make(call, connection))
                if call.escorted:
                    group.create_task(self._escort(call, made))
            connection = made.result()
            await asyncio.sleep(random.expovariate(1 / self._pause) if self._pause else 0)
        if connection:
            await connection.close()

    async def _escort(self, call: Call, made: "asyncio.Task[Connection | None]") -> None:
        """Looks at the first identifier of a write, by each road in turn, until the write is answered."""
        connections: list[Connection | None] = [None] * len(WITNESSES)
        while not made.done():
            for n, (act, face) in enumerate(WITNESSES):
                look = Call(act, face, call.machine, call.items[:1], fresh=False)
                connections[n] = await self._make(look, connections[n])
        for connection in filter(None, connections):
            await connection.close()

    async def _make(self, call: Call, connection: Connection | None) -> Connection | None:
        """Makes one call and writes it down; the connection it leaves, if it is still of use."""
        rows = [self._row(call, item) for item in call.items]
        begin = self._clock()
        # Who resolves signed in is answered past the caches, and these are on trial.
        signed = call.act is not Act.RESOLVE
        reply, connection = await self._ask(call.machine, requests.said(call, rows), connection, signed=signed)
        end = self._clock()
        etag = 0
        if isinstance(reply, Outcome):
            told = [Told(reply)] * len(rows)
        else:
            etag = answers.told_version(reply.headers.get("etag"))
            told = self._read(call, rows, reply)
        for item, row, each in zip(call.items, rows, told, strict=True):
            seen = (each.token, each.again, each.note, etag)
            content = (row.token, row.token, row.note) if call.act in WRITES else seen
            self.recording.add(Operation(item, call.act, each.outcome, call.machine, begin, end, *content))
            self.tallies[f"{call.act.name.lower()} {call.face.value}", each.outcome.name.lower()] += 1
            self._wonder(each.surprise)
        if not isinstance(reply, Reply) or reply.headers.get("connection", "").lower() == "close":
            return None
        return connection

    def _row(self, call: Call, item: int) -> Row:
        handle = self._population.identifier(item)
        if call.act not in (Act.CREATE, Act.UPDATE):
            return Row(handle)
        token = next(self._tokens)
        return Row(handle, token, token if call.noted or call.act is Act.CREATE else 0)

    async def _ask(
        self, machine: int, said: Said, connection: Connection | None, *, signed: bool = True
    ) -> tuple[Reply | Outcome, Connection | None]:
        """The reply, or what its failing means: nothing done when there was no connection, else unknown."""
        try:
            async with asyncio.timeout(PATIENCE):
                connection = connection or await Connection.open(self._ports[machine])
                headers = said.headers | (self._bearer if signed else {})
                return await connection.ask(said.method, said.path, headers, said.body), connection
        except RefusedError:
            await asyncio.sleep(BREATH)
            return Outcome.REFUSED, None
        except (LostError, TimeoutError):
            if connection:
                await connection.close()
            return Outcome.UNKNOWN, None

    def _read(self, call: Call, rows: Sequence[Row], reply: Reply) -> list[Told]:
        try:
            return _READERS[call.face](reply, [row.handle for row in rows])
        except (ValueError, KeyError, TypeError) as error:
            surprise = f"HTTP {reply.status}, unreadable ({error}): {reply.body[:100]!r}"
            return [Told(Outcome.UNKNOWN, surprise=surprise)] * len(rows)

    def _wonder(self, surprise: str) -> None:
        if surprise and (surprise in self.surprises or len(self.surprises) < SURPRISES_MOST):
            self.surprises[surprise] += 1

    async def warden(self, prefix: str, random: Random, until: int) -> None:
        """Stops and enables `prefix` in turn until the clock says `until`, and leaves it enabled."""
        while self._clock() < until:
            for act in (Act.STOP, Act.ENABLE):
                await asyncio.sleep(random.uniform(*HELD))
                await self._turn(prefix, act, random.randrange(len(self._ports)))

    async def _turn(self, prefix: str, act: Act, machine: int) -> None:
        """Calls until it is done."""
        outcome = Outcome.UNKNOWN
        doubt = False
        while outcome is not Outcome.DONE:
            begin = self._clock()
            reply, connection = await self._ask(machine, requests.state(prefix, act), None)
            outcome = reply if isinstance(reply, Outcome) else self._turned(reply)
            self.gates[prefix].append(Operation(0, act, outcome, machine, begin, self._clock()))
            self.tallies[act.name.lower(), outcome.name.lower()] += 1
            doubt |= outcome is Outcome.UNKNOWN
            if connection:
                await connection.close()
            if outcome is not Outcome.DONE:
                await asyncio.sleep(BREATH)
        if doubt:
            await asyncio.sleep(LATE)

    def _turned(self, reply: Reply) -> Outcome:
        if reply.status == 200:
            return Outcome.DONE
        told = answers.by_status(reply.status)
        self._wonder("" if told else f"HTTP {reply.status}: {reply.body[:100]!r}")
        return told.outcome if told else Outcome.UNKNOWN

    async def look(self, generations: int) -> None:
        """One last look at every identifier on every machine, when all is quiet."""
        items = self._population.items(generations)
        for machine in range(len(self._ports)):
            connection: Connection | None = None
            for start in items[::LOOK]:
                chosen = tuple(items[start : start + LOOK])
                call = Call(Act.RESOLVE, Face.BULK, machine, chosen, fresh=False)
                connection = await self._make(call, connection)
            if connection:
                await connection.close()


def _document(reply: Reply) -> Any:
    return json.loads(reply.body) if reply.body else None


def _single(reply: Reply, handles: list[str]) -> list[Told]:
    if not reply.headers.get("content-type", "").startswith("application/json"):
        return [answers.by_status(reply.status) or answers.write_told(reply.status, reply.body[:100])]
    return [answers.write_told(reply.status, _document(reply))]


def _bulk(reply: Reply, handles: list[str]) -> list[Told]:
    if reply.status != 200:
        return [answers.resolve_told(reply.status, None)] * len(handles)
    return _each(_document(reply)["results"], handles)


def _lines(reply: Reply, handles: list[str]) -> list[Told]:
    if reply.status != 200:
        return [answers.resolve_told(reply.status, None)] * len(handles)
    return _each([json.loads(line) for line in reply.body.splitlines() if line], handles)


def _each(documents: list[Any], handles: list[str]) -> list[Told]:
    if [document.get("handle") for document in documents] != handles:
        raise ValueError("answers for other identifiers, or in another order")
    return [answers.resolve_told(200, document) for document in documents]


_READERS: Final[dict[Face, Callable[[Reply, list[str]], list[Told]]]] = {
    Face.SINGLE: _single,
    Face.BATCH: lambda reply, handles: answers.batch_told(reply.status, _document(reply), handles),
    Face.HANDLE: lambda reply, _: [answers.resolve_told(reply.status, _document(reply))],
    Face.PAGE: lambda reply, _: [answers.resolve_told(reply.status, _document(reply))],
    Face.BULK: _bulk,
    Face.NDJSON: _lines,
    Face.DETAIL: lambda reply, _: [answers.detail_told(reply.status, _document(reply))],
}

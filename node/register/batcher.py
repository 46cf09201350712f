"""Group commit: what waits at a moment goes into one transaction; neighbours never share a fate.

Judging and writing are the registrar's; here requests are only brought together and parted again. A prefix for which
much waits has transactions of its own. The others share theirs, and whoever that does not suit goes on alone. Only a
connection that is lost in between is the fate of all who shared it.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from functools import partial
from itertools import count, groupby, repeat
from operator import attrgetter
from typing import Any, Final, NamedTuple, Self

import structlog

from node.gather import BusyError
from registry.account import Account
from registry.block import Block
from registry.errors import AuditFullError, RegistryError
from registry.registrar import GROUP_MOST, Job, Outcome, Registrar

LANES: Final = 2
"""Transactions of one prefix under way at once in a worker: while one waits for the disk, the next one is judged."""
MANY: Final = 200
"""So many of a prefix must wait before a transaction of its own is opened for them, and again before a second one is:
whoever comes one by one is better served by one that takes all, for each costs the disk's time."""
TOGETHER_MOST: Final = 32
"""Prefixes of a shared transaction. PostgreSQL keeps 64 subtransactions of one at hand, and each prefix takes one."""
ALONE_MOST: Final = 3
"""Transactions of single prefixes under way at once in a worker: of its four connections one is left to the shared
ones, however many prefixes wait for what somebody holds."""
TURN_SECONDS: Final = 0.02
"""Shared transactions go one after the other, and grow meanwhile: each costs some 0.5 ms, whatever is in it. None
waits longer than this for the one before, so that one that hangs holds up nobody."""

CROWD: Final = 4
"""After so many singles the next shared transaction waits for who sent them: who registers one by one comes again."""
REJOIN: Final = 0.5
"""It waits until as many have come, at most this part of the time the last one took, which is mostly the disk's, and
never longer than a turn. Who comes back in it goes with those who came meanwhile, where each half had a transaction of
its own. That spares a quarter of the processors' time, and half of the disk's writes."""

log = structlog.get_logger("register")


Told = Callable[[Outcome | Exception], None]
"""Told what became of a job; an exception is RegistryError's, or a mistake of ours."""


class _Order:
    """The outcomes of one call; `done` is set when all are told."""

    def __init__(self, count: int) -> None:
        self.outcomes: list[Any] = [None] * count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._left = count

    def tell(self, place: int, outcome: Outcome | Exception) -> None:
        """What became of the job at `place`."""
        self.outcomes[place] = outcome
        self._told(1)

    def tell_some(self, places: range, outcomes: Sequence[Outcome | Exception]) -> None:
        """What became of the jobs at these places."""
        self.outcomes[places.start : places.stop] = outcomes
        self._told(len(places))

    def _told(self, count: int) -> None:
        self._left -= count
        if not self._left and not self.done.done():
            self.done.set_result(None)


_Told = Callable[[Any, Outcome | Exception], None]


class _Waiting(NamedTuple):
    job: Job
    key: str
    told: _Told
    place: Any  # what `told` is given first
    single: bool  # who asked has nothing else under way with it

    @property
    def prefix(self) -> str:
        """The prefix it is about, as it is kept."""
        return self.job.request.identifier.prefix_key


class _WaitingBlock(NamedTuple):
    """A block that waits for a transaction of its own; its rows have these places in the order."""

    block: Block
    who: Account
    order: _Order
    places: range

    def beside(self, other: Self) -> bool:
        """Whether it may be written with the other as one block, if they have no identifier in common."""
        return self.who == other.who and self.block.alike(other.block)

    def rows(self) -> list[_Waiting]:
        """The same as rows."""
        told, at = self.order.tell, self.places
        jobs = [Job(request, self.who) for request in self.block.requests(self.block.parts)]
        return [
            _Waiting(job, job.request.identifier.key, told, n, single=False) for job, n in zip(jobs, at, strict=True)
        ]


_waiting: Final[Callable[[Iterable[Any]], _Waiting]] = partial(tuple.__new__, _Waiting)
"""`_Waiting._make`, without a call in Python for each."""


def _tell(group: Sequence[_Waiting], outcomes: Sequence[Outcome | Exception | None]) -> None:
    """Tells what became of each job, if that is known, whatever whoever hears of it does: others wait beside it."""
    for (_, _, told, place, _), outcome in zip(group, outcomes, strict=True):
        if outcome is not None:
            try:
                told(place, outcome)
            except Exception:  # a mistake of ours
                log.exception("told_in_vain")


class Batcher:
    """Takes jobs of any prefixes, at most `most` waiting; `clock` gives seconds since 1970 UTC."""

    def __init__(self, registrar: Registrar, most: int, clock: Callable[[], int]) -> None:
        self._registrar = registrar
        self._most = most
        self._clock = clock
        self._queues: dict[str, deque[_Waiting | _WaitingBlock]] = {}  # by prefix; those who wait longest first
        self._lanes: Counter[str] = Counter()  # of prefixes that have some of their own
        self._shared: set[str] = set()  # prefixes of which something is in a shared transaction
        self._written: set[str] = set()
        self._apart = asyncio.Semaphore(ALONE_MOST)
        self._turn: asyncio.TimerHandle | None = None  # ends the turn of a shared transaction that lasts
        self._away = 0  # of a crowd that was told, so many have not come again
        self._back: asyncio.Future[None] | None = None  # done when all have
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self._halted = False

    def halt(self, halted: bool) -> None:
        """Takes nothing while the audit journal is full."""
        self._halted = halted

    async def write(self, jobs: Sequence[Job]) -> list[Outcome | RegistryError]:
        """One outcome a job, in order; an error where PostgreSQL could not be asked or its answer was lost.

        Raises BusyError when more is waiting already than the bound allows, AuditFullError when halted: nothing is done
        then.
        """
        return await self._ordered(len(jobs), lambda order: self._add(jobs, order.tell, count()))

    async def write_block(self, block: Block, who: Account) -> list[Outcome | RegistryError]:
        """`write` of the rows of a block, by one account."""
        return await self._ordered(block.size, partial(self._add_block, block, who))

    async def _ordered(self, size: int, add: Callable[[_Order], None]) -> list[Outcome | RegistryError]:
        if self._halted:
            raise AuditFullError
        if self._count and self._count + size > self._most:
            raise BusyError
        if not size:
            return []
        order = _Order(size)
        self._count += size
        try:
            add(order)
            await order.done
        finally:
            self._count -= size
        for outcome in order.outcomes:
            if isinstance(outcome, Exception) and not isinstance(outcome, RegistryError):
                raise outcome
        return order.outcomes

    def ask(self, job: Job, told: Told) -> None:
        """Tells what became of one job, later; at once BusyError, when as much as the bound allows is waiting, or
        AuditFullError, when halted.
        """
        if self._halted or self._count >= self._most:
            told(AuditFullError() if self._halted else BusyError())
            return
        self._count += 1
        identifier = job.request.identifier
        self._came()
        self._queues.setdefault(identifier.prefix_key, deque()).append(
            _Waiting(job, identifier.key, self._asked, told, single=True)
        )
        self._start(identifier.prefix_key)

    def _asked(self, told: Told, outcome: Outcome | Exception) -> None:
        self._count -= 1
        told(outcome)

    def _add(self, jobs: Sequence[Job], told: _Told, places: Iterable[Any]) -> None:
        keys = [job.request.identifier.key for job in jobs]
        all_ = map(_waiting, zip(jobs, keys, repeat(told), places, repeat(len(jobs) == 1), strict=False))
        if len(jobs) == 1:
            self._came()
        prefixes = dict[str, None]()
        for prefix, some in groupby(all_, attrgetter("prefix")):
            self._queues.setdefault(prefix, deque()).extend(some)
            prefixes[prefix] = None
        for prefix in prefixes:
            self._start(prefix)

    def _add_block(self, block: Block, who: Account, order: _Order) -> None:
        queue, at = self._queues.setdefault(block.prefix, deque()), 0
        for part in block.cut(GROUP_MOST):
            waiting = _WaitingBlock(part, who, order, range(at, at + part.size))
            if part.size < MANY:
                queue.extend(waiting.rows())
            else:
                queue.append(waiting)
            at += part.size
        self._start(block.prefix)

    def _came(self) -> None:
        """One more single is there."""
        if self._back is not None:
            self._away -= 1
            if not self._away and not self._back.done():
                self._back.set_result(None)

    def _start(self, prefix: str) -> None:
        """Sees to what waits for a prefix."""
        lanes = self._lanes.get(prefix, 0)
        queue = self._queues.get(prefix, ())
        if len(queue) >= MANY or (queue and isinstance(queue[0], _WaitingBlock)):
            if lanes < LANES:
                self._part(prefix)
        elif not lanes and prefix not in self._shared:
            self._share()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- transactions of one prefix

    def _part(self, prefix: str) -> None:
        self._lanes[prefix] += 1
        self._spawn(self._alone(prefix))

    async def _alone(self, prefix: str) -> None:
        group, blocks = list[_Waiting](), list[_WaitingBlock]()
        try:
            async with self._apart:
                blocks = self._taken_blocks(prefix)
                group = [] if blocks else self._taken(prefix, GROUP_MOST)
                if blocks:
                    self._start(prefix)
                    keys = [key for waiting in blocks for key in waiting.block.keys]
                    await self._writing(keys, self._commit_blocks(blocks))
                elif group:
                    self._start(prefix)
                    await self._writing([w.key for w in group], self._commit(group))
        finally:
            self._lanes[prefix] -= 1
            if not self._lanes[prefix]:
                del self._lanes[prefix]
            if group or blocks:
                self._start(prefix)

    async def _commit_blocks(self, blocks: Sequence[_WaitingBlock]) -> None:
        first, size = blocks[0], sum(len(waiting.places) for waiting in blocks)
        whole = first.block._replace(parts=[part for waiting in blocks for part in waiting.block.parts])
        outcomes: Sequence[Outcome | RegistryError]
        try:
            outcomes = await self._registrar.write_block(whole, first.who, self._clock())
        except RegistryError as error:
            outcomes = [error] * size
        except Exception as error:  # noqa: BLE001 - their rows are parted until the culprit stands alone
            log.debug("parted", error=repr(error))
            await self._commit([row for waiting in blocks for row in waiting.rows()])
            return
        at = 0
        for waiting in blocks:
            waiting.order.tell_some(waiting.places, outcomes[at : at + len(waiting.places)])
            at += len(waiting.places)

    async def _commit(self, group: Sequence[_Waiting]) -> None:
        try:
            outcomes = await self._registrar.write([w.job for w in group], self._clock())
        except RegistryError as error:
            _tell(group, [error] * len(group))
        except Exception as error:  # noqa: BLE001 - parted until the culprit stands alone, and told to it
            if len(group) == 1:
                _tell(group, [error])
                return
            half = len(group) // 2
            await self._commit(group[:half])
            await self._commit(group[half:])
        else:
            _tell(group, outcomes)

    # -- shared transactions

    def _share(self) -> None:
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_later(TURN_SECONDS, self._pass)
            self._spawn(self._together(self._turn))

    def _pass(self) -> None:
        """A turn that lasts is over: whoever waits need not wait for it."""
        self._turn = None
        self._share()

    async def _together(self, turn: asyncio.TimerHandle) -> None:
        shares = self._shares()
        self._shared |= shares.keys()
        group = [waiting for each in shares.values() for waiting in each]
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await self._writing([w.key for w in group], self._commit_together(group))
            if (crowd := sum(waiting.single for waiting in group)) >= CROWD:
                await self._rejoined(crowd, min(REJOIN * (loop.time() - began), TURN_SECONDS))
        finally:
            self._shared -= shares.keys()
            turn.cancel()
            if self._turn is turn:
                self._turn = None
            for prefix in shares:
                self._start(prefix)
            if shares:
                self._share()

    async def _rejoined(self, crowd: int, seconds: float) -> None:
        """Waits until so many singles have come, but no longer than that."""
        back = asyncio.get_running_loop().create_future()
        self._away, self._back = crowd, back
        try:
            await asyncio.wait([back], timeout=seconds)
        finally:
            if self._back is back:  # and not that of a crowd told since
                self._back = None

    def _shares(self) -> dict[str, list[_Waiting]]:
        """What is to be written together, by prefix: of those that wait longest."""
        shares: dict[str, list[_Waiting]] = {}
        left = GROUP_MOST
        for prefix in list(self._queues):
            if len(shares) == TOGETHER_MOST or not left:
                break
            if prefix not in self._lanes and prefix not in self._shared and (group := self._taken(prefix, left)):
                shares[prefix] = group
                left -= len(group)
        return shares

    async def _commit_together(self, group: Sequence[_Waiting]) -> None:
        if not group:
            return
        outcomes: Sequence[Outcome | RegistryError | None]
        try:
            outcomes = await self._registrar.write_together([w.job for w in group], self._clock())
        except RegistryError as error:
            outcomes = [error] * len(group)
        except Exception as error:  # noqa: BLE001 - each prefix goes on alone, and the culprit is told there
            log.debug("parted", error=repr(error))
            outcomes = [None] * len(group)
        alone = dict[str, list[_Waiting]]()
        for waiting, outcome in zip(group, outcomes, strict=True):
            if outcome is None:
                alone.setdefault(waiting.prefix, []).append(waiting)
        _tell(group, outcomes)
        for prefix, waitings in alone.items():
            self._queues.setdefault(prefix, deque()).extendleft(reversed(waitings))
            if prefix not in self._lanes:
                self._part(prefix)

    # -- both

    def _taken_blocks(self, prefix: str) -> list[_WaitingBlock]:
        """The block that waits longest for a prefix, if nothing waits longer, and those behind it that are like it, as
        many as may be written as one: no identifier twice. None while one of its identifiers is being written; whoever
        does so sees to it.
        """
        queue = self._queues.get(prefix, deque())
        taken, keys = list[_WaitingBlock](), set[str]()
        while queue and isinstance(waiting := queue[0], _WaitingBlock):
            more = waiting.block.keys
            if taken and (len(keys) + len(more) > GROUP_MOST or not waiting.beside(taken[0])):
                break
            if not (self._written.isdisjoint(more) and keys.isdisjoint(more)):
                break
            taken.append(queue.popleft())  # type: ignore[arg-type]
            keys.update(more)
        if taken and not queue:
            del self._queues[prefix]
        return taken

    def _taken(self, prefix: str, most: int) -> list[_Waiting]:
        """What waits longest for a prefix, before any block: no identifier twice, and none of which something is being
        written.

        So the changes of an identifier keep their order; whoever writes it sees to what is left.
        """
        queue = self._queues.get(prefix, deque())
        group: dict[str, _Waiting] = {}
        later = []
        while queue and len(group) < most and isinstance(waiting := queue[0], _Waiting):
            queue.popleft()
            if waiting.key in group or waiting.key in self._written:
                later.append(waiting)
            else:
                group[waiting.key] = waiting
        queue.extendleft(reversed(later))
        if not queue:
            self._queues.pop(prefix, None)
        return list(group.values())

    async def _writing(self, keys: Sequence[str], commit: Awaitable[None]) -> None:
        self._written.update(keys)
        try:
            await commit
        finally:
            self._written.difference_update(keys)

"""Stands before the batcher: counts every identifier asked to be written, by industry, operation and outcome, and notes
it for the access log.

It changes no outcome and no error, and judges nothing.
"""

import asyncio
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import cache, partial
from typing import Final, NamedTuple, TypeVar

import structlog

from node.gather import BusyError
from node.meter import Meter
from node.metrics import (
    BUSY,
    CONTENDED,
    FAILED,
    INDUSTRIES,
    OTHER,
    REFUSALS,
    REFUSED,
    REGISTRATION_IDENTIFIERS,
    REGISTRATION_SECONDS,
    REGISTRATIONS,
    UNAVAILABLE,
    UNCHANGED,
    UNKNOWN,
    WRITTEN,
)
from node.register.batcher import Batcher, Told
from proto.chain import Kind
from registry.access_log import NOWHERE, Note, Source, unnoted
from registry.account import Account
from registry.block import Block
from registry.errors import AuditFullError, RegistryError, UnavailableError, UnknownOutcomeError
from registry.lookup import Lookup
from registry.registrar import Job, Outcome, Written
from registry.rules import Refused, Rule, Unchanged

PREFIXES_MOST: Final = 4096
"""Prefixes whose industry a worker remembers: three for each of the 1200 enterprises of an average node."""

COUNTING_MOST: Final = 64
"""Single registrations that wait to be counted until it is known what industry they belong to, after they were
answered; more count as `other`."""

T = TypeVar("T")

log = structlog.get_logger("register")

_NAMES: Final[dict[type, str]] = {
    Written: WRITTEN,
    Unchanged: UNCHANGED,
    Refused: REFUSED,
    UnavailableError: UNAVAILABLE,
    AuditFullError: UNAVAILABLE,
    UnknownOutcomeError: UNKNOWN,
    BusyError: BUSY,
}
_STRANGE: Final = frozenset({Rule.FOREIGN_PREFIX, Rule.PERMISSION})
"""Who is refused so shall not make us look up prefixes that are not theirs."""


class MeasuredBatcher:
    """Hands jobs to `next_`, counts with `meter` and tells `note`; `clock` gives monotonic seconds."""

    def __init__(
        self, next_: Batcher, lookup: Lookup, meter: Meter, clock: Callable[[], float], note: Note = unnoted
    ) -> None:
        self._next = next_
        self._note = note
        self._lookup = lookup
        self._meter = meter
        self._clock = clock
        self._industries: OrderedDict[str, str] = OrderedDict()
        self._counting: set[asyncio.Task[None]] = set()

    async def write(self, jobs: Sequence[Job], source: Source = NOWHERE) -> list[Outcome | RegistryError]:
        """What the batcher says of them, and raises what it raises."""
        return await self._carried_out(self._next.write(jobs), _Asked.of(jobs), source)

    async def write_block(self, block: Block, who: Account, source: Source = NOWHERE) -> list[Outcome | RegistryError]:
        """The same of the rows of a block, by one account."""
        asked = _Asked(["create"] * block.size, [block.prefix] * block.size, block.keys, who.number)
        return await self._carried_out(self._next.write_block(block, who), asked, source)

    async def _carried_out(
        self, writing: Awaitable[list[Outcome | RegistryError]], asked: "_Asked", source: Source
    ) -> list[Outcome | RegistryError]:
        began = self._clock()
        try:
            outcomes = await writing
        except Exception as error:
            failed = [error] * len(asked.texts)
            await self._count(asked, failed, self._noted(began, source, asked, failed))
            raise
        self._meter.observe(REGISTRATION_SECONDS, self._clock() - began)
        self._meter.observe(REGISTRATION_IDENTIFIERS, len(outcomes))
        await self._count(asked, outcomes, self._noted(began, source, asked, outcomes))
        return outcomes

    async def write_one(self, job: Job, source: Source) -> Outcome:
        """What comes of one job. Raises what the batcher says of it, and UnavailableError where others were at that
        identifier all the time.
        """
        outcome = (await self.write([job], source))[0]
        if isinstance(outcome, RegistryError):
            raise outcome
        if isinstance(outcome, Refused) and outcome.rule is Rule.CONTENDED:
            raise UnavailableError("contended")
        return outcome

    def ask(self, job: Job, told: Told, source: Source = NOWHERE) -> None:
        """`write` of one job, as the batcher's `ask`."""
        self._next.ask(job, partial(self._asked, job, self._clock(), told, source))

    def _asked(self, job: Job, began: float, told: Told, source: Source, outcome: Outcome | Exception) -> None:
        took = self._clock() - began
        told(outcome)
        label = next(_labels([job.request.operation], [outcome]))
        self._note((began, *source, job.who.number, job.request.identifier.text, label.words))
        if not isinstance(outcome, Exception) or isinstance(outcome, RegistryError):
            self._meter.observe(REGISTRATION_SECONDS, took)
            self._meter.observe(REGISTRATION_IDENTIFIERS, 1)
        industry = self._known(job.request.identifier.prefix_key, label)
        if industry is None and len(self._counting) < COUNTING_MOST:
            task = asyncio.create_task(self._count(_Asked.of([job]), [outcome], [label]))
            self._counting.add(task)
            task.add_done_callback(self._counting.discard)
            return
        self._meter.count(REGISTRATIONS, industry or OTHER, *label[:2])
        if isinstance(outcome, Refused):
            self._meter.count(REFUSALS, outcome.rule.value)

    def _noted(
        self, began: float, source: Source, asked: "_Asked", outcomes: Sequence[Outcome | Exception]
    ) -> "list[_Label]":
        """Notes all of a call together, and returns under what each is counted."""
        labels = list(_labels(asked.operations, outcomes))
        if labels:
            texts = asked.texts
            named = tuple(texts) if len(texts) > 1 else texts[0]
            self._note((began, *source, asked.who, named, _common([label.words for label in labels])))
        return labels

    async def _count(
        self, asked: "_Asked", outcomes: Sequence[Outcome | Exception], labels: "Sequence[_Label]"
    ) -> None:
        for (prefix, label), times in Counter(zip(asked.prefixes, labels, strict=True)).items():
            self._meter.count(REGISTRATIONS, await self._industry(prefix, label), *label[:2], by=times)
        for outcome in outcomes:
            if isinstance(outcome, Refused):
                self._meter.count(REFUSALS, outcome.rule.value)

    def _known(self, prefix: str, label: "_Label") -> str | None:
        """The industry to count it under, if the registry need not be asked: it is not when nothing was judged."""
        kept = self._industries.get(prefix)
        if kept is not None:
            self._industries.move_to_end(prefix)
            return kept
        return OTHER if label.strange else None

    async def _industry(self, prefix: str, label: "_Label") -> str:
        """The industry a prefix belongs to, asked of the registry once."""
        if known := self._known(prefix, label):
            return known
        try:
            found = await self._lookup.industry(prefix)
        except UnavailableError as error:
            log.debug("industry_not_known", prefix=prefix, error=str(error))
            return OTHER
        self._industries[prefix] = found if found in INDUSTRIES else OTHER
        while len(self._industries) > PREFIXES_MOST:
            self._industries.popitem(last=False)
        return self._industries[prefix]


class _Asked(NamedTuple):
    """What was asked: of each identifier the operation, the key of its prefix, and how it was spelt; and by whom, or
    each by whom.
    """

    operations: Sequence[str]
    prefixes: Sequence[str]
    texts: Sequence[str]
    who: int | tuple[int, ...]

    @classmethod
    def of(cls, jobs: Sequence[Job]) -> "_Asked":
        """What jobs ask."""
        requests = [job.request for job in jobs]
        return cls(
            [request.operation for request in requests],
            [request.identifier.prefix_key for request in requests],
            [request.identifier.text for request in requests],
            _common([job.who.number for job in jobs]) if jobs else 0,
        )


class _Label(NamedTuple):
    """What a job and its outcome are counted under, and what the access log calls them. `strange`: nothing was judged,
    so its prefix is not looked up.
    """

    operation: str
    name: str
    words: str
    strange: bool


def _labels(operations: Sequence[str], outcomes: Sequence[Outcome | Exception]) -> Iterator[_Label]:
    """The label of each. Neighbours nearly always share both operation and outcome."""
    of: tuple[str, Outcome | Exception] | None = None
    label: _Label
    for operation, outcome in zip(operations, outcomes, strict=True):
        if of is None or of[1] is not outcome or of[0] != operation:
            of = operation, outcome
            revived = isinstance(outcome, Written) and outcome.kind is Kind.REVIVED
            strange = isinstance(outcome, Exception) or (isinstance(outcome, Refused) and outcome.rule in _STRANGE)
            label = _label("revive" if revived else operation, _name(outcome), strange)
        yield label


@cache
def _label(operation: str, name: str, strange: bool) -> _Label:
    """One for all that are alike, and one text for the access log."""
    return _Label(operation, name, f"{operation} {name}", strange)


def _common(values: list[T]) -> T | tuple[T, ...]:
    """The one they all are, or else each of them; there is one at least."""
    return values[0] if values.count(values[0]) == len(values) else tuple(values)


def _name(outcome: Outcome | Exception) -> str:
    if isinstance(outcome, Refused) and outcome.rule is Rule.CONTENDED:
        return CONTENDED
    return _NAMES.get(type(outcome), FAILED)

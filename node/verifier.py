"""`Verifier`: whether what is told of an identifier is as somebody trusted said, with the reason in the journal.

Finds the certificates a signature needs, bounded in number and time; what follows from them says proto/trust.py.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from hashlib import sha256
from typing import Any, Final, NamedTuple, Protocol

import structlog

from node.buckets import Buckets
from node.gather import BusyError
from node.resolve.answer import Answer, Outcome
from node.turns import Turns
from proto import trust
from proto.identifier import Identifier
from proto.keys import public
from proto.native import values as wire
from proto.trust import CHAIN_MOST, Finding, Root, Trust
from proto.value import Value
from proto.values.claims import Certificate, Signature
from proto.web_json import values_of
from registry.errors import UnavailableError

SECONDS: Final = 3.0
"""How long certificates are looked for, as long as a forward may take; what is missing then is not known."""
LOOKS_MOST: Final = 16
"""Identifiers looked at for one record: two whole chains."""
KEPT_SECONDS: Final = 60.0
"""How long a finding is kept, and so how late the end of a term or a certificate that was taken back may be seen."""
UNKNOWN_SECONDS: Final = 5.0
"""How long it is kept that nothing is known: what was missing may have come."""
KEPT_MOST: Final = 4096
"""Findings kept, some 200 octets each."""
UNDER_WAY_MOST: Final = 256
"""Records verified at once; who asks for more is told to come back."""
LINES_MOST: Final = 50
"""Lines of the journal a second for one reason; more than that are written at level debug."""

Look = Callable[[Identifier], Awaitable[tuple[Value, ...]]]
"""The public values of an identifier, none where there is none."""
Aside = Callable[..., Awaitable[Any]]
"""Calls a function with its arguments where it holds up nobody: asyncio.to_thread, or one that takes turns."""

log = structlog.get_logger("verifier")


class Resolver(Protocol):
    """Whom certificates are asked of."""

    async def ask(self, identifier: Identifier, *, onward: bool = True) -> Answer:
        """As `node.resolve.hot.Hot.ask`."""


class Proven(NamedTuple):
    """What was found, and of the signature it was found of the chain, as far as it goes."""

    finding: Finding
    claim: Signature | None = None
    chain: tuple[Certificate, ...] = ()


async def verify(
    identifier: Identifier,
    told: Collection[Value],
    claims: Collection[Signature],
    look: Look,
    roots: Collection[Root],
    now: int,
    aside: Aside = asyncio.to_thread,
) -> Proven:
    """What `claims` say at `now`, seconds since 1970 UTC, of the values `told` of `identifier`.

    Raises what `look` does.
    """
    seen: dict[str, tuple[Value, ...]] = {}
    found: list[Proven] = []
    for claim in claims:
        chain: tuple[Certificate, ...] = ()
        finding = await aside(trust.judge, identifier, told, claim, chain, roots, now)
        if finding is Finding.CHAIN_INCOMPLETE:
            chain = tuple(await _chain(claim, look, seen, roots, aside))
            finding = await aside(trust.judge, identifier, told, claim, chain, roots, now)
        found.append(Proven(finding, claim, chain))
        if finding.trust is Trust.TRUSTED:
            break
    best = trust.best(each.finding for each in found)
    return next((each for each in found if each.finding is best), Proven(best))


async def _chain(
    claim: Signature, look: Look, seen: dict[str, tuple[Value, ...]], roots: Collection[Root], aside: Aside
) -> list[Certificate]:
    chain: list[Certificate] = []
    below: Signature | Certificate = claim
    while len(chain) < CHAIN_MOST:
        handle = below.issuer.handle
        if handle not in seen:
            if len(seen) >= LOOKS_MOST:
                break
            seen[handle] = await look(Identifier.parse(handle))
        each = await aside(trust.issuer_of, below, seen[handle])
        if each is None:
            break
        chain.append(each)
        if each.self_signed or Root(each.subject.handle, public.fingerprint(each.key)) in roots:
            break
        below = each
    return chain


class Verifier:
    """Verifies for one worker. `clock` gives monotonic seconds, `now` those since 1970 UTC."""

    def __init__(
        self, resolver: Resolver, roots: frozenset[Root], clock: Callable[[], float], now: Callable[[], int]
    ) -> None:
        self._resolver = resolver
        self._roots = roots
        self._clock = clock
        self._now = now
        self._kept: OrderedDict[bytes, tuple[Finding, float]] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[Finding]] = {}
        self._turns = Turns(clock)
        self._lines = Buckets(LINES_MOST, 1.0, clock)

    async def found(self, identifier: Identifier, told: tuple[Value, ...], *, onward: bool = True) -> Finding:
        """What is found of the values `told` of `identifier`, perhaps a moment ago.

        Without `onward` no other node is asked for certificates. Raises BusyError when too many are under way.
        """
        if not self._roots:
            return Finding.NO_ROOTS
        key = sha256(f"{onward} {identifier.key} ".encode() + wire.list_octets(told)).digest()
        finding, until = self._kept.get(key, (Finding.UNSIGNED, 0.0))
        if self._clock() < until:
            return finding
        task = self._under_way.get(key)
        if task is None:
            if len(self._under_way) >= UNDER_WAY_MOST:
                raise BusyError
            task = self._under_way[key] = asyncio.create_task(self._verified(identifier, told, onward))
            task.add_done_callback(partial(self._ended, key))
        return await asyncio.shield(task)

    def _ended(self, key: bytes, task: asyncio.Task[Finding]) -> None:
        del self._under_way[key]
        if task.cancelled() or task.exception() is not None:
            return
        finding = task.result()
        seconds = UNKNOWN_SECONDS if finding.trust is Trust.UNKNOWN else KEPT_SECONDS
        self._kept[key] = finding, self._clock() + seconds
        self._kept.move_to_end(key)
        if len(self._kept) > KEPT_MOST:
            self._kept.popitem(last=False)

    async def _verified(self, identifier: Identifier, told: tuple[Value, ...], onward: bool) -> Finding:
        look = partial(self._look, onward)
        try:
            async with asyncio.timeout(SECONDS):
                record = told if _signs(told) else await look(identifier)
                # Of another version than what is told nothing is said here.
                claims = await self._aside(trust.signatures, record) if _within(told, record) else []
                proven = await verify(identifier, told, claims, look, self._roots, self._now(), self._aside)
        except (TimeoutError, BusyError, UnavailableError):
            proven = Proven(Finding.CHAIN_INCOMPLETE)
        finding = proven.finding
        by = f"{proven.claim.issuer.index}:{proven.claim.issuer.handle}" if proven.claim else ""
        tell = log.debug if self._lines.draw(finding) else log.info
        tell("trusted_query", identifier=str(identifier), trust=finding.trust.value, reason=finding.word, by=by)
        return finding

    async def _look(self, onward: bool, identifier: Identifier) -> tuple[Value, ...]:
        answer = await self._resolver.ask(identifier, onward=onward)
        return values_of(answer.shown) if answer.outcome is Outcome.FOUND else ()

    async def _aside(self, function: Callable[..., Any], *given: Any) -> Any:
        """In a thread, by turns: others may deposit keys that are costly to try."""
        async with self._turns.one():
            return await asyncio.to_thread(function, *given)


def _signs(values: tuple[Value, ...]) -> bool:
    return any(trust.is_signature(value) for value in values)


def _within(told: tuple[Value, ...], record: tuple[Value, ...]) -> bool:
    """Whether what everybody is told of it is still there."""
    return told is record or {value for value in told if value.public} <= set(record)

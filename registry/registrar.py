"""The writing door, on one page: load, judge, commit, report.

Whoever keeps answers in caches is told before and after every commit (`Announcer`); this room knows no cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, Protocol

import asyncpg

from proto.chain import Kind, entry_digest
from registry.account import Account
from registry.errors import RegistryError, UnavailableError, UnknownOutcomeError
from registry.lookup import Lookup
from registry.postgres import records
from registry.postgres.connection import BROKEN, borrowed, cut
from registry.postgres.records import Change, Ground
from registry.prefix import PrefixState, RegisteredPrefix
from registry.record import Record, pack
from registry.rules import Accepted, Judgement, Refused, Request, Rule, Unchanged, judge
from registry.template import Template

ROUNDS: Final = 3
"""How often a write that lost a race is judged again before it is told to come back."""
GROUP_MOST: Final = 2000
"""Most changes of one transaction: the largest batch the SNMS OpenAPI allows."""

_PREMISE_GONE: Final = frozenset({"ID001", "ID002", "40P01", "40001"})
"""States that mean: judge again. Prefix changed, template gone, deadlock, serialization failure."""

_GIVEN_UP: Final = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
"""The server itself says that it stopped waiting and rolled back: that is known, not unknown."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request and who asks."""

    request: Request
    who: Account


@dataclass(frozen=True, slots=True)
class Written:
    """It is recorded, and survives whatever process dies now."""

    kind: Kind
    version: int


Outcome = Written | Unchanged | Refused


class Announcer(Protocol):
    """Told of every commit by its keys: before it is tried, and whatever came of it."""

    def pending(self, keys: Sequence[str]) -> None:
        """A commit that changes `keys` is about to be sent."""

    async def written(self, keys: Sequence[str], versions: Sequence[int]) -> None:
        """It happened: no cache of this machine may answer older versions when this returns."""

    def unwritten(self, keys: Sequence[str]) -> None:
        """It certainly did not happen."""

    def unknown(self, keys: Sequence[str], backend: int) -> None:
        """Nobody knows; the server process `backend` may still be committing."""


CONTENDED: Final = Refused(Rule.CONTENDED, "handle", "系统繁忙", "others keep changing this identifier; try again")


class Registrar:
    """Writes groups of requests, all under one prefix and no identifier twice.

    `reuse_deleted`: whether a deleted identifier may be created again.
    """

    def __init__(self, pool: Any, lookup: Lookup, announcer: Announcer, *, reuse_deleted: bool) -> None:
        self._pool = pool
        self._lookup = lookup
        self._announcer = announcer
        self._reuse_deleted = reuse_deleted

    async def write(self, jobs: Sequence[Job], now: int) -> list[Outcome | RegistryError]:
        """One outcome a job, in order; an error for those it kept from being written after others were.

        `now` is seconds since 1970 UTC.
        Raises UnavailableError (nothing was done) or UnknownOutcomeError (it may have been done).
        """
        outcomes: dict[int, Outcome] = {}
        open_ = list(range(len(jobs)))
        for round_ in range(ROUNDS):
            try:
                open_ = await self._round(jobs, open_, outcomes, now)
            except RegistryError as error:
                if not round_:
                    raise
                # Some are written: only those still open share this fate.
                return [outcomes.get(n, error) for n in range(len(jobs))]
            if not open_:
                break
        return [outcomes.get(n, CONTENDED) for n in range(len(jobs))]

    async def _round(self, jobs: Sequence[Job], open_: list[int], outcomes: dict[int, Outcome], now: int) -> list[int]:
        """Judges and writes the `open_` jobs, notes their outcomes, and returns which must be judged again."""
        judged = await self._judge([jobs[n] for n in open_], now)
        accepted = []
        for n, judgement in zip(open_, judged.judgements, strict=True):
            if isinstance(judgement, Accepted):
                accepted.append((n, judgement))
            else:
                outcomes[n] = judgement
        return await self._commit(jobs, accepted, judged, outcomes, now)

    async def _judge(self, jobs: Sequence[Job], now: int) -> "_Judged":
        prefix_key = jobs[0].request.identifier.prefix_key
        # PostgreSQL refuses a text with NUL, and the neighbours' with it; no template is called so.
        versions = sorted({job.request.template for job in jobs if "\0" not in job.request.template})
        async with borrowed(self._pool, "judge") as connection:
            ground = await records.ground(
                connection, prefix_key, versions, [job.request.identifier.suffix_key for job in jobs]
            )
        prefix = _prefix(prefix_key, ground)
        templates = {v: await self._lookup.template(*ground.templates[v]) for v in ground.templates}
        names = {template.number: v for v, template in templates.items() if template}
        judgements = []
        bases = {}
        for job in jobs:
            request = job.request
            stored = ground.records.get(request.identifier.suffix_key)
            record, kept = await self._lookup.record(stored) if stored else (None, None)
            if kept is not None:
                names[kept.number] = kept.version
            bases[request.identifier.key] = record.version if record else 0
            template = templates.get(request.template)
            judgements.append(judge(record, request, job.who, prefix, template, now, self._reuse_deleted))
        return _Judged(prefix, templates, names, bases, judgements)

    async def _commit(
        self,
        jobs: Sequence[Job],
        accepted: list[tuple[int, Accepted]],
        judged: "_Judged",
        outcomes: dict[int, Outcome],
        now: int,
    ) -> list[int]:
        """Writes what was accepted, notes its outcomes, and returns which jobs must be judged again."""
        if not accepted:
            return []
        assert judged.prefix is not None
        accepted = sorted(accepted, key=lambda pair: jobs[pair[0]].request.identifier.suffix_key)
        changes = [_change(jobs[n], a, judged) for n, a in accepted]
        won = await self._send(judged.prefix, changes, [jobs[n].request.identifier.key for n, _ in accepted], now)
        for position in won:
            n, judgement = accepted[position]
            outcomes[n] = Written(judgement.kind, judgement.record.version)
        return [n for n, _ in accepted if n not in outcomes]

    async def _send(
        self, prefix: RegisteredPrefix, changes: Sequence[Change], keys: Sequence[str], now: int
    ) -> list[int]:
        async with borrowed(self._pool, "commit") as connection:
            backend = connection.get_server_pid()
            self._announcer.pending(keys)
            try:
                won = await records.commit(connection, prefix.number, prefix.epoch, now, changes)
            except BaseException as error:
                if isinstance(error, _GIVEN_UP):
                    self._announcer.unwritten(keys)
                    raise UnavailableError(str(error)) from error
                if isinstance(error, asyncpg.PostgresError) and not isinstance(error, BROKEN):
                    self._announcer.unwritten(keys)
                    if error.sqlstate in _PREMISE_GONE:
                        return []
                    raise
                self._announcer.unknown(keys, backend)
                cut(connection)
                if isinstance(error, BROKEN):
                    raise UnknownOutcomeError(str(error), backend) from error
                raise
        await self._announcer.written(keys, [change.base + 1 for change in changes])
        return won


@dataclass(frozen=True, slots=True)
class _Judged:
    prefix: RegisteredPrefix | None
    templates: dict[str, Template | None]
    names: dict[int, str]
    bases: dict[str, int]
    judgements: list[Judgement]


def _prefix(key: str, ground: Ground) -> RegisteredPrefix | None:
    if ground.prefix is None:
        return None
    number, state, epoch, enterprise = ground.prefix
    return RegisteredPrefix(number, key, PrefixState(state), epoch, enterprise)


def _change(job: Job, judgement: Accepted, judged: _Judged) -> Change:
    identifier, record = job.request.identifier, judgement.record
    template = judged.templates.get(job.request.template)
    body = _body(record, template) if judgement.body is None else judgement.body
    return Change(
        suffix=identifier.suffix_key,
        base=judged.bases[identifier.key],
        kind=judgement.kind,
        template=record.template,
        actor=job.who.number,
        live=record.live,
        body=body,
        entry=entry_digest(
            identifier.key,
            record.version,
            judgement.kind,
            judged.names.get(record.template, ""),
            sha256(body).digest(),
        ),
    )


def _body(record: Record, template: Template | None) -> bytes:
    names = {item.index: item.name for item in template.items} if template else {}
    return pack(record.values, names, record.updated)


__all__ = ["CONTENDED", "GROUP_MOST", "Announcer", "Job", "Outcome", "Registrar", "Written"]

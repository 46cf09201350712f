"""The writing door, on one page: load, judge, commit, report.

Whoever keeps answers in caches is told before and after every commit (`Announcer`); this room knows no cache.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from hashlib import sha256
from itertools import chain
from typing import Any, Final, NamedTuple, Protocol, TypeVar

import asyncpg

from proto.chain import Kind, entry_digest, entry_digester
from proto.identifier import PREFIX_HANDLES, Identifier
from registry import claim, holding, reference
from registry.account import Account
from registry.block import Block, Rows
from registry.claim import Claim
from registry.errors import RegistryError, UnavailableError, UnknownOutcomeError
from registry.holding import Holds
from registry.lookup import Lookup, unpacked
from registry.postgres import catalogue, records
from registry.postgres.connection import BROKEN, Connection, borrowed, cut
from registry.postgres.records import Change, Ground, New, Share, Stored
from registry.prefix import PrefixState, RegisteredPrefix
from registry.quota import Left, Quota
from registry.record import Record, pack
from registry.rules import ALONE, Accepted, Around, Refused, Request, Rule, Unchanged, judge, new_body, opens
from registry.sight import NOTHING, Reach
from registry.template import Template

ROUNDS: Final = 3
"""How often a write that lost a race is judged again before it is told to come back."""
GROUP_MOST: Final = 1000
"""Most changes of one transaction. Handing it to PostgreSQL is the one part of a write that is not divided: 2 µs a row,
and whoever reads waits so long. The largest batch of the SNMS OpenAPI is two such: one is judged while the other is
written."""

MET_BLOCKS: Final = 8
"""Of a prefix of which a block was not all new, so many are judged row by row before another is tried: who registers
much again does so with all of it, and to try takes a tenth of what rows take."""
MET_MOST: Final = 1024
"""Prefixes of which that is remembered: about all a node has."""

PREMISE_GONE: Final = frozenset({"ID001", "ID002", "ID003", "ID004", "40P01", "40001"})
"""States that mean: judge again. Prefix changed, template gone, quota exhausted, unique value taken, deadlock,
serialization failure."""

GIVEN_UP: Final = (asyncpg.QueryCanceledError, asyncpg.LockNotAvailableError)
"""The server itself says that it stopped waiting and rolled back: that is known, not unknown."""


T = TypeVar("T")
R = TypeVar("R")


class Job(NamedTuple):
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


class Runs(Protocol):
    """How something is done with many items, some at a time, without keeping others from their turn."""

    async def __call__(self, do: Callable[[Sequence[T]], Sequence[R]], items: Sequence[T]) -> list[R]:
        """What `do` makes of each item, in order; it is given neighbours, and makes one thing of each."""


CONTENDED: Final = Refused(Rule.CONTENDED, "handle", "系统繁忙", "others keep changing this identifier; try again")


class Registrar:
    """Writes groups of requests, no identifier twice in one.

    `runs` says how the judging of many is spread over time; `reuse_deleted` whether a deleted identifier may be
    created again.
    """

    def __init__(self, pool: Any, lookup: Lookup, announcer: Announcer, runs: Runs, *, reuse_deleted: bool) -> None:
        self._pool = pool
        self._lookup = lookup
        self._announcer = announcer
        self._runs = runs
        self._reuse_deleted = reuse_deleted
        self._met: dict[str, int] = {}  # of which prefixes so many blocks are not to be tried

    async def write(self, jobs: Sequence[Job], now: int) -> list[Outcome | RegistryError]:
        """One outcome a job, all of one prefix, in order; an error for those it kept from being written after others
        were.

        `now` is seconds since 1970 UTC.
        Raises UnavailableError (nothing was done) or UnknownOutcomeError (it may have been done).
        """
        outcomes: dict[int, Outcome] = {}
        open_ = list(range(len(jobs)))
        for round_ in range(ROUNDS):
            try:
                open_ = await self._round(jobs, open_, outcomes, now, alone=True)
            except RegistryError as error:
                if not round_:
                    raise
                # Some are written: only those still open share this fate.
                return [outcomes.get(n, error) for n in range(len(jobs))]
            if not open_:
                break
        return [outcomes.get(n, CONTENDED) for n in range(len(jobs))]

    async def write_together(self, jobs: Sequence[Job], now: int) -> list[Outcome | None]:
        """One outcome a job, of any prefixes, in order; None for one that `write` is to be tried with: what its prefix
        waits for, or fails at, is nothing to the others.

        `now` and errors are those of `write`; of a connection that is lost all hear.
        """
        outcomes: dict[int, Outcome] = {}
        await self._round(jobs, list(range(len(jobs))), outcomes, now, alone=False)
        return [outcomes.get(n) for n in range(len(jobs))]

    async def write_block(self, block: Block, who: Account, now: int) -> list[Outcome | RegistryError]:
        """`write` of the rows of a block of at most GROUP_MOST, in order."""
        outcomes = None if self._not_yet(block.prefix) else await self._write_whole(block, who, now)
        return await self.write(await self._jobs(block, who), now) if outcomes is None else outcomes

    def _not_yet(self, prefix: str) -> bool:
        """Whether no block of this prefix is to be tried now."""
        left = self._met.pop(prefix, 0)
        if left > 1:
            self._met[prefix] = left - 1
        return left > 0

    async def _jobs(self, block: Block, who: Account) -> list[Job]:
        """The rows of a block, one by one."""

        def some(parts: Sequence[Rows]) -> list[list[Job]]:
            return [[Job(request, who) for request in block.requests([part])] for part in parts]

        return list(chain.from_iterable(await self._runs(some, block.parts)))

    async def _write_whole(self, block: Block, who: Account, now: int) -> list[Outcome | RegistryError] | None:
        """What `write` would tell; None, and nothing is done, where something may speak against a row.

        None is looked up before: who registers many alike nearly always registers new ones, and others are left out
        when they are written.
        """
        grounds = (await self._grounds_of({block.prefix: 1}, {block.template}, [], []))[block.prefix]
        opening = _opening(block.requests(block.parts[:1])[0], who, grounds, ALONE)
        if opening is None:
            return None
        parts = await self._runs(partial(opening.parts, block), block.parts)
        if None in parts:
            return None
        new = New.of([part for part in parts if part])
        if grounds.left is not None and any([grounds.left.take(_CREATED, len(body)) for body in new.bodies]):
            return None
        share = Share(opening.prefix.number, opening.prefix.epoch, block.size)
        commit = partial(records.commit_new, share=share, at=now, template=opening.template.number, actor=who.number)
        won = await self._send(partial(commit, new=new), block.keys_of(new.suffixes), [1] * block.size, alone=True)
        written = _written(_CREATED, 0)
        if len(won) == block.size:
            return [written] * block.size
        self._met[block.prefix] = MET_BLOCKS
        if len(self._met) > MET_MOST:
            del self._met[next(iter(self._met))]
        lost = set(new.suffixes) - {new.suffixes[position] for position in won}
        again = [job for job in await self._jobs(block, who) if job.request.identifier.suffix in lost]
        outcomes: list[Outcome | RegistryError]
        try:
            outcomes = await self.write(again, now)
        except RegistryError as error:
            if not won:
                raise
            outcomes = [error] * len(again)  # the others are written: only these share this fate
        rest = iter(outcomes)
        return [next(rest) if suffix in lost else written for suffix in block.suffixes]

    async def _round(
        self, jobs: Sequence[Job], open_: list[int], outcomes: dict[int, Outcome], now: int, *, alone: bool
    ) -> list[int]:
        """Judges and writes the `open_` jobs, notes their outcomes, and returns which must be judged again."""
        grounds = await self._load([jobs[n] for n in open_])
        around = await self._around([jobs[n] for n in open_], grounds)
        judged = await self._runs(lambda run: self._judged([jobs[n] for n in run], grounds, around, now), open_)
        changes, strangers = list[tuple[Change, int]](), list[int]()
        for n, judgement in zip(open_, judged, strict=True):
            if isinstance(judgement, Change):
                changes.append((judgement, n))
            else:
                outcomes[n] = judgement
                if isinstance(judgement, Refused) and judgement.rule is Rule.PERMISSION:
                    strangers.append(n)
        for n, granted in await self._granted(jobs, strangers, grounds, around, now):
            if isinstance(granted, Change):
                del outcomes[n]
                changes.append((granted, n))
            else:
                outcomes[n] = granted
        return await self._commit(jobs, changes, grounds, outcomes, now, alone=alone)

    async def _granted(
        self,
        jobs: Sequence[Job],
        strangers: Sequence[int],
        grounds: "Mapping[str, _Grounds]",
        around: Around,
        now: int,
    ) -> "list[tuple[int, Change | Unchanged | Refused]]":
        """The jobs of those who may not write there, judged again by what was granted to them. Where a grant ends the
        prefix's epoch changes, and a commit that was judged on it with it.
        """
        asked: dict[Account, dict[int, tuple[int, str, int]]] = {}
        for n in strangers:
            there = grounds[jobs[n].request.identifier.prefix_key].records.get(jobs[n].request.identifier.suffix_key)
            if there is not None and jobs[n].request.operation == "update":
                suffix = jobs[n].request.identifier.suffix_key
                asked.setdefault(jobs[n].who, {})[n] = (there.prefix, suffix, there.template)
        judged = []
        for who, places in asked.items():
            far = await self._lookup.reaches(who, list(places.values()), now)
            judged += [
                (n, self._judge(jobs[n], grounds, around, now, each)) for n, each in zip(places, far, strict=True)
            ]
        return judged

    async def _load(self, jobs: Sequence[Job]) -> "dict[str, _Grounds]":
        """The grounds of each prefix, by its key."""
        places: dict[str, int] = {}
        of = [places.setdefault(job.request.identifier.prefix_key, len(places) + 1) for job in jobs]
        suffixes = [job.request.identifier.suffix_key for job in jobs]
        return await self._grounds_of(places, {job.request.template for job in jobs}, suffixes, of)

    async def _grounds_of(
        self, places: dict[str, int], templates: Set[str], suffixes: Sequence[str], of: Sequence[int]
    ) -> "dict[str, _Grounds]":
        """The grounds of each of the prefixes `places`, numbered from 1, on which templates named so and suffixes are
        judged, each `of` the prefix of that number.
        """
        # PostgreSQL refuses a text with NUL, and the neighbours' with it; no template is called so.
        versions = sorted(each for each in templates if "\0" not in each)
        async with borrowed(self._pool, "judge") as connection:
            found = await records.grounds(connection, list(places), versions, suffixes, of)
            there = places.get(PREFIX_HANDLES)
            handles = [suffix for suffix, n in zip(suffixes, of, strict=True) if n == there] if there else []
            # After their epoch was read: a prefix that closes from here on changes it.
            about = await catalogue.having_handles(connection, handles) | {self._lookup.node} if handles else set()
        left: dict[int | None, Left] = {}
        all_ = {key: await self._grounds(key, ground, left) for key, ground in zip(places, found, strict=True)}
        if handles:
            all_[PREFIX_HANDLES] = replace(all_[PREFIX_HANDLES], about=frozenset(about))
        return all_

    async def _grounds(self, prefix_key: str, ground: Ground, left: dict[int | None, Left]) -> "_Grounds":
        named = {v: await self._lookup.template(*ground.templates[v]) for v in ground.templates}
        wanted = {(stored.template, stored.template_epoch) for stored in ground.records.values() if stored.template}
        kept = {number: await self._lookup.template(number, epoch) for number, epoch in wanted}
        names = {template.number: template.version for template in (*named.values(), *kept.values()) if template}
        prefix = _prefix(prefix_key, ground)
        if prefix is None or ground.quota is None:
            return _Grounds(prefix, named, kept, names, ground.records)
        mine = left.setdefault(prefix.enterprise, _left(*ground.quota))
        return _Grounds(prefix, named, kept, names, ground.records, mine)

    async def _around(self, jobs: Sequence[Job], all_: "Mapping[str, _Grounds]") -> Around:
        """What others are to these jobs: looked up for templates that ask for it only."""
        if not any(t and (t.strict or t.unique) for grounds in all_.values() for t in grounds.named.values()):
            return ALONE
        targets: dict[str, Identifier] = {}
        claims: set[Claim] = set()

        def ask(run: Sequence[Job]) -> Sequence[Job]:
            for job in run:
                template = all_[job.request.identifier.prefix_key].named.get(job.request.template)
                claims.update(claim.claims(template, job.request.values))
                for _, target in reference.wanted(template, job.request.values):
                    targets.setdefault(target, Identifier.parse(target))
            return run

        await self._runs(ask, jobs)
        found = await self._lookup.look(list(targets.values())) if targets else []
        absent = {target for target, stored in zip(targets, found, strict=True) if stored.prefix and not stored.live}
        return Around(absent, await self._lookup.holders_of(list(claims)) if claims else {})

    def _judged(
        self, jobs: Sequence[Job], all_: "Mapping[str, _Grounds]", around: Around, now: int
    ) -> list[Change | Unchanged | Refused]:
        """`_judge` of each. What neighbours have in common is judged once; so whoever has nothing else to be said
        against is only looked at for that.
        """
        judged: list[Change | Unchanged | Refused] = []
        prefix = template = ""
        who, opening = None, None
        for job in jobs:
            request = job.request
            identifier = request.identifier
            if job.who is not who or request.template != template or identifier.prefix_key != prefix:
                prefix, template, who = identifier.prefix_key, request.template, job.who
                opening = _opening(request, who, all_[prefix], around)
            change = None
            if opening is not None and identifier.suffix_key not in opening.grounds.records:
                change = opening.change(request)
            judged.append(self._judge(job, all_, around, now) if change is None else change)
        return judged

    def _judge(
        self, job: Job, all_: "Mapping[str, _Grounds]", around: Around, now: int, far: Reach = NOTHING
    ) -> Change | Unchanged | Refused:
        """The change a job makes, ready to be written, or why it makes none."""
        request = job.request
        grounds = all_[request.identifier.prefix_key]
        stored = grounds.records.get(request.identifier.suffix_key)
        record = unpacked(stored, grounds.kept.get(stored.template)) if stored else None
        template = grounds.named.get(request.template)
        prefix = grounds.prefix if grounds.about is None or request.identifier.suffix_key in grounds.about else None
        judgement = judge(record, request, job.who, prefix, template, now, self._reuse_deleted, far, around)
        if not isinstance(judgement, Accepted):
            return judgement
        gains = loses = holding.NONE
        if record is not None or (template is not None and template.holds):
            gains, loses = _held(record, grounds, judgement.record, template)
        change = _within(grounds, _change(job, judgement, template, grounds, gains, loses))
        if around is not ALONE and isinstance(change, Change):
            _after(around, request.identifier, judgement.record, gains, loses)
        return change

    async def _commit(
        self,
        jobs: Sequence[Job],
        changes: list[tuple[Change, int]],
        grounds: "Mapping[str, _Grounds]",
        outcomes: dict[int, Outcome],
        now: int,
        *,
        alone: bool,
    ) -> list[int]:
        """Writes `changes`, each with the number of its job, notes outcomes, and returns which must be judged again."""
        if not changes:
            return []
        changes.sort()
        keys = [jobs[n].request.identifier.key for _, n in changes]
        epochs = {known.prefix.number: known.prefix.epoch for known in grounds.values() if known.prefix}
        sent = [change for change, _ in changes]
        sizes = Counter([change.prefix for change in sent])
        shares = [Share(number, epochs[number], size) for number, size in sizes.items()]
        if alone:
            commit = partial(records.commit, share=shares[0], at=now, changes=sent)
        else:
            commit = partial(records.commit_together, shares=shares, at=now, changes=sent)
        won = await self._send(commit, keys, [change.base + 1 for change in sent], alone=alone)
        for position in won:
            change, n = changes[position]
            outcomes[n] = _written(change.kind, change.base)
        return [n for _, n in changes if n not in outcomes] if len(won) < len(changes) else []

    async def _send(
        self,
        commit: Callable[[Connection], Awaitable[Sequence[int]]],
        keys: Sequence[str],
        versions: Sequence[int],
        *,
        alone: bool,
    ) -> Sequence[int]:
        """The positions of what `commit` has written of these keys, which then have these versions."""
        async with borrowed(self._pool, "commit") as connection:
            backend = connection.get_server_pid()
            self._announcer.pending(keys)
            try:
                won = await commit(connection)
            except BaseException as error:
                if isinstance(error, GIVEN_UP):
                    self._announcer.unwritten(keys)
                    if alone:
                        raise UnavailableError(str(error)) from error
                    return []
                if isinstance(error, asyncpg.PostgresError) and not isinstance(error, BROKEN):
                    self._announcer.unwritten(keys)
                    if error.sqlstate in PREMISE_GONE:
                        return []
                    raise
                self._announcer.unknown(keys, backend)
                cut(connection)
                if isinstance(error, BROKEN):
                    raise UnknownOutcomeError(str(error), backend) from error
                raise
        await self._announcer.written(keys, versions)
        return won


@dataclass(frozen=True, slots=True)
class _Grounds:
    """What jobs are judged on: `named` are the templates they name, `kept` those of what is registered, `names` the
    version names of all of them by number; `left` is shared by all prefixes of an enterprise, None without a quota.
    `about` are, of the handles of prefixes, those whose prefixes are here and open; None for any other prefix.
    """

    prefix: RegisteredPrefix | None
    named: dict[str, Template | None]
    kept: dict[int, Template | None]
    names: dict[int, str]
    records: dict[str, Stored]
    left: Left | None = None
    about: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class _Opening:
    """What new identifiers have in common against which only their suffix and values can speak (rules.opens)."""

    grounds: _Grounds
    prefix: RegisteredPrefix
    template: Template
    who: int
    entry: Callable[[str, bytes], bytes]

    def change(self, request: Request) -> Change | Refused | None:
        """The change that makes this one, if everything speaks for it; None: `judge` looks closer."""
        body = new_body(request, self.template)
        if body is None:
            return None
        identifier, number, digest = request.identifier, self.template.number, sha256(body).digest()
        entry = self.entry(identifier.key, digest)
        suffix, none = identifier.suffix_key, holding.NONE
        change = _made((self.prefix.number, suffix, 0, _CREATED, number, self.who, body, digest, entry, none, none))
        return change if self.grounds.left is None else _within(self.grounds, change)

    def parts(self, block: Block, parts: Sequence[Rows]) -> list[New | None]:
        """The rows of each of these parts of a block, ready to be written; None where `judge` is to look closer."""
        return [self._part(block, part) for part in parts]

    def _part(self, block: Block, part: Rows) -> New | None:
        bodies = block.bodies(part, self.template)
        if bodies is None:
            return None
        digests = [sha256(body).digest() for body in bodies]
        entries = list(map(self.entry, block.keys_of(part.suffixes), digests))
        return New(part.suffixes, bodies, digests, entries)


_CREATED: Final = Kind.CREATED  # at hand: a member of an enumeration is looked up for each row otherwise
_made: Final[Callable[[tuple[Any, ...]], Change]] = partial(tuple.__new__, Change)
"""`Change._make`, without a call in Python for each row."""


def _opening(request: Request, who: Account, grounds: _Grounds, around: Around) -> _Opening | None:
    """What requests like this one have in common, if nothing speaks against all of them, or must be looked up."""
    template, prefix = grounds.named.get(request.template), grounds.prefix
    if grounds.about is not None or not opens(request, who, prefix, template, around):
        return None
    assert template is not None
    assert prefix is not None
    entry = entry_digester(1, Kind.CREATED, template.version)
    return None if template.holds else _Opening(grounds, prefix, template, who.number, entry)


def _within(grounds: _Grounds, change: Change) -> Change | Refused:
    """The change, counted on what is left of the quota, if there is one; or that this is too little for it."""
    if grounds.left is None or change.body is None:
        return change
    return grounds.left.take(change.kind, len(change.body)) or change


@lru_cache(maxsize=256)
def _written(kind: int, base: int) -> Written:
    """One for all that are alike: nearly every row of a batch is."""
    return Written(Kind(kind), base + 1)


def _left(identifiers: int | None, room: int | None, live: int, octets: int) -> Left:
    """What is left of such a quota to who has so much."""
    return Left(Quota(identifiers=identifiers, room=room), (identifiers or 0) - live, (room or 0) - octets)


def _prefix(key: str, ground: Ground) -> RegisteredPrefix | None:
    if ground.prefix is None:
        return None
    number, state, epoch, enterprise = ground.prefix
    return RegisteredPrefix(number, key, PrefixState(state), epoch, enterprise)


def _held(before: Record | None, grounds: _Grounds, after: Record, template: Template | None) -> tuple[Holds, Holds]:
    """The references and claims that come and go with a change."""
    now = holding.holds(template, after.values)
    if before is None:
        return now, holding.NONE
    then = holding.holds(grounds.kept.get(before.template), before.values)
    return (now - then, then - now) if now or then else (now, then)


def _after(around: Around, identifier: Identifier, record: Record, gains: Holds, loses: Holds) -> None:
    """Rows that come after this one in its group find it, and what it holds, there."""
    if record.live:
        around.absent.discard(identifier.key)
    for lost in loses:
        if isinstance(lost, Claim) and around.holders.get(lost) == identifier.suffix_key:
            del around.holders[lost]
    around.holders.update((gained, identifier.suffix_key) for gained in gains if isinstance(gained, Claim))


def _change(
    job: Job, judgement: Accepted, template: Template | None, grounds: _Grounds, gains: Holds, loses: Holds
) -> Change:
    identifier, record = job.request.identifier, judgement.record
    name = grounds.names.get(record.template, "")
    assert grounds.prefix is not None
    body = _body(record, template) if judgement.body is None else judgement.body
    digest = sha256(body).digest()
    return Change(
        prefix=grounds.prefix.number,
        suffix=identifier.suffix_key,
        base=record.version - 1,
        kind=judgement.kind,
        template=record.template,
        actor=job.who.number,
        body=body if record.live else None,
        digest=digest,
        entry=entry_digest(identifier.key, record.version, judgement.kind, name, digest),
        gains=gains,
        loses=loses,
    )


def _body(record: Record, template: Template | None) -> bytes:
    names = {item.index: item.name for item in template.items} if template else {}
    return pack(record.values, names, record.updated)


__all__ = ["CONTENDED", "GROUP_MOST", "Announcer", "Job", "Outcome", "Registrar", "Written"]

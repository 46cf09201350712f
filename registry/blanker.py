"""The door for being forgotten: takes values out of an identifier and out of all its history, and says that it did.

An update that merely leaves a value out keeps it in history; nothing else in the house changes what history holds.
"""

from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any, Final, NamedTuple

import asyncpg

from proto.chain import Kind, entry_digest
from proto.identifier import Identifier
from proto.value import Value
from registry.account import Account
from registry.audit import OCTETS_MOST, Action, Actor, Entry
from registry.errors import AuditFullError, UnavailableError, UnknownOutcomeError
from registry.holding import holds
from registry.lookup import Lookup
from registry.postgres import audit, blanked
from registry.postgres.blanked import Earlier, Mark, Note
from registry.postgres.connection import BROKEN, borrowed, cut
from registry.postgres.records import Change, Stored
from registry.prefix import RegisteredPrefix
from registry.record import pack, unpack
from registry.registrar import CONTENDED, GIVEN_UP, PREMISE_GONE, ROUNDS, Announcer
from registry.rules import ABSENT_ZH, Refused, Request, Rule, closed
from registry.template import Template

REASON_CHARACTERS: Final = 255
"""Longest reason that is kept."""
ATTRIBUTES_MOST: Final = 50
"""Attributes of one call: more than are anybody's in the richest template seen."""
_NEWEST: Final = 2**31 - 1


class Blanked(NamedTuple):
    """The values are nowhere any more: `version` is the new one without them (None: the newest had none of them),
    `versions` those before it that had.
    """

    version: int | None
    versions: Sequence[int]


def without(values: Sequence[Value], types: Collection[str]) -> tuple[tuple[Value, ...], list[Value]]:
    """`values` that are none of `types`, and those that are."""
    return tuple(v for v in values if v.type not in types), [v for v in values if v.type in types]


class _By(NamedTuple):
    """Who blanks, and why."""

    actor: Actor
    reason: str

    @property
    def note(self) -> Note:
        return Note(self.actor.number, self.reason)

    def entry(self, identifier: Identifier, marks: Sequence[Mark]) -> Entry:
        """What the audit journal is told: of the values only their types."""
        versions, _, types = zip(*marks, strict=True)
        shown = {"attributes": sorted(set(types)), "versions": sorted(set(versions)), "reason": self.reason}
        return Entry(self.actor, Action.VALUES_BLANKED, (identifier.key,), {}, shown)


class Blanker:
    """Blanks, one identifier at a time. `announcer` tells the caches, as for the registrar; the audit journal takes
    `audit_octets` at most.
    """

    def __init__(self, pool: Any, lookup: Lookup, announcer: Announcer, audit_octets: int = OCTETS_MOST) -> None:
        self._pool = pool
        self._lookup = lookup
        self._announcer = announcer
        self._audit_octets = audit_octets

    async def blank(
        self, identifier: Identifier, types: Collection[str], who: Account, reason: str, now: int, peer: str = ""
    ) -> Blanked | Refused:
        """Blanks the values of `types` in every version; `now` is seconds since 1970 UTC, `peer` the address `who` asks
        from.

        It may be repeated: what is done already is left alone. Raises UnavailableError, AuditFullError or
        UnknownOutcomeError when some may be left to do.
        """
        by = _By(Actor.of(who, peer), reason)
        for _ in range(ROUNDS):
            prefix = await self._lookup.prefix(identifier.prefix_key)
            if refused := closed(Request("update", identifier), who, prefix):
                return refused
            assert prefix is not None
            (stored,) = await self._lookup.look([identifier])
            if not stored.version:
                return Refused(Rule.ABSENT, "handle", ABSENT_ZH, "the identifier does not exist")
            record, template = await self._lookup.record(stored)
            kept, gone = without(record.values, types)
            if not gone:
                return Blanked(None, await self._history(prefix.number, identifier, types, by))
            marks = [(stored.version, value.index, value.type) for value in gone]
            change, before = _change(identifier, stored, kept, template, who, now)
            change = change._replace(loses=holds(template, record.values) - holds(template, kept))
            if await self._renew(prefix, identifier, now, change, before, marks, by):
                earlier = await self._history(prefix.number, identifier, types, by)
                return Blanked(stored.version + 1, [*earlier, stored.version])
        return CONTENDED

    async def _renew(
        self,
        prefix: RegisteredPrefix,
        identifier: Identifier,
        now: int,
        change: Change,
        before: bytes,
        marks: Sequence[Mark],
        by: _By,
    ) -> bool:
        key = identifier.key
        async with borrowed(self._pool, "commit") as connection:
            backend = connection.get_server_pid()
            self._announcer.pending([key])
            try:
                of = (prefix.number, prefix.epoch)
                async with connection.transaction():
                    written = await blanked.renew(connection, of, now, change, before, marks, by.note)
                    if written:
                        await audit.append(connection, [by.entry(identifier, marks)], self._audit_octets)
            except AuditFullError:
                self._announcer.unwritten([key])
                raise
            except BaseException as error:
                if isinstance(error, GIVEN_UP):
                    self._announcer.unwritten([key])
                    raise UnavailableError(str(error)) from error
                if isinstance(error, asyncpg.PostgresError) and not isinstance(error, BROKEN):
                    self._announcer.unwritten([key])
                    if error.sqlstate in PREMISE_GONE:
                        return False
                    raise
                self._announcer.unknown([key], backend)
                cut(connection)
                if isinstance(error, BROKEN):
                    raise UnknownOutcomeError(str(error), backend) from error
                raise
        if written:
            await self._announcer.written([key], [change.base + 1])
        else:
            self._announcer.unwritten([key])
        return written

    async def _history(self, prefix: int, identifier: Identifier, types: Collection[str], by: _By) -> list[int]:
        """Blanks what is in history, newest first; the versions that had any of it, ascending."""
        suffix, done, below = identifier.suffix_key, set[int](), _NEWEST
        while True:
            async with borrowed(self._pool, "history") as connection:
                found = await blanked.earlier(connection, prefix, suffix, below)
            if not found:
                return sorted(done)
            changed: list[tuple[Earlier, bytes]] = []
            marks: list[Mark] = []
            for each in found:
                body, gone = await self._blanked(each, types)
                if gone:
                    changed.append((each, body))
                    marks += [(each.version, value.index, value.type) for value in gone]
            if changed:
                async with borrowed(self._pool, "commit") as connection, connection.transaction():
                    now_blank = await blanked.blank(connection, prefix, suffix, changed, marks, by.note)
                    if gone_now := [mark for mark in marks if mark[0] in now_blank]:
                        await audit.append(connection, [by.entry(identifier, gone_now)], self._audit_octets)
                done |= now_blank
                if len(now_blank) < len(changed):
                    continue  # somebody else blanks the same versions: they are looked at again
            below = found[-1].version

    async def _blanked(self, each: Earlier, types: Collection[str]) -> tuple[bytes, list[Value]]:
        """The body of an earlier version without values of `types`, and these."""
        template = await self._lookup.template(each.template, each.template_epoch) if each.template else None
        names = _names(template)
        kept, gone = without(unpack(each.body, names, each.updated), types)
        return pack(kept, names, each.updated) if gone else each.body, gone


def _names(template: Template | None) -> dict[int, str]:
    return {item.index: item.name for item in template.items} if template else {}


def _change(
    identifier: Identifier, stored: Stored, kept: tuple[Value, ...], template: Template | None, who: Account, now: int
) -> tuple[Change, bytes]:
    """The version after `stored` that has only the values `kept`, and the body with which `stored` is kept itself."""
    body = pack(kept, _names(template), now)
    digest = sha256(body).digest()
    version = template.version if template else ""
    entry = entry_digest(identifier.key, stored.version + 1, Kind.UPDATED, version, digest)
    place = stored.prefix, identifier.suffix_key
    change = Change(*place, stored.version, Kind.UPDATED, stored.template, who.number, body, digest, entry)
    return change, pack(kept, _names(template), stored.updated)

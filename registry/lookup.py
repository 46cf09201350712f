"""The reading door: what stands behind identifiers. It could not write if it tried.

Templates are kept in this process by number and epoch; nothing else is cached here.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from proto.identifier import PREFIX_HANDLES, Identifier, is_prefix_handle
from registry.account import Account
from registry.claim import Claim
from registry.disclosure import Disclosure, Entry
from registry.file import StoredFile
from registry.granting import Notice
from registry.postgres import (
    accounts,
    batches,
    catalogue,
    disclosures,
    files,
    filing,
    grants,
    holdings,
    listings,
    records,
    templates,
)
from registry.postgres.connection import borrowed
from registry.postgres.filing import Route
from registry.postgres.grants import Asking, Granted
from registry.postgres.holdings import Referrer
from registry.postgres.listings import Asked, Authors
from registry.postgres.records import Stored
from registry.postgres.templates import Filter, Listed, Wanted
from registry.prefix import PREFIX_HANDLES_NUMBER, PrefixState, RegisteredPrefix
from registry.record import Record, unpack
from registry.rights import Right
from registry.sight import NO_NAMES, Reach, reach
from registry.template import RESERVED_SUFFIX, State, Template

TEMPLATES_MOST: Final = 4096
"""Templates one process keeps: three for each of the 1200 enterprises of an average node."""
VERSIONS_MOST: Final = 1000
"""Versions of one identifier a history shows."""
HISTORY_OCTETS: Final = 16 * 1024 * 1024
"""Octets of them, beyond which no older ones are shown: a thousand of the largest would fill a worker."""


@dataclass(frozen=True, slots=True)
class BlankedValue:
    """A value that stood in a version and was blanked (registry/blanker.py); `made` is seconds since 1970 UTC."""

    index: int
    type: str
    made: int
    reason: str


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One version of an identifier, who wrote it, under which template, and what of it was blanked since."""

    record: Record
    by: str | None
    template: Template | None
    blanked: tuple[BlankedValue, ...] = ()


def unpacked(stored: Stored, template: Template | None) -> Record:
    """`stored`, which was kept under `template`, with its values."""
    names = {item.index: item.name for item in template.items} if template else {}
    values = unpack(stored.body, names, stored.updated)
    return Record(stored.version, stored.live, stored.template, stored.updated, values)


def _nobodys(stored: Stored) -> Stored:
    return Stored(0, 0, stored.epoch)


def _reach(who: Account, granted: Granted) -> Reach:
    whole = who.may_in(Right.READ_RECORDS, granted.enterprise)
    return reach(whole=whole, single=granted.single, grants=granted.grants)


class Lookup:
    """Answers from PostgreSQL. Raises UnavailableError when it cannot be asked. `node` is the prefix of this node."""

    def __init__(self, pool: Any, node: str = "") -> None:
        self._pool = pool
        self.node = node
        self._templates: OrderedDict[int, Template] = OrderedDict()

    async def look(self, identifiers: Sequence[Identifier]) -> list[Stored]:
        """What stands behind each identifier, in order, all in one snapshot."""
        return await self.look_keys([identifier.key for identifier in identifiers])

    async def look_keys(self, keys: Iterable[str]) -> list[Stored]:
        """`look` by keys of identifiers. Those of a prefix that were never registered have one object in common."""
        halves = [key.partition("/") for key in keys]
        prefixes, suffixes = [prefix for prefix, _, _ in halves], [suffix for _, _, suffix in halves]
        async with borrowed(self._pool, "look") as connection:
            return await records.look(connection, prefixes, suffixes, self.node)

    async def template(self, number: int, epoch: int) -> Template | None:
        """The template, not older than `epoch`; None when there is none any more."""
        kept = self._templates.get(number)
        if kept is not None and kept.epoch >= epoch:
            self._templates.move_to_end(number)
            return kept
        async with borrowed(self._pool, "template") as connection:
            found = await templates.by_numbers(connection, [number])
        if not found:
            return None
        self._templates[number] = found[0]
        while len(self._templates) > TEMPLATES_MOST:
            self._templates.popitem(last=False)
        return found[0]

    async def record(self, stored: Stored) -> tuple[Record, Template | None]:
        """`stored` with its values, and its template."""
        template = await self.template(stored.template, stored.template_epoch) if stored.template else None
        return unpacked(stored, template), template

    async def reaches(self, who: Account, asked: Sequence[tuple[int, str, int]], now: int) -> list[Reach]:
        """How far `who` sees into each of `asked` (prefix number, suffix key, template number), in order.

        `now` is seconds since 1970 UTC: what was granted until then has ended.
        """
        if not asked:
            return []
        at = datetime.fromtimestamp(now, UTC)
        async with borrowed(self._pool, "grants") as connection:
            found = await grants.granted(connection, asked, who.number, who.enterprise, at)
        return [_reach(who, each) for each in found]

    async def look_as(self, asked: Sequence[tuple[Account, Identifier]], now: int) -> list[tuple[Stored, Reach]]:
        """What stands behind each identifier, and how far who asks for it sees into it; in order, in one snapshot.

        Handles of prefixes are told to accounts as to everybody else: nothing stands behind them here.
        """
        rows = [Asking(i.prefix_key, i.suffix_key, who.number, who.enterprise) for who, i in asked]
        async with borrowed(self._pool, "look") as connection:
            found = await grants.look(connection, rows, datetime.fromtimestamp(now, UTC))
        return [
            (_nobodys(stored) if is_prefix_handle(i.key) else stored, _reach(who, each))
            for (who, i), (stored, each) in zip(asked, found, strict=True)
        ]

    async def groups(self, enterprise: int) -> list[Any]:
        """An enterprise's identity groups and those it has imported (registry/postgres/grants.py)."""
        async with borrowed(self._pool, "grants") as connection:
            return await grants.groups(connection, enterprise)

    async def grants(self, enterprise: int, below: int, most: int) -> list[Any]:
        """What an enterprise has granted, newest first, below a number (registry/postgres/grants.py)."""
        async with borrowed(self._pool, "grants") as connection:
            return await grants.listed(connection, enterprise, below, most)

    async def notices(self, who: Account, skipped: int, size: int) -> tuple[int, list[Notice]]:
        """What `who` was told of grants to it (registry/postgres/grants.py)."""
        async with borrowed(self._pool, "grants") as connection:
            return await grants.notices(connection, who.number, skipped, size)

    async def shown_whole(self, who: Account, asked: Sequence[tuple[int, int]], now: int) -> set[int]:
        """The numbers of those templates (prefix number, number) that were themselves granted to `who`."""
        if not asked:
            return set()
        at, keys = datetime.fromtimestamp(now, UTC), [(prefix, "", number) for prefix, number in asked]
        async with borrowed(self._pool, "grants") as connection:
            found = await grants.granted(connection, keys, who.number, who.enterprise, at)
        return {
            number
            for (_, number), each in zip(asked, found, strict=True)
            if any(grant.attributes == NO_NAMES for grant in each.grants)
        }

    async def named_template(self, prefix: str, version: str) -> Template | None:
        """The template `version` of `prefix` as it is now."""
        async with borrowed(self._pool, "template") as connection:
            return await templates.named(connection, prefix, version)

    async def template_behind(self, identifier: Identifier) -> Template | None:
        """The template whose own identifier this is; None for drafts, which have none yet."""
        if not identifier.suffix.startswith(RESERVED_SUFFIX):
            return None
        found = await self.named_template(identifier.prefix_key, identifier.suffix_key.removeprefix(RESERVED_SUFFIX))
        return None if found is None or found.state is State.DRAFT else found

    async def line(self, template: Template) -> list[Template]:
        """All templates of the line of this one, oldest first."""
        async with borrowed(self._pool, "template") as connection:
            return await templates.line(connection, template.line)

    async def templates_page(
        self, prefix: str | None, who: Account, after: tuple[str, str], most: int
    ) -> list[Template]:
        """Templates in the order of prefix and version (registry/postgres/templates.py), with the drafts `who` may
        change.
        """
        async with borrowed(self._pool, "template") as connection:
            owner = who.enterprise if who.may(Right.TEMPLATES) else None
            return await templates.page(connection, prefix, owner, who.may_in(Right.TEMPLATES, None), after, most)

    async def catalogued(self, wanted: Filter, after: tuple[str, str], most: int) -> list[Listed]:
        """Published templates for the catalogue of data resources (registry/postgres/templates.py)."""
        async with borrowed(self._pool, "template") as connection:
            return await templates.catalogued(connection, wanted, after, most)

    async def prefix(self, name: str, *, anywhere: bool = False) -> RegisteredPrefix | None:
        """The prefix called `name`, if it lives here, or `anywhere`."""
        async with borrowed(self._pool, "prefix") as connection:
            found = await catalogue.prefix(connection, name)
        return found if found is None or anywhere or not found.elsewhere else None

    async def route(self, prefix: str) -> Route | None:
        """Where a prefix is resolved, as the national top-level node is told."""
        async with borrowed(self._pool, "prefix") as connection:
            return await filing.route(connection, prefix)

    async def home(self, identifier: Identifier) -> RegisteredPrefix | None:
        """The prefix whose enterprise may write an identifier, if that is done here: its own, and for the handle of a
        prefix that one, open at its enterprise's own node, too.
        """
        if not is_prefix_handle(identifier.key):
            return await self.prefix(identifier.prefix_key)
        if identifier.suffix_key == self.node:
            return RegisteredPrefix(PREFIX_HANDLES_NUMBER, PREFIX_HANDLES, PrefixState.ENABLED, 0, None)
        found = await self.prefix(identifier.suffix_key, anywhere=True)
        return found if found is None or found.state.open or not found.elsewhere else None

    async def industry(self, prefix: str) -> str | None:
        """The industry of the enterprise a prefix belongs to; None when there is no such prefix or no enterprise."""
        async with borrowed(self._pool, "prefix") as connection:
            return await catalogue.industry(connection, prefix)

    async def history(self, identifier: Identifier) -> list[HistoryEntry]:
        """The newest VERSIONS_MOST versions of an identifier, or as many as have HISTORY_OCTETS, newest first; empty
        when never registered.
        """
        key = identifier.prefix_key, identifier.suffix_key
        async with borrowed(self._pool, "history") as connection:
            rows = await records.versions(connection, *key, VERSIONS_MOST, HISTORY_OCTETS)
        entries = []
        for row in rows:
            template = (row["template_no"], row["template_epoch"])
            stored = Stored(0, 0, 0, row["version"], row["live"], *template, row["updated"], row["body"])
            record, known = await self.record(stored)
            gone = tuple(BlankedValue(*value) for value in row["blanked"])
            entries.append(HistoryEntry(record, row["username"], known, gone))
        return entries

    async def under(self, prefix: int, skipped: int, size: int) -> tuple[int, list[str]]:
        """Identifiers of a prefix (registry/postgres/listings.py)."""
        async with borrowed(self._pool, "history") as connection:
            return await listings.under(connection, prefix, skipped, size)

    async def authors(self, prefix: int, suffixes: Sequence[str]) -> list[Authors | None]:
        """When and by whom identifiers of a prefix, by their suffix keys, were first and last written."""
        async with borrowed(self._pool, "history") as connection:
            return await listings.authors(connection, prefix, suffixes)

    async def identifiers_of(self, asked: Asked, skipped: int, size: int, most: int) -> tuple[int, list[str]]:
        """Identifiers of a template (registry/postgres/listings.py)."""
        async with borrowed(self._pool, "look") as connection:
            return await listings.page(connection, asked, skipped, size, most)

    async def templates_wanted(self, of: Wanted, skipped: int, most: int) -> tuple[int, list[Template]]:
        """How many templates there are of that kind, and some of them (registry/postgres/templates.py)."""
        async with borrowed(self._pool, "template") as connection:
            return await templates.wanted(connection, of, skipped, most)

    async def template_classes(self, enterprise: int | None, most: int) -> list[str]:
        """The classes the templates of an enterprise (None: of all) are in."""
        async with borrowed(self._pool, "template") as connection:
            return await templates.classes(connection, enterprise, most)

    async def referrers(self, targets: Sequence[str], most: int, rows: int) -> list[Referrer]:
        """At most `most` references to each of these keys, and `rows` in all (registry/postgres/holdings.py)."""
        async with borrowed(self._pool, "look") as connection:
            return await holdings.referrers(connection, targets, most, rows)

    async def holders_of(self, claims: Sequence[Claim]) -> dict[Claim, str]:
        """The suffixes that hold these claims, under the prefix of their template."""
        async with borrowed(self._pool, "judge") as connection:
            return await holdings.holders(connection, claims)

    async def holders(self, digests: list[bytes]) -> dict[bytes, Account]:
        """The accounts that hold live tokens with these digests."""
        async with borrowed(self._pool, "token") as connection:
            return await accounts.holders(connection, digests)

    async def batches(self, account: int | None, below: int, most: int) -> list[dict[str, Any]]:
        """Records of batches below a number, newest first; of all accounts when None."""
        async with borrowed(self._pool, "batch") as connection:
            return await batches.listed(connection, account, below, most)

    async def file(self, number: int) -> StoredFile | None:
        """What is known of a file."""
        async with borrowed(self._pool, "file") as connection:
            return await files.found(connection, number)

    async def files_known(self, numbers: Sequence[int]) -> set[int]:
        """Those of `numbers` that there are files of."""
        async with borrowed(self._pool, "file") as connection:
            return await files.known(connection, numbers)

    async def entry(self, prefix: str) -> Entry | None:
        """What IIIDAP tells of a prefix; None when it is not allocated to an enterprise."""
        async with borrowed(self._pool, "prefix") as connection:
            return await disclosures.entry(connection, prefix)

    async def entries(self, enterprises: Sequence[int], most: int) -> list[Entry]:
        """The same of all prefixes of those enterprises, `most` at most."""
        async with borrowed(self._pool, "prefix") as connection:
            return await disclosures.entries(connection, enterprises, most)

    async def enterprise_names(self, after: int, most: int) -> list[tuple[int, str, str]]:
        """(number, name, English name) of enterprises with a number above `after`, in order, `most` at most."""
        async with borrowed(self._pool, "prefix") as connection:
            return await disclosures.names(connection, after, most)

    async def disclosure(self, enterprise: int) -> Disclosure:
        """What an enterprise lets everybody see."""
        async with borrowed(self._pool, "prefix") as connection:
            return await disclosures.chosen(connection, enterprise)

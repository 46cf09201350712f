"""What who is signed in sees of identifiers: their own answers, kept by nobody. What everybody sees is the road's."""

from collections.abc import Callable

from node.resolve.answer import Answer, Outcome
from proto.identifier import Identifier
from proto.web_json import array
from registry.account import Account
from registry.lookup import HistoryEntry, Lookup
from registry.postgres.records import Stored
from registry.prefix import PrefixState, RegisteredPrefix
from registry.record import Record
from registry.sight import Reach, seen, visible_values
from registry.template import RESERVED_SUFFIX, Template


class Sight:
    """Looks for who is signed in. `now` gives seconds since 1970 UTC. Raises UnavailableError."""

    def __init__(self, lookup: Lookup, now: Callable[[], int]) -> None:
        self._lookup = lookup
        self.now = now

    async def answer(self, who: Account, identifier: Identifier) -> Answer | None:
        """What `who` is told of an identifier. None: what everybody is told, for it does not live here, or is that of a
        template.
        """
        stored, record, template, far = await self.look(who, identifier)
        if not stored.prefix or (not stored.version and identifier.suffix.startswith(RESERVED_SUFFIX)):
            return None
        if not PrefixState(stored.state).open:
            return Answer(Outcome.STOPPED, stored.version, stored.prefix, stored.epoch)
        if not stored.live:
            outcome = Outcome.GONE if stored.version else Outcome.ABSENT
            return Answer(outcome, stored.version, stored.prefix, stored.epoch)
        shown = array(visible_values(record, template, far))
        epoch = template.epoch if template else 0
        return Answer(Outcome.FOUND, stored.version, stored.prefix, stored.epoch, stored.template, epoch, shown)

    async def look(self, who: Account, identifier: Identifier) -> tuple[Stored, Record, Template | None, Reach]:
        """What stands behind an identifier, and how far `who` sees into it."""
        stored = (await self._lookup.look([identifier]))[0]
        asked = (stored.prefix, identifier.suffix_key, stored.template)
        far = (await self._lookup.reaches(who, [asked], self.now()))[0]
        return stored, *await self._lookup.record(stored), far

    async def history(
        self, who: Account, prefix: RegisteredPrefix, identifier: Identifier
    ) -> list[HistoryEntry] | None:
        """The versions of an identifier under `prefix`, newest first, each with what `who` sees of it today; None for
        somebody to whom nothing of it was granted. Who wrote a version only its owner is told.
        """
        entries = await self._lookup.history(identifier)
        kinds = list({entry.record.template for entry in entries} or {0})
        asked = [(prefix.number, identifier.suffix_key, kind) for kind in kinds]
        reaches = dict(zip(kinds, await self._lookup.reaches(who, asked, self.now()), strict=True))
        if not any(far.whole or far.grants for far in reaches.values()):
            return None
        return [_within(entry, reaches[entry.record.template]) for entry in entries]


def _within(entry: HistoryEntry, far: Reach) -> HistoryEntry:
    if far.whole:
        return entry
    return HistoryEntry(entry.record._replace(values=seen(entry.record, entry.template, far)), None, entry.template)

"""What who is signed in sees of identifiers: their own answers, kept by nobody. What everybody sees is the road's."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NamedTuple

from node.gather import Gatherer, answered
from node.resolve.answer import Answer, Outcome
from node.resolve.faces import Faces
from proto.identifier import Identifier
from proto.web_json import array
from registry.account import Account
from registry.errors import UnavailableError
from registry.lookup import HistoryEntry, Lookup, unpacked
from registry.postgres.records import Stored
from registry.prefix import PrefixState, RegisteredPrefix
from registry.record import Record
from registry.sight import Reach, seen, visible_values
from registry.template import RESERVED_SUFFIX, Template

QUERY_MOST: Final = 500
"""Identifiers in one query: more make the first wait for the last without saving a round trip."""
WAITING_MOST: Final = 20_000
"""Questions waiting for PostgreSQL in one worker; beyond, the client is told to come back."""

Question = tuple[Account, Identifier]


class Looked(NamedTuple):
    """What stands behind an identifier, under which template, and how far who asks sees into it."""

    stored: Stored
    template: Template | None
    far: Reach


class Told(NamedTuple):
    """What somebody is told of an identifier, and whether that goes `beyond` what everybody is told."""

    answer: Answer
    beyond: bool = False


class Sight:
    """Looks for who is signed in. `now` gives seconds since 1970 UTC. Tells or raises UnavailableError or BusyError."""

    def __init__(self, lookup: Lookup, now: Callable[[], int]) -> None:
        self._lookup = lookup
        self.now = now
        self._gather: Gatherer[Question, Looked] = Gatherer(self._many, size=QUERY_MOST, lanes=2, most=WAITING_MOST)
        self._faces = {whole: Faces(whole=whole) for whole in (False, True)}

    def ask(self, who: Account, identifier: Identifier, then: Callable[[Told | Exception | None], None]) -> None:
        """Tells `then` what `who` is told of an identifier. None: what everybody is told, for it does not live here, or
        is that of a template.
        """

        def told(_: Sequence[Question], found: Sequence[Looked | Exception]) -> None:
            said: Told | Exception | None
            (looked,) = found
            try:
                said = looked if isinstance(looked, Exception) else self._said(identifier, *looked)
            except Exception as error:  # noqa: BLE001 - told to who asked
                said = error
            then(said)

        self._gather.ask([(who, identifier)], told)

    async def answer(self, who: Account, identifier: Identifier) -> Told | None:
        """The same, when it is known."""
        return await answered(partial(self.ask, who, identifier))

    async def look(self, who: Account, identifier: Identifier) -> tuple[Stored, Record, Template | None, Reach]:
        """What stands behind an identifier, and how far `who` sees into it."""

        def ask(then: Callable[[Looked | Exception], None]) -> None:
            self._gather.ask([(who, identifier)], lambda _, looked: then(looked[0]))

        stored, template, far = await answered(ask)
        return stored, unpacked(stored, template), template, far

    async def _many(self, asked: Sequence[Question]) -> list[Looked | Exception]:
        return [await self._looked(stored, far) for stored, far in await self._lookup.look_as(asked, self.now())]

    async def _looked(self, stored: Stored, far: Reach) -> Looked | Exception:
        """What keeps one template from being read is nobody else's trouble."""
        if not stored.template:
            return Looked(stored, None, far)
        try:
            return Looked(stored, await self._lookup.template(stored.template, stored.template_epoch), far)
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to who asked
            return error

    def _said(self, identifier: Identifier, stored: Stored, template: Template | None, far: Reach) -> Told | None:
        if not stored.prefix or (not stored.version and identifier.suffix.startswith(RESERVED_SUFFIX)):
            return None
        if not PrefixState(stored.state).open:
            return Told(Answer(Outcome.STOPPED, stored.version, stored.prefix, stored.epoch))
        if not stored.live:
            outcome = Outcome.GONE if stored.version else Outcome.ABSENT
            return Told(Answer(outcome, stored.version, stored.prefix, stored.epoch))
        terms = stored.prefix, stored.epoch, stored.template, template.epoch if template else 0
        return Told(Answer(Outcome.FOUND, stored.version, *terms, self._shown(stored, template, far)), far.beyond)

    def _shown(self, stored: Stored, template: Template | None, far: Reach) -> bytes:
        """Who was granted something is shown it value by value: there are as many faces as there are grants."""
        usual = template is not None and not far.grants and self._faces[far.whole].met(template)
        shown = usual.shown(stored.body, stored.updated) if usual else None
        return array(visible_values(unpacked(stored, template), template, far)) if shown is None else shown

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
        if not any(far.beyond for far in reaches.values()):
            return None
        return [_within(entry, reaches[entry.record.template]) for entry in entries]


def _within(entry: HistoryEntry, far: Reach) -> HistoryEntry:
    if far.whole:
        return entry
    return HistoryEntry(entry.record._replace(values=seen(entry.record, entry.template, far)), None, entry.template)

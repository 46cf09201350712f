"""The stage that knows: PostgreSQL, many questions in one query. What is public is decided here, from the record."""

from collections.abc import Sequence
from typing import Final

from node.gather import Gatherer
from node.resolve.answer import Answer, Outcome, Question, Then
from proto.value import TEMPLATE_ID_INDEX, TEMPLATE_INDEX, Value
from proto.web_json import array
from registry.lookup import Lookup
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.record import Record
from registry.template import Template

QUERY_MOST: Final = 500
"""Identifiers in one query: more make the first wait for the last without saving a round trip."""
WAITING_MOST: Final = 20_000
"""Questions waiting for PostgreSQL in one worker: some 0.4 s of its work; beyond, the client is told to come back."""


def public_values(record: Record, template: Template | None) -> tuple[Value, ...]:
    """What everybody may see of a record: its bits say PUBLIC_READ and today's template calls the attribute public.

    The reserved indexes 1000 and 1001 show which template that is.
    """
    if template is None:
        return tuple(v for v in record.values if v.public)
    items = template.by_index
    shown = [v for v in record.values if v.public and (i := items.get(v.index)) is not None and i.access == "public"]
    return (
        Value(TEMPLATE_ID_INDEX, "TEMPLATE_ID", template.handle.encode(), timestamp=record.updated),
        Value(TEMPLATE_INDEX, "TEMPLATE", template.version.encode(), timestamp=record.updated),
        *shown,
    )


class Own:
    """Answers from the registry. Tells UnavailableError or BusyError."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._gather = Gatherer(self._many, lambda q: q.identifier.key, size=QUERY_MOST, lanes=2, most=WAITING_MOST)

    def ask(self, question: Question, then: Then) -> None:
        """Tells `then` what PostgreSQL says, read after it was asked."""
        self._gather.ask(question, then)

    async def _many(self, questions: Sequence[Question]) -> list[Answer]:
        found = await self._lookup.look([q.identifier for q in questions])
        return [await self._answer(stored) for stored in found]

    async def _answer(self, stored: Stored) -> Answer:
        if not stored.prefix:
            return Answer(Outcome.FOREIGN, 0, 0, stored.epoch)
        if not PrefixState(stored.state).open:
            return Answer(Outcome.STOPPED, stored.version, stored.prefix, stored.epoch)
        if not stored.live:
            outcome = Outcome.GONE if stored.version else Outcome.ABSENT
            return Answer(outcome, stored.version, stored.prefix, stored.epoch)
        record, template = await self._lookup.record(stored)
        return Answer(
            Outcome.FOUND,
            stored.version,
            stored.prefix,
            stored.epoch,
            stored.template,
            template.epoch if template else 0,
            array(public_values(record, template)),
        )

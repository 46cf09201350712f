"""The stage that knows: PostgreSQL, many questions in one query. What everybody sees of it (registry/sight.py)."""

from collections.abc import Sequence
from typing import Final

from node.gather import Gatherer
from node.resolve.answer import Answer, Outcome, Question, Tell
from proto.identifier import Identifier
from proto.value import TEMPLATE_ID_INDEX, TEMPLATE_INDEX
from proto.web_json import array, closing, inside, opening
from registry import drafting
from registry.errors import UnavailableError
from registry.lookup import TEMPLATES_MOST, Lookup
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.record import ROW_INDEX_LAST, texts
from registry.sight import visible_values
from registry.template import ITEM_INDEX_FIRST, RESERVED_SUFFIX, Template

QUERY_MOST: Final = 500
"""Identifiers in one query: more make the first wait for the last without saving a round trip."""
WAITING_MOST: Final = 20_000
"""Questions waiting for PostgreSQL in one worker: some 0.4 s of its work; beyond, the client is told to come back."""

NEVER_KEPT: Final = 1
"""`Answer.until` of what may be given only now."""


class Face:
    """How records of a template are shown to everybody: what all of them have in common, put together once."""

    def __init__(self, template: Template) -> None:
        self.template = template
        public = {i.index: opening(i.index, i.name) for i in template.items if i.access == "public"}
        last = min(max(public, default=0), ROW_INDEX_LAST)
        self._openings = [public.get(index, b"") for index in range(ITEM_INDEX_FIRST, last + 1)]
        front = {TEMPLATE_ID_INDEX: ("TEMPLATE_ID", template.handle), TEMPLATE_INDEX: ("TEMPLATE", template.version)}
        said = [(opening(index, type_), inside(text)) for index, (type_, text) in front.items()]
        self._front = [before + text for before, text in said if before is not None and text is not None]
        self._usual = None not in public.values() and len(self._front) == len(front)

    def shown(self, body: bytes, updated: int) -> bytes | None:
        """The `array` of the public values; None if the record has something out of the common."""
        said = texts(body)
        if said is None or not self._usual:
            return None
        end = closing(updated)
        parts = [before + text for before, text in zip(self._openings, said, strict=False) if before and text]
        return b"[" + (end + b",").join([*self._front, *parts]) + end + b"]"


_OPEN: Final = frozenset(int(state) for state in PrefixState if state.open)


class Own:
    """Answers from the registry. Tells UnavailableError or BusyError."""

    def __init__(self, lookup: Lookup) -> None:
        self._lookup = lookup
        self._gather: Gatherer[Question, Answer] = Gatherer(self._many, size=QUERY_MOST, lanes=2, most=WAITING_MOST)
        self._faces: dict[int, Face] = {}

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        """Tells what PostgreSQL says, read after it was asked."""
        self._gather.ask(questions, told)

    async def _many(self, questions: Sequence[Question]) -> list[Answer | Exception]:
        asked = {question.identifier.key: question.identifier for question in questions}
        found = await self._lookup.look(list(asked.values()))
        answers = [
            self._said(stored, identifier) or await self._found(stored, identifier)
            for stored, identifier in zip(found, asked.values(), strict=True)
        ]
        if len(answers) == len(questions):
            return answers
        by_key = dict(zip(asked, answers, strict=True))
        return [by_key[question.identifier.key] for question in questions]

    def _said(self, stored: Stored, identifier: Identifier) -> Answer | None:
        """The answer, unless the record has something out of the common or its template was not met before, or it is
        a template that is asked for.
        """
        prefix, state, epoch, version, live, number, template_epoch, updated, body = stored
        if live and state in _OPEN:
            face = self._faces.get(number)
            if face is None or face.template.epoch < template_epoch:
                return None
            shown = face.shown(body, updated)
            if shown is None:
                return None
            return Answer(Outcome.FOUND, version, prefix, epoch, number, face.template.epoch, shown)
        if not prefix:
            return Answer(Outcome.FOREIGN, 0, 0, epoch)
        if state not in _OPEN:
            return Answer(Outcome.STOPPED, version, prefix, epoch)
        if not version and identifier.suffix.startswith(RESERVED_SUFFIX):
            return None
        return Answer(Outcome.GONE if version else Outcome.ABSENT, version, prefix, epoch)

    async def _found(self, stored: Stored, identifier: Identifier) -> Answer | Exception:
        """The answer; or what kept this one from being read, which is nobody else's trouble."""
        try:
            return await (self._shown(stored) if stored.version else self._template(stored, identifier))
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to who asked
            return error

    async def _shown(self, stored: Stored) -> Answer:
        record, template = await self._lookup.record(stored)
        face = self._faces.get(stored.template)
        if template is not None and (face is None or face.template is not template):
            if len(self._faces) >= TEMPLATES_MOST:
                self._faces.clear()
            self._faces[template.number] = Face(template)
        epoch, shown = template.epoch if template else 0, array(visible_values(record, template))
        return Answer(Outcome.FOUND, stored.version, stored.prefix, stored.epoch, stored.template, epoch, shown)

    async def _template(self, stored: Stored, identifier: Identifier) -> Answer:
        """What a template is, told under its own identifier. Rarely asked for: no cache keeps it, so none is behind."""
        template = await self._lookup.template_behind(identifier)
        if template is None:
            return Answer(Outcome.ABSENT, 0, stored.prefix, stored.epoch, until=NEVER_KEPT)
        terms = stored.prefix, stored.epoch, template.number, template.epoch
        return Answer(Outcome.FOUND, template.revision, *terms, array(drafting.told(template)), until=NEVER_KEPT)

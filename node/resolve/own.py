"""The stage that knows: PostgreSQL, many questions in one query. What everybody sees of it (registry/sight.py)."""

from collections.abc import Sequence
from typing import Final

from node.gather import Gatherer
from node.resolve.answer import Answer, Outcome, Question, Tell
from node.resolve.faces import Faces
from node.resolve.signposts import Signposts
from proto.identifier import Identifier, is_prefix_handle
from proto.web_json import array
from registry import drafting
from registry.errors import UnavailableError
from registry.lookup import Lookup
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.sight import visible_values
from registry.template import RESERVED_SUFFIX

QUERY_MOST: Final = 500
"""Identifiers in one query: more make the first wait for the last without saving a round trip."""
WAITING_MOST: Final = 20_000
"""Questions waiting for PostgreSQL in one worker: some 0.4 s of its work; beyond, the client is told to come back."""

NEVER_KEPT: Final = 1
"""`Answer.until` of what may be given only now."""


_OPEN: Final = frozenset(int(state) for state in PrefixState if state.open)
_RESERVED: Final = f"/{RESERVED_SUFFIX}"


class Own:
    """Answers from the registry; `signposts` complete what handles of prefixes say.

    Tells UnavailableError or BusyError.
    """

    def __init__(self, lookup: Lookup, signposts: Signposts) -> None:
        self._lookup = lookup
        self._signposts = signposts
        self._gather: Gatherer[Question, Answer] = Gatherer(self._many, size=QUERY_MOST, lanes=2, most=WAITING_MOST)
        self._faces = Faces()

    def ask(self, questions: Sequence[Question], told: Tell) -> None:
        """Tells what PostgreSQL says, read after it was asked."""
        self._gather.ask(questions, told)

    async def _many(self, questions: Sequence[Question]) -> list[Answer | Exception]:
        asked = {question.key: question for question in questions}
        found = await self._lookup.look_keys(asked)
        answers, nobodys = list[Answer | Exception](), dict[Stored, Answer | None]()
        for (key, question), stored in zip(asked.items(), found, strict=True):
            if stored.version or _RESERVED in key or is_prefix_handle(key):
                answer = self._said(stored, key)
            elif (answer := nobodys.get(stored)) is None:
                answer = nobodys[stored] = self._said(stored, key)
            answers.append(answer or await self._found(stored, question.identifier))
        if len(answers) == len(questions):
            return answers
        by_key = dict(zip(asked, answers, strict=True))
        return [by_key[question.key] for question in questions]

    def _said(self, stored: Stored, key: str) -> Answer | None:
        """The answer, unless the record has something out of the common or its template was not met before, or it is
        a template or the handle of a prefix that is asked for.
        """
        prefix, state, epoch, version, live, number, template_epoch, updated, body = stored
        if is_prefix_handle(key) and state in _OPEN:
            return None
        if live and state in _OPEN:
            face = self._faces.kept(number, template_epoch)
            shown = face.shown(body, updated) if face is not None else None
            if face is None or shown is None:
                return None
            return Answer(Outcome.FOUND, version, prefix, epoch, number, face.template.epoch, shown)
        if not prefix:
            return Answer(Outcome.FOREIGN, 0, 0, epoch)
        if state not in _OPEN:
            return Answer(Outcome.STOPPED, version, prefix, epoch)
        if not version and key.partition("/")[2].startswith(RESERVED_SUFFIX):
            return None
        return Answer(Outcome.GONE if version else Outcome.ABSENT, version, prefix, epoch)

    async def _found(self, stored: Stored, identifier: Identifier) -> Answer | Exception:
        """The answer; or what kept this one from being read, which is nobody else's trouble."""
        try:
            if is_prefix_handle(identifier.key):
                return await self._of_prefix(stored, identifier)
            return await (self._shown(stored) if stored.version else self._template(stored, identifier))
        except UnavailableError:
            raise
        except Exception as error:  # noqa: BLE001 - handed to who asked
            return error

    async def _shown(self, stored: Stored) -> Answer:
        record, template = await self._lookup.record(stored)
        if template is not None:
            self._faces.met(template)
        epoch, shown = template.epoch if template else 0, array(visible_values(record, template))
        return Answer(Outcome.FOUND, stored.version, stored.prefix, stored.epoch, stored.template, epoch, shown)

    async def _of_prefix(self, stored: Stored, identifier: Identifier) -> Answer:
        """What is told of a prefix, whether anything is kept at its handle or not. It holds while the prefix is as it
        is: its number and epoch go with it.
        """
        kept = (await self._lookup.record(stored))[0].values if stored.live else ()
        values = await self._signposts.completed(identifier, kept)
        shown = array(tuple(value for value in values if value.public))
        return Answer(Outcome.FOUND, stored.version, stored.prefix, stored.epoch, shown=shown)

    async def _template(self, stored: Stored, identifier: Identifier) -> Answer:
        """What a template is, told under its own identifier. Rarely asked for: no cache keeps it, so none is behind."""
        template = await self._lookup.template_behind(identifier)
        if template is None:
            return Answer(Outcome.ABSENT, 0, stored.prefix, stored.epoch, until=NEVER_KEPT)
        terms = stored.prefix, stored.epoch, template.number, template.epoch
        return Answer(Outcome.FOUND, template.revision, *terms, array(drafting.told(template)), until=NEVER_KEPT)

"""Who proves a key of the Handle system, and what is known around what they ask: records, prefixes above them, groups.

What they may do is judged in `registry/administration.py`, and once more where it is written.
"""

from collections.abc import Callable, Iterable
from typing import NamedTuple

from node.brake import Brake
from proto.errors import ProtoError
from proto.identifier import Identifier, fold
from proto.value import Reference, Value
from proto.values.secret_key import exposed, is_said_by
from registry import administration, editing
from registry.administration import GROUPS_DEEP, Administrator, Groups, Outcome, Place, Values, Wanted
from registry.editing import Edit, Put, Step, keyholder
from registry.lookup import Lookup
from registry.postgres.records import Stored


class Around(NamedTuple):
    """A record as it was looked at (None: there is none), the values of the prefix above it, and the number of its
    template (0: it has none).
    """

    record: Values | None
    above: Values
    template: int = 0


class Keyholders:
    """Looks keys up in the registry; `everywhere` are the server administrators. Raises UnavailableError."""

    def __init__(self, lookup: Lookup, brake: Brake, everywhere: frozenset[Reference]) -> None:
        self._lookup = lookup
        self._brake = brake
        self._everywhere = everywhere

    async def by_secret(self, name: str, password: str, peer: str) -> Administrator | None:
        """Who of the address `peer` says the HS_SECKEY of `name` (`index:identifier`); None for whom it is not.

        Raises BrakedError when too many have failed, BusyError when too many wait.
        """
        async with self._brake.trying(name, peer) as proven:
            try:
                reference = keyholder(name)
            except ProtoError:
                return None
            value = (await self._values({reference}))[reference]
            if (
                value is None or fold(value.type) != "HS_SECKEY" or exposed(value)
            ):  # what everybody may read is no secret
                return None
            if not is_said_by(value.data, password):
                return None
            proven()
        return Administrator(reference.handle, reference.index, reference in self._everywhere)

    async def _values(self, references: Iterable[Reference]) -> dict[Reference, Value | None]:
        """The values that are referred to, as far as they live here, whoever may read them."""
        wanted = list(references)
        found = await self._lookup.look([Identifier.parse(each.handle) for each in wanted])
        records = [await self._of(each) for each in found]
        return {
            each: next((value for value in record or () if value.index == each.index), None)
            for each, record in zip(wanted, records, strict=True)
        }

    async def _of(self, stored: Stored) -> Values | None:
        return tuple((await self._lookup.record(stored))[0].values) if stored.live else None

    async def around(self, identifier: Identifier) -> Around:
        """What stands there now."""
        found = await self._lookup.look([identifier, administration.authority(identifier)])
        record, above = [await self._of(each) for each in found]
        return Around(record, above or (), found[0].template)

    async def edit(
        self, identifier: Identifier, around: Around, by: Administrator, wanted: Step | Put
    ) -> tuple[Outcome, Edit]:
        """Whether it is permitted as things stand, and the edit with all groups its judgement needs."""
        edit = Edit(wanted, by, around.above)
        outcome, groups = await self._told(
            lambda told: editing.judge(edit._replace(groups=told), identifier, around.record)
        )
        return outcome, edit._replace(groups=groups)

    async def may(
        self, identifier: Identifier, around: Around, by: Administrator, wanted: administration.Request
    ) -> Outcome:
        """Whether it is permitted as things stand."""
        place = Place(identifier, around.record, around.above)
        return (await self._told(lambda told: administration.judge(wanted, place, by, told)))[0]

    async def _told(self, judge: Callable[[Groups], Outcome]) -> tuple[Outcome, Groups]:
        """The judgement, with the groups it needs."""
        groups: Groups = editing.NO_GROUPS
        outcome = judge(groups)
        for _ in range(GROUPS_DEEP + 1):
            if not isinstance(outcome, Wanted):
                break
            found = await self._values(outcome.references)
            groups = {**groups, **{each: administration.members(value) for each, value in found.items()}}
            outcome = judge(groups)
        return outcome, groups

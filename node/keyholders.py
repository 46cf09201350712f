"""Who proves a key of the Handle system, and what is known around what they ask: records, prefixes above them, groups.

What they may do is judged in `registry/administration.py`, and once more where it is written.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, NamedTuple, TypeGuard

from node.brake import Brake
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier, fold
from proto.keys import proof
from proto.keys.proof import Verdict, WebAnswer
from proto.native.bodies import Proof
from proto.value import Reference, Value
from proto.values.secret_key import exposed, is_said_by
from registry import administration, editing, key_session
from registry.administration import GROUPS_DEEP, Administrator, Groups, Outcome, Place, Values, Wanted
from registry.editing import Edit, Put, Step, keyholder
from registry.key_session import Challenge
from registry.lookup import Lookup
from registry.postgres.records import Stored
from registry.prefix import PrefixState
from registry.steward import Steward


class Answer(NamedTuple):
    """What proves a key: its name and type, the client's part of what is signed, and the signature."""

    name: str
    type: str
    cnonce: bytes
    answer: WebAnswer


class Held(NamedTuple):
    """Who proved a key, and the digest of that key: another one in its place ends what was founded on it."""

    by: Administrator
    key: bytes


class Around(NamedTuple):
    """A record as it was looked at (None: there is none), the values of the prefix above it, and the number of its
    template (0: it has none).
    """

    record: Values | None
    above: Values
    template: int = 0


KEYS_MOST: Final = 8
"""Keys of one identifier that are tried for who does not say which it is: people have two or three."""


class Keyholders:
    """Looks keys up in the registry; `everywhere` are the server administrators. Raises UnavailableError."""

    def __init__(
        self,
        lookup: Lookup,
        steward: Steward,
        brake: Brake,
        everywhere: frozenset[Reference],
        key: bytes,
        now: Callable[[], int],
    ) -> None:
        self._lookup = lookup
        self._steward = steward
        self._brake = brake
        self._everywhere = everywhere
        self._key = key
        self._now = now

    def _as(self, reference: Reference) -> Administrator:
        return Administrator(reference.handle, reference.index, reference in self._everywhere)

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
            if not _is_key(value, "HS_SECKEY") or not is_said_by(value.data, password):
                return None
            proven()
        return self._as(reference)

    def challenge(self) -> Challenge:
        """A session that may begin."""
        return key_session.challenge(self._key, self._now(), secrets.token_bytes(key_session.CHANCE_OCTETS))

    def nonce(self, session: str) -> bytes | None:
        """What is to be signed to begin a session of ours, while there is time."""
        return key_session.nonce_of(self._key, session, self._now())

    async def by_answer(self, session: str, said: Answer, peer: str) -> Administrator | None:
        """Who begins a session by what was said; None for whom proves nothing, and for a nonce that was used.

        Raises as `by_secret` does.
        """
        nonce = self.nonce(session)
        if nonce is None:
            return None
        async with self._brake.trying(said.name, peer) as proven:
            try:
                reference = keyholder(said.name)
            except ProtoError:
                return None
            value = (await self._values({reference}))[reference]
            if not _is_key(value, said.type):
                return None
            user = said.name.partition(":")[2]
            # Aside: to derive a key from a secret takes some 50 ms.
            judged = asyncio.to_thread(said.answer.judge, fold(value.type), value.data, nonce + said.cnonce, user)
            if await judged is not Verdict.PROVEN:
                return None
            name = f"{reference.index}:{reference.handle}"
            if not await self._steward.begin_key_session(key_session.digest(session), name, _digest(value)):
                return None
            proven()
        return self._as(reference)

    async def by_proof(self, said: Proof, challenge: bytes, peer: str) -> Held | ResponseCode:
        """Who of the address `peer` answers `challenge`, or why it is nobody: INVALID_ADMIN where there is no such key,
        AUTHENTICATION_FAILED, UNABLE_TO_AUTHENTICATE.

        Raises as `by_secret` does, and ProtoError for an answer that is cut short.
        """
        try:
            user = Identifier.parse(said.handle).key
        except ProtoError:
            return ResponseCode.INVALID_ADMIN
        async with self._brake.trying(f"{said.index}:{user}", peer) as proven:
            unable = True
            keys = await self._keys(user, said.index, said.type)
            for key in keys:
                # Aside: to derive a key from a secret takes some 50 ms.
                verdict = await asyncio.to_thread(
                    proof.judge, fold(key.type), key.data, said.signed, challenge, said.handle
                )
                if verdict is Verdict.PROVEN:
                    proven()
                    return Held(self._as(Reference(user, key.index)), _digest(key))
                unable &= verdict is Verdict.UNABLE
        if not keys:
            return ResponseCode.INVALID_ADMIN
        return ResponseCode.UNABLE_TO_AUTHENTICATE if unable else ResponseCode.AUTHENTICATION_FAILED

    async def _keys(self, user: str, index: int, type_: str) -> list[Value]:
        """The keys of that type in an identifier; with index 0 all of them."""
        record = await self._of((await self._lookup.look([Identifier.parse(user)]))[0])
        return [value for value in record or () if index in {0, value.index} and _is_key(value, type_)][:KEYS_MOST]

    def kept(self, name: str, key: bytes) -> Held:
        """Who proved a key before, by its name (`index:identifier`, settled) and digest; it may have changed since."""
        return Held(self._as(keyholder(name)), key)

    async def holds(self, held: Held) -> bool:
        """Whether the key that was proven is still there, unchanged."""
        reference = Reference(held.by.handle, held.by.index)
        value = (await self._values({reference}))[reference]
        return value is not None and _digest(value) == held.key

    async def by_session(self, session: str) -> Administrator | None:
        """Who began a session that is live, and whose key is still the one that was proven."""
        found = await self._steward.key_session(key_session.digest(session)) if session else None
        if found is None:
            return None
        reference = keyholder(found[0])
        value = (await self._values({reference}))[reference]
        return self._as(reference) if value is not None and _digest(value) == found[1] else None

    async def end(self, session: str) -> None:
        """Ends a session."""
        await self._steward.end_key_session(key_session.digest(session))

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
        """The values of a record; None where there is none, and under a prefix that is stopped, keys included."""
        if not stored.live or not PrefixState(stored.state).open:
            return None
        return tuple((await self._lookup.record(stored))[0].values)

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
        self, identifier: Identifier, around: Around, by: Administrator | None, wanted: administration.Request
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


def _is_key(value: Value | None, type_: str) -> TypeGuard[Value]:
    """Whether it is a key of that type; a secret everybody may read is none."""
    if value is None or fold(value.type) != fold(type_):
        return False
    return fold(type_) == "HS_PUBKEY" or (fold(type_) == "HS_SECKEY" and not exposed(value))


def _digest(value: Value) -> bytes:
    """Of a key, to see whether it is still the same one."""
    return sha256(f"{fold(value.type)} {value.permissions} ".encode() + value.data).digest()

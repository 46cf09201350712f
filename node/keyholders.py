"""Who proves a key of the Handle system, and what is known around what they ask: records, prefixes above them, groups.

What they may do is judged in `registry/administration.py`, and once more where it is written.
"""

import asyncio
import secrets
from collections.abc import Callable, Iterable
from contextlib import suppress
from hashlib import sha256
from typing import Final, NamedTuple, TypeGuard

from node.brake import Brake
from node.elsewhere import TRUSTED_SECONDS, AwayError, Elsewhere, is_elsewhere, is_trusted, trusted_until
from proto.codes import ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier, fold
from proto.keys import proof, public
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
    """Looks keys up in the registry, and `elsewhere` where they do not live here; `everywhere` are the server
    administrators. Raises UnavailableError.
    """

    def __init__(
        self,
        lookup: Lookup,
        steward: Steward,
        brake: Brake,
        everywhere: frozenset[Reference],
        key: bytes,
        now: Callable[[], int],
        elsewhere: Elsewhere | None,
    ) -> None:
        self._lookup = lookup
        self._steward = steward
        self._brake = brake
        self._everywhere = everywhere
        self._key = key
        self._now = now
        self._elsewhere = elsewhere

    def _as(self, reference: Reference) -> Administrator:
        return Administrator(reference.handle, reference.index, reference in self._everywhere)

    async def by_secret(self, name: str, password: str, peer: str) -> Administrator | None:
        """Who of the address `peer` says the HS_SECKEY of `name` (`index:identifier`); None for whom it is not.

        Raises BrakedError when too many have failed, BusyError when too many wait.
        """
        with suppress(AwayError):  # who could not be asked about did not guess: the brake forgets it
            async with self._brake.trying(_one_name(name), peer) as proven:
                try:
                    reference = keyholder(name)
                except ProtoError:
                    return None
                if not await self._says(reference, password):
                    return None
                proven()
            return self._as(reference)
        return None

    async def _says(self, reference: Reference, password: str) -> bool:
        """Whether that is the secret there. Raises AwayError."""
        value, elsewhere = await self._found(reference)
        if elsewhere is None:
            return _is_key(value, "HS_SECKEY") and is_said_by(value.data, password)
        return await elsewhere.verified_secret(reference, password.encode(errors="surrogatepass"))

    async def _found(self, reference: Reference) -> tuple[Value | None, Elsewhere | None]:
        """The value there; where it does not live here, whom to ask about it."""
        value = (await self._values({reference}))[reference]
        return value, await self._far(reference.handle) if value is None else None

    async def _far(self, handle: str) -> Elsewhere | None:
        """Whom to ask for the keys of an identifier that does not live here."""
        if self._elsewhere is None:
            return None
        stored = (await self._lookup.look([Identifier.parse(handle)]))[0]
        return None if stored.prefix else self._elsewhere

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
        with suppress(AwayError):
            async with self._brake.trying(_one_name(said.name), peer) as proven:
                try:
                    reference = keyholder(said.name)
                except ProtoError:
                    return None
                digest = await self._answered(reference, said, nonce)
                if digest is None or not await self._begin(session, reference, digest):
                    return None
                proven()
            return self._as(reference)
        return None

    async def _answered(self, reference: Reference, said: Answer, nonce: bytes) -> bytes | None:
        """The digest of the key that answers `nonce`, or what stands for it; None where none does. Raises AwayError."""
        (value, elsewhere), challenge = await self._found(reference), nonce + said.cnonce
        if elsewhere is not None:
            return await self._answered_far(elsewhere, reference, said, challenge)
        return _digest(value) if _is_key(value, said.type) and await _judged(said, value, challenge) else None

    async def _answered_far(
        self, elsewhere: Elsewhere, reference: Reference, said: Answer, challenge: bytes
    ) -> bytes | None:
        if fold(said.type) == "HS_SECKEY":
            signed = said.answer.to_octets()
            proven = signed is not None and await elsewhere.verified(reference, challenge, signed)
        else:
            value = await _value_far(elsewhere, reference)
            proven = _is_key(value, said.type) and await _judged(said, value, challenge)
        return self._for_a_while() if proven else None

    def _for_a_while(self) -> bytes:
        """What is kept of a key that was proven and lives elsewhere."""
        return trusted_until(self._now() + TRUSTED_SECONDS)

    async def by_proof(self, said: Proof, challenge: bytes, peer: str, *, onward: bool) -> Held | ResponseCode:
        """Who of the address `peer` answers `challenge`, or why it is nobody: INVALID_ADMIN where there is no such key,
        AUTHENTICATION_FAILED, UNABLE_TO_AUTHENTICATE. `onward`: other nodes may be asked for their keys.

        Raises as `by_secret` does, and ProtoError for an answer that is cut short.
        """
        try:
            user = Identifier.parse(said.handle).key
        except ProtoError:
            return ResponseCode.INVALID_ADMIN
        with suppress(AwayError):
            async with self._brake.trying(f"{said.index}:{user}", peer) as proven:
                keys = await self._keys(user, said)
                elsewhere = await self._far(user) if onward and not keys else None
                if elsewhere is None:
                    held = await self._by_key(user, keys, said, challenge)
                else:
                    held = await self._by_far_key(elsewhere, user, said, challenge)
                if isinstance(held, Held):
                    proven()
            return held
        return ResponseCode.UNABLE_TO_AUTHENTICATE

    async def _by_key(self, user: str, keys: list[Value], said: Proof, challenge: bytes) -> Held | ResponseCode:
        """Who proves one of `keys`, which are those of `user`."""
        unable = True
        for key in keys:
            # Aside: to derive a key from a secret takes some 50 ms.
            verdict = await asyncio.to_thread(
                proof.judge, fold(key.type), key.data, said.signed, challenge, said.handle
            )
            if verdict is Verdict.PROVEN:
                return Held(self._as(Reference(user, key.index)), _digest(key))
            unable &= verdict is Verdict.UNABLE
        if not keys:
            return ResponseCode.INVALID_ADMIN
        return ResponseCode.UNABLE_TO_AUTHENTICATE if unable else ResponseCode.AUTHENTICATION_FAILED

    async def by_certificate(self, name: str, key: public.Key, peer: str, session: str = "") -> Administrator | None:
        """Who of the address `peer` proved in a handshake to hold `key`, by a certificate for `name`; None where the
        HS_PUBKEY there is another one, or none. It begins `session` where one is named.

        Raises as `by_secret` does.
        """
        if session and self.nonce(session) is None:
            return None
        with suppress(AwayError):
            async with self._brake.trying(_one_name(name), peer) as proven:
                try:
                    reference = keyholder(name)
                except ProtoError:
                    return None
                digest = await self._certified(reference, key)
                if digest is None or (session and not await self._begin(session, reference, digest)):
                    return None
                proven()
            return self._as(reference)
        return None

    async def _certified(self, reference: Reference, key: public.Key) -> bytes | None:
        """The digest of the HS_PUBKEY there, or what stands for it; None where it is another key, or none. Raises
        AwayError.
        """
        value, elsewhere = await self._found(reference)
        if elsewhere is not None:
            value = await _value_far(elsewhere, reference)
        if not _is_key(value, "HS_PUBKEY") or not _is_of(key, value):
            return None
        return _digest(value) if elsewhere is None else self._for_a_while()

    async def _begin(self, session: str, reference: Reference, digest: bytes) -> bool:
        """Whether who proved the key at `reference` begins that session: its nonce is good once."""
        name = f"{reference.index}:{reference.handle}"
        return await self._steward.begin_key_session(key_session.digest(session), name, digest)

    async def _by_far_key(self, elsewhere: Elsewhere, user: str, said: Proof, challenge: bytes) -> Held | ResponseCode:
        """The same of a key that lives on another node. Of a secret it must be said which one it is.

        Raises AwayError.
        """
        reference = Reference(user, said.index)
        if fold(said.type) == "HS_SECKEY":
            if not said.index:
                return ResponseCode.UNABLE_TO_AUTHENTICATE
            if not await elsewhere.verified(reference, challenge, said.signed):
                return ResponseCode.AUTHENTICATION_FAILED
            return Held(self._as(reference), self._for_a_while())
        keys = _of_type(await elsewhere.values(Identifier.parse(user)), said)
        held = await self._by_key(user, keys, said, challenge)
        return held._replace(key=self._for_a_while()) if isinstance(held, Held) else held

    async def _keys(self, user: str, said: Proof) -> list[Value]:
        """The keys in an identifier that are meant."""
        record = await self._of((await self._lookup.look([Identifier.parse(user)]))[0])
        return _of_type(record or (), said)

    def kept(self, name: str, key: bytes) -> Held:
        """Who proved a key before, by its name (`index:identifier`, settled) and digest; it may have changed since."""
        return Held(self._as(keyholder(name)), key)

    async def holds(self, held: Held) -> bool:
        """Whether the key that was proven is still there, unchanged; of one that lives elsewhere, whether that was seen
        a while ago.
        """
        if is_elsewhere(held.key):
            return is_trusted(held.key, self._now())
        reference = Reference(held.by.handle, held.by.index)
        value = (await self._values({reference}))[reference]
        return value is not None and _digest(value) == held.key

    async def by_session(self, session: str) -> Administrator | None:
        """Who began a session that is live, and whose key is still the one that was proven."""
        found = await self._steward.key_session(key_session.digest(session)) if session else None
        if found is None:
            return None
        held = Held(self._as(keyholder(found[0])), found[1])
        return held.by if await self.holds(held) else None

    async def end(self, session: str) -> None:
        """Ends a session."""
        await self._steward.end_key_session(key_session.digest(session))

    async def _values(self, references: Iterable[Reference]) -> dict[Reference, Value | None]:
        """The values that are referred to, as far as they live here, whoever may read them."""
        wanted = list(references)
        found = await self._lookup.look([Identifier.parse(each.handle) for each in wanted])
        records = [await self._of(each) for each in found]
        return {each: _at(record, each.index) for each, record in zip(wanted, records, strict=True)}

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


async def _judged(said: Answer, key: Value, challenge: bytes) -> bool:
    """Whether `said` answers `challenge` by this key. Aside: to derive a key from a secret takes some 50 ms."""
    user = said.name.partition(":")[2]
    verdict = await asyncio.to_thread(said.answer.judge, fold(key.type), key.data, challenge, user)
    return verdict is Verdict.PROVEN


def _one_name(name: str) -> str:
    """The one spelling of a key's name: `0300:…` and `300:…` are guessed at together."""
    try:
        reference = keyholder(name)
    except ProtoError:
        return name
    return f"{reference.index}:{reference.handle}"


async def _value_far(elsewhere: Elsewhere, reference: Reference) -> Value | None:
    """The public value there, on another node. Raises AwayError."""
    return _at(await elsewhere.values(Identifier.parse(reference.handle)), reference.index)


def _at(record: Values | None, index: int) -> Value | None:
    """The value at an index."""
    return next((value for value in record or () if value.index == index), None)


def _of_type(values: Values, said: Proof) -> list[Value]:
    """The keys that may be meant: of the type that is said, and with index 0 all of them."""
    return [value for value in values if said.index in {0, value.index} and _is_key(value, said.type)][:KEYS_MOST]


def _is_key(value: Value | None, type_: str) -> TypeGuard[Value]:
    """Whether it is a key of that type; a secret everybody may read is none."""
    if value is None or fold(value.type) != fold(type_):
        return False
    return fold(type_) == "HS_PUBKEY" or (fold(type_) == "HS_SECKEY" and not exposed(value))


def _is_of(key: public.Key, value: Value) -> bool:
    """Whether the value holds this key, however it is written."""
    try:
        return public.fingerprint(public.load(value.data)) == public.fingerprint(key)
    except ProtoError:
        return False


def _digest(value: Value) -> bytes:
    """Of a key, to see whether it is still the same one."""
    return sha256(f"{fold(value.type)} {value.permissions} ".encode() + value.data).digest()

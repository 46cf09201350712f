"""What takes the proof of a key: challenges and their answers, logins, writing, lists, and what is not public.

Order of checks and codes are those of deployed servers (handle reference §2.6). Who may do what is judged in
`registry/administration.py`, and once more where it is written.
"""

import secrets
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple
from uuid import uuid4

from node import clock, homing
from node.brake import BrakedError
from node.house import House
from node.keyholders import Around, Held
from node.listen import replies
from node.metrics import NATIVE_PROOFS
from node.native import answers
from node.native.answers import Asked, Said
from node.native.sessions import Sessions
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.forwarded_for import end_site
from proto.identifier import PREFIX_HANDLES, Identifier, prefix_of
from proto.native.bodies import (
    Challenge,
    Failure,
    KeyOf,
    Listed,
    Named,
    Nothing,
    Proof,
    Question,
    Removal,
    Valued,
    Verification,
    Verified,
    request_body,
)
from proto.native.digest import RequestDigest
from proto.native.message import (
    CACHE_AUTHENTICATION,
    DO_NOT_REFER,
    ENCRYPT,
    MINT,
    OVERWRITE,
    PUBLIC_ONLY,
    REQUEST_DIGEST,
    Message,
)
from proto.native.versions import agreed
from registry import native_challenge
from registry.account import Account
from registry.administration import Add, Administrator, Create, Delete, List, Modify, Read, Refused, Remove
from registry.audit import Actor
from registry.editing import Step
from registry.native_challenge import NativeChallenge
from registry.prefix import PrefixState, RegisteredPrefix
from registry.registrar import Job
from registry.rights import Role
from registry.rules import Refused as RuleRefused
from registry.rules import edited

LISTED_MOST: Final = 10_000
"""Most identifiers of one list, some 400 KB; more are read page by page by the JSON API."""

_NOBODY: Final = Administrator("", 0)
"""In whose name is written what everybody may change."""
_NEEDED: Final = (ResponseCode.AUTHENTICATION_NEEDED, Nothing())
_DONE: Final = (ResponseCode.SUCCESS, Nothing())
_NOT_HERE: Final = (ResponseCode.SERVER_NOT_RESPONSIBLE, Failure(replies.NOT_HERE))


class Wanted(NamedTuple):
    """What is to be done to which identifier, and what is answered when it was."""

    handle: str
    step: Step
    done: Said = _DONE


def answers_challenges(message: Message) -> bool:
    """Whether its sender is of the family of Handle.Net. Clients of the industrial identifier system set neither flag:
    they log in first, and take a challenge to anything else for a fault (handle reference §2.15).
    """
    return message.has(CACHE_AUTHENTICATION | REQUEST_DIGEST)


def wants_private(asked: Asked) -> bool:
    """Whether a question may be about more than what is public; by UDP it is not."""
    if asked.by_udp:
        return False
    signed = asked.standing is not None and (asked.standing.login is not None or answers_challenges(asked.message))
    return signed and not asked.message.has(PUBLIC_ONLY)


class Administration:
    """Answers for one worker. Raises ProtoError for what cannot be read, and what the registry and the brake raise."""

    def __init__(self, house: House, sessions: Sessions) -> None:
        self._house = house
        self._sessions = sessions
        self.operations: dict[int, Callable[[Asked, Administrator | None], Awaitable[Said]]] = {
            OpCode.CREATE_HANDLE: self._write,
            OpCode.DELETE_HANDLE: self._write,
            OpCode.ADD_VALUE: self._write,
            OpCode.REMOVE_VALUE: self._write,
            OpCode.MODIFY_VALUE: self._write,
            OpCode.LIST_HANDLES: self._list,
            OpCode.LIST_HOMED_PREFIXES: self._list_prefixes,
            OpCode.HOME_PREFIX: self._home,
            OpCode.UNHOME_PREFIX: self._home,
            OpCode.RESOLUTION: self._resolve,
            OpCode.LOGIN_BY_KEY: self._log_in,
            OpCode.VERIFY_CHALLENGE: self._verify,
        }

    async def answer(self, asked: Asked) -> tuple[Asked, Said] | None:
        """What is answered, and to what: whoever proves a key is answered the request they proved it for. None: what
        everybody is told.
        """
        assert asked.standing is not None
        op = asked.message.op
        if op == OpCode.CHALLENGE_RESPONSE:
            return await self._proven(asked)
        operation = self.operations[op]
        if op == OpCode.RESOLUTION:
            around = await self._private(asked.message)
            if around is None:
                return None
            operation = partial(self._tell, around)
        if asked.standing.by_udp and op != OpCode.LOGIN_BY_KEY:
            asked.standing.login = await self._of_address(asked)
            if asked.standing.login is None:
                return asked, answers.NOT_BY_UDP if answers_challenges(asked.message) else answers.LOGIN_NEEDED
        login = asked.standing.login
        if login and op != OpCode.LOGIN_BY_KEY and not await self._house.keyholders.holds(login):
            return asked, await self._forgotten(asked, login)
        said = await operation(asked, login.by if login else None)
        return await self._challenge(asked) if said[0] is ResponseCode.AUTHENTICATION_NEEDED else (asked, said)

    # --- who asks

    async def _challenge(self, asked: Asked) -> tuple[Asked, Said]:
        """Asks for a proof, and keeps what it is for."""
        if asked.message.op != OpCode.LOGIN_BY_KEY and not answers_challenges(asked.message):
            return asked, answers.LOGIN_NEEDED
        envelope, message = asked.envelope, asked.message
        digest = RequestDigest.of(message.covered, agreed(envelope.version, envelope.suggested))
        inside = asked.inside
        number = inside.number if inside else 1 + secrets.randbelow(native_challenge.NUMBER_LAST)
        nonce = secrets.token_bytes(native_challenge.NONCE_OCTETS)
        waiting = NativeChallenge(number, nonce, digest.octets, message.to_octets())
        most = native_challenge.BY_UDP_MOST if asked.by_udp else native_challenge.CHALLENGES_MOST
        if not await self._house.steward.keep_native_challenge(waiting, end_site(asked.source[0]), most):
            return asked, answers.BUSY
        told = asked._replace(envelope=envelope._replace(session=number))
        return told, (ResponseCode.AUTHENTICATION_NEEDED, Challenge(nonce))

    async def _proven(self, asked: Asked) -> tuple[Asked, Said]:
        said = request_body(asked.message)
        assert isinstance(said, Proof)
        peer = asked.source[0]
        number = asked.inside.number if asked.inside else _signed(asked.envelope.session)
        waiting = await self._house.steward.take_native_challenge(number, end_site(peer))
        if waiting is None:
            self._house.meter.count(NATIVE_PROOFS, "late")
            return asked, answers.LATE
        began = asked._replace(message=Message.from_octets(waiting.request))
        if asked.inside is None:
            began = began._replace(envelope=asked.envelope._replace(session=0))
        elif began.message.has(ENCRYPT):  # as was asked for before, whatever the proof says of itself
            began = began._replace(inside=asked.inside._replace(encrypts=True))
        held = await self._held(said, waiting.nonce + waiting.digest, peer, onward=True)
        if not isinstance(held, Held):
            return began, (held, Failure())
        if asked.inside is not None:
            await self._sessions.proven(asked.inside.number, held)
        if began.message.op == OpCode.LOGIN_BY_KEY:
            return began, await self._logged_in(began, held)
        return began, await self.operations[began.message.op](began, held.by)

    async def _held(self, said: Proof, challenge: bytes, peer: str, *, onward: bool) -> Held | ResponseCode:
        try:
            held = await self._house.keyholders.by_proof(said, challenge, peer, onward=onward)
        except BrakedError:
            self._house.meter.count(NATIVE_PROOFS, "braked")
            raise
        self._house.meter.count(NATIVE_PROOFS, _PROOFS[held] if isinstance(held, ResponseCode) else "proven")
        return held

    async def _log_in(self, asked: Asked, _: Administrator | None) -> Said:
        request_body(asked.message)  # what cannot be read needs no challenge
        return _NEEDED

    async def _logged_in(self, asked: Asked, held: Held) -> Said:
        """Binds the connection, by UDP the address, to the key, if it is the one that was to log in."""
        key = request_body(asked.message)
        assert isinstance(key, KeyOf)
        assert asked.standing is not None
        if Identifier.parse(key.handle).key != held.by.handle or key.index not in {0, held.by.index}:
            return ResponseCode.INVALID_ADMIN, Failure()
        if asked.standing.by_udp:
            kept = await self._house.steward.keep_native_login(*asked.source, _account(held.by).username, held.key)
            return _DONE if kept else answers.BUSY
        asked.standing.login = held
        return _DONE

    async def _of_address(self, asked: Asked) -> Held | None:
        """Who logged in by UDP from where the request says it comes from."""
        found = await self._house.steward.native_login(*asked.source)
        return self._house.keyholders.kept(*found) if found else None

    async def _forgotten(self, asked: Asked, login: Held) -> Said:
        """Ends what was founded on a key that is there no more; clients set up another session by themselves."""
        assert asked.standing is not None
        if asked.inside is not None:
            await self._sessions.ended(asked.inside.number)
            return answers.NO_SESSION
        if asked.standing.by_udp:
            await self._house.steward.end_native_login(*asked.source)
        elif asked.standing.login is login:
            asked.standing.login = None
        return answers.LOGIN_EXPIRED

    async def _verify(self, asked: Asked, _: Administrator | None) -> Said:
        """Whether a secret key that lies here answered the challenge of another server."""
        said = request_body(asked.message)
        assert isinstance(said, Verification)
        answer = Proof("HS_SECKEY", said.handle, said.index, said.signed)
        # What another node asks is not asked on: of its keys it knows more than any other.
        held = await self._held(answer, said.nonce + said.digest, asked.source[0], onward=False)
        return ResponseCode.SUCCESS, Verified(isinstance(held, Held))

    # --- what is asked

    async def _write(self, asked: Asked, by: Administrator | None) -> Said:
        wanted = _WANTED[OpCode(asked.message.op)](asked.message)
        keyholders = self._house.keyholders
        try:
            identifier = Identifier.parse(wanted.handle)
        except ProtoError as error:
            return ResponseCode.INVALID_HANDLE, Failure(f"{error.zh}。 {error.en}.")
        if await self._house.lookup.home(identifier) is None:
            return await self._not_here(asked.message, prefix_of(identifier))
        around = await keyholders.around(identifier)
        if by is None and isinstance(refused := await keyholders.may(identifier, around, None, wanted.step), Refused):
            return _refused(refused)
        outcome, edit = await keyholders.edit(identifier, around, by or _NOBODY, wanted.step)
        if isinstance(outcome, Refused):
            return _refused(outcome)
        job = Job(edited(identifier, edit), _account(edit.by))
        written = await self._house.batcher.write_one(job, asked.source)
        if isinstance(written, RuleRefused):
            return answers.known(replies.REFUSED_CODE[written.rule]), Failure(f"{written.zh}。 {written.en}.")
        return wanted.done

    async def _not_here(self, message: Message, prefix: str) -> Said:
        """Nobody here can do what is asked about that prefix: who can, if that is known."""
        referral = None if message.has(DO_NOT_REFER) else await self._house.signposts.referral(prefix)
        return _NOT_HERE if referral is None else answers.referred(referral)

    async def _resolve(self, asked: Asked, by: Administrator | None) -> Said:
        """What a key was proven for."""
        around = await self._private(asked.message)
        # None: it has become another record since it was looked at.
        return answers.BUSY if around is None else await self._tell(around, asked, by)

    async def _tell(self, around: Around, asked: Asked, by: Administrator | None) -> Said:
        """What is not public either, to who may read it; who logged in is told what they may, whatever that is."""
        question = request_body(asked.message)
        assert isinstance(question, Question)
        identifier = Identifier.parse(answers.named(question.handle))
        matched = answers.wanted(question, await self._house.signposts.completed(identifier, around.record or ()))
        outcome = await self._house.keyholders.may(identifier, around, by, Read(matched))
        if isinstance(outcome, Refused):
            if answers_challenges(asked.message):
                return _refused(outcome)
            matched = tuple(value for value in matched if value.public)
        elif by is not None:
            self._witnessed(asked, by, "resolve", identifier.key)
        return answers.told(question, matched)

    async def _private(self, message: Message) -> Around | None:
        """What stands at an identifier of ours without template, if it is asked for more of it than is public."""
        question = request_body(message)
        assert isinstance(question, Question)
        try:
            identifier = Identifier.parse(answers.named(question.handle))
        except ProtoError:
            return None
        around = await self._house.keyholders.around(identifier)
        if around.template or all(value.public for value in answers.wanted(question, around.record or ())):
            return None
        prefix = await self._house.lookup.home(identifier)
        return around if prefix is not None and PrefixState(prefix.state).open else None

    async def _list(self, asked: Asked, by: Administrator | None) -> Said:
        """The identifiers under a prefix, in order."""
        said = request_body(asked.message)
        assert isinstance(said, Named)
        above = Identifier.parse(answers.named(said.handle))
        prefix = await self._house.lookup.prefix(above.suffix_key) if above.prefix_key == PREFIX_HANDLES else None
        if prefix is None:
            return await self._not_here(asked.message, prefix_of(above))
        outcome = await self._may_list(above, by)
        if isinstance(outcome, Refused):
            return _refused(outcome)
        return await self._listed(asked, by, above, prefix)

    async def _may_list(self, above: Identifier, by: Administrator | None) -> object:
        place = Around(None, (await self._house.keyholders.around(above)).record or ())
        return await self._house.keyholders.may(above, place, by, List())

    async def _listed(
        self, asked: Asked, by: Administrator | None, above: Identifier, prefix: RegisteredPrefix
    ) -> Said:
        count, suffixes = await self._house.lookup.under(prefix.number, 0, LISTED_MOST)
        if count > LISTED_MOST:
            zh, en = (
                "标识过多，请用HTTP接口分页读取",
                f"more than {LISTED_MOST}: read them page by page by the JSON API",
            )
            return ResponseCode.ERROR, Failure(f"{zh}。 {en}.")
        assert by is not None
        self._witnessed(asked, by, "list", above.key)
        return ResponseCode.SUCCESS, Listed(tuple(f"{prefix.name}/{suffix}" for suffix in suffixes))

    async def _list_prefixes(self, asked: Asked, by: Administrator | None) -> Said:
        """The prefixes that live here, told to server administrators."""
        if by is None:
            return _NEEDED
        if not by.everywhere:
            return ResponseCode.INVALID_ADMIN, Failure()
        names = await homing.homed(self._house)
        self._witnessed(asked, by, "prefixes", "0.NA/0.NA")
        return ResponseCode.SUCCESS, Listed(tuple(names))

    async def _home(self, asked: Asked, by: Administrator | None) -> Said:
        """A prefix shall live here, or no longer, as a server administrator wants."""
        said = request_body(asked.message)
        assert isinstance(said, Named)
        if by is None:
            return _NEEDED
        if not by.everywhere:
            return ResponseCode.INVALID_ADMIN, Failure()
        change = homing.home if asked.message.op == OpCode.HOME_PREFIX else homing.unhome
        code, why = await change(self._house, _actor(asked, by), said.handle)
        return _DONE if code is ResponseCode.SUCCESS else (code, Failure(why))

    def _witnessed(self, asked: Asked, by: Administrator, as_: str, what: str) -> None:
        """To be called before what is not public is told. Raises AuditFullError or UnavailableError: then it is not."""
        self._house.recording.witness.saw(_actor(asked, by), as_, [what])
        self._house.recording.access_log.note((clock.monotonic(), *asked.source, 0, what, f"{as_} found"))


_PROOFS: Final = {
    ResponseCode.INVALID_ADMIN: "no_key",
    ResponseCode.AUTHENTICATION_FAILED: "failed",
    ResponseCode.UNABLE_TO_AUTHENTICATE: "unable",
}


def _signed(session: int) -> int:
    """The number of a challenge; 0, which none has, for what is beyond all of them."""
    return session if session <= native_challenge.NUMBER_LAST else 0


def _account(by: Administrator) -> Account:
    return Account(0, f"{by.index}:{by.handle}", "program", Role.ENTERPRISE_USER, None)


def _actor(asked: Asked, by: Administrator) -> Actor:
    """Who acts, as the audit journal tells it."""
    return Actor(0, _account(by).username, "key", asked.source[0])


def _refused(outcome: Refused) -> Said:
    if outcome.code is ResponseCode.AUTHENTICATION_NEEDED:
        return _NEEDED
    conflict = f"Index conflict for {outcome.indexes[0]}" if outcome.code is ResponseCode.VALUE_ALREADY_EXISTS else ""
    return outcome.code, Failure(conflict)


def _created(message: Message) -> Wanted:
    said = request_body(message)
    assert isinstance(said, Valued)
    # As deployed servers do: the suffix that is given, if any, begins the one that is made.
    handle = f"{said.handle}{uuid4()}" if message.has(MINT) else said.handle
    over = message.has(OVERWRITE) and not message.has(MINT)
    return Wanted(handle, Create(said.values, over), (ResponseCode.SUCCESS, Named(handle)))


def _deleted(message: Message) -> Wanted:
    said = request_body(message)
    assert isinstance(said, Named)
    return Wanted(said.handle, Delete())


def _added(message: Message) -> Wanted:
    said = request_body(message)
    assert isinstance(said, Valued)
    return Wanted(said.handle, Add(said.values))


def _modified(message: Message) -> Wanted:
    said = request_body(message)
    assert isinstance(said, Valued)
    return Wanted(said.handle, Modify(said.values))


def _removed(message: Message) -> Wanted:
    said = request_body(message)
    assert isinstance(said, Removal)
    return Wanted(said.handle, Remove(said.indexes))


_WANTED: Final[dict[OpCode, Callable[[Message], Wanted]]] = {
    OpCode.CREATE_HANDLE: _created,
    OpCode.DELETE_HANDLE: _deleted,
    OpCode.ADD_VALUE: _added,
    OpCode.MODIFY_VALUE: _modified,
    OpCode.REMOVE_VALUE: _removed,
}
"""What each request that writes wants."""

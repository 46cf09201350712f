"""`Desk`: a whole message in, the answer to it out, once, now or later. Which door it came through is all the same.

Every operation has a row in the table; what is not there is not served.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any, Final

import structlog

from node.brake import BrakedError
from node.gather import BusyError
from node.house import House
from node.metrics import NATIVE_INTERNAL_ERRORS, NATIVE_REFUSED, NATIVE_REQUESTS, NATIVE_TRUSTED
from node.native import answers
from node.native.administration import Administration, wants_private
from node.native.answers import Asked, Said, Standing, framed
from node.native.seals import Seals
from node.native.sessions import Sessions, concerned
from node.resolve.answer import Answer, Outcome, Then
from node.site import site_of
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier, prefix_of
from proto.native.bodies import Failure, Named, Opaque, Question, Valued, request_body
from proto.native.envelope import Framed
from proto.native.message import DO_NOT_REFER, RECURSIVE, TRUSTED_QUERY, TRUSTED_RESULT, Message
from proto.trust import Trust
from registry.access_log import Source
from registry.errors import UnavailableError, UnknownOutcomeError

Reply = Callable[[Framed], None]
"""Who waits for an answer; told once. Raises nothing."""
Answering = Callable[[Asked], Awaitable[tuple[Asked, Said] | None]]
"""What is answered, and to what; None: what everybody is told."""

HEARTBEAT: Final = "0"
"""What clients of teleinfo resolve to see whether anybody is there (handle reference §2.16): no other node is asked."""
_ELSEWHERE: Final = frozenset({Outcome.FOREIGN, Outcome.UNREACHABLE})
"""What may be answered by a referral."""
_CODES: Final = {int(code): code.name.lower() for code in ResponseCode}
_BUSY: Final = (BusyError, UnavailableError)
_TROUBLES: Final[dict[type[Exception], Said]] = {
    BrakedError: answers.BRAKED,
    BusyError: answers.BUSY,
    UnavailableError: answers.BUSY,
    UnknownOutcomeError: answers.UNKNOWN,
}
_TURNED_AWAY: Final = {429: "rate", 503: "requests"}
"""Why a peer was not admitted, as operators are told."""

log = structlog.get_logger("native")


class Desk:
    """Answers for one worker. `clock` gives monotonic seconds, `now` those since 1970 UTC."""

    def __init__(self, house: House, clock: Callable[[], float], now: Callable[[], int]) -> None:
        self._house = house
        self._clock = clock
        self._now = now
        self._sessions = Sessions(house, clock)
        self._seals = Seals(house.site_key, clock)
        self._administration = Administration(house, self._sessions)
        self._under_way: set[asyncio.Task[None]] = set()
        self._administer = partial(self._aside, self._administration.answer)
        self._operations: dict[int, Callable[[Asked, Callable[..., None]], None]] = {
            OpCode.RESOLUTION: self._resolve,
            OpCode.GET_SITE_INFO: self._tell_site,
            OpCode.SESSION_SETUP: partial(self._aside, self._sessions.set_up),
            OpCode.SESSION_TERMINATE: partial(self._aside, self._sessions.end),
        }
        served = (*self._administration.operations, OpCode.CHALLENGE_RESPONSE)
        self._operations = dict.fromkeys(served, self._administer) | self._operations

    def take(
        self,
        message: Framed,
        source: Source,
        reply: Reply,
        reached: str = "",
        standing: Standing | None = None,
        *,
        admitted: bool = False,
    ) -> None:
        """Gives `reply` the answer to a message that came from `source` and reached us at that address.

        `standing` is that of its connection (Asked). `admitted`: its door has asked whether this source may be served.
        """
        envelope = message.envelope
        try:
            # What is encrypted is read by who knows its session.
            said_by = Message(0) if envelope.encrypted else Message.from_octets(message.message)
            asked = Asked(envelope, said_by, source, reached, standing)
        except ProtoError as error:
            self._count(ResponseCode.PROTOCOL_ERROR)
            reply(answers.broken(envelope, error, self._now()))
            return
        status = 0 if admitted else self._house.admission.admit(source[0])
        if status:
            self._house.meter.count(NATIVE_REFUSED, _TURNED_AWAY[status])
            self._tell(asked, reply, answers.BUSY)  # who asks too much shall not have us sign it
        elif concerned(asked):
            self._open(asked, message.message, reply)
        else:
            self._begin(asked, partial(self._said, asked, reply))

    def _open(self, asked: Asked, octets: bytes, reply: Reply) -> None:
        """Looks for the session it may have come in; by UDP there are none."""
        if asked.by_udp:
            self._said(asked, reply, answers.NOT_BY_UDP)
        else:
            self._spawn(self._opened(asked, octets, reply))

    async def _opened(self, asked: Asked, octets: bytes, reply: Reply) -> None:
        try:
            opened = await self._sessions.opened(asked, octets)
        except Exception as error:  # noqa: BLE001 - it is answered; a mistake of ours stands in the journal
            opened = self._trouble(asked, error)
        if isinstance(opened, Asked):
            self._begin(opened, partial(self._said, opened, reply))
        else:
            self._said(asked, reply, opened)

    def _begin(self, asked: Asked, said: Callable[..., None]) -> None:
        if asked.message.code or not asked.message.op:
            said(answers.NO_REQUEST)
            return
        operation = self._operations.get(asked.message.op)
        if operation is None:
            said(answers.NOT_SERVED)
        else:
            self._begin_with(operation, asked, said)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Does what takes time of its own, as a request in hand."""
        self._house.admission.in_hand += 1
        task = asyncio.get_running_loop().create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._house.admission.in_hand -= 1
        self._under_way.discard(task)

    def _begin_with(
        self, operation: Callable[[Asked, Callable[..., None]], None], asked: Asked, said: Callable[..., None]
    ) -> None:
        try:
            operation(asked, said)
        except ProtoError as error:
            said(answers.refused(error, asked.message.op))
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it is answered and stands in the journal
            said(self._failed(error))

    def _aside(self, answer: Answering, asked: Asked, said: Callable[..., None]) -> None:
        """What takes time of its own, and is not for who may have borrowed an address."""
        if asked.standing is None:
            said(answers.NOT_BY_UDP)
        else:
            self._spawn(self._answered(answer, asked, said))

    async def _answered(self, answer: Answering, asked: Asked, said: Callable[..., None]) -> None:
        answered: tuple[Asked, Said] | None
        try:
            answered = await answer(asked)
        except Exception as error:  # noqa: BLE001 - it is answered; a mistake of ours stands in the journal
            answered = asked, self._trouble(asked, error)
        if answered is None:
            self._begin_with(self._ask, asked, said)
        else:
            to, told = answered
            said(told, to=to)

    def _trouble(self, asked: Asked, error: Exception) -> Said:
        if isinstance(error, ProtoError):
            return answers.refused(error, asked.message.op)
        for kind, told in _TROUBLES.items():
            if isinstance(error, kind):
                log.warning("troubled", op=asked.message.op, error=str(error))
                return told
        return self._failed(error)

    def _resolve(self, asked: Asked, said: Callable[..., None]) -> None:
        (self._administer if wants_private(asked) else self._ask)(asked, said)

    def _ask(self, asked: Asked, said: Callable[..., None]) -> None:
        """What everybody is told."""
        question = request_body(asked.message)
        assert isinstance(question, Question)
        if question.handle == HEARTBEAT:
            said((ResponseCode.HANDLE_NOT_FOUND, Failure()))
            return
        began = self._clock()
        try:
            identifier = Identifier.parse(answers.named(question.handle))
        except ProtoError as error:
            said((ResponseCode.HANDLE_NOT_FOUND, Failure(f"{error.zh}。 {error.en}.")))
            return
        self._house.admission.in_hand += 1
        then = partial(self._resolved, question, asked.source, began, said)
        if asked.message.has(DO_NOT_REFER):
            self._house.hot.fetch(identifier, then, onward=False)
        else:
            # Who wants it done for them is answered what others said; others are told whom to ask.
            recursive = asked.message.has(RECURSIVE)
            then = partial(self._or_referred, identifier, then, said, recursive)
            self._house.hot.fetch(identifier, then, recursive)

    def _or_referred(
        self,
        identifier: Identifier,
        then: Then,
        said: Callable[..., None],
        asked_on: bool,
        found: Answer | Exception,
    ) -> None:
        """Refers who asked to whoever has it, if they are known; else, unless others were asked already, asks them."""
        if isinstance(found, Exception) or found.outcome not in _ELSEWHERE:
            then(found)
            return
        task = asyncio.get_running_loop().create_task(self._refer(identifier, then, said, asked_on, found))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _refer(
        self, identifier: Identifier, then: Then, said: Callable[..., None], asked_on: bool, found: Answer
    ) -> None:
        try:
            referral = await self._house.signposts.referral(prefix_of(identifier), found.epoch)
        except Exception as error:  # noqa: BLE001 - told to who asked
            then(error)
            return
        if referral is not None:
            self._house.admission.in_hand -= 1
            said(answers.referred(referral))
        elif asked_on:
            then(found)
        else:
            self._house.hot.fetch(identifier, then)

    def _resolved(
        self,
        question: Question,
        source: Source,
        began: float,
        said: Callable[..., None],
        found: Answer | Exception,
    ) -> None:
        self._house.admission.in_hand -= 1
        self._house.road.count(found, began)
        self._house.road.note(began, source, question.handle, found)
        if isinstance(found, Exception):
            said(answers.BUSY if isinstance(found, _BUSY) else self._failed(found))
            return
        try:
            told = answers.resolved(question, found)
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it is answered and stands in the journal
            told = self._failed(error)
        said(told, authoritative=not found.elsewhere)

    def _tell_site(self, asked: Asked, said: Callable[..., None]) -> None:
        assert isinstance(request_body(asked.message), Named)
        key = self._house.site_key
        site = site_of(self._house.config, key.public if key else b"", asked.reached)
        said((ResponseCode.SUCCESS, Opaque(site.to_octets())) if site else answers.NO_SITE)

    def _said(
        self, asked: Asked, reply: Reply, said: Said, *, to: Asked | None = None, authoritative: bool = True
    ) -> None:
        to, body = to or asked, said[1]
        if isinstance(body, Valued) and to.message.op == OpCode.RESOLUTION and to.message.has(TRUSTED_QUERY):
            self._spawn(self._verified(to, reply, body, authoritative=authoritative))
        else:
            self._deliver(to, reply, said, authoritative=authoritative)

    async def _verified(self, asked: Asked, reply: Reply, told: Valued, *, authoritative: bool) -> None:
        """Answers a trusted query for these values once it is known whether they are as somebody trusted said."""
        said: Said = (ResponseCode.SUCCESS, told)
        trusted, further = Trust.UNKNOWN, not asked.message.has(DO_NOT_REFER)
        try:
            identifier = Identifier.parse(answers.named(told.handle))
            finding = await self._house.verifier.found(identifier, told.values, onward=further)
            trusted = finding.trust
            self._house.meter.count(NATIVE_TRUSTED, trusted.value)
            if trusted is Trust.UNTRUSTED:
                said = answers.untrusted(finding)
        except Exception as error:  # noqa: BLE001 - it is answered; a mistake of ours stands in the journal
            said = self._trouble(asked, error)
        self._deliver(asked, reply, said, TRUSTED_RESULT * (trusted is Trust.TRUSTED), authoritative=authoritative)

    def _deliver(self, to: Asked, reply: Reply, said: Said, flags: int = 0, *, authoritative: bool) -> None:
        if self._seals.wanted(to):
            self._spawn(self._sealed(to, reply, said, flags, authoritative=authoritative))
        else:
            self._tell(to, reply, said, flags, authoritative=authoritative)

    async def _sealed(self, to: Asked, reply: Reply, said: Said, flags: int, *, authoritative: bool) -> None:
        try:
            answer = await self._seals.framed(to, said, self._now(), flags, authoritative=authoritative)
        except BusyError:  # counted there; whoever wants many shall not fill the journal
            self._tell(to, reply, answers.BUSY)
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it is answered and stands in the journal
            self._tell(to, reply, self._failed(error))
        else:
            self._count(said[0])
            reply(answer)

    def _tell(self, to: Asked, reply: Reply, said: Said, flags: int = 0, *, authoritative: bool = True) -> None:
        """Answers as it is, unsealed."""
        self._count(said[0])
        reply(framed(to, said, self._now(), flags, authoritative=authoritative))

    def _count(self, code: ResponseCode) -> None:
        self._house.meter.count(NATIVE_REQUESTS, _CODES[code])

    def _failed(self, error: Exception) -> Said:
        mark = secrets.token_hex(6)
        self._house.meter.count(NATIVE_INTERNAL_ERRORS)
        log.error("internal_error", request=mark, exc_info=error)
        return answers.failed(mark)

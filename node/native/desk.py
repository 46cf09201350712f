"""`Desk`: a whole message in, the answer to it out, once, now or later. Which door it came through is all the same.

Every operation has a row in the table; what is not there is not served.
"""

import asyncio
import secrets
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from node.brake import BrakedError
from node.gather import BusyError
from node.house import House
from node.metrics import NATIVE_INTERNAL_ERRORS, NATIVE_REFUSED, NATIVE_REQUESTS
from node.native import answers
from node.native.administration import Administration, wants_private
from node.native.answers import Asked, Said, Standing, framed
from node.resolve.answer import Answer
from node.site import site_of
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.native.bodies import Failure, Named, Opaque, Question, request_body
from proto.native.envelope import Framed
from proto.native.message import DO_NOT_REFER, Message
from registry.access_log import Source
from registry.errors import UnavailableError, UnknownOutcomeError

Reply = Callable[[Framed], None]
"""Who waits for an answer; told once. Raises nothing."""

HEARTBEAT: Final = "0"
"""What clients of teleinfo resolve to see whether anybody is there (handle reference §2.16): no other node is asked."""
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
        self._administration = Administration(house)
        self._under_way: set[asyncio.Task[None]] = set()
        self._operations: dict[int, Callable[[Asked, Callable[..., None]], None]] = {
            OpCode.RESOLUTION: self._resolve,
            OpCode.GET_SITE_INFO: self._tell_site,
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
            asked = Asked(envelope, Message.from_octets(message.message), source, reached, standing)
        except ProtoError as error:
            self._count(ResponseCode.PROTOCOL_ERROR)
            reply(answers.broken(envelope, error, self._now()))
            return
        said = partial(self._said, asked, reply)
        status = 0 if admitted else self._house.admission.admit(source[0])
        if status:
            self._house.meter.count(NATIVE_REFUSED, _TURNED_AWAY[status])
            said(answers.BUSY)
        elif asked.message.code:
            said(answers.NO_REQUEST)
        elif envelope.encrypted:
            said(answers.NO_SESSION)
        else:
            self._begin(asked, said)

    def _begin(self, asked: Asked, said: Callable[..., None]) -> None:
        operation = self._operations.get(asked.message.op)
        if operation is None:
            said(answers.NOT_SERVED if asked.message.op else answers.NO_REQUEST)
        else:
            self._begin_with(operation, asked, said)

    def _begin_with(
        self, operation: Callable[[Asked, Callable[..., None]], None], asked: Asked, said: Callable[..., None]
    ) -> None:
        try:
            operation(asked, said)
        except ProtoError as error:
            said(answers.refused(error, asked.message.op))
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it is answered and stands in the journal
            said(self._failed(error))

    def _administer(self, asked: Asked, said: Callable[..., None]) -> None:
        """What takes time of its own."""
        if asked.standing is None:
            said(answers.NOT_BY_UDP)
            return
        self._house.admission.in_hand += 1
        task = asyncio.get_running_loop().create_task(self._administered(asked, said))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _administered(self, asked: Asked, said: Callable[..., None]) -> None:
        answered: tuple[Asked, Said] | None
        try:
            answered = await self._administration.answer(asked)
        except Exception as error:  # noqa: BLE001 - it is answered; a mistake of ours stands in the journal
            answered = asked, self._trouble(asked, error)
        finally:
            self._house.admission.in_hand -= 1
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
        self._house.hot.fetch(identifier, then, not asked.message.has(DO_NOT_REFER))

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
        site = site_of(self._house.config, asked.reached)
        said((ResponseCode.SUCCESS, Opaque(site.to_octets())) if site else answers.NO_SITE)

    def _said(
        self, asked: Asked, reply: Reply, said: Said, *, to: Asked | None = None, authoritative: bool = True
    ) -> None:
        self._count(said[0])
        reply(framed(to or asked, said, self._now(), authoritative=authoritative))

    def _count(self, code: ResponseCode) -> None:
        self._house.meter.count(NATIVE_REQUESTS, _CODES[code])

    def _failed(self, error: Exception) -> Said:
        mark = secrets.token_hex(6)
        self._house.meter.count(NATIVE_INTERNAL_ERRORS)
        log.error("internal_error", request=mark, exc_info=error)
        return answers.failed(mark)

"""`Desk`: a whole message in, the answer to it out, once, now or later. Which door it came through is all the same.

Every operation has a row in the table; what is not there is not served.
"""

import secrets
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog

from node.gather import BusyError
from node.house import House
from node.metrics import NATIVE_REFUSED, NATIVE_REQUESTS
from node.native import answers
from node.native.answers import Asked, Said, framed
from node.resolve.answer import Answer
from node.site import site_of
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.native.bodies import Failure, Named, Opaque, Question, request_body
from proto.native.envelope import Framed
from proto.native.message import DO_NOT_REFER, Message
from registry.access_log import Source
from registry.errors import UnavailableError

Reply = Callable[[Framed], None]
"""Who waits for an answer; told once. Raises nothing."""

HEARTBEAT: Final = "0"
"""What clients of teleinfo resolve to see whether anybody is there (handle reference §2.16): no other node is asked."""
_CODES: Final = {int(code): code.name.lower() for code in ResponseCode}
_BUSY: Final = (BusyError, UnavailableError)
_TURNED_AWAY: Final = {429: "rate", 503: "requests"}
"""Why a peer was not admitted, as operators are told."""

log = structlog.get_logger("native")


class Desk:
    """Answers for one worker. `clock` gives monotonic seconds, `now` those since 1970 UTC."""

    def __init__(self, house: House, clock: Callable[[], float], now: Callable[[], int]) -> None:
        self._house = house
        self._clock = clock
        self._now = now
        self._operations: dict[int, Callable[[Asked, Callable[..., None]], None]] = {
            OpCode.RESOLUTION: self._resolve,
            OpCode.GET_SITE_INFO: self._tell_site,
        }

    def take(self, message: Framed, source: Source, reply: Reply, reached: str = "", *, admitted: bool = False) -> None:
        """Gives `reply` the answer to a message that came from `source` and reached us at that address.

        `admitted`: its door has asked whether this source may be served.
        """
        envelope = message.envelope
        try:
            asked = Asked(envelope, Message.from_octets(message.message), source, reached)
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
        try:
            if operation is None:
                said(answers.NOT_SERVED if asked.message.op else answers.NO_REQUEST)
            else:
                operation(asked, said)
        except ProtoError as error:
            said(answers.refused(error, asked.message.op))
        except Exception as error:  # noqa: BLE001 - a mistake of ours: it is answered and stands in the journal
            said(self._failed(error))

    def _resolve(self, asked: Asked, said: Callable[..., None]) -> None:
        question = request_body(asked.message)
        assert isinstance(question, Question)
        if question.handle == HEARTBEAT:
            said((ResponseCode.HANDLE_NOT_FOUND, Failure()))
            return
        began = self._clock()
        try:
            identifier = Identifier.parse(named(question.handle))
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

    def _said(self, asked: Asked, reply: Reply, said: Said, *, authoritative: bool = True) -> None:
        self._count(said[0])
        reply(framed(asked, said, self._now(), authoritative=authoritative))

    def _count(self, code: ResponseCode) -> None:
        self._house.meter.count(NATIVE_REQUESTS, _CODES[code])

    def _failed(self, error: Exception) -> Said:
        mark = secrets.token_hex(6)
        log.error("internal_error", request=mark, exc_info=error)
        return answers.failed(mark)


def named(handle: str) -> str:
    """The identifier a name stands for: a prefix alone is what is known of that prefix (handle reference §1.1)."""
    return handle if "/" in handle or not handle else f"0.NA/{handle}"

"""What each outcome is called on the native face, and how an answer to a request is put together. Pure.

Nothing is decided here but flags and versions; whoever wonders which code a client sees looks here only.
"""

from typing import Final, NamedTuple

from node.listen import replies
from node.resolve.answer import Answer, Outcome
from node.site import SERIAL
from proto.codes import OpCode, ResponseCode
from proto.errors import NotUtf8Error, ProtoError
from proto.native.bodies import Body, Failure, Question, Valued, answer_octets
from proto.native.digest import RequestDigest
from proto.native.envelope import Envelope, Framed
from proto.native.message import (
    AUTHORITATIVE,
    CACHE_AUTHENTICATION,
    DO_NOT_REFER,
    MINT,
    OVERWRITE,
    PUBLIC_ONLY,
    RECURSIVE,
    REQUEST_DIGEST,
    Message,
)
from proto.native.versions import OWN, agreed, wire_code
from proto.value import type_matches
from proto.web_json import values_of
from registry.access_log import NOWHERE, Source

EXPIRES_SECONDS: Final = 12 * 3600
"""How long an answer is good, as deployed servers say it; clients refuse one that has ended."""
COPIED: Final = RECURSIVE | CACHE_AUTHENTICATION | PUBLIC_ONLY | REQUEST_DIGEST | OVERWRITE | MINT | DO_NOT_REFER
"""Flags an answer has of its request. Not those that promise a signature or a session: there is none."""

OUTCOMES: Final[dict[Outcome, tuple[ResponseCode, str]]] = {
    Outcome.ABSENT: (ResponseCode.HANDLE_NOT_FOUND, ""),
    Outcome.GONE: (ResponseCode.HANDLE_NOT_FOUND, ""),
    Outcome.STOPPED: (ResponseCode.SERVER_NOT_RESPONSIBLE, "前缀已停用。 The prefix is stopped."),
    Outcome.FOREIGN: (ResponseCode.SERVER_NOT_RESPONSIBLE, replies.NOT_HERE),
    Outcome.UNREACHABLE: (ResponseCode.ERROR, replies.UNREACHABLE_TEXT),
}
"""What is said of an identifier of which no values can be shown."""

BUSY: Final = (ResponseCode.SERVER_BUSY, Failure("系统繁忙，请稍后再试。 Busy; try again shortly."))
NOT_SERVED: Final = (ResponseCode.OPERATION_NOT_SUPPORTED, Failure("不支持的操作。 This operation is not served."))
NO_REQUEST: Final = (ResponseCode.PROTOCOL_ERROR, Failure("这不是请求。 This is no request."))
NO_SESSION: Final = (ResponseCode.SESSION_FAILED, Failure("没有这个会话。 There is no such session."))
NO_SITE: Final = (
    ResponseCode.ERROR,
    Failure("设置没有给出本节点的地址。 The settings name no address of this node."),
)
TOO_LONG: Final = (ResponseCode.ERROR, Failure("回答过长，请用TCP。 The answer is too long for UDP: ask over TCP."))


class Asked(NamedTuple):
    """A request whose header could be read, who sent it, and at which address of ours, where that is known."""

    envelope: Envelope
    message: Message
    source: Source = NOWHERE
    reached: str = ""


Said = tuple[ResponseCode, Body]
"""What is answered: the code, and what goes with it."""


def failed(mark: str) -> Said:
    """A mistake of ours; the journal has the reason by this mark."""
    return ResponseCode.ERROR, Failure(f"内部错误，请求编号{mark}。 Internal error, request {mark}.")


def refused(error: ProtoError, op: int) -> Said:
    """What could not be read. An identifier that is not UTF-8 is known to nobody (deployed servers say so, too)."""
    code = ResponseCode.PROTOCOL_ERROR
    if isinstance(error, NotUtf8Error) and error.field == "handle":
        code = ResponseCode.HANDLE_NOT_FOUND if op == OpCode.RESOLUTION else ResponseCode.INVALID_HANDLE
    return code, Failure(f"{error.zh}。 {error.en}.")


def resolved(question: Question, found: Answer) -> Said:
    """The answer to a resolution by who is not signed in.

    With or without PUBLIC_ONLY such a caller is told what is public, and no challenge: the clients of the industrial
    identifier system never set the flag, and take a challenge to a question for a fault.
    """
    if found.outcome is not Outcome.FOUND:
        code, text = OUTCOMES[found.outcome]
        return code, Failure(text)
    values = values_of(found.shown)
    if question.indexes or question.types:
        values = tuple(
            each
            for each in values
            if each.index in question.indexes or any(type_matches(asked, each.type) for asked in question.types)
        )
    return (
        (ResponseCode.SUCCESS, Valued(question.handle, values))
        if values
        else (ResponseCode.VALUES_NOT_FOUND, Failure())
    )


def framed(asked: Asked, said: Said, now: int, *, authoritative: bool = True) -> Framed:
    """The answer to `asked` at `now` (seconds since 1970 UTC); of what lives elsewhere no site of ours has the last
    word.
    """
    (code, body), envelope, message = said, asked.envelope, asked.message
    version = agreed(envelope.version, envelope.suggested)
    digest = RequestDigest.of(message.covered, version) if message.has(REQUEST_DIGEST) else None
    answer = Message(
        message.op,
        wire_code(code, version),
        message.flags & COPIED | AUTHORITATIVE * authoritative,
        answer_octets(body, digest, version),
        serial=SERIAL,
        expiration=now + EXPIRES_SECONDS,
    ).to_octets()
    return Framed(Envelope(version, OWN, envelope.request, len(answer), envelope.session), answer)


def broken(envelope: Envelope, error: ProtoError, now: int) -> Framed:
    """The answer to what has an envelope and nothing else that can be read."""
    return framed(Asked(envelope, Message(0)), refused(error, 0), now)

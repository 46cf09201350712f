"""What each outcome is called on the native face, and how an answer to a request is put together. Pure.

Nothing is decided here but flags and versions; whoever wonders which code a client sees looks here only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from node.keyholders import Held
from node.listen import replies
from node.resolve.answer import Answer, Outcome
from node.resolve.signposts import Referral
from node.site import SERIAL
from proto.codes import OpCode, ResponseCode
from proto.errors import NotUtf8Error, ProtoError
from proto.native import bodies
from proto.native.bodies import Body, Challenge, Failure, Listed, Question, Valued, answer_octets
from proto.native.continued import parts
from proto.native.digest import RequestDigest
from proto.native.envelope import Envelope, Framed
from proto.native.message import (
    AUTHORITATIVE,
    CACHE_AUTHENTICATION,
    CONTINUOUS,
    DO_NOT_REFER,
    MINT,
    OVERWRITE,
    PUBLIC_ONLY,
    RECURSIVE,
    REQUEST_DIGEST,
    Message,
)
from proto.native.versions import OWN, agreed, wire_code
from proto.value import Value, type_matches
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

_VALUED: Final = frozenset({OpCode.CREATE_HANDLE, OpCode.ADD_VALUE, OpCode.MODIFY_VALUE})

BUSY: Final = (ResponseCode.SERVER_BUSY, Failure("系统繁忙，请稍后再试。 Busy; try again shortly."))
NOT_SERVED: Final = (ResponseCode.OPERATION_NOT_SUPPORTED, Failure("不支持的操作。 This operation is not served."))
NO_REQUEST: Final = (ResponseCode.PROTOCOL_ERROR, Failure("这不是请求。 This is no request."))
NO_SESSION: Final = (ResponseCode.SESSION_FAILED, Failure("没有这个会话。 There is no such session."))
NO_SITE: Final = (
    ResponseCode.ERROR,
    Failure("设置没有给出本节点的地址。 The settings name no address of this node."),
)
LOGIN_NEEDED: Final = (ResponseCode.LOGIN_NEEDED, Failure("请先登录。 Log in first."))
LOGIN_EXPIRED: Final = (
    ResponseCode.LOGIN_EXPIRED,
    Failure("密钥已变更，请重新登录。 The key has changed: log in again."),
)
LATE: Final = (
    ResponseCode.AUTHENTICATION_TIMEOUT,
    Failure("没有这个质询，或已过期。 There is no such challenge, or its time is over."),
)
NOT_BY_UDP: Final = (ResponseCode.PROTOCOL_ERROR, Failure("此操作请用TCP。 This operation is served over TCP."))
BRAKED: Final = (
    ResponseCode.SERVER_BUSY,
    Failure("失败次数过多，请稍后再试。 Too many have failed; try again shortly."),
)
UNKNOWN: Final = (ResponseCode.ERROR, Failure("结果未知，请重试。 The outcome is unknown; repeat the request."))
TOO_LONG: Final = (ResponseCode.ERROR, Failure("回答过长，请用TCP。 The answer is too long for UDP: ask over TCP."))


@dataclass(slots=True)
class Standing:
    """How who sends requests stands with us, for as long as their connection does: the key they signed in with."""

    login: Held | None = None


class Asked(NamedTuple):
    """A request whose header could be read, who sent it, and at which address of ours, where that is known.

    `standing` have those alone who may administer: by UDP nobody can be told from who borrows their address.
    """

    envelope: Envelope
    message: Message
    source: Source = NOWHERE
    reached: str = ""
    standing: Standing | None = None


Said = tuple[ResponseCode, Body]
"""What is answered: the code, and what goes with it."""


def failed(mark: str) -> Said:
    """A mistake of ours; the journal has the reason by this mark."""
    return ResponseCode.ERROR, Failure(f"内部错误，请求编号{mark}。 Internal error, request {mark}.")


def refused(error: ProtoError, op: int) -> Said:
    """What could not be read. An identifier that is not UTF-8 is known to nobody, and a value has an index from 1 on
    (deployed servers say so, too).
    """
    code = ResponseCode.INVALID_VALUE if error.field == "index" and op in _VALUED else ResponseCode.PROTOCOL_ERROR
    if isinstance(error, NotUtf8Error) and error.field == "handle":
        code = ResponseCode.HANDLE_NOT_FOUND if op == OpCode.RESOLUTION else ResponseCode.INVALID_HANDLE
    return code, Failure(f"{error.zh}。 {error.en}.")


def named(handle: str) -> str:
    """The identifier a name stands for: a prefix alone is what is known of that prefix (handle reference §1.1)."""
    return handle if "/" in handle or not handle else f"0.NA/{handle}"


def resolved(question: Question, found: Answer) -> Said:
    """The answer to a resolution by whom all may hear."""
    if found.outcome is not Outcome.FOUND:
        code, text = OUTCOMES[found.outcome]
        return code, Failure(text)
    return told(question, wanted(question, values_of(found.shown)))


def wanted(question: Question, values: Iterable[Value]) -> tuple[Value, ...]:
    """Those the question is about."""
    every = not (question.indexes or question.types)
    return tuple(
        each
        for each in values
        if every or each.index in question.indexes or any(type_matches(asked, each.type) for asked in question.types)
    )


def told(question: Question, values: tuple[Value, ...]) -> Said:
    """The answer that tells these values."""
    return (
        (ResponseCode.SUCCESS, Valued(question.handle, values))
        if values
        else (ResponseCode.VALUES_NOT_FOUND, Failure())
    )


def referred(referral: Referral) -> Said:
    """The answer that names who is to be asked instead."""
    return referral.code, bodies.Referral("", referral.values)


def framed(asked: Asked, said: Said, now: int, *, authoritative: bool = True) -> Framed:
    """The answer to `asked` at `now` (seconds since 1970 UTC); of what lives elsewhere no site of ours has the last
    word.
    """
    body = said[1]
    if isinstance(body, Listed):
        return _continued(asked, body, now)
    return _one(asked, said, now, AUTHORITATIVE * authoritative)


def _one(asked: Asked, said: Said, now: int, flags: int) -> Framed:
    (code, body), envelope, message = said, asked.envelope, asked.message
    version = agreed(envelope.version, envelope.suggested)
    challenges = isinstance(body, Challenge)  # what is to be signed with it is the digest of the request
    digest = RequestDigest.of(message.covered, version) if challenges or message.has(REQUEST_DIGEST) else None
    answer = Message(
        message.op,
        wire_code(code, version),
        message.flags & COPIED | flags | REQUEST_DIGEST * challenges,
        answer_octets(body, digest, version),
        serial=SERIAL,
        expiration=now + EXPIRES_SECONDS,
    ).to_octets()
    return Framed(Envelope(version, OWN, envelope.request, len(answer), envelope.session), answer)


def _continued(asked: Asked, listed: Listed, now: int) -> Framed:
    """The messages that tell a list, in a row behind the envelope of the first: they go out in one piece."""
    first, *rest = (
        _one(asked, (ResponseCode.SUCCESS, part), now, AUTHORITATIVE | CONTINUOUS * follows)
        for part, follows in parts(listed.names)
    )
    return Framed(first.envelope, first.message + b"".join(each.to_octets() for each in rest))


def broken(envelope: Envelope, error: ProtoError, now: int) -> Framed:
    """The answer to what has an envelope and nothing else that can be read."""
    return framed(Asked(envelope, Message(0)), refused(error, 0), now)

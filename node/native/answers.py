"""What each outcome is called on the native face, and how an answer to a request is put together. Pure.

Nothing is decided here but flags and versions; whoever wonders which code a client sees looks here only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from node.keyholders import Held
from node.listen import replies
from node.resolve.answer import Answer, Outcome
from node.resolve.signposts import Referral
from node.site import SERIAL
from proto.codes import OpCode, ResponseCode
from proto.errors import NotUtf8Error, ProtoError
from proto.keys.session import SessionKey
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
from proto.trust import Finding
from proto.value import Value, type_matches
from proto.web_json import values_of
from registry.access_log import NOWHERE, Source

EXPIRES_SECONDS: Final = 12 * 3600
"""How long an answer is good, as deployed servers say it; clients refuse one that has ended."""
COPIED: Final = RECURSIVE | CACHE_AUTHENTICATION | PUBLIC_ONLY | REQUEST_DIGEST | OVERWRITE | MINT | DO_NOT_REFER
"""Flags an answer has of its request. Those that promise a signature or a session are theirs who seal it (seals.py)."""

OUTCOMES: Final[dict[Outcome, tuple[ResponseCode, str]]] = {
    Outcome.ABSENT: (ResponseCode.HANDLE_NOT_FOUND, ""),
    Outcome.GONE: (ResponseCode.HANDLE_NOT_FOUND, ""),
    Outcome.STOPPED: (ResponseCode.SERVER_NOT_RESPONSIBLE, "前缀已停用。 The prefix is stopped."),
    Outcome.FOREIGN: (ResponseCode.SERVER_NOT_RESPONSIBLE, replies.NOT_HERE),
    Outcome.UNREACHABLE: (ResponseCode.ERROR, replies.UNREACHABLE_TEXT),
}
"""What is said of an identifier of which no values can be shown."""

_QUOTAS: Final = frozenset({ResponseCode.REGISTRATION_LIMIT, ResponseCode.PREFIX_LIMIT})
_VALUED: Final = frozenset({OpCode.CREATE_HANDLE, OpCode.ADD_VALUE, OpCode.MODIFY_VALUE})

BUSY: Final = (ResponseCode.SERVER_BUSY, Failure("系统繁忙，请稍后再试。 Busy; try again shortly."))
NOT_SERVED: Final = (ResponseCode.OPERATION_NOT_SUPPORTED, Failure("不支持的操作。 This operation is not served."))
NO_REQUEST: Final = (ResponseCode.PROTOCOL_ERROR, Failure("这不是请求。 This is no request."))
NO_SESSION: Final = (
    ResponseCode.SESSION_TIMEOUT,
    Failure("没有这个会话，或已结束。 There is no such session, or it has ended."),
)
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
    """How who sends requests stands with us, for as long as their connection or session does: the key they signed in
    with. `by_udp`: for as long as it is kept for their address, where the settings let keys log in by UDP.
    """

    login: Held | None = None
    by_udp: bool = False


class Inside(NamedTuple):
    """The session a request came in: its number and key, the number of the first answer to the request, and whether
    answers are encrypted.
    """

    number: int
    key: SessionKey
    first: int
    encrypts: bool


class Asked(NamedTuple):
    """A request whose header could be read, who sent it, and at which address of ours, where that is known.

    `standing` have those alone who may administer: by UDP nobody can be told from who borrows their address. `inside`
    have those that came in a session (sessions.py).
    """

    envelope: Envelope
    message: Message
    source: Source = NOWHERE
    reached: str = ""
    standing: Standing | None = None
    inside: Inside | None = None

    @property
    def by_udp(self) -> bool:
        """Whether it came from an address that anybody could have written down."""
        return self.standing is None or self.standing.by_udp


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


def known(code: ResponseCode) -> ResponseCode:
    """The code of a write that is refused, as clients of the protocol know it: quotas have none there, and those of
    teleinfo say the numbers other faces have for them to themselves (handle reference §2.4).
    """
    return ResponseCode.ERROR if code in _QUOTAS else code


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


def framed(asked: Asked, said: Said, now: int, flags: int = 0, *, authoritative: bool = True) -> Framed:
    """The answer to `asked` at `now` (seconds since 1970 UTC), with `flags` beside the usual ones; of what lives
    elsewhere no site of ours has the last word.
    """
    return joined([laid(*each) for each in messages(asked, said, now, flags, authoritative=authoritative)])


def untrusted(finding: Finding) -> Said:
    """The answer to a trusted query for what is not as somebody trusted said."""
    return ResponseCode.CREDENTIAL_REFUSED, Failure(f"凭证验证失败（{finding.word}）。 Not trusted: {finding.word}.")


def messages(
    asked: Asked, said: Said, now: int, flags: int = 0, *, authoritative: bool
) -> Iterable[tuple[Envelope, Message]]:
    """The messages of the answer, with `flags` and envelopes that do not know their lengths yet: one, or for a list as
    many as it takes.
    """
    flags |= AUTHORITATIVE * authoritative
    code, body = said
    if not isinstance(body, Listed):
        return [_one(asked, said, now, flags)]
    return (_one(asked, (code, part), now, flags | CONTINUOUS * follows) for part, follows in parts(body.names))


def laid(envelope: Envelope, message: Message) -> Framed:
    """A message as it travels."""
    octets = message.to_octets()
    return Framed(envelope._replace(length=len(octets)), octets)


def joined(answers: Sequence[Framed]) -> Framed:
    """Several in a row behind the envelope of the first: they go out in one piece."""
    first, *rest = answers
    return Framed(first.envelope, first.message + b"".join(each.to_octets() for each in rest)) if rest else first


def _one(asked: Asked, said: Said, now: int, flags: int) -> tuple[Envelope, Message]:
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
    )
    return Envelope(version, OWN, envelope.request, 0, envelope.session), answer


def broken(envelope: Envelope, error: ProtoError, now: int) -> Framed:
    """The answer to what has an envelope and nothing else that can be read."""
    return framed(Asked(envelope, Message(0)), refused(error, 0), now)

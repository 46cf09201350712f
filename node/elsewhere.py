"""`Elsewhere`: keys of the Handle system that live on other nodes: public ones are read, secret ones asked about.

Nobody is asked here but through the stages that forward, so to no address a referral may not lead to. What is asked by
other nodes is not asked on: who calls this sees to that.
"""

import asyncio
import secrets
from typing import Final, Protocol

import structlog

from node.resolve.answer import Answer, Outcome
from node.resolve.forwarded import SilentError
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.identifier import Identifier
from proto.keys.proof import PBKDF2, SecretAnswer
from proto.native.bodies import Verification, Verified, answer_body
from proto.native.digest import RequestDigest
from proto.native.envelope import Envelope, Framed
from proto.native.message import PUBLIC_ONLY, RECURSIVE, REQUEST_DIGEST, Message
from proto.native.stream import Stream
from proto.native.versions import OWN
from proto.value import Reference, Value
from proto.web_json import values_of
from registry.errors import UnavailableError

TRUSTED_SECONDS: Final = 300
"""How long a key of elsewhere that was proven is trusted without being asked for again, and so how late it may be seen
that it was replaced or taken back."""
NONCE_OCTETS: Final = 16
"""How much of a challenge is the nonce; the rest is what the client or its request adds."""
CHALLENGE_OCTETS: Final = 32
"""What stands behind the nonce of a challenge of our own, where the digest of a request would."""
SIGNED_OCTETS: Final = 1024
"""Longest answer to a challenge that is passed on: by a secret key some 60 octets."""
ANSWER_OCTETS: Final = 4096
"""Longest answer to whether a key was proven: with a certificate of the server some hundred octets."""

_MARK: Final = bytes(24)
"""What stands in the place of a key's digest begins so where the key lives elsewhere: until when it is trusted follows
as 8 octets, seconds since 1970 UTC."""
_FLAGS: Final = RECURSIVE | PUBLIC_ONLY | REQUEST_DIGEST

log = structlog.get_logger("elsewhere")


class AwayError(Exception):
    """It cannot be told what the other node knows."""


class Resolver(Protocol):
    """Whom public keys are asked of."""

    async def ask(self, identifier: Identifier, *, onward: bool = True) -> Answer:
        """As `node.resolve.hot.Hot.ask`."""


class Messenger(Protocol):
    """Who takes a message to the node where an identifier lives."""

    async def told(self, identifier: Identifier, message: bytes) -> bytes:
        """As `node.resolve.forwarded.Forwarded.told`."""


def trusted_until(seconds: int) -> bytes:
    """What is kept instead of a digest of a key that lives elsewhere."""
    return _MARK + seconds.to_bytes(8)


def is_elsewhere(key: bytes) -> bool:
    """Whether that is what was kept."""
    return key.startswith(_MARK)


def is_trusted(key: bytes, now: int) -> bool:
    """Whether it is still trusted at `now`, seconds since 1970 UTC."""
    return now < int.from_bytes(key.removeprefix(_MARK))


class Elsewhere:
    """Asks for one worker. Raises AwayError, and BusyError when there is no room to ask."""

    def __init__(self, resolver: Resolver, messenger: Messenger) -> None:
        self._resolver = resolver
        self._messenger = messenger

    async def values(self, identifier: Identifier) -> tuple[Value, ...]:
        """The public values of an identifier of another node; none where there is none."""
        try:
            answer = await self._resolver.ask(identifier)
        except UnavailableError as error:
            raise AwayError(str(error)) from None
        if answer.outcome is Outcome.FOUND:
            return values_of(answer.shown)
        if answer.outcome is Outcome.ABSENT:
            return ()
        raise AwayError(answer.outcome.name.lower())

    async def verified(self, key: Reference, challenge: bytes, signed: bytes) -> bool:
        """Whether the secret key answered `challenge` by `signed` (a `signedResponse`), as its node says (operation
        201).
        """
        if len(signed) > SIGNED_OCTETS:
            return False
        nonce, digest = challenge[:NONCE_OCTETS], challenge[NONCE_OCTETS:]
        body = Verification(key.handle, key.index, nonce, digest, signed).to_octets()
        message = Message(OpCode.VERIFY_CHALLENGE, flags=_FLAGS, body=body)
        number = 1 + secrets.randbelow(2**31 - 1)
        octets = message.to_octets()
        sent = Framed(Envelope(OWN, OWN, number, len(octets)), octets).to_octets()
        try:
            heard = await self._messenger.told(Identifier.parse(key.handle), sent)
            return _valid(heard, number, message)
        except (SilentError, ProtoError, UnavailableError) as error:
            log.info("key_not_verified", key=f"{key.index}:{key.handle}", error=str(error))
            raise AwayError(str(error)) from None

    async def verified_secret(self, key: Reference, secret: bytes) -> bool:
        """Whether it is that secret, which is not told: a challenge of our own is answered by it."""
        challenge, salt = secrets.token_bytes(NONCE_OCTETS + CHALLENGE_OCTETS), secrets.token_bytes(NONCE_OCTETS)
        # Aside: to derive a key from a secret takes some 5 ms.
        answer = await asyncio.to_thread(SecretAnswer.made, secret, challenge, PBKDF2, salt)
        return await self.verified(key, challenge, answer.to_octets())


def _valid(octets: bytes, number: int, asked: Message) -> bool:
    """What another node says to `asked`, number and digest of which it must repeat. Raises ProtoError."""
    stream = Stream(ANSWER_OCTETS)
    stream.feed(octets)
    framed = stream.take()
    if framed is None or framed.envelope.request != number:
        raise ProtoError("message", "不是对该请求的回答", "it is no answer to this request")
    message = Message.from_octets(framed.message)
    if message.op != OpCode.VERIFY_CHALLENGE or message.code != ResponseCode.SUCCESS:
        raise ProtoError("responseCode", f"回答的代码为{message.code}", f"it answers with code {message.code}")
    body, digest = answer_body(message, framed.envelope.version)
    if digest != RequestDigest.of(asked.covered, framed.envelope.version) or not isinstance(body, Verified):
        raise ProtoError("digest", "不是对该请求的回答", "it is no answer to this request")
    return body.valid

"""Asks the top-level node: one signed request over HTTP, one signed answer. What is asked, and why, others decide."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import aiohttp
from google.protobuf.message import DecodeError, Message

from proto import signed
from proto import uplink_pb2 as pb
from proto.errors import ProtoError

ANSWER_SECONDS: Final = 30.0
"""How long an answer may take: a batch of 20,000 entries is a second's work for the other side."""
CONNECT_SECONDS: Final = 5.0
NOT_AUTHORISED: Final = 2201
"""RFC 5730 §3; said of an old fence, whatever the method."""
FAILED_FROM: Final = 2000
"""Result codes from here on say that nothing was done (RFC 5730 §3)."""
COMMAND_FAILED: Final = 2400
"""The other side has trouble of its own (RFC 5730 §3): ask again later."""

R = TypeVar("R", bound=Message)


class AwayError(Exception):
    """The top-level node did not answer, or what answered is not it. `reason` is a label of UPLINK_FAILURES."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class FencedError(Exception):
    """A younger voice speaks for this node."""


@dataclass(frozen=True, slots=True)
class Reply(Generic[R]):
    """What was answered. `message` is empty when `ok` is not so."""

    code: int
    zh: str
    en: str
    message: R

    @property
    def ok(self) -> bool:
        """Whether it was done, or is pending."""
        return self.code < FAILED_FROM


@dataclass(frozen=True, slots=True)
class Name:
    """Who speaks: the node's prefix, its private key of 32 octets, and the fence of the voice."""

    shr_prefix: str
    key: bytes
    fence: int


class TopLevelNode:
    """The top-level node at `url`. `now` gives milliseconds since 1970 UTC.

    Every request raises AwayError (it may have been carried out) and FencedError. `on_reach` is told of each whether
    anybody answered.
    """

    def __init__(self, session: aiohttp.ClientSession, url: str, name: Name, now: Callable[[], int]) -> None:
        self._session = session
        self._url = url.rstrip("/")
        self._name = name
        self._now = now
        self.public_key: bytes | None = None
        self.on_reach: Callable[[bool], None] = lambda answered: None

    async def enrol(self, name_zh: str, name_en: str) -> bytes:
        """Makes our key known; the key of the top-level node, believed at this first meeting."""
        request = pb.EnrolRequest(public_key=signed.public_key(self._name.key), name_zh=name_zh, name_en=name_en)
        nonce = self.nonce()
        with self._reaching():
            key = signed.introduced(await self._posted("Enrol", request, nonce), nonce)
        self.public_key = key
        return key

    @staticmethod
    def nonce() -> bytes:
        """The name of a request that was never made before."""
        return secrets.token_bytes(signed.NONCE_OCTETS)

    async def ask(self, method: str, request: Message, kind: type[R], nonce: bytes = b"") -> Reply[R]:
        """The answer to `request`; raises FencedError for any NOT_AUTHORISED."""
        reply = await self._answer(method, request, kind, nonce)
        if reply.code == NOT_AUTHORISED:
            raise FencedError(reply.en)
        return reply

    async def ask_about(self, method: str, request: Message, kind: type[R], nonce: bytes = b"") -> Reply[R]:
        """The answer to a request about something that may be another node's: NOT_AUTHORISED is an answer, too.

        Raises FencedError only when it is our fence that is refused, of which Poll tells.
        """
        reply = await self._answer(method, request, kind, nonce)
        if reply.code == NOT_AUTHORISED:
            await self.ask("Poll", pb.PollRequest(), pb.PollResponse)
        return reply

    async def _answer(self, method: str, request: Message, kind: type[R], nonce: bytes) -> Reply[R]:
        nonce = nonce or self.nonce()
        assert self.public_key is not None
        with self._reaching():
            given = signed.answered(await self._posted(method, request, nonce), self.public_key, nonce)
            if given.code == COMMAND_FAILED:
                raise AwayError("status", given.en)
            message = kind.FromString(given.response if given.code < FAILED_FROM else b"")
        return Reply(given.code, given.zh, given.en, message)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Tells whether what is done within was answered, and answered by the one we believe."""
        try:
            yield
        except AwayError:
            self.on_reach(False)
            raise
        except (ProtoError, DecodeError) as error:
            self.on_reach(False)
            raise _unread(error) from None
        self.on_reach(True)

    async def _posted(self, method: str, request: Message, nonce: bytes) -> bytes:
        asked = signed.Asked(
            method, self._name.shr_prefix, self._now(), nonce, self._name.fence, request.SerializeToString()
        )
        try:
            async with self._session.post(
                f"{self._url}/uplink/v1/{method}",
                data=signed.ask(asked, self._name.key),
                headers={"Content-Type": "application/x-protobuf"},
                allow_redirects=False,
            ) as response:
                octets = await _bounded(response)
        except (TimeoutError, asyncio.IncompleteReadError) as error:
            raise AwayError("timeout", f"{method}: {error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise AwayError("unreachable", f"{method}: {type(error).__name__}: {error}") from error
        if response.status != 200:
            text = octets[:200].decode(errors="replace")
            raise AwayError("status", f"{method}: HTTP {response.status} {text}")
        return octets


def _unread(error: ProtoError | DecodeError) -> AwayError:
    if isinstance(error, DecodeError):
        return AwayError("unreadable", str(error))
    return AwayError("signature" if error.field == "signature" else "unreadable", error.en)


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    pieces, length = [], 0
    async for piece in response.content.iter_any():
        pieces.append(piece)
        length += len(piece)
        if length > signed.MESSAGE_OCTETS:
            raise AwayError("unreadable", f"the answer has more than {signed.MESSAGE_OCTETS} octets")
    return b"".join(pieces)


def session() -> aiohttp.ClientSession:
    """A session whose patience is bounded, and which keeps and unpacks nothing."""
    timeout = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
    return aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False)

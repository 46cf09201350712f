"""Sessions of the native face: set up, found again by whichever worker hears of them, and ended.

What is said in one is proven by its MAC and heard once (handle reference §2.9). Who proves
a key in it need not prove it again there.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from node.buckets import Buckets
from node.gather import BusyError
from node.house import House
from node.keyholders import Held
from node.metrics import NATIVE_SESSIONS
from node.native import answers
from node.native.answers import Asked, Inside, Said, Standing
from node.turns import Turns
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.forwarded_for import end_site
from proto.identifier import Identifier
from proto.keys import session
from proto.keys.session import AES_CIPHER, EXPONENT_OCTETS, FIRST_VERSION
from proto.native.bodies import DIFFIE_HELLMAN, HANDLE_KEY, Failure, Nothing, SessionKey, SessionSetup, request_body
from proto.native.credential import Credential, signed_octets
from proto.native.message import ENCRYPT, Message
from proto.native.versions import NEW_CODES, agreed
from registry import native_session
from registry.account import Vault, derived
from registry.native_session import NUMBER_FIRST, NUMBERS, NativeSession, is_number

SETUPS: Final = 120
"""Sessions one address may set up within SETUP_SECONDS: clients set up one and keep it. Each takes up to 20 ms."""
SETUP_SECONDS: Final = 60.0
WAITING_MOST: Final = 32
"""Keys that wait to be agreed on in a worker, with the one that is: some 2 s at most, of usual groups 0.2 s."""
MAC_TYPE: Final = "HS_MAC"
LISTED_ANSWERS: Final = 256
"""Numbers a list takes for its answers: more than its messages (administration.py, LISTED_MOST)."""

_OPEN: Final = frozenset({OpCode.RESOLUTION, OpCode.GET_SITE_INFO})
"""What anybody may ask, whatever number stands in the envelope (handle reference §2.9)."""
_LISTS: Final = frozenset({OpCode.LIST_HANDLES, OpCode.LIST_HOMED_PREFIXES, OpCode.CHALLENGE_RESPONSE})

_NOT_AES: Final = (
    ResponseCode.SESSION_FAILED,
    Failure("会话需要2.4及以上版本（AES）。 Sessions need version 2.4 (AES)."),
)
_NOT_DH: Final = (
    ResponseCode.SESSION_FAILED,
    Failure("会话密钥仅以Diffie-Hellman协商。 Keys of sessions are agreed on by Diffie-Hellman only."),
)
_UNPROVEN: Final = (
    ResponseCode.INVALID_SESSION_KEY,
    Failure("报文不是以会话密钥加密和认证的。 This was not encrypted and authenticated by the key of the session."),
)
_NO_MAC: Final = (
    ResponseCode.INVALID_CREDENTIAL,
    Failure("会话中的报文缺少MAC。 A message in a session has a MAC."),
)
_REPLAYED: Final = (
    ResponseCode.SESSION_MESSAGE_REJECTED,
    Failure("会话计数已用过。 This counter was used in the session."),
)


def concerned(asked: Asked) -> bool:
    """Whether a request may come in a session of ours: what may not is answered without looking for one."""
    envelope, message = asked.envelope, asked.message
    if envelope.encrypted or message.op == OpCode.SESSION_TERMINATE:
        return True
    return is_number(envelope.session) and (bool(message.credential) or message.op not in _OPEN)


class Sessions:
    """Those a worker hears of. `clock` gives monotonic seconds."""

    def __init__(self, house: House, clock: Callable[[], float]) -> None:
        self._house = house
        self._vault = Vault(derived(house.config.key(), "sessions of the Handle protocol"))
        self._counted = partial(house.meter.count, NATIVE_SESSIONS)
        self._rate = Buckets(SETUPS, SETUP_SECONDS, clock)
        self._turns = Turns(clock)
        self._aside = ThreadPoolExecutor(1, "session-keys")
        self._waiting = 0

    async def set_up(self, asked: Asked) -> tuple[Asked, Said]:
        """Agrees on a key with whoever asks (operation 400). Raises ProtoError, and what the registry raises."""
        said = request_body(asked.message)
        assert isinstance(said, SessionSetup)
        refused = self._refused(asked, said)
        if refused is None:
            try:
                return await self._begun(asked, said)
            except ProtoError as error:
                refused = ResponseCode.INVALID_SESSION_SETUP, Failure(f"{error.zh}。 {error.en}.")
            except BusyError:
                refused = answers.BUSY
        self._counted("refused")
        return asked, refused

    def _refused(self, asked: Asked, said: SessionSetup) -> Said | None:
        if asked.by_udp:  # who borrows an address shall not have us calculate
            return answers.NOT_BY_UDP
        if asked.inside is not None or not 1 <= said.mode <= DIFFIE_HELLMAN:
            return ResponseCode.INVALID_SESSION_SETUP, Failure()
        if said.mode <= HANDLE_KEY:
            return _NOT_DH
        if agreed(asked.envelope.version, asked.envelope.suggested) < FIRST_VERSION:
            return _NOT_AES
        return answers.BUSY if self._rate.draw(end_site(asked.source[0])) else None

    async def _begun(self, asked: Asked, said: SessionSetup) -> tuple[Asked, Said]:
        claimed = f"{said.index}:{Identifier.parse(said.handle).key}" if said.handle else ""
        ours, key = await self._agreed(said.public_key)
        number = NUMBER_FIRST + secrets.randbelow(NUMBERS)
        kept = NativeSession(
            number, self._vault.close(_name(number), key.octets), claimed, native_session.idle_seconds(said.timeout)
        )
        if not await self._house.steward.begin_native_session(kept, end_site(asked.source[0])):
            raise BusyError
        self._counted("begun")
        told = SessionKey(said.mode, AES_CIPHER.to_bytes(4) + ours)
        return asked._replace(envelope=asked.envelope._replace(session=number)), (ResponseCode.SUCCESS, told)

    async def _agreed(self, theirs: bytes) -> tuple[bytes, session.SessionKey]:
        """By turns: Python calculates with the interpreter held, and whoever asks may have many addresses, of IPv6
        65,536 networks of one /48.
        """
        if self._turns.taken and self._waiting >= WAITING_MOST:
            raise BusyError
        self._waiting += 1
        try:
            async with self._turns.one():
                private = int.from_bytes(secrets.token_bytes(EXPONENT_OCTETS))
                run = asyncio.get_running_loop().run_in_executor
                return await run(self._aside, session.exchange, theirs, private)
        finally:
            self._waiting -= 1

    async def opened(self, asked: Asked, octets: bytes) -> Asked | Said:
        """The request as it is in its session, or outside of any, where that is no matter; else why it is not heard.

        `octets` are its message, encrypted or not. Raises what the registry raises.
        """
        number, encrypted = asked.envelope.session, asked.envelope.encrypted
        kept = await self._house.steward.native_session(number) if is_number(number) else None
        key = self._vault.open(_name(number), kept.sealed) if kept else b""
        if not key:  # none, or it was sealed under another key of the node
            return self._outside(asked)
        known = session.SessionKey(key)
        # Whatever is wrong with what was encrypted is one and the same answer: the padding is nobody's oracle.
        try:
            message = Message.from_octets(known.decrypt(octets)) if encrypted else asked.message
            mac = Credential.from_octets(message.credential) if message.credential else None
        except ProtoError:
            return self._told("unproven", _UNPROVEN)
        if not encrypted and (mac is None or mac.type != MAC_TYPE):
            return asked if message.op in _OPEN else self._told("unproven", _NO_MAC)
        if mac is None or mac.type != MAC_TYPE or not _proven(known, asked._replace(message=message), mac):
            return self._told("unproven", _UNPROVEN)
        if not encrypted and asked.envelope.version < NEW_CODES:
            return self._told("unproven", _UNPROVEN)  # its MAC does not cover the counter: anybody could count it anew
        return await self._heard(asked._replace(message=message), known, mac.index)

    def _outside(self, asked: Asked) -> Asked | Said:
        envelope, message = asked.envelope, asked.message
        lost = envelope.encrypted or message.op == OpCode.SESSION_TERMINATE or message.credential
        return self._told("unknown", answers.NO_SESSION) if lost else asked

    async def _heard(self, asked: Asked, key: session.SessionKey, counter: int) -> Asked | Said:
        """The request in its session, if it was not heard before."""
        number, message = asked.envelope.session, asked.message
        count = LISTED_ANSWERS if message.op in _LISTS else 1
        used = await self._house.steward.use_native_session(number, counter, count)
        if used is None:
            return self._told("replayed", _REPLAYED)
        self._counted("served")
        login = self._house.keyholders.kept(used.name, used.key) if used.name else None
        encrypts = asked.envelope.encrypted or message.has(ENCRYPT)
        return asked._replace(standing=Standing(login), inside=Inside(number, key, used.first, encrypts))

    def _told(self, outcome: str, said: Said) -> Said:
        self._counted(outcome)
        return said

    async def proven(self, number: int, held: Held) -> None:
        """Who goes on in the session has proven that key. Raises what the registry raises."""
        await self._house.steward.prove_native_session(number, f"{held.by.index}:{held.by.handle}", held.key)

    async def end(self, asked: Asked) -> tuple[Asked, Said]:
        """Ends the session the request came in (operation 401). Raises what the registry raises."""
        assert asked.inside is not None
        await self.ended(asked.inside.number)
        return asked, (ResponseCode.SUCCESS, Nothing())

    async def ended(self, number: int) -> None:
        """Ends a session. Raises what the registry raises."""
        await self._house.steward.end_native_session(number)
        self._counted("ended")


def _name(number: int) -> str:
    """What the key of a session is bound to where it is kept."""
    return f"session {number}"


def _proven(key: session.SessionKey, asked: Asked, mac: Credential) -> bool:
    envelope = asked.envelope
    covered = signed_octets(envelope, asked.message.covered, mac.index)
    return key.signed(mac.algorithm, mac.signature, covered, envelope.version)

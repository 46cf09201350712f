"""A client's side of a session of the Handle protocol, and of answers that are certified.

What octets mean is proto/'s (handle reference §2.9, §2.10), what is asked is its user's business.
"""

import secrets
from dataclasses import replace
from typing import Final, Self

from loadtest.native import AskError, Connection, Heard, framed
from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.keys import session
from proto.keys.session import AES_CIPHER, EXPONENT_OCTETS, IV_OCTETS
from proto.native.bodies import DIFFIE_HELLMAN, SessionKey, SessionSetup
from proto.native.credential import Credential, signed_octets
from proto.native.envelope import Framed
from proto.native.message import CERTIFY, ENCRYPT, Message
from proto.native.versions import OWN, Version

MAC_TYPE: Final = "HS_MAC"


def setup(private: int, handle: str = "", index: int = 0, seconds: int = 600, flags: int = CERTIFY) -> Message:
    """What asks for a session."""
    body = SessionSetup(DIFFIE_HELLMAN, seconds, handle, index, session.propose(private)).to_octets()
    # As clients of Handle.Net do, which count the mode as four octets.
    return Message(OpCode.SESSION_SETUP, flags=flags, body=body + bytes(2))


def certified(heard: Heard, key: bytes) -> bool:
    """Whether an answer is signed by the site key with the data `key`. Raises ProtoError."""
    found = Credential.from_octets(heard.message.credential or b"")
    covered = signed_octets(heard.envelope, heard.message.covered, found.index)
    return found.type == "HS_SIGNED" and session.signed(key, found.algorithm, found.signature, covered)


class Session:
    """A session; it counts what it sends, and raises AskError for an answer that is not of this session."""

    def __init__(self, number: int, key: session.SessionKey, version: Version = OWN) -> None:
        self.number, self.key, self.version = number, key, version
        self.counter = 0
        """That of the last request."""
        self._heard: set[int] = set()

    @classmethod
    async def begin(
        cls, connection: Connection, handle: str = "", index: int = 0, seconds: int = 600, version: Version = OWN
    ) -> Self:
        """A fresh one. Raises AskError with the code of who refuses, and ProtoError for what is no answer."""
        private = int.from_bytes(secrets.token_bytes(EXPONENT_OCTETS))
        heard = await connection.ask(setup(private, handle, index, seconds), version, version)
        if heard.message.code != ResponseCode.SUCCESS:
            raise AskError(str(heard.message.code))
        said = heard.body
        if not isinstance(said, SessionKey) or (said.mode, said.octets[:4]) != (DIFFIE_HELLMAN, AES_CIPHER.to_bytes(4)):
            raise AskError("this is no session as it was asked for")
        return cls(heard.envelope.session, session.exchange(said.octets[4:], private)[1], version)

    def framed(self, message: Message, request: int, *, encrypted: bool = False, counter: int | None = None) -> Framed:
        """A request as it is sent: with the next counter, or the one that is given."""
        if counter is None:
            counter = self.counter = self.counter + 1
        bare = framed(message, request, self.version, self.version, self.number).envelope
        name, mac = self.key.mac(signed_octets(bare, message.covered, counter), self.version)
        octets = replace(message, credential=Credential(MAC_TYPE, name, mac, index=counter).to_octets()).to_octets()
        if encrypted:
            octets = self.key.encrypt(octets, secrets.token_bytes(IV_OCTETS))
        return Framed(bare._replace(length=len(octets), encrypted=encrypted), octets)

    async def ask(self, connection: Connection, message: Message, *, encrypted: bool = False) -> Heard:
        """The answer to one request, on whichever connection; encrypted if the request was, or asks for it."""
        request = connection.number()
        await connection.send(self.framed(message, request, encrypted=encrypted).to_octets())
        heard = await self.hear(connection)
        if heard.envelope.request != request or heard.envelope.encrypted != (encrypted or message.has(ENCRYPT)):
            raise AskError("this is not the answer to it")
        return heard

    async def hear(self, connection: Connection) -> Heard:
        """The next answer in the session; one that says it is certified is proven."""
        answer = await connection.take()
        try:
            octets = self.key.decrypt(answer.message) if answer.envelope.encrypted else answer.message
            heard = Heard(answer.envelope, Message.from_octets(octets))
            if heard.message.has(CERTIFY):
                self._prove(heard)
        except ProtoError as error:
            raise AskError(str(error)) from error
        return heard

    def _prove(self, heard: Heard) -> None:
        """Raises AskError and ProtoError."""
        found = Credential.from_octets(heard.message.credential or b"")
        covered = signed_octets(heard.envelope, heard.message.covered, found.index)
        good = self.key.signed(found.algorithm, found.signature, covered, heard.envelope.version)
        if heard.envelope.session != self.number or found.type != MAC_TYPE or not good:
            raise AskError("this is not an answer of the session")
        if found.index in self._heard:
            raise AskError("this answer was heard before")
        self._heard.add(found.index)

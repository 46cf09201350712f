"""What the body of a message says, by its operation and response code (RFC 3652 §3 as deployed).

One class for each layout, whoever uses it; the two tables say who does. What stands behind the last field of a body is
passed over: several clients and servers put something there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from proto.codes import OpCode, ResponseCode
from proto.errors import ProtoError
from proto.native import values, versions
from proto.native.digest import RequestDigest
from proto.native.message import REQUEST_DIGEST, Message
from proto.native.versions import Version
from proto.octets import Reader, data, string
from proto.value import Reference, Value

CLIENT_KEY: Final = 1
SERVER_KEY: Final = 2
HANDLE_KEY: Final = 3
DIFFIE_HELLMAN: Final = 4
"""How the two ends of a session come to a key."""


class Body(Protocol):
    """What every layout can do."""

    def to_octets(self) -> bytes:
        """The body, without a request digest before it."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """No body, or none that says anything."""

    def to_octets(self) -> bytes:
        """No octets."""
        return b""


@dataclass(frozen=True, slots=True)
class Opaque:
    """A body that is one thing, known elsewhere, such as the data of an HS_SITE value."""

    octets: bytes

    def to_octets(self) -> bytes:
        """The octets."""
        return self.octets


@dataclass(frozen=True, slots=True)
class Question:
    """Asks for values of `handle` whose index is listed or whose type matches; for all of them if nothing is listed.

    In a login by password the only type is the password.
    """

    handle: str
    indexes: tuple[int, ...] = ()
    types: tuple[str, ...] = ()

    @classmethod
    def read(cls, reader: Reader) -> "Question":
        """Takes it off the front; some clients leave half of the last count out."""
        handle, indexes = reader.string("handle"), _indexes(reader)
        return cls(handle, indexes, _names(reader, "types") if reader.rest >= 4 else ())

    def to_octets(self) -> bytes:
        """The body."""
        return string(self.handle) + _index_octets(self.indexes) + _name_octets(self.types)


@dataclass(frozen=True, slots=True)
class Named:
    """One identifier, or what stands for it."""

    handle: str

    @classmethod
    def read(cls, reader: Reader) -> "Named":
        """Takes it off the front."""
        return cls(reader.string("handle"))

    @classmethod
    def read_loosely(cls, reader: Reader) -> "Named":
        """The same where it says nothing: some leave it out."""
        return cls.read(reader) if reader.rest else cls("")

    def to_octets(self) -> bytes:
        """The body."""
        return string(self.handle)


@dataclass(frozen=True, slots=True)
class Valued:
    """An identifier and values: what was found, or is to be written."""

    handle: str
    values: tuple[Value, ...] = ()

    @classmethod
    def read(cls, reader: Reader) -> "Valued":
        """Takes it off the front."""
        return cls(reader.string("handle"), values.read_list(reader))

    @classmethod
    def read_loosely(cls, reader: Reader) -> "Valued":
        """The same where the count of the values may be missing if there are none."""
        handle = reader.string("handle")
        return cls(handle, values.read_list(reader) if reader.rest else ())

    def to_octets(self) -> bytes:
        """The body."""
        return string(self.handle) + values.list_octets(self.values)


@dataclass(frozen=True, slots=True)
class Removal:
    """Values of `handle` that shall go."""

    handle: str
    indexes: tuple[int, ...]

    @classmethod
    def read(cls, reader: Reader) -> "Removal":
        """Takes it off the front."""
        return cls(reader.string("handle"), _indexes(reader))

    def to_octets(self) -> bytes:
        """The body."""
        return string(self.handle) + _index_octets(self.indexes)


@dataclass(frozen=True, slots=True)
class Listed:
    """Identifiers or prefixes; continued in further messages where there are many (continued.py)."""

    names: tuple[str, ...]

    @classmethod
    def read(cls, reader: Reader) -> "Listed":
        """Takes it off the front."""
        return cls(_names(reader, "handles"))

    def to_octets(self) -> bytes:
        """The body."""
        return _name_octets(self.names)


@dataclass(frozen=True, slots=True)
class KeyOf:
    """The key `index:handle`: who signs in, or has."""

    handle: str
    index: int

    @classmethod
    def read(cls, reader: Reader) -> "KeyOf":
        """Takes it off the front."""
        return cls(reader.string("handle"), reader.unsigned(4, "index"))

    def to_octets(self) -> bytes:
        """The body."""
        return string(self.handle) + self.index.to_bytes(4)


@dataclass(frozen=True, slots=True)
class Proof:
    """The answer to a challenge by the key `index:handle`, of `type` HS_SECKEY or HS_PUBKEY; index 0: any key of it."""

    type: str
    handle: str
    index: int
    signed: bytes

    @classmethod
    def read(cls, reader: Reader) -> "Proof":
        """Takes it off the front."""
        type_, key = reader.string("type"), KeyOf.read(reader)
        return cls(type_, key.handle, key.index, reader.data("signedResponse"))

    def to_octets(self) -> bytes:
        """The body."""
        return string(self.type) + KeyOf(self.handle, self.index).to_octets() + data(self.signed)


@dataclass(frozen=True, slots=True)
class Verification:
    """Asks whether `signed` is the answer of the secret key `index:handle` to a challenge of another server.

    The digest of that challenge goes without its algorithm, as octets with their length, in every version.
    """

    handle: str
    index: int
    nonce: bytes
    digest: bytes
    signed: bytes

    @classmethod
    def read(cls, reader: Reader) -> "Verification":
        """Takes it off the front."""
        key, nonce = KeyOf.read(reader), reader.data("nonce")
        return cls(key.handle, key.index, nonce, reader.data("digest"), reader.data("signedResponse"))

    def to_octets(self) -> bytes:
        """The body."""
        key = KeyOf(self.handle, self.index).to_octets()
        return key + data(self.nonce) + data(self.digest) + data(self.signed)


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether it is."""

    valid: bool

    @classmethod
    def read(cls, reader: Reader) -> "Verified":
        """Takes it off the front."""
        return cls(bool(reader.unsigned(1, "valid")))

    def to_octets(self) -> bytes:
        """The body."""
        return bytes((self.valid,))


@dataclass(frozen=True, slots=True)
class SessionSetup:
    """Asks for a session of `timeout` seconds for the key `index:handle`; an empty handle: for nobody known.

    `public_key` (HS_PUBKEY data) goes with CLIENT_KEY and DIFFIE_HELLMAN, `exchange` says where it is for HANDLE_KEY.
    """

    mode: int
    timeout: int
    handle: str
    index: int
    public_key: bytes = b""
    exchange: Reference | None = None

    @classmethod
    def read(cls, reader: Reader) -> "SessionSetup":
        """Takes it off the front; of an unknown mode no more than all have."""
        mode, timeout = reader.unsigned(2, "mode"), reader.unsigned(4, "timeout")
        key = KeyOf.read(reader)
        public_key, exchange = b"", None
        if mode in {CLIENT_KEY, DIFFIE_HELLMAN}:
            public_key = reader.data("publicKey")
        elif mode == HANDLE_KEY:
            exchange = Reference(reader.string("exchangeKey"), reader.unsigned(4, "exchangeKey"))
        return cls(mode, timeout, key.handle, key.index, public_key, exchange)

    def to_octets(self) -> bytes:
        """The body."""
        octets = self.mode.to_bytes(2) + self.timeout.to_bytes(4) + KeyOf(self.handle, self.index).to_octets()
        if self.mode in {CLIENT_KEY, DIFFIE_HELLMAN}:
            octets += data(self.public_key)
        elif self.exchange is not None:
            octets += KeyOf(self.exchange.handle, self.exchange.index).to_octets()
        return octets


@dataclass(frozen=True, slots=True)
class SessionKey:
    """The server's half of it: `octets` hold the key, encrypted, or what the key is made of."""

    mode: int
    octets: bytes

    @classmethod
    def read(cls, reader: Reader) -> "SessionKey":
        """Takes it off the front."""
        return cls(reader.unsigned(2, "mode"), reader.data("data"))

    def to_octets(self) -> bytes:
        """The body."""
        return self.mode.to_bytes(2) + data(self.octets)


@dataclass(frozen=True, slots=True)
class KeyExchange:
    """The key of a session, encrypted for the server."""

    octets: bytes

    @classmethod
    def read(cls, reader: Reader) -> "KeyExchange":
        """Takes it off the front."""
        return cls(reader.data("sessionKey"))

    def to_octets(self) -> bytes:
        """The body."""
        return data(self.octets)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why not, for people, and which indexes are at fault."""

    text: str = ""
    indexes: tuple[int, ...] = ()

    @classmethod
    def read(cls, reader: Reader) -> "Failure":
        """Takes it off the front; nothing at all is an empty text."""
        text = reader.string("message") if reader.rest else ""
        return cls(text, _indexes(reader) if reader.rest >= 4 else ())

    def to_octets(self) -> bytes:
        """The body."""
        return string(self.text) + (_index_octets(self.indexes) if self.indexes else b"")


@dataclass(frozen=True, slots=True)
class Referral:
    """Who answers instead: the sites of `handle`, or where that is empty those in `values`."""

    handle: str
    values: tuple[Value, ...] = ()

    @classmethod
    def read(cls, reader: Reader) -> "Referral":
        """Takes it off the front."""
        handle = reader.string("handle")
        return cls(handle, values.read_list(reader) if reader.rest and not handle else ())

    def to_octets(self) -> bytes:
        """The body."""
        return string(self.handle) + (b"" if self.handle else values.list_octets(self.values))


@dataclass(frozen=True, slots=True)
class Challenge:
    """What whoever asks shall sign, together with the digest of their request, which always goes with it."""

    nonce: bytes

    @classmethod
    def read(cls, reader: Reader) -> "Challenge":
        """Takes it off the front."""
        return cls(reader.data("nonce"))

    def to_octets(self) -> bytes:
        """The body."""
        return data(self.nonce)


def _indexes(reader: Reader) -> tuple[int, ...]:
    return tuple(reader.unsigned(4, "indexes") for _ in range(reader.count(4, "indexes")))


def _index_octets(indexes: tuple[int, ...]) -> bytes:
    return len(indexes).to_bytes(4) + b"".join(index.to_bytes(4) for index in indexes)


def _names(reader: Reader, field: str) -> tuple[str, ...]:
    return tuple(reader.string(field) for _ in range(reader.count(4, field)))


def _name_octets(names: tuple[str, ...]) -> bytes:
    return len(names).to_bytes(4) + b"".join(map(string, names))


def _opaque(reader: Reader) -> Opaque:
    return Opaque(reader.take(reader.rest, "body"))


def _nothing(_: Reader) -> Nothing:
    return Nothing()


def _created(reader: Reader) -> Body:
    """Old servers do not say what."""
    return Named.read(reader) if reader.rest else Nothing()


Read = Callable[[Reader], Body]

REQUESTS: Final[dict[int, Read]] = {
    OpCode.RESOLUTION: Question.read,
    OpCode.GET_SITE_INFO: Named.read_loosely,
    OpCode.CREATE_HANDLE: Valued.read_loosely,
    OpCode.DELETE_HANDLE: Named.read,
    OpCode.ADD_VALUE: Valued.read_loosely,
    OpCode.REMOVE_VALUE: Removal.read,
    OpCode.MODIFY_VALUE: Valued.read_loosely,
    OpCode.LIST_HANDLES: Named.read,
    OpCode.LIST_PREFIXES: Named.read,
    OpCode.CHALLENGE_RESPONSE: Proof.read,
    OpCode.VERIFY_CHALLENGE: Verification.read,
    OpCode.HOME_PREFIX: Named.read,
    OpCode.UNHOME_PREFIX: Named.read,
    OpCode.LIST_HOMED_PREFIXES: Named.read_loosely,
    OpCode.SESSION_SETUP: SessionSetup.read,
    OpCode.SESSION_TERMINATE: Named.read_loosely,
    OpCode.SESSION_EXCHANGE_KEY: KeyExchange.read,
    OpCode.LOGIN_BY_PASSWORD: Question.read,
    OpCode.LOGIN_BY_KEY: KeyOf.read,
}
"""How the body of a request is laid out. What servers of one site say among themselves (1000 to 1003) is not read."""

ANSWERS: Final[dict[int, Read]] = {
    OpCode.RESOLUTION: Valued.read,
    OpCode.GET_SITE_INFO: _opaque,
    OpCode.CREATE_HANDLE: _created,
    OpCode.LIST_HANDLES: Listed.read,
    OpCode.LIST_PREFIXES: Listed.read,
    OpCode.VERIFY_CHALLENGE: Verified.read,
    OpCode.LIST_HOMED_PREFIXES: Listed.read,
    OpCode.SESSION_SETUP: SessionKey.read,
    OpCode.LOGIN_BY_PASSWORD: KeyOf.read,
    OpCode.DELETE_HANDLE: _nothing,
    OpCode.ADD_VALUE: _nothing,
    OpCode.REMOVE_VALUE: _nothing,
    OpCode.MODIFY_VALUE: _nothing,
    OpCode.HOME_PREFIX: _nothing,
    OpCode.UNHOME_PREFIX: _nothing,
    OpCode.SESSION_TERMINATE: _nothing,
    OpCode.SESSION_EXCHANGE_KEY: _nothing,
    OpCode.LOGIN_BY_KEY: _nothing,
}
"""How that of an answer with code 1 is."""

_REFERRALS: Final = frozenset({ResponseCode.SERVICE_REFERRAL, ResponseCode.PREFIX_REFERRAL})


def request_body(message: Message) -> Body:
    """What a request asks; a body of an operation we do not know is Opaque.

    Raises ProtoError naming the part that is not well-formed.
    """
    return _reader(REQUESTS, message.op)(Reader(message.body))


def answer_body(message: Message, version: Version) -> tuple[Body, RequestDigest | None]:
    """What an answer of `version` says, and the digest of the request it answers if it carries one.

    Raises ProtoError.
    """
    reader = Reader(message.body)
    if message.code == ResponseCode.AUTHENTICATION_NEEDED:
        return _challenge(reader, version)
    digest = RequestDigest.read(reader) if message.has(REQUEST_DIGEST) else None
    return _answer_reader(message, version)(reader), digest


def _reader(table: dict[int, Read], op: int) -> Read:
    if not op:
        raise ProtoError("opCode", "opCode不能为0", "opCode must not be 0")
    return table.get(op, _opaque)


def _answer_reader(message: Message, version: Version) -> Read:
    if message.code == ResponseCode.SUCCESS:
        return _reader(ANSWERS, message.op)
    refers = message.code in _REFERRALS and not (version < versions.NEW_CODES and message.op != OpCode.RESOLUTION)
    return Referral.read if refers else Failure.read


def _challenge(reader: Reader, version: Version) -> tuple[Body, RequestDigest]:
    if version < versions.SELF_DESCRIBING:
        challenge = Challenge.read(reader)
        return challenge, RequestDigest.read(reader)
    digest = RequestDigest.read(reader)
    return Challenge.read(reader), digest


def answer_octets(body: Body, digest: RequestDigest | None, version: Version) -> bytes:
    """The body of an answer of `version` that says `body` and carries `digest`."""
    before = digest.to_octets() if digest else b""
    if isinstance(body, Challenge) and version < versions.SELF_DESCRIBING:
        return body.to_octets() + before
    return before + body.to_octets()

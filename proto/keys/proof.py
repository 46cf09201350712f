"""What answers a challenge: the `signedResponse` of operations 200 and 201, and the Handle scheme of the JSON API.

`challenge` is what is signed: nonce and request digest, or nonce and cnonce (handle reference §2.8, §3.5). That it is
fresh and used once, whoever made it must see to.
"""

import hashlib
import hmac
from collections.abc import Callable
from enum import Enum
from typing import Final, NamedTuple

from proto.errors import ProtoError
from proto.keys import public, sm2
from proto.keys.private import PrivateKey
from proto.octets import Reader, data
from proto.values.secret_key import pbkdf2_password

ROUNDS_MOST: Final = 100_000
"""Most rounds of PBKDF2 an answer may ask for, some 50 ms: Java clients take 10,000. Rounds of a longer key count for
each 160 bits of it."""
KEY_BITS_MOST: Final = 512
"""Longest key derived from a secret: clients take 160 bits, and no digest here has more."""
SALT_OCTETS: Final = (1, 128)
"""Shortest and longest salt: clients take 16 octets; Java derives nothing without one."""
ITERATIONS: Final = 10_000
KEY_BITS: Final = 160
"""What Java clients derive keys with."""


class Verdict(Enum):
    """What comes of an answer: the key is proven; it is not (403); nothing can be told from it (406)."""

    PROVEN = "proven"
    REFUSED = "refused"
    UNABLE = "unable"


Mac = Callable[[bytes, bytes], bytes]


def _keyed(name: str) -> Mac:
    """The digest of a text between two copies of the secret."""
    return lambda key, text: hashlib.new(name, key + text + key, usedforsecurity=False).digest()


def _hmac(name: str) -> Mac:
    return lambda key, text: hmac.digest(key, text, name)


PBKDF2: Final = 0x22
MACS: Final[dict[int, Mac]] = {
    0x01: _keyed("md5"),
    0x02: _keyed("sha1"),
    0x03: _keyed("sha256"),
    0x12: _hmac("sha1"),
    0x13: _hmac("sha256"),
}
"""What a secret makes of a challenge, by the number before it."""
WEB_MACS: Final = {
    "MD5": 0x01,
    "SHA1": 0x02,
    "SHA-1": 0x02,
    "SHA256": 0x03,
    "SHA-256": 0x03,
    "HMAC-SHA1": 0x12,
    "HMAC-SHA256": 0x13,
    "PBKDF2-HMAC-SHA1": PBKDF2,
}
"""The same by the names of the JSON API."""


class Derived(NamedTuple):
    """How a key is derived from a secret: salt, rounds, and bits of the key."""

    salt: bytes
    iterations: int = ITERATIONS
    bits: int = KEY_BITS

    @property
    def bounded(self) -> bool:
        """Whether it costs no more than it may."""
        blocks = -(-self.bits // 160)
        return (
            SALT_OCTETS[0] <= len(self.salt) <= SALT_OCTETS[1]
            and 8 <= self.bits <= KEY_BITS_MOST
            and self.bits % 8 == 0
            and self.iterations >= 1
            and self.iterations * blocks <= ROUNDS_MOST
        )

    def mac(self, secret: bytes, challenge: bytes) -> bytes:
        """HMAC-SHA1 of the challenge by the derived key."""
        password = pbkdf2_password(secret)
        key = hashlib.pbkdf2_hmac("sha1", password, self.salt, self.iterations, self.bits // 8)
        return hmac.digest(key, challenge, "sha1")


class SecretAnswer(NamedTuple):
    """The `signedResponse` of an HS_SECKEY: `algorithm` of MACS, or PBKDF2 with how the key is `derived`."""

    algorithm: int
    mac: bytes
    derived: Derived | None = None

    @classmethod
    def from_octets(cls, octets: bytes) -> "SecretAnswer":
        """Raises ProtoError for what is cut short."""
        reader = Reader(octets)
        algorithm = reader.unsigned(1, "signedResponse")
        if algorithm != PBKDF2:
            return cls(algorithm, octets[1:])
        salt = reader.data("signedResponse")
        rounds, bits = reader.unsigned(4, "signedResponse"), reader.unsigned(4, "signedResponse")
        return cls(algorithm, reader.data("signedResponse"), Derived(salt, rounds, bits))

    def to_octets(self) -> bytes:
        """The answer as it is sent."""
        if self.derived is None:
            return bytes((self.algorithm,)) + self.mac
        salt, rounds, bits = self.derived
        return bytes((PBKDF2,)) + data(salt) + rounds.to_bytes(4) + bits.to_bytes(4) + data(self.mac)

    @classmethod
    def made(cls, secret: bytes, challenge: bytes, algorithm: int, salt: bytes = b"") -> "SecretAnswer":
        """The answer of who holds `secret`; only PBKDF2 needs a salt, drawn by chance."""
        if algorithm != PBKDF2:
            return cls(algorithm, MACS[algorithm](secret, challenge))
        derived = Derived(salt)
        return cls(algorithm, derived.mac(secret, challenge), derived)

    def judge(self, secret: bytes, challenge: bytes) -> Verdict:
        """Whether it proves `secret`, told in constant time; nobody proves an empty one."""
        if self.derived is not None:
            if not self.derived.bounded:
                return Verdict.UNABLE
            wanted = self.derived.mac(secret, challenge)
        elif self.algorithm in MACS:
            wanted = MACS[self.algorithm](secret, challenge)
        else:
            return Verdict.UNABLE
        return _verdict(bool(secret) and hmac.compare_digest(wanted, self.mac))


class KeyAnswer(NamedTuple):
    """The `signedResponse` of an HS_PUBKEY: the name of a digest (of public.HASH_NAMES), and the signature."""

    hash_name: bytes
    signature: bytes

    @classmethod
    def from_octets(cls, octets: bytes) -> "KeyAnswer":
        """Raises ProtoError for what is cut short."""
        reader = Reader(octets)
        return cls(reader.data("signedResponse"), reader.data("signedResponse"))

    def to_octets(self) -> bytes:
        """The answer as it is sent."""
        return data(self.hash_name) + data(self.signature)

    @classmethod
    def made(cls, key: PrivateKey, challenge: bytes, hash_name: bytes, user: str) -> "KeyAnswer":
        """The answer of who holds `key`, whose public half lies in the identifier `user`. Raises ProtoError."""
        name = public.HASH_NAMES[hash_name]
        return cls(hash_name, key.sign(name, *_of_user(name, challenge, user)))

    def judge(self, key: bytes, challenge: bytes, user: str) -> Verdict:
        """Whether it proves the key with the data `key` of an HS_PUBKEY value in the identifier `user`, as spelt by who
        answers.
        """
        name = public.HASH_NAMES.get(self.hash_name, "")
        try:
            held = public.load(key)
        except ProtoError:
            return Verdict.UNABLE
        if isinstance(held, sm2.Public) and not sm2.available():
            return Verdict.UNABLE
        return _verdict(public.verifies(held, name, self.signature, *_of_user(name, challenge, user)))


def _of_user(hash_: str, challenge: bytes, user: str) -> tuple[bytes, bytes]:
    """What is signed, and in whose name: SM2 signs the digest, in the name of the identifier that holds the key."""
    return (sm2.sm3(challenge), user.encode(errors="replace")) if hash_ == "SM3" else (challenge, sm2.USER_ID)


def _verdict(proven: bool) -> Verdict:
    return Verdict.PROVEN if proven else Verdict.REFUSED


def judge(type_: str, key: bytes, signed_response: bytes, challenge: bytes, user: str) -> Verdict:
    """Whether `signed_response` answers `challenge` by the value of `type_` (HS_SECKEY, HS_PUBKEY) with data `key`, in
    the identifier `user`. Another type proves nothing. Raises ProtoError for an answer that is cut short.
    """
    if type_ == "HS_SECKEY":
        return SecretAnswer.from_octets(signed_response).judge(key, challenge)
    if type_ == "HS_PUBKEY":
        return KeyAnswer.from_octets(signed_response).judge(key, challenge, user)
    return Verdict.UNABLE


class WebAnswer(NamedTuple):
    """What an `Authorization: Handle` header or a verification of the JSON API says; `derived` of PBKDF2 alone."""

    algorithm: str
    signature: bytes
    derived: Derived | None = None

    def to_octets(self) -> bytes | None:
        """The same as the `signedResponse` of a secret key; None if it is none, or costs more than it may."""
        number = WEB_MACS.get(self.algorithm)
        if number is None or (number == PBKDF2) is not (self.derived is not None):
            return None
        if self.derived is not None and not self.derived.bounded:
            return None
        return SecretAnswer(number, self.signature, self.derived).to_octets()

    def judge(self, type_: str, key: bytes, challenge: bytes, user: str) -> Verdict:
        """As the function of this name."""
        if type_ == "HS_PUBKEY":
            name = self.algorithm.encode(errors="replace")
            return KeyAnswer(name, self.signature).judge(key, challenge, user)
        number = WEB_MACS.get(self.algorithm)
        if type_ != "HS_SECKEY" or number is None or (number == PBKDF2) is not (self.derived is not None):
            return Verdict.UNABLE
        return SecretAnswer(number, self.signature, self.derived).judge(key, challenge)

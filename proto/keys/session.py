"""Sessions of the native protocol: a key two sides agree on, what it encrypts and what it signs; and signatures by key.

DES and 3DES, which versions before 2.4 know alone, are not spoken. Counters and replays are for who keeps the session.
"""

import hashlib
import hmac
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7

from proto.errors import ProtoError
from proto.keys import public
from proto.keys.private import PrivateKey
from proto.values.public_key import PublicKey

Version = tuple[int, int]

AES_CIPHER: Final = 3
"""The number of AES-128 in CBC before the public key in an answer to a session setup."""
FIRST_VERSION: Final[Version] = (2, 4)
"""The first whose sessions know AES."""
SHA256_VERSION: Final[Version] = (2, 7)
"""From here on messages are signed with SHA-256."""

GROUP_BITS: Final = (1024, 3072)
"""Shortest and longest prime of a group a client proposes: Java takes the second Oakley group, of 1024 bits; 3072 cost
9 ms."""
EXPONENT_OCTETS: Final = 32
"""Of a private number, drawn by chance."""
KEY_OCTETS: Final = 32
IV_OCTETS: Final = 16

OAKLEY: Final = int(
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6"
    "49286651ece65381ffffffffffffffff",
    16,
)
"""The prime of the second Oakley group (RFC 2409 §6.2), which clients propose with the generator 2."""


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("session", f"会话{zh}", f"session {en}")


class SessionKey(NamedTuple):
    """What both sides know: all of it signs, the first half encrypts."""

    octets: bytes

    def __repr__(self) -> str:
        return "SessionKey(…)"

    def encrypt(self, octets: bytes, start: bytes) -> bytes:
        """Header, body and credential as they travel, behind `start`: IV_OCTETS drawn by chance."""
        cipher, padding = Cipher(AES(self.octets[:16]), CBC(start)).encryptor(), PKCS7(128).padder()
        return start + cipher.update(padding.update(octets) + padding.finalize()) + cipher.finalize()

    def decrypt(self, octets: bytes) -> bytes:
        """What encrypt() was given. Raises one and the same ProtoError for whatever is wrong."""
        try:
            cipher = Cipher(AES(self.octets[:16]), CBC(octets[:IV_OCTETS])).decryptor()
            padding = PKCS7(128).unpadder()
            return padding.update(cipher.update(octets[IV_OCTETS:]) + cipher.finalize()) + padding.finalize()
        except ValueError:
            raise _wrong("消息无法解密", "message cannot be decrypted") from None

    def mac(self, covered: bytes, version: Version) -> tuple[bytes, bytes]:
        """What signs a message in the session: the name of the algorithm in its credential, and the MAC. What of the
        message and its envelope is covered depends on the version, too (RFC 3652 §2.2.4 as deployed).
        """
        name = b"HMAC-SHA256" if version >= SHA256_VERSION else b"\2"
        return name, _MACS[name](self.octets, covered)

    def signed(self, name: bytes, mac: bytes, covered: bytes, version: Version) -> bool:
        """Whether a message of `version` carries the MAC of this session, told in constant time."""
        wanted, made = self.mac(covered, version)
        return _MAC_NAMES.get(name) == wanted and hmac.compare_digest(made, mac)


def _sha1(key: bytes, text: bytes) -> bytes:
    return hashlib.sha1(key + text + key, usedforsecurity=False).digest()


_MACS: Final = {b"HMAC-SHA256": lambda key, text: hmac.digest(key, text, "sha256"), b"\2": _sha1}
_MAC_NAMES: Final = {b"HMAC-SHA256": b"HMAC-SHA256", b"\2": b"\2", b"SHA1": b"\2", b"SHA-1": b"\2"}


def exchange(theirs: bytes, private: int) -> tuple[bytes, SessionKey]:
    """The data of our public key, in the group of `theirs` (a DH_PUB_KEY), and what both then know (§2.9).

    `private` is a number of EXPONENT_OCTETS drawn by chance, of this one session: so its time tells nothing. Raises
    ProtoError for a group or key out of bounds.
    """
    key = PublicKey.from_octets(theirs)
    if key.kind != "DH_PUB_KEY":
        raise _wrong("公钥应为DH_PUB_KEY", "wants a DH_PUB_KEY")
    y, p, g = key.numbers
    if not GROUP_BITS[0] <= p.bit_length() <= GROUP_BITS[1] or p % 2 == 0 or not (1 < y < p - 1 and 1 < g < p - 1):
        raise _wrong(
            f"的DH素数应为{GROUP_BITS[0]}到{GROUP_BITS[1]}位",
            f"wants a DH prime of {GROUP_BITS[0]} to {GROUP_BITS[1]} bits and a key within it",
        )
    shared = pow(y, private, p)
    known = shared.to_bytes((shared.bit_length() + 7) // 8)
    if len(known) < KEY_OCTETS or shared == p - 1:
        raise _wrong("的DH密钥太弱", "has a weak DH key")
    return PublicKey("DH_PUB_KEY", (pow(g, private, p), p, g)).to_octets(), SessionKey(known[:KEY_OCTETS])


def propose(private: int) -> bytes:
    """The data of the DH_PUB_KEY a client proposes."""
    return PublicKey("DH_PUB_KEY", (pow(2, private, OAKLEY), OAKLEY, 2)).to_octets()


def sign(key: PrivateKey, covered: bytes, version: Version) -> tuple[bytes, bytes]:
    """What a server signs its message with where a request says CT: the name of the digest, and the signature."""
    if public.kind(key.public()) == "SM2":
        return b"SM3", key.sign("SM3", covered)
    name = b"SHA-256" if version >= SHA256_VERSION else b"SHA1"
    return name, key.sign(public.HASH_NAMES[name], covered)


def signed(key: bytes, name: bytes, signature: bytes, covered: bytes) -> bool:
    """Whether the holder of the key with the data `key` signed a message. Raises ProtoError for no usable key."""
    return public.verifies(public.load(key), public.HASH_NAMES.get(name, ""), signature, covered)

"""Private keys: read from PEM (PKCS #8, PKCS #1) and from the files of Handle.Net (`admpriv.bin`), and what they sign.

They never show themselves: not in `repr`, not in an error.
"""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from hashlib import pbkdf2_hmac
from typing import Final, Self

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import (
    DSAParameterNumbers,
    DSAPrivateKey,
    DSAPrivateNumbers,
    DSAPublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPrivateNumbers, RSAPublicNumbers
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.padding import PKCS7
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from proto.errors import ProtoError
from proto.keys import public, sm2
from proto.octets import Reader
from proto.values.secret_key import pbkdf2_password

FILE_OCTETS: Final = 65_536
"""Longest file of a key: RSA of 8192 bits takes 5 kB, in PEM 7."""
ITERATIONS_MOST: Final = 1_000_000
"""Most rounds a key file may ask for, a second: Handle.Net writes 10,000."""

Held = RSAPrivateKey | DSAPrivateKey | EllipticCurvePrivateKey | sm2.Private

_PLAIN: Final = 1
_AES: Final = 4
_SM2_PEM: Final = re.compile(rb"\s*-----BEGIN PRIVATE KEY-----\s([A-Za-z0-9+/=\s]+)-----END PRIVATE KEY-----\s*")


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("private key", f"私钥文件{zh}", f"the file of the private key {en}")


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """A key that signs."""

    _held: Held = field(repr=False)

    @classmethod
    def read(cls, octets: bytes, passphrase: bytes | None = None) -> Self:
        """The key in a file, of PEM or of Handle.Net (plain, or encrypted with AES). Raises ProtoError saying what is
        wrong with the file, or that the passphrase is.
        """
        if len(octets) > FILE_OCTETS:
            raise _wrong(f"不能超过{FILE_OCTETS}字节", f"has at most {FILE_OCTETS} octets")
        return cls(_of_pem(octets, passphrase) if b"-----BEGIN" in octets[:256] else _of_file(octets, passphrase))

    def public(self) -> public.Key:
        """The public half."""
        if isinstance(self._held, sm2.Private):
            return self._held.public
        return self._held.public_key()

    def sign(self, hash_: str, octets: bytes, user: bytes = sm2.USER_ID) -> bytes:
        """The signature public.verifies() finds good. Raises ProtoError for a digest that does not go with the key."""
        if isinstance(self._held, sm2.Private) and hash_ == "SM3":
            return sm2.sign(self._held, octets, user)
        algorithm = public.HASHES.get(hash_)
        if algorithm is None or isinstance(self._held, sm2.Private):
            raise ProtoError("hash", f"该私钥不能用{hash_}签名", f"this key does not sign with {hash_}")
        if isinstance(self._held, RSAPrivateKey):
            return self._held.sign(octets, PKCS1v15(), algorithm)
        if isinstance(self._held, DSAPrivateKey):
            return self._held.sign(octets, algorithm)
        return self._held.sign(octets, ECDSA(algorithm))


def _of_pem(octets: bytes, passphrase: bytes | None) -> Held:
    found = _SM2_PEM.fullmatch(octets)
    try:
        held = sm2.private(base64.b64decode(found[1])) if found else None
        if held is not None:
            return held
        key = load_pem_private_key(octets, passphrase)
    except TypeError:
        raise _wrong("与口令不符：应有口令，或不应有", "needs a passphrase, or needs none") from None
    except (ValueError, UnsupportedAlgorithm):
        raise _wrong("无法读取，或口令错误", "cannot be read, or the passphrase is another") from None
    if isinstance(key, RSAPrivateKey | DSAPrivateKey | EllipticCurvePrivateKey):
        public.of_der(public.to_der(key.public_key()))  # the same bounds as for public ones
        return key
    raise _wrong("不是RSA、DSA、P-256或SM2私钥", "holds no RSA, DSA, P-256 or SM2 key")


def _of_file(octets: bytes, passphrase: bytes | None) -> Held:
    reader = Reader(octets)
    encryption = reader.unsigned(4, "private key")
    if encryption == _PLAIN:
        return _of_numbers(octets[4:])
    if encryption == _AES and passphrase is not None:
        return _of_numbers(_decrypted(reader, passphrase))
    if encryption == _AES:
        raise _wrong("需要口令", "needs a passphrase")
    raise _wrong("的加密方式不支持", "is encrypted in a way that is not supported")


def _decrypted(reader: Reader, passphrase: bytes) -> bytes:
    salt, iterations = reader.data("private key"), reader.unsigned(4, "private key")
    bits, start, hidden = reader.unsigned(4, "private key"), reader.data("private key"), reader.data("private key")
    if bits not in {128, 192, 256} or not 1 <= iterations <= ITERATIONS_MOST or len(start) != 16:
        raise _wrong("的加密参数超出范围", "is encrypted by parameters out of bounds")
    key = pbkdf2_hmac("sha1", pbkdf2_password(passphrase), salt, iterations, bits // 8)
    try:
        cipher, padding = Cipher(AES(key), CBC(start)).decryptor(), PKCS7(128).unpadder()
        return padding.update(cipher.update(hidden) + cipher.finalize()) + padding.finalize()
    except ValueError:
        raise _wrong("无法解密，口令错误", "cannot be decrypted: the passphrase is another") from None


def _of_numbers(octets: bytes) -> Held:
    reader = Reader(octets)
    kind = reader.string("private key")
    if kind not in _KINDS:
        raise _wrong("不是RSA_PRIVCRT_KEY或DSA_PRIV_KEY", "holds no RSA_PRIVCRT_KEY and no DSA_PRIV_KEY")
    count, make = _KINDS[kind]
    numbers = [int.from_bytes(reader.data("private key"), signed=True) for _ in range(count)]
    try:
        return make(*numbers)
    except (ValueError, OverflowError):
        raise _wrong("中的数不成密钥", "holds numbers that make no key") from None


def _rsa(n: int, e: int, d: int, p: int, q: int, dp: int, dq: int, qi: int) -> RSAPrivateKey:
    return RSAPrivateNumbers(p, q, d, dp, dq, qi, RSAPublicNumbers(e, n)).private_key()


def _dsa(x: int, p: int, q: int, g: int) -> DSAPrivateKey:
    if not 0 < x < p < 1 << 4096:
        raise ValueError("out of bounds")
    return DSAPrivateNumbers(x, DSAPublicNumbers(pow(g, x, p), DSAParameterNumbers(p, q, g))).private_key()


_KINDS: Final[dict[str, tuple[int, Callable[..., Held]]]] = {
    "RSA_PRIVCRT_KEY": (8, _rsa),
    "DSA_PRIV_KEY": (4, _dsa),
}
"""How many numbers each kind of key has, and what is made of them."""

"""Public keys at work: read out of HS_PUBKEY values and PEM, and whether a signature is theirs.

What is signed, and what follows from it, is said by whoever asks.
"""

import base64
import re
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.dsa import DSAParameterNumbers, DSAPublicKey, DSAPublicNumbers
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers
from cryptography.hazmat.primitives.hashes import MD5, SHA1, SHA256, HashAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key
from cryptography.x509 import InvalidVersion, load_der_x509_certificate, load_pem_x509_certificate
from cryptography.x509.oid import NameOID

from proto.errors import ProtoError
from proto.keys import sm2
from proto.values import public_key
from proto.values.public_key import TextKey

Key = RSAPublicKey | DSAPublicKey | EllipticCurvePublicKey | sm2.Public

KEY_OCTETS: Final = 8192
"""Longest data of a key that is used: RSA of 8192 bits takes 1.1 kB, DSA of 3072 bits 1.2 kB, in PEM a third more."""
RSA_BITS: Final = (1024, 8192)
"""Shortest and longest RSA key: deployed clients still hold 1024 bits; longer than 8192 only costs."""

HASHES: Final[dict[str, HashAlgorithm]] = {"MD5": MD5(), "SHA1": SHA1(), "SHA256": SHA256()}  # noqa: S303
"""Digests old clients sign with: MD5 and SHA-1 are weak against who may choose both texts, not against these nonces."""
HASH_NAMES: Final[dict[bytes, str]] = {
    b"MD5": "MD5",
    b"SHA1": "SHA1",
    b"SHA-1": "SHA1",
    b"\2": "SHA1",
    b"SHA256": "SHA256",
    b"SHA-256": "SHA256",
    b"\3": "SHA256",
    b"SM3": "SM3",
}
"""How messages name them, letter by letter (handle reference §2.8, §7), one octet included."""

_PEM: Final = re.compile(r"\s*-----BEGIN (RSA )?PUBLIC KEY-----\s([A-Za-z0-9+/=\s]+)-----END (RSA )?PUBLIC KEY-----\s*")
_HOLDER: Final = (NameOID.USER_ID, NameOID.COMMON_NAME)
_NAMED: Final = {RSAPublicKey: "RSA", DSAPublicKey: "DSA", EllipticCurvePublicKey: "EC", sm2.Public: "SM2"}


def _wrong(zh: str, en: str) -> ProtoError:
    return ProtoError("HS_PUBKEY", f"HS_PUBKEY{zh}", f"HS_PUBKEY {en}")


def _unusable() -> ProtoError:
    return _wrong("不是可用的RSA、DSA、P-256或SM2公钥", "is no RSA, DSA, P-256 or SM2 key that can be used")


def kind(key: Key) -> str:
    """RSA, DSA, EC or SM2."""
    return next(name for held, name in _NAMED.items() if isinstance(key, held))


def load(octets: bytes) -> Key:
    """The key in the data of an HS_PUBKEY value. Raises ProtoError for one nobody can prove anything with here."""
    if len(octets) > KEY_OCTETS:
        raise _wrong(f"不能超过{KEY_OCTETS}字节", f"has at most {KEY_OCTETS} octets")
    said = public_key.read(octets)
    if isinstance(said, TextKey):
        return _of_pem(said.pem)
    numbers = dict(zip(public_key.FIELDS[said.kind], said.numbers, strict=True))
    try:
        return _bounded(_OF_NUMBERS[said.kind](numbers))
    except (KeyError, ValueError):
        raise _unusable() from None


def _of_rsa(numbers: dict[str, int]) -> Key:
    if numbers["n"].bit_length() > RSA_BITS[1]:
        raise ValueError("too long to look at")
    return RSAPublicNumbers(numbers["e"], numbers["n"]).public_key()


def _of_dsa(numbers: dict[str, int]) -> Key:
    group = DSAParameterNumbers(numbers["p"], numbers["q"], numbers["g"])
    return DSAPublicNumbers(numbers["y"], group).public_key()


_OF_NUMBERS: Final = {"RSA_PUB_KEY": _of_rsa, "DSA_PUB_KEY": _of_dsa}


def _of_pem(pem: str) -> Key:
    found = _PEM.fullmatch(pem)
    try:
        return of_der(base64.b64decode(found[2] if found else ""))
    except ValueError:
        raise _unusable() from None


def of_der(der: bytes) -> Key:
    """The key in an X.509 SubjectPublicKeyInfo or PKCS #1 (RSA). Raises ProtoError."""
    try:
        return sm2.public(der) or _bounded(load_der_public_key(der))
    except (ValueError, UnsupportedAlgorithm):
        raise _unusable() from None


def _bounded(key: object) -> Key:
    if isinstance(key, RSAPublicKey) and RSA_BITS[0] <= key.key_size <= RSA_BITS[1]:
        return key
    if isinstance(key, DSAPublicKey) or (isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1)):
        return key
    raise _unusable()


def to_der(key: Key) -> bytes:
    """X.509 SubjectPublicKeyInfo."""
    if isinstance(key, sm2.Public):
        return key.to_der()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def to_octets(key: Key) -> bytes:
    """The data of an HS_PUBKEY value: numbers where deployed servers know them, PEM text otherwise."""
    if isinstance(key, RSAPublicKey):
        rsa = key.public_numbers()
        return public_key.PublicKey("RSA_PUB_KEY", (rsa.e, rsa.n)).to_octets()
    if isinstance(key, DSAPublicKey):
        dsa = key.public_numbers()
        group = dsa.parameter_numbers
        return public_key.PublicKey("DSA_PUB_KEY", (group.q, group.p, group.g, dsa.y)).to_octets()
    return TextKey(public_key.SM2 if isinstance(key, sm2.Public) else "", public_key.pem(to_der(key))).to_octets()


def of_pem(octets: bytes) -> Key:
    """The key in a file of PEM (SubjectPublicKeyInfo, or PKCS #1 of RSA). Raises ProtoError."""
    if len(octets) > KEY_OCTETS:
        raise _wrong(f"不能超过{KEY_OCTETS}字节", f"has at most {KEY_OCTETS} octets")
    return _of_pem(octets.decode("latin-1"))


def of_certificate(octets: bytes) -> tuple[Key, str]:
    """The key an X.509 certificate, PEM or DER, is about, and whose it says it is (UID or CN: `301:88.1/ADMIN`; empty
    if neither): a claim, for certificates of clients sign themselves. Raises ProtoError.
    """
    if len(octets) > KEY_OCTETS:
        raise _wrong(f"不能超过{KEY_OCTETS}字节", f"has at most {KEY_OCTETS} octets")
    load_ = load_pem_x509_certificate if b"-----BEGIN" in octets else load_der_x509_certificate
    try:
        certificate = load_(octets)
        names = [each for oid in _HOLDER for each in certificate.subject.get_attributes_for_oid(oid)]
        return _bounded(certificate.public_key()), str(names[0].value) if names else ""
    except (ValueError, UnsupportedAlgorithm, InvalidVersion, TypeError):  # the last of names that are no text
        raise _unusable() from None


def fingerprint(key: Key) -> bytes:
    """32 octets by which a key is told from others, however it is written: SHA-256 of its SubjectPublicKeyInfo."""
    return sha256(to_der(key)).digest()


def verifies(key: Key, hash_: str, signature: bytes, signed: bytes, user: bytes = sm2.USER_ID) -> bool:
    """Whether `signature` was made with `key` over `signed`: RSA by PKCS #1 v1.5, DSA and P-256 in DER, with the digest
    `hash_` (of HASHES); SM2 with SM3 alone, in the name of `user`.
    """
    if isinstance(key, sm2.Public):
        return hash_ == "SM3" and sm2.verifies(key, signature, signed, user)
    algorithm = HASHES.get(hash_)
    if algorithm is None:
        return False
    try:
        if isinstance(key, RSAPublicKey):
            key.verify(signature, signed, PKCS1v15(), algorithm)
        elif isinstance(key, DSAPublicKey):
            key.verify(signature, signed, algorithm)
        else:
            key.verify(signature, signed, ECDSA(algorithm))
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True

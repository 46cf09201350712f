"""Sign-in by a public key: what a program's key must be, and whether an answer to a challenge proves it. Pure.

As IDHub has it (/api/v1/doip/public/challenge): RSA, SHA-256, PKCS #1 v1.5 over the text of the challenge.
"""

import base64
import binascii
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

CHALLENGE_OCTETS: Final = 24
"""Random octets of a challenge."""
CHALLENGE_SECONDS: Final = 60
"""Life of a challenge: it is answered by a program at once."""
CHALLENGES_MOST: Final = 64
"""Live challenges of one account, all of which an answer is tried against (some 2 ms). Who asks for more is given the
newest again: whoever asks for many takes nobody else's away."""
KEY_CHARACTERS: Final = 4096
"""Longest key as people send it: PEM of 8192 bits has some 1500."""
KEY_BITS: Final = (2048, 8192)
"""Shortest and longest RSA key (NIST SP 800-131A); a longer one only costs."""
SIGNATURE_CHARACTERS: Final = 4 * (KEY_BITS[1] // 8 // 3 + 1)
"""Longest signature, in base64."""


def key_octets(pem: str) -> bytes | None:
    """What is kept of a public key given as PEM (SubjectPublicKeyInfo or PKCS #1); None if it cannot be used."""
    if len(pem) > KEY_CHARACTERS:
        return None
    try:
        key = load_pem_public_key(pem.encode(errors="replace"))
    except (ValueError, UnsupportedAlgorithm):
        return None
    if not isinstance(key, RSAPublicKey) or not KEY_BITS[0] <= key.key_size <= KEY_BITS[1]:
        return None
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def answered(kept: bytes, challenges: Iterable[str], signature: str) -> str | None:
    """Which of `challenges` the base64 `signature` answers under the key kept as `kept`; None if none."""
    try:
        octets = base64.b64decode(signature, validate=True) if len(signature) <= SIGNATURE_CHARACTERS else b""
    except (binascii.Error, ValueError):
        return None
    key = load_der_public_key(kept)
    assert isinstance(key, RSAPublicKey)
    return next((each for each in challenges if _signs(key, each, octets)), None)


def _signs(key: RSAPublicKey, challenge: str, signature: bytes) -> bool:
    try:
        key.verify(signature, challenge.encode(), PKCS1v15(), SHA256())
    except InvalidSignature:
        return False
    return True

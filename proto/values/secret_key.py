"""HS_SECKEY: octets that two sides share (RFC 3651 §3.2.1), and how a password says them. What proves it: proto/keys/.

They are kept out of answers to the public: such a value wants permissions 1100.
"""

import hmac
from typing import Final

from proto.value import ADMIN_READ, ADMIN_WRITE, PUBLIC_READ, PUBLIC_WRITE, Value

PERMISSIONS: Final = ADMIN_READ | ADMIN_WRITE
"""Those of a secret key that is deposited: nobody else may read it, let alone replace it."""


def exposed(value: Value) -> bool:
    """Whether a value would tell its secret to everybody, or let everybody set another."""
    return bool(value.permissions & (PUBLIC_READ | PUBLIC_WRITE))


def is_said_by(secret: bytes, password: str) -> bool:
    """Whether a password (HTTP Basic) is this secret, told in constant time; an empty secret is nobody's."""
    return bool(secret) and hmac.compare_digest(secret, password.encode(errors="surrogatepass"))


def pbkdf2_password(secret: bytes) -> bytes:
    """What deployed programs derive keys from: each octet taken for a Latin-1 character, and these as UTF-8."""
    return secret.decode("latin-1").encode()

"""`Account`: who may sign in and in whose name; how what they know is proven. No database, no clock.

People are kept as argon2 over the sha256 hex of the password; programs as sha256(secret), sealed with the node's key.
"""

import hmac
import re
import secrets
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from functools import cache
from hashlib import sha256
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from registry.rights import ADMINISTRATORS, HELD, OF_ENTERPRISES, Kind, Right, Role

USERNAME_CHARACTERS: Final = 50
"""Longest user name (SNMS OpenAPI, `username`)."""
SECRET_CHARACTERS: Final = 64
"""Longest password or secret (SNMS OpenAPI, `password`)."""
USERNAME: Final = re.compile(r"[^\s\x00-\x1f\x7f/%?#]{1,50}")
"""What the user name of a new account may be; "this" stands for whoever asks (node/listen/accounts_api.py)."""
APPLICATION: Final = re.compile(r"([0-9]+(?:\.[0-9]+){2})/App_[0-9A-Za-z_-]{1,32}")
"""The name of an application identity: a program of the enterprise whose prefix it bears (IDHub, `88.x.y/App_z`)."""
OVERLAP_SECONDS: Final = 7 * 24 * 3600
"""How long the secret before stays good when a new one is drawn: a week to tell all of a factory's systems."""
OVERLAP_MOST: Final = 90 * 24 * 3600
"""The longest this may be."""
TOKEN_SECONDS: Final = 24 * 3600
"""Life of a token (SNMS OpenAPI)."""
TOKENS_PER_ACCOUNT: Final = 1000
"""Live tokens of one account; the oldest goes when one more is issued. A client that signs in for each call at
one call a minute stays below it."""

ACCOUNTS_MOST: Final = 1000
"""Accounts of one enterprise, shut ones included, that calls may make: people and systems of a large firm."""

_HASHER: Final = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""argon2id with the least cost OWASP's password storage sheet names: 19 MiB, two passes."""


class Due(StrEnum):
    """What an account must do before it may do anything else."""

    PASSWORD = "password"  # noqa: S105 - a word
    SECOND_FACTOR = "second_factor"


@dataclass(frozen=True, slots=True)
class Account:
    """Who is asking. `enterprise` is the number of the firm it belongs to, None for those of the node."""

    number: int
    username: str
    kind: Kind
    role: Role
    enterprise: int | None
    due: Due | None = field(default=None, compare=False)

    def may(self, right: Right) -> bool:
        """Whether it has this right at all, be it for its own enterprise alone."""
        return right in HELD[self.kind, self.role]

    def may_in(self, right: Right, enterprise: int | None) -> bool:
        """Whether it has this right over what is that enterprise's (None: nobody's)."""
        if right not in HELD[self.kind, self.role]:
            return False
        return self.role not in OF_ENTERPRISES or (enterprise is not None and self.enterprise == enterprise)

    def may_manage(self, role: Role, enterprise: int | None) -> bool:
        """Whether it may make and change other accounts of that role in that enterprise.

        Nobody may those of administrators: who gave itself a second account would have given itself a right.
        """
        if role in OF_ENTERPRISES:
            return self.may_in(Right.MEMBERS, enterprise)
        return role not in ADMINISTRATORS and self.may(Right.ACCOUNTS)

    def may_write(self, prefix_enterprise: int | None) -> bool:
        """Whether it may change what stands under a prefix of that enterprise."""
        return self.may_in(Right.REGISTER, prefix_enterprise)


def application_prefix(username: str) -> str | None:
    """The prefix an application identity bears in its name; None for every other name."""
    found = APPLICATION.fullmatch(username)
    return found[1] if found else None


def is_username(text: str) -> bool:
    """Whether a new account may be called so."""
    ours = USERNAME.fullmatch(text) is not None and text.isprintable() and text != "this"
    return len(text) <= USERNAME_CHARACTERS and (ours or application_prefix(text) is not None)


def digest_hex(secret: str) -> str:
    """sha256 of a password or secret as the SNMS registration calls carry it."""
    return sha256(secret.encode()).hexdigest()


def hash_password(password: str) -> str:
    """What is kept of a person's password. Takes some 15 ms of CPU: call it off the loop."""
    return hash_digest(digest_hex(password))


def hash_digest(digest: str) -> str:
    """The same for who gives sha256(password) in hex, as the SNMS registration calls do."""
    return _HASHER.hash(digest.lower())


def password_proves(kept: str, password: str) -> bool:
    """Whether `password` is the one `kept` was made from. Takes some 15 ms of CPU: call it off the loop."""
    try:
        return _HASHER.verify(kept, digest_hex(password))
    except VerificationError:
        return False


@cache
def hash_of_nobody() -> str:
    """Verified when the user name is unknown, so that an answer takes as long as for a known one."""
    return hash_password(secrets.token_hex(16))


class Vault:
    """Seals what must be readable again (sha256 of a program's secret) under the node's key of 32 octets."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, username: str, secret: str) -> bytes:
        """sha256(secret), bound to the user name, with a fresh nonce before it."""
        return self.close(username, sha256(secret.encode()).digest())

    def close(self, name: str, content: bytes) -> bytes:
        """`content`, bound to `name`, with a fresh nonce before it."""
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, content, name.encode())

    def open(self, name: str, closed: bytes) -> bytes:
        """What was closed under `name`; empty when the node's key is another one."""
        try:
            return self._cipher.decrypt(closed[:12], closed[12:], name.encode())
        except InvalidTag:
            return b""

    def secret_proves(self, username: str, sealed: bytes, secret: str) -> bool:
        """Whether `secret` is the one sealed; False also when the node's key is another one."""
        return hmac.compare_digest(self.open(username, sealed), sha256(secret.encode()).digest())

    def dated_digest_proves(self, username: str, sealed: bytes, given: str, today: date) -> bool:
        """Whether `given` is sha256(sha256(secret) ‖ yyyy-MM-dd) in hex, of `today` or the days beside it.

        The inner digest counts as lower-case hex (SNMS OpenAPI, /identity/token/v1); clocks of factories drift,
        hence the neighbouring days.
        """
        inner = self.open(username, sealed).hex()
        days = (today + timedelta(days=n) for n in (-1, 0, 1))
        wanted = [sha256(f"{inner}{day:%Y-%m-%d}".encode()).hexdigest() for day in days]
        hits = [hmac.compare_digest(digest.encode(), given.strip().lower().encode()) for digest in wanted]
        return bool(inner) and any(hits)


def derived(key: bytes, purpose: str) -> bytes:
    """A key of 32 octets for one purpose, from the node's (RFC 5869): whoever has it has no other."""
    return HKDF(SHA256(), length=32, salt=None, info=f"idnode {purpose}".encode()).derive(key)


def new_token() -> tuple[str, bytes]:
    """A fresh opaque token and the digest under which it is kept."""
    token = secrets.token_urlsafe(32)
    return token, sha256(token.encode()).digest()


def token_digest(token: str) -> bytes:
    """The digest under which `token` is kept. `token` is whatever a header held, lone surrogates included."""
    return sha256(token.encode(errors="surrogatepass")).digest()

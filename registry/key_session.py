"""Sessions of the Handle HTTP API: what is to be answered to begin one, and their bounds. Pure.

Until it is answered nothing is kept of a session: its name says when it was made, and its nonce follows from its name
by a key of the node's, so every worker and machine knows it, and nobody can make one up.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, NamedTuple

NONCE_SECONDS: Final = 60
"""A nonce is to be answered within this (deployed servers, `max_auth_time`)."""
IDLE_SECONDS: Final = 1800
"""A session that is not used for so long ends (deployed servers)."""
SESSIONS_OF_KEY: Final = 64
"""Most sessions of one key; the one silent longest ends for one more."""
CHANCE_OCTETS: Final = 16
NONCE_OCTETS: Final = 16
_TIME_OCTETS: Final = 4
_STEM_OCTETS: Final = _TIME_OCTETS + CHANCE_OCTETS


class Challenge(NamedTuple):
    """A session that may begin: its name, and what is to be signed."""

    session: str
    nonce: bytes


def key_of(node_key: bytes) -> bytes:
    """The key of sessions, from the node's."""
    return hmac.digest(node_key, b"idnode: sessions of the Handle HTTP API", "sha256")


def _mac(key: bytes, what: bytes, stem: bytes) -> bytes:
    return hmac.digest(key, what + stem, "sha256")[:NONCE_OCTETS]


def challenge(key: bytes, now: int, chance: bytes) -> Challenge:
    """A fresh one at `now`, seconds since 1970 UTC; `chance` are CHANCE_OCTETS nobody can guess."""
    stem = now.to_bytes(_TIME_OCTETS) + chance
    return Challenge(urlsafe_b64encode(stem + _mac(key, b"name", stem)).decode(), _mac(key, b"nonce", stem))


def nonce_of(key: bytes, session: str, now: int) -> bytes | None:
    """The nonce of a session of ours; None of another, and when its time is over."""
    try:
        octets = urlsafe_b64decode(session.encode("ascii"))
    except ValueError:  # binascii.Error and UnicodeEncodeError are ones
        return None
    stem, mac = octets[:_STEM_OCTETS], octets[_STEM_OCTETS:]
    if not hmac.compare_digest(mac, _mac(key, b"name", stem)) or session != urlsafe_b64encode(octets).decode():
        return None
    return _mac(key, b"nonce", stem) if 0 <= now - int.from_bytes(stem[:_TIME_OCTETS]) <= NONCE_SECONDS else None


def digest(session: str) -> bytes:
    """What is kept of a session's name."""
    return hashlib.sha256(session.encode()).digest()

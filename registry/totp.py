"""One-time codes of the day's clock: TOTP (RFC 6238) over HOTP (RFC 4226), as every authenticator shows them. Pure."""

import base64
import hmac
from typing import Final
from urllib.parse import quote, urlencode

KEY_OCTETS: Final = 20
"""Length of a key: that of HMAC-SHA-1's result (RFC 4226, section 4, R6)."""
DIGITS: Final = 6
STEP_SECONDS: Final = 30
"""Life of a code (RFC 6238, section 4.1)."""
DRIFT_STEPS: Final = 1
"""Steps a telephone's clock may be wrong by, either way (RFC 6238, section 5.2)."""
WRONG_MOST: Final = 5
"""Wrong codes with the right password, one after the other, before no code is taken for a while."""
WRONG_SECONDS: Final = 900
"""This while, after the last of them: with three codes of a million good at a time, whoever stole a password guesses
one in two years. Nobody else can bring it about: without the password no code is looked at."""


def hotp(key: bytes, counter: int, digits: int = DIGITS) -> str:
    """The code of `counter`, at most 64 bits (RFC 4226, section 5.3)."""
    digest = hmac.digest(key, counter.to_bytes(8), "sha1")
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}}"


def matching(key: bytes, code: str, now: int, last: int) -> int | None:
    """The step `code` stands for, at `now` in seconds since 1970 UTC; None if it is wrong, or not younger than `last`,
    the step of the last code that was taken: each is good once.
    """
    given, found = code.encode(errors="surrogatepass"), None
    for step in range(now // STEP_SECONDS - DRIFT_STEPS, now // STEP_SECONDS + DRIFT_STEPS + 1):
        if hmac.compare_digest(hotp(key, max(step, 0)).encode(), given) and step > last:
            found = step
    return found


def parted(secret: str) -> tuple[str, str]:
    """What was typed where there is one field for both: the password, and the digits that follow it."""
    return secret[:-DIGITS], secret[-DIGITS:]


def base32(key: bytes) -> str:
    """A key as people type it."""
    return base64.b32encode(key).decode().rstrip("=")


def uri(issuer: str, username: str, key: bytes) -> str:
    """What an authenticator reads from a QR code (Key Uri Format of Google Authenticator); all else are defaults."""
    query = urlencode({"secret": base32(key), "issuer": issuer}, quote_via=quote)
    return f"otpauth://totp/{quote(issuer)}:{quote(username, safe='')}?{query}"

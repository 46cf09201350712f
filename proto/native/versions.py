"""Versions of the protocol: which one an answer is in, and what they say differently.

They compare as pairs: (2, 11) is newer than (2, 9).
"""

from typing import Final

from proto.codes import ResponseCode

Version = tuple[int, int]

OWN: Final[Version] = (2, 11)
"""The newest we speak, which every answer suggests."""
FIRST: Final[Version] = (2, 0)
"""The oldest: nothing older is deployed."""
SELF_DESCRIBING: Final[Version] = (2, 1)
"""From here on a request digest says by which algorithm it was made."""
NEW_CODES: Final[Version] = (2, 5)
"""From here on two response codes have numbers of their own."""
SHA256: Final[Version] = (2, 7)
"""From here on digests are SHA-256."""
BOUND_SUGGESTION: Final[Version] = (2, 8)
"""From here on a signature covers the suggested version, too."""

_OLD_CODES: Final[dict[int, int]] = {
    ResponseCode.INVALID_VALUE: ResponseCode.VALUE_ALREADY_EXISTS,
    ResponseCode.SERVER_READ_ONLY: ResponseCode.PREFIX_REFERRAL,
}
"""What the codes that are new in 2.5 were before."""


def agreed(version: Version, suggested: Version) -> Version:
    """The version of the answer to a request of `version` that suggests another: the smaller of that and ours.

    Peers of RFC 3652 §2.1 know of no suggestion: where it has no major number the version of the request stands for it.
    """
    return max(FIRST, min(suggested if suggested[0] else version, OWN))


def wire_code(code: int, version: Version) -> int:
    """`code` as peers of this version know it."""
    return _OLD_CODES.get(code, code) if version < NEW_CODES else code

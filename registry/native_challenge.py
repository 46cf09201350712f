"""What waits between a request of the Handle protocol and the proof of a key it asks for, and its bounds. Pure."""

from typing import Final, NamedTuple

LIVES_SECONDS: Final = 60
"""A challenge is to be answered within this (deployed servers, `max_auth_time`)."""
CHALLENGES_MOST: Final = 16_384
"""Most that wait at once; the longest-lived ones are those nobody answers."""
OF_PEER_MOST: Final = 256
"""Most of one address: clients answer at once, and their pools have some tens of connections."""
WAITING_OCTETS: Final = 64 * 1024 * 1024
"""Most octets of the requests that wait; most have some hundred."""
BY_UDP_MOST: Final = CHALLENGES_MOST // 4
"""No challenge goes out by UDP while so many wait: whoever forges addresses there leaves room for who does not."""
NONCE_OCTETS: Final = 16
NUMBER_LAST: Final = 2**30 - 1
"""The numbers above are those of sessions (registry/native_session.py)."""


class NativeChallenge(NamedTuple):
    """A challenge by its `number`, in a session that of the session; signed are `nonce` and `digest`, and `request` is
    the message to carry out then.
    """

    number: int
    nonce: bytes
    digest: bytes
    request: bytes

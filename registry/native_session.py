"""Sessions of the Handle protocol: what is kept of one, and their bounds. Pure."""

from typing import Final, NamedTuple

from registry.native_challenge import NUMBER_LAST

NUMBER_FIRST: Final = NUMBER_LAST + 1
"""Sessions are numbered from here on, challenges below: some clients send small numbers of their own (teleinfo)."""
NUMBERS: Final = 2**31 - NUMBER_FIRST
"""Clients keep the number as a signed integer."""
IDLE_MOST_SECONDS: Final = 3600
"""A session that is silent for so long ends, whatever was asked for; clients set up another."""
UNPROVEN_SECONDS: Final = 300
"""One in which nobody has proven a key yet ends after this silence: anybody may set one up."""
LIFE_SECONDS: Final = 86_400
"""No session lives longer: a day, as clients of deployed servers ask for."""
SESSIONS_MOST: Final = 16_384
"""Most that live at once, 4 MB."""
OF_PEER_MOST: Final = 256
"""Most of one address: clients have one, their pools some tens."""
WINDOW: Final = 62
"""Messages that may overtake each other; what comes later than that is taken for a replay. The bits of one number."""


class NativeSession(NamedTuple):
    """A session by its `number`: its key, sealed; the key `index:identifier` it was asked for, if any (`claimed`); and
    after how many seconds of silence it ends.
    """

    number: int
    sealed: bytes
    claimed: str
    idle: int


class Used(NamedTuple):
    """That a message of a session is none that was heard before: the number of the first answer to it, and which key
    was proven in the session, by name and digest (empty: none).
    """

    first: int
    name: str
    key: bytes


def is_number(number: int) -> bool:
    """Whether it may be that of a session."""
    return NUMBER_FIRST <= number < NUMBER_FIRST + NUMBERS


def idle_seconds(wanted: int) -> int:
    """How long a session may be silent for which `wanted` seconds were asked; 0: as long as any."""
    return min(wanted or IDLE_MOST_SECONDS, IDLE_MOST_SECONDS)

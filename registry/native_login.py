"""Logins by UDP, which last for an address: their bounds. Pure."""

from typing import Final

IDLE_SECONDS: Final = 1800
"""A login that is not used for so long ends, as sessions of the Handle HTTP API do."""
LOGINS_MOST: Final = 4096
"""Most that last at once: some ten programs of each enterprise."""
OF_PEER_MOST: Final = 64
"""Most of one address, a port each: programs behind one router."""

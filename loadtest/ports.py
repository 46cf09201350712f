"""Ports for servers that a program here starts itself. Nothing listens here."""

import random
import socket
from contextlib import suppress
from typing import Final

PORTS: Final = range(10_000, 32_768)
"""Below those the kernel gives to connections (ip_local_port_range): none of these takes a port found free here."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 nobody listens on now. Raises OSError when there are not as many."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError), socket.socket() as probe:
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports within {PORTS.start} … {PORTS.stop - 1}")

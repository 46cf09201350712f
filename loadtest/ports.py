"""Ports for servers that a program here starts itself. Nothing listens here."""

import random
import socket
from contextlib import suppress
from typing import Final

PORTS: Final = range(10_000, 32_768)
"""Below those the kernel gives to connections (ip_local_port_range): none of these takes a port found free here."""


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 nobody listens on now, and that this function finds for nobody else for about a minute: time
    for a server to start on them. Raises OSError when there are not as many."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        with suppress(OSError):
            _keep(port)
            found.append(port)
        if len(found) == count:
            return found
    raise OSError(f"no {count} free ports within {PORTS.start} … {PORTS.stop - 1}")


def _keep(port: int) -> None:
    """Leaves an ended connection on the port (TIME-WAIT, RFC 9293 section 3.3.2): servers pass over that, as they bind
    with SO_REUSEADDR, while the bind here, which goes without, fails. Raises OSError when the port is not free."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", port))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.listen(1)
        with socket.create_connection(server.getsockname()) as client:
            server.accept()[0].close()  # whoever ends it first is whose port waits
            client.recv(1)

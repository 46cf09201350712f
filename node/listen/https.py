"""The HTTPS port up to the octets of a connection: its bounds, whom a proxy speaks for, the handshake, the certificate.

What then comes is HTTP as on the other port: `node/listen/connection.py` serves it, lanes and all.
"""

import asyncio
import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import structlog

from node.listen.connection import Connection, Crowd
from node.tls import context, is_full
from proto.errors import ProtoError
from proto.forwarded_for import TrustedProxies
from proto.proxy_header import BLOCK_OCTETS, NoHeader, ProxyHeader, read
from registry.access_log import Source

HANDSHAKE_SECONDS = 10.0
"""A PROXY protocol header and the handshake may take this long: a few round trips, and a lost segment is sent again
several times within it."""
REST_SECONDS: Final = 0.05
"""Pause before the rest of a PROXY protocol header is looked for: its document (§2) wants it sent in one piece."""
LOOK_SECONDS = 10.0
"""Pause between two looks at whether the certificate or its key was replaced."""
PAUSE_SECONDS: Final = 0.5
"""Pause when no connection can be taken, for want of descriptors or memory."""

log = structlog.get_logger("https")


class Door:
    """Takes connections on the HTTPS port and hands them over when their handshake is done.

    One too many is closed without a word: to tell it why would cost the handshake it is one too many for.
    """

    def __init__(
        self,
        crowd: Crowd,
        proxies: TrustedProxies,
        certificate: str,
        key: str,
        made: Callable[[str, str], ssl.SSLContext] = context,
    ) -> None:
        self._crowd = crowd
        self._proxies = proxies
        self._certificate, self._key = certificate, key
        self._made = made
        self._context: ssl.SSLContext | None = None
        self._state: list[tuple[int, int, int]] = []
        self._unusable: object = None  # the state of files that are of no use, and why: said once
        self.look()

    def look(self) -> None:
        """Shows new connections the certificate that is there now; open ones go on with what they were shown.

        What cannot be used changes nothing: when half of a pair was replaced, the other half comes.
        """
        state: list[tuple[int, int, int]] = []
        try:
            state = [_state(path) for path in (self._certificate, self._key) if path]
            if state == self._state:
                return
            self._context, self._state = self._made(self._certificate, self._key), state
        except OSError as error:
            before, self._unusable = self._unusable, (state, str(error))
            if before != self._unusable:
                log.warning("certificate_unusable", certificate=self._certificate, error=str(error))
        else:
            self._unusable = None
            log.info("certificate_shown", certificate=self._certificate)

    async def serve(self, listening: socket.socket) -> None:
        """Takes connections, and looks after the certificate, until it is cancelled."""
        listening.setblocking(False)
        loop = asyncio.get_running_loop()
        with listening:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch())
                while True:
                    try:
                        sock, address = await loop.sock_accept(listening)
                    except OSError as error:
                        log.warning("connection_not_taken", error=str(error))
                        await asyncio.sleep(PAUSE_SECONDS)
                    else:
                        tasks.create_task(self._welcome(sock, str(address[0])))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    async def _welcome(self, sock: socket.socket, address: str) -> None:
        """Has a connection served, or closes it."""
        connection = self._crowd.connection(address) if self._context else None
        if connection is None:
            sock.close()
            return
        self._crowd.arriving += 1
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await self._begin(connection, sock, address)
        except (OSError, ProtoError) as error:  # TimeoutError and ssl.SSLError are OSErrors
            self._crowd.refused("proxy_header" if isinstance(error, ProtoError) else "handshake")
            log.debug("handshake_failed", peer=address, error=str(error))
        except Exception:  # a mistake of ours: the port goes on with all others
            self._crowd.refused("handshake")
            sock.close()
            log.exception("handshake_broken", peer=address)
        finally:
            self._crowd.arriving -= 1
            if connection.transport is None:
                connection.leave()

    async def _begin(self, connection: Connection, sock: socket.socket, address: str) -> None:
        """Raises OSError or ProtoError; the socket is closed then."""
        if self._proxies.trusts(address):
            try:
                connection.named = await _named(sock)
            except BaseException:
                sock.close()
                raise
        if self._context is not None and is_full(self._context):
            with suppress(OSError):  # it goes on with what it has; `look` tells why
                self._context = self._made(self._certificate, self._key)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock, ssl=self._context)


def _state(path: str) -> tuple[int, int, int]:
    """What is another when a file was replaced or written anew."""
    found = os.stat(path)
    return found.st_ino, found.st_mtime_ns, found.st_size


async def _named(sock: socket.socket) -> Source | None:
    """Whom the PROXY protocol header before the handshake names, which is taken away; None: there is none, or nobody.

    Raises ProtoError for one that is wrong, OSError when the connection ends.
    """
    while True:
        await _readable(sock)
        octets = sock.recv(BLOCK_OCTETS, socket.MSG_PEEK)
        if not octets:
            raise ConnectionResetError("it ended before its handshake")
        found = read(octets)
        if isinstance(found, ProxyHeader):
            sock.recv(found.length)
            return (found.source, found.port) if found.source else None
        if found is NoHeader.ABSENT:
            return None
        await asyncio.sleep(REST_SECONDS)  # it stays readable, whether more comes or not


async def _readable(sock: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    there = asyncio.Event()
    loop.add_reader(sock, there.set)
    try:
        await there.wait()
    finally:
        loop.remove_reader(sock)

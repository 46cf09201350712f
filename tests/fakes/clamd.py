"""clamd as clients meet it, on a Unix socket of its own: INSTREAM and VERSION, and what it says when it is ill.

Infected is what holds INFECTED; that a real clamd speaks so is proven in tests/node/files/test_scanner.py.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.waiting import until

INFECTED = b"INFECTED"


@dataclass
class Clamd:
    """What it was given; `says` is its reply to every stream if it is set, empty octets: it hangs up.

    `silent`: it takes everything and says nothing. `met`: connections that are open.
    """

    path: str
    scanned: list[bytes] = field(default_factory=list)
    says: bytes | None = None
    silent: bool = False
    met: int = 0

    async def meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.met += 1
        command = await reader.readuntil(b"\0")
        if self.silent:
            await reader.read()
        else:
            writer.write(b"ClamAV 1.4.6\0" if command == b"zVERSION\0" else await self._stream(command, reader))
        writer.close()
        await writer.wait_closed()
        self.met -= 1

    async def _stream(self, command: bytes, reader: asyncio.StreamReader) -> bytes:
        assert command == b"zINSTREAM\0"
        octets = b""
        while length := int.from_bytes(await reader.readexactly(4)):
            octets += await reader.readexactly(length)
        self.scanned.append(octets)
        if self.says is not None:
            return self.says
        return b"stream: Test.Virus FOUND\0" if INFECTED in octets else b"stream: OK\0"


@asynccontextmanager
async def clamd(path: Path) -> AsyncIterator[Clamd]:
    """A clamd at the socket `path` inside the block."""
    fake = Clamd(str(path))
    async with await asyncio.start_unix_server(fake.meet, path):
        yield fake
        await until(lambda: not fake.met, "the end of all connections")

"""Asks clamd, the daemon of ClamAV, whether a file is infected: its INSTREAM command, nothing else of it (clamd(8)).

What becomes of an infected file, and of one that cannot be scanned, is decided elsewhere.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

SCAN_SECONDS: Final = 30.0
"""Longest a scan may take: clamd needs some 100 ms for a PDF of 5 MB, and reloads its signatures now and then."""
PIECE_OCTETS: Final = 64 * 1024
"""Octets sent as one piece: clamd looks at what it has when its bound is passed."""
REPLY_MOST: Final = 4096
"""Longest reply: the name of one signature."""


class ScannerAwayError(Exception):
    """clamd gave no verdict, so there is none."""


class Scanner:
    """clamd at the Unix socket `path`. A connection a scan, as clamd wants it."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def infection(self, octets: bytes) -> str:
        """The name of what `octets` are infected with; empty: nothing was found. Raises ScannerAwayError."""
        async with self._asked(b"zINSTREAM\0") as (reader, writer):
            for start in range(0, len(octets), PIECE_OCTETS):
                piece = octets[start : start + PIECE_OCTETS]
                writer.write(len(piece).to_bytes(4) + piece)
                await writer.drain()
            writer.write(bytes(4))
            return _verdict(await reader.readuntil(b"\0"))

    async def version(self) -> str:
        """What clamd calls itself and its signatures. Raises ScannerAwayError."""
        async with self._asked(b"zVERSION\0") as (reader, _):
            return (await reader.readuntil(b"\0"))[:-1].decode(errors="replace")

    @asynccontextmanager
    async def _asked(self, command: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            async with asyncio.timeout(SCAN_SECONDS):
                reader, writer = await asyncio.open_unix_connection(self._path, limit=REPLY_MOST)
                try:
                    writer.write(command)
                    yield reader, writer
                finally:
                    writer.close()
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:  # a timeout is an OSError, too
            raise ScannerAwayError(f"{type(error).__name__}: {error}") from error


def _verdict(reply: bytes) -> str:
    """What `stream: OK` or `stream: NAME FOUND` says; any other reply is none."""
    text = reply[:-1].decode(errors="replace")
    if text == "stream: OK":
        return ""
    if text.startswith("stream: ") and text.endswith(" FOUND"):
        return text.removeprefix("stream: ").removesuffix(" FOUND")
    raise ScannerAwayError(f"clamd says {text!r}")

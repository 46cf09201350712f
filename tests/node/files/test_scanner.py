"""Proves node/files/scanner.py against a real clamd where there is one, and against one that is ill."""

import asyncio
import getpass
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from node.files import scanner
from node.files.scanner import PIECE_OCTETS, Scanner, ScannerAwayError
from tests.fakes.clamd import INFECTED, clamd
from tests.waiting import until

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
"""The harmless file every scanner finds (eicar.org); in two pieces, so that none finds it in this one."""

CONFIG = """
LocalSocket {folder}/clamd.ctl
DatabaseDirectory {folder}/signatures
Foreground yes
User {user}
"""


@asynccontextmanager
async def real_clamd(program: str, folder: Path) -> AsyncIterator[str]:
    """A clamd that knows one signature, that of EICAR anywhere in a file; the path of its socket."""
    (folder / "signatures").mkdir()
    (folder / "signatures" / "own.ndb").write_text(f"Eicar-Test:0:*:{EICAR.hex()}\n")
    config = folder / "clamd.conf"
    config.write_text(CONFIG.format(folder=folder, user=getpass.getuser()))
    process = await asyncio.create_subprocess_exec(program, "-c", config, stdout=-3, stderr=-3)
    try:
        path = str(folder / "clamd.ctl")
        await until(lambda: process.returncode is not None or _takes(path), "clamd")
        yield path
    finally:
        process.kill()
        await process.wait()


async def _takes(path: str) -> bool:
    """Whether it takes connections: its socket is there a moment before."""
    with suppress(ScannerAwayError):
        await Scanner(path).version()
        return True
    return False


async def test_a_real_clamd_finds_what_it_knows_and_nothing_else(program: Callable[[str], str], tmp_path: Path) -> None:
    async with real_clamd(program("clamd"), tmp_path) as path:
        asked = Scanner(path)
        assert (await asked.version()).startswith("ClamAV ")
        assert await asked.infection(b"%PDF-1.4 harmless" * 300_000) == ""
        assert await asked.infection(b"") == ""
        for octets in (EICAR, b"%PDF-1.4\n" + bytes(2 * PIECE_OCTETS) + EICAR):
            assert "Eicar-Test" in await asked.infection(octets)


async def test_a_file_goes_to_clamd_whole(tmp_path: Path) -> None:
    async with clamd(tmp_path / "clamd") as fake:
        for octets in (b"", b"x" * PIECE_OCTETS, b"y" * (2 * PIECE_OCTETS + 1)):
            assert await Scanner(fake.path).infection(octets) == ""
            assert fake.scanned.pop() == octets
        assert await Scanner(fake.path).infection(b"some " + INFECTED) == "Test.Virus"


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"INSTREAM size limit exceeded. ERROR\0",
        b"stream: OK",
        b"stream: ok\0",
        b"OK\0",
        b"FOUND\0",
        b"stream: " + b"x" * 9999 + b" FOUND\0",
        b"UNKNOWN COMMAND\0",
    ],
)
async def test_whatever_is_no_verdict_is_none(tmp_path: Path, reply: bytes) -> None:
    async with clamd(tmp_path / "clamd") as fake:
        fake.says = reply
        with pytest.raises(ScannerAwayError):
            await Scanner(fake.path).infection(b"harmless")


async def test_a_clamd_that_is_away_or_silent_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ScannerAwayError, match="FileNotFoundError"):
        await Scanner(str(tmp_path / "nobody")).infection(b"harmless")
    monkeypatch.setattr(scanner, "SCAN_SECONDS", 0.05)
    async with clamd(tmp_path / "clamd") as fake:
        fake.silent = True
        with pytest.raises(ScannerAwayError, match="TimeoutError"):
            await Scanner(fake.path).infection(b"harmless")

"""Drives Debian's wrk, which asks faster than a crowd in Python: without rest over each connection (closed).

What it asks is a file of requests; how it reads that is said in wrk.lua.
"""

import asyncio
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

from loadtest.crowd import CrowdError
from loadtest.target import Address

SCRIPT: Final = Path(__file__).with_name("wrk.lua")
TOLD: Final = b"TOLD "
"""Begins the line in which wrk.lua tells what was counted."""
PATIENCE: Final = 30.0
"""Seconds beyond its time by which wrk has ended: it reads its requests first, and waits for last answers."""
FRESH_APART: Final = 1_000_000_000
"""Names that two runs of wrk draw are this far apart: no run asks for as many."""

_runs: Final = count(1)


class Line(NamedTuple):
    """One request: which of the heads it carries, and its path; one that ends with `*` is another each time."""

    head: int
    path: str

    @property
    def fresh(self) -> bool:
        """Whether it is another one each time."""
        return self.path.endswith("*")


class Post(NamedTuple):
    """One POST: which of the heads it carries, its path, and its body; FRESH in it is another name each time."""

    head: int
    path: str
    body: str


FRESH: Final = "{fresh}"


@dataclass(frozen=True, slots=True)
class Counted:
    """What wrk counted in one run. `statuses` are answers from 400 on, `lost` connections, latencies milliseconds."""

    requests: int
    seconds: float
    octets: int
    statuses: int
    lost: int
    timeouts: int
    p50: float
    p90: float
    p99: float

    @property
    def rate(self) -> float:
        """Requests answered in a second."""
        return self.requests / self.seconds


def listed(heads: Sequence[str], lines: Sequence[Line | Post]) -> str:
    """The text of a file of requests; a head is its header lines, each with its end."""
    kinds = "".join(f"H {head}\n" for head in (each.replace("\r\n", "\\n") for each in heads))
    return kinds + "".join(f"{_listed(line)}\n" for line in lines)


def _listed(line: Line | Post) -> str:
    if isinstance(line, Line):
        return f"{line.head + 1} {line.path}"
    return f"P {line.head + 1} {line.path} {line.body}"


def program() -> str:
    """Where wrk is. Raises CrowdError."""
    found = shutil.which("wrk")
    if found is None:
        raise CrowdError("没有wrk：apt-get install wrk。 There is no wrk: apt-get install wrk.")
    return found


async def wrk(
    address: Address, requests: Path, *, seconds: int, threads: int, connections: int, closing_after: int = 0
) -> Counted:
    """One run over `connections` shared by `threads`, the file `requests` over and over. Raises CrowdError."""
    words = [f"-t{threads}", f"-c{connections}", f"-d{seconds}s", "-s", str(SCRIPT), f"http://{address}"]
    words += ["--", str(requests), str(closing_after), str(next(_runs) * FRESH_APART)]
    process = await asyncio.create_subprocess_exec(
        program(), *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(seconds + PATIENCE):
            output, _ = await process.communicate()
    except TimeoutError:
        raise CrowdError("wrk没有结束。 wrk does not end.") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return _counted(output)


def _counted(output: bytes) -> Counted:
    line = next((line for line in output.splitlines() if line.startswith(TOLD)), None)
    if line is None:
        raise CrowdError(f"wrk没有测成：{_end(output)}。 wrk measured nothing: {_end(output)}.")
    told = json.loads(line.removeprefix(TOLD))
    milliseconds = {name: told[name] / 1000 for name in ("p50", "p90", "p99")}
    counts = {name: told[name] for name in ("requests", "octets", "statuses", "lost", "timeouts")}
    return Counted(seconds=told["microseconds"] / 1e6, **counts, **milliseconds)


def _end(output: bytes) -> str:
    return output.decode(errors="replace").strip()[-200:]

"""A yardstick: nginx that answers everything with 200 and the same octets, on the loopback, while it is wanted.

`python -m loadtest.yardstick` starts it by itself; the load test does so for `--yardstick nginx`.
"""

import argparse
import asyncio
import ctypes
import os
import shutil
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from loadtest.ports import free_ports
from loadtest.target import Address
from loadtest.wire import Connection, LostError, RefusedError

OCTETS: Final = 600
"""Length of the body unless told otherwise: of an answer about an identifier with four public attributes."""
OCTETS_MOST: Final = 4000
"""Longest body: it is one word of nginx's configuration, which takes 4096."""
START_SECONDS: Final = 10.0
"""How long nginx may take to listen, and to end."""
GLANCE: Final = 0.02
"""Seconds between two looks at whether it listens."""
_PR_SET_PDEATHSIG: Final = 1  # <linux/prctl.h>


class YardstickError(Exception):
    """There is no yardstick; the text is for people."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A yardstick that listens: where, and its topmost process."""

    address: Address
    pid: int


def configuration(folder: Path, port: int, octets: int, workers: int) -> str:
    """What nginx is told. Bodies of any length are taken, connections are kept for ever, nothing is logged."""
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "".join(f"{kind}_temp_path {folder}/{kind};\n" for kind in kinds)
    return f"""daemon off;
worker_processes {workers};
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 16384; }}
http {{
access_log off;
{temporary}client_max_body_size 0;
keepalive_requests 1000000000;
keepalive_timeout 3600;
server {{
listen 127.0.0.1:{port} reuseport backlog=4096;
location / {{ default_type application/json; return 200 "{"x" * octets}"; }}
}}
}}
"""


@asynccontextmanager
async def nginx(octets: int, workers: int, port: int | None = None) -> AsyncIterator[Standing]:
    """Debian's nginx, until the block ends, with a body of `octets`. Raises YardstickError."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise YardstickError("没有nginx：apt-get install nginx-light。 There is no nginx: apt-get install nginx-light.")
    address = Address("127.0.0.1", port or free_ports(1)[0])
    _check_free(address)
    with tempfile.TemporaryDirectory(prefix="idnode-yardstick-") as name:
        file = _written(Path(name), configuration(Path(name), address.port, octets, workers))
        process = await asyncio.create_subprocess_exec(
            program, "-p", name, "-e", "stderr", "-c", file, preexec_fn=dies_with_us
        )
        try:
            await _listening(process, address)
            yield Standing(address, process.pid)
        finally:
            await ended(process)


def _check_free(address: Address) -> None:
    """Whoever listens there already would be taken for the yardstick."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address.host, address.port))
        except OSError as error:
            raise YardstickError(f"{address}不可用：{error}。 nginx cannot listen at {address}: {error}.") from None


def _written(folder: Path, text: str) -> str:
    """The file that holds the configuration. nginx's workers run as another user, who must be able to pass."""
    folder.chmod(0o755)
    file = folder / "nginx.conf"
    file.write_text(text, encoding="ascii")
    return str(file)


def dies_with_us() -> None:
    """Between fork and exec: the kernel ends nginx when the thread that started it ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


async def _listening(process: Process, address: Address) -> None:
    try:
        async with asyncio.timeout(START_SECONDS):
            while not await _answers(address):
                if process.returncode is not None:
                    raise YardstickError(f"nginx已结束：{process.returncode}。 nginx ended with {process.returncode}.")
                await asyncio.sleep(GLANCE)
    except TimeoutError:
        raise YardstickError(f"nginx没有在{address}监听。 nginx does not listen at {address}.") from None


async def _answers(address: Address) -> bool:
    try:
        connection = await Connection.open(address.port, address.host)
    except RefusedError:
        return False
    try:
        return (await connection.ask("GET", "/", {})).status == 200
    except LostError:
        return False
    finally:
        await connection.close()


async def ended(process: Process) -> None:
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(START_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


async def _stand(octets: int, workers: int, port: int | None) -> None:
    told = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    async with nginx(octets, workers, port) as standing:
        print(f"http://{standing.address}", flush=True)
        await told.wait()


def main() -> int:
    """Prints the address and stays until told to stop."""
    about = "标尺：nginx对一切回答200。 A yardstick: nginx says 200 to everything."
    parser = argparse.ArgumentParser(prog="python -m loadtest.yardstick", description=about)
    octets = f"回答的字节数 octets of a body ({OCTETS}; 1…{OCTETS_MOST})"
    parser.add_argument("--octets", type=int, default=OCTETS, help=octets)
    parser.add_argument("--workers", type=int, default=1, help="nginx工作进程数 workers of nginx (1; 1…64)")
    parser.add_argument("--port", type=int, help="端口（空闲的） port (a free one)")
    given = parser.parse_args()
    if not (1 <= given.octets <= OCTETS_MOST and 1 <= given.workers <= 64):
        parser.error(f"--octets 1…{OCTETS_MOST}, --workers 1…64")
    try:
        asyncio.run(_stand(given.octets, given.workers, given.port))
    except YardstickError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
